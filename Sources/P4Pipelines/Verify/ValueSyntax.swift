package import DPUCore

/// Numbers and match keys as people write them in scripts.
package enum ValueSyntax {
  /// `0x1f`, `0b101`, `0o17`, `31`, `-3`, `10.0.0.1`, `02:00:00:00:00:01`, `fd77::1`; nil for
  /// anything else.
  package static func number(_ text: Text) -> WideInteger? {
    if text.hasStart("0b") || text.hasStart("0B") { return digits(text, bits: 1) }
    if text.hasStart("0o") || text.hasStart("0O") { return digits(text, bits: 3) }
    if text.bytes.contains(UInt8(ascii: ".")) { return dotted(text) }
    if text.bytes.contains(UInt8(ascii: ":")) { return withColons(text) }
    return WideInteger(parsing: text)
  }

  private static func digits(_ text: Text, bits: Int) -> WideInteger? {
    guard text.bytes.count > 2, text.bytes.count < WideInteger.digitsMax else { return nil }
    var value = WideInteger.zero
    for byte in text.bytes.dropFirst(2) {
      guard byte >= UInt8(ascii: "0"), byte < UInt8(ascii: "0") + (1 << bits) else { return nil }
      value = value << bits | WideInteger(UInt64(byte - UInt8(ascii: "0")))
    }
    return value
  }

  private static func dotted(_ text: Text) -> WideInteger? {
    let parts = ScriptWord(text.bytes[...], column: 1).split(at: UInt8(ascii: "."))
    guard parts.count == 4 else { return nil }
    var value: UInt64 = 0
    for part in parts {
      guard let byte = part.text.decimal, byte < 256 else { return nil }
      value = value << 8 | UInt64(byte)
    }
    return WideInteger(value)
  }

  /// Six groups are a MAC address, anything else an IPv6 address.
  private static func withColons(_ text: Text) -> WideInteger? {
    let parts = pieces(of: text)
    if parts.count == 6, text.firstRange(of: "::") == nil {
      return groups(parts, digits: 2)
    }
    guard let gap = text.firstRange(of: "::") else {
      return parts.count == 8 ? groups(parts, digits: 4) : nil
    }
    let before = Text(bytes: Array(text.bytes[..<gap.lowerBound]))
    let after = Text(bytes: Array(text.bytes[gap.upperBound...]))
    let high = pieces(of: before)
    let low = pieces(of: after)
    guard high.count + low.count < 8, let top = groups(high, digits: 4),
      let bottom = groups(low, digits: 4)
    else { return nil }
    return top << (16 * (8 - high.count)) | bottom
  }

  private static func pieces(of text: Text) -> [Text] {
    var pieces: [Text] = []
    if text.isEmpty { return pieces }
    for word in ScriptWord(text.bytes[...], column: 1).split(at: UInt8(ascii: ":")) {
      pieces.append(word.text)
    }
    return pieces
  }

  private static func groups(_ parts: [Text], digits: Int) -> WideInteger? {
    var value = WideInteger.zero
    for part in parts {
      guard !part.isEmpty, part.bytes.count <= digits else { return nil }
      var group: UInt64 = 0
      for byte in part.bytes {
        guard let nibble = Text.nibble(byte) else { return nil }
        group = group << 4 | UInt64(nibble)
      }
      value = value << (4 * digits) | WideInteger(group)
    }
    return value
  }

  // MARK: Match keys

  /// In the words of simple_switch_CLI: `value`, `value/length`, `value&&&mask`, `low->high`.
  static func key(_ text: Text, for key: P4Program.TableKey) -> P4Program.KeyMatch? {
    let word = ScriptWord(text.bytes[...], column: 1)
    switch key.kind {
    case .exact: return number(text).map { .exact($0) }
    case .valid: return truth(text).map { .valid($0) }
    case .lpm:
      guard let (value, length) = word.divided(at: "/"), let length = length.text.decimal,
        let value = number(value.text)
      else { return nil }
      return .lpm(value, length: length)
    case .ternary:
      return masked(word).map { .ternary($0.value & $0.mask, mask: $0.mask) }
    case .optional:
      guard let (value, mask) = masked(word) else { return number(text).map { .optional($0) } }
      if mask.isZero { return .optional(nil) }
      return mask == .ones(key.width) ? .optional(value) : nil
    case .range:
      return range(word, "->")
    }
  }

  /// In the words of STF, where `*` stands for a digit that may be anything, and where a ternary
  /// value compares only the digits it has: p4c's own runner gives `0x12` the mask 0xff whatever
  /// the width of the key.
  static func stfKey(_ text: Text, for key: P4Program.TableKey) -> P4Program.KeyMatch? {
    let word = ScriptWord(text.bytes[...], column: 1)
    switch key.kind {
    case .exact, .valid: return Self.key(text, for: key)
    case .lpm:
      if text.bytes.contains(UInt8(ascii: "/")) { return Self.key(text, for: key) }
      guard let digits = wildDigits(text) else {
        return number(text).map { .lpm($0, length: key.width) }
      }
      return .lpm(digits.value, length: min(digits.length, key.width))
    case .ternary:
      if text.firstRange(of: "&&&") != nil { return Self.key(text, for: key) }
      guard let digits = wildDigits(text) else {
        return number(text).map { .ternary($0, mask: .ones(key.width)) }
      }
      let mask = digits.mask & .ones(key.width)
      return .ternary(digits.value, mask: mask)
    case .optional:
      if text == "*" { return .optional(nil) }
      if text.firstRange(of: "&&&") != nil { return Self.key(text, for: key) }
      guard let digits = wildDigits(text), text.bytes.contains(UInt8(ascii: "*")) else {
        return number(text).map { .optional($0) }
      }
      return digits.mask.isZero ? .optional(nil) : nil
    case .range:
      if let range = range(word, "->") ?? range(word, "..") { return range }
      return number(text).map { .range($0, $0) }
    }
  }

  /// The key of a table that an STF line does not mention.
  static func anything(for key: P4Program.TableKey) -> P4Program.KeyMatch {
    switch key.kind {
    case .exact: .exact(.zero)
    case .valid: .valid(false)
    case .lpm: .lpm(.zero, length: 0)
    case .ternary: .ternary(.zero, mask: .zero)
    case .optional: .optional(nil)
    case .range: .range(.zero, .ones(key.width))
    }
  }

  static func truth(_ text: Text) -> Bool? {
    if text == "true" { return true }
    if text == "false" { return false }
    guard let value = number(text), value == .zero || value == WideInteger(1) else { return nil }
    return !value.isZero
  }

  private static func masked(_ word: ScriptWord) -> (value: WideInteger, mask: WideInteger)? {
    guard let (value, mask) = word.divided(at: "&&&"), let value = number(value.text),
      let mask = number(mask.text)
    else { return nil }
    return (value, mask)
  }

  private static func range(
    _ word: ScriptWord, _ separator: StaticString
  ) -> P4Program.KeyMatch? {
    guard let (low, high) = word.divided(at: separator), let low = number(low.text),
      let high = number(high.text)
    else { return nil }
    return .range(low, high)
  }

  /// `0x12**`, `0b1*0`, `0o7*`: the value with zeros for stars, the mask of the other digits, and
  /// the bits of those digits. Nil without such a prefix.
  private static func wildDigits(
    _ text: Text
  ) -> (value: WideInteger, mask: WideInteger, length: Int)? {
    guard text.bytes.count > 2, text.bytes[0] == UInt8(ascii: "0") else { return nil }
    let bits: Int
    switch text.bytes[1] | 0x20 {
    case UInt8(ascii: "x"): bits = 4
    case UInt8(ascii: "o"): bits = 3
    case UInt8(ascii: "b"): bits = 1
    default: return nil
    }
    var value = WideInteger.zero
    var mask = WideInteger.zero
    var length = 0
    for byte in text.bytes.dropFirst(2) {
      value = value << bits
      mask = mask << bits
      if byte == UInt8(ascii: "*") { continue }
      guard let digit = Text.nibble(byte), digit < 1 << bits else { return nil }
      value = value | WideInteger(UInt64(digit))
      mask = mask | .ones(bits)
      length += bits
    }
    return (value, mask, length)
  }
}
