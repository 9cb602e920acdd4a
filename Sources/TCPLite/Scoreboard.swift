import PacketWire

/// What the peer says it holds beyond the cumulative acknowledgment: ranges in order, apart
/// from each other (RFC 6675). SACK is advice, so the highest range is forgotten when there
/// are more than fit.
struct Scoreboard: BitwiseCopyable {
  private static let capacity = 8
  private var ranges: InlineArray<8, SACKBlock> = .init(repeating: SACKBlock(start: 0, end: 0))
  private(set) var count = 0

  private func start(_ i: Int) -> SequenceNumber { SequenceNumber(ranges[i].start) }
  private func end(_ i: Int) -> SequenceNumber { SequenceNumber(ranges[i].end) }

  mutating func clear() { count = 0 }

  /// One past the highest byte held, nil when none is.
  var highest: SequenceNumber? { count == 0 ? nil : end(count - 1) }

  /// Adds a range that lies above what is acknowledged and below what was sent.
  mutating func insert(_ newStart: SequenceNumber, _ newEnd: SequenceNumber) {
    var first = 0
    while first < count, end(first) < newStart { first += 1 }
    var merged = SACKBlock(start: newStart.value, end: newEnd.value)
    var last = first
    while last < count, start(last) <= newEnd {
      merged.start = SequenceNumber.earlier(SequenceNumber(merged.start), start(last)).value
      merged.end = SequenceNumber.later(SequenceNumber(merged.end), end(last)).value
      last += 1
    }
    if last == first {
      if count == Self.capacity {
        guard first < count else { return }
        count -= 1
      }
      var i = count
      while i > first {
        ranges[i] = ranges[i - 1]
        i -= 1
      }
      count += 1
    } else if last > first + 1 {
      let removed = last - first - 1
      for i in last..<count { ranges[i - removed] = ranges[i] }
      count -= removed
    }
    ranges[first] = merged
  }

  /// Forgets what lies below the cumulative acknowledgment.
  mutating func advance(to position: SequenceNumber) {
    var gone = 0
    while gone < count, end(gone) <= position { gone += 1 }
    if gone > 0 {
      for i in gone..<count { ranges[i - gone] = ranges[i] }
      count -= gone
    }
    if count > 0, start(0) < position { ranges[0].start = position.value }
  }

  /// Bytes held below `limit`.
  func byteCount(below limit: SequenceNumber) -> Int {
    var total = 0
    for i in 0..<count where start(i) < limit {
      total += SequenceNumber.earlier(end(i), limit) - start(i)
    }
    return total
  }

  /// The first position not held, from `position` on.
  func firstMissing(from position: SequenceNumber) -> SequenceNumber {
    var result = position
    for i in 0..<count where start(i) <= result && result < end(i) { result = end(i) }
    return result
  }

  /// Where the held range above `position` begins, nil when nothing above is held.
  func nextHeld(above position: SequenceNumber) -> SequenceNumber? {
    for i in 0..<count where start(i) > position { return start(i) }
    return nil
  }
}

/// The ranges we report: the one just extended first, then those reported before
/// (RFC 2018 §4).
struct ReportedRanges: BitwiseCopyable {
  private(set) var ranges: InlineArray<4, SACKBlock> = .init(
    repeating: SACKBlock(start: 0, end: 0))
  private(set) var count = 0

  mutating func insert(_ start: SequenceNumber, _ end: SequenceNumber) {
    var merged = SACKBlock(start: start.value, end: end.value)
    var kept = 0
    var others = ranges
    for i in 0..<count {
      let rangeStart = SequenceNumber(ranges[i].start)
      let rangeEnd = SequenceNumber(ranges[i].end)
      if rangeStart <= SequenceNumber(merged.end), SequenceNumber(merged.start) <= rangeEnd {
        merged.start = SequenceNumber.earlier(SequenceNumber(merged.start), rangeStart).value
        merged.end = SequenceNumber.later(SequenceNumber(merged.end), rangeEnd).value
      } else {
        others[kept] = ranges[i]
        kept += 1
      }
    }
    kept = min(kept, 3)
    ranges[0] = merged
    for i in 0..<kept { ranges[i + 1] = others[i] }
    count = kept + 1
  }

  mutating func clear() { count = 0 }

  /// Drops what the cumulative acknowledgment has reached.
  mutating func advance(to position: SequenceNumber) {
    var kept = 0
    for i in 0..<count where SequenceNumber(ranges[i].end) > position {
      ranges[kept] = ranges[i]
      kept += 1
    }
    count = kept
  }
}
