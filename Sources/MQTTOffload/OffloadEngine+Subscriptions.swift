import DPUCore
import MQTTWire
import TopicTrie

/// A SUBSCRIBE or UNSUBSCRIBE that the broker has not answered.
package struct PendingRequest: BitwiseCopyable {
  var packetIdentifier: UInt16 = 0
  var isUnsubscribe = false
  /// The whole packet.
  var packet = Chain()
  var next = SlabHandle.none

  package init() {}
}

/// A subscription counts when its SUBACK passes, with the QoS granted there, and ends when its
/// UNSUBACK passes or its session does.
extension OffloadEngine where Transport: ~Copyable, Link: ~Copyable {
  // MARK: Requests

  /// Keeps a request until its answer. False when it has to wait for earlier answers.
  mutating func keepRequest(_ i: UInt32, _ header: FixedHeader, _ packet: RawSpan) -> Bool {
    let identifier: UInt16
    do {
      if header.type == .subscribe {
        identifier = try SubscribeView(packet, version: sessions[i].version).packetIdentifier
      } else {
        identifier = try UnsubscribeView(packet, version: sessions[i].version).packetIdentifier
      }
    } catch {
      becomeRaw(i, .rawRequest)
      return true
    }
    // What is asked for need not be known where nothing depends on it.
    if sessions[i].isOpaque || sessions[i].isSuperseded { return true }
    guard sessions[i].requestCount < OffloadLimits.requestsPerSession,
      findRequest(i, identifier) == nil
    else { return false }
    var request = PendingRequest()
    request.packetIdentifier = identifier
    request.isUnsubscribe = header.type == .unsubscribe
    request.next = sessions[i].firstRequest
    guard kept.append(packet, to: &request.packet) else {
      becomeOpaque(i, .opaqueRequestLost)
      return true
    }
    guard let handle = requests.insert(request) else {
      kept.release(&request.packet)
      becomeOpaque(i, .opaqueRequestLost)
      return true
    }
    sessions[i].firstRequest = handle
    sessions[i].requestCount += 1
    return true
  }

  private func findRequest(_ i: UInt32, _ identifier: UInt16) -> SlabHandle? {
    var handle = sessions[i].firstRequest
    while handle != .none {
      if requests[handle].packetIdentifier == identifier { return handle }
      handle = requests[handle].next
    }
    return nil
  }

  private mutating func removeRequest(_ i: UInt32, _ handle: SlabHandle) {
    if sessions[i].firstRequest == handle {
      sessions[i].firstRequest = requests[handle].next
    } else {
      var before = sessions[i].firstRequest
      while requests[before].next != handle { before = requests[before].next }
      requests[before].next = requests[handle].next
    }
    kept.release(&requests[handle].packet)
    requests.remove(handle)
    sessions[i].requestCount -= 1
  }

  // MARK: Answers

  /// A SUBACK or UNSUBACK passes.
  mutating func applyAnswer(
    _ i: UInt32, _ answer: borrowing SubscriptionAnswerView, _ bench: inout Workbench
  ) {
    guard let handle = findRequest(i, answer.packetIdentifier),
      requests[handle].isUnsubscribe == (answer.type == .unsuback)
    else { return }
    let size = requests[handle].packet.count
    kept.copy(requests[handle].packet, into: &bench.outgoing)
    removeRequest(i, handle)
    // Another request may have waited for this.
    ready.insert(i)
    guard !sessions[i].isOpaque, !sessions[i].isSuperseded else { return }
    let packet = bench.outgoing.bytes(0..<size)
    do {
      if answer.type == .suback {
        let view = try SubscribeView(packet, version: sessions[i].version)
        applySubscribe(i, view, answer)
      } else {
        let view = try UnsubscribeView(packet, version: sessions[i].version)
        applyUnsubscribe(i, view, answer)
      }
    } catch {
      invariant(false, "a request that was checked is not valid")
    }
  }

  private mutating func applySubscribe(
    _ i: UInt32, _ request: borrowing SubscribeView, _ answer: borrowing SubscriptionAnswerView
  ) {
    guard let subscriber = makeSubscriber(i) else { return becomeOpaque(i, .opaqueTrieFull) }
    subscribers.touch(subscriber)
    let identifier = request.subscriptionIdentifier ?? 0
    var entries = request.makeIterator()
    var index = 0
    while let entry = entries.next() {
      if let granted = answer.grantedQoS(at: index) {
        let value = SubscriptionValue(
          qos: granted.rawValue, options: entry.options.rawValue, identifier: identifier)
        guard insert(entry.filter, subscriber, value) else {
          return becomeOpaque(i, .opaqueTrieFull)
        }
      }
      index += 1
    }
  }

  /// False when the trie cannot hold it.
  private mutating func insert(
    _ filter: RawSpan, _ subscriber: UInt32, _ value: SubscriptionValue
  ) -> Bool {
    let isShared = TopicSyntax.isShared(filter)
    guard let start = isShared ? Self.sharedFilterStart(filter) : 0 else { return false }
    let identity = SubscriberIdentity(index: subscriber, isShared: isShared)
    let plain = filter.extracting(start..<filter.byteCount)
    while true {
      switch trie.insert(filter: plain, subscriber: identity.trieNumber, value: value) {
      case .inserted:
        counters.increment(.subscriptionsAdded)
        subscribers[subscriber].subscriptions += 1
        return true
      case .replaced: return true
      case .invalid: return false
      case .full:
        guard let absent = subscribers.longestAbsent else { return false }
        counters.increment(.absentSessionsForgotten)
        forget(absent)
      }
    }
  }

