import DPUCore
import P4Pipelines

/// Makes records for `p4.write` of writes as a batch has them, with what `p4.info` says about the
/// program.
struct RecordEncoder {
  private struct Table {
    var name: String
    var keys: [(name: String, kind: P4Program.MatchKind, width: Int)]
    /// Indices into `actions`.
    var actions: [Int]
  }
  private var tables: [Table] = []
  private var actions: [(name: String, parameters: [(name: String, width: Int)])] = []

  init(_ info: JSONValue) throws {
    for row in info["actions"].elements {
      actions.append(
        (
          row["name"].cell,
          row["parameters"].elements.map { ($0["name"].cell, $0["width"].integer ?? 0) }
        ))
    }
    for row in info["tables"].elements {
      var keys: [(name: String, kind: P4Program.MatchKind, width: Int)] = []
      for key in row["keys"].elements {
        guard let kind = P4Program.MatchKind.allCases.first(where: { "\($0)" == key["match"].cell })
        else { throw Failure.refused("a key is matched \(key["match"].cell)") }
        keys.append((key["name"].cell, kind, key["width"].integer ?? 0))
      }
      tables.append(
        Table(
          name: row["name"].cell, keys: keys,
          actions: row["actionNumbers"].elements.compactMap(\.integer)
            .filter(actions.indices.contains)))
    }
  }

  /// The records of all `writes`; a complaint says which of them cannot be one.
  func records(_ writes: [JSONValue]) throws -> [UInt8] {
    var bytes: [UInt8] = []
    for (place, write) in writes.enumerated() {
      do throws(Complaint) {
        try append(write, to: &bytes)
      } catch {
        throw Failure.usage("write \(place): \(error.text)")
      }
    }
    return bytes
  }

  private struct Complaint: Error {
    var text: String
    init(_ text: String) { self.text = text }
  }

  private static let known: [String: Set<String>] = [
    "p4.table.insert": [
      "method", "table", "keys", "priority", "action", "arguments", "member", "group",
      "timeoutMilliseconds",
    ],
    "p4.table.modify": [
      "method", "table", "keys", "priority", "action", "arguments", "member", "group",
    ],
    "p4.table.delete": ["method", "table", "keys", "priority"],
  ]

  private func append(_ write: JSONValue, to bytes: inout [UInt8]) throws(Complaint) {
    let method = write["method"].cell
    guard let known = Self.known[method] else { throw Complaint("\(method) has no record") }
    for member in write.members where !known.contains(member.key) {
      throw Complaint("a record of \(method) takes no \(member.key)")
    }
    let place = try Self.find(write["table"].cell, among: tables.map(\.name), "table")
    let table = tables[place]
    var update = TableUpdate(
      method == "p4.table.insert" ? .insert : method == "p4.table.modify" ? .modify : .delete,
      table: place, keys: try keys(write["keys"], of: table))
    update.priority = try Self.number(write["priority"]) ?? 0
    update.timeoutMilliseconds = try Self.number(write["timeoutMilliseconds"]) ?? 0
    var widths: [Int] = []
    if update.operation != .delete {
      if let member = try Self.number(write["member"]) {
        update.action = .member(member)
      } else if let group = try Self.number(write["group"]) {
        update.action = .group(group)
      } else {
        let found = try Self.find(
          write["action"].cell, among: table.actions.map { actions[$0].name }, "action")
        let action = table.actions[found]
        widths = actions[action].parameters.map(\.width)
        update.action = .action(
          action, try arguments(write["arguments"], of: actions[action].parameters))
      }
    }
    update.append(to: &bytes, keyWidths: table.keys.map(\.width), argumentWidths: widths)
  }

  private func keys(
    _ given: JSONValue, of table: Table
  ) throws(Complaint) -> [P4Program.KeyMatch] {
    let values = try Self.values(given, named: table.keys.map(\.name), "key")
    var matches: [P4Program.KeyMatch] = []
    for (key, value) in zip(table.keys, values) {
      guard let match = try Self.match(value, key.kind, width: key.width) else {
        throw Complaint("\(key.name) is matched \(key.kind), not as \(value?.text ?? "nothing")")
      }
      matches.append(match)
    }
    return matches
  }

  private func arguments(
    _ given: JSONValue, of parameters: [(name: String, width: Int)]
  ) throws(Complaint) -> [WideInteger] {
    let values = try Self.values(given, named: parameters.map(\.name), "argument")
    var arguments: [WideInteger] = []
    for (parameter, value) in zip(parameters, values) {
      guard let value else { throw Complaint("there is no argument \(parameter.name)") }
      arguments.append(try Self.value(value.cell, width: parameter.width))
    }
    return arguments
  }

