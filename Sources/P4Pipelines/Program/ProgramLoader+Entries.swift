import DPUCore
import JSONText

// Constant entries of tables.

extension ProgramLoader {
  func readEntries(
    _ object: ProgramObject, _ table: inout P4Program.Table
  ) throws(ProgramProblem) {
    guard let list = object.present("entries") else { return }
    table.areEntriesConstant = true
    var seen = NameTable()
    for node in try list.elements(0...ProgramLimits.entries) {
      let entry = try constantEntry(node, table, ordinal: table.entries.count)
      guard seen.insert(Self.identity(of: entry, in: table), 0) else {
        throw node.problem("there is another entry with the same key")
      }
      table.entries.append(entry)
    }
    // Nothing can be added, so the declared size does not matter.
    table.capacity = table.entries.count
  }

  private func constantEntry(
    _ node: ProgramNode, _ table: P4Program.Table, ordinal: Int
  ) throws(ProgramProblem) -> P4Program.ConstantEntry {
    let object = try node.object()
    var keys: [P4Program.KeyMatch] = []
    for key in try object.required("match_key").elements(table.keys.count...table.keys.count) {
      keys.append(try keyMatch(key, table.keys[keys.count]))
    }
    let actionNode = try object.required("action_entry")
    guard let action = try actionEntry(actionNode.object(), table) else {
      throw actionNode.problem("must have the key \"action_data\"")
    }
    // The order of the source: earlier is smaller, and smaller wins.
    var priority = ordinal + 1
    if let given = object.present("priority") { priority = try given.integer(0...Int(Int32.max)) }
    return P4Program.ConstantEntry(keys: keys, action: action, priority: priority)
  }

  private func keyMatch(
    _ node: ProgramNode, _ key: P4Program.TableKey
  ) throws(ProgramProblem) -> P4Program.KeyMatch {
    let object = try node.object()
    let kindNode = try object.required("match_type")
    let kind = try kindNode.word(P4Program.MatchKind.self, "match type")
    // A key that may be left out is written as a mask of all or nothing.
    guard kind == key.kind || key.kind == .optional && kind == .ternary else {
      throw kindNode.problem("must be the match type of the table's key \(quoted(key.name))")
    }
    let width = key.width
    switch kind {
    case .exact: return .exact(try object.required("key").number(width: width))
    case .valid: return .valid(try object.required("key").boolean())
    case .lpm:
      let value = try object.required("key").number(width: width)
      let length = try object.required("prefix_length").integer(0...width)
      // Bits behind the prefix mean nothing.
      return .lpm((value >> (width - length)) << (width - length), length: length)
    case .ternary:
      let value = try object.required("key").number(width: width)
      let maskNode = try object.required("mask")
      let mask = try maskNode.number(width: width)
      guard key.kind == .optional else { return .ternary(value & mask, mask: mask) }
      if mask.isZero { return .optional(nil) }
      guard mask == .ones(width) else {
        throw maskNode.problem("must have all bits or none for a key that is optional")
      }
      return .optional(value)
    case .range:
      let low = try object.required("start").number(width: width)
      let endNode = try object.required("end")
      let high = try endNode.number(width: width)
      guard low <= high else { throw endNode.problem("must not be less than \"start\"") }
      return .range(low, high)
    case .optional:
      return .optional(try object.present("key")?.number(width: width))
    }
  }

  /// Bytes that two entries share when one would hide the other in every respect.
  private static func identity(
    of entry: P4Program.ConstantEntry, in table: P4Program.Table
  ) -> Text {
    var text = Text()
    for (match, key) in zip(entry.keys, table.keys) {
      let width = key.width
      switch match {
      case .exact(let value): text.bytes += value.bigEndianBytes(width: width)
      case .valid(let value): text.append(byte: value ? 1 : 0)
      case .lpm(let value, let length):
        text.bytes += value.bigEndianBytes(width: width)
        text.append("/\(length)," as Text)
      case .ternary(let value, let mask):
        text.bytes += value.bigEndianBytes(width: width) + mask.bigEndianBytes(width: width)
      case .range(let low, let high):
        text.bytes += low.bigEndianBytes(width: width) + high.bigEndianBytes(width: width)
      case .optional(let value):
        text.append(byte: value == nil ? 0 : 1)
        text.bytes += (value ?? .zero).bigEndianBytes(width: width)
      }
    }
    // The same rule may stand twice with different priorities; the later one never matches.
    if table.kind == .ternary || table.kind == .range { text.append("#\(entry.priority)" as Text) }
    return text
  }
}
