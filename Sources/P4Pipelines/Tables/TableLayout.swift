import DPUCore

/// Where one field of a key stands in the key's bytes.
package struct KeyField: Sendable {
  package var kind: P4Program.MatchKind
  /// Bytes.
  package var offset: Int
  /// Bits; big-endian, padded with zero bits to whole bytes in front.
  package var width: Int
  package var byteCount: Int { (width + 7) / 8 }
  /// Anded with the value of the packet before matching, and with that of entries.
  package var mask: WideInteger?
}

/// How the arguments of an action stand in a record: word 0 is the action's number, then each
/// argument takes as many words as its width needs, least significant word first.
package struct RecordLayout: Sendable {
  package var action: Int
  package var widths: [Int]
  /// Word of each argument in the record.
  package var offsets: [Int]
  package var words: Int

  package init(action number: Int, of program: P4Program) {
    action = number
    widths = []
    offsets = []
    words = 1
    for parameter in program.actions[number].parameters {
      widths.append(parameter.width)
      offsets.append(words)
      words += max(1, (parameter.width + 63) / 64)
    }
  }

  /// The record of this action with these arguments; refuses a wrong number of them and values
  /// that are too wide.
  package func encode(_ arguments: [WideInteger]) throws(TableError) -> [UInt64] {
    guard arguments.count == widths.count else { throw .badAction }
    var record = [UInt64](repeating: 0, count: words)
    record[0] = UInt64(action)
    for index in arguments.indices {
      let argument = arguments[index]
      guard !argument.isNegative, argument.bitWidth <= widths[index] else { throw .badAction }
      for word in argument.magnitude.indices {
        record[offsets[index] + word] = argument.magnitude[word]
      }
    }
    return record
  }

  package func decode(_ record: [UInt64]) -> [WideInteger] {
    var arguments: [WideInteger] = []
    for index in widths.indices {
      let end = index + 1 < offsets.count ? offsets[index + 1] : words
      arguments.append(WideInteger(magnitude: [UInt64](record[offsets[index]..<end])))
    }
    return arguments
  }
}

/// What a table needs to know of itself: the form of its key and of its records.
package struct TableLayout: Sendable {
  /// In the order of the program.
  package var keys: [KeyField] = []
  package var kind: P4Program.MatchKind = .exact
  /// A multiple of eight; the bytes after the last field are zero.
  package var keyBytes = 0
  package var capacity = 0
  /// Words of the largest record.
  package var recordWords = 1
  package var storage: P4Program.Storage = .direct
  package var actions: [RecordLayout] = []
  package var hasPriorities: Bool { kind == .ternary || kind == .range || kind == .optional }
  /// Whether one prefix of the whole key tells an entry: fields to be equal, then at the end one
  /// of which a prefix counts.
  package var isPrefixLast: Bool {
    guard kind == .lpm, let last = keys.last, last.kind == .lpm else { return false }
    return keys.dropLast().allSatisfy { $0.kind == .exact || $0.kind == .valid }
  }
  package var counts = false
  package var meter: Meter?
  package var supportsTimeout = false
  package var areEntriesConstant = false
  package var isDefaultConstant = false

  /// The direct meter of a table.
  package struct Meter: Sendable {
    package var countsBytes: Bool
    package var rateCount: Int
  }

  package init() {}

  /// The layout of table `number`: fields in the order of the program.
  package init(table number: Int, of program: P4Program) {
    let table = program.tables[number]
    kind = table.kind
    storage = table.storage
    capacity = min(max(0, table.capacity), TableLimits.entriesMax)
    var next = 0
    for key in table.keys {
      let field = KeyField(
        kind: key.kind, offset: next, width: key.kind == .valid ? 8 : key.width, mask: key.mask)
      keys.append(field)
      next += field.byteCount
    }
    keyBytes = (next + 7) / 8 * 8
    for action in table.actions { actions.append(RecordLayout(action: action, of: program)) }
    if let entry = table.defaultEntry, !table.actions.contains(entry.action) {
      actions.append(RecordLayout(action: entry.action, of: program))
    }
    for action in actions { recordWords = max(recordWords, action.words) }
    counts = table.directCounter != nil
    if let number = table.directMeter {
      let array = program.meters[number]
      meter = Meter(countsBytes: array.countsBytes, rateCount: array.rateCount)
    }
    supportsTimeout = table.supportsTimeout
    areEntriesConstant = table.areEntriesConstant
    isDefaultConstant = table.isDefaultConstant
  }
}

extension TableLayout {
  /// The record of an entry of the program; refuses actions that the table does not have.
  package func record(_ entry: P4Program.ActionEntry) throws(TableError) -> [UInt64] {
    for action in actions where action.action == entry.action {
      return try action.encode(entry.arguments)
    }
    throw .badAction
  }
}
