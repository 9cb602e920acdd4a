import DPDKPort
import DPUCore
import PipelineHost

/// The workers as the pipelines' part of the control plane reaches them.
final class PipelineCores: PipelineWorkers {
  private let handles: [CoreHandle]

  init(_ handles: [CoreHandle]) { self.handles = handles }

  var count: Int { handles.count }
  var now: Instant { DPDK.now }
  func core(_ worker: Int) -> Int { handles[worker].core }
  func mailbox(_ worker: Int) -> PipelineMailbox { handles[worker].pipelines }
  func packetsIn(_ worker: Int) -> PacketInRing { handles[worker].packetsIn }
  func counters(_ worker: Int, slot: Int) -> CounterReader {
    handles[worker].pipelineCounters[slot]
  }

  func await(_ worker: Int) -> Bool {
    let mailbox = handles[worker].pipelines
    return CoreHandle.wait(while: { mailbox.isBusy })
  }
}
