import DPUCore
import MQTTWire

/// One client connection, from its handshake to the end of both of its streams.
package struct Session: BitwiseCopyable {
  /// What the MQTT connection has come to.
  package enum Phase: UInt8, BitwiseCopyable, Sendable {
    /// No connection in this slot.
    case free
    /// Nothing but TCP so far.
    case connecting
    /// CONNECT went to the broker.
    case requested
    /// The broker accepted.
    case connected
    /// DISCONNECT was seen, from either side.
    case leaving
  }

  enum Rest: UInt8, BitwiseCopyable {
    case whole
    case awaited
    /// It did not come: what there is goes to the broker.
    case late
  }

  // Identity.
  var connection = SlabHandle.none
  package var phase = Phase.free
  var version = ProtocolVersion.v311
  /// Keyed hash of the client identifier; 0 when the client left it to the broker.
  var clientHash: UInt64 = 0
  /// The record of its subscriptions, `.max` while there is none.
  var subscriber: UInt32 = .max
  var isPersistent = false
  var keepAliveSeconds: UInt16 = 0
  /// What the client accepts, in bytes.
  var maximumPacketSize: UInt32 = .max
  /// Highest topic alias that the broker accepts.
  var topicAliasMaximum: UInt16 = 0

  // What holds for life.
  /// The client's stream can no longer be followed, or the broker's: bytes go as they come.
  var isRaw = false
  var isRawFromBroker = false
  /// It may have subscriptions that are not known here.
  var isOpaque = false
  /// Another connection took its session over; its answers change nothing any more.
  var isSuperseded = false
  var isReauthenticating = false

  // Ends of the streams.
  /// The channel to the broker exists.
  var hasChannel = false
  /// The broker writes nothing more; FIN follows what is kept.
  var brokerEnded = false
  var finSent = false
  /// The client writes nothing more.
  var clientEnded = false
  var shutSent = false
  var subscriptionsEnded = false

  /// There was no memory for something that the broker wrote: the stream cannot go on.
  var hasLostBytes = false

  // Client to broker.
  /// Bytes of the packet at the front that still go to the broker as they are.
  var relayRemaining = 0
  /// Whether the packet at the front is waited for.
  var rest = Rest.whole
  var restBy = Instant.distantFuture
  var pings = PingLedger()
  /// Requests without an answer: the first of a list in the request slab.
  var firstRequest = SlabHandle.none
  var requestCount = 0
  /// The first of a list in the alias slab.
  var firstAlias = SlabHandle.none

  // Broker to client.
  /// Bytes of a large packet that still pass; nothing may come in between.
  var streamRemaining = 0
  /// The beginning of a packet.
  var partial = Chain()
  /// What the send queue had no room for.
  var backlog = Chain()
  var credit = CreditLedger()

  // As a publisher: order between what the broker delivers and what we deliver.
  var fence = Fence()
  var hold = Hold()

  // As a receiver: whether the broker may still have something for it.
  var proof = Proof()
  /// When it was first and last found unable to take a copy.
  var lagSince = Instant.distantFuture
  var lagSeen = Instant.zero
  /// It lagged beyond the grace: its copies are dropped.
  var isSlow = false

  // Keep-alive on the client's behalf.
  var lastToBroker = Instant.zero
  var consumedSince = false
  var keepAliveAt = Instant.distantFuture
  var wantsKeepAlive = false
  var lingerUntil = Instant.distantFuture

  // For the operator.
  var relayed: UInt64 = 0
  var consumed: UInt64 = 0
  var copies: UInt64 = 0
  var dropped: UInt64 = 0

  package init() {}

  /// All that the broker began to send has been queued for the client.
  @inline(__always)
  var isBetweenPackets: Bool { streamRemaining == 0 && partial.count == 0 }

  /// Copies of messages may be put into its stream.
  @inline(__always)
  var isReceiver: Bool { phase == .connected && !isRaw && !brokerEnded }

  /// Keep-alive halves, at which the broker wants to hear of it.
  var keepAlivePeriod: Interval { .milliseconds(UInt64(keepAliveSeconds) * 500) }
}

