import DPUCore
import TopicTrie

/// One connection that gets a copy of the message at hand.
package struct Receiver: BitwiseCopyable {
  var session: UInt32 = .max
  /// 0 when its subscription has none.
  var subscriptionIdentifier: UInt32 = 0
  /// As the broker granted it.
  var qos: UInt8 = 0
  /// Which encoding it gets.
  var variant = 0
  /// It lags beyond the grace and gets nothing.
  var isSkipped = false
}

/// Who gets the message at hand, as the subscriptions have it.
package struct Receivers: ~Copyable {
  private var list: FixedArray<Receiver>
  private(set) var count = 0
  /// The topic has so many levels that a broker may end the connection for it, as mosquitto does.
  private(set) var isTooDeep = false
  /// A member of a shared subscription matches: the broker chooses which.
  private(set) var isShared = false
  /// A client matches with several subscriptions: how many copies it gets is the broker's policy.
  private(set) var isOverlapping = false
  /// Equal when the same subscriptions of the same connections match, absent clients included.
  private(set) var fingerprint: UInt64 = 0
  private var match: UInt64 = 0

  init(capacity: Int) { list = FixedArray(repeating: Receiver(), count: capacity) }

  subscript(index: Int) -> Receiver {
    @inline(__always) get { list[index] }
    @inline(__always) _modify { yield &list[index] }
  }

  /// Finds the receivers of a message that `publisher` sends.
  mutating func collect(
    _ topic: RawSpan, from publisher: UInt32, _ matcher: inout TopicMatcher,
    _ trie: borrowing TopicTrie, _ subscribers: inout SubscriberTable,
    _ sessions: borrowing FixedArray<Session>
  ) {
    count = 0
    isShared = false
    isOverlapping = false
    fingerprint = 0
    match += 1
    trie.start(&matcher, topic: topic)
    isTooDeep = matcher.isDeeper
    while let found = trie.next(&matcher, topic) {
      let identity = SubscriberIdentity(trieNumber: found.subscriber)
      if identity.isShared {
        isShared = true
        continue
      }
      let subscriber = subscribers[identity.index]
      fingerprint &+= mixed(subscriber.epoch)
      // QoS 0 messages are not queued for clients that are away.
      guard subscriber.session != .max else { continue }
      if subscriber.match == match {
        isOverlapping = true
        continue
      }
      subscribers[identity.index].match = match
      if found.value.options & SubscriberIdentity.noLocalOption != 0,
        subscriber.session == publisher
      {
        continue
      }
      guard sessions[subscriber.session].isReceiver else { continue }
      list[count] = Receiver(
        session: subscriber.session, subscriptionIdentifier: found.value.identifier,
        qos: found.value.qos)
      count += 1
    }
  }
}

/// How a subscriber is numbered in the trie: its shared subscriptions apart from its own.
struct SubscriberIdentity {
  /// Section 3.8.3.1 of MQTT 5.0.
  static let noLocalOption: UInt8 = 4

  var index: UInt32
  var isShared: Bool

  init(index: UInt32, isShared: Bool) {
    self.index = index
    self.isShared = isShared
  }

  @inline(__always)
  init(trieNumber: UInt32) {
    index = trieNumber >> 1
    isShared = trieNumber & 1 == 1
  }

  var trieNumber: UInt32 { index << 1 | (isShared ? 1 : 0) }
}

/// Spreads a number over 64 bits (the finisher of SplitMix64).
@inline(__always)
func mixed(_ value: UInt64) -> UInt64 {
  var z = value &+ 0x9e37_79b9_7f4a_7c15
  z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
  z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
  return z ^ (z >> 31)
}
