import DPUCore
import PacketWire

/// Which segments are acceptable, and what their bytes do.
extension Connection {
  /// RFC 7323 §5.3: older than what was seen before, from a clock that is still valid.
  func hasOldTimestamp(_ options: TCPOptions, now: Instant) -> Bool {
    Int32(bitPattern: options.timestampValue &- recentTimestamp) < 0
      && now - recentTimestampAt < TCPLimits.timestampValidity
  }

  /// RFC 7323 §4.3: remember the timestamp of the segment that reaches the last ACK sent.
  mutating func noteTimestamp(_ header: SegmentHeader, now: Instant) {
    guard header.options.hasTimestamp, header.sequence <= lastAckSent else { return }
    recentTimestamp = header.options.timestampValue
    recentTimestampAt = now
  }

  /// Whether a segment of `length` positions touches the window. More lenient than RFC 9293's
  /// table at both ends: what reaches the last ACK we sent carries a useful acknowledgment, and
  /// so does an empty segment right at the edge of a window that the peer has filled.
  func isAcceptable(_ header: SegmentHeader, length: Int) -> Bool {
    header.sequence + length >= lastAckSent
      && header.sequence <= .later(windowEdge, receiveNext)
  }

  /// A FIN ends the stream at `position`, unless that cannot be or another did before.
  mutating func noteFIN(at position: SequenceNumber) {
    guard !flags.contains(.peerFINKnown), position >= receiveNext,
      position <= .later(windowEdge, receiveNext)
    else { return }
    peerFIN = position
    flags.insert(.peerFINKnown)
  }

  enum Taken: Equatable {
    case nothing
    /// Nothing new in it.
    case duplicate
    case inOrder
    case outOfOrder
    case beyondWindow
    case refused(ReceiveQueue.Outcome)
  }

  /// Stores the bytes of an acceptable segment, as far as they lie in the window.
  mutating func take(
    _ payload: RawSpan, at sequence: SequenceNumber, reserve: Int, pool: inout BlockPool,
    entries: inout EntryPool
  ) -> Taken {
    guard payload.byteCount > 0 else { return .nothing }
    // Trim to the window; a FIN that is known ends the stream as well.
    let known = max(0, receiveNext - sequence)
    guard known < payload.byteCount else { return .duplicate }
    let edge =
      flags.contains(.peerFINKnown) ? SequenceNumber.earlier(windowEdge, peerFIN) : windowEdge
    let end = SequenceNumber.earlier(sequence + payload.byteCount, edge)
    guard sequence + known < end else { return .beyondWindow }
    let bytes = payload.extracting(known..<end - sequence)
    let start = sequence + known
    if start == receiveNext {
      let before = receiveNext
      let outcome = receive.append(bytes, reserve: reserve, pool: &pool, entries: &entries)
      if reported.count > 0 { reported.advance(to: receiveNext) }
      return outcome == .stored || receiveNext != before ? .inOrder : .refused(outcome)
    }
    let outcome = receive.insert(
      bytes, at: start, reserve: reserve, pool: &pool, entries: &entries)
    guard outcome == .stored else { return .refused(outcome) }
    reported.insert(start, end)
    return .outOfOrder
  }
}
