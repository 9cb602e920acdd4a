import DPUCore

// Bytes in requests and answers: two hexadecimal digits each.

extension JSONWriter {
  /// Bytes as a string of hexadecimal digits.
  package mutating func member(_ key: StaticString, hexadecimal bytes: RawSpan) {
    var text = Text()
    text.bytes.reserveCapacity(2 * bytes.byteCount)
    for index in 0..<bytes.byteCount {
      text.append(UInt64(bytes.byte(at: index)), radix: 16, width: 2)
    }
    member(key, text: text)
  }
}

extension JSONField {
  /// Bytes written as hexadecimal digits; blanks and colons between them are overlooked.
  package func packet(maximumBytes: Int) throws(Problem) -> [UInt8] {
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
