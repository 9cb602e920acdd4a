/// What is known of a 64-bit number: that it lies in an interval (unsigned, both ends included), and
/// which of its bits are certain. Every operation gives a result that holds for all numbers the
/// operands may be.
package struct Scalar: Equatable, BitwiseCopyable, Sendable {
  package private(set) var minimum: UInt64
  package private(set) var maximum: UInt64
  /// Bits that are certain to be one.
  private(set) var ones: UInt64
  /// Bits that are not certain.
  private(set) var unknown: UInt64

  package static let anything = Scalar(minimum: 0, maximum: .max, ones: 0, unknown: .max)

  package init(_ value: UInt64) {
    minimum = value
    maximum = value
    ones = value
    unknown = 0
  }

  package init(_ range: ClosedRange<UInt64>) {
    self.init(minimum: range.lowerBound, maximum: range.upperBound, ones: 0, unknown: .max)
  }

  /// Brings both kinds of knowledge together. The operands must not contradict each other.
  private init(minimum: UInt64, maximum: UInt64, ones: UInt64, unknown: UInt64) {
    self.minimum = max(minimum, ones)
    self.maximum = min(maximum, ones | unknown)
    self.ones = ones
    self.unknown = unknown
    if self.minimum > self.maximum {
      // Only a contradiction in the caller's branch can bring this about; that branch is dead.
      self.maximum = self.minimum
    }
    // Above the highest bit in which both ends differ, all bits are those of either end.
    let differing = self.minimum ^ self.maximum
    let certain: UInt64 =
      differing == 0 ? .max : ~(UInt64.max >> UInt64(differing.leadingZeroBitCount))
    self.ones = (self.ones & ~certain) | (self.minimum & certain)
    self.unknown &= ~certain
  }

  package var constant: UInt64? { minimum == maximum ? minimum : nil }

  /// Whether `value` may be the number.
  package func contains(_ value: UInt64) -> Bool {
    value >= minimum && value <= maximum && value & ~unknown == ones
  }

  /// Whether every number that `other` may be is one that this may be.
  func covers(_ other: Scalar) -> Bool {
    minimum <= other.minimum && maximum >= other.maximum && other.unknown & ~unknown == 0
      && (other.ones ^ ones) & ~unknown == 0
  }

  /// Fits 32 bits.
  var isLow: Bool { maximum <= 0xffff_ffff }

  // MARK: Arithmetic

  static func + (a: Scalar, b: Scalar) -> Scalar {
    let (low, lowOverflow) = a.minimum.addingReportingOverflow(b.minimum)
    let (high, highOverflow) = a.maximum.addingReportingOverflow(b.maximum)
    // Both ends wrap or neither does; otherwise the interval is torn.
    let holds = lowOverflow == highOverflow
    let sumOnes = a.ones &+ b.ones
    let sumUnknown = a.unknown &+ b.unknown
    let carries = (sumUnknown &+ sumOnes) ^ sumOnes
    let unknown = carries | a.unknown | b.unknown
    return Scalar(
      minimum: holds ? low : 0, maximum: holds ? high : .max, ones: sumOnes & ~unknown,
      unknown: unknown)
  }

  static func - (a: Scalar, b: Scalar) -> Scalar {
    let (low, lowOverflow) = a.minimum.subtractingReportingOverflow(b.maximum)
    let (high, highOverflow) = a.maximum.subtractingReportingOverflow(b.minimum)
    let holds = lowOverflow == highOverflow
    let difference = a.ones &- b.ones
    let alpha = difference &+ a.unknown
    let beta = difference &- b.unknown
    let unknown = (alpha ^ beta) | a.unknown | b.unknown
    return Scalar(
      minimum: holds ? low : 0, maximum: holds ? high : .max, ones: difference & ~unknown,
      unknown: unknown)
  }

  static func * (a: Scalar, b: Scalar) -> Scalar {
    if let x = a.constant, let y = b.constant { return Scalar(x &* y) }
    let (high, overflow) = a.maximum.multipliedReportingOverflow(by: b.maximum)
    // Zero bits at the bottom add up.
    let zeros = min(63, a.trailingZeros + b.trailingZeros)
    let unknown = UInt64.max << UInt64(zeros)
    return Scalar(
      minimum: overflow ? 0 : a.minimum &* b.minimum, maximum: overflow ? .max : high, ones: 0,
      unknown: unknown)
  }

  private var trailingZeros: Int { (ones | unknown).trailingZeroBitCount }

  static func & (a: Scalar, b: Scalar) -> Scalar {
    let possible = (a.ones | a.unknown) & (b.ones | b.unknown)
    let ones = a.ones & b.ones
    return Scalar(
      minimum: 0, maximum: min(a.maximum, b.maximum), ones: ones, unknown: possible & ~ones)
  }

  static func | (a: Scalar, b: Scalar) -> Scalar {
    let ones = a.ones | b.ones
    let possible = ones | a.unknown | b.unknown
    return Scalar(
      minimum: max(a.minimum, b.minimum), maximum: .max, ones: ones, unknown: possible & ~ones)
  }

  static func ^ (a: Scalar, b: Scalar) -> Scalar {
    let unknown = a.unknown | b.unknown
    return Scalar(minimum: 0, maximum: .max, ones: (a.ones ^ b.ones) & ~unknown, unknown: unknown)
  }

  /// RFC 9669, section 4.1: by zero gives zero.
  func divided(by b: Scalar) -> Scalar {
    let least = b.maximum == 0 || b.minimum == 0 ? 0 : minimum / b.maximum
    let most = b.minimum == 0 ? maximum : maximum / b.minimum
    return Scalar(least...max(least, most))
  }

  /// By zero gives the dividend.
  func remainder(by b: Scalar) -> Scalar {
    if let x = constant, let y = b.constant { return Scalar(y == 0 ? x : x % y) }
    if b.minimum == 0 || b.maximum == 0 { return Scalar(0...maximum) }
    return Scalar(0...min(maximum, b.maximum - 1))
  }

  /// The distance must be a constant below `bits`; anything else is not looked into.
  func shiftedLeft(by distance: Scalar, bits: UInt64) -> Scalar {
    guard let count = distance.constant.map({ $0 & (bits - 1) }) else { return .anything }
    let fits = maximum <= UInt64.max >> count
    return Scalar(
      minimum: fits ? minimum << count : 0, maximum: fits ? maximum << count : .max,
      ones: ones << count, unknown: unknown << count)
  }

  func shiftedRight(by distance: Scalar, bits: UInt64) -> Scalar {
    guard let count = distance.constant.map({ $0 & (bits - 1) }) else { return Scalar(0...maximum) }
    return Scalar(
      minimum: minimum >> count, maximum: maximum >> count, ones: ones >> count,
      unknown: unknown >> count)
  }

  /// The lowest `count` bits, the rest zero.
  func low(_ count: UInt64) -> Scalar {
    if count >= 64 { return self }
    let mask = (UInt64(1) << count) - 1
    let isWhole = maximum <= mask
    return Scalar(
      minimum: isWhole ? minimum : 0, maximum: isWhole ? maximum : mask, ones: ones & mask,
      unknown: unknown & mask)
  }

  /// Whatever either may be.
  func union(_ other: Scalar) -> Scalar {
    let unknown = self.unknown | other.unknown | (ones ^ other.ones)
    return Scalar(
      minimum: min(minimum, other.minimum), maximum: max(maximum, other.maximum),
      ones: ones & other.ones, unknown: unknown)
  }

  // MARK: What a comparison tells

  /// Nil when no number is left.
  func atLeast(_ bound: UInt64) -> Scalar? {
    if maximum < bound { return nil }
    return Scalar(
      minimum: max(minimum, bound), maximum: maximum, ones: ones, unknown: unknown)
  }

  func atMost(_ bound: UInt64) -> Scalar? {
    if minimum > bound { return nil }
    return Scalar(
      minimum: minimum, maximum: min(maximum, bound), ones: ones, unknown: unknown)
  }

  func equal(to other: Scalar) -> Scalar? {
    if minimum > other.maximum || maximum < other.minimum { return nil }
    let disagreement = (ones ^ other.ones) & ~unknown & ~other.unknown
    if disagreement != 0 { return nil }
    return Scalar(
      minimum: max(minimum, other.minimum), maximum: min(maximum, other.maximum),
      ones: ones | other.ones, unknown: unknown & other.unknown)
  }

  func different(from value: UInt64) -> Scalar? {
    if constant == value { return nil }
    if value == minimum { return atLeast(minimum + 1) }
    if value == maximum { return atMost(maximum - 1) }
    return self
  }
}
