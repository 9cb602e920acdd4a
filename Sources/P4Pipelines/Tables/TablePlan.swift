/// What a program says about its tables, checked and laid out: all that `TableSet` is made from.
/// Made at load time; a plain value.
package struct TablePlan: Sendable {
  /// Of tables and, behind them, value sets.
  package private(set) var layouts: [TableLayout] = []
  let tableCount: Int
  private(set) var records: [Records] = []
  private(set) var profiles: [Profile] = []
  private(set) var recordWords: Int
  /// The program's default records, by table.
  private(set) var defaults: [[UInt64]] = []
  private(set) var constants: [Constant] = []

  /// Where the records of a table lie, in words.
  struct Records: Sendable {
    /// The table's own default.
    var own: Int
    /// Of entry 0, or of member 0 of the profile.
    var base: Int
    var stride: Int
  }

  struct Profile: Sendable {
    var capacity: Int
    var base: Int
    var stride: Int
    var hasSelector: Bool
  }

  struct Constant: Sendable {
    var table: Int
    var key: EntryKey
    var priority: Int
    var record: [UInt64]
  }

  /// Throws when a default or a constant entry does not fit its table.
  package init(_ program: P4Program) throws(TableError) {
    tableCount = program.tables.count
    for index in program.tables.indices {
      layouts.append(TableLayout(table: index, of: program))
    }
    for index in program.valueSets.indices {
      layouts.append(TableLayout(valueSet: index, of: program))
    }
    for layout in layouts where layout.keyBytes > TableLimits.keyBytesMax {
      throw .badKey(field: 0, .tooWide)
    }
    // The record without action, as long as any: whoever reads arguments of it reads zeros.
    recordWords = layouts.reduce(1) { max($0, $1.recordWords) }
    for index in program.profiles.indices { addProfile(index, of: program) }
    for index in layouts.indices { addRecords(index) }
    for index in program.tables.indices {
      if let entry = program.tables[index].defaultEntry {
        defaults.append(try layouts[index].record(entry))
      } else {
        defaults.append([TableSet.noAction])
      }
      try addConstants(index, of: program)
    }
  }

  private mutating func addProfile(_ index: Int, of program: P4Program) {
    var stride = 1
    for layout in layouts where layout.storage.profile == index {
      stride = max(stride, layout.recordWords)
    }
    let asked = program.profiles[index].capacity
    let capacity = min(asked <= 0 ? TableLimits.membersDefault : asked, TableLimits.entriesMax)
    profiles.append(
      Profile(
        capacity: capacity, base: recordWords, stride: stride,
        hasSelector: program.profiles[index].selector != nil))
    recordWords += capacity * stride
  }

  private mutating func addRecords(_ index: Int) {
    let layout = layouts[index]
    let own = recordWords
    recordWords += layout.recordWords
    if let profile = layout.storage.profile {
      records.append(
        Records(own: own, base: profiles[profile].base, stride: profiles[profile].stride))
    } else {
      records.append(Records(own: own, base: recordWords, stride: layout.recordWords))
      recordWords += layout.keys.isEmpty ? 0 : layout.capacity * layout.recordWords
    }
  }

  private mutating func addConstants(_ index: Int, of program: P4Program) throws(TableError) {
    let first = constants.count
    for entry in program.tables[index].entries {
      if layouts[index].storage != .direct { throw .wrongStorage }
      let key = try layouts[index].encode(entry.keys)
      guard Int32(exactly: entry.priority) != nil else { throw .badPriority }
      for other in constants[first...]
      where other.key == key
        && (!layouts[index].hasPriorities || other.priority == entry.priority)
      {
        throw .duplicate
      }
      constants.append(
        Constant(
          table: index, key: key, priority: entry.priority,
          record: try layouts[index].record(entry.action)))
    }
    if constants.count - first > layouts[index].capacity { throw .full }
  }
}

extension P4Program.Storage {
  /// The profile behind a table.
  var profile: Int? {
    switch self {
    case .direct: nil
    case .profile(let profile), .selector(let profile): profile
    }
  }
}
