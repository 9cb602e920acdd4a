import DPUCore

// The grammar is p4c's (tools/stf), with the leniency of its BMv2 runner: keywords in any case,
// comments from `#` to the end of a line, spaces anywhere in packet data.
extension STFScript {
  package static func parse(_ text: RawSpan) throws(ScriptError) -> STFScript {
    var script = STFScript()
    var number = 1
    var start = 0
    let bytes = Text(text).bytes
    for index in 0...bytes.count
    where index == bytes.count || bytes[index] == UInt8(ascii: "\n") {
      var line = ScriptLine(bytes[start..<index], number: number)
      try script.read(&line)
      number += 1
      start = index + 1
    }
    return script
  }

  private mutating func read(_ line: inout ScriptLine) throws(ScriptError) {
    guard let keyword = line.word() else { return }
    let command: Command
    let word = keyword.text.lowercased
    if word == "packet" {
      command = try Self.packet(&line)
    } else if word == "expect" {
      command = try Self.expectation(&line)
    } else if word == "no_packet" {
      command = .expectNothing
    } else if word == "add" {
      command = try Self.addition(&line)
    } else if word == "remove" {
      command = try Self.removal(&line)
    } else if word == "setdefault" {
      let table = try Self.table(&line)
      command = .setDefault(table: table, action: try Self.action(&line))
    } else if word == "check_counter" {
      command = try Self.counterCheck(&line)
    } else if word == "wait" {
      var pause: UInt64 = 1_000
      if let length = line.word() {
        guard let milliseconds = length.text.decimal else {
          throw line.error("milliseconds must be a number", at: length)
        }
        pause = UInt64(milliseconds)
      }
      command = .wait(milliseconds: pause)
    } else if CommandReader.knows(word) {
      command = .command(
        ScriptLineWords(words: [ScriptWord(word.bytes[...], column: keyword.column)] + line.words())
      )
    } else {
      throw line.error("unknown command '\(keyword.text)'", at: keyword)
    }
    guard line.isAtEnd() else { throw line.error("nothing more was expected in this line") }
    statements.append(Statement(command: command, line: line.number, column: keyword.column))
  }

  // MARK: Packets

  private static func port(_ line: inout ScriptLine) throws(ScriptError) -> Int {
    guard let word = line.word() else { throw line.error("a port is missing") }
    guard let port = word.text.decimal, port < SwitchLimits.ports else {
      throw line.error("not a port, 0 to \(SwitchLimits.ports - 1): '\(word.text)'", at: word)
    }
    return port
  }

