package import DPUCore

/// The workers as the control thread reaches them.
package protocol FilterWorkers: AnyObject {
  var count: Int { get }
  /// The logical core of a worker: its name for people.
  func core(_ worker: Int) -> Int
  func mailbox(_ worker: Int) -> FilterMailbox
  /// `FilterCounter` of a worker's port.
  func counters(_ worker: Int, port: Int) -> CounterReader
  var now: Instant { get }
  /// Waits until the worker owes no answer; false when it takes too long.
  func await(_ worker: Int) -> Bool
}
