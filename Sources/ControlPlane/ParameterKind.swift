package import JSONText

/// What a parameter may be: for rpc.schema, as JSON Schema says it.
package enum ParameterKind: Sendable {
  case integer(ClosedRange<Int>)
  case text(maximumBytes: Int)
  case boolean
  /// A number, or text that the program's types explain: `31`, `"0x1f"`, `"10.0.0.0/8"`.
  case value
  /// Bytes as hexadecimal digits.
  case hexadecimal
  case object
  case array
  case anything

  /// The members of the schema.
  package func write(to json: inout JSONWriter) {
    switch self {
    case .integer(let range):
      json.member("type", string: "integer")
      json.member("minimum", range.lowerBound)
      json.member("maximum", range.upperBound)
    case .text(let maximumBytes):
      json.member("type", string: "string")
      json.member("maxLength", maximumBytes)
    case .boolean: json.member("type", string: "boolean")
    case .value:
      json.key("type")
      json.beginArray()
      json.value(string: "integer")
      json.value(string: "string")
      json.endArray()
    case .hexadecimal:
      json.member("type", string: "string")
      json.member("pattern", string: "^([0-9a-fA-F]{2})*$")
    case .object: json.member("type", string: "object")
    case .array: json.member("type", string: "array")
    case .anything: break
    }
  }
}
