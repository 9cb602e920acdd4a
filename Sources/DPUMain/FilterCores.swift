import DPDKPort
import DPUCore
import FilterHost

/// The workers as the filters' part of the control plane reaches them.
final class FilterCores: FilterWorkers {
  private let handles: [CoreHandle]

  init(_ handles: [CoreHandle]) { self.handles = handles }

  var count: Int { handles.count }
  var now: Instant { DPDK.now }
  func core(_ worker: Int) -> Int { handles[worker].core }
  func mailbox(_ worker: Int) -> FilterMailbox { handles[worker].filters }
  func counters(_ worker: Int, port: Int) -> CounterReader {
    handles[worker].filterCounters[port]
  }

  func await(_ worker: Int) -> Bool {
    let mailbox = handles[worker].filters
    return CoreHandle.wait(while: { mailbox.isBusy })
  }
}
