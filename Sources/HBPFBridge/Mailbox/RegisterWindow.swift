package import DPUCore

/// A stretch of memory behind which a device sits: a PCI BAR, or the file that a simulated one
/// shares. All offsets are in bytes and aligned to the width of the access.
///
/// There are two ways in. Registers are reached one access at a time, in order, and each has its
/// effect before the next. Memory (rings and packets) is reached by plain loads and stores; `fence`
/// orders those against each other.
package protocol RegisterWindow: ~Copyable {
  var byteCount: Int { get }

  /// Reads registers at rising offsets from `offset` on, `width` (4 or 8) bytes each.
  mutating func readRegisters(
    _ offset: Int, width: Int, into values: inout MutableSpan<UInt64>
  ) throws(DeviceFault)
  mutating func writeRegisters(
    _ offset: Int, width: Int, _ values: Span<UInt64>
  ) throws(DeviceFault)

  func load(_ offset: Int) -> UInt64
  func store(_ value: UInt64, at offset: Int)
  /// What was loaded or stored before comes before what is loaded or stored after.
  func fence()
}

/// Why a device cannot be used.
package enum DeviceFault: Error, Equatable, BitwiseCopyable, Sendable {
  /// Nobody did what a register asked for.
  case notAnswering
  /// There is something else at the place of the device.
  case unknownDevice(UInt64)
  case unknownVersion(major: Int, minor: Int)
  /// The device says of itself what cannot be.
  case badCapabilities(UInt64)
  /// The register map leaves the window, or lacks a register.
  case badMap
  case programTooLong(Int)
  /// The device found fault with a program: its own number for the reason.
  case programRefused(Int)

  package var text: Text {
    switch self {
    case .notAnswering: return "the device does not answer"
    case .unknownDevice(let magic):
      var text: Text = "this is no eBPF device: its first register reads 0x"
      text.append(magic, radix: 16, width: 16)
      return text
    case .unknownVersion(let major, let minor):
      return "the device has version \(major).\(minor) of the register page, not 1"
    case .badCapabilities(let word):
      var text: Text = "the device claims impossible capabilities: 0x"
      text.append(word, radix: 16, width: 16)
      return text
    case .badMap: return "the register map lacks a register, or leaves the window"
    case .programTooLong(let count): return "the device has no room for \(count) instructions"
    case .programRefused(1): return "the device refused the program: its length"
    case .programRefused(2): return "the device refused the program: its checksum"
    case .programRefused(3): return "the device refused the program: its first row"
    case .programRefused(let reason): return "the device refused the program: reason \(reason)"
    }
  }
}

/// Until when a register may take to do what it was asked. The module has no clock, so whoever
/// makes a window brings one.
package protocol DevicePatience: ~Copyable {
  /// A wait begins.
  mutating func begin()
  /// Lets a moment pass; true when the wait has taken too long.
  mutating func isOver() -> Bool
}

extension RegisterWindow where Self: ~Copyable {
  package mutating func read(_ offset: Int, width: Int = 8) throws(DeviceFault) -> UInt64 {
    var value = InlineArray<1, UInt64>(repeating: 0)
    var span = value.mutableSpan
    try readRegisters(offset, width: width, into: &span)
    return value[0]
  }

  package mutating func write(
    _ value: UInt64, at offset: Int, width: Int = 8
  ) throws(DeviceFault) {
    let values = InlineArray<1, UInt64>(repeating: value)
    try writeRegisters(offset, width: width, values.span)
  }
}
