import Synchronization

/// Memory at an address that something outside of this process changes too. Each access happens
/// once, whole, and where the program says.
@safe
struct MappedMemory: BitwiseCopyable, @unchecked Sendable {
  private let base: UnsafeMutableRawPointer
  let byteCount: Int

  /// `byteCount` bytes at `address` must be mapped as long as this is used.
  init(address: UInt, byteCount: Int) {
    unsafe base = UnsafeMutableRawPointer(bitPattern: address)!
    self.byteCount = byteCount
  }

  @inline(__always)
  private func word(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
    precondition(offset >= 0 && offset & 7 == 0 && offset <= byteCount - 8)
    // Atomic<UInt64> has the layout of UInt64.
    return unsafe (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  @inline(__always)
  private func half(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt32>> {
    precondition(offset >= 0 && offset & 3 == 0 && offset <= byteCount - 4)
    return unsafe (base + offset).assumingMemoryBound(to: Atomic<UInt32>.self)
  }

  @inline(__always)
  func load(_ offset: Int) -> UInt64 { unsafe word(offset).pointee.load(ordering: .relaxed) }
  @inline(__always)
  func store(_ value: UInt64, at offset: Int) {
    unsafe word(offset).pointee.store(value, ordering: .relaxed)
  }
  func loadHalf(_ offset: Int) -> UInt32 { unsafe half(offset).pointee.load(ordering: .relaxed) }
  func storeHalf(_ value: UInt32, at offset: Int) {
    unsafe half(offset).pointee.store(value, ordering: .relaxed)
  }

  /// Devices count here, not only other cores: a full barrier.
  @inline(__always)
  func fence() { atomicMemoryFence(ordering: .sequentiallyConsistent) }
}

/// A device whose registers lie in the address space: a BAR of a PCI device.
package struct MappedWindow: RegisterWindow, ~Copyable {
  private let memory: MappedMemory

  /// `byteCount` bytes at `address` must be mapped as long as the window is used.
  package init(address: UInt, byteCount: Int) {
    memory = MappedMemory(address: address, byteCount: byteCount)
  }

  package var byteCount: Int { memory.byteCount }

  package mutating func readRegisters(
    _ offset: Int, width: Int, into values: inout MutableSpan<UInt64>
  ) throws(DeviceFault) {
    for index in values.indices {
      let place = offset + index * width
      values[index] = width == 8 ? memory.load(place) : UInt64(memory.loadHalf(place))
    }
    memory.fence()
  }

  package mutating func writeRegisters(
    _ offset: Int, width: Int, _ values: Span<UInt64>
  ) throws(DeviceFault) {
    memory.fence()
    for index in values.indices {
      let place = offset + index * width
      if width == 8 {
        memory.store(values[index], at: place)
      } else {
        memory.storeHalf(UInt32(truncatingIfNeeded: values[index]), at: place)
      }
    }
  }

  @inline(__always)
  package func load(_ offset: Int) -> UInt64 { memory.load(offset) }
  @inline(__always)
  package func store(_ value: UInt64, at offset: Int) { memory.store(value, at: offset) }
  @inline(__always)
  package func fence() { memory.fence() }
}

/// The area behind the BAR through which the process that simulates is asked.
private enum Area {
  static let start = 0x40000
  static let magic = start, operation = start + 0x08, offset = start + 0x10
  static let count = start + 0x18, request = start + 0x20, done = start + 0x28
  static let result = start + 0x30, values = start + 0x1000
  /// `DPUFSIM1`
  static let ready: UInt64 = 0x314d_4953_4655_5044
  static let accessesMax = 512
}

/// The simulated device: registers are reached through an area behind the BAR in which a process
/// obeys one request at a time (docs/ebpf-registers.md, "The simulated FPGA").
package struct SimulatedWindow<Patience: DevicePatience & ~Copyable>: RegisterWindow, ~Copyable {
  /// What the file must have: the BAR and the area.
  package static var fileBytes: Int { 0x42000 }

  private let memory: MappedMemory
  private var patience: Patience
  private var request: UInt64

  /// The file must be mapped at `address`, whole, as long as the window is used. To be followed by
  /// `connect`.
  package init(address: UInt, patience: consuming Patience) {
    memory = MappedMemory(address: address, byteCount: Self.fileBytes)
    self.patience = patience
    request = 0
  }

  /// Waits until the process is ready.
  package mutating func connect() throws(DeviceFault) {
    patience.begin()
    while memory.load(Area.magic) != Area.ready {
      guard !patience.isOver() else { throw .notAnswering }
    }
    memory.fence()
    request = memory.load(Area.request)
  }

  package var byteCount: Int { Area.start }

  /// Makes one request; `count` values lie in the area before or after it.
  private mutating func ask(
    isWrite: Bool, _ offset: Int, width: Int, count: Int
  ) throws(DeviceFault) {
    memory.store((isWrite ? 1 : 0) | UInt64(width) << 8, at: Area.operation)
    memory.store(UInt64(offset), at: Area.offset)
    memory.store(UInt64(count), at: Area.count)
    memory.fence()
    request &+= 1
    memory.store(request, at: Area.request)
    patience.begin()
    while memory.load(Area.done) != request {
      guard !patience.isOver() else { throw .notAnswering }
    }
    memory.fence()
    guard memory.load(Area.result) == 0 else { throw .badMap }
  }

  package mutating func readRegisters(
    _ offset: Int, width: Int, into values: inout MutableSpan<UInt64>
  ) throws(DeviceFault) {
    var first = 0
    while first < values.count {
      let count = min(values.count - first, Area.accessesMax)
      try ask(isWrite: false, offset + first * width, width: width, count: count)
      for index in 0..<count { values[first + index] = memory.load(Area.values + 8 * index) }
      first += count
    }
  }

  package mutating func writeRegisters(
    _ offset: Int, width: Int, _ values: Span<UInt64>
  ) throws(DeviceFault) {
    var first = 0
    while first < values.count {
      let count = min(values.count - first, Area.accessesMax)
      for index in 0..<count { memory.store(values[first + index], at: Area.values + 8 * index) }
      try ask(isWrite: true, offset + first * width, width: width, count: count)
      first += count
    }
  }

  @inline(__always)
  package func load(_ offset: Int) -> UInt64 { memory.load(offset) }
  @inline(__always)
  package func store(_ value: UInt64, at offset: Int) { memory.store(value, at: offset) }
  @inline(__always)
  package func fence() { memory.fence() }
}
