import DPUCore
import JSONText

/// The parameters of some methods, by name.
package protocol NamedParameter: CaseIterable where AllCases == [Self] {
  var name: StaticString { get }
}

extension JSONField.Member {
  /// The parameter that this member of a request gives to `method`, which takes only some.
  func parameter<Parameter: NamedParameter>(
    of method: StaticString, where takes: (Parameter) -> Bool
  ) throws(JSONField.Problem) -> Parameter {
    var known = Text()
    for parameter in Parameter.allCases where takes(parameter) {
      if key == Text(stringLiteral: parameter.name) { return parameter }
      if !known.isEmpty { known.append(", " as StaticString) }
      known.append(parameter.name)
    }
    throw JSONField.Problem(
      path: field.path, atKey: true,
      message: known.isEmpty
        ? "\(method) takes no parameters" : "unknown parameter; known are \(known)")
  }
}

/// A named parameter; it means the same in every method that takes it.
package enum Parameter: NamedParameter, Sendable {
  case offset, limit, topic, client

  package var name: StaticString {
    switch self {
    case .offset: "offset"
    case .limit: "limit"
    case .topic: "topic"
    case .client: "client"
    }
  }

  package var isRequired: Bool { self == .topic }
}

/// The values of a request's parameters, with defaults for those that were left out.
struct Parameters {
  var offset = 0
  var limit = 100
  var topic = Text()
  var client: Text?

  init(_ field: JSONField?, of method: Method) throws(RPCError) {
    do throws(JSONField.Problem) {
      var given: [Parameter] = []
      for member in try Self.members(field) {
        let parameter: Parameter = try member.parameter(of: method.name, where: method.takes)
        given.append(parameter)
        switch parameter {
        case .offset: offset = try member.field.integer(0...Int(Int32.max))
        case .limit: limit = try member.field.integer(1...Limits.rowsPerReply)
        // MQTT 5.0, section 1.5.4: a string has at most 65,535 bytes.
        case .topic: topic = try member.field.text(maximumBytes: 65_535)
        case .client: client = try member.field.text(maximumBytes: 65_535)
        }
      }
      for parameter in Parameter.allCases
      where method.takes(parameter) && parameter.isRequired && !given.contains(parameter) {
        let path = field?.path ?? JSONPath()
        throw JSONField.Problem(path: path, message: "has no parameter \"\(parameter.name)\"")
      }
    } catch {
      throw RPCError(.invalidParameters, error.message, path: error.path)
    }
  }

  /// Parameters go by name; an empty array says as well that there are none.
  static func members(_ field: JSONField?) throws(JSONField.Problem) -> [JSONField.Member] {
    guard let field, field.node.kind != .array || field.node.count > 0 else { return [] }
    return try field.members()
  }
}
