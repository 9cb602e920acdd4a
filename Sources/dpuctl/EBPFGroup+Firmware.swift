import ArgumentParser

extension EBPFGroup {
  /// Which port's filter is meant.
  struct PortOptions: ParsableArguments {
    @Option(help: "uplink or host, when both have a filter.")
    var port: String?

    /// Parameters of a call, with the port among them.
    func parameters(_ members: [JSONValue.Member?] = []) -> JSONValue {
      .object(([.optional("port", port)] + members).compactMap { $0 })
    }
  }

  struct List: Query {
    static let configuration = CommandConfiguration(
      abstract: "The ports with their filters and what runs them.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue { try firmware.call("ebpf.list") }
    func table(of answer: JSONValue) -> String {
      var table = Table([
        .left("PORT"), .left("PROGRAM"), .left("NAME"), .left("ENGINE"), .left("ABORTED"),
        .left("DEAD DEVICE"), .right("LOADS"),
      ])
      for row in answer["ports"].elements {
        table.add(
          ["port", "program", "name", "engine", "aborted", "deadDevice", "loads"].map {
            row[$0].cell
          })
      }
      return table.text
    }
  }

  struct Load: Query {
    static let configuration = CommandConfiguration(
      abstract: "Lets the packets of a port through a filter from now on.",
      discussion: """
        The filter is verified first; what is refused changes nothing. It takes the place of the \
        port's filter between two bursts and begins with empty maps.
        """)
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    @Argument(help: "uplink or host.")
    var port: String
    @Argument(help: "An object file of clang -target bpf, or bare bytecode.")
    var file: String
    @Flag(help: "FILE lies on the machine that the firmware runs on.")
    var remote = false
    @Option(help: "The program or its section, when the file has several.")
    var program: String?
    @Option(help: "auto (FPGA, else jit), interpreter, jit or fpga.")
    var engine: String?
    @Option(help: "Packets that the filter has no answer for: drop (default) or pass.")
    var aborted: String?
    @Option(help: "Packets while the FPGA is dead: software (default), drop or pass.")
    var deadDevice: String?

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      let source =
        remote
        ? JSONValue.Member("path", file)
        : JSONValue.Member("program", Hexadecimal.text(try InputFile.bytes(of: file)))
      return try firmware.call(
        "ebpf.load",
        .object(
          [
            .init("port", port), source, .optional("name", program),
            .optional("engine", engine), .optional("aborted", aborted),
            .optional("deadDevice", deadDevice),
          ].compactMap { $0 }))
    }
    func table(of answer: JSONValue) -> String {
      "loaded \(answer["name"].cell) at \(answer["port"].cell), run by \(answer["engine"].cell)"
    }
  }

  struct Unload: Query {
    static let configuration = CommandConfiguration(abstract: "Takes a port's filter away.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PortOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("ebpf.unload", place.parameters())
    }
    func table(of answer: JSONValue) -> String { "unloaded from \(answer["unloaded"].cell)" }
  }

  struct Info: Query {
    static let configuration = CommandConfiguration(
      abstract: "Instructions, maps and possible targets of a port's filter.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PortOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("ebpf.info", place.parameters())
    }
    func table(of answer: JSONValue) -> String {
      var targets = Table([.left("TARGET"), .left("RUNS"), .left("WHY NOT")])
      for row in answer["targets"].elements {
        targets.add([
          row["target"].cell, row["runs"].isTrue ? "yes" : "no",
          row["reason"] == .null ? "" : row["reason"].cell,
        ])
      }
      let head =
        "\(answer["name"].cell) of \(answer["program"].cell), "
        + "\(answer["instructions"].cell) instructions, run by \(answer["engine"].cell)"
      return [head, Maps.table(of: answer["maps"]), targets.text].joined(separator: "\n\n")
    }
  }

  struct Maps: Query {
    static let configuration = CommandConfiguration(
      abstract: "The maps of a port's filter, or the entries of one.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PortOptions

    @Argument(help: "The map whose entries are shown.")
    var map: String?
    @Option(help: "Number of the first entry.")
    var offset: Int?
    @Option(help: "Entries of each core, 1 to 1000. (default: 100)")
    var limit: Int?

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call(
        "ebpf.maps",
        place.parameters([
          .optional("map", map), .optional("offset", offset), .optional("limit", limit),
        ]))
    }

    func table(of answer: JSONValue) -> String {
      if answer["map"] == .null { return Self.table(of: answer["maps"]) }
      var table = Table([.right("CORE"), .right("ENTRY"), .left("KEY"), .left("VALUE")])
      for core in answer["cores"].elements {
        for row in core["entries"].elements {
          table.add([core["core"].cell, row["entry"].cell, row["key"].cell, row["value"].cell])
        }
      }
      return table.text
    }

    static func table(of maps: JSONValue) -> String {
      var table = Table([
        .left("MAP"), .left("KIND"), .right("KEY"), .right("VALUE"), .right("ENTRIES"),
        .right("IN STATE AT"),
      ])
      for row in maps.elements {
        table.add(
          ["name", "kind", "keyBytes", "valueBytes", "entries", "stateOffset"].map { row[$0].cell })
      }
      return table.text
    }
  }

  struct Stats: Query {
    static let configuration = CommandConfiguration(
      abstract: "Packets by verdict, and those without one by reason.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PortOptions

    @Flag(help: "Also what is zero.")
    var all = false

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("ebpf.stats", place.parameters())
    }
    func table(of answer: JSONValue) -> String {
      counterTable(answer, all: all)
    }
  }

  struct Try: Query {
    static let configuration = CommandConfiguration(
      abstract: "Runs one packet through a copy of a filter in the firmware.",
      discussion: "The copy has fresh maps; nothing of it is seen by other packets.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PortOptions

    @Argument(help: "The packet as hexadecimal digits.")
    var packet: String
    @Option(help: "A program instead of the port's filter.")
    var file: String?
    @Option(help: "interpreter or jit.")
    var engine: String?

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      let program = try file.map { Hexadecimal.text(try InputFile.bytes(of: $0)) }
      return try firmware.call(
        "ebpf.exec",
        place.parameters([
          .init("packet", packet), .optional("program", program), .optional("engine", engine),
        ]))
    }
    func table(of answer: JSONValue) -> String {
      var text = "\(answer["verdict"].cell) (r0 \(answer["r0"].cell))"
      if answer["fault"] != .null { text += ", fault: \(answer["fault"].cell)" }
      if answer["port"] != .null { text += ", port \(answer["port"].cell)" }
      return text + "\n" + answer["packet"].cell
    }
  }
}
