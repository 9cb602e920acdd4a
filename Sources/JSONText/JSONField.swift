package import DPUCore

/// One value of a JSON text on its way to a Swift value; every reading checks.
package struct JSONField {
  package let node: JSONNode
  package let path: JSONPath

  package init(node: JSONNode, path: JSONPath) {
    self.node = node
    self.path = path
  }

  /// What is wrong with the value (or the key before it) at a path.
  package struct Problem: Error {
    package var path: JSONPath
    package var atKey = false
    package var message: Text

    package init(path: JSONPath, atKey: Bool = false, message: Text) {
      self.path = path
      self.atKey = atKey
      self.message = message
    }
  }

  /// The longest `text` unless the caller says otherwise.
  package static let textBytes = 1_024

  package func problem(_ message: Text) -> Problem { Problem(path: path, message: message) }

  private func mismatch(_ wanted: StaticString) -> Problem {
    problem("must be \(wanted), is \(node.kind.name)")
  }

  package struct Member {
    package let key: Text
    package let field: JSONField

    /// For the `default` of a `switch` over the keys that are known.
    package func unknown(_ known: StaticString) -> Problem {
      Problem(path: field.path, atKey: true, message: "unknown key; known are \(known)")
    }
  }

  package func members() throws(Problem) -> [Member] {
    guard node.kind == .object else { throw mismatch("an object") }
    var members: [Member] = []
    for member in node.members {
      let path = path.member(member.key, ordinal: members.count)
      members.append(
        Member(key: member.key, field: JSONField(node: member.node, path: path)))
    }
    return members
  }

  package func elements(_ range: ClosedRange<Int>) throws(Problem) -> [JSONField] {
    guard node.kind == .array else { throw mismatch("an array") }
    guard range.contains(node.count) else {
      throw problem(
        "must have \(range.lowerBound) to \(range.upperBound) elements, has \(node.count)")
    }
    var fields: [JSONField] = []
    for element in node.elements {
      fields.append(JSONField(node: element, path: path.element(fields.count)))
    }
    return fields
  }

  package func integer(_ range: ClosedRange<Int>) throws(Problem) -> Int {
    guard let value = node.integer else { throw mismatch("an integer") }
    guard range.contains(Int(value)) else {
      throw problem(
        "must lie between \(range.lowerBound) and \(range.upperBound), is \(value)")
    }
    return Int(value)
  }

  /// A string that is neither empty nor too long and holds no control character.
  package func text(maximumBytes: Int = Self.textBytes) throws(Problem) -> Text {
    guard let text = node.text else { throw mismatch("a string") }
    guard !text.isEmpty else { throw problem("must not be empty") }
    guard text.bytes.count <= maximumBytes else {
      throw problem("must be at most \(maximumBytes) bytes long, is \(text.bytes.count)")
    }
    for byte in text.bytes where byte < 0x20 || byte == 0x7f {
      throw problem("must not hold control characters")
    }
    return text
  }

  package func boolean() throws(Problem) -> Bool {
    guard node.kind == .true || node.kind == .false else { throw mismatch("true or false") }
    return node.kind == .true
  }

  package func word<Word: ClosedWord>(_: Word.Type) throws(Problem) -> Word {
    guard let text = node.text else { throw mismatch("a string") }
    var known = Text()
    for word in Word.allCases {
      if text == Text(stringLiteral: word.word) { return word }
      if !known.isEmpty { known.append(", " as StaticString) }
      known.append(word.word)
    }
    throw problem("must be one of: \(known)")
  }
}

/// A type whose values are written as one of a few words.
package protocol ClosedWord: CaseIterable where AllCases == [Self] {
  var word: StaticString { get }
}
