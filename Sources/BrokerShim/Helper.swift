import CLinux
import DPUCore
import HostLink

/// The thread in the broker's process that moves bytes between the rings and the socket pairs.
///
/// One turn: take what the kernel reports, take what the rings hold, answer, publish, sleep.
/// It owns everything here alone; what it shares with the broker's threads is in `BrokerState`.
struct Helper: ~Copyable {
  /// Tags of descriptors in our epoll that are no connections: those have an odd generation in
  /// the upper half.
  enum Tag {
    static let control: UInt64 = 1
    static let socket: UInt64 = 2
    static let doorbell: UInt64 = 1 << 8
    static let stream: UInt64 = 1 << 9
    static let end: UInt64 = 1 << 10
  }

  let broker: Broker
  let epoll: Int32
  let control: Int32
  var connections = Slab(repeating: Connection(), capacity: ShimLimits.connectionsMax)
  var firstWaiting = SlabHandle.none
  var attachment = Attachment()
  /// With a firmware on another machine.
  var streamControl = StreamControl()
  /// Connections that stopped for want of credit.
  var starvedCount = 0
  /// FLUSH that waits for its answer, by worker.
  var flushes = FixedArray<UInt32?>(repeating: nil, count: HostLinkLimits.workersMax)
  var flushesPending = 0
  var retryAt = Instant.zero
  var retryMilliseconds = ShimLimits.retryFirstMilliseconds
  /// Something was left undone that no descriptor will report.
  var hasMore = false
  /// The broker's threads changed something that the firmware is not told yet.
  var isNotified = true
  var isFinished = false

  init?(_ broker: Broker, control: Int32) {
    epoll = clinux_link_epoll_create()
    self.broker = broker
    self.control = control
    guard epoll >= 0 else { return nil }
    broker.descriptors.set(epoll, .hidden)
    _ = watch(control, Readiness.readable, Tag.control)
  }

  func watch(_ descriptor: Int32, _ events: UInt32, _ tag: UInt64) -> Bool {
    clinux_link_epoll_add(epoll, descriptor, events, tag) == 0
  }

  static var now: Instant { Instant(nanoseconds: clinux_link_clock()) }

  /// Until the process ends.
  mutating func run() {
    while !isFinished {
      takeKernelEvents(timeout: sleep())
      let now = Self.now
      receiveStreams()
      takeFrames()
      serveWaiting()
      if isNotified { tellNews() }
      answerFlushes()
      keepLink(now: now)
      finishTurns(now: now)
    }
  }

  /// How long the next turn may wait, in milliseconds, -1 for ever.
  private mutating func sleep() -> Int32 {
    if hasMore {
      hasMore = false
      return 0
    }
    if firstWaiting != .none || flushesPending > 0 || isNotified {
      return ShimLimits.fullRingMilliseconds
    }
    if streamsHaveMore { return 0 }
    guard attachment.prepareToSleep() else { return 0 }
    let deadline =
      attachment.isOpen ? min(attachment.nextDeadline, streamControl.endsAt) : retryAt
    guard deadline != .distantFuture else { return -1 }
    let milliseconds = ((deadline - Self.now).nanoseconds + 999_999) / 1_000_000
    return Int32(min(milliseconds, 60_000))
  }

  /// True when there may be more.
  @discardableResult
  mutating func takeKernelEvents(timeout: Int32) -> Bool {
    var events = InlineArray<256, clinux_link_event>(repeating: clinux_link_event())
    let most = Int32(ShimLimits.batch)
    var span = events.mutableSpan
    let count = unsafe span.withUnsafeMutableBufferPointer {
      unsafe clinux_link_epoll_wait(epoll, $0.baseAddress!, most, timeout)
    }
    attachment.awake()
    for index in 0..<Int(max(0, count)) {
      let event = events[index]
      switch event.tag {
      case Tag.control:
        clinux_link_eventfd_take(control)
        isNotified = true
      case Tag.socket: if broker.remote != nil { controlEvent() } else { readSocket() }
      case Tag.doorbell..<Tag.stream: break  // it only had to wake us
      case Tag.stream..<Tag.end: noteStream(Int(event.tag - Tag.stream), event.events)
      default: connectionEvent(SlabHandle(rawValue: event.tag), event.events)
      }
    }
    return count == most
  }

  private mutating func takeFrames() {
    for worker in 0..<attachment.count {
      var budget = ShimLimits.framesPerTurn
      while budget > 0, attachment.isOpen, flushes[worker] == nil {
        guard let event = attachment[worker].nextEvent() else { break }
        budget -= 1
        handle(event, of: worker)
      }
      if budget == 0 { hasMore = true }
    }
  }

