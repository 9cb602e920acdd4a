import DPUCore
import JSONText

/// One JSON value of a program with its place; every reading checks and says what it expected.
struct ProgramNode {
  let json: JSONNode
  let place: ProgramPlace

  func problem(_ message: Text) -> ProgramProblem {
    ProgramProblem(place: place, message: message)
  }

  func mismatch(_ wanted: StaticString) -> ProgramProblem {
    problem("must be \(wanted), is \(json.kind.name)")
  }

  var isNull: Bool { json.kind == .null }

  func object() throws(ProgramProblem) -> ProgramObject {
    guard json.kind == .object else { throw mismatch("an object") }
    return ProgramObject(node: self, members: json.members)
  }

  func elements(_ range: ClosedRange<Int>) throws(ProgramProblem) -> [ProgramNode] {
    guard json.kind == .array else { throw mismatch("an array") }
    guard range.contains(json.count) else {
      let last = range.upperBound
      let first = range.lowerBound
      let wanted: Text =
        first < last
        ? "\(first) to \(last) elements" : last == 1 ? "1 element" : "\(last) elements"
      throw problem("must have \(wanted), has \(json.count)")
    }
    var nodes: [ProgramNode] = []
    nodes.reserveCapacity(json.count)
    for element in json.elements {
      nodes.append(ProgramNode(json: element, place: place.element(nodes.count)))
    }
    return nodes
  }

  func integer(_ range: ClosedRange<Int>) throws(ProgramProblem) -> Int {
    guard let value = json.integer else { throw mismatch("an integer") }
    guard range.contains(Int(value)) else {
      throw problem(
        "must lie between \(range.lowerBound) and \(range.upperBound), is \(value)")
    }
    return Int(value)
  }

  func boolean() throws(ProgramProblem) -> Bool {
    switch json.kind {
    case .true: return true
    case .false: return false
    default: throw mismatch("a boolean")
    }
  }

  /// A boolean that some compilers write as 0 or 1.
  func flag() throws(ProgramProblem) -> Bool {
    json.kind == .integer ? try integer(0...1) == 1 : try boolean()
  }

  /// A string, empty or not.
  func string() throws(ProgramProblem) -> Text {
    guard let text = json.text else { throw mismatch("a string") }
    guard text.bytes.count <= ProgramLimits.nameBytes else {
      throw problem(
        "must be at most \(ProgramLimits.nameBytes) bytes long, is \(text.bytes.count)")
    }
    return text
  }

  func name() throws(ProgramProblem) -> Text {
    let text = try string()
    guard !text.isEmpty else { throw problem("must not be empty") }
    return text
  }

  /// A number written as a string: `0x1f`, `-0x1f`.
  func number() throws(ProgramProblem) -> WideInteger {
    guard let text = json.text else { throw mismatch("a string with a hexadecimal number") }
    guard let value = WideInteger(parsing: text) else {
      throw problem("must be a hexadecimal number, is \(quoted(text))")
    }
    guard value.bitWidth <= ProgramLimits.constantBits else {
      throw problem(
        "must have at most \(ProgramLimits.constantBits) bits, has \(value.bitWidth)")
    }
    return value
  }

  /// A number that is not negative and has at most `width` bits.
  func number(width: Int) throws(ProgramProblem) -> WideInteger {
    let value = try number()
    guard !value.isNegative, value.bitWidth <= width else {
      throw problem("must fit in \(width) bits, is \(quoted(value.hexadecimal))")
    }
    return value
  }

  /// One of a few words; `noun` says what they name.
  func word<Word: ClosedWord>(
    _: Word.Type, _ noun: StaticString
  ) throws(ProgramProblem) -> Word {
    guard let text = json.text else { throw mismatch("a string") }
    var known = Text()
    for word in Word.allCases {
      if text.isWord(word.word) { return word }
      if !known.isEmpty { known.append(", " as StaticString) }
      known.append(word.word)
    }
    throw problem("unknown \(noun) \(quoted(text)); known are \(known)")
  }
}

/// An object whose members are looked up by key. Keys that nobody asks for are no mistake:
/// compilers add some with every release.
struct ProgramObject {
  let node: ProgramNode
  private let members: [JSONMember]

  init(node: ProgramNode, members: [JSONMember]) {
    self.node = node
    self.members = members
  }

  subscript(key: StaticString) -> ProgramNode? {
    for ordinal in members.indices where members[ordinal].key.isWord(key) {
      return member(ordinal)
    }
    return nil
  }

  /// Nil when the key is missing or its value null.
  func present(_ key: StaticString) -> ProgramNode? {
    guard let value = self[key], !value.isNull else { return nil }
    return value
  }

  func required(_ key: StaticString) throws(ProgramProblem) -> ProgramNode {
    guard let value = self[key] else { throw node.problem("must have the key \"\(key)\"") }
    return value
  }

  /// Where each key stands, when keys are names of the program and there may be many.
  func ordinals() -> NameTable {
    var table = NameTable()
    for ordinal in members.indices { _ = table.insert(members[ordinal].key, ordinal) }
    return table
  }

  func member(_ ordinal: Int) -> ProgramNode {
    ProgramNode(
      json: members[ordinal].node,
      place: node.place.member(members[ordinal].key, ordinal: ordinal))
  }

  /// The elements of an array that may be missing.
  func list(_ key: StaticString, _ range: ClosedRange<Int>) throws(ProgramProblem) -> [ProgramNode]
  {
    guard let value = present(key) else { return [] }
    return try value.elements(range)
  }

  func boolean(_ key: StaticString, default value: Bool) throws(ProgramProblem) -> Bool {
    guard let node = present(key) else { return value }
    return try node.boolean()
  }
}

/// A name as messages show it, cut when it is long.
func quoted(_ text: Text) -> Text { "\"\(ShortText(text.span).text)\"" }

extension Text {
  /// Compares without making a text of the word.
  func isWord(_ word: StaticString) -> Bool {
    guard bytes.count == word.utf8CodeUnitCount else { return false }
    for index in bytes.indices {
      // A literal longer than one scalar has its bytes at `utf8Start`; the count was just compared.
      if unsafe bytes[index] != word.utf8Start[index] { return false }
    }
    return true
  }
}
