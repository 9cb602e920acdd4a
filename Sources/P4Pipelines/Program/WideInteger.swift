/// A signed integer of any size: constants of programs and values that operators write. Used at
/// load time and by the control plane only.
///
/// Sign and magnitude inside; the bit operations, shifts and bytes see it as a two's complement
/// number with endless sign bits, as BMv2's arithmetic does.
package struct WideInteger: Equatable, Hashable, Sendable {
  /// Least significant first, without leading zero words; empty for zero.
  package private(set) var magnitude: [UInt64]
  package private(set) var isNegative: Bool

  package init(magnitude: [UInt64], isNegative: Bool = false) {
    var words = magnitude
    while let last = words.last, last == 0 { words.removeLast() }
    self.magnitude = words
    self.isNegative = isNegative && !words.isEmpty
  }

  package init(_ value: UInt64) { self.init(magnitude: [value]) }

  package init(_ value: Int) {
    self.init(magnitude: [UInt64(value.magnitude)], isNegative: value < 0)
  }

  package static let zero = WideInteger(magnitude: [])

  package var isZero: Bool { magnitude.isEmpty }

  /// Bits of the magnitude: 0 for zero, 8 for 255 and for -255.
  package var bitWidth: Int {
    guard let last = magnitude.last else { return 0 }
    return magnitude.count * 64 - last.leadingZeroBitCount
  }

  /// Word `index` of the endless two's complement form, least significant first.
  package func word(_ index: Int) -> UInt64 {
    let word = index < magnitude.count ? magnitude[index] : 0
    guard isNegative else { return word }
    // Negating is complementing and adding one, and the one runs through the words that are zero.
    for lower in 0..<min(index, magnitude.count) where magnitude[lower] != 0 { return ~word }
    return 0 &- word
  }

  /// The value modulo 2^64.
  package var low64: UInt64 { word(0) }

  /// The value itself when it fits.
  package var exactUInt64: UInt64? {
    if isZero { return 0 }
    return isNegative || magnitude.count > 1 ? nil : magnitude[0]
  }

  /// The value itself when it fits.
  package var exactInt: Int? {
    if isZero { return 0 }
    guard magnitude.count == 1 else { return nil }
    if !isNegative { return Int(exactly: magnitude[0]) }
    return magnitude[0] <= 1 << 63 ? Int(truncatingIfNeeded: 0 &- magnitude[0]) : nil
  }

  /// The value modulo 2^`width`, which is not negative.
  package func truncated(to width: Int) -> WideInteger {
    let count = min((width + 63) / 64, isNegative ? Int.max : magnitude.count)
    var words: [UInt64] = []
    for index in 0..<count { words.append(word(index)) }
    if width % 64 != 0, words.count == (width + 63) / 64 {
      words[words.count - 1] &= (1 << UInt64(width % 64)) &- 1
    }
    return WideInteger(magnitude: words)
  }

  /// The number whose two's complement form of `width` bits is the value modulo 2^`width`.
  package func signExtended(from width: Int) -> WideInteger {
    let value = truncated(to: width)
    return value.bitWidth < width || width == 0 ? value : value - .powerOfTwo(width)
  }

  package static func powerOfTwo(_ exponent: Int) -> WideInteger { WideInteger(1) << exponent }

  /// `width` one bits.
  package static func ones(_ width: Int) -> WideInteger { powerOfTwo(width) - WideInteger(1) }
}

// MARK: Arithmetic

extension WideInteger: Comparable {
  package static func + (left: WideInteger, right: WideInteger) -> WideInteger {
    if left.isNegative == right.isNegative {
      return WideInteger(
        magnitude: sum(left.magnitude, right.magnitude), isNegative: left.isNegative)
    }
    return isLess(left.magnitude, right.magnitude)
      ? WideInteger(
        magnitude: difference(right.magnitude, left.magnitude), isNegative: right.isNegative)
      : WideInteger(
        magnitude: difference(left.magnitude, right.magnitude), isNegative: left.isNegative)
  }

  package static prefix func - (value: WideInteger) -> WideInteger {
    WideInteger(magnitude: value.magnitude, isNegative: !value.isNegative)
  }

  package static func - (left: WideInteger, right: WideInteger) -> WideInteger { left + -right }

  package static func * (left: WideInteger, right: WideInteger) -> WideInteger {
    let a = left.magnitude
    let b = right.magnitude
    var words = [UInt64](repeating: 0, count: a.count + b.count)
    for i in a.indices {
      var carry: UInt64 = 0
      for j in b.indices {
        let (high, low) = a[i].multipliedFullWidth(by: b[j])
        let (first, overflow) = words[i + j].addingReportingOverflow(low)
        let (second, again) = first.addingReportingOverflow(carry)
        words[i + j] = second
        // At most 2^64 - 2 plus two carries of which only one can meet that high word.
        carry = high &+ (overflow ? 1 : 0) &+ (again ? 1 : 0)
      }
      words[i + b.count] = carry
    }
    return WideInteger(magnitude: words, isNegative: left.isNegative != right.isNegative)
  }

