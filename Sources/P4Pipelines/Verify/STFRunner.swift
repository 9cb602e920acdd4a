import DPUCore

/// Runs an STF script on a switch: per port exactly the expected packets in the expected order,
/// and nothing from a port that has no expectation.
package struct STFRunner: ~Copyable {
  private var virtual: VirtualSwitch
  private var report = VerifyReport()
  /// Per port, in order; nil is any packet.
  private var expected: [[PacketPattern?]]
  /// Entries that the script has given a name.
  private var handles: [(name: Text, handle: Int)] = []
  private let reader: CommandReader

  /// BMv2 has the smallest number win, and so has the switch; p4c's runner turns STF's priorities
  /// round with this number.
  private static let priorityBase = 10_000

  private init(_ virtual: consuming VirtualSwitch) {
    reader = CommandReader(virtual.names)
    self.virtual = virtual
    expected = [[PacketPattern?]](repeating: [], count: SwitchLimits.ports)
  }

  package static func run(
    _ script: STFScript, on virtual: consuming VirtualSwitch
  ) -> VerifyReport {
    var runner = STFRunner(virtual)
    for statement in script.statements {
      do throws(ScriptError) {
        try runner.execute(statement)
      } catch {
        runner.report.failures.append(.refused(error))
        return runner.report
      }
    }
    if !runner.virtual.settle() { runner.report.failures.append(.restless) }
    runner.compare()
    return runner.report
  }

  private mutating func execute(_ statement: STFScript.Statement) throws(ScriptError) {
    let place = STFPlace(line: statement.line, column: statement.column)
    switch statement.command {
    case .packet(let port, let bytes):
      report.packetsIn += 1
      guard virtual.send(bytes, port: port) else {
        throw place.error("the switch does not take the packet")
      }
    case .expect(let port, let pattern):
      expected[port].append(pattern)
    case .expectNothing: break
    case .add(let table, let priority, let keys, let action, let handle):
      try add(table, priority, keys, action, handle, place)
    case .remove(let table, let priority, let keys):
      let index = try self.table(table, place)
      let matches = try self.matches(keys, of: index, place)
      let batch = ControlBatch(virtual.names)
      let order = Self.order(priority)
      _ = try place.checked(try batch.deleteEntry(table: index, keys: matches, priority: order))
      try apply(batch, place)
    case .removeAll:
      let batch = ControlBatch(virtual.names)
      let tables = virtual.names.program.tables
      for index in tables.indices
      where !tables[index].areEntriesConstant && !tables[index].keys.isEmpty {
        _ = try place.checked(try batch.clear(table: index))
      }
      try apply(batch, place)
    case .setDefault(let table, let action):
      let index = try self.table(table, place)
      let value = try actionValue(action, of: index, place)
      let batch = ControlBatch(virtual.names)
      _ = try place.checked(try batch.setDefault(table: index, value))
      try apply(batch, place)
    case .checkCounter(let name, let index, let comparison):
      try checkCounter(name, index, comparison, place)
    case .wait(let milliseconds):
      _ = virtual.settle()
      virtual.pass(.milliseconds(milliseconds))
    case .command(let command):
      let batch = ControlBatch(virtual.names)
      _ = try reader.read(command.words, line: statement.line, into: batch)
      try apply(batch, place)
    }
  }

  private mutating func apply(_ batch: ControlBatch, _ place: STFPlace) throws(ScriptError) {
    virtual.apply(batch)
    if let failure = batch.failure {
      throw place.error("the switch refuses: \(failure.reason.name)")
    }
  }

  // MARK: Entries

  private static func order(_ priority: Int?) -> Int {
    max(0, priorityBase - (priority ?? 0))
  }

  private func table(_ name: ScriptWord, _ place: STFPlace) throws(ScriptError) -> Int {
    guard let table = virtual.names.table(name.text) else {
      throw place.error("no table '\(name.text)'", at: name)
    }
    return table
  }

  private mutating func add(
    _ tableName: ScriptWord, _ priority: Int?, _ keys: [STFScript.Named],
    _ action: STFScript.ActionText, _ handleName: Text?, _ place: STFPlace
  ) throws(ScriptError) {
    let table = try self.table(tableName, place)
    let matches = try self.matches(keys, of: table, place)
    let value = try actionValue(action, of: table, place)
    let batch = ControlBatch(virtual.names)
    let order = Self.order(priority)
    let index = try place.checked(
      try batch.addEntry(table: table, keys: matches, priority: order, value))
    try apply(batch, place)
    if let handleName, case .handle(let handle) = batch.result(index) {
      handles.append((handleName, handle))
    }
  }

  private func matches(
    _ named: [STFScript.Named], of table: Int, _ place: STFPlace
  ) throws(ScriptError) -> [P4Program.KeyMatch] {
    let keys = virtual.names.program.tables[table].keys
    var matches: [P4Program.KeyMatch] = []
    for key in keys { matches.append(ValueSyntax.anything(for: key)) }
    for entry in named {
      guard let index = key(entry.name.text, of: table) else {
        throw place.error("no key '\(entry.name.text)'", at: entry.name)
      }
      guard let match = ValueSyntax.stfKey(entry.value.text, for: keys[index]) else {
        throw place.error("no value for this key: '\(entry.value.text)'", at: entry.value)
      }
      matches[index] = match
    }
    return matches
  }

  /// Also in the spellings that p4c's runner knows: `h$0.f` for `h[0].f`, and `h.valid` or `h` for
  /// `h.$valid$`.
  private func key(_ name: Text, of table: Int) -> Int? {
    let names = virtual.names
    let indexed = Self.withBrackets(name)
    if let key = names.key(indexed, of: table) { return key }
    if let key = names.key("\(indexed)$", of: table) { return key }
    if let key = names.key("\(indexed).$valid$", of: table) { return key }
    guard indexed.hasEnd("valid") else { return nil }
    let stem = Text(bytes: Array(indexed.bytes.dropLast(5)))
    return names.key("\(stem)$valid$", of: table)
  }

  private static func withBrackets(_ name: Text) -> Text {
    var text = Text()
    var index = 0
    while index < name.bytes.count {
      let byte = name.bytes[index]
      var end = index + 1
      while end < name.bytes.count, Text(bytes: [name.bytes[end]]).isDecimal { end += 1 }
      if byte == UInt8(ascii: "$"), end > index + 1 {
        text.append(byte: UInt8(ascii: "["))
        for digit in name.bytes[(index + 1)..<end] { text.append(byte: digit) }
        text.append(byte: UInt8(ascii: "]"))
        index = end
      } else {
        text.append(byte: byte)
        index += 1
      }
    }
    return text
  }

  /// In a table with an action profile the action becomes a member of its own.
  private mutating func actionValue(
    _ text: STFScript.ActionText, of table: Int, _ place: STFPlace
  ) throws(ScriptError) -> ActionValue {
    let names = virtual.names
    guard let action = names.action(text.name.text, of: table) else {
      throw place.error("no such action of the table: '\(text.name.text)'", at: text.name)
    }
    var values = [WideInteger?](
      repeating: nil, count: names.program.actions[action].parameters.count)
    for (position, argument) in text.arguments.enumerated() {
      var index: Int? = position < values.count ? position : nil
      if let name = argument.name { index = names.parameter(name.text, of: action) }
      guard let index, values[index] == nil else {
        throw place.error("no such parameter of the action", at: argument.name ?? argument.value)
      }
      guard let value = ValueSyntax.number(argument.value.text) else {
        throw place.error("not a number: '\(argument.value.text)'", at: argument.value)
      }
      values[index] = value
    }
    var arguments: [WideInteger] = []
    for value in values {
      guard let value else { throw place.error("an argument is missing", at: text.name) }
      arguments.append(value)
    }
    guard let profile = names.profile(of: table) else { return .action(action, arguments) }
    let batch = ControlBatch(names)
    let index = try place.checked(try batch.addMember(profile: profile, action, arguments))
    try apply(batch, place)
    guard case .handle(let member) = batch.result(index) else {
      throw place.error("the switch gave no handle to a member")
    }
    return .member(member)
  }

  // MARK: Checks

  private mutating func checkCounter(
    _ name: ScriptWord, _ index: ScriptWord, _ comparison: STFScript.Comparison?,
    _ place: STFPlace
  ) throws(ScriptError) {
    guard let counter = virtual.names.counter(name.text) else {
      throw place.error("no counter '\(name.text)'", at: name)
    }
    var handle = index.text.decimal
    if index.text.hasStart("$") {
      let wanted = Text(bytes: Array(index.text.bytes.dropFirst()))
      handle = handles.last { $0.name == wanted }?.handle
    }
    guard let handle else { throw place.error("neither an index nor an entry", at: index) }
    let batch = ControlBatch(virtual.names)
    let read: Int
    if let table = virtual.names.program.counters[counter].directTable {
      read = try place.checked(try batch.readDirectCounter(table: table, handle: handle))
    } else {
      read = try place.checked(try batch.readCounter(counter, index: handle))
    }
    try apply(batch, place)
    guard case .counter(let value) = batch.result(read), let comparison else { return }
    report.checks += 1
    let got = comparison.ofBytes ? value.bytes : value.packets
    if !comparison.relation.holds(got, comparison.value) {
      report.failures.append(
        .state(
          name: "\(name.text)(\(index.text)), line \(place.line)",
          expected: "\(comparison.relation.sign) \(comparison.value)", got: "\(got)"))
    }
  }

  private mutating func compare() {
    for port in expected.indices {
      let sent = virtual.ports.logs[port]
      report.packetsOut += sent.count
      for index in 0..<max(sent.count, expected[port].count) {
        report.checks += 1
        guard index < sent.count else {
          report.failures.append(
            .missing(port: port, number: index + 1, expected: expected[port][index]))
          continue
        }
        guard index < expected[port].count else {
          report.failures.append(
            .unexpected(port: port, number: index + 1, got: Array(sent[index])))
          continue
        }
        guard let pattern = expected[port][index],
          let nibble = pattern.firstDifference(in: sent[index])
        else { continue }
        report.failures.append(
          .differs(
            port: port, number: index + 1, expected: pattern, got: Array(sent[index]),
            nibble: nibble))
      }
    }
  }
}

/// Where a statement stands.
private struct STFPlace {
  let line: Int
  let column: Int

  func error(_ message: Text, at word: ScriptWord? = nil) -> ScriptError {
    ScriptError(line: line, column: word?.column ?? column, message: message)
  }

  func checked(
    _ body: @autoclosure () throws(ControlError) -> Int
  ) throws(ScriptError) -> Int {
    do throws(ControlError) {
      return try body()
    } catch {
      throw self.error("refused: \(error.failure.name)")
    }
  }
}
