import ArgumentParser

struct TCPGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tcp", abstract: "The TCP stacks.",
    subcommands: [Stats.self, List.self, Drop.self])

  struct Drop: Query {
    static let configuration = CommandConfiguration(abstract: "Ends a connection with a reset.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    @Argument(help: "The core, as `tcp list --json` shows it.")
    var core: Int
    @Argument(help: "The connection's id there.")
    var id: Int

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call(
        "tcp.drop", .object([.init("core", core), .init("id", id)]))
    }
    func table(of answer: JSONValue) -> String { "dropped" }
  }

  struct Stats: Query {
    static let configuration = CommandConfiguration(abstract: "Counters.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("tcp.stats")
    }
    func table(of answer: JSONValue) -> String { counterTable(answer) }
  }

  struct List: Query {
    static let configuration = CommandConfiguration(abstract: "Connections.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var page: PageOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try page.fetch("tcp.list", rows: "connections", from: firmware)
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([
        .right("CORE"), .left("REMOTE"), .left("LOCAL"), .left("STATE"), .left("SERVICE"),
        .right("RECEIVED"), .right("SENT"), .right("RX QUEUE"), .right("TX QUEUE"),
        .right("CWND"), .right("RTT"), .right("RETRANS"), .right("AGE"),
      ])
      for row in answer["connections"].elements {
        table.add([
          row["core"].cell, row["remote"].cell, row["local"].cell, row["state"].cell,
          row["service"].cell, Units.bytes(row["receivedBytes"]), Units.bytes(row["sentBytes"]),
          Units.bytes(row["receiveQueued"]), Units.bytes(row["sendQueued"]),
          Units.bytes(row["congestionWindow"]), Units.microseconds(row["smoothedRTTMicroseconds"]),
          row["retransmissions"].cell, Units.milliseconds(row["ageMilliseconds"]),
        ])
      }
      return table.text + page.footer(answer, rows: "connections")
    }
  }
}

/// Which part of a long listing to show.
struct PageOptions: ParsableArguments {
  @Option(help: "Rows to leave out at the start.")
  var offset = 0

  @Option(help: "Rows to show at most.")
  var limit = 100

  func validate() throws {
    guard offset >= 0, limit > 0 else {
      throw ValidationError("--offset must not be negative, --limit must be positive")
    }
  }

  /// Asks as often as needed: one reply holds at most a thousand rows.
  func fetch(
    _ method: String, rows key: String, from firmware: FirmwareConnection
  ) throws -> JSONValue {
    var rows: [JSONValue] = []
    var total = JSONValue.null
    while rows.count < limit {
      let answer = try firmware.call(
        method,
        .object([
          .init(key: "offset", value: .number(String(offset + rows.count))),
          .init(key: "limit", value: .number(String(min(1_000, limit - rows.count)))),
        ]))
      total = answer["total"]
      if answer[key].elements.isEmpty { break }
      rows += answer[key].elements
    }
    return .object([
      .init(key: "total", value: total),
      .init(key: "offset", value: .number(String(offset))),
      .init(key: key, value: .array(rows)),
    ])
  }

  /// Says when there is more than is shown.
  func footer(_ answer: JSONValue, rows key: String) -> String {
    let shown = answer[key].elements.count
    guard let total = answer["total"].integer, shown < total else { return "" }
    return "\n\n\(shown) of \(total); --offset and --limit show others"
  }
}
