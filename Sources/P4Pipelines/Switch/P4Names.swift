package import DPUCore

/// Names of a program, resolved to the indices that control operations carry.
///
/// Lookup is as tolerant as BMv2's: the full name, or any end of it that starts after a dot, as
/// long as only one thing of that kind ends so. For start-up and the control thread only.
package final class P4Names: Sendable {
  package let program: P4Program
  /// Forms of keys and records, by table.
  package let layouts: [TableLayout]

  package init(_ program: P4Program) {
    self.program = program
    var layouts: [TableLayout] = []
    for table in program.tables.indices { layouts.append(TableLayout(table: table, of: program)) }
    self.layouts = layouts
  }

  package func table(_ name: Text) -> Int? {
    Self.find(name, among: program.tables.count) { program.tables[$0].name }
  }

  /// An index into `program.actions`.
  package func action(_ name: Text) -> Int? {
    Self.find(name, among: program.actions.count) { program.actions[$0].name }
  }

  /// An index into `program.actions`, among the actions of a table only: several actions of one
  /// name exist when p4c has copied an action per use.
  package func action(_ name: Text, of table: Int) -> Int? {
    let actions = program.tables[table].actions
    guard
      let place = Self.find(
        name, among: actions.count, named: { program.actions[actions[$0]].name })
    else { return nil }
    return actions[place]
  }

  /// Place of a key in its table. Also found when the asked name is the longer one.
  package func key(_ name: Text, of table: Int) -> Int? {
    let keys = program.tables[table].keys
    if let place = Self.find(name, among: keys.count, named: { keys[$0].name }) { return place }
    var found: Int?
    for place in keys.indices where Self.ends(name, with: keys[place].name) {
      if found != nil { return nil }
      found = place
    }
    return found
  }

  /// Place of a parameter in its action.
  package func parameter(_ name: Text, of action: Int) -> Int? {
    let parameters = program.actions[action].parameters
    return Self.find(name, among: parameters.count) { parameters[$0].name }
  }

  package func counter(_ name: Text) -> Int? {
    Self.find(name, among: program.counters.count) { program.counters[$0].name }
  }

  package func meter(_ name: Text) -> Int? {
    Self.find(name, among: program.meters.count) { program.meters[$0].name }
  }

  package func register(_ name: Text) -> Int? {
    Self.find(name, among: program.registers.count) { program.registers[$0].name }
  }

  package func profile(_ name: Text) -> Int? {
    Self.find(name, among: program.profiles.count) { program.profiles[$0].name }
  }

  package func valueSet(_ name: Text) -> Int? {
    Self.find(name, among: program.valueSets.count) { program.valueSets[$0].name }
  }

  /// What a digest holds.
  package func learnList(_ name: Text) -> Int? {
    Self.find(name, among: program.learnLists.count) { program.learnLists[$0].name }
  }

  package func calculation(_ name: Text) -> Int? {
    Self.find(name, among: program.calculations.count) { program.calculations[$0].name }
  }

  /// The profile behind a table, nil when its entries hold their actions themselves.
  package func profile(of table: Int) -> Int? {
    switch program.tables[table].storage {
    case .direct: nil
    case .profile(let index), .selector(let index): index
    }
  }

  /// The tables that share a profile.
  package func tables(ofProfile profile: Int) -> [Int] {
    program.tables.indices.filter { self.profile(of: $0) == profile }
  }

  /// A record read back, as it was written.
  package func action(ofRecord record: [UInt64]) -> ActionValue? {
    guard let number = record.first, number < UInt64(program.actions.count) else { return nil }
    let layout = RecordLayout(action: Int(number), of: program)
    guard record.count >= layout.words else { return nil }
    return .action(Int(number), layout.decode(record))
  }

  /// What an entry or a default does, as it was written; nil: nothing.
  package func action(of target: EntryTarget) -> ActionValue? {
    switch target {
    case .action(let record): action(ofRecord: record)
    case .member(let member): .member(member)
    case .group(let group): .group(group)
    }
  }

  /// The first of the things with exactly this name, else the only one whose name ends with it.
  private static func find(_ name: Text, among count: Int, named: (Int) -> Text) -> Int? {
    var byEnd: Int?
    var isAmbiguous = false
    for index in 0..<count {
      let candidate = named(index)
      if candidate == name { return index }
      if ends(candidate, with: name) {
        isAmbiguous = isAmbiguous || byEnd != nil
        byEnd = index
      }
    }
    return isAmbiguous ? nil : byEnd
  }

  /// Whether `name` is `end`, or ends with it after a dot.
  private static func ends(_ name: Text, with end: Text) -> Bool {
    let start = name.bytes.count - end.bytes.count
    guard start >= 0, !end.isEmpty else { return false }
    if start > 0, name.bytes[start - 1] != UInt8(ascii: ".") { return false }
    for index in end.bytes.indices where name.bytes[start + index] != end.bytes[index] {
      return false
    }
    return true
  }
}
