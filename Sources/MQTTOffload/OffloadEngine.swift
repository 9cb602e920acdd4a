package import DPUCore
package import HostLink
import MQTTWire
import TopicTrie

/// What the offload knows, and everything it decides; see `MQTTOffload` for how it is driven.
package struct OffloadEngine<
  Transport: ClientTransport & ~Copyable, Link: BrokerLink & ~Copyable
>: ~Copyable {
  package private(set) var configuration: OffloadConfiguration
  package let counters = Counters<MQTTCounter>()
  /// By the slot of the client's connection.
  var sessions: FixedArray<Session>
  /// Client identifiers, for the operator only.
  var names: FixedArray<ClientName>
  var subscribers: SubscriberTable
  var trie: TopicTrie
  var kept: ChainStore
  var requests: Slab<PendingRequest>
  var aliases: Slab<TopicAlias>
  var verdicts: VerdictTable
  var learnings: FixedArray<Learning>
  var learningCount = 0
  /// Part of every verdict's key: another one forgets them all.
  var verdictEpoch: UInt64 = 0
  var receivers: Receivers
  var variants: Variants
  var listeners: ListenerTable

  /// Sessions that have something to do that no event will tell.
  var ready: SessionSet
  /// Those whose publisher waits in `Hold`.
  var held: SessionSet
  /// Those whose fence awaits the next flush, and the one in flight.
  var awaitingFlush: SessionSet
  var inFlush: SessionSet
  var deadlines: TimerWheel

  /// Number of the last flush that was answered.
  var flushNumber: UInt32 = 0
  var isFlushing = false
  var wantsFlush = false
  package var isStalled = false
  /// Connections whose subscriptions are not known: nothing is consumed while there is one.
  var opaqueCount = 0
  var sessionCount = 0
  /// Copies that may still be made in this turn.
  var copiesLeft = OffloadLimits.copiesPerTurn
  /// The packet itself, ready to be sent.
  let pingRequest: FixedArray<UInt8>
  let listenerTag: UInt32
  /// The time of this turn.
  var lastTurn: Instant

  /// Holds for the messages from now on. What was learned keeps the lifetime it got.
  package mutating func adopt(_ policy: OffloadPolicy) {
    if configuration.consume == .off, policy.consume != .off {
      // While nothing was consumed nobody watched how much the broker may hold back for whom.
      for i in 0..<sessions.count where sessions[i].proof.state == .proven {
        sessions[i].proof.state = .behind
      }
    }
    configuration.consume = policy.consume
    configuration.verify = policy.verify
    configuration.verdictLifetime = policy.verdictLifetime
    configuration.messageBytesMax = min(policy.messageBytesMax, OffloadLimits.packetBytesMax)
  }

  init(_ configuration: OffloadConfiguration, listenerTag: UInt32, now: Instant) {
    let connections = configuration.connectionsMax
    let subscriberCount = connections + configuration.absentSessionsMax
    self.configuration = configuration
    self.listenerTag = listenerTag
    lastTurn = now
    sessions = FixedArray(repeating: Session(), count: connections)
    names = FixedArray(repeating: ClientName(), count: connections)
    subscribers = SubscriberTable(capacity: subscriberCount)
    let subscriptions = configuration.subscriptionsMax
    trie = TopicTrie(
      TopicTrieLimits(
        subscribers: subscriberCount * 2, subscriptions: subscriptions, nodes: subscriptions * 2,
        nameBlocks: subscriptions * 2),
      key0: mixed(configuration.key0), key1: mixed(configuration.key1))
    kept = ChainStore(blocks: configuration.keptBlocks)
    requests = Slab(repeating: PendingRequest(), capacity: configuration.requestsMax)
    aliases = Slab(repeating: TopicAlias(), capacity: configuration.aliasesMax)
    verdicts = VerdictTable(capacity: configuration.verdictsMax)
    learnings = FixedArray(repeating: Learning(), count: OffloadLimits.learningsMax)
    receivers = Receivers(capacity: connections)
    variants = Variants(
      blockSize: configuration.blockSize, packetBytesMax: Workbench.outgoingBytes)
    listeners = ListenerTable()
    ready = SessionSet(capacity: connections)
    held = SessionSet(capacity: connections)
    awaitingFlush = SessionSet(capacity: connections)
    inFlush = SessionSet(capacity: connections)
    var ping = FixedArray<UInt8>(repeating: 0, count: Ping.encodedSize)
    var target = ping.mutableBytes(0..<Ping.encodedSize)
    Ping.write(.pingreq, into: &target)
    pingRequest = ping
    deadlines = TimerWheel(capacity: connections, tick: .milliseconds(1), now: now)
  }

  /// The session of a live connection; nil when the event is about one that is gone.
  @inline(__always)
  func session(of connection: SlabHandle) -> UInt32? {
    guard Int(connection.index) < sessions.count,
      sessions[connection.index].connection == connection,
      sessions[connection.index].phase != .free
    else { return nil }
    return connection.index
  }

  func hash(_ bytes: RawSpan) -> UInt64 {
    var hash = SipHash(key0: configuration.key0, key1: configuration.key1)
    hash.combine(bytes: bytes)
    return hash.finish()
  }

  // MARK: Beginning and end of a connection

  mutating func open(
    _ connection: SlabHandle, _ stack: inout Transport, _ link: inout Link, _ now: Instant
  ) {
    guard link.isUp else {
      counters.increment(.refusedLinkDown)
      return stack.abort(connection)
    }
    let local = stack.localAddress(of: connection)
    let peer = stack.remoteAddress(of: connection)
    guard link.open(connection, local: LinkAddress(local), peer: LinkAddress(peer)) else {
      counters.increment(.refusedNoChannel)
      return stack.abort(connection)
    }
    counters.increment(.connectionsOpened)
    sessionCount += 1
    let i = connection.index
    sessions[i] = Session()
    names[i] = ClientName()
    sessions[i].connection = connection
    sessions[i].phase = .connecting
    sessions[i].hasChannel = true
    sessions[i].credit = CreditLedger(window: HostLinkLimits.window)
    sessions[i].proof.flush = flushNumber
    sessions[i].lastToBroker = now
  }

  /// The client's connection is gone.
  mutating func clientGone(_ i: UInt32, finished: Bool, _ link: inout Link) {
    if sessions[i].hasChannel {
      link.close(sessions[i].connection, reason: finished ? .finished : .reset)
      sessions[i].hasChannel = false
    }
    endSubscriptions(i)
    cancelLearnings(i)
    releaseAliases(i)
    kept.release(&sessions[i].partial)
    kept.release(&sessions[i].backlog)
    ready.remove(i)
    held.remove(i)
    awaitingFlush.remove(i)
    inFlush.remove(i)
    deadlines.cancel(i)
    sessions[i].phase = .free
    sessionCount -= 1
    counters.increment(.connectionsClosed)
  }

  /// The broker closed its side: what it wrote still goes out, nothing goes to it any more.
  mutating func brokerClosed(
    _ i: UInt32, _ stack: inout Transport, _ link: inout Link, now: Instant
  ) {
    sessions[i].hasChannel = false
    sessions[i].brokerEnded = true
    endSubscriptions(i)
    cancelLearnings(i)
    sessions[i].keepAliveAt = .distantFuture
    sessions[i].lingerUntil = now + OffloadLimits.linger
    reschedule(i)
    settle(i, &stack, &link)
    ready.insert(i)
  }

  /// RST to the client; the rest follows with the transport's `.closed`.
  mutating func abort(
    _ i: UInt32, _ reason: MQTTCounter, _ stack: inout Transport, _ link: inout Link
  ) {
    counters.increment(reason)
    if sessions[i].hasChannel {
      link.close(sessions[i].connection, reason: .reset)
      sessions[i].hasChannel = false
    }
    sessions[i].brokerEnded = true
    sessions[i].finSent = true
    endSubscriptions(i)
    stack.abort(sessions[i].connection)
  }

  /// The shim is gone, and with it every channel and all that the broker knew.
  mutating func linkDown(_ stack: inout Transport, _ link: inout Link) {
    for i in 0..<UInt32(sessions.count) where sessions[i].phase != .free {
      sessions[i].hasChannel = false
      if !sessions[i].finSent { abort(i, .abortedLinkDown, &stack, &link) }
    }
    // With their connections gone, all that are left are absent.
    while let subscriber = subscribers.longestAbsent { forget(subscriber) }
    while let port = listeners.removeAny() { stack.unlisten(port) }
    awaitingFlush.removeAll()
    inFlush.removeAll()
    isFlushing = false
    wantsFlush = false
    isStalled = false
    verdictEpoch += 1
    variants.close(&stack)
  }

  // MARK: Time

  mutating func reschedule(_ i: UInt32) {
    let own = min(sessions[i].hold.until, sessions[i].restBy)
    let next = min(own, min(sessions[i].keepAliveAt, sessions[i].lingerUntil))
    if next == .distantFuture { deadlines.cancel(i) } else { deadlines.schedule(i, at: next) }
  }

  mutating func expire(_ stack: inout Transport, _ link: inout Link, _ now: Instant) {
    while let i = deadlines.popExpired(now: now) {
      if sessions[i].hold.until <= now {
        sessions[i].hold.until = .distantFuture
        sessions[i].hold.hasExpired = true
        held.remove(i)
        ready.insert(i)
      }
      if sessions[i].restBy <= now {
        sessions[i].restBy = .distantFuture
        sessions[i].rest = .late
        ready.insert(i)
      }
      if sessions[i].keepAliveAt <= now { keepAliveDue(i, now) }
      if sessions[i].lingerUntil <= now {
        sessions[i].lingerUntil = .distantFuture
        abort(i, .abortedLingering, &stack, &link)
      }
      reschedule(i)
    }
  }

  /// Half a keep-alive has passed since the broker last heard of the client.
  private mutating func keepAliveDue(_ i: UInt32, _ now: Instant) {
    sessions[i].keepAliveAt = .distantFuture
    guard sessions[i].consumedSince else { return }
    let due = sessions[i].lastToBroker + sessions[i].keepAlivePeriod
    if due > now {
      sessions[i].keepAliveAt = due
    } else {
      sessions[i].wantsKeepAlive = true
      ready.insert(i)
    }
  }
}
