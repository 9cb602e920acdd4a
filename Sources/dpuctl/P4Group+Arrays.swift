import ArgumentParser

extension P4Group {
  // MARK: Counters

  struct CounterVerbs: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "counter", abstract: "Counters.",
      subcommands: [CounterRead.self, CounterWrite.self, CounterReset.self])
  }

  struct CounterRead: Query {
    static let configuration = CommandConfiguration(
      commandName: "read", abstract: "Packets and bytes, summed over all cores.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var counter: String
    @Argument(help: "A cell; all of them when it is left out.")
    var index: Int?
    @Option(help: "Cells from the index on.")
    var count: Int?
    @Option(help: "The entry of a direct counter's table.")
    var entry: Int?
    @Option(help: "Of this core only.")
    var core: Int?
    @Flag(help: "Also cells that are zero.")
    var all = false

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call(
        "p4.counter.read",
        place.parameters([
          .init("counter", counter), .optional("index", index), .optional("count", count),
          .optional("entry", entry), .optional("core", core),
        ]))
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([.right("CELL"), .right("PACKETS"), .right("BYTES")])
      let first = answer["index"].integer ?? answer["entry"].integer ?? 0
      for (place, cell) in answer["cells"].elements.enumerated()
      where all || index != nil || cell["packets"].integer != 0 {
        table.add([String(first + place), cell["packets"].cell, cell["bytes"].cell])
      }
      return table.text
    }
  }

  struct CounterWrite: PipelineWrite {
    static let configuration = CommandConfiguration(
      commandName: "write", abstract: "Sets a cell.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var counter: String
    @Argument var index: Int?
    @Option(help: "The entry of a direct counter's table.")
    var entry: Int?
    @Option var packets = 0
    @Option var bytes = 0

    var method: String { "p4.counter.write" }
    func parameters() throws -> [JSONValue.Member?] {
      [
        .init("counter", counter), .optional("index", index), .optional("entry", entry),
        .init("packets", packets), .init("bytes", bytes),
      ]
    }
  }

  struct CounterReset: PipelineWrite {
    static let configuration = CommandConfiguration(
      commandName: "reset", abstract: "Sets all cells to zero.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var counter: String

    var method: String { "p4.counter.reset" }
    func parameters() throws -> [JSONValue.Member?] { [.init("counter", counter)] }
  }

  // MARK: Meters

  struct MeterVerbs: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "meter", abstract: "Meters; rates are per second, bursts in packets or bytes.",
      subcommands: [MeterRead.self, MeterWrite.self, MeterReset.self])
  }

  struct MeterRead: Query {
    static let configuration = CommandConfiguration(
      commandName: "read", abstract: "Rates of a cell.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var meter: String
    @Argument var index: Int?
    @Option(help: "The entry of a direct meter's table.")
    var entry: Int?

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call(
        "p4.meter.read",
        place.parameters([
          .init("meter", meter), .optional("index", index), .optional("entry", entry),
        ]))
    }
    func table(of answer: JSONValue) -> String {
      let rates = answer["rates"]
      guard rates != .null else { return "no rates: every packet is green" }
      var table = Table([.left("RATE"), .right("PER SECOND"), .right("BURST")])
      table.add(["committed", rates["committedRate"].cell, rates["committedBurst"].cell])
      table.add(["peak", rates["peakRate"].cell, rates["peakBurst"].cell])
      return "\(table.text)\n\nin \(answer["unit"].cell)"
    }
  }

  struct MeterWrite: PipelineWrite {
    static let configuration = CommandConfiguration(
      commandName: "write", abstract: "Sets the rates of a cell, or of all.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var meter: String
    @Argument(help: "A cell; all of them when it is left out.")
    var index: Int?
    @Option(help: "The entry of a direct meter's table.")
    var entry: Int?
    @Option var committedRate: Int
    @Option var committedBurst: Int
    @Option var peakRate: Int
    @Option var peakBurst: Int

    var method: String { "p4.meter.write" }
    func parameters() throws -> [JSONValue.Member?] {
      [
        .init("meter", meter), .optional("index", index), .optional("entry", entry),
        .init("committedRate", committedRate), .init("committedBurst", committedBurst),
        .init("peakRate", peakRate), .init("peakBurst", peakBurst),
      ]
    }
  }

  struct MeterReset: PipelineWrite {
    static let configuration = CommandConfiguration(
      commandName: "reset", abstract: "Takes the rates away: green from then on.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var meter: String
    @Argument var index: Int?
    @Option(help: "The entry of a direct meter's table.")
    var entry: Int?

    var method: String { "p4.meter.reset" }
    func parameters() throws -> [JSONValue.Member?] {
      [.init("meter", meter), .optional("index", index), .optional("entry", entry)]
    }
  }

  // MARK: Registers

  struct RegisterVerbs: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "register", abstract: "Registers; each core has its own.",
      subcommands: [RegisterRead.self, RegisterWrite.self, RegisterReset.self])
  }

  struct RegisterRead: Query {
    static let configuration = CommandConfiguration(commandName: "read", abstract: "Elements.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var register: String
    @Argument(help: "An element; all of them when it is left out.")
    var index: Int?
    @Option(help: "Elements from the index on.")
    var count: Int?
    @Option(help: "Of this core only.")
    var core: Int?
    @Flag(help: "Also elements that are zero.")
    var all = false

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call(
        "p4.register.read",
        place.parameters([
          .init("register", register), .optional("index", index), .optional("count", count),
          .optional("core", core),
        ]))
    }
    func table(of answer: JSONValue) -> String {
      let cores = answer["cores"].elements
      var table = Table([.right("ELEMENT")] + cores.map { .right("CORE \($0["core"].cell)") })
      let first = answer["index"].integer ?? 0
      let columns = cores.map { $0["values"].elements }
      for place in columns.first?.indices ?? 0..<0 {
        let values = columns.map { $0[place].cell }
        if all || index != nil || values.contains(where: { $0 != "0" && $0 != "0x0" }) {
          table.add([String(first + place)] + values)
        }
      }
      return table.text
    }
  }

  struct RegisterWrite: PipelineWrite {
    static let configuration = CommandConfiguration(
      commandName: "write", abstract: "Sets elements, on all cores or on one.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var register: String
    @Argument var index: Int
    @Argument var value: String
    @Option(help: "Elements from the index on.")
    var count: Int?
    @Option(help: "On this core only.")
    var core: Int?

    var method: String { "p4.register.write" }
    func parameters() throws -> [JSONValue.Member?] {
      [
        .init("register", register), .init("index", index),
        .init("value", JSONValue.written(value)), .optional("count", count),
        .optional("core", core),
      ]
    }
  }

  struct RegisterReset: PipelineWrite {
    static let configuration = CommandConfiguration(
      commandName: "reset", abstract: "Sets all elements to zero.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var register: String
    @Option(help: "On this core only.")
    var core: Int?

    var method: String { "p4.register.reset" }
    func parameters() throws -> [JSONValue.Member?] {
      [.init("register", register), .optional("core", core)]
    }
  }
}
