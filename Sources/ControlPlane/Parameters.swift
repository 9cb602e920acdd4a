import DPUCore
import JSONText

/// The parameters of some methods, by name.
package protocol NamedParameter: CaseIterable where AllCases == [Self] {
  var name: StaticString { get }
  /// For rpc.schema.
  var kind: ParameterKind { get }
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
  case offset, limit, topic, client, method, core, id, port, up, level, kinds, copyBytes

  package var name: StaticString {
    switch self {
    case .offset: "offset"
    case .limit: "limit"
    case .topic: "topic"
    case .client: "client"
    case .method: "method"
    case .core: "core"
    case .id: "id"
    case .port: "port"
    case .up: "up"
    case .level: "level"
    case .kinds: "kinds"
    case .copyBytes: "copyBytes"
    }
  }

  package var kind: ParameterKind {
    switch self {
    case .offset: .integer(0...Int(Int32.max))
    case .limit: .integer(1...Limits.rowsPerReply)
    // MQTT 5.0, section 1.5.4: a string has at most 65,535 bytes.
    case .topic, .client: .text(maximumBytes: 65_535)
    case .method: .text(maximumBytes: Limits.identifierBytes)
    case .core: .integer(0...Int(Int32.max))
    case .id: .integer(0...Int.max)
    case .port: .text(maximumBytes: 32)
    case .up: .boolean
    case .level: .text(maximumBytes: 16)
    case .kinds: .array
    case .copyBytes: .integer(14...Limits.captureBytes)
    }
  }
}

extension GeneralCall {
  /// What a listing begins with.
  func offset() throws(RPCError) -> Int { try integer(.offset) ?? 0 }
  func limit() throws(RPCError) -> Int { try integer(.limit) ?? 100 }

  /// Within what the parameter allows.
  func integer(_ parameter: Parameter) throws(RPCError) -> Int? {
    guard case .integer(let range) = parameter.kind else { return nil }
    return try integer(parameter, in: range)
  }

  /// Within what the parameter allows.
  func text(_ parameter: Parameter) throws(RPCError) -> Text? {
    guard case .text(let maximum) = parameter.kind else { return nil }
    return try text(parameter, maximumBytes: maximum)
  }
}
