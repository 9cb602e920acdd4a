/// All numbers from `lower` to `upper`: what an expression can be, by the widths of what it is
/// made of. Decides whether 64 bits hold a value.
struct ValueRange: Equatable {
  var lower: WideInteger
  var upper: WideInteger

  init(_ lower: WideInteger, _ upper: WideInteger) {
    self.lower = lower
    self.upper = upper
  }

  init(constant value: WideInteger) { self.init(value, value) }

  /// Of `width` bits.
  init(unsigned width: Int) { self.init(.zero, .ones(width)) }
  init(signed width: Int) {
    self.init(-WideInteger.powerOfTwo(width - 1), .ones(width - 1))
  }

  static let bit = ValueRange(unsigned: 1)

  var constant: WideInteger? { lower == upper ? lower : nil }
  var isNatural: Bool { !lower.isNegative }
  var fitsUnsigned: Bool { isNatural && upper.bitWidth <= 64 }
  var fitsSigned: Bool { signedBits <= 64 }
  /// A lane holds it exactly.
  var fitsLane: Bool { fitsUnsigned || fitsSigned }

  /// Bits of a two's complement number that holds every value.
  var signedBits: Int {
    let low = lower.isNegative ? (~lower).bitWidth : lower.bitWidth
    let high = upper.isNegative ? (~upper).bitWidth : upper.bitWidth
    return max(low, high) + 1
  }

  /// Cutting to `width` bits, unsigned, changes nothing.
  func isWithin(bits width: Int) -> Bool { isNatural && upper.bitWidth <= width }
  func isWithin(_ other: ValueRange) -> Bool { lower >= other.lower && upper <= other.upper }

  func union(_ other: ValueRange) -> ValueRange {
    ValueRange(min(lower, other.lower), max(upper, other.upper))
  }
}

// MARK: Operators

extension ValueRange {
  static func + (left: ValueRange, right: ValueRange) -> ValueRange {
    ValueRange(left.lower + right.lower, left.upper + right.upper)
  }

  static func - (left: ValueRange, right: ValueRange) -> ValueRange {
    ValueRange(left.lower - right.upper, left.upper - right.lower)
  }

  static func * (left: ValueRange, right: ValueRange) -> ValueRange {
    let products = [
      left.lower * right.lower, left.lower * right.upper, left.upper * right.lower,
      left.upper * right.upper,
    ]
    var result = ValueRange(constant: products[0])
    for product in products { result = result.union(ValueRange(constant: product)) }
    return result
  }

  static prefix func ~ (value: ValueRange) -> ValueRange { ValueRange(~value.upper, ~value.lower) }

  /// Every two's complement number as long as the longer of both.
  private static func anyBits(_ left: ValueRange, _ right: ValueRange) -> ValueRange {
    ValueRange(signed: max(left.signedBits, right.signedBits))
  }

  static func & (left: ValueRange, right: ValueRange) -> ValueRange {
    switch (left.isNatural, right.isNatural) {
    case (true, true): ValueRange(.zero, min(left.upper, right.upper))
    case (true, false): ValueRange(.zero, left.upper)
    case (false, true): ValueRange(.zero, right.upper)
    case (false, false): anyBits(left, right)
    }
  }

  /// Of `|` and `^`.
  static func combined(_ left: ValueRange, _ right: ValueRange) -> ValueRange {
    guard left.isNatural, right.isNatural else { return anyBits(left, right) }
    return ValueRange(unsigned: max(left.upper.bitWidth, right.upper.bitWidth))
  }

  /// nil: longer than anything that can be computed with.
  func shiftedLeft(by distance: ValueRange) -> ValueRange? {
    guard let most = distance.upper.exactInt, most <= CodeLimits.wideBits else { return nil }
    let least = max(0, distance.lower.exactInt ?? 0)
    return ValueRange(
      min(lower << least, lower << most), max(upper << least, upper << most))
  }

  func shiftedRight(by distance: ValueRange) -> ValueRange {
    // Beyond the width nothing but the sign is left.
    let limit = signedBits
    let most = min(limit, distance.upper.exactInt ?? limit)
    let least = min(limit, max(0, distance.lower.exactInt ?? 0))
    return ValueRange(
      min(lower >> least, lower >> most), max(upper >> least, upper >> most))
  }

  /// Truncating; by zero gives 0.
  func divided(by divisor: ValueRange) -> ValueRange {
    if isNatural && divisor.isNatural { return ValueRange(.zero, upper) }
    let most = max(upper, -lower)
    return ValueRange(-most, most)
  }

  func remainder(by divisor: ValueRange) -> ValueRange {
    let most = max(divisor.upper, -divisor.lower) - WideInteger(1)
    let bound = min(max(upper, -lower), max(most, .zero))
    return ValueRange(isNatural ? .zero : -bound, bound)
  }

  func clamped(to range: ValueRange) -> ValueRange {
    ValueRange(
      max(min(lower, range.upper), range.lower), min(max(upper, range.lower), range.upper))
  }
}
