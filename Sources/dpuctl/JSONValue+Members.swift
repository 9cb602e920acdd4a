extension JSONValue.Member {
  init(_ key: String, _ value: JSONValue) { self.init(key: key, value: value) }
  init(_ key: String, _ text: String) { self.init(key: key, value: .string(text)) }
  init(_ key: String, _ number: Int) { self.init(key: key, value: .number(String(number))) }

  /// Nothing for nil.
  static func optional(_ key: String, _ number: Int?) -> JSONValue.Member? {
    number.map { JSONValue.Member(key, $0) }
  }
  static func optional(_ key: String, _ text: String?) -> JSONValue.Member? {
    text.map { JSONValue.Member(key, $0) }
  }
}

extension JSONValue {
  /// A number as such, anything else as text: what the firmware reads as a value.
  static func written(_ text: String) -> JSONValue {
    Int(text) != nil ? .number(text) : .string(text)
  }

  /// `NAME=VALUE` words as the members of an object.
  static func pairs(_ words: [String]) throws -> JSONValue {
    var members: [Member] = []
    for word in words {
      guard let place = word.firstIndex(of: "="), place != word.startIndex else {
        throw Failure.usage("'\(word)' is not NAME=VALUE")
      }
      members.append(
        Member(String(word[..<place]), .written(String(word[word.index(after: place)...]))))
    }
    return .object(members)
  }

  /// Members as `name=value`, for a cell of a table.
  var assignments: String {
    members.isEmpty ? "-" : members.map { "\($0.key)=\($0.value.cell)" }.joined(separator: " ")
  }

  /// The last part of a name of a program: what is enough to say where it is unique.
  static func short(_ name: String) -> String {
    name.split(separator: ".").last.map(String.init) ?? name
  }
}
