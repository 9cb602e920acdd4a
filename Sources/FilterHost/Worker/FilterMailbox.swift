package import DPUCore
package import HBPFBridge

/// What the control thread asks of a worker about its filters.
package enum FilterQuestion: BitwiseCopyable, Sendable {
  case nothing
  /// Takes a filter in place of the one of the port, if there is one; nil: only takes it away.
  /// For one that uses the device, its program stands in `program`, `count` instructions.
  case install(port: Int, FilterHandle?, count: Int)
  /// Entries of a map, from number `start` on. `core`: of the device, when that runs the filter.
  case entries(port: Int, map: Int, start: Int, limit: Int, core: Int)
  /// Counters of the device.
  case device
  /// Resets the device and gives it its program again.
  case resetDevice
}

package typealias FilterMailbox = Mailbox<FilterExchange>

/// What travels in a `FilterMailbox`.
package struct FilterExchange: ~Copyable {
  package var question = FilterQuestion.nothing
  /// What the port had before `install`. When the device refused: what was not installed.
  package var previous: FilterHandle?
  package var fault: DeviceFault?
  /// The port has a filter.
  package var isLoaded = false
  /// For the device.
  package var program = FixedArray<Instruction>(
    repeating: Instruction(opcode: 0), count: HBPFLimits.instructions)
  /// The state that variables begin with.
  package var state = FixedArray<UInt64>(repeating: 0, count: HBPFLimits.stateBytes / 8)
  /// Entries: their numbers, and key and value of each behind each other in `bytes`.
  package var count = 0
  package var numbers = FixedArray<Int>(repeating: 0, count: FilterLimits.entriesPerAnswer)
  package var bytes = FixedArray<UInt8>(repeating: 0, count: 2 * FilterLimits.entryBytes)
  /// Where to go on; nil at the end.
  package var next: Int?
  package var isDead = false
  /// Dead only because it was reset: it waits for the next filter.
  package var isReset = false
  /// Of how many cores there are counters; 0 when the device was not asked or did not answer.
  package var deviceCores = 0
  package var inFlight = 0
  package var counters = FixedArray<FPGADriver.CoreCounters?>(repeating: nil, count: 8)
  package var refusedDescriptors = 0
  package var ignoredDoorbells = 0

  package init() {}
}
