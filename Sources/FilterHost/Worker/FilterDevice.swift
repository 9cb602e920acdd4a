import CLinux
package import ControlPlane
import DPUCore
package import HBPFBridge

/// Patience by the monotonic clock; gives the core away while it waits.
package struct DeviceClock: DevicePatience, ~Copyable {
  private let nanoseconds: UInt64
  private var end: UInt64 = 0

  package init(milliseconds: Int) { nanoseconds = UInt64(milliseconds) * 1_000_000 }

  package mutating func begin() { end = clinux_monotonic_nanoseconds() + nanoseconds }

  package mutating func isOver() -> Bool {
    clinux_yield()
    return clinux_monotonic_nanoseconds() > end
  }
}

/// The FPGA's window, whether a BAR or the file of a simulated one.
package struct FPGAWindow: RegisterWindow, ~Copyable {
  private var mapped: MappedWindow
  private var simulated: SimulatedWindow<DeviceClock>
  private let isSimulated: Bool

  /// `SimulatedWindow.fileBytes` bytes at `address` must be mapped for a simulated one, and
  /// `FPGAWindow.barBytes` for the other kind.
  package init(address: UInt, isSimulated: Bool, milliseconds: Int) {
    mapped = MappedWindow(address: address, byteCount: Self.barBytes)
    simulated = SimulatedWindow(
      address: address, patience: DeviceClock(milliseconds: milliseconds))
    self.isSimulated = isSimulated
  }

  package static var barBytes: Int { 0x40000 }
  package var byteCount: Int { Self.barBytes }

  package mutating func connect() throws(DeviceFault) {
    if isSimulated { try simulated.connect() }
  }

  package mutating func readRegisters(
    _ offset: Int, width: Int, into values: inout MutableSpan<UInt64>
  ) throws(DeviceFault) {
    if isSimulated {
      try simulated.readRegisters(offset, width: width, into: &values)
    } else {
      try mapped.readRegisters(offset, width: width, into: &values)
    }
  }

  package mutating func writeRegisters(
    _ offset: Int, width: Int, _ values: Span<UInt64>
  ) throws(DeviceFault) {
    if isSimulated {
      try simulated.writeRegisters(offset, width: width, values)
    } else {
      try mapped.writeRegisters(offset, width: width, values)
    }
  }

  // Both kinds load and store alike.
  @inline(__always)
  package func load(_ offset: Int) -> UInt64 { mapped.load(offset) }
  @inline(__always)
  package func store(_ value: UInt64, at offset: Int) { mapped.store(value, at: offset) }
  @inline(__always)
  package func fence() { mapped.fence() }
}

package typealias FPGADriver = NativeDriver<FPGAWindow, DeviceClock>

/// The FPGA, in memory. The control thread opens it; from the start on the first worker has it
/// alone.
@safe
package struct FilterDevice: BitwiseCopyable, @unchecked Sendable {
  let driver: UnsafeMutablePointer<FPGADriver>
  /// A packet that takes longer means that the device is dead.
  package let timeoutNanoseconds: UInt64

  /// Maps and resets the device.
  package init(_ configuration: Configuration.FPGA) throws(StartFailure) {
    let isSimulated = configuration.kind == .simulated
    let bytes =
      isSimulated ? SimulatedWindow<DeviceClock>.fileBytes : FPGAWindow.barBytes
    var address: UInt64 = 0
    let error = unsafe configuration.path.withCString {
      unsafe clinux_device_map($0, UInt64(bytes), &address)
    }
    guard error == 0 else {
      throw StartFailure("fpga: \(configuration.path): \(errorText(-error))")
    }
    let milliseconds = configuration.timeoutMilliseconds
    timeoutNanoseconds = UInt64(milliseconds) * 1_000_000
    let window = FPGAWindow(
      address: UInt(address), isSimulated: isSimulated, milliseconds: max(1_000, milliseconds))
    unsafe driver = .allocate(capacity: 1)
    unsafe driver.initialize(
      to: FPGADriver(window, patience: DeviceClock(milliseconds: max(1_000, milliseconds))))
    do throws(DeviceFault) {
      try unsafe driver.pointee.window.connect()
      try unsafe driver.pointee.open()
      try unsafe driver.pointee.setInstructionLimit(FilterLimits.deviceInstructions)
    } catch {
      throw StartFailure("fpga: \(configuration.path): \(error.text)")
    }
  }

  /// Gives it a program and the state that its variables begin with. Only while nobody else has it.
  func start(_ program: [Instruction], state: [UInt64]) throws(DeviceFault) {
    try unsafe driver.pointee.load(program.span)
    for core in 0..<capabilities.cores {
      try unsafe driver.pointee.writeState(core, state.span)
    }
  }

  /// What it can do. Does not change.
  package var capabilities: NativeCapabilities { unsafe driver.pointee.capabilities }
}
