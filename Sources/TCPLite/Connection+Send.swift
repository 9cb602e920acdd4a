import DPUCore
import PacketWire

/// One segment about to leave.
struct Transmission: BitwiseCopyable {
  enum Kind: Equatable, BitwiseCopyable { case synACK, data, repeated, probe, keepalive, ack }
  var kind: Kind
  var sequence: SequenceNumber
  /// Payload bytes.
  var count = 0
  var flags: TCPFlags = [.ack]
}

/// What may be sent now, and what follows from having sent it.
extension Connection {
  /// The next segment to send, nil when nothing may leave. Nothing is recorded until `sent`.
  mutating func nextTransmission(now: Instant, maximumRTO: Interval) -> Transmission? {
    if flags.contains(.needsSYN) {
      return Transmission(kind: .synACK, sequence: initialSend, flags: [.syn, .ack])
    }
    if state == .synReceived || state == .closed { return nil }
    if flags.contains(.inRecovery), let hole = nextHole() { return hole }
    if hasUnsent, let data = nextData(now: now, maximumRTO: maximumRTO) { return data }
    if flags.contains(.needsProbe), sendMax > unacknowledged || hasUnsent {
      return probe()
    }
    if flags.contains(.needsKeepalive) {
      return Transmission(kind: .keepalive, sequence: sendMax - 1)
    }
    return acksOwed > 0 ? Transmission(kind: .ack, sequence: sendMax) : nil
  }

  /// Bytes in the network, as far as one can tell (RFC 6675 §4 `pipe`).
  @inline(__always)
  private var pipe: Int {
    let usesSACK = flags.contains(.usesSACK)
    if flags.contains(.inRecovery), usesSACK {
      // Below the highest byte held: only what was sent again. Above: everything.
      let repeated = SequenceNumber.later(repeatNext, unacknowledged)
      let known = SequenceNumber.later(repeated, scoreboard.highest ?? repeated)
      return (repeated - unacknowledged) - scoreboard.byteCount(below: repeated)
        + (sendMax - known)
    }
    if scoreboard.count == 0 && duplicates == 0 { return flight }
    if usesSACK { return flight - scoreboard.byteCount(below: sendNext) }
    // Each duplicate stands for a segment that has left the network.
    return max(0, flight - duplicates * segmentSize)
  }

  /// In recovery: the first gap not yet sent again.
  @inline(__always)
  private func nextHole() -> Transmission? {
    let usesSACK = flags.contains(.usesSACK)
    var position = unacknowledged
    if repeatNext <= unacknowledged {
      // At once, whatever is in flight, so that every new acknowledgment repairs one gap.
      let isKnown =
        !usesSACK || scoreboard.count > 0 || duplicates >= TCPLimits.duplicateThreshold
      guard isKnown else { return nil }
    } else {
      guard usesSACK, let highest = scoreboard.highest else { return nil }
      position = scoreboard.firstMissing(from: repeatNext)
      guard position < highest, pipe + segmentSize <= congestion.window else { return nil }
    }
    let held = scoreboard.nextHeld(above: position)
    let limit = SequenceNumber.earlier(held ?? queue.end, queue.end)
    let count = min(segmentSize, limit - position)
    let repeatsFIN = position + count == queue.end && sendMax > queue.end && held == nil
    guard count > 0 || repeatsFIN else { return nil }
    return Transmission(
      kind: .repeated, sequence: position, count: count,
      flags: repeatsFIN ? [.ack, .fin] : [.ack])
  }

