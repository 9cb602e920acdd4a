import DPUCore
import PacketWire

/// States of RFC 9293 §3.3.2 that a server's connection can be in; TIME-WAIT lives in a table
/// of its own, LISTEN is the list of listeners.
package enum ConnectionState: UInt8, BitwiseCopyable, Sendable {
  case synReceived, established, finWait1, finWait2, closeWait, closing, lastAck
  /// Over; the application has not yet taken its `.closed` event.
  case closed

  /// As RFC 9293 section 3.3.2 writes it.
  package var name: StaticString {
    switch self {
    case .synReceived: "SYN-RECEIVED"
    case .established: "ESTABLISHED"
    case .finWait1: "FIN-WAIT-1"
    case .finWait2: "FIN-WAIT-2"
    case .closeWait: "CLOSE-WAIT"
    case .closing: "CLOSING"
    case .lastAck: "LAST-ACK"
    case .closed: "CLOSED"
    }
  }
}

/// Everything known about one connection: a plain record in a slab.
///
/// Its methods decide; the stack owns the memory, the timers and the lists, and hands them in.
package struct Connection: BitwiseCopyable {
  struct Flags: OptionSet, BitwiseCopyable {
    let rawValue: UInt32
    static let usesTimestamps = Flags(rawValue: 1 << 0)
    static let usesSACK = Flags(rawValue: 1 << 1)
    /// The SYN-ACK is to be sent (again).
    static let needsSYN = Flags(rawValue: 1 << 2)
    /// The application has closed: a FIN follows the last queued byte.
    static let finQueued = Flags(rawValue: 1 << 3)
    static let peerFINKnown = Flags(rawValue: 1 << 4)
    static let peerFINTaken = Flags(rawValue: 1 << 5)
    static let inRecovery = Flags(rawValue: 1 << 6)
    /// A probe of a closed window is to be sent.
    static let needsProbe = Flags(rawValue: 1 << 7)
    /// The queue has been above half its limit, or a send was refused.
    static let pressed = Flags(rawValue: 1 << 8)
    /// `.opened` was announced: the application knows the handle.
    static let announced = Flags(rawValue: 1 << 9)
    /// A send was refused for want of memory and nothing in flight will wake us.
    static let starved = Flags(rawValue: 1 << 10)
    static let needsKeepalive = Flags(rawValue: 1 << 11)
    static let inEventList = Flags(rawValue: 1 << 12)
    /// Over, with bytes still to be read before the application is told.
    static let endsWhenRead = Flags(rawValue: 1 << 13)
    /// The peer scales its windows, so we do.
    static let scalesWindow = Flags(rawValue: 1 << 14)
  }

  struct Pending: OptionSet, BitwiseCopyable {
    let rawValue: UInt8
    static let opened = Pending(rawValue: 1)
    static let readable = Pending(rawValue: 2)
    static let writable = Pending(rawValue: 4)
    static let peerClosed = Pending(rawValue: 8)
    static let closed = Pending(rawValue: 16)
  }

  // Identity.
  let local: SocketAddress
  let remote: SocketAddress
  let tag: UInt32
  let hash: UInt32
  var hashNext: UInt32 = .max
  var neighbour = SlabHandle.none
  /// Folded sum of addresses and protocol number.
  let pseudoSum: UInt16

  var state = ConnectionState.synReceived
  var closeReason = CloseReason.finished
  var pending: Pending = []
  var flags: Flags = [.needsSYN]

  // Sending (RFC 9293 §3.3.1).
  let initialSend: SequenceNumber
  var unacknowledged: SequenceNumber
  /// Where sending goes on: below `sendMax` after a timeout.
  var sendNext: SequenceNumber
  /// One past the highest position ever sent.
  var sendMax: SequenceNumber
  var sendWindow: Int = 0
  var sendWindowMax: Int = 0
  var windowSequence: SequenceNumber
  var windowAcknowledgment: SequenceNumber
  var sendShift: UInt8 = 0
  var receiveShift: UInt8 = 0
  /// Payload bytes of a full segment.
  var segmentSize: Int
  var queue: SendQueue
  var congestion: CongestionControl
  var roundTrip: RoundTrip
  var lastSentAt: Instant

  // Loss recovery (RFC 6675, RFC 6582).
  var duplicates = 0
  /// Recovery ends when everything sent before it is acknowledged.
  var recoveryPoint: SequenceNumber
  /// Below this everything missing has been sent again.
  var repeatNext: SequenceNumber
  var scoreboard = Scoreboard()

  // Receiving.
  let initialReceive: SequenceNumber
  var receive: ReceiveQueue
  /// One past the last byte the peer may send.
  var windowEdge: SequenceNumber
  var lastAckSent: SequenceNumber
  var peerFIN = SequenceNumber(0)
  var reported = ReportedRanges()
  /// ACKs to send even without data.
  var acksOwed: UInt8 = 0
  var recentTimestamp: UInt32 = 0
  var recentTimestampAt: Instant
  let timestampOffset: UInt32

  // Time.
  var retransmitAt = Instant.distantFuture
  /// Keep-alive, or the end of FIN-WAIT-2.
  var lifetimeAt = Instant.distantFuture
  /// When the wheel will call; not later than the two above.
  var wheelAt = Instant.distantFuture
  var challengedAt: Instant?
  var retries: UInt8 = 0
  var keepaliveProbes: UInt8 = 0

  // For the operator.
  let openedAt: Instant
  /// Payload sent for the first time, and payload that the application took.
  var sentBytes: UInt64 = 0
  var consumedBytes: UInt64 = 0
  var retransmissions: UInt64 = 0

  // Lists of the stack: ready to send, or waiting for a neighbour; and with an event to take.
  var list = ConnectionList.Name.none
  var listNext: UInt32 = .max
  var listPrevious: UInt32 = .max
  var eventNext: UInt32 = .max

  init(
    local: SocketAddress, remote: SocketAddress, tag: UInt32, hash: UInt32,
    initialSend: SequenceNumber, timestampOffset: UInt32, syn: SegmentHeader,
    configuration: TCPConfiguration, now: Instant
  ) {
    self.local = local
    self.remote = remote
    self.tag = tag
    self.hash = hash
    openedAt = now
    self.initialSend = initialSend
    self.timestampOffset = timestampOffset
    let sum = InternetChecksum(
      from: local.ip, to: remote.ip, protocolNumber: IPProtocol.tcp)
    pseudoSum = sum.partial

    let headers = local.ip.isIPv4 ? 40 : 60
    let peerSize = syn.segmentSize(overIPv4: local.ip.isIPv4)
    var size = max(TCPLimits.segmentSizeMin, min(peerSize, configuration.mtu - headers))
    if syn.options.hasTimestamp {
      flags.insert(.usesTimestamps)
      recentTimestamp = syn.options.timestampValue
      size -= 12
    }
    segmentSize = size
    if syn.options.sackPermitted { flags.insert(.usesSACK) }
    if let shift = syn.options.windowShift {
      flags.insert(.scalesWindow)
      sendShift = shift
      receiveShift = configuration.windowShift
    }
    // The window of a SYN is never scaled (RFC 7323 §2.2).
    sendWindow = Int(syn.window)
    sendWindowMax = sendWindow
    windowSequence = syn.sequence
    windowAcknowledgment = initialSend

    let first = initialSend + 1
    unacknowledged = initialSend
    sendNext = initialSend
    sendMax = initialSend
    queue = SendQueue(start: first)
    congestion = CongestionControl(segmentSize: size)
    roundTrip = RoundTrip(initial: configuration.initialRTO)
    recoveryPoint = initialSend
    repeatNext = initialSend

    initialReceive = syn.sequence
    receive = ReceiveQueue(next: syn.sequence + 1)
    windowEdge = syn.sequence + 1
    lastAckSent = syn.sequence + 1
    recentTimestampAt = now
    lastSentAt = now
  }

  // MARK: What follows from the fields. Inlined, because a call would copy the record.

  @inline(__always) var receiveNext: SequenceNumber { receive.next }
  /// Bytes sent and not acknowledged, SYN and FIN included.
  @inline(__always) var flight: Int { sendNext - unacknowledged }
  /// One past the last position there is to send.
  @inline(__always) var sendEnd: SequenceNumber {
    flags.contains(.finQueued) ? queue.end + 1 : queue.end
  }
  @inline(__always) var hasUnsent: Bool { sendNext < sendEnd }
  /// Whether bytes may still be queued.
  @inline(__always) var canSend: Bool {
    (state == .established || state == .closeWait) && !flags.contains(.finQueued)
  }
  @inline(__always) var isFINAcknowledged: Bool {
    flags.contains(.finQueued) && unacknowledged > queue.end
  }

  /// Milliseconds, from an origin of the connection's own (RFC 7323 §5.4, §7.1).
  @inline(__always) func timestamp(_ now: Instant) -> UInt32 {
    UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000) &+ timestampOffset
  }
}

/// A segment's fields, taken out of the frame.
struct SegmentHeader: BitwiseCopyable {
  var sequence: SequenceNumber
  var acknowledgment: SequenceNumber
  var flags: TCPFlags
  var window: UInt16
  var options: TCPOptions

  /// What the sender of this SYN takes. RFC 9293 §3.7.1: without the option, assume 536 for IPv4 and
  /// 1220 for IPv6.
  func segmentSize(overIPv4 isIPv4: Bool) -> Int {
    let offered = Int(options.maximumSegmentSize)
    return offered == 0 ? (isIPv4 ? 536 : 1_220) : offered
  }
}
