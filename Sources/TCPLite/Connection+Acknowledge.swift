import DPUCore
import PacketWire

/// What the peer's acknowledgments mean for what we send.
extension Connection {
  enum Acknowledgment: Equatable {
    /// Older than what is acknowledged already.
    case old
    /// Of something never sent, or too old to be true (RFC 5961 §5.2).
    case invalid
    /// No news about data, perhaps about the window.
    case unchanged
    case duplicate
    /// New data was acknowledged.
    case advanced
  }

  mutating func acknowledge(
    _ header: SegmentHeader, carriesData: Bool, configuration: TCPConfiguration, now: Instant,
    pool: inout BlockPool, entries: inout EntryPool
  ) -> Acknowledgment {
    let position = header.acknowledgment
    if position > sendMax || position < unacknowledged - max(65_535, sendWindowMax) {
      return .invalid
    }
    if position < unacknowledged { return .old }
    let outstanding = sendMax - unacknowledged
    let isNews = takeSACK(header.options, above: position)
    let windowChanged = updateWindow(header)
    if sendWindow == 0 { retries = 0 }

    if position == unacknowledged {
      // RFC 5681 §2: a duplicate says nothing but that something else arrived.
      let isDuplicate = !carriesData && !windowChanged && outstanding > 0 && sendWindow > 0
      guard isDuplicate || isNews else { return .unchanged }
      duplicates += 1
      noticeLoss()
      return .duplicate
    }

    let count = position - unacknowledged
    unacknowledged = position
    queue.release(
      upTo: .earlier(position, queue.end), pool: &pool, entries: &entries)
    scoreboard.advance(to: position)
    if sendNext < position { sendNext = position }
    retries = 0
    var echoed: Interval?
    if flags.contains(.usesTimestamps), header.options.timestampEcho != 0 {
      // Beyond what a round trip can take, the echo is not one of ours.
      let age = timestamp(now) &- header.options.timestampEcho
      if age < 120_000 { echoed = .milliseconds(UInt64(age)) }
    }
    roundTrip.acknowledged(
      upTo: position, echoed: echoed, minimum: configuration.minimumRTO, now: now)

    if flags.contains(.inRecovery) {
      if position >= recoveryPoint {
        flags.remove(.inRecovery)
        duplicates = 0
      } else if flags.contains(.usesSACK) {
        duplicates = 0
      } else {
        // What the partial acknowledgment covers had left the network before.
        duplicates = max(0, duplicates - count / segmentSize)
      }
    } else {
      duplicates = 0
      // Kept close, because positions compare only within 2^31.
      recoveryPoint = .later(recoveryPoint, position)
      congestion.acknowledged(count, flight: outstanding, segmentSize: segmentSize)
      noticeLoss()
    }
    return .advanced
  }

  /// Whether something was held that we did not know of.
  private mutating func takeSACK(_ options: TCPOptions, above position: SequenceNumber) -> Bool {
    guard options.sackCount > 0, flags.contains(.usesSACK) else { return false }
    let before = scoreboard.byteCount(below: sendMax)
    for i in 0..<options.sackCount {
      let start = SequenceNumber(options.sackBlocks[i].start)
      let end = SequenceNumber(options.sackBlocks[i].end)
      guard start < end, start > position, end <= sendMax else { continue }
      scoreboard.insert(start, end)
    }
    return scoreboard.byteCount(below: sendMax) > before
  }

  /// RFC 9293 §3.10.7.4: only from a segment not older than the one last used.
  private mutating func updateWindow(_ header: SegmentHeader) -> Bool {
    guard
      windowSequence < header.sequence
        || (windowSequence == header.sequence && windowAcknowledgment <= header.acknowledgment)
    else { return false }
    windowSequence = header.sequence
    windowAcknowledgment = header.acknowledgment
    let window = Int(header.window) << Int(sendShift)
    let changed = window != sendWindow
    if sendWindow == 0, window > 0 {
      // Probing is over; what is sent now has a timeout of its own.
      flags.remove(.needsProbe)
      roundTrip.answered()
      retries = 0
      retransmitAt = .distantFuture
    }
    sendWindow = window
    sendWindowMax = max(sendWindowMax, window)
    return changed
  }

  /// Enters recovery when enough later data has arrived (RFC 6675 §5, RFC 6582 §3.2), once per
  /// window of data.
  private mutating func noticeLoss() {
    guard !flags.contains(.inRecovery), unacknowledged >= recoveryPoint, sendMax > unacknowledged
    else { return }
    let held = scoreboard.byteCount(below: sendMax)
    guard
      duplicates >= TCPLimits.duplicateThreshold
        || held > (TCPLimits.duplicateThreshold - 1) * segmentSize
    else { return }
    flags.insert(.inRecovery)
    recoveryPoint = sendMax
    repeatNext = unacknowledged
    congestion.lost(flight: sendMax - unacknowledged, segmentSize: segmentSize)
  }

  /// RFC 6298 §5.2 and §5.3.
  mutating func restartTimer(maximumRTO: Interval, now: Instant) {
    retransmitAt =
      sendMax > unacknowledged ? now + roundTrip.current(maximum: maximumRTO) : .distantFuture
  }

  /// Nothing was acknowledged for a whole timeout: start again from the first gap
  /// (RFC 6298 §5.4 to §5.7). What the peer held may have been given up (RFC 2018 §8).
  mutating func retransmissionTimedOut() {
    congestion.timedOut(
      flight: sendMax - unacknowledged, segmentSize: segmentSize, isFirst: retries == 0)
    roundTrip.expired()
    retries += 1
    flags.remove(.inRecovery)
    recoveryPoint = sendMax
    scoreboard.clear()
    duplicates = 0
    sendNext = unacknowledged
  }

  /// The window has been shut for a whole timeout: ask whether it still is. A peer that answers
  /// may keep it shut for ever (RFC 9293 §3.8.6.1).
  mutating func windowProbeDue() {
    roundTrip.expired()
    retries += 1
    flags.insert(.needsProbe)
  }
}
