import CLinux
import DPUCore
import HostLink

/// A listening TCP socket for brokers on other machines.
struct HostLinkStreamListener {
  let descriptor: Int32
  /// The only address that may attach; nil: whoever reaches the socket.
  let peer: LinkAddress?

  /// Whether a connection from `address` is let in.
  func admits(_ address: clinux_link_address) -> Bool {
    guard let peer else { return true }
    return peer.high == address.high && peer.low == address.low
  }
}

/// Capacities of the thread that serves brokers on other machines.
enum HostLinkStreamLimits {
  /// Connections that have not said yet what they are for: those of one broker with the most
  /// workers, and some that keep trying.
  static let visitorsMax = HostLinkLimits.workersMax + 16
  /// From a connection to its first bytes, and from the greeting to the last worker's connection.
  static let greetingMilliseconds: UInt64 = 2000
  /// A broker that ends forwards what it wrote last. Longer than the shim takes for it.
  static let closingMilliseconds: UInt64 = 500
  /// Looking again for room in a full ring. Its reader polls and would have to make a system call
  /// to tell, so nobody does; a worker empties a ring in less.
  static let fullRingMilliseconds: Int32 = 1
  /// Statements taken before other connections are looked at again.
  static let recordsPerTurn = 64
}

/// What the link's thread counts, beside the workers' own ends of the link.
enum HostLinkCounter: Int, CounterKey {
  case attachedLocally
  case attachedRemotely
  /// A broker is attached, or a worker still uses what the last one left.
  case refusedBusy
  /// Not from `hostLink.peer`.
  case refusedPeer
  /// The first bytes are not those of a shim of our version.
  case refusedOpening
  /// Frames of another attachment, of a worker there is not, or a second time.
  case refusedStream
  /// Said nothing in time.
  case refusedLate
  case refusedTooManyVisitors
  case refusedOutOfMemory
  case endedIncomplete
  /// The control connection said what no shim says.
  case endedBadControl
  /// A frame that no shim sends.
  case endedBadFrame
  case certificateStatements
  case blockedRingFull
  case blockedSocketFull

  var name: StaticString {
    switch self {
    case .attachedLocally: "attachedLocally"
    case .attachedRemotely: "attachedRemotely"
    case .refusedBusy: "refusedBusy"
    case .refusedPeer: "refusedPeer"
    case .refusedOpening: "refusedOpening"
    case .refusedStream: "refusedStream"
    case .refusedLate: "refusedLate"
    case .refusedTooManyVisitors: "refusedTooManyVisitors"
    case .refusedOutOfMemory: "refusedOutOfMemory"
    case .endedIncomplete: "endedIncomplete"
    case .endedBadControl: "endedBadControl"
    case .endedBadFrame: "endedBadFrame"
    case .certificateStatements: "certificateStatements"
    case .blockedRingFull: "blockedRingFull"
    case .blockedSocketFull: "blockedSocketFull"
    }
  }
}

/// What one worker holds of the attachment.
struct HostLinkShare: BitwiseCopyable {
  var memory = LinkMemory.none
  /// Rung by the worker: the shim's, or ours when we carry the frames.
  var doorbell: Int32 = -1
  var isHeld = false
  var stream = HostLinkStream()
}

/// The connection that carries the frames of one worker.
struct HostLinkStream: BitwiseCopyable {
  /// -1: not yet there, or not there any more.
  var socket: Int32 = -1
  var pump: StreamPump?
  /// The kernel tells each of these once.
  var isReadable = false
  var isWritable = false
  var isPeerShut = false
  /// The ring to the worker has no room.
  var isFull = false
  var hasMore = false
}

/// The control connection of a broker on another machine.
struct HostLinkControl: BitwiseCopyable {
  /// The attachment is one over TCP.
  var isStream = false
  var incoming = StreamRecord(wanted: CertificateRecord.byteCount)
  /// The acknowledgement being sent, and the number of the next one.
  var outgoing: StreamRecord?
  var toAcknowledge: UInt64?
  var hasMore = false
  /// Connections of workers that have not come.
  var missing = 0
  /// When the attachment must be whole, or, with `isClosing`, over.
  var deadline = Instant.distantFuture
  /// The broker's process ends: what it sent is still taken.
  var isClosing = false
}

/// A connection that has not said yet what it is for.
struct HostLinkVisitor: BitwiseCopyable {
  var socket: Int32 = -1
  var opening = StreamRecord(wanted: StreamOpening.byteCount)
  var deadline = Instant.distantFuture
}

/// One call of the kernel on a connection: a count, 0 at its end, or a negative errno.
enum HostLinkSocket {
  static func send(_ socket: Int32, _ parts: StreamParts) -> Int {
    Int(
      clinux_link_send_parts(
        socket, parts.first, UInt64(parts.firstCount), parts.second, UInt64(parts.secondCount)))
  }

  static func receive(_ socket: Int32, _ parts: StreamParts) -> Int {
    Int(
      clinux_link_receive_parts(
        socket, parts.first, UInt64(parts.firstCount), parts.second, UInt64(parts.secondCount)))
  }
}
