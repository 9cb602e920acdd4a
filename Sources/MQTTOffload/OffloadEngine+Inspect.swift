package import DPUCore
import HostLink
import MQTTWire
import TopicTrie

/// A client as the operator sees it.
package struct SessionSnapshot: BitwiseCopyable, Sendable {
  package var connection: SlabHandle
  /// The first bytes of the client identifier, and how many it has in all.
  package var clientName: ClientName
  /// `3.1`, `3.1.1`, `5.0`; empty before CONNECT.
  package var version: StaticString
  /// `offloaded`, or why the connection is only relayed.
  package var mode: StaticString
  package var subscriptions: Int
  package var keepAliveSeconds: Int
  package var relayed: UInt64
  package var consumed: UInt64
  /// Copies it was sent without the broker, and those it lost.
  package var delivered: UInt64
  package var dropped: UInt64
  /// Kept because the transport had no room for it.
  package var keptBytes: Int
}

/// A subscription as the operator sees it.
package struct SubscriptionSnapshot: BitwiseCopyable, Sendable {
  /// Nil while the client is away and its session is kept.
  package var clientName: ClientName?
  /// Bytes of the topic filter; of a shared one without its `$share/GROUP/`.
  package var filterCount: Int
  package var isShared: Bool
  package var grantedQoS: UInt8
  /// MQTT 5.0, section 3.8.3.1: not for the client's own messages.
  package var isNoLocal: Bool
  /// Of MQTT 5.0; 0 when there is none.
  package var identifier: UInt32
}

package struct ClientName: BitwiseCopyable, Sendable {
  package static let capacity = 60
  package private(set) var bytes = InlineArray<60, UInt8>(repeating: 0)
  /// Of the whole name; more than `capacity` when it was cut.
  package private(set) var fullCount = 0

  package init() {}

  package init(_ name: RawSpan) {
    fullCount = name.byteCount
    for i in 0..<min(fullCount, Self.capacity) { bytes[i] = name.byte(at: i) }
  }
}

/// What would become of a QoS 0 message now.
package struct Explanation: BitwiseCopyable, Sendable {
  package enum VerdictState: UInt8, BitwiseCopyable, Sendable {
    /// Verdicts are not asked for.
    case notNeeded
    case none
    case same
    case different
    case expired
    /// Found for other receivers than there are now.
    case outdated
  }

  /// Why it would be relayed, nil when it would be consumed.
  package var reason: MQTTCounter?
  package var isCertified: Bool
  package var verdict: VerdictState
  /// Until the verdict has to be confirmed.
  package var verdictLeft: Interval
  package var generation: UInt64
  /// Take them with `explainedReceiver` before the next message is handled.
  package var receiverCount: Int
}

extension OffloadEngine where Transport: ~Copyable, Link: ~Copyable {
  /// The session in slot `index`, below `configuration.connectionsMax`; nil when it is free. Go
  /// through them a few per turn.
  package func snapshot(at index: UInt32) -> SessionSnapshot? {
    let session = sessions[index]
    guard session.phase != .free else { return nil }
    var count = 0
    if session.subscriber != .max { count = subscribers[session.subscriber].subscriptions }
    return SessionSnapshot(
      connection: session.connection, clientName: names[index],
      version: session.phase == .connecting ? "" : session.version.text, mode: mode(of: session),
      subscriptions: count, keepAliveSeconds: Int(session.keepAliveSeconds),
      relayed: session.relayed, consumed: session.consumed, delivered: session.copies,
      dropped: session.dropped, keptBytes: session.partial.count + session.backlog.count)
  }

  package var connectionCount: Int { sessionCount }
  /// The ports served for the broker, in the places below `listenerCapacity`.
  package var listenerCapacity: Int { listeners.capacity }
  package func listenerPort(at place: Int) -> UInt16? { listeners[place] }
  package var subscriptionCount: Int { trie.subscriptionCount }
  /// Connections that forbid consuming, because they may have subscriptions nobody here knows.
  package var opaqueSessionCount: Int { opaqueCount }
  package var absentSessionCount: Int { subscribers.absentCount }
  package var freeKeptBlocks: Int { kept.freeBlocks }

