package import DPUCore
package import JSONText

/// A call of one of the methods for pipelines, with its parameters as they stand in the request:
/// what a value means depends on the program, which the control plane does not know.
package struct PipelineCall {
  package let method: PipelineMethod
  /// Of the parameters as a whole, for complaints about one that is missing.
  package let path: JSONPath
  private var given: [(parameter: PipelineParameter, field: JSONField)] = []

  /// `field` holds the parameters, by name; nil or an empty array: none. `except` is a member that
  /// is no parameter.
  package init(
    _ method: PipelineMethod, _ field: JSONField?, except: Text? = nil
  ) throws(RPCError) {
    self.method = method
    path = field?.path ?? JSONPath()
    do throws(JSONField.Problem) {
      for member in try Parameters.members(field) where member.key != except {
        let parameter: PipelineParameter = try member.parameter(
          of: method.name, where: method.takes)
        given.append((parameter, member.field))
      }
      for parameter in PipelineParameter.allCases
      where method.takes(parameter) && method.requires(parameter) && self[parameter] == nil {
        throw missing(parameter)
      }
    } catch {
      throw RPCError(.invalidParameters, error.message, path: error.path)
    }
  }

  package subscript(parameter: PipelineParameter) -> JSONField? {
    for pair in given where pair.parameter == parameter { return pair.field }
    return nil
  }

  package func missing(_ parameter: PipelineParameter) -> JSONField.Problem {
    JSONField.Problem(path: path, message: "has no parameter \"\(parameter.name)\"")
  }
}
