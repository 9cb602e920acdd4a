/// How much may be in flight (RFC 5681, Reno with appropriate byte counting of RFC 3465).
struct CongestionControl: BitwiseCopyable {
  /// Bytes.
  private(set) var window: Int
  private(set) var threshold = Int.max >> 1
  /// Acknowledged since the window last grew in congestion avoidance.
  private var credit = 0

  init(segmentSize: Int) { window = Self.initialWindow(segmentSize) }

  /// RFC 6928 §2.
  static func initialWindow(_ segmentSize: Int) -> Int {
    min(TCPLimits.initialWindowSegments * segmentSize, max(2 * segmentSize, 14_600))
  }

  /// `flight` bytes were out before `count` of them were acknowledged. A window that was not
  /// used says nothing about the path, so it does not grow.
  mutating func acknowledged(_ count: Int, flight: Int, segmentSize: Int) {
    if window < threshold {
      if 2 * flight >= window { window += min(count, 2 * segmentSize) }
    } else if flight + segmentSize >= window {
      credit += count
      if credit >= window {
        credit -= window
        window += segmentSize
      }
    }
  }

  /// A segment was lost, others arrive: half of what was in flight (§3.2).
  mutating func lost(flight: Int, segmentSize: Int) {
    threshold = max(flight / 2, 2 * segmentSize)
    window = threshold
    credit = 0
  }

  /// Nothing arrives any more (§3.1). `isFirst`: not a repeated timeout of the same segment.
  mutating func timedOut(flight: Int, segmentSize: Int, isFirst: Bool) {
    if isFirst { threshold = max(flight / 2, 2 * segmentSize) }
    window = segmentSize
    credit = 0
  }

  /// After silence the window is no longer known to fit (§4.1).
  mutating func restarted(segmentSize: Int) {
    window = min(window, Self.initialWindow(segmentSize))
  }
}
