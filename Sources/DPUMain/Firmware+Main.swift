import CLinux
import ControlPlane
import DPUCore
import FilterHost
import PipelineHost

@main
struct Firmware {
  static let version = ProductVersion.text

  static func main() {
    clinux_signals_install()
    let arguments = (1..<max(1, clinux_argument_count())).map(argument)
    let code: Int32
    do {
      code = try run(arguments)
    } catch {
      ("dpu: \(error.message)" as Text).printLine(to: 2)
      code = 1
    }
    clinux_exit(code)
  }

  /// Returns the exit code: 0 well, 1 could not, 2 called wrongly.
  private static func run(_ arguments: [Text]) throws(StartFailure) -> Int32 {
    if arguments == ["--version"] {
      ("dpu \(version)" as Text).printLine(to: 1)
      return 0
    }
    if let first = arguments.first, first == "call" {
      return CallCommand.run(Array(arguments.dropFirst()))
    }
    if arguments == ["--selftest"] { return try SelfTest.run() ? 0 : 1 }
    if arguments.count == 2, arguments[0] == "--check-config" {
      let configuration = try Configuration.load(arguments[1])
      try PipelineBoard.check(configuration)
      try FilterBoard.check(configuration)
      ("\(arguments[1]): good" as Text).printLine(to: 1)
      return 0
    }
    if arguments.count == 2, arguments[0] == "--config" {
      try serve(Configuration.load(arguments[1]), file: arguments[1])
      return 0
    }
    let usage: Text =
      "usage: dpu --config FILE | --check-config FILE | --selftest | --version | call METHOD [JSON]"
    usage.printLine(to: 2)
    return 2
  }

  private static func argument(_ index: Int32) -> Text {
    var text = Text()
    guard var letter = unsafe clinux_argument(index) else { return text }
    while unsafe letter.pointee != 0 {
      unsafe text.append(byte: UInt8(bitPattern: letter.pointee))
      unsafe letter += 1
    }
    return text
  }
}
