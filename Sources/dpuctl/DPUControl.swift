import ArgumentParser
import DPUCore
import Glibc

@main
struct DPUControl: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dpuctl",
    abstract: "Asks and steers a running DPU firmware.",
    discussion: """
      Exit codes: 0 done, 1 wrong usage, 2 refused by the firmware, 3 firmware not reached.
      """,
    version: "dpuctl \(ProductVersion.text), interface \(ControlInterface.version)",
    subcommands: [
      SystemGroup.self, PortGroup.self, CoreGroup.self, TCPGroup.self, MQTTGroup.self,
      LinkGroup.self, P4Group.self, PktgenGroup.self, FirewallGroup.self, EBPFGroup.self,
      ConfigGroup.self, LogGroup.self, Top.self, Metrics.self, Events.self, Stats.self,
      Capture.self, Doctor.self, Flash.self, Call.self,
    ])

  @OptionGroup var options: GlobalOptions

  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let failure as Failure {
      complain("dpuctl: \(failure.message)")
      Glibc.exit(failure.exitCode)
    } catch {
      let wantsHelp = exitCode(for: error) == .success
      let message = fullMessage(for: error)
      if wantsHelp { print(message) } else { complain(message) }
      Glibc.exit(wantsHelp ? 0 : 1)
    }
  }

  private static func complain(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = write(STDERR_FILENO, line, line.count)
  }
}

/// Options of every command; they may stand before or after the group.
struct GlobalOptions: ParsableArguments {
  @Option(help: "The control socket. (default: /run/dpu/control.sock)")
  var socket: String?

  @Flag(help: "Print the firmware's answer as JSON.")
  var json = false

  @Option(help: "The DPU, reached by ssh: USER@DPU or a name of ssh's configuration.")
  var host: String?

  func place(_ root: DPUControl) -> FirmwarePlace {
    FirmwarePlace(
      socket: socket ?? root.options.socket ?? "/run/dpu/control.sock",
      host: host ?? root.options.host)
  }
}

/// A command that asks the firmware for something.
protocol Query: ParsableCommand {
  var root: DPUControl { get }
  var options: GlobalOptions { get }

  func ask(_ firmware: FirmwareConnection) throws -> JSONValue
  /// The answer for people.
  func table(of answer: JSONValue) -> String
}

extension Query {
  mutating func run() throws {
    let answer = try ask(FirmwareConnection(options.place(root)))
    print(options.json || root.options.json ? answer.text : table(of: answer))
  }
}
