package import DPUCore

/// From the thread that holds the sockets to a worker.
package enum LinkCommand: BitwiseCopyable, Sendable {
  /// A shim came: this worker's ring pair of attachment `generation`, and what wakes the shim.
  case attach(LinkMemory, generation: UInt32, doorbell: Int32)
  /// Its socket closed.
  case detach
}

/// From a worker to the thread that holds the sockets.
package enum LinkNotice: BitwiseCopyable, Sendable, Equatable {
  /// The link failed here: close the socket, and detach all workers.
  case failed(LinkFailure)
  /// The worker uses the memory of the attachment no longer.
  case released
}

/// The firmware's end of the link, one per worker.
///
/// In each turn of the worker: `beginTurn`, `apply` the commands there are, take the events,
/// `advance` the time, `finishTurn`, and hand `takeNotice` to the thread that holds the sockets.
package struct DPULink: BrokerLink, ~Copyable {
  private var endpoint: LinkEndpoint
  private var reportedFailure = false
  private var isAttached = false
  private var lastTurn: Instant?
  /// The descriptor to write when `finishTurn` says so; -1 before the first attachment.
  package private(set) var doorbell: Int32 = -1

  /// `channelsMax`: connections of this worker, the capacity of their slab.
  package init(channelsMax: Int) {
    endpoint = LinkEndpoint(role: .firmware, channelsMax: channelsMax)
  }

  /// A worker that did not run for a second, for whatever reason, may believe nothing that it knew
  /// before: the other side may have given it up meanwhile. `.stalled` until a frame comes.
  @inline(__always)
  package mutating func beginTurn(now: Instant) {
    if let lastTurn, now - lastTurn >= LinkLiveness.stalledAfter { endpoint.wasSuspended(now: now) }
    lastTurn = now
  }

  package mutating func apply(_ command: LinkCommand, now: Instant) {
    switch command {
    case .attach(let memory, let generation, let doorbell):
      self.doorbell = doorbell
      isAttached = true
      reportedFailure = false
      endpoint.attach(memory, generation: generation, now: now)
    case .detach: endpoint.peerGone()
    }
  }

  package mutating func takeNotice() -> LinkNotice? {
    if isAttached, endpoint.isDetached {
      isAttached = false
      return .released
    }
    if isAttached, !reportedFailure, let failure = endpoint.failure {
      reportedFailure = true
      return .failed(failure)
    }
    return nil
  }

  /// Liveness: `.stalled`, `.resumed` and `.down(.timeout)` come of this.
  package mutating func advance(now: Instant) { endpoint.advance(now: now) }

  package var nextDeadline: Instant? { endpoint.nextDeadline }

  /// Shows the shim what this turn sent. True: write its doorbell.
  package mutating func finishTurn() -> Bool { endpoint.finishTurn() }

  /// For a worker that waits for its own doorbell when idle; see `LinkEndpoint`.
  package mutating func prepareToSleep() -> Bool { endpoint.prepareToSleep() }
  package mutating func awake() { endpoint.awake() }

  package var counters: CounterReader { endpoint.counters.reader }
  package var channelCount: Int { endpoint.channelCount }
  package var generation: UInt32 { endpoint.generation }

  // MARK: BrokerLink

  package var isUp: Bool { endpoint.isUp }
  package var certified: Bool {
    endpoint.isUp && endpoint.memory.certificate == .certified
  }
  /// Why not, for `mqtt explain`.
  package var certificate: CertificateFlags { endpoint.memory.certificate }

  package mutating func open(
    _ channel: SlabHandle, local: LinkAddress, peer: LinkAddress
  ) -> Bool {
    endpoint.open(channel, local: local, peer: peer)
  }

  package func sendRoom(_ channel: SlabHandle) -> Int { endpoint.sendRoom(channel) }

  package mutating func send(_ channel: SlabHandle, _ bytes: RawSpan) -> Int {
    endpoint.send(channel, bytes)
  }

  package mutating func grant(_ channel: SlabHandle, _ count: Int) {
    endpoint.grant(channel, count)
  }

  package mutating func shut(_ channel: SlabHandle) { endpoint.shut(channel) }

  package mutating func close(_ channel: SlabHandle, reason: CloseReason) {
    endpoint.close(channel, reason: reason)
  }

  package mutating func flush(token: UInt32) -> Bool { endpoint.flush(token: token) }

  package mutating func nextEvent() -> LinkEvent? {
    // Only a shim's end gets the other events, and `LinkEndpoint` fails on them here.
    guard case .link(let event) = endpoint.nextEvent() else { return nil }
    return event
  }

  package var eventBytes: RawSpan {
    @_lifetime(borrow self)
    borrowing get { endpoint.eventBytes }
  }
}
