import DPUCore
import JSONText
import P4Pipelines

/// Values and match keys of requests, as people and programs write them.
///
/// A value is an integer, or a string: `0x1f`, `31`, `10.0.0.1`, `fd77::1`, `02:00:00:00:00:01`.
/// A key is a value and, by its kind: `10.0.0.0/8`, `0x10&&&0xf0`, `80..443`, `*`; or an object with
/// the members `value` and `prefix` or `mask`, or `low` and `high`.
enum ValueReader {
  static func value(
    _ field: JSONField, width: Int
  ) throws(JSONField.Problem) -> WideInteger {
    if let integer = field.node.integer {
      guard integer >= 0 else { throw field.problem("must not be negative, is \(integer)") }
      return try checked(WideInteger(UInt64(integer)), width: width, field)
    }
    guard field.node.kind == .string else {
      throw field.problem("must be a number or a string, is \(field.node.kind.name)")
    }
    return try number(try field.text(maximumBytes: Limits.valueBytes), width: width, field)
  }

  private enum Limits {
    /// A number of 2,048 bits in hexadecimal, twice, with a mark between.
    static let valueBytes = 2_048
  }

  private static func number(
    _ text: Text, width: Int, _ field: JSONField
  ) throws(JSONField.Problem) -> WideInteger {
    guard let value = ValueSyntax.number(text) else {
      throw field.problem("\(ShortText(text.span).text) is no number and no address")
    }
    return try checked(value, width: width, field)
  }

  private static func checked(
    _ value: WideInteger, width: Int, _ field: JSONField
  ) throws(JSONField.Problem) -> WideInteger {
    guard !value.isNegative, value.bitWidth <= width else {
      throw field.problem("\(value.hexadecimal) does not fit \(width) bits")
    }
    return value
  }

  // MARK: Keys

  static func key(
    _ field: JSONField, for key: P4Program.TableKey
  ) throws(JSONField.Problem) -> P4Program.KeyMatch {
    switch field.node.kind {
    case .object: return try pair(field, for: key)
    case .null: return try anything(for: key, field)
    case .true, .false:
      guard key.kind == .valid else { break }
      return .valid(try field.boolean())
    default: break
    }
    guard let text = field.node.text else {
      return whole(try value(field, width: key.width), key)
    }
    if text == "*" { return try anything(for: key, field) }
    return try written(text, for: key, field)
  }

  /// A key that was left out: anything, where the kind allows that.
  static func omitted(
    _ key: P4Program.TableKey, _ path: JSONPath
  ) throws(JSONField.Problem) -> P4Program.KeyMatch {
    guard let match = anything(for: key) else {
      throw JSONField.Problem(path: path, message: "has no key \"\(key.name)\"")
    }
    return match
  }

  private static func anything(for key: P4Program.TableKey) -> P4Program.KeyMatch? {
    switch key.kind {
    case .exact, .valid: nil
    case .lpm: .lpm(.zero, length: 0)
    case .ternary: .ternary(.zero, mask: .zero)
    case .range: .range(.zero, .ones(key.width))
    case .optional: .optional(nil)
    }
  }

  private static func anything(
    for key: P4Program.TableKey, _ field: JSONField
  ) throws(JSONField.Problem) -> P4Program.KeyMatch {
    guard let match = anything(for: key) else {
      throw field.problem("\(key.name) must be given exactly")
    }
    return match
  }

  /// One value.
  private static func whole(
    _ value: WideInteger, _ key: P4Program.TableKey
  ) -> P4Program.KeyMatch {
    switch key.kind {
    case .exact: .exact(value)
    case .lpm: .lpm(value, length: key.width)
    case .ternary: .ternary(value, mask: .ones(key.width))
    case .range: .range(value, value)
    case .optional: .optional(value)
    case .valid: .valid(!value.isZero)
    }
  }

  private static func written(
    _ text: Text, for key: P4Program.TableKey, _ field: JSONField
  ) throws(JSONField.Problem) -> P4Program.KeyMatch {
    if let (value, mask) = split(text, at: "&&&") {
      return try masked(
        number(value, width: key.width, field), number(mask, width: key.width, field), key, field)
    }
    if let (low, high) = split(text, at: "..") {
      return try range(
        number(low, width: key.width, field), number(high, width: key.width, field), key, field)
    }
    if let (value, prefix) = split(text, at: "/") {
      let length = try number(prefix, width: 16, field)
      return try prefixed(
        number(value, width: key.width, field), length.exactInt ?? Int.max, key, field)
    }
    return whole(try number(text, width: key.width, field), key)
  }

  private static func pair(
    _ field: JSONField, for key: P4Program.TableKey
  ) throws(JSONField.Problem) -> P4Program.KeyMatch {
    var first: WideInteger?
    var mask: WideInteger?
    var high: WideInteger?
    var low: WideInteger?
    var prefix: Int?
    for member in try field.members() {
      switch member.key {
      case "value": first = try value(member.field, width: key.width)
      case "mask": mask = try value(member.field, width: key.width)
      case "prefix": prefix = try member.field.integer(0...key.width)
      case "low": low = try value(member.field, width: key.width)
      case "high": high = try value(member.field, width: key.width)
      default: throw member.unknown("value, mask, prefix, low, high")
      }
    }
    if let low, let high, first == nil, mask == nil, prefix == nil {
      return try range(low, high, key, field)
    }
    guard let first, low == nil, high == nil, mask == nil || prefix == nil else {
      throw field.problem("must have value, value and mask, value and prefix, or low and high")
    }
    if let mask { return try masked(first, mask, key, field) }
    if let prefix { return try prefixed(first, prefix, key, field) }
    return whole(first, key)
  }

  private static func masked(
    _ value: WideInteger, _ mask: WideInteger, _ key: P4Program.TableKey, _ field: JSONField
  ) throws(JSONField.Problem) -> P4Program.KeyMatch {
    guard key.kind == .ternary else {
      throw field.problem("\(key.name) is matched \(key.kind.word) and takes no mask")
    }
    return .ternary(value & mask, mask: mask)
  }

  private static func range(
    _ low: WideInteger, _ high: WideInteger, _ key: P4Program.TableKey, _ field: JSONField
  ) throws(JSONField.Problem) -> P4Program.KeyMatch {
    guard key.kind == .range else {
      throw field.problem("\(key.name) is matched \(key.kind.word) and takes no range")
    }
    guard low == high || low < high else { throw field.problem("the range is empty") }
    return .range(low, high)
  }

  private static func prefixed(
    _ value: WideInteger, _ length: Int, _ key: P4Program.TableKey, _ field: JSONField
  ) throws(JSONField.Problem) -> P4Program.KeyMatch {
    guard length <= key.width else {
      throw field.problem("the prefix must lie between 0 and \(key.width)")
    }
    let mask = .ones(key.width) - .ones(key.width - length)
    switch key.kind {
    case .lpm: return .lpm(value & mask, length: length)
    case .ternary: return .ternary(value & mask, mask: mask)
    default: throw field.problem("\(key.name) is matched \(key.kind.word) and takes no prefix")
    }
  }

  /// The parts before and behind the first `mark`; nil when it is not there.
  private static func split(_ text: Text, at mark: StaticString) -> (Text, Text)? {
    let mark = Text(stringLiteral: mark).bytes
    let bytes = text.bytes
    guard bytes.count > mark.count else { return nil }
    for start in 0...(bytes.count - mark.count)
    where bytes[start..<start + mark.count].elementsEqual(mark) {
      return (
        Text(bytes: Array(bytes[..<start])), Text(bytes: Array(bytes[(start + mark.count)...]))
      )
    }
    return nil
  }
}
