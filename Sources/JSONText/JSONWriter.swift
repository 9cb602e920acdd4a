package import DPUCore

/// Writes JSON as text, without a tree: commas are put by themselves, keys and values in the
/// order of the calls. What is text comes out as valid UTF-8 whatever went in.
package struct JSONWriter {
  package private(set) var text = Text()
  private var needsComma = false

  package init() {}

  package mutating func beginObject() { open(UInt8(ascii: "{")) }
  package mutating func endObject() { close(UInt8(ascii: "}")) }
  package mutating func beginArray() { open(UInt8(ascii: "[")) }
  package mutating func endArray() { close(UInt8(ascii: "]")) }

  package mutating func key(_ key: StaticString) {
    separate()
    quote(Text(stringLiteral: key))
    text.append(byte: UInt8(ascii: ":"))
    needsComma = false
  }

  /// A key that is not known when this is compiled.
  package mutating func key(text key: Text) {
    separate()
    quote(key)
    text.append(byte: UInt8(ascii: ":"))
    needsComma = false
  }

  package mutating func value<Integer: FixedWidthInteger>(_ value: Integer) {
    separate()
    text.append(value)
  }

  package mutating func value(_ value: Bool) { literal(value ? "true" : "false") }
  package mutating func null() { literal("null") }

  package mutating func value(text string: Text) {
    separate()
    quote(string)
  }

  package mutating func value(string: StaticString) { value(text: Text(stringLiteral: string)) }

  // MARK: Members

  package mutating func member<Integer: FixedWidthInteger>(_ key: StaticString, _ value: Integer) {
    self.key(key)
    self.value(value)
  }

  package mutating func member(_ key: StaticString, _ value: Bool) {
    self.key(key)
    self.value(value)
  }

  package mutating func member(_ key: StaticString, text: Text) {
    self.key(key)
    value(text: text)
  }

  package mutating func member(_ key: StaticString, string: StaticString) {
    self.key(key)
    value(string: string)
  }

  /// Nil is written as null.
  package mutating func member(_ key: StaticString, optional value: Int?) {
    self.key(key)
    if let value { self.value(value) } else { null() }
  }

  /// Appends one value that another writer has finished.
  package mutating func value(finished other: JSONWriter) {
    separate()
    text.append(other.text)
  }

  /// Appends a value of a parsed text as it is.
  package mutating func value(node: JSONNode) {
    separate()
    text.append(node.json)
  }

  // MARK: Pieces

  private mutating func open(_ bracket: UInt8) {
    separate()
    text.append(byte: bracket)
    needsComma = false
  }

  private mutating func close(_ bracket: UInt8) {
    text.append(byte: bracket)
    needsComma = true
  }

  private mutating func separate() {
    if needsComma { text.append(byte: UInt8(ascii: ",")) }
    needsComma = true
  }

  private mutating func literal(_ word: StaticString) {
    separate()
    text.append(word)
  }

  /// RFC 8259, section 7. Bytes that are not UTF-8 become U+FFFD one by one.
  private mutating func quote(_ string: Text) {
    let bytes = string.bytes
    text.append(byte: UInt8(ascii: "\""))
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      let length = utf8Length(bytes, at: index)
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        text.append(byte: UInt8(ascii: "\\"))
        text.append(byte: byte)
      case 0..<0x20, 0x7f:
        text.append("\\u" as StaticString)
        text.append(UInt64(byte), radix: 16, width: 4)
      default:
        if length == 0 {
          text.append("\u{fffd}" as StaticString)
        } else {
          for offset in 0..<length { text.append(byte: bytes[index + offset]) }
        }
      }
      index += max(1, length)
    }
    text.append(byte: UInt8(ascii: "\""))
  }
}

/// Bytes of the character at `index`, 0 when none starts there (RFC 3629, section 4).
private func utf8Length(_ bytes: [UInt8], at index: Int) -> Int {
  let first = bytes[index]
  if first < 0x80 { return 1 }
  let length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0
  guard length > 0, index + length <= bytes.count else { return 0 }
  for offset in 1..<length where bytes[index + offset] & 0xc0 != 0x80 { return 0 }
  let second = bytes[index + 1]
  switch first {
  case 0xe0: return second >= 0xa0 ? length : 0
  case 0xed: return second < 0xa0 ? length : 0
  case 0xf0: return second >= 0x90 ? length : 0
  case 0xf4: return second < 0x90 ? length : 0
  default: return length
  }
}

extension JSONWriter {
  /// The members of one array under `key`.
  package mutating func array<Element>(
    _ key: StaticString, _ elements: some Sequence<Element>,
    _ body: (inout JSONWriter, Element) -> Void
  ) {
    self.key(key)
    beginArray()
    for element in elements { body(&self, element) }
    endArray()
  }
}
