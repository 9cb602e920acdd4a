package import DPUCore
package import JSONText

/// The methods of one part of the firmware that understands their parameters itself.
package protocol PartMethod: CaseIterable, Sendable where AllCases == [Self] {
  associatedtype Argument: NamedParameter, Equatable, Sendable

  var name: StaticString { get }
  var summary: StaticString { get }
  /// Only operators and administrators may call these.
  var isWrite: Bool { get }
  /// Only root and the firmware's own user may call these.
  var isForAdministrators: Bool { get }
  /// Whether a call that worked stands in the log.
  var isLogged: Bool { get }
  func takes(_ parameter: Argument) -> Bool
  func requires(_ parameter: Argument) -> Bool
}

extension PartMethod {
  package var isForAdministrators: Bool { false }
  package var isLogged: Bool { isWrite }

  package init?(named name: Text) {
    for method in Self.allCases where Text(stringLiteral: method.name) == name {
      self = method
      return
    }
    return nil
  }
}

/// A call of one of the methods for pipelines: what a value means depends on the program, which
/// the control plane does not know.
package typealias PipelineCall = MethodCall<PipelineMethod>
/// A call of one of the methods for eBPF filters.
package typealias FilterCall = MethodCall<FilterMethod>

/// A call of a method, with its parameters as they stand in the request.
package struct MethodCall<Method: PartMethod> {
  package let method: Method
  /// Of the parameters as a whole, for complaints about one that is missing.
  package let path: JSONPath
  /// What followed behind the request's line.
  package var body = Text()
  private var given: [(parameter: Method.Argument, field: JSONField)] = []

  /// `field` holds the parameters, by name; nil or an empty array: none. `except` is a member that
  /// is no parameter.
  package init(
    _ method: Method, _ field: JSONField?, except: Text? = nil
  ) throws(RPCError) {
    self.method = method
    path = field?.path ?? JSONPath()
    do throws(JSONField.Problem) {
      for member in try Self.members(field) where member.key != except {
        let parameter: Method.Argument = try member.parameter(
          of: method.name, where: method.takes)
        given.append((parameter, member.field))
      }
      for parameter in Method.Argument.allCases
      where method.takes(parameter) && method.requires(parameter) && self[parameter] == nil {
        throw missing(parameter)
      }
    } catch {
      throw RPCError(.invalidParameters, error.message, path: error.path)
    }
  }

  /// Parameters go by name; an empty array says as well that there are none.
  private static func members(_ field: JSONField?) throws(JSONField.Problem) -> [JSONField.Member] {
    guard let field, field.node.kind != .array || field.node.count > 0 else { return [] }
    return try field.members()
  }

  package subscript(parameter: Method.Argument) -> JSONField? {
    for pair in given where pair.parameter == parameter { return pair.field }
    return nil
  }

  package func missing(_ parameter: Method.Argument) -> JSONField.Problem {
    JSONField.Problem(path: path, message: "has no parameter \"\(parameter.name)\"")
  }

  // MARK: Values

  package func required(_ parameter: Method.Argument) throws(RPCError) -> JSONField {
    guard let field = self[parameter] else { throw RPCError(missing(parameter)) }
    return field
  }

  package func integer(
    _ parameter: Method.Argument, in range: ClosedRange<Int>
  ) throws(RPCError) -> Int? {
    guard let field = self[parameter] else { return nil }
    do throws(JSONField.Problem) { return try field.integer(range) } catch {
      throw RPCError(error)
    }
  }

  package func boolean(_ parameter: Method.Argument) throws(RPCError) -> Bool? {
    guard let field = self[parameter] else { return nil }
    do throws(JSONField.Problem) { return try field.boolean() } catch { throw RPCError(error) }
  }

  package func text(
    _ parameter: Method.Argument, maximumBytes: Int = 4_096
  ) throws(RPCError) -> Text? {
    guard let field = self[parameter] else { return nil }
    do throws(JSONField.Problem) { return try field.text(maximumBytes: maximumBytes) } catch {
      throw RPCError(error)
    }
  }

  /// The path of a parameter, or of all of them when it was not given.
  package func path(of parameter: Method.Argument) -> JSONPath { self[parameter]?.path ?? path }
}

extension JSONField {
  /// The parameters of a call that the firmware makes itself; `text` is its own JSON.
  init?(own text: Text) {
    guard let node = try? JSONDocument.parse(text.span) else { return nil }
    self.init(node: node, path: JSONPath())
  }
}

extension RPCError {
  package init(_ problem: JSONField.Problem) {
    self.init(.invalidParameters, problem.message, path: problem.path)
  }
}
