package import DPUCore

/// The workers as the control thread reaches them.
package protocol PipelineWorkers: AnyObject {
  var count: Int { get }
  /// The logical core of a worker: its name for people.
  func core(_ worker: Int) -> Int
  func mailbox(_ worker: Int) -> PipelineMailbox
  func packetsIn(_ worker: Int) -> PacketInRing
  /// `PipelineCounter` of a worker's slot.
  func counters(_ worker: Int, slot: Int) -> CounterReader
  var now: Instant { get }
  /// Waits until the worker owes no answer; false when it takes too long.
  func await(_ worker: Int) -> Bool
}
