import ArgumentParser

/// Any method, for scripts and for what has no command of its own.
struct Call: Query {
  static let configuration = CommandConfiguration(
    abstract: "Calls a method by name; prints its result as JSON.")
  @ParentCommand var root: DPUControl
  @OptionGroup var options: GlobalOptions

  @Argument(help: "As `dpuctl system methods` lists it.")
  var method: String

  @Argument(help: "Parameters, a JSON object.")
  var parameters = "{}"

  func validate() throws {
    guard JSONValue(parameters) != nil else {
      throw ValidationError("the parameters are not JSON: \(parameters)")
    }
  }

  func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
    try firmware.call(method, JSONValue(parameters) ?? .null)
  }
  func table(of answer: JSONValue) -> String { answer.text }
}
