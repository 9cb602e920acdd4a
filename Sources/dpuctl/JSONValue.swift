/// A JSON text as values. Objects keep the order of their members, because tables show it;
/// numbers stay text, because nothing here computes with more than integers.
enum JSONValue: Equatable {
  case object([Member])
  case array([JSONValue])
  case string(String)
  case number(String)
  case boolean(Bool)
  case null

  struct Member: Equatable {
    var key: String
    var value: JSONValue
  }

  /// The member of an object, null when there is none.
  subscript(key: String) -> JSONValue {
    guard case .object(let members) = self else { return .null }
    return members.first { $0.key == key }?.value ?? .null
  }

  var members: [Member] {
    if case .object(let members) = self { members } else { [] }
  }

  var elements: [JSONValue] {
    if case .array(let elements) = self { elements } else { [] }
  }

  var integer: Int? {
    if case .number(let digits) = self { Int(digits) } else { nil }
  }

  var isTrue: Bool { self == .boolean(true) }

  /// As a cell of a table; an array as its elements with commas.
  var cell: String {
    switch self {
    case .string(let text): text
    case .number(let digits): digits
    case .boolean(let value): value ? "yes" : "no"
    case .null: "-"
    case .array(let elements):
      elements.isEmpty ? "-" : elements.map(\.cell).joined(separator: ", ")
    case .object: text
    }
  }

  /// Compact JSON.
  var text: String {
    switch self {
    case .object(let members):
      "{" + members.map { Self.quote($0.key) + ":" + $0.value.text }.joined(separator: ",") + "}"
    case .array(let elements): "[" + elements.map(\.text).joined(separator: ",") + "]"
    case .string(let text): Self.quote(text)
    case .number(let digits): digits
    case .boolean(let value): value ? "true" : "false"
    case .null: "null"
    }
  }

  /// JSON for people: a member a line, short lists on one.
  var indented: String { indented(by: 0) }

  private func indented(by depth: Int) -> String {
    let line = "\n" + String(repeating: "  ", count: depth + 1)
    let end = "\n" + String(repeating: "  ", count: depth)
    switch self {
    case .object(let members) where !members.isEmpty:
      let inside = members.map { Self.quote($0.key) + ": " + $0.value.indented(by: depth + 1) }
      return "{" + line + inside.joined(separator: "," + line) + end + "}"
    case .array(let elements)
    where elements.contains { !$0.members.isEmpty || !$0.elements.isEmpty }:
      let inside = elements.map { $0.indented(by: depth + 1) }
      return "[" + line + inside.joined(separator: "," + line) + end + "]"
    default: return text
    }
  }

  static func quote(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\\(scalar)"
      case "\u{0}"..<"\u{20}", "\u{7f}":
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }

  /// Nil when `text` is not JSON.
  init?(_ text: String) {
    var parser = JSONParser(bytes: Array(text.utf8))
    guard let value = parser.wholeText() else { return nil }
    self = value
  }
}

/// Reads RFC 8259. It has no error positions: what it reads comes from the firmware.
private struct JSONParser {
  let bytes: [UInt8]
  private var offset = 0
  private var depth = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func wholeText() -> JSONValue? {
    guard let value = value() else { return nil }
    skipSpace()
    return offset == bytes.count ? value : nil
  }

  private var current: UInt8? { offset < bytes.count ? bytes[offset] : nil }

  private mutating func skipSpace() {
    while let byte = current, [0x20, 0x09, 0x0a, 0x0d].contains(byte) { offset += 1 }
  }

  private mutating func take(_ character: Character) -> Bool {
    skipSpace()
    guard current == character.asciiValue else { return false }
    offset += 1
    return true
  }

  private mutating func take(word: String) -> Bool {
    guard bytes[offset...].starts(with: word.utf8) else { return false }
    offset += word.utf8.count
    return true
  }

  private mutating func value() -> JSONValue? {
    skipSpace()
    switch current {
    case UInt8(ascii: "{"): return nested { $0.object() }
    case UInt8(ascii: "["): return nested { $0.array() }
    case UInt8(ascii: "\""): return string().map { .string($0) }
    case UInt8(ascii: "t"): return take(word: "true") ? .boolean(true) : nil
    case UInt8(ascii: "f"): return take(word: "false") ? .boolean(false) : nil
    case UInt8(ascii: "n"): return take(word: "null") ? .null : nil
    default: return number()
    }
  }

  private mutating func nested(_ body: (inout JSONParser) -> JSONValue?) -> JSONValue? {
    guard depth < 512 else { return nil }
    depth += 1
    defer { depth -= 1 }
    offset += 1
    return body(&self)
  }

  private mutating func object() -> JSONValue? {
    var members: [JSONValue.Member] = []
    if take("}") { return .object(members) }
    repeat {
      skipSpace()
      guard let key = string(), take(":"), let value = value() else { return nil }
      members.append(.init(key: key, value: value))
    } while take(",")
    return take("}") ? .object(members) : nil
  }

  private mutating func array() -> JSONValue? {
    var elements: [JSONValue] = []
    if take("]") { return .array(elements) }
    repeat {
      guard let value = value() else { return nil }
      elements.append(value)
    } while take(",")
    return take("]") ? .array(elements) : nil
  }

  private mutating func number() -> JSONValue? {
    let start = offset
    while let byte = current, "+-.eE0123456789".utf8.contains(byte) { offset += 1 }
    let digits = String(decoding: bytes[start..<offset], as: UTF8.self)
    return Double(digits) == nil ? nil : .number(digits)
  }

  private mutating func string() -> String? {
    guard current == UInt8(ascii: "\"") else { return nil }
    offset += 1
    var units: [UInt8] = []
    while let byte = current {
      offset += 1
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: units, as: UTF8.self)
      case UInt8(ascii: "\\"):
        guard let scalar = escaped() else { return nil }
        units += Array(String(scalar).utf8)
      case 0..<0x20: return nil
      default: units.append(byte)
      }
    }
    return nil
  }

  private mutating func escaped() -> Unicode.Scalar? {
    guard let byte = current else { return nil }
    offset += 1
    switch byte {
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): return unicode()
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    default: return nil
    }
  }

  private mutating func unicode() -> Unicode.Scalar? {
    guard let first = codeUnit() else { return nil }
    guard first & 0xfc00 == 0xd800 else { return Unicode.Scalar(first) }
    // A pair of surrogates.
    guard take(word: "\\u"), let second = codeUnit(), second & 0xfc00 == 0xdc00 else { return nil }
    return Unicode.Scalar(0x10000 + (first & 0x3ff) << 10 + second & 0x3ff)
  }

  private mutating func codeUnit() -> UInt32? {
    guard offset + 4 <= bytes.count else { return nil }
    let digits = String(decoding: bytes[offset..<offset + 4], as: UTF8.self)
    guard digits.allSatisfy(\.isHexDigit) else { return nil }
    offset += 4
    return UInt32(digits, radix: 16)
  }
}
