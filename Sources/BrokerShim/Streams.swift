import CLinux
import DPUCore
import HostLink

/// The control connection to a firmware on another machine.
struct StreamControl: BitwiseCopyable {
  /// The greeting came, and records follow.
  var isGreeted = false
  var incoming = StreamRecord(wanted: Hello.frameByteCount)
  var outgoing: StreamRecord? = StreamOpening(.control).record
  /// The firmware said that no certificate is left.
  var saidFarewell = false
  /// A connection of frames ended; this one is given so long to end as well, with a farewell.
  var endsAt = Instant.distantFuture
}

/// The connection with the frames of one worker.
struct Stream: BitwiseCopyable {
  /// -1: it has ended.
  var socket: Int32 = -1
  var pump: StreamPump
  /// Its first bytes, until they are sent.
  var opening: StreamRecord?
  /// The kernel tells each of these once.
  var isReadable = false
  var isWritable = false
  var isPeerShut = false
  /// There is more than one turn takes.
  var hasMore = false

  mutating func note(_ events: UInt32) {
    if events & Readiness.writable != 0 { isWritable = true }
    if events & (Readiness.peerShut | Readiness.hungUp) != 0 { isPeerShut = true }
    if events & (Readiness.readable | Readiness.peerShut | Readiness.hungUp) != 0 {
      isReadable = true
    }
  }

  /// Brings what came into the ring. False when the connection has ended.
  mutating func receive() throws(LinkFailure) -> Bool {
    guard isReadable, socket >= 0 else { return true }
    let socket = socket
    let result = try pump.receive(untilEnd: isPeerShut) { StreamSocket.receive(socket, $0) }
    // A full ring is emptied in this turn.
    hasMore = result == .more || result == .full
    if result == .drained { isReadable = false }
    return result != .ended
  }

  /// Sends what stands in the ring. False when the connection has ended.
  mutating func send() throws(LinkFailure) -> Bool {
    guard isWritable, socket >= 0 else { return true }
    let socket = socket
    if opening != nil {
      let progress = opening!.send { StreamSocket.send(socket, $0) }
      if progress == .partial { isWritable = false }
      guard progress == .whole else { return progress != .ended }
      opening = nil
    }
    let result = try pump.send { StreamSocket.send(socket, $0) }
    if result == .blocked { isWritable = false }
    if result == .more { hasMore = true }
    return result != .ended
  }
}

/// One call of the kernel on a connection: a count, 0 at its end, or a negative errno.
enum StreamSocket {
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
