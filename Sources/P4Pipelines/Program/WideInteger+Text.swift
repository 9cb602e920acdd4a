package import DPUCore

// Wide integers as bytes and as text.

extension WideInteger {
  /// The longest number that is read, in digits: 16,384 bits in hexadecimal. Reading decimal
  /// takes time with the square of the length.
  package static let digitsMax = 4_096

  /// The value modulo 2^`width` in `(width + 7) / 8` bytes, most significant first.
  package func bigEndianBytes(width: Int) -> [UInt8] {
    let value = truncated(to: width)
    let count = (width + 7) / 8
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    for index in (0..<count).reversed() {
      bytes.append(UInt8(truncatingIfNeeded: value.word(index / 8) >> UInt64(index % 8 * 8)))
    }
    return bytes
  }

  /// A number that is not negative, most significant byte first.
  package init(bigEndian bytes: RawSpan) {
    var words = [UInt64](repeating: 0, count: (bytes.byteCount + 7) / 8)
    for index in 0..<bytes.byteCount {
      let place = bytes.byteCount - 1 - index
      words[place / 8] |= UInt64(bytes.byte(at: index)) << UInt64(place % 8 * 8)
    }
    self.init(magnitude: words)
  }

  package init(bigEndian bytes: [UInt8]) {
    self.init(bigEndian: Text(bytes: bytes).span)
  }

  /// Reads `0x1f`, `-0x1f`, `31` or `-31`; nil for anything else and beyond `digitsMax`.
  package init?(parsing text: Text) {
    let bytes = text.bytes
    var index = 0
    let isNegative = bytes.first == UInt8(ascii: "-")
    if isNegative { index = 1 }
    let isHexadecimal =
      bytes.count > index + 1 && bytes[index] == UInt8(ascii: "0")
      && bytes[index + 1] | 0x20 == UInt8(ascii: "x")
    if isHexadecimal { index += 2 }
    guard index < bytes.count, bytes.count - index <= Self.digitsMax else { return nil }
    var words: [UInt64] = []
    if isHexadecimal {
      words = [UInt64](repeating: 0, count: (bytes.count - index + 15) / 16)
      for position in index..<bytes.count {
        guard let digit = Self.digit(bytes[position]) else { return nil }
        let place = bytes.count - 1 - position
        words[place / 16] |= digit << UInt64(place % 16 * 4)
      }
    } else {
      for position in index..<bytes.count {
        guard let digit = Self.digit(bytes[position]), digit < 10 else { return nil }
        var carry = digit
        for place in words.indices {
          let (high, low) = words[place].multipliedFullWidth(by: 10)
          let (sum, overflow) = low.addingReportingOverflow(carry)
          words[place] = sum
          carry = high + (overflow ? 1 : 0)
        }
        if carry != 0 { words.append(carry) }
      }
    }
    self.init(magnitude: words, isNegative: isNegative)
  }

  private static func digit(_ byte: UInt8) -> UInt64? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
    default: nil
    }
  }

  /// `0x1f`, `-0x1f`, `0x0`.
  package var hexadecimal: Text {
    var text = Text()
    if isNegative { text.append(byte: UInt8(ascii: "-")) }
    text.append("0x" as StaticString)
    guard let last = magnitude.last else {
      text.append(byte: UInt8(ascii: "0"))
      return text
    }
    text.append(last, radix: 16, width: 1)
    for word in magnitude.dropLast().reversed() { text.append(word, radix: 16, width: 16) }
    return text
  }
}
