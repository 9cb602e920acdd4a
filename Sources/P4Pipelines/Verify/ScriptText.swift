package import DPUCore

/// What is wrong with a script, and where: lines and columns from 1, as editors count them.
package struct ScriptError: Error, Equatable, Sendable {
  package var line: Int
  package var column: Int
  package var message: Text

  package init(line: Int, column: Int, message: Text) {
    self.line = line
    self.column = column
    self.message = message
  }
}

/// One line of a script: a position that moves over its bytes, and words cut from there.
struct ScriptLine {
  let bytes: [UInt8]
  /// Counted from 1.
  let number: Int
  var position = 0

  /// The text up to a `#`.
  init(_ bytes: ArraySlice<UInt8>, number: Int, commentsAfterHash: Bool = true) {
    var kept: [UInt8] = []
    for byte in bytes {
      if commentsAfterHash && byte == UInt8(ascii: "#") { break }
      kept.append(byte)
    }
    self.bytes = kept
    self.number = number
  }

  static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0d }

  var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  mutating func skipSpace() {
    while let byte = current, Self.isSpace(byte) { position += 1 }
  }

  /// True when nothing but space is left.
  mutating func isAtEnd() -> Bool {
    skipSpace()
    return position == bytes.count
  }

  /// The bytes up to the next space; nil at the end.
  mutating func word() -> ScriptWord? {
    skipSpace()
    let start = position
    while let byte = current, !Self.isSpace(byte) { position += 1 }
    return start == position ? nil : ScriptWord(bytes[start..<position], column: start + 1)
  }

  /// All words that are left.
  mutating func words() -> [ScriptWord] {
    var found: [ScriptWord] = []
    while let word = word() { found.append(word) }
    return found
  }

  /// Everything that is left, without the spaces around it.
  mutating func rest() -> ScriptWord {
    skipSpace()
    let start = position
    position = bytes.count
    return ScriptWord(bytes[start..<bytes.count], column: start + 1).trimmed
  }

  /// At the current place, unless told otherwise.
  func error(_ message: Text, at word: ScriptWord? = nil) -> ScriptError {
    ScriptError(line: number, column: word?.column ?? position + 1, message: message)
  }
}

/// A piece of a line.
package struct ScriptWord: Equatable, Sendable {
  package var text: Text
  /// Counted from 1.
  package var column: Int

  init(_ bytes: ArraySlice<UInt8>, column: Int) {
    text = Text(bytes: Array(bytes))
    self.column = column
  }

  /// The pieces between `separator`s; one piece when there is none.
  func split(at separator: UInt8) -> [ScriptWord] {
    var pieces: [ScriptWord] = []
    var start = 0
    for index in 0...text.bytes.count
    where index == text.bytes.count || text.bytes[index] == separator {
      pieces.append(ScriptWord(text.bytes[start..<index], column: column + start))
      start = index + 1
    }
    return pieces
  }

  /// What stands before and after the first `separator`; nil when there is none.
  func divided(at separator: StaticString) -> (before: ScriptWord, after: ScriptWord)? {
    guard let place = text.firstRange(of: separator) else { return nil }
    let bytes = text.bytes
    return (
      ScriptWord(bytes[..<place.lowerBound], column: column),
      ScriptWord(bytes[place.upperBound...], column: column + place.upperBound)
    )
  }

  var trimmed: ScriptWord {
    var start = 0
    var end = text.bytes.count
    while start < end, ScriptLine.isSpace(text.bytes[start]) { start += 1 }
    while end > start, ScriptLine.isSpace(text.bytes[end - 1]) { end -= 1 }
    return ScriptWord(text.bytes[start..<end], column: column + start)
  }
}

extension Text {
  func firstRange(of wanted: StaticString) -> Range<Int>? {
    let wanted = Text(stringLiteral: wanted).bytes
    guard bytes.count >= wanted.count else { return nil }
    for start in 0...bytes.count - wanted.count
    where bytes[start..<start + wanted.count] == wanted[...] {
      return start..<start + wanted.count
    }
    return nil
  }

  func hasStart(_ wanted: StaticString) -> Bool { firstRange(of: wanted)?.lowerBound == 0 }

  func hasEnd(_ wanted: StaticString) -> Bool {
    let wanted = Text(stringLiteral: wanted).bytes
    return bytes.count >= wanted.count && bytes[(bytes.count - wanted.count)...] == wanted[...]
  }

  /// ASCII letters made small.
  var lowercased: Text {
    Text(bytes: bytes.map { $0 >= 0x41 && $0 <= 0x5a ? $0 | 0x20 : $0 })
  }

  var isDecimal: Bool {
    !isEmpty && bytes.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
  }

  /// Nil when it is no decimal number that fits.
  var decimal: Int? {
    guard isDecimal else { return nil }
    var value = 0
    for byte in bytes {
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
      if overflow || carry { return nil }
      value = sum
    }
    return value
  }

  /// Two digits a byte.
  package static func hexadecimal(_ bytes: some Collection<UInt8>) -> Text {
    var text = Text()
    for byte in bytes { text.append(UInt64(byte), radix: 16, width: 2) }
    return text
  }

  /// The value of a hexadecimal digit.
  static func nibble(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
