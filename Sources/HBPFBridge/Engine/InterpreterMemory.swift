/// How the interpreter reaches memory: with a check of each address, or without.
protocol InterpreterMemory: BitwiseCopyable {
  static var isChecked: Bool { get }
  /// For helpers.
  var guest: GuestMemory { get }

  /// The number at `address`; nil when it does not lie in the memory.
  func load<Value: FixedWidthInteger & BitwiseCopyable>(
    _ address: UInt64, as type: Value.Type
  ) -> Value?
  /// False when there is nothing to write to.
  func store<Value: FixedWidthInteger & BitwiseCopyable>(
    _ value: Value, at address: UInt64
  ) -> Bool
  /// Puts `change` of the number at `address` in its place. Returns what was there.
  func update<Value: FixedWidthInteger & BitwiseCopyable>(
    _ address: UInt64, as type: Value.Type, _ change: (Value) -> Value
  ) -> Value?
  /// What was stored since this was asked the last time; nil where nobody notes it.
  func takeStore() -> MemoryStore?
}

extension InterpreterMemory {
  @inline(__always)
  func takeStore() -> MemoryStore? { nil }
}

extension GuestMemory: InterpreterMemory {
  static var isChecked: Bool { true }
  var guest: GuestMemory { self }
}

/// For programs whose every access was proved: addresses are the host's.
struct ProvedMemory: InterpreterMemory {
  static var isChecked: Bool { false }

  var guest: GuestMemory {
    var memory = GuestMemory()
    memory.add(MemoryRegion(start: 0, count: .max, host: 0, isWritable: true))
    return memory
  }

  @inline(__always)
  func load<Value: FixedWidthInteger & BitwiseCopyable>(
    _ address: UInt64, as type: Value.Type
  ) -> Value? { HostBytes.load(UInt(address), as: type) }

  @inline(__always)
  func store<Value: FixedWidthInteger & BitwiseCopyable>(
    _ value: Value, at address: UInt64
  ) -> Bool {
    HostBytes.store(value, at: UInt(address))
    return true
  }

  @inline(__always)
  func update<Value: FixedWidthInteger & BitwiseCopyable>(
    _ address: UInt64, as type: Value.Type, _ change: (Value) -> Value
  ) -> Value? {
    let old = HostBytes.load(UInt(address), as: type)
    HostBytes.store(change(old), at: UInt(address))
    return old
  }
}

/// Where a program stands.
struct Path<Memory: InterpreterMemory> {
  var next = 0
  /// Taken jumps and calls that are still allowed; not counted for what was proved to end.
  var jumpsLeft: Int

  /// To where `instruction` goes; false when that is one jump too many.
  @inline(__always)
  mutating func jump(_ instruction: DecodedInstruction) -> Bool {
    next = Int(instruction.offset)
    guard Memory.isChecked else { return true }
    jumpsLeft &-= 1
    return jumpsLeft >= 0
  }
}
