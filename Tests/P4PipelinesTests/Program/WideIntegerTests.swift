import DPUCore
import Testing

@testable import P4Pipelines

/// A slow model: a two's complement number of 512 bits as booleans, least significant first.
private struct Model: Equatable {
  static let width = 512
  var bits: [Bool]

  init(_ value: WideInteger) {
    bits = (0..<Self.width).map {
      value.magnitude.indices.contains($0 / 64)
        && value.magnitude[$0 / 64] >> UInt64($0 % 64) & 1 == 1
    }
    if value.isNegative { self = complement.plus(Model(bits: [true])) }
  }

  init(bits: [Bool]) {
    self.bits = bits + [Bool](repeating: false, count: Self.width - bits.count)
  }

  var complement: Model { Model(bits: bits.map { !$0 }) }
  var isNegative: Bool { bits[Self.width - 1] }

  func plus(_ other: Model) -> Model {
    var carry = 0
    return Model(
      bits: zip(bits, other.bits).map {
        let sum = ($0 ? 1 : 0) + ($1 ? 1 : 0) + carry
        carry = sum / 2
        return sum % 2 == 1
      })
  }

  func times(_ other: Model) -> Model {
    var product = Model(bits: [])
    for bit in 0..<Self.width where other.bits[bit] {
      product = product.plus(
        Model(bits: Array([Bool](repeating: false, count: bit) + bits.prefix(Self.width - bit))))
    }
    return product
  }

  func shiftedLeft(_ count: Int) -> Model {
    Model(bits: Array(([Bool](repeating: false, count: count) + bits).prefix(Self.width)))
  }

  func shiftedRight(_ count: Int) -> Model {
    Model(bits: Array(bits.dropFirst(count)) + [Bool](repeating: isNegative, count: count))
  }
}

@Suite struct WideIntegerTests {
  /// Numbers of all sizes up to 200 bits, many of them around word borders.
  static func samples(_ count: Int, seed: UInt64) -> [WideInteger] {
    var random = Xorshift(seed)
    return (0..<count).map { _ in
      var words = (0..<Int.random(in: 0...3, using: &random)).map { _ -> UInt64 in
        switch Int.random(in: 0..<5, using: &random) {
        case 0: 0
        case 1: .max
        case 2: 1
        default: UInt64.random(in: 0 ... .max, using: &random)
        }
      }
      if let last = words.indices.last {
        words[last] >>= UInt64.random(in: 0..<64, using: &random)
      }
      return WideInteger(magnitude: words, isNegative: Bool.random(using: &random))
    }
  }

