import DPUCore
import HostLink

/// Capacities of the offload that are not worth configuring.
package enum OffloadLimits {
  /// Packets up to this are looked at whole; larger ones stream through. The design's cap for an
  /// offloaded message, and small enough that every receive window holds one.
  package static let packetBytesMax = 64 << 10
  /// A larger packet is passed on as soon as so much of it is there: room for the topic and
  /// properties of any real message, and a quarter of the usual receive buffer.
  static let largeFrontBytes = 16 << 10
  /// Distinct encodings of one message: 3.x, 5.0, and 5.0 with one of fourteen subscription
  /// identifiers. A message that needs more goes through the broker.
  static let variantsMax = 16
  /// Messages whose delivery by the broker is being watched at once. Each lasts as long as the
  /// broker needs; what comes in between is relayed unwatched.
  static let learningsMax = 64
  /// SUBSCRIBE and UNSUBSCRIBE packets of one client without an answer; the next waits in TCP.
  static let requestsPerSession = 16
  /// PINGREQs without an answer, the client's and ours; two bits each in one word.
  static let pingsMax = 32
  /// Longer topics of aliases are left to the broker, so that a packet with its topic put back
  /// fits the link's window in front of its payload.
  static let aliasTopicMax = 16 << 10
  /// Unused credit that is worth a message to the broker's side. A quarter of the window, because
  /// the link tells credit in such steps and `CreditLedger` must know each of them.
  static let grantStep = HostLinkLimits.window / 4
  /// Bytes of one block that keeps what a client or broker sent until it can be used.
  static let keptBlockBytes = 1024
  /// Packets, and bytes, that a broker may write to one client before a flush must have shown
  /// that nothing queued up inside it. A Unix socket of 208 KB holds 277 small packets.
  static let unprovenPacketsMax = 128
  static let unprovenBytesMax = 32 << 10
  /// A flush is asked for when this many are reached, so that the maximum seldom is.
  static let unprovenPacketsSoft = 32
  /// Events of the link, and copies of messages, handled before the poll loop gets its turn.
  static let linkEventsPerTurn = 512
  static let copiesPerTurn = 8192
  /// Listening ports: one for each kind of MQTT an operator might offer, and some.
  static let listenersMax = 16
  /// How long the rest of a packet is waited for that has begun with so many bytes. Shorter
  /// beginnings fit any window, and may wait for a slow line as long as they like.
  static let restTime = Interval.seconds(1)
  static let restBytesMin = 1024
  /// How long a client may take to close after the broker did.
  static let linger = Interval.seconds(30)
  /// A publisher that waited in vain is not made to wait again for this long.
  static let holdPause = Interval.seconds(1)
  /// Waits in a row that brought fewer offloaded messages than this are not worth their latency.
  static let profitableMessages = 8
  static let unprofitableHoldsMax = 4
  /// Times that the broker's deliveries may differ from ours before the topic is left to it.
  static let differencesMax: UInt8 = 2
  /// For that many lifetimes of a verdict.
  static let differenceLifetimes: UInt64 = 12
}