/// Whose each unanswered PINGREQ is, in order. The broker answers each once, in order.
package struct PingLedger: BitwiseCopyable {
  package enum Owner: UInt8, BitwiseCopyable, Sendable { case client, fence, proof, keepAlive }

  private var owners: UInt64 = 0
  package private(set) var count = 0
  var isFull: Bool { count == OffloadLimits.pingsMax }

  package init() {}

  package mutating func sent(by owner: Owner) {
    invariant(!isFull, "more unanswered PINGREQs than are counted")
    owners |= UInt64(owner.rawValue) << UInt64(count * 2)
    count += 1
  }

  /// The owner of the next PINGRESP; nil when nobody asked.
  package mutating func answered() -> Owner? {
    guard count > 0 else { return nil }
    let owner = Owner(rawValue: UInt8(owners & 3))
    owners >>= 2
    count -= 1
    return owner
  }
}

/// Credit of the direction from the broker: what was granted, what came, and whether the broker's
/// side may have run dry.
package struct CreditLedger: BitwiseCopyable {
  package private(set) var granted: UInt64 = 0
  package private(set) var received: UInt64 = 0
  /// Earlier values of `granted` that `received` has not passed, oldest first.
  private var steps = InlineArray<8, UInt64>(repeating: 0)
  private var stepCount = 0

  package init(window: Int = 0) { granted = UInt64(window) }

  /// Bytes that may still come.
  var outstanding: Int { Int(granted - received) }

  package mutating func grant(_ count: Int) {
    if stepCount < 8 {
      steps[stepCount] = granted
      stepCount += 1
    }
    granted += UInt64(count)
  }

  /// Counts bytes that came. True when the broker's side may have used up all it knew of: the
  /// data ends exactly where its credit ended before some grant, or now.
  package mutating func receive(_ count: Int) -> Bool {
    received += UInt64(count)
    var ranDry = received == granted || stepCount == 8
    var passed = 0
    while passed < stepCount, steps[passed] <= received {
      if steps[passed] == received { ranDry = true }
      passed += 1
    }
    if passed > 0 {
      for i in passed..<max(passed, stepCount) { steps[i - passed] = steps[i] }
      stepCount -= passed
    }
    return ranDry
  }
}

/// Keeps a publisher's messages in order: those that went to the broker, counted, and how many of
/// them the broker is known to have delivered.
package struct Fence: BitwiseCopyable {
  package enum State: UInt8, BitwiseCopyable, Sendable {
    case down
    /// A PINGREQ is on its way behind message number `covers`.
    case pinged
    /// It was answered; the flush that collects other channels' copies is awaited.
    case flushing
  }

  var state = State.down
  /// One is to be raised at the next packet boundary.
  var isWanted = false
  /// PUBLISH packets relayed, in all.
  var relayed: UInt64 = 0
  /// Number of the last one that was not watched.
  var relayedUnwatched: UInt64 = 0
  /// The fence in flight stands behind this one.
  var covers: UInt64 = 0
  /// All up to this one have left the broker.
  var clear: UInt64 = 0
  /// Messages being watched for this publisher.
  var learnings = 0

  package init() {}

  /// Something relayed may still be inside the broker.
  var isDirty: Bool { relayed != clear }
}

/// A publisher whose next message waits in TCP until an earlier one has left the broker.
package struct Hold: BitwiseCopyable {
  /// `distantFuture` when nothing waits.
  var until = Instant.distantFuture
  var hasExpired = false
  var pausedUntil = Instant.zero
  /// Offloaded since the last wait, and waits in a row after which there were too few.
  var consumedSince = 0
  var unprofitable = 0

  package init() {}
  var isWaiting: Bool { until != .distantFuture }
}

/// Whether all that the broker wrote to a receiver has come out of it.
///
/// A broker whose `write` was refused keeps packets in a queue of its own, where no flush of the
/// shim finds them. It can only have been refused when the socket between it and the shim was
/// full, so a receiver stays proven while little comes between two flushes and credit never runs
/// out. Otherwise two PINGREQs on its own connection prove it again: the first answer shows that
/// what was queued before has been written, the second that it has been read.
package struct Proof: BitwiseCopyable {
  package enum State: UInt8, BitwiseCopyable, Sendable {
    case proven
    /// Nobody has asked for a proof yet.
    case behind
    case firstPing
    case secondPing
  }

  var state = State.proven
  /// A PINGREQ is to be sent at the next packet boundary.
  var wantsPing = false
  /// Counted since the flush number `flush`, or since the first answer.
  var flush: UInt32 = 0
  var packets = 0
  var bytes = 0

  package init() {}
}
