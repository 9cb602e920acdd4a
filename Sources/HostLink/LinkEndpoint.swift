package import DPUCore

/// One end of a ring pair: frames in, events out, and the other way round.
///
/// Both sides run this; `role` decides which frames an end may send and must accept. It makes
/// no system call and reads no clock. A turn of its owner is: `nextEvent` until nil, whatever
/// follows from the events, `finishTurn`, and the other side's doorbell when that says so.
package struct LinkEndpoint: ~Copyable {
  enum State { case detached, greeting, up, failed }

  /// What the other side said; `link` are the events that the firmware's users see as well.
  package enum Event: Equatable, BitwiseCopyable {
    case link(LinkEvent)
    /// To the shim: a new channel.
    case open(SlabHandle, local: LinkAddress, peer: LinkAddress)
    /// To the shim: forward what the broker wrote, then call `flushed`.
    case flush(token: UInt32)
  }

  package let role: LinkRole
  package private(set) var memory = LinkMemory.none
  package private(set) var generation: UInt32 = 0
  package let counters = Counters<LinkCounter>()

  var state = State.detached
  /// Why the link failed; nil while it has not.
  package internal(set) var failure: LinkFailure?
  var producer = RingProducer(LinkMemory.none.toShim)
  var consumer = RingConsumer(LinkMemory.none.toShim)
  var channels: ChannelTable
  /// Bytes the other side lets us send on a new channel.
  var peerWindow: UInt32 = 0
  /// The other process is gone: what it left in the ring is still read.
  var isDraining = false
  /// Events that arise without a frame, before those of the ring.
  var announced: LinkEvent?
  /// The body of the frame in hand is a `.data` event's.
  var hasEventBytes = false
  var pongPending = false
  var liveness = LinkLiveness()

  package init(role: LinkRole, channelsMax: Int) {
    precondition(channelsMax > 0 && channelsMax <= HostLinkLimits.channelsMax)
    self.role = role
    channels = ChannelTable(capacity: channelsMax)
  }

  package var isUp: Bool { state == .up }
  package var channelCount: Int { channels.count }
  package var channelsMax: Int { channels.capacity }

  /// Starts on unused rings by saying HELLO. Must be detached.
  package mutating func attach(_ memory: LinkMemory, generation: UInt32, now: Instant) {
    invariant(state == .detached, "link attached twice")
    self.memory = memory
    self.generation = generation
    producer = RingProducer(role == .firmware ? memory.toShim : memory.toFirmware)
    consumer = RingConsumer(role == .firmware ? memory.toFirmware : memory.toShim)
    failure = nil
    announced = nil
    isDraining = false
    pongPending = false
    liveness = LinkLiveness(now: now)
    state = .greeting
    let hello = Hello(
      role: role, generation: generation, channels: channels.capacity, ringBytes: memory.ringBytes)
    let fits = producer.prepare(Hello.byteCount)
    invariant(fits, "the rings of a new link are not empty")
    var body = producer.body(Hello.byteCount)
    hello.write(to: &body)
    commit(FrameHeader(.hello), Hello.byteCount)
  }

  /// The other process is gone. What it had sent is still reported, then `.down`, after which
  /// the end is detached. An end that failed before is detached at once.
  package mutating func peerGone() {
    switch state {
    case .greeting, .up: isDraining = true
    case .failed: detach()
    case .detached: break
    }
  }

  package var isDetached: Bool { state == .detached }

  /// Lets go of the memory and of every channel.
  package mutating func detach() {
    channels.removeAll()
    memory = .none
    producer = RingProducer(memory.toShim)
    consumer = RingConsumer(memory.toShim)
    hasEventBytes = false
    state = .detached
  }

  /// The link cannot go on. `.down` unless it was never up.
  mutating func fail(_ reason: LinkFailure) -> LinkEvent? {
    let wasUp = state == .up
    counters.increment(LinkCounter(reason))
    failure = reason
    state = .failed
    hasEventBytes = false
    channels.removeAll()
    if isDraining { detach() }
    return wasUp ? .down(reason) : nil
  }

  // MARK: Time

  /// Watches over the other side; call it about every 100 ms or more often, after the events.
  package mutating func advance(now: Instant) {
    guard state == .greeting || state == .up, !isDraining else { return }
    switch liveness.advance(now: now) {
    case .nothing: break
    case .ping: _ = append(FrameHeader(.ping))
    case .stalled:
      counters.increment(.stalls)
      if state == .up { announced = .stalled }
    case .resumed: if state == .up { announced = .resumed }
    case .dead: if let event = fail(.timeout) { announced = event }
    }
  }

  /// The owner did not run for a while: what came before says nothing about now.
  mutating func wasSuspended(now: Instant) {
    guard state == .up, !isDraining, liveness.suspend(now: now) else { return }
    counters.increment(.stalls)
    _ = append(FrameHeader(.ping))
    announced = .stalled
  }

  /// Not later than when `advance` has something to do.
  package var nextDeadline: Instant? {
    state == .greeting || state == .up ? liveness.nextDeadline : nil
  }

  // MARK: Turns

  /// Shows the other side what this turn sent and what room it made. True: ring its doorbell.
  package mutating func finishTurn() -> Bool {
    sendPending()
    consumer.release()
    guard producer.publish() else { return false }
    counters.increment(.doorbellsRung)
    return true
  }

  /// Announces that the owner will wait for its doorbell, after `finishTurn`. False when there
  /// is something to do after all.
  package mutating func prepareToSleep() -> Bool {
    announced == nil && !isDraining && consumer.prepareToSleep()
  }

  /// The owner woke up, whatever woke it.
  package mutating func awake() { consumer.awake() }
}

/// Whether the other side still answers: a PING after half a second of silence, a stall when it
/// stays unanswered for one second, the end after five.
struct LinkLiveness: BitwiseCopyable {
  enum Verdict: BitwiseCopyable { case nothing, ping, stalled, resumed, dead }

  static let pingAfter = Interval.milliseconds(500)
  static let stalledAfter = Interval.seconds(1)
  static let deadAfter = Interval.seconds(5)

  /// A frame came since the last `advance`.
  var heard = false
  private var lastHeard = Instant.zero
  private var pingSentAt: Instant?
  private var isStalled = false

  init() {}
  init(now: Instant) { lastHeard = now }

  mutating func advance(now: Instant) -> Verdict {
    if heard {
      heard = false
      lastHeard = now
      pingSentAt = nil
      if isStalled {
        isStalled = false
        return .resumed
      }
      return .nothing
    }
    guard let sent = pingSentAt else {
      guard now - lastHeard >= Self.pingAfter else { return .nothing }
      pingSentAt = now
      return .ping
    }
    if now - sent >= Self.deadAfter { return .dead }
    if now - sent >= Self.stalledAfter, !isStalled {
      isStalled = true
      return .stalled
    }
    return .nothing
  }

  /// As a stall that begins now. False when there is one already.
  mutating func suspend(now: Instant) -> Bool {
    guard !isStalled else { return false }
    heard = false
    isStalled = true
    pingSentAt = now
    return true
  }

  var nextDeadline: Instant {
    guard let sent = pingSentAt else { return lastHeard + Self.pingAfter }
    return sent + (isStalled ? Self.deadAfter : Self.stalledAfter)
  }
}
