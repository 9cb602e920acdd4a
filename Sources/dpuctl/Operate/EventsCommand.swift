import ArgumentParser

/// What happens, as it happens.
struct Events: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Prints events until it is ended.",
    discussion: """
      Kinds: health, change, p4.packetIn, p4.digest, p4.timeout, p4.log. Those of pipelines are \
      taken: nobody else gets them with p4.packetIn and its like. Without kinds: health and change.
      """)
  @ParentCommand var root: DPUControl
  @OptionGroup var options: GlobalOptions

  @Argument(help: "Kinds of events.")
  var kinds = ["health", "change"]

  @Option(name: .customShort("n"), help: "Events after which to end. (default: no end)")
  var count: Int?

  mutating func run() throws {
    let firmware = try FirmwareConnection(options.place(root))
    _ = try firmware.call(
      "event.subscribe",
      .object([.init(key: "kinds", value: .array(kinds.map { .string($0) }))]))
    let wantsJSON = options.json || root.options.json
    var left = count ?? .max
    while left > 0 {
      let event = try firmware.nextEvent()
      ByteStream.printLine(wantsJSON ? event.text : Self.line(event))
      left -= 1
    }
  }

  static func line(_ event: JSONValue) -> String {
    if event["kind"].cell == "lost" { return "\(event["count"].cell) events were lost" }
    let what =
      event["message"] == .null
      ? "\(event["pipeline"].cell) \(event["content"].text)" : event["message"].cell
    return "\(Units.milliseconds(event["uptimeMilliseconds"]))  \(event["kind"].cell)  \(what)"
  }
}

struct LogGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "log", abstract: "The firmware's log.", subcommands: [Tail.self, Level.self])

  struct Tail: Query {
    static let configuration = CommandConfiguration(abstract: "The latest lines, oldest first.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    @Option(name: .customShort("n"), help: "How many, 1 to 1,000.")
    var count = 20

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call(
        "log.tail", .object([.init("limit", count)]))
    }
    func table(of answer: JSONValue) -> String {
      answer["lines"].elements.map(\.cell).joined(separator: "\n")
    }
  }

  struct Level: Query {
    static let configuration = CommandConfiguration(
      abstract: "What goes to standard error: error, warning, info or debug.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    @Argument(help: "The new level; without one the present is shown.")
    var level: String?

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call(
        "log.level", .object(level.map { [.init("level", $0)] } ?? []))
    }
    func table(of answer: JSONValue) -> String { answer["level"].cell }
  }
}
