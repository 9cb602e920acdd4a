import DPUCore
import JSONText
import P4Pipelines

extension JSONWriter {
  /// Values of fields of up to 48 bits are numbers, so that every reader of JSON takes them whole;
  /// wider ones are strings, `0x…`. It depends on the field, not on the value.
  mutating func value(_ value: WideInteger, width: Int) {
    if width <= 48 { self.value(value.low64) } else { self.value(text: value.hexadecimal) }
  }

  /// In a form that a request may hold.
  mutating func value(_ match: P4Program.KeyMatch, width: Int) {
    switch match {
    case .exact(let exact): value(exact, width: width)
    case .lpm(let prefix, let length): value(text: "\(prefix.hexadecimal)/\(length)")
    case .ternary(_, let mask) where mask.isZero: value(string: "*")
    case .ternary(let bits, let mask) where mask == .ones(width): value(bits, width: width)
    case .ternary(let bits, let mask):
      value(text: "\(bits.hexadecimal)&&&\(mask.hexadecimal)")
    case .range(let low, let high) where low == high: value(low, width: width)
    case .range(let low, let high) where low.isZero && high == .ones(width): value(string: "*")
    case .range(let low, let high):
      if width <= 48 {
        value(text: "\(low.low64)..\(high.low64)")
      } else {
        value(text: "\(low.hexadecimal)..\(high.hexadecimal)")
      }
    case .optional(nil): value(string: "*")
    case .optional(let some?): value(some, width: width)
    case .valid(let isValid): value(isValid)
    }
  }

  /// Bytes as a string of hexadecimal digits.
  mutating func member(_ key: StaticString, hexadecimal bytes: RawSpan) {
    var text = Text()
    text.bytes.reserveCapacity(2 * bytes.byteCount)
    for index in 0..<bytes.byteCount {
      text.append(UInt64(bytes.byte(at: index)), radix: 16, width: 2)
    }
    member(key, text: text)
  }

  /// The members of one array under `key`.
  mutating func array<Element>(
    _ key: StaticString, _ elements: some Sequence<Element>,
    _ body: (inout JSONWriter, Element) -> Void
  ) {
    self.key(key)
    beginArray()
    for element in elements { body(&self, element) }
    endArray()
  }
}

extension JSONField {
  /// Bytes written as hexadecimal digits; blanks and colons between them are overlooked.
  func packet(maximumBytes: Int) throws(Problem) -> [UInt8] {
    guard let text = node.text else {
      throw problem("must be a string of hexadecimal digits, is \(node.kind.name)")
    }
    var bytes: [UInt8] = []
    var half: UInt8?
    for character in text.bytes
    where character != UInt8(ascii: " ") && character != UInt8(ascii: ":") {
      guard let digit = hexadecimalDigit(character) else {
        throw problem("must be a string of hexadecimal digits")
      }
      if let high = half {
        bytes.append(high << 4 | digit)
        half = nil
      } else {
        half = digit
      }
    }
    guard half == nil else { throw problem("must have an even number of digits") }
    guard bytes.count <= maximumBytes, !bytes.isEmpty else {
      throw problem("must be 1 to \(maximumBytes) bytes long, is \(bytes.count)")
    }
    return bytes
  }
}

private func hexadecimalDigit(_ character: UInt8) -> UInt8? {
  switch character {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
  default: nil
  }
}