  private static func packet(_ line: inout ScriptLine) throws(ScriptError) -> Command {
    let port = try port(&line)
    let pattern = try pattern(&line)
    guard !pattern.nibbles.isEmpty, !pattern.isExact else {
      throw line.error("the bytes of the packet are missing")
    }
    guard !pattern.nibbles.contains(PacketPattern.any) else {
      throw line.error("'*' stands only in what is expected")
    }
    guard pattern.nibbles.count % 2 == 0 else {
      throw line.error("an odd number of digits: \(pattern.nibbles.count)")
    }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: pattern.nibbles.count, by: 2) {
      bytes.append(pattern.nibbles[index] << 4 | pattern.nibbles[index + 1])
    }
    return .packet(port: port, bytes: bytes)
  }

  private static func expectation(_ line: inout ScriptLine) throws(ScriptError) -> Command {
    let port = try port(&line)
    if line.isAtEnd() { return .expect(port: port, nil) }
    return .expect(port: port, try pattern(&line))
  }

  private static func pattern(_ line: inout ScriptLine) throws(ScriptError) -> PacketPattern {
    var pattern = PacketPattern(nibbles: [], isExact: false)
    while !line.isAtEnd(), let byte = line.current {
      if pattern.isExact { throw line.error("nothing may follow '$'") }
      if byte == UInt8(ascii: "*") {
        pattern.nibbles.append(PacketPattern.any)
      } else if byte == UInt8(ascii: "$") {
        pattern.isExact = true
      } else if let nibble = Text.nibble(byte) {
        pattern.nibbles.append(nibble)
      } else {
        throw line.error("not a hexadecimal digit: '\(Text(bytes: [byte]))'")
      }
      line.position += 1
    }
    return pattern
  }

  // MARK: Entries

  private static func table(_ line: inout ScriptLine) throws(ScriptError) -> ScriptWord {
    guard let table = line.word() else { throw line.error("the name of a table is missing") }
    return table
  }

  private static func addition(_ line: inout ScriptLine) throws(ScriptError) -> Command {
    let table = try table(&line)
    let (priority, keys) = try matches(&line)
    let action = try action(&line)
    var handle: Text?
    if !line.isAtEnd(), line.current == UInt8(ascii: "=") {
      line.position += 1
      guard let name = line.word() else { throw line.error("a name for the entry is missing") }
      handle = name.text
    }
    return .add(table: table, priority: priority, keys: keys, action: action, handle: handle)
  }

  private static func removal(_ line: inout ScriptLine) throws(ScriptError) -> Command {
    let table = try table(&line)
    if table.text.lowercased == "all", line.isAtEnd() { return .removeAll }
    let (priority, keys) = try matches(&line)
    return .remove(table: table, priority: priority, keys: keys)
  }

  /// A priority if one is there, then words `name:value`, up to a word that is none.
  private static func matches(
    _ line: inout ScriptLine
  ) throws(ScriptError) -> (priority: Int?, keys: [Named]) {
    var priority: Int?
    var keys: [Named] = []
    while true {
      let before = line.position
      guard let word = line.word() else { break }
      if priority == nil, keys.isEmpty, word.text.isDecimal {
        guard let value = word.text.decimal, value <= Int(Int32.max) else {
          throw line.error("the priority is too large", at: word)
        }
        priority = value
        continue
      }
      guard let (name, value) = keyDivision(of: word) else {
        // The action begins here.
        line.position = before
        break
      }
      guard !name.text.isEmpty, !value.text.isEmpty else {
        throw line.error("a key is written name:value", at: word)
      }
      keys.append(Named(name: name, value: value))
    }
    return (priority, keys)
  }

  /// At the first colon, unless a parenthesis is still open there: then it is an argument of an
  /// action. (`hdr.ip.isValid():1` is a key.)
  private static func keyDivision(
    of word: ScriptWord
  ) -> (before: ScriptWord, after: ScriptWord)? {
    guard let (name, value) = word.divided(at: ":") else { return nil }
    var depth = 0
    for byte in name.text.bytes {
      if byte == UInt8(ascii: "(") { depth += 1 }
      if byte == UInt8(ascii: ")") { depth -= 1 }
    }
    return depth == 0 ? (name, value) : nil
  }

  /// `name(argument:value, ...)`, with spaces anywhere.
  private static func action(_ line: inout ScriptLine) throws(ScriptError) -> ActionText {
    line.skipSpace()
    let start = line.position
    while let byte = line.current, byte != UInt8(ascii: "(") { line.position += 1 }
    let name = ScriptWord(line.bytes[start..<line.position], column: start + 1).trimmed
    guard !name.text.isEmpty, line.current != nil else {
      line.position = start
      throw line.error("an action is missing: NAME(ARGUMENT:VALUE, ...)")
    }
    guard !name.text.bytes.contains(where: { ScriptLine.isSpace($0) }) else {
      throw line.error("a key is written name:value, an action name(...)", at: name)
    }
    line.position += 1
    let inside = line.position
    while let byte = line.current, byte != UInt8(ascii: ")") { line.position += 1 }
    guard line.current != nil else { throw line.error("')' is missing") }
    let list = ScriptWord(line.bytes[inside..<line.position], column: inside + 1)
    line.position += 1
    var action = ActionText(name: name, arguments: [])
    if list.trimmed.text.isEmpty { return action }
    for piece in list.split(at: UInt8(ascii: ",")) {
      let piece = piece.trimmed
      guard !piece.text.isEmpty else { throw line.error("an argument is missing", at: piece) }
      if let (name, value) = piece.divided(at: ":") {
        action.arguments.append((name.trimmed, value.trimmed))
      } else {
        action.arguments.append((nil, piece))
      }
    }
    return action
  }

  // MARK: Counters

  /// `check_counter NAME(INDEX) [packets|bytes == NUMBER]`; the index may be `$HANDLE`.
  private static func counterCheck(_ line: inout ScriptLine) throws(ScriptError) -> Command {
    let rest = line.rest()
    guard let (name, afterName) = rest.divided(at: "("),
      let (index, condition) = afterName.divided(at: ")"), !name.trimmed.text.isEmpty
    else { throw line.error("written NAME(INDEX) [packets|bytes RELATION NUMBER]", at: rest) }
    var comparison: Comparison?
    if !condition.trimmed.text.isEmpty {
      comparison = try Self.comparison(condition.trimmed, line)
    }
    return .checkCounter(name: name.trimmed, index: index.trimmed, comparison)
  }

  private static func comparison(
    _ text: ScriptWord, _ line: ScriptLine
  ) throws(ScriptError) -> Comparison {
    let unit: ScriptWord
    let rest: ScriptWord
    if text.text.lowercased.hasStart("packets") {
      unit = ScriptWord(text.text.bytes[..<7], column: text.column)
      rest = ScriptWord(text.text.bytes[7...], column: text.column + 7)
    } else if text.text.lowercased.hasStart("bytes") {
      unit = ScriptWord(text.text.bytes[..<5], column: text.column)
      rest = ScriptWord(text.text.bytes[5...], column: text.column + 5)
    } else {
      throw line.error("'packets' or 'bytes' is missing", at: text)
    }
    let relations: [(StaticString, Relation)] = [
      ("==", .equal), ("!=", .notEqual), ("<=", .lessOrEqual), (">=", .greaterOrEqual),
      ("<", .less), (">", .greater),
    ]
    for (sign, relation) in relations {
      guard let (before, after) = rest.divided(at: sign) else { continue }
      guard before.trimmed.text.isEmpty,
        let value = ValueSyntax.number(after.trimmed.text)?.exactUInt64
      else { break }
      return Comparison(
        ofBytes: unit.text.bytes.count == 5, relation: relation, value: value)
    }
    throw line.error("a relation and a number are missing", at: rest)
  }
}