  private mutating func applyUnsubscribe(
    _ i: UInt32, _ request: borrowing UnsubscribeView, _ answer: borrowing SubscriptionAnswerView
  ) {
    let subscriber = sessions[i].subscriber
    guard subscriber != .max else { return }
    subscribers.touch(subscriber)
    var filters = request.makeIterator()
    var index = 0
    while let filter = filters.next() {
      // A shared subscription stays marked until its session ends: the mark does not tell its
      // groups apart, and another of the same filter may still be there.
      if answer.code(at: index) ?? 0 < 0x80, !TopicSyntax.isShared(filter) {
        let identity = SubscriberIdentity(index: subscriber, isShared: false)
        if trie.remove(filter: filter, subscriber: identity.trieNumber) {
          counters.increment(.subscriptionsRemoved)
          subscribers[subscriber].subscriptions -= 1
        }
      }
      index += 1
    }
  }

  /// Where the filter begins in `$share/NAME/FILTER`; nil when there is none.
  static func sharedFilterStart(_ filter: RawSpan) -> Int? {
    for i in 7..<max(7, filter.byteCount) where filter.byte(at: i) == UInt8(ascii: "/") {
      return i + 1 < filter.byteCount ? i + 1 : nil
    }
    return nil
  }

  // MARK: Sessions of the broker

  /// The record of the session's subscriptions, made when there is none; nil without room.
  private mutating func makeSubscriber(_ i: UInt32) -> UInt32? {
    if sessions[i].subscriber != .max { return sessions[i].subscriber }
    if subscribers.isFull, let absent = subscribers.longestAbsent {
      counters.increment(.absentSessionsForgotten)
      forget(absent)
    }
    guard let made = subscribers.add(session: i, clientHash: sessions[i].clientHash) else {
      return nil
    }
    sessions[i].subscriber = made
    return made
  }

  /// The broker accepted the client: finds what is known of its session.
  mutating func beginSubscriptions(_ i: UInt32, sessionPresent: Bool) {
    if let known = subscribers.find(clientHash: sessions[i].clientHash) {
      let earlier = subscribers[known].session
      var lostRequests = false
      if earlier != .max {
        sessions[earlier].subscriber = .max
        sessions[earlier].isSuperseded = true
        lostRequests = sessions[earlier].requestCount > 0
      }
      if sessionPresent {
        subscribers.attach(known, to: i)
        sessions[i].subscriber = known
        // What was asked for on the earlier connection and not answered may hold here.
        if lostRequests { becomeOpaque(i, .opaqueRequestLost) }
        return
      }
      forget(known)
    }
    if sessionPresent { return becomeOpaque(i, .opaqueSessionPresent) }
    // So that it is known when it comes back, even if it never subscribes.
    if sessions[i].isPersistent, sessions[i].clientHash != 0 { _ = makeSubscriber(i) }
  }

  /// The broker no longer serves this connection.
  mutating func endSubscriptions(_ i: UInt32) {
    guard !sessions[i].subscriptionsEnded else { return }
    sessions[i].subscriptionsEnded = true
    let lostRequests = sessions[i].requestCount > 0
    while sessions[i].firstRequest != .none { removeRequest(i, sessions[i].firstRequest) }
    let subscriber = sessions[i].subscriber
    let wasOpaque = sessions[i].isOpaque
    if wasOpaque {
      sessions[i].isOpaque = false
      opaqueCount -= 1
    }
    guard subscriber != .max else { return }
    sessions[i].subscriber = .max
    let isKnown = sessions[i].isPersistent && subscribers[subscriber].clientHash != 0
    guard isKnown, !lostRequests, !wasOpaque else { return forget(subscriber) }
    subscribers.park(subscriber)
    if subscribers.absentCount > configuration.absentSessionsMax,
      let absent = subscribers.longestAbsent
    {
      counters.increment(.absentSessionsForgotten)
      forget(absent)
    }
  }

  mutating func forget(_ subscriber: UInt32) {
    trie.removeAll(subscriber: SubscriberIdentity(index: subscriber, isShared: false).trieNumber)
    trie.removeAll(subscriber: SubscriberIdentity(index: subscriber, isShared: true).trieNumber)
    subscribers.remove(subscriber)
  }

  /// It may have subscriptions nobody here knows of: nothing is consumed while it lives.
  mutating func becomeOpaque(_ i: UInt32, _ reason: MQTTCounter) {
    guard !sessions[i].isOpaque, !sessions[i].subscriptionsEnded else { return }
    counters.increment(reason)
    sessions[i].isOpaque = true
    opaqueCount += 1
  }

  /// The client's stream cannot be followed: a pipe from now on. What the broker sends is still
  /// followed, so that answers to our own PINGREQs do not reach the client.
  mutating func becomeRaw(_ i: UInt32, _ reason: MQTTCounter) {
    guard !sessions[i].isRaw else { return }
    counters.increment(reason)
    sessions[i].isRaw = true
    // What does not begin as MQTT is not answered in MQTT.
    if sessions[i].phase == .connecting { sessions[i].isRawFromBroker = true }
    becomeOpaque(i, .opaqueRaw)
  }
}
