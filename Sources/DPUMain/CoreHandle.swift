import CLinux
import ControlPlane
import DPUCore
import FilterHost
import PipelineHost
import PollLoop

/// What the control thread keeps of one worker: counters to read and a box for questions.
struct CoreHandle: Sendable {
  var core: Int
  var mailbox: CoreMailbox
  var loop: CounterReader
  var stage: CounterReader
  var handOver: CounterReader
  /// Whether connections can end here.
  var hasStack: Bool
  var tcp: CounterReader
  var mqtt: CounterReader
  var link: CounterReader
  /// Per port, uplink first.
  var ports: [CounterReader]
  var pipelines: PipelineMailbox
  var packetsIn: PacketInRing
  /// Of each slot.
  var pipelineCounters: [CounterReader]
  var filters: FilterMailbox
  /// Of each port.
  var filterCounters: [CounterReader]
  var tap: TapRing
  var blockSize: Int
  var blockCount: Int

  /// Asks the worker and looks at its answer.
  func ask<Result>(
    _ prepare: (inout CoreContents) -> Void,
    then read: (borrowing CoreContents) -> Result
  ) throws(ControlFailure) -> Result {
    let result = mailbox.exchange(
      prepare, waiting: { Self.wait(while: { mailbox.isBusy }) }, then: read)
    guard let result else { throw .timeout(core: core) }
    return result
  }

  /// Waits until `isBusy` is false; false when that takes longer than a poll loop may need.
  static func wait(while isBusy: () -> Bool) -> Bool {
    // Most answers come within a turn, which is shorter than the shortest sleep.
    for _ in 0..<1_000 {
      if !isBusy() { return true }
      clinux_pause()
    }
    let step: UInt64 = 50_000
    var left = ControlPlane.Limits.coreAnswerMilliseconds * 1_000_000 / step
    while isBusy() {
      if left == 0 { return false }
      clinux_sleep(step)
      left -= 1
    }
    return true
  }
}
