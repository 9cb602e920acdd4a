/// Sees a run of the interpreter, one instruction after the other: for what is held against it in
/// lock-step. The interpreter is compiled for each kind of observer, so one that sees nothing costs
/// nothing.
package protocol RunObserver: ~Copyable {
  /// False when `next` need not be asked. An empty `next` alone leaves one machine instruction more
  /// in each turn of the interpreter, a twentieth of its time.
  static var looks: Bool { get }
  /// The instruction in `slot` of the program comes next, unless this is false: then the run ends
  /// before it with the fault `stopped`. `registers` are as it will find them, and `stored` is what
  /// the instruction before it wrote to memory.
  mutating func next(_ slot: Int, _ registers: RegisterFile, stored: MemoryStore?) -> Bool
}

/// A write to memory by one instruction.
package struct MemoryStore: Equatable, BitwiseCopyable, Sendable {
  package var address: UInt64
  /// 1, 2, 4 or 8.
  package var byteCount: Int
  package var value: UInt64

  package init(address: UInt64, byteCount: Int, value: UInt64) {
    self.address = address
    self.byteCount = byteCount
    self.value = value
  }
}

/// Nobody looks.
struct NoObserver: RunObserver {
  static var looks: Bool { false }
  mutating func next(_ slot: Int, _ registers: RegisterFile, stored: MemoryStore?) -> Bool { true }
}

/// Checked memory that notes what is stored, in a record outside of it.
struct ObservedMemory: InterpreterMemory {
  static var isChecked: Bool { true }
  let guest: GuestMemory
  /// Where three words of the host hold the address, the bytes and the value of the last store. No
  /// bytes: nothing was stored.
  private let record: UInt

  static var recordBytes: Int { 24 }

  /// `recordBytes` bytes at `record` must stay as long as this is used.
  init(_ guest: GuestMemory, record: UInt) {
    self.guest = guest
    self.record = record
  }

  func load<Value: FixedWidthInteger & BitwiseCopyable>(
    _ address: UInt64, as type: Value.Type
  ) -> Value? { guest.load(address, as: type) }

  func store<Value: FixedWidthInteger & BitwiseCopyable>(
    _ value: Value, at address: UInt64
  ) -> Bool {
    guard guest.store(value, at: address) else { return false }
    note(value, at: address)
    return true
  }

  func update<Value: FixedWidthInteger & BitwiseCopyable>(
    _ address: UInt64, as type: Value.Type, _ change: (Value) -> Value
  ) -> Value? {
    guard let old = guest.update(address, as: type, change) else { return nil }
    // What lies there now, not what should.
    if let new = guest.load(address, as: type) { note(new, at: address) }
    return old
  }

  private func note<Value: FixedWidthInteger & BitwiseCopyable>(
    _ value: Value, at address: UInt64
  ) {
    HostBytes.store(address, at: record)
    HostBytes.store(UInt64(MemoryLayout<Value>.size), at: record + 8)
    HostBytes.store(UInt64(truncatingIfNeeded: value), at: record + 16)
  }

  func takeStore() -> MemoryStore? {
    let byteCount = HostBytes.load(record + 8, as: UInt64.self)
    guard byteCount > 0 else { return nil }
    HostBytes.store(UInt64(0), at: record + 8)
    return MemoryStore(
      address: HostBytes.load(record, as: UInt64.self), byteCount: Int(byteCount),
      value: HostBytes.load(record + 16, as: UInt64.self))
  }
}
