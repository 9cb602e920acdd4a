/// UTF-8 text as plain bytes: what stands here for `String`, whose comparison and splitting would
/// bring Unicode tables into the firmware. For start-up and the control thread only.
package struct Text: Equatable, Sendable {
  package var bytes: [UInt8]

  package init(bytes: [UInt8] = []) { self.bytes = bytes }

  package init(_ span: RawSpan) {
    bytes = []
    append(span)
  }

  package var span: RawSpan {
    // The bytes of an array of UInt8 are all initialised.
    @_lifetime(borrow self) borrowing get { unsafe bytes.span.bytes }
  }

  package var isEmpty: Bool { bytes.isEmpty }

  package mutating func append(_ text: Text) { bytes.append(contentsOf: text.bytes) }

  package mutating func append(_ text: StaticString) {
    // A static string is either UTF-8 in the binary or one scalar; literals here are the former.
    let utf8 = unsafe UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    unsafe bytes.append(contentsOf: utf8)
  }

  package mutating func append(_ span: RawSpan) {
    unsafe span.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
  }

  package mutating func append(byte: UInt8) { bytes.append(byte) }

  /// In decimal.
  package mutating func append<Integer: FixedWidthInteger>(_ value: Integer) {
    if value < 0 { append(byte: UInt8(ascii: "-")) }
    append(UInt64(value.magnitude), radix: 10, width: 1)
  }

  /// In lower-case digits of `radix`, with leading zeros up to `width`.
  package mutating func append(_ value: UInt64, radix: UInt64, width: Int) {
    var divisor: UInt64 = 1
    var digits = 1
    while value / divisor >= radix {
      divisor *= radix
      digits += 1
    }
    for _ in 0..<max(0, width - digits) { append(byte: UInt8(ascii: "0")) }
    while divisor > 0 {
      let digit = UInt8(value / divisor % radix)
      append(byte: digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
      divisor /= radix
    }
  }

  /// Calls `body` with the bytes followed by a zero. The text must hold no zero itself; the
  /// configuration refuses such strings.
  package func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
    var terminated = bytes
    terminated.append(0)
    return unsafe terminated.withUnsafeBytes {
      unsafe body($0.baseAddress!.assumingMemoryBound(to: CChar.self))
    }
  }
}

extension Text: ExpressibleByStringInterpolation {
  package init(stringLiteral value: StaticString) {
    self.init()
    append(value)
  }

  package init(stringInterpolation: Interpolation) { self = stringInterpolation.text }

  package struct Interpolation: StringInterpolationProtocol {
    var text = Text()
    package init(literalCapacity: Int, interpolationCount: Int) {
      text.bytes.reserveCapacity(literalCapacity + 8 * interpolationCount)
    }
    package mutating func appendLiteral(_ literal: StaticString) { text.append(literal) }
    package mutating func appendInterpolation(_ value: Text) { text.append(value) }
    package mutating func appendInterpolation(_ value: StaticString) { text.append(value) }
    package mutating func appendInterpolation<Integer: FixedWidthInteger>(_ value: Integer) {
      text.append(value)
    }
  }
}

/// Up to 60 bytes of a longer text, for rows that travel through rings.
package struct ShortText: BitwiseCopyable, Sendable {
  package static let capacity = 60

  private var storage = InlineArray<60, UInt8>(repeating: 0)
  /// Bytes of the whole text.
  package private(set) var fullCount: UInt32 = 0

  package init() {}

  package init(_ text: RawSpan) { self.init(first: text, fullCount: text.byteCount) }

  /// A text of `fullCount` bytes of which at least those that are kept stand in `first`.
  package init(first: RawSpan, fullCount: Int) {
    self.fullCount = UInt32(fullCount)
    for index in 0..<min(fullCount, Self.capacity) { storage[index] = first.byte(at: index) }
  }

  package var isCut: Bool { fullCount > Self.capacity }

  /// The kept bytes, ended at a character and with "…" when the text was longer.
  package var text: Text {
    var count = min(Int(fullCount), Self.capacity)
    var text = Text()
    if isCut {
      // Back to the start of the character that the cut may have gone through.
      while count > 0, storage[count - 1] & 0xc0 == 0x80 { count -= 1 }
      count = max(0, count - 1)
    }
    for index in 0..<count { text.append(byte: storage[index]) }
    if isCut { text.append("…" as StaticString) }
    return text
  }
}
