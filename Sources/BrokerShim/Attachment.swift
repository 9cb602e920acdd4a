import CLinux
import DPUCore
import HostLink

/// Our connection to one firmware process: its socket, and one ring pair for each of its workers.
/// To one on another machine the rings are ours alone, and a stream carries what is in them.
@safe
struct Attachment: ~Copyable {
  /// Where the greeting came from; -1: not connected.
  var socket: Int32 = -1
  /// Workers with rings, 0 until the greeting came.
  private(set) var count = 0
  private var endpoints: UnsafeMutablePointer<LinkEndpoint>?
  private var made = 0
  var rings = FixedArray(repeating: Ring(), count: HostLinkLimits.workersMax)

  struct Ring: BitwiseCopyable {
    var memory = LinkMemory.none
    /// The connection that carries the frames; nil: the firmware reads the memory itself.
    var stream: Stream?
    /// Rung by the firmware.
    var ours: Int32 = -1
    /// Wakes a worker that sleeps.
    var theirs: Int32 = -1
    /// The certificate as this worker was told last.
    var reported: CertificateFlags = []
  }

  init() { unsafe endpoints = nil }

  var isOpen: Bool { count > 0 }

  subscript(worker: Int) -> LinkEndpoint {
    _read {
      precondition(worker >= 0 && worker < count)
      yield unsafe endpoints![worker]
    }
    _modify {
      precondition(worker >= 0 && worker < count)
      yield unsafe &endpoints![worker]
    }
  }

  func ring(_ worker: Int) -> Ring { rings[worker] }

  /// Begins on rings that are mapped; each end says HELLO.
  mutating func open(_ newRings: borrowing FixedArray<Ring>, _ hello: Hello, now: Instant) {
    let workers = Int(hello.workers)
    prepareEndpoints(workers, channelsMax: Int(hello.channels))
    for worker in 0..<workers {
      rings[worker] = newRings[worker]
      unsafe endpoints![worker].attach(
        rings[worker].memory, generation: hello.generation, now: now)
    }
    count = workers
  }

  /// The endpoints of the last firmware serve the next, which is mostly the same one restarted.
  private mutating func prepareEndpoints(_ workers: Int, channelsMax: Int) {
    if unsafe made == workers && endpoints![0].channelsMax == channelsMax { return }
    unsafe endpoints?.deinitialize(count: made)
    unsafe endpoints?.deallocate()
    unsafe endpoints = .allocate(capacity: workers)
    for worker in 0..<workers {
      unsafe (endpoints! + worker).initialize(
        to: LinkEndpoint(role: .shim, channelsMax: channelsMax))
    }
    made = workers
  }

  /// Lets go of the rings; their descriptors and memory are the caller's to free.
  mutating func closeRings() {
    for worker in 0..<count { self[worker].detach() }
    count = 0
  }

  /// Tells a worker what it does not know yet. False when its ring is full.
  mutating func report(_ certificate: CertificateFlags, to worker: Int) -> Bool {
    guard rings[worker].reported != certificate else { return true }
    guard self[worker].report(certificate) else { return false }
    rings[worker].reported = certificate
    return true
  }

  mutating func finishTurn(_ worker: Int) {
    if self[worker].finishTurn() { clinux_link_eventfd_ring(rings[worker].theirs) }
  }

  mutating func prepareToSleep() -> Bool {
    for worker in 0..<count where !self[worker].prepareToSleep() { return false }
    return true
  }

  mutating func awake() {
    for worker in 0..<count { self[worker].awake() }
  }

  var nextDeadline: Instant {
    var earliest = Instant.distantFuture
    for worker in 0..<count {
      if let deadline = self[worker].nextDeadline { earliest = min(earliest, deadline) }
    }
    return earliest
  }
}
