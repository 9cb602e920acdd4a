import CLinux
import ControlPlane
import DPUCore

/// What the control thread keeps of one worker: counters to read and a box for questions.
struct CoreHandle: Sendable {
  var core: Int
  var mailbox: CoreMailbox
  var loop: CounterReader
  var stage: CounterReader
  var tcp: CounterReader
  var mqtt: CounterReader
  var link: CounterReader
  /// Per port, uplink first.
  var ports: [CounterReader]
  var blockSize: Int
  var blockCount: Int

  /// Asks the worker and looks at its answer.
  func ask<Result>(
    _ prepare: (inout CoreMailbox.Contents) -> Void,
    then read: (borrowing CoreMailbox.Contents) -> Result
  ) throws(ControlFailure) -> Result {
    // A worker that was too late for an earlier question may still be writing its answer.
    if !mailbox.isBusy {
      mailbox.ask(prepare)
      let step: UInt64 = 50_000
      var left = ControlPlane.Limits.coreAnswerMilliseconds * 1_000_000 / step
      while mailbox.isBusy, left > 0 {
        clinux_sleep(step)
        left -= 1
      }
      if !mailbox.isBusy { return mailbox.read(read) }
    }
    throw .timeout(core: core)
  }
}