  private func mode(of session: Session) -> StaticString {
    if session.isRaw { return "raw" }
    if session.isOpaque { return "opaque" }
    switch session.phase {
    case .free, .connecting: return "connecting"
    case .requested: return "awaiting CONNACK"
    case .leaving: return "leaving"
    case .connected: break
    }
    if session.isReauthenticating { return "authenticating" }
    return configuration.consume == .off ? "off" : "offloaded"
  }

  /// The connection of a client, nil when it is not there.
  package func connection(named name: RawSpan) -> SlabHandle? {
    let wanted = hash(name)
    for i in 0..<sessions.count
    where sessions[i].phase == .connected && sessions[i].clientHash == wanted {
      return sessions[i].connection
    }
    return nil
  }

  /// For a message of `publisher`, or of any client that does nothing unusual when nil.
  mutating func explain(
    _ publisher: SlabHandle?, _ topic: RawSpan, _ bench: inout Workbench, _ link: borrowing Link,
    _ now: Instant
  ) -> Explanation {
    let i = publisher.flatMap { session(of: $0) } ?? .max
    var reason = i == .max ? generalRule(link) : standingRule(i, link)
    if reason == nil, TopicSyntax.nameFailure(topic) != nil { reason = .relayedMalformed }
    if reason == nil, topic.byte(at: 0) == UInt8(ascii: "$") { reason = .relayedDollarTopic }
    let rule = receiversRule(i, topic, &bench)
    reason = reason ?? rule
    var state = Explanation.VerdictState.notNeeded
    var left = Interval.zero
    if configuration.verify == .learned {
      state = .none
      if i != .max, let verdict = verdicts.lookUp(verdictKey(i, topic)) {
        left = verdict.expires - now
        state =
          verdict.receivers != receivers.fingerprint
          ? .outdated : left == .zero ? .expired : verdict.finding == .same ? .same : .different
      }
      switch state {
      case .same, .notNeeded: break
      case .different: reason = reason ?? .relayedDiffers
      case .none, .expired, .outdated: reason = reason ?? .relayedLearning
      }
    }
    return Explanation(
      reason: reason, isCertified: link.certified, verdict: state, verdictLeft: left,
      generation: trie.generation, receiverCount: receivers.count)
  }

  /// Subscriptions are in the places below this.
  package var subscriptionCapacity: Int { trie.limits.subscriptions }

  /// The subscription at `place`; nil when the place is free.
  package func subscription(at place: Int) -> SubscriptionSnapshot? {
    guard let found = trie.subscription(at: place) else { return nil }
    let identity = SubscriberIdentity(trieNumber: found.subscriber)
    let session = subscribers[identity.index].session
    return SubscriptionSnapshot(
      clientName: session == .max ? nil : names[session], filterCount: found.filterCount,
      isShared: identity.isShared, grantedQoS: found.value.qos,
      isNoLocal: found.value.options & SubscriberIdentity.noLocalOption != 0,
      identifier: found.value.identifier)
  }

  /// Writes the filter of the subscription at `place` to exactly its bytes.
  package func writeFilter(at place: Int, to target: inout MutableRawSpan) {
    trie.writeFilter(at: place, to: &target)
  }

  /// A receiver of the topic last explained, and the QoS the broker granted it.
  package func explainedReceiver(_ index: Int) -> (session: SessionSnapshot, qos: UInt8)? {
    guard let session = snapshot(at: receivers[index].session) else { return nil }
    return (session, receivers[index].qos)
  }
}

extension ProtocolVersion {
  fileprivate var text: StaticString {
    switch self {
    case .v31: "3.1"
    case .v311: "3.1.1"
    case .v5: "5.0"
    }
  }
}