  private mutating func nextData(now: Instant, maximumRTO: Interval) -> Transmission? {
    if sendMax == unacknowledged, now - lastSentAt > roundTrip.current(maximum: maximumRTO) {
      congestion.restarted(segmentSize: segmentSize)
    }
    var count = min(segmentSize, queue.end - sendNext)
    if sendNext < sendMax, scoreboard.count > 0 {
      // After a timeout: leave out what the peer has since reported.
      sendNext = scoreboard.firstMissing(from: sendNext)
      guard hasUnsent else { return nil }
      count = min(segmentSize, queue.end - sendNext)
      if let held = scoreboard.nextHeld(above: sendNext) { count = min(count, held - sendNext) }
    }
    if count > 0 {
      let room = (unacknowledged + sendWindow) - sendNext
      if count > room {
        // RFC 9293 §3.8.6.2.1: no small segment because of a small window, unless the peer
        // never offered much.
        guard room > 0, room >= sendWindowMax / 2 else { return nil }
        count = room
      }
      guard count <= congestion.window - pipe else { return nil }
    }
    let end = sendNext + count
    var segmentFlags: TCPFlags = [.ack]
    if end == queue.end {
      if count > 0 { segmentFlags.insert(.psh) }
      if flags.contains(.finQueued) { segmentFlags.insert(.fin) }
    }
    guard count > 0 || segmentFlags.contains(.fin) else { return nil }
    return Transmission(kind: .data, sequence: sendNext, count: count, flags: segmentFlags)
  }

  /// One byte, or what little the window takes (RFC 9293 §3.8.6.1).
  @inline(__always)
  private func probe() -> Transmission {
    let available = queue.end - unacknowledged
    let count = min(available, segmentSize, max(1, sendWindow))
    let isFIN = available == 0 && flags.contains(.finQueued)
    return Transmission(
      kind: .probe, sequence: unacknowledged, count: count, flags: isFIN ? [.ack, .fin] : [.ack])
  }

  /// The segment has left. `carriesReport`: with the SACK ranges, if there are any.
  mutating func sent(
    _ segment: Transmission, carriesReport: Bool, maximumRTO: Interval, now: Instant
  ) {
    let end =
      segment.sequence + segment.count + (segment.flags.contains(.fin) ? 1 : 0)
    switch segment.kind {
    case .synACK:
      flags.remove(.needsSYN)
      sendNext = initialSend + 1
      if sendMax < sendNext {
        roundTrip.sent(upTo: sendNext, now: now)
      } else {
        roundTrip.repeated()
      }
      sendMax = sendNext
    case .data:
      if segment.sequence < sendMax {
        roundTrip.repeated()
      } else {
        roundTrip.sent(upTo: end, now: now)
      }
      sendNext = end
      sendMax = .later(sendMax, end)
    case .repeated:
      repeatNext = end
      roundTrip.repeated()
    case .probe:
      flags.remove(.needsProbe)
      sendMax = .later(sendMax, end)
      roundTrip.repeated()
    case .keepalive: flags.remove(.needsKeepalive)
    case .ack: break
    }
    if segment.kind == .ack {
      acksOwed -= 1
    } else if carriesReport {
      acksOwed = 0
    }
    lastAckSent = receiveNext
    lastSentAt = now
    if retransmitAt == .distantFuture, sendMax > unacknowledged {
      retransmitAt = now + roundTrip.current(maximum: maximumRTO)
    }
  }

  // MARK: The window we offer

  /// Moves the window's right edge as far as memory allows and returns the header's field.
  /// The edge never moves back, and not by less than a segment or half the buffer
  /// (RFC 9293 §3.8.6.2.2).
  mutating func offerWindow(limit: Int, grant: Int) -> UInt16 {
    let limit = receiveShift == 0 ? min(limit, 65_535) : limit
    let edge = receiveNext + max(0, min(limit, grant) - receive.readableCount)
    if edge - windowEdge >= min(limit / 2, segmentSize) { windowEdge = edge }
    let window = max(0, windowEdge - receiveNext)
    let shift = flags.contains(.needsSYN) ? 0 : Int(receiveShift)
    return UInt16(min(65_535, window >> shift))
  }

  /// Whether reading has opened the window so far that the peer should hear of it.
  @inline(__always)
  func wantsWindowUpdate(limit: Int) -> Bool {
    let limit = receiveShift == 0 ? min(limit, 65_535) : limit
    let edge = receiveNext + max(0, limit - receive.readableCount)
    return edge - windowEdge >= min(limit / 2, 2 * segmentSize)
  }
}
