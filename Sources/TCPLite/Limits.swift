import DPUCore

/// Capacities of the stack that are not worth configuring, and times set by RFCs.
package enum TCPLimits {
  /// Services of one device: MQTT, echo and a handful more; searched one by one on a SYN.
  package static let listenersMax = 32
  /// Frames answered without a connection (ARP, echo, RST) that wait for one `transmit`: a
  /// burst of 32 frames cannot fill it, a flood is cut off here.
  static let repliesMax = 128
  /// Bytes of options and headers in front of a payload: Ethernet, IPv6, TCP with 40 of options.
  static let headersMax = 14 + 40 + 60
  /// Gathered pieces of out-of-order data per connection: a full window of blocks and 32 gaps.
  static let outOfOrderEntriesMax = 160
  /// Segments a connection may send before the next one gets its turn.
  static let segmentsPerVisit = 32
  /// Duplicate ACKs after which a segment counts as lost (RFC 5681 §3.2).
  static let duplicateThreshold = 3
  /// Segments of the initial window (RFC 6928 §2).
  static let initialWindowSegments = 10
  /// Smaller maximum segment sizes would let a peer buy many frames with few bytes.
  static let segmentSizeMin = 88
  /// A challenge ACK or an answer to a stray segment at most so often per connection
  /// (RFC 5961 §7).
  static let challengeInterval = Interval.milliseconds(500)
  /// A timestamp older than this says nothing any more (RFC 7323 §5.5).
  static let timestampValidity = Interval.seconds(24 * 24 * 3600)
  /// A neighbour is asked at most so often (RFC 1122 §2.3.2.1).
  static let neighbourAskInterval = Interval.seconds(1)
  /// A neighbour heard of within this time needs no asking (RFC 4861 §10).
  static let neighbourReachable = Interval.seconds(30)
  /// Unanswered questions after which a known hardware address is no longer used.
  static let neighbourProbesMax = 3
  /// Answers on their way from one worker to another: a burst of them, and they are rare.
  static let neighbourAnswers = 64
  /// How soon to look again when a send was refused for want of memory and no ACK will come.
  static let starvedRetry = Interval.milliseconds(10)
}
