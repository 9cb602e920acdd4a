import DPUCore

/// The retransmission timeout (RFC 6298).
struct RoundTrip: BitwiseCopyable {
  /// Smoothed round-trip time and its variation in nanoseconds; zero before the first sample.
  private(set) var smoothed: UInt64 = 0
  private(set) var variation: UInt64 = 0
  /// Before back-off.
  private var timeout: UInt64
  private(set) var backOff: UInt8 = 0

  /// The one segment being timed: its end, and when it left. Repeated segments are not timed
  /// (Karn's algorithm, §3).
  private var timedEnd = SequenceNumber(0)
  private var timedAt = Instant.zero
  private var isTiming = false

  init(initial: Interval) { timeout = initial.nanoseconds }

  mutating func sent(upTo end: SequenceNumber, now: Instant) {
    if isTiming { return }
    isTiming = true
    timedEnd = end
    timedAt = now
  }

  /// Something was sent again: what was being timed can no longer be told apart.
  mutating func repeated() { isTiming = false }

  /// The peer is there after all.
  mutating func answered() { backOff = 0 }

  /// New data was acknowledged. `echoed` is the age of the timestamp it carried, when it did.
  mutating func acknowledged(
    upTo position: SequenceNumber, echoed: Interval?, minimum: Interval, now: Instant
  ) {
    backOff = 0
    if isTiming {
      guard timedEnd <= position else { return }
      isTiming = false
      sample((now - timedAt).nanoseconds, minimum.nanoseconds)
    } else if let echoed {
      sample(echoed.nanoseconds, minimum.nanoseconds)
    }
  }

  /// §2.2 and §2.3; the clock's granularity vanishes beside the minimum.
  private mutating func sample(_ time: UInt64, _ minimum: UInt64) {
    if smoothed == 0 {
      smoothed = max(1, time)
      variation = time / 2
    } else {
      let difference = smoothed > time ? smoothed - time : time - smoothed
      variation = (3 * variation + difference) / 4
      smoothed = max(1, (7 * smoothed + time) / 8)
    }
    timeout = smoothed + max(minimum, 4 * variation)
  }

  /// §5.5.
  mutating func expired() {
    isTiming = false
    if backOff < 32 { backOff += 1 }
  }

  func current(maximum: Interval) -> Interval {
    let limit = maximum.nanoseconds
    let doubled = timeout > limit >> UInt64(backOff) ? limit : timeout << UInt64(backOff)
    return Interval(nanoseconds: doubled)
  }
}