  @Test func agreesWithTheModel() {
    let left = Self.samples(400, seed: 1)
    let right = Self.samples(400, seed: 2)
    var random = Xorshift(3)
    for (a, b) in zip(left, right) {
      let (x, y) = (Model(a), Model(b))
      #expect(Model(a + b) == x.plus(y))
      #expect(Model(a - b) == x.plus(y.complement).plus(Model(bits: [true])))
      #expect(Model(a & b).bits == zip(x.bits, y.bits).map { $0 && $1 })
      #expect(Model(a | b).bits == zip(x.bits, y.bits).map { $0 || $1 })
      #expect(Model(a ^ b).bits == zip(x.bits, y.bits).map { $0 != $1 })
      #expect(Model(~a) == x.complement)
      let count = Int.random(in: 0...260, using: &random)
      #expect(Model(a << count) == x.shiftedLeft(count))
      #expect(Model(a >> count) == x.shiftedRight(count))
      #expect((a < b) == (a - b).isNegative)
      #expect((a == b) == (a - b).isZero)
      for index in 0..<8 {
        let word = (0..<64).reduce(UInt64(0)) {
          $0 | (x.bits[index * 64 + $1] ? 1 << UInt64($1) : 0)
        }
        #expect(a.word(index) == word)
      }
      let width = Int.random(in: 0...260, using: &random)
      let cut = Model(bits: Array(x.bits.prefix(width)))
      #expect(Model(a.truncated(to: width)) == cut)
      #expect(WideInteger(bigEndian: a.bigEndianBytes(width: width)) == a.truncated(to: width))
      #expect(a.bigEndianBytes(width: width).count == (width + 7) / 8)
      let extended = a.signExtended(from: width)
      #expect(extended.truncated(to: width) == a.truncated(to: width))
      #expect(
        width == 0
          ? extended.isZero
          : extended >= -WideInteger.powerOfTwo(width - 1)
            && extended < WideInteger.powerOfTwo(width - 1))
      #expect(WideInteger(parsing: a.hexadecimal) == a)
      #expect(WideInteger(twosComplement: (0..<8).map { a.word($0) }) == a)
    }
  }

  @Test func products() {
    for (a, b) in zip(Self.samples(60, seed: 4), Self.samples(60, seed: 5)) {
      #expect(Model(a * b) == Model(a).times(Model(b)))
    }
  }

  @Test func quotients() throws {
    for (a, b) in zip(Self.samples(300, seed: 6), Self.samples(300, seed: 7)) where !b.isZero {
      let (quotient, remainder) = try #require(a.divided(by: b))
      #expect(quotient * b + remainder == a)
      #expect(remainder.isZero || remainder.isNegative == a.isNegative)
      #expect(WideInteger(magnitude: remainder.magnitude) < WideInteger(magnitude: b.magnitude))
    }
    #expect(WideInteger(7).divided(by: .zero) == nil)
    #expect(WideInteger(-7).divided(by: WideInteger(2))?.quotient == WideInteger(-3))
  }

  @Test func smallValues() {
    #expect(WideInteger(-1).low64 == .max)
    #expect(WideInteger(-1) >> 5 == WideInteger(-1))
    #expect(WideInteger(-5) >> 1 == WideInteger(-3))
    #expect(WideInteger(Int.min).exactInt == Int.min)
    #expect((WideInteger(Int.min) - WideInteger(1)).exactInt == nil)
    #expect(WideInteger(UInt64.max).exactInt == nil)
    #expect(WideInteger(UInt64.max).exactUInt64 == .max)
    #expect(WideInteger(-1).exactUInt64 == nil)
    #expect(WideInteger.zero.exactUInt64 == 0 && WideInteger.zero.exactInt == 0)
    #expect(-WideInteger.zero == .zero && !(-WideInteger.zero).isNegative)
    #expect(WideInteger(255).bitWidth == 8 && WideInteger(-255).bitWidth == 8)
    #expect(WideInteger.zero.bitWidth == 0 && WideInteger.powerOfTwo(64).bitWidth == 65)
    #expect(WideInteger.ones(0) == .zero && WideInteger.ones(64) == WideInteger(UInt64.max))
    #expect(WideInteger(300).bigEndianBytes(width: 8) == [0x2c])
    #expect(WideInteger(-1).bigEndianBytes(width: 9) == [1, 0xff])
    #expect(WideInteger(bigEndian: [0, 1, 0x2c]) == WideInteger(300))
  }

  @Test(arguments: [
    ("0x0", 0), ("0x00", 0), ("0X1f", 31), ("-0x1F", -31), ("31", 31), ("-31", -31), ("0", 0),
    ("-0", 0), ("007", 7), ("18446744073709551615", -1), ("0x7fffffffffffffff", Int.max),
  ])
  func reads(text: String, value: Int) {
    let expected = value == -1 ? WideInteger(UInt64.max) : WideInteger(value)
    #expect(WideInteger(parsing: Text(bytes: Array(text.utf8))) == expected)
  }

  @Test(arguments: ["", "-", "0x", "-0x", "--1", "+1", " 1", "1 ", "0xg", "1f", "0x1.0", "x1"])
  func refuses(text: String) {
    #expect(WideInteger(parsing: Text(bytes: Array(text.utf8))) == nil)
  }

  @Test func readsLongNumbers() {
    // 10^40, and the same in hexadecimal.
    let decimal = WideInteger(
      parsing: Text(bytes: Array(("1" + String(repeating: "0", count: 40)).utf8)))
    var power = WideInteger(1)
    for _ in 0..<40 { power = power * WideInteger(10) }
    #expect(decimal == power)
    #expect(decimal?.hexadecimal == "0x1d6329f1c35ca4bfabb9f5610000000000")
    let digits = String(repeating: "f", count: WideInteger.digitsMax)
    #expect(
      WideInteger(parsing: Text(bytes: Array("0x\(digits)".utf8)))
        == .ones(WideInteger.digitsMax * 4))
    #expect(WideInteger(parsing: Text(bytes: Array("0x0\(digits)".utf8))) == nil)
  }
}

/// A generator that gives the same numbers for the same seed.
struct Xorshift: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state &* 0x2545_f491_4f6c_dd1d
  }
}
