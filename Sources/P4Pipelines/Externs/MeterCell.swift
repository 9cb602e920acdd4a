/// One meter: a token bucket for the peak rate and one for the committed rate, as BMv2 has them.
///
/// Tokens are whole; what a bucket has received since the start is computed anew from the time
/// each time, so that nothing is lost to rounding however often packets come.
struct MeterCell: BitwiseCopyable {
  private var committed: Bucket
  private var peak: Bucket
  private(set) var isConfigured: Bool

  private struct Bucket: BitwiseCopyable {
    /// Per microsecond.
    var rate: Double
    var burst: UInt64
    var tokens: UInt64
    /// What came in since the start when the meter was last looked at.
    var received: UInt64

    /// Fills the bucket up to now; whether it holds `units`, which are then taken.
    @inline(__always)
    mutating func take(_ units: UInt64, microseconds: UInt64) -> Bool {
      let product = Double(microseconds) * rate
      let total = product < 0x1p63 ? UInt64(product) : 1 << 63
      // The clock does not go back; should it, nothing comes in.
      let fresh = total > received ? total &- received : 0
      received = total
      // Both are below 2^63.
      tokens = min(tokens &+ fresh, burst)
      if tokens < units { return false }
      tokens &-= units
      return true
    }

    init(rate: Double, burst: UInt64) {
      self.rate = rate
      self.burst = min(burst, UInt64(Int64.max))
      tokens = self.burst
      received = 0
    }
  }

  /// Whether a meter can have these rates: numbers that are not negative, the peak rate not below
  /// the committed one.
  static func accepts(_ rates: MeterRates, rateCount: Int) -> Bool {
    guard rates.committedRate >= 0, rates.committedRate < .infinity else { return false }
    return rateCount < 2 || (rates.peakRate >= rates.committedRate && rates.peakRate < .infinity)
  }

  mutating func configure(_ rates: MeterRates?) {
    isConfigured = rates != nil
    committed = Bucket(rate: rates?.committedRate ?? 0, burst: rates?.committedBurst ?? 0)
    peak = Bucket(rate: rates?.peakRate ?? 0, burst: rates?.peakBurst ?? 0)
  }

  var rates: MeterRates? {
    if !isConfigured { return nil }
    return MeterRates(
      committedRate: committed.rate, committedBurst: committed.burst, peakRate: peak.rate,
      peakBurst: peak.burst)
  }

  /// The colour of a packet of so many units: red (2) when it does not fit the peak rate, which
  /// leaves the committed bucket alone; then yellow (1) when it does not fit the committed rate;
  /// else green (0). Meters that are not configured are green. With one rate there is no red.
  @inline(__always)
  mutating func colour(_ units: UInt64, microseconds: UInt64, rateCount: Int) -> UInt64 {
    if !isConfigured { return 0 }
    if rateCount > 1, !peak.take(units, microseconds: microseconds) { return 2 }
    return committed.take(units, microseconds: microseconds) ? 0 : 1
  }
}
