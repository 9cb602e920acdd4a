import ArgumentParser

struct ConfigGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "The configuration of the running firmware.",
    subcommands: [Get.self, Check.self, Diff.self, Apply.self, Save.self])

  struct Get: Query {
    static let configuration = CommandConfiguration(
      abstract: "The configuration that runs, with every default.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("config.get")["configuration"]
    }
    func table(of answer: JSONValue) -> String { answer.indented }
  }

  struct Check: Query {
    static let configuration = CommandConfiguration(
      abstract: "Reads a file and the programs it names; changes nothing.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var file: ConfigurationFile

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try file.send("config.check", to: firmware)
    }
    func table(of answer: JSONValue) -> String { "\(file.path): good" }
  }

  struct Diff: Query {
    static let configuration = CommandConfiguration(
      abstract: "What a file would change, and what of it while the firmware runs.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var file: ConfigurationFile

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try file.send("config.diff", to: firmware)
    }
    func table(of answer: JSONValue) -> String { changeTable(answer) }
  }

  struct Apply: Query {
    static let configuration = CommandConfiguration(
      abstract: "Makes a file the running configuration: all of it or nothing.",
      discussion: """
        What needs a restart is refused. With --next nothing changes now: the file is saved for \
        the next start.
        """)
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var file: ConfigurationFile

    @Flag(help: "Save it for the next start instead.")
    var next = false

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try file.send(
        "config.apply", with: next ? [.init(key: "next", value: .boolean(true))] : [], to: firmware)
    }
    func table(of answer: JSONValue) -> String {
      let saved = answer["saved"]
      let done = saved == .null ? "applied" : "saved for the next start in \(saved.cell)"
      return "\(changeTable(answer))\n\n\(done)"
    }
  }

  struct Save: Query {
    static let configuration = CommandConfiguration(
      abstract: "Writes the running configuration to its file, on the DPU.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    @Argument(help: "Another file on the DPU.")
    var path: String?

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call(
        "config.save", .object(path.map { [.init("path", $0)] } ?? []))
    }
    func table(of answer: JSONValue) -> String { "saved \(answer["saved"].cell)" }
  }
}

/// A configuration file of this machine, sent as text so that complaints name its lines.
struct ConfigurationFile: ParsableArguments {
  @Argument(help: "A configuration file; - for standard input.", completion: .file())
  var path: String

  func send(
    _ method: String, with members: [JSONValue.Member] = [], to firmware: FirmwareConnection
  ) throws -> JSONValue {
    let text = try InputFile.text(of: path)
    do {
      return try firmware.call(
        method, .object([.init("text", text)] + members))
    } catch let failure as Failure {
      // The firmware does not know what the file is called here.
      guard case .refused(let message) = failure else { throw failure }
      throw Failure.refused(
        message.replacing("\(method): configuration:", with: "\(path):", maxReplacements: 1))
    }
  }
}

func changeTable(_ answer: JSONValue) -> String {
  let changes = answer["changes"].elements
  guard !changes.isEmpty else { return "no difference" }
  var table = Table([.left("MEMBER"), .left("FROM"), .left("TO"), .left("WHEN")])
  for change in changes {
    table.add([
      change["path"].cell, short(change["from"]), short(change["to"]),
      change["live"].isTrue ? "while running" : "at the next start",
    ])
  }
  return table.text
}

/// A value for a cell: whole lists and objects are cut.
private func short(_ value: JSONValue) -> String {
  let text = value == .null ? "-" : value.text
  return text.count <= 40 ? text : text.prefix(37) + "..."
}