  private mutating func handle(_ event: LinkEndpoint.Event, of worker: Int) {
    switch event {
    case .open(let channel, let local, let peer):
      open(channel, of: worker, local: local, peer: peer)
    case .flush(let token):
      flushes[worker] = token
      flushesPending += 1
    case .link(.data(let channel, _)): deliver(to: channel, of: worker)
    case .link(.credit(let channel)):
      if let connection = connection(channel, of: worker), connections[connection].isReadable {
        forward(connection)
      }
    case .link(.shut(let channel)): shut(channel, of: worker)
    case .link(.closed(let channel, _)): firmwareClosed(channel, of: worker)
    case .link(.down(let reason)):
      broker.log("link failed, reason", Int64(reason.rawValue))
      drop()
    case .link(.up): broker.log("link is up, worker", Int64(worker))
    case .link(.stalled): broker.log("firmware does not answer, worker", Int64(worker))
    case .link(.resumed): broker.log("firmware answers again, worker", Int64(worker))
    case .link(.listen), .link(.unlisten), .link(.certificate), .link(.accepted),
      .link(.flushed):
      break  // the endpoint lets only a shim send these
    }
  }

  /// Tells every worker of listeners that came and went, and of the certificate. What finds no
  /// room is told in the next turn.
  private mutating func tellNews() {
    let (isExiting, mustDrop) = broker.locked { state in
      isNotified = false
      for worker in 0..<attachment.count {
        if !attachment.report(state.certificate, to: worker) { isNotified = true }
      }
      for index in 0..<state.listeners.count {
        tell(&state.listeners[index])
      }
      defer { state.mustDrop = false }
      return (state.isExiting, state.mustDrop)
    }
    if isExiting { return finishProcess() }
    if mustDrop {
      broker.log("the certificate was taken back, and the firmware did not acknowledge")
      return drop()
    }
    if broker.remote != nil { sendControl() }
  }

  private mutating func tell(_ listener: inout Listener) {
    guard listener.state != .free else { return }
    let listens = listener.state == .open
    for worker in 0..<attachment.count {
      let bit: UInt32 = 1 << UInt32(worker)
      guard (listener.announcedTo & bit != 0) != listens else { continue }
      if attachment[worker].announce(listener.address, listening: listens) {
        listener.announcedTo ^= bit
      } else {
        isNotified = true
      }
    }
    if !listens, listener.announcedTo == 0 { listener.state = .free }
  }

  /// FLUSHED follows once everything is forwarded that the broker wrote before we saw FLUSH.
  private mutating func answerFlushes() {
    guard flushesPending > 0 else { return }
    // The kernel reports ready descriptors in the order they became ready, so after a batch that
    // is not full there is none left of those that were ready when we began.
    while takeKernelEvents(timeout: 0) {}
    serveWaiting()
    guard firstWaiting == .none else { return }
    let complete = !holdsBytesBack()
    for worker in 0..<attachment.count {
      guard let token = flushes[worker] else { continue }
      guard attachment[worker].flushed(token: token, complete: complete) else { return }
      flushes[worker] = nil
      flushesPending -= 1
      hasMore = true
    }
  }

  /// Publishes what the turn sent, and watches over the other side.
  private mutating func finishTurns(now: Instant) {
    for worker in 0..<attachment.count {
      attachment[worker].advance(now: now)
      attachment.finishTurn(worker)
      if let failure = attachment[worker].failure {
        broker.log("link failed, reason", Int64(failure.rawValue))
        return drop()
      }
    }
    sendStreams()
  }

  /// The broker ends: forward what it still wrote, then let it go on.
  private mutating func finishProcess() {
    let deadline = Self.now + .milliseconds(UInt64(ShimLimits.exitMilliseconds))
    var timeout: Int32 = 0
    repeat {
      while takeKernelEvents(timeout: timeout) {}
      receiveStreams()
      takeFrames()
      serveWaiting()
      finishTurns(now: Self.now)
      timeout = ShimLimits.fullRingMilliseconds
      // A full ring or a client that reads slowly.
    } while (firstWaiting != .none || starvedCount > 0 || streamsHaveUnsent)
      && Self.now < deadline
    if broker.remote != nil { lingerStreams(until: deadline) }
    clinux_link_eventfd_ring(broker.locked { $0.drained })
    isFinished = true
  }
}
