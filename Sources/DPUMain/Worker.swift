import CLinux
import ControlPlane
import DPDKPort
import DPUCore
import FilterHost
import HostLink
import MQTTOffload
import PipelineHost
import PollLoop
import TCPLite

/// The thread under a poll loop: DPDK's clock, and Linux for waiting.
struct WorkerHost: LoopHost, ~Copyable {
  mutating func now() -> Instant { DPDK.now }
  mutating func processorTime() -> Instant {
    Instant(nanoseconds: clinux_thread_nanoseconds())
  }
  var stopRequested: Bool { clinux_stop_requested() != 0 }
  mutating func pause() { clinux_pause() }
  mutating func yield() { clinux_yield() }
  mutating func sleep(_ interval: Interval) { clinux_sleep(interval.nanoseconds) }
}

/// All that one core works with.
struct Worker: ~Copyable {
  var loop: PollLoop<DPDKDevice, FirmwareStage>
  private var host = WorkerHost()
  private let idle: IdlePolicy
  private let mailbox: CoreMailbox

  init(
    loop: consuming PollLoop<DPDKDevice, FirmwareStage>, idle: IdlePolicy, mailbox: CoreMailbox
  ) {
    self.loop = loop
    self.idle = idle
    self.mailbox = mailbox
  }

  /// For the control thread.
  var handle: CoreHandle {
    CoreHandle(
      core: loop.stage.core, mailbox: mailbox, loop: loop.reader, stage: loop.stage.reader,
      handOver: loop.stage.entrance.handOver.counters.reader,
      hasStack: !loop.stage.entrance.handOver.isNeeded,
      tcp: loop.stage.stack.counters.reader, mqtt: loop.stage.offload.counters,
      link: loop.stage.workerLink.link.counters,
      ports: (0..<loop.ports.count).map { loop.ports.reader(port: $0) },
      pipelines: loop.stage.pipelines.mailbox, packetsIn: loop.stage.pipelines.packetsIn,
      pipelineCounters: loop.stage.pipelines.readers, filters: loop.stage.filters.mailbox,
      filterCounters: loop.stage.filters.readers, tap: loop.ports.tap.ring,
      blockSize: loop.stage.stack.pool.blockSize, blockCount: loop.stage.stack.pool.capacity)
  }

  mutating func run() {
    // Without a cache of its own the worker only runs slower.
    try? DPDK.registerThread()
    loop.run(on: &host, idle: idle)
    DPDK.unregisterThread()
  }
}

/// A worker on its core. The worker lives as long as the process, for the readers of its counters.
@safe
struct WorkerThread {
  private var thread: UInt64 = 0

  init(_ worker: consuming Worker, core: Int) throws(StartFailure) {
    let memory = UnsafeMutablePointer<Worker>.allocate(capacity: 1)
    unsafe memory.initialize(to: worker)
    let error = unsafe clinux_thread_start(
      { unsafe $0!.assumingMemoryBound(to: Worker.self).pointee.run() }, memory, Int32(core),
      "dpu-worker", &thread)
    guard error == 0 else {
      throw StartFailure("starting the worker of core \(core) failed with error \(error)")
    }
  }

  func join() { clinux_thread_join(thread) }
}