  /// Quotient rounded towards zero, remainder with the sign of the dividend; nil for a zero
  /// divisor. Bit by bit: constants are short and this runs at load time.
  package func divided(
    by divisor: WideInteger
  ) -> (quotient: WideInteger, remainder: WideInteger)? {
    guard !divisor.isZero else { return nil }
    var quotient = [UInt64](repeating: 0, count: magnitude.count)
    var rest = WideInteger.zero
    let size = WideInteger(magnitude: divisor.magnitude)
    for bit in (0..<bitWidth).reversed() {
      rest = rest << 1
      if magnitude[bit / 64] >> UInt64(bit % 64) & 1 == 1 { rest = rest + WideInteger(1) }
      if rest >= size {
        rest = rest - size
        quotient[bit / 64] |= 1 << UInt64(bit % 64)
      }
    }
    return (
      WideInteger(magnitude: quotient, isNegative: isNegative != divisor.isNegative),
      WideInteger(magnitude: rest.magnitude, isNegative: isNegative)
    )
  }

  package static func < (left: WideInteger, right: WideInteger) -> Bool {
    if left.isNegative != right.isNegative { return left.isNegative }
    return left.isNegative
      ? isLess(right.magnitude, left.magnitude) : isLess(left.magnitude, right.magnitude)
  }

  private static func isLess(_ left: [UInt64], _ right: [UInt64]) -> Bool {
    if left.count != right.count { return left.count < right.count }
    for index in left.indices.reversed() where left[index] != right[index] {
      return left[index] < right[index]
    }
    return false
  }

  private static func sum(_ left: [UInt64], _ right: [UInt64]) -> [UInt64] {
    var words: [UInt64] = []
    var carry: UInt64 = 0
    for index in 0..<max(left.count, right.count) {
      let (first, overflow) = (index < left.count ? left[index] : 0).addingReportingOverflow(carry)
      let (second, again) = first.addingReportingOverflow(index < right.count ? right[index] : 0)
      words.append(second)
      carry = overflow || again ? 1 : 0
    }
    words.append(carry)
    return words
  }

  /// `left` must not be less than `right`.
  private static func difference(_ left: [UInt64], _ right: [UInt64]) -> [UInt64] {
    var words: [UInt64] = []
    var borrow: UInt64 = 0
    for index in left.indices {
      let (first, overflow) = left[index].subtractingReportingOverflow(borrow)
      let (second, again) = first.subtractingReportingOverflow(
        index < right.count ? right[index] : 0)
      words.append(second)
      borrow = overflow || again ? 1 : 0
    }
    return words
  }
}

// MARK: Bits

extension WideInteger {
  package static func & (left: WideInteger, right: WideInteger) -> WideInteger {
    combined(left, right) { $0 & $1 }
  }

  package static func | (left: WideInteger, right: WideInteger) -> WideInteger {
    combined(left, right) { $0 | $1 }
  }

  package static func ^ (left: WideInteger, right: WideInteger) -> WideInteger {
    combined(left, right) { $0 ^ $1 }
  }

  package static prefix func ~ (value: WideInteger) -> WideInteger { -value - WideInteger(1) }

  /// A negative count shifts nothing.
  package static func << (value: WideInteger, count: Int) -> WideInteger {
    guard count > 0, !value.isZero else { return value }
    var words = [UInt64](repeating: 0, count: count / 64)
    let bits = UInt64(count % 64)
    var carried: UInt64 = 0
    for word in value.magnitude {
      words.append(word << bits | carried)
      carried = bits == 0 ? 0 : word >> (64 - bits)
    }
    words.append(carried)
    return WideInteger(magnitude: words, isNegative: value.isNegative)
  }

  /// Rounds towards minus infinity, as shifting a two's complement number does. A negative count
  /// shifts nothing.
  package static func >> (value: WideInteger, count: Int) -> WideInteger {
    guard count > 0 else { return value }
    // For negative numbers ~(~x >> n), where ~x is not negative.
    if value.isNegative { return ~(~value >> count) }
    var words: [UInt64] = []
    let bits = UInt64(count % 64)
    var index = count / 64
    while index < value.magnitude.count {
      let next = index + 1 < value.magnitude.count ? value.magnitude[index + 1] : 0
      words.append(value.magnitude[index] >> bits | (bits == 0 ? 0 : next << (64 - bits)))
      index += 1
    }
    return WideInteger(magnitude: words)
  }

  private static func combined(
    _ left: WideInteger, _ right: WideInteger, _ operation: (UInt64, UInt64) -> UInt64
  ) -> WideInteger {
    // One word more than the longer one, so that the topmost is all sign.
    let count = max(left.magnitude.count, right.magnitude.count) + 1
    var words: [UInt64] = []
    for index in 0..<count { words.append(operation(left.word(index), right.word(index))) }
    return WideInteger(twosComplement: words)
  }

  /// From two's complement words, least significant first; the top bit of the last is the sign.
  package init(twosComplement words: [UInt64]) {
    guard let last = words.last, last >> 63 == 1 else {
      self.init(magnitude: words)
      return
    }
    var negated: [UInt64] = []
    var carry = true
    for word in words {
      let (sum, overflow) = (~word).addingReportingOverflow(carry ? 1 : 0)
      negated.append(sum)
      carry = overflow
    }
    if carry { negated.append(1) }
    self.init(magnitude: negated, isNegative: true)
  }
}
