import DPUCore

/// The words of one command, taken one after the other, each as what it must be.
struct CommandArguments {
  let words: [ScriptWord]
  let line: Int
  /// How the command is written.
  let usage: Text
  let names: P4Names
  private var next = 1

  init(words: [ScriptWord], line: Int, usage: Text, names: P4Names) {
    self.words = words
    self.line = line
    self.usage = usage
    self.names = names
  }

  var isAtEnd: Bool { next == words.count }

  // MARK: Failures

  func misuse() -> ScriptError {
    let word = next < words.count ? words[next] : words[words.count - 1]
    return error("the command is written: \(usage)", at: word)
  }

  func error(_ message: Text, at word: ScriptWord) -> ScriptError {
    ScriptError(line: line, column: word.column, message: message)
  }

  /// Runs what writes into a batch; its refusal is about the whole line.
  func checked(
    _ body: @autoclosure () throws(ControlError) -> Int
  ) throws(ScriptError) -> Int {
    do throws(ControlError) {
      return try body()
    } catch {
      throw self.error("\(words[0].text): \(error.failure.name)", at: words[0])
    }
  }

  // MARK: Words

  mutating func word() throws(ScriptError) -> ScriptWord {
    guard next < words.count else { throw misuse() }
    next += 1
    return words[next - 1]
  }

  /// What the next word names; `find` looks it up.
  private mutating func named(
    _ what: StaticString, _ find: (Text) -> Int?
  ) throws(ScriptError) -> Int {
    let word = try word()
    guard let index = find(word.text) else { throw error("no \(what) '\(word.text)'", at: word) }
    return index
  }

  mutating func table() throws(ScriptError) -> Int {
    let names = names
    return try named("table") { names.table($0) }
  }

  mutating func action(of table: Int) throws(ScriptError) -> Int {
    let names = names
    return try named("such action of the table") { names.action($0, of: table) }
  }

  /// Among the actions of a table that uses the profile.
  mutating func action(ofProfile profile: Int) throws(ScriptError) -> Int {
    let names = names
    return try named("such action of the profile's table") { text in
      for table in names.program.tables.indices where names.profile(of: table) == profile {
        if let action = names.action(text, of: table) { return action }
      }
      return nil
    }
  }

  mutating func profile() throws(ScriptError) -> Int {
    let names = names
    return try named("action profile") { names.profile($0) }
  }

  mutating func counter() throws(ScriptError) -> Int {
    let names = names
    return try named("counter") { names.counter($0) }
  }

  mutating func meter() throws(ScriptError) -> Int {
    let names = names
    return try named("meter") { names.meter($0) }
  }

  mutating func register() throws(ScriptError) -> Int {
    let names = names
    return try named("register") { names.register($0) }
  }

  mutating func valueSet() throws(ScriptError) -> Int {
    let names = names
    return try named("value set") { names.valueSet($0) }
  }

  mutating func calculation() throws(ScriptError) -> Int {
    let names = names
    return try named("calculation") { names.calculation($0) }
  }

  // MARK: Numbers

  mutating func value() throws(ScriptError) -> WideInteger {
    let word = try word()
    guard let value = ValueSyntax.number(word.text) else {
      throw error("not a number: '\(word.text)'", at: word)
    }
    return value
  }

  mutating func count() throws(ScriptError) -> UInt64 {
    let word = try word()
    guard let value = ValueSyntax.number(word.text)?.exactUInt64 else {
      throw error("not a number of 64 bits: '\(word.text)'", at: word)
    }
    return value
  }

  private mutating func count(below limit: UInt64) throws(ScriptError) -> UInt64 {
    let word = try word()
    guard let value = ValueSyntax.number(word.text)?.exactUInt64, value < limit else {
      throw error("not a number below \(limit): '\(word.text)'", at: word)
    }
    return value
  }

  mutating func index() throws(ScriptError) -> Int { Int(try count(below: 1 << 31)) }
  mutating func handle() throws(ScriptError) -> Int { Int(try count(below: 1 << 32)) }
  mutating func short() throws(ScriptError) -> UInt16 { UInt16(try count(below: 1 << 16)) }

  mutating func truth() throws(ScriptError) -> Bool {
    let word = try word()
    guard let value = ValueSyntax.truth(word.text.lowercased) else {
      throw error("neither true nor false: '\(word.text)'", at: word)
    }
    return value
  }

  /// All that is left. BMv2 writes the ports of a link aggregation group after a `|`; there are
  /// no such groups here.
  mutating func ports() throws(ScriptError) -> [Int] {
    var ports: [Int] = []
    while !isAtEnd { ports.append(try index()) }
    return ports
  }

  // MARK: Entries

  /// The keys of a table and the `=>` behind them.
  mutating func keys(of table: Int) throws(ScriptError) -> [P4Program.KeyMatch] {
    var keys: [P4Program.KeyMatch] = []
    for key in names.program.tables[table].keys {
      let word = try word()
      guard word.text != "=>" else { throw misuse() }
      guard let match = ValueSyntax.key(word.text, for: key) else {
        throw error("no value for key \(key.name): '\(word.text)'", at: word)
      }
      keys.append(match)
    }
    guard !isAtEnd, words[next].text == "=>" else { throw misuse() }
    next += 1
    return keys
  }

  /// The arguments of an action, after a `=>` if there is one, up to the last `leaving` words.
  mutating func arguments(leaving: Int = 0) throws(ScriptError) -> [WideInteger] {
    if !isAtEnd, words[next].text == "=>" { next += 1 }
    var values: [WideInteger] = []
    while next < words.count - leaving { values.append(try value()) }
    return values
  }

  /// Whether entries of the table have a priority: when more than one may match.
  func wantsPriority(_ table: Int) -> Bool {
    names.program.tables[table].keys.contains {
      $0.kind == .ternary || $0.kind == .range || $0.kind == .optional
    }
  }

  mutating func priority(of table: Int) throws(ScriptError) -> Int {
    wantsPriority(table) ? try index() : 0
  }

  /// Two pairs `rate:burst`, the committed one first: units per microsecond, and units.
  mutating func rates() throws(ScriptError) -> MeterRates {
    let committed = try pair()
    let peak = try pair()
    return MeterRates(
      committedRate: committed.rate, committedBurst: committed.burst, peakRate: peak.rate,
      peakBurst: peak.burst)
  }

  private mutating func pair() throws(ScriptError) -> (rate: Double, burst: UInt64) {
    let word = try word()
    guard let (rate, burst) = word.divided(at: ":"), let rate = Self.fraction(rate.text),
      let burst = ValueSyntax.number(burst.text)?.exactUInt64
    else { throw error("not RATE:BURST: '\(word.text)'", at: word) }
    return (rate, burst)
  }

  /// `12`, `0.5`, `.001`.
  private static func fraction(_ text: Text) -> Double? {
    var value = 0.0
    var scale = 1.0
    var isFraction = false
    guard text.bytes.contains(where: { $0 != UInt8(ascii: ".") }) else { return nil }
    for byte in text.bytes {
      if byte == UInt8(ascii: "."), !isFraction {
        isFraction = true
        continue
      }
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
      value = value * 10 + Double(byte - UInt8(ascii: "0"))
      if isFraction { scale *= 10 }
    }
    return value / scale
  }
}