  // MARK: Values

  /// In the order of the program; nil for those that are left out.
  private static func values(
    _ given: JSONValue, named names: [String], _ what: String
  ) throws(Complaint) -> [JSONValue?] {
    var values = [JSONValue?](repeating: nil, count: names.count)
    if case .array(let elements) = given {
      guard elements.count <= names.count else {
        throw Complaint("\(elements.count) \(what)s instead of \(names.count)")
      }
      for (place, element) in elements.enumerated() { values[place] = element }
    }
    for member in given.members {
      let place = try find(member.key, among: names, what)
      guard values[place] == nil else { throw Complaint("the \(what) \(member.key) stands twice") }
      values[place] = member.value
    }
    return values
  }

  /// Nil when the kind does not go with it.
  private static func match(
    _ given: JSONValue?, _ kind: P4Program.MatchKind, width: Int
  ) throws(Complaint) -> P4Program.KeyMatch? {
    guard let given, given != .null, given != .string("*") else {
      return switch kind {
      case .exact, .valid: nil
      case .lpm: .lpm(.zero, length: 0)
      case .ternary: .ternary(.zero, mask: .zero)
      case .range: .range(.zero, .ones(width))
      case .optional: .optional(nil)
      }
    }
    if case .boolean(let isValid) = given { return kind == .valid ? .valid(isValid) : nil }
    let (first, mark, second) = try parts(given)
    let low = try value(first, width: width)
    switch mark {
    case "":
      return switch kind {
      case .exact: .exact(low)
      case .valid: .valid(!low.isZero)
      case .lpm: .lpm(low, length: width)
      case .ternary: .ternary(low, mask: .ones(width))
      case .range: .range(low, low)
      case .optional: .optional(low)
      }
    case "/":
      guard let length = Int(second), length >= 0, length <= width else {
        throw Complaint("/\(second) is no prefix of \(width) bits")
      }
      let mask = WideInteger.ones(width) - .ones(width - length)
      if kind == .lpm { return .lpm(low & mask, length: length) }
      return kind == .ternary ? .ternary(low & mask, mask: mask) : nil
    case "&&&":
      let mask = try value(second, width: width)
      return kind == .ternary ? .ternary(low & mask, mask: mask) : nil
    default:
      let high = try value(second, width: width)
      guard !(high < low) else { throw Complaint("the range \(first)..\(second) is empty") }
      return kind == .range ? .range(low, high) : nil
    }
  }

  /// `10.0.0.0/8` is `10.0.0.0`, `/`, `8`; the same for an object of value and prefix.
  private static func parts(
    _ given: JSONValue
  ) throws(Complaint) -> (first: String, mark: String, second: String) {
    for (first, mark, second) in [
      ("value", "/", "prefix"), ("value", "&&&", "mask"), ("low", "..", "high"),
    ] where given[first] != .null && given[second] != .null && given.members.count == 2 {
      return (given[first].cell, mark, given[second].cell)
    }
    if given["value"] != .null, given.members.count == 1 { return (given["value"].cell, "", "") }
    guard given.members.isEmpty else { throw Complaint("\(given.text) is no key") }
    let text = given.cell
    for mark in ["&&&", "..", "/"] {
      let pieces = text.split(separator: mark, maxSplits: 1)
      if pieces.count == 2 { return (String(pieces[0]), mark, String(pieces[1])) }
    }
    return (text, "", "")
  }

  private static func value(_ text: String, width: Int) throws(Complaint) -> WideInteger {
    guard let value = ValueSyntax.number(Text(bytes: Array(text.utf8))), !value.isNegative else {
      throw Complaint("\(text) is no number and no address")
    }
    guard value.bitWidth <= width else { throw Complaint("\(text) does not fit \(width) bits") }
    return value
  }

  private static func number(_ value: JSONValue) throws(Complaint) -> Int? {
    if value == .null { return nil }
    guard let number = value.integer, (0...Int(Int32.max)).contains(number) else {
      throw Complaint("\(value.text) must be a number of 0 to \(Int32.max)")
    }
    return number
  }

  /// The one of this name, or the only one that ends with it after a dot.
  private static func find(
    _ name: String, among names: [String], _ what: String
  ) throws(Complaint) -> Int {
    if let place = names.firstIndex(of: name) { return place }
    let places = names.indices.filter { names[$0].hasSuffix("." + name) }
    guard places.count == 1 else { throw Complaint("the program has no \(what) \(name)") }
    return places[0]
  }
}
