import ArgumentParser

extension P4Group {
  struct List: Query {
    static let configuration = CommandConfiguration(
      abstract: "The pipelines with their programs and ports.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue { try firmware.call("p4.list") }
    func table(of answer: JSONValue) -> String {
      var table = Table([
        .left("PIPELINE"), .left("PROGRAM"), .left("PORTS"), .right("LOADS"),
        .left("CONFIGURED"),
      ])
      for row in answer["pipelines"].elements {
        table.add([
          row["name"].cell, row["program"].cell, row["ports"].assignments, row["loads"].cell,
          row["configured"].cell,
        ])
      }
      return table.text
    }
  }

  /// Where the text of a program comes from.
  struct ProgramOptions: ParsableArguments {
    @Argument(help: "The program, BMv2 JSON.")
    var file: String

    @Flag(help: "FILE lies on the machine that the firmware runs on.")
    var remote = false

    func member() throws -> JSONValue.Member {
      remote ? .init("path", file) : .init("program", try InputFile.text(of: file))
    }
  }

  struct Load: Query {
    static let configuration = CommandConfiguration(
      abstract: "Loads a program; packets go through it from then on.",
      discussion: """
        The program in the pipeline is replaced between two bursts, and what waits in it leaves \
        through it first. --keep brings the entries along, as far as the new program has tables \
        of the same name and form.
        """)
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @OptionGroup var program: ProgramOptions

    @Flag(help: "Keep entries, profiles, sessions, groups and queues.")
    var keep = false

    @Option(
      help: "Ports of a new pipeline, as 0=uplink,1=host,2=stack,255=cpu.")
    var ports: String?

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      let ports = try ports.map {
        JSONValue.Member(
          "ports", try JSONValue.pairs($0.split(separator: ",").map(String.init)))
      }
      return try firmware.call(
        "p4.load",
        place.parameters([
          try program.member(), ports, keep ? .init("keep", JSONValue.boolean(true)) : nil,
        ]))
    }
    func table(of answer: JSONValue) -> String {
      var text = "loaded into \(answer["pipeline"].cell)"
      if let entries = answer["kept"]["entries"].integer {
        text += "; kept \(entries) entries, lost \(answer["kept"]["lost"].cell)"
      }
      return text
    }
  }

  struct Verify: Query {
    static let configuration = CommandConfiguration(
      abstract: "Loads a program aside: what is in it, or what is wrong with it.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var program: ProgramOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("p4.verify", .object([try program.member()]))
    }
    func table(of answer: JSONValue) -> String { Info.describe(answer) }
  }

  struct Unload: Query {
    static let configuration = CommandConfiguration(
      abstract: "Takes the program away; its ports are a wire again.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("p4.unload", place.parameters([]))
    }
    func table(of answer: JSONValue) -> String { "unloaded from \(answer["unloaded"].cell)" }
  }

  struct Info: Query {
    static let configuration = CommandConfiguration(
      abstract: "Tables, actions, arrays and limits of the program.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("p4.info", place.parameters([]))
    }
    func table(of answer: JSONValue) -> String { Self.describe(answer) }

    static func describe(_ info: JSONValue) -> String {
      var tables = Table([
        .left("TABLE"), .left("KEYS"), .left("ACTIONS"), .right("CAPACITY"), .left("HAS"),
      ])
      for row in info["tables"].elements where !row["keys"].elements.isEmpty {
        var has: [String] = []
        for part in ["counter", "meter", "profile"] where row[part] != .null {
          has.append("\(part) \(JSONValue.short(row[part].cell))")
        }
        if row["constant"].isTrue { has.append("constant entries") }
        if row["timeout"].isTrue { has.append("timeouts") }
        tables.add([
          row["name"].cell,
          row["keys"].elements.map {
            "\($0["name"].cell):\($0["match"].cell)/\($0["width"].cell)"
          }.joined(separator: " "),
          row["actions"].elements.map { JSONValue.short($0.cell) }.joined(separator: " "),
          row["capacity"].cell, has.isEmpty ? "-" : has.joined(separator: ", "),
        ])
      }
      var actions = Table([.left("ACTION"), .left("PARAMETERS")])
      for row in info["actions"].elements where !row["parameters"].elements.isEmpty {
        actions.add([
          row["name"].cell,
          row["parameters"].elements.map { "\($0["name"].cell)/\($0["width"].cell)" }
            .joined(separator: " "),
        ])
      }
      var arrays = Table([.left("ARRAY"), .left("KIND"), .right("SIZE"), .right("WIDTH")])
      for (key, kind) in [("counters", "counter"), ("meters", "meter"), ("registers", "register")] {
        for row in info[key].elements {
          arrays.add([
            row["name"].cell, row["direct"].isTrue ? "direct \(kind)" : kind, row["size"].cell,
            row["width"].cell,
          ])
        }
      }
      let head = "\(info["program"].cell), \(Units.bytes(info["bytes"]))"
      return [head, tables.text, actions.text, arrays.text].joined(separator: "\n\n")
    }
  }

  struct Stats: Query {
    static let configuration = CommandConfiguration(
      abstract: "Packets in and out, drops with their reasons, hits of tables.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions

    @Flag(help: "Also what is zero.")
    var all = false

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("p4.stats", place.parameters([]))
    }
    func table(of answer: JSONValue) -> String {
      let cores = answer["cores"].elements
      var counters = Table(
        [.left("COUNTER"), .right("TOTAL")] + cores.map { .right("CORE \($0["core"].cell)") })
      for member in answer["counters"].members where all || member.value.integer != 0 {
        counters.add(
          [member.key, member.value.cell] + cores.map { $0["counters"][member.key].cell })
      }
      var tables = Table([.left("TABLE"), .right("HITS"), .right("MISSES")])
      for row in answer["tables"].elements {
        tables.add([row["name"].cell, row["hits"].cell, row["misses"].cell])
      }
      return counters.text + "\n\n" + tables.text
    }
  }

  struct Batch: Query {
    static let configuration = CommandConfiguration(
      abstract: "Several writes from a file.",
      discussion: """
        FILE holds a JSON array of objects, each with the member "method" (as p4.table.insert) and \
        the method's parameters beside it. All of it takes effect between two bursts, or nothing \
        does; with --each every write counts for itself.
        """)
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions

    @Argument(help: "The writes, JSON; - for standard input.")
    var file: String

    @Flag(help: "Each write for itself, in parts of a thousand.")
    var each = false

    @Option(help: "Write nothing; make a file of records for `p4 write`.")
    var binary: String?

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      let text = try InputFile.text(of: file)
      guard let value = JSONValue(text), case .array(let writes) = value else {
        throw Failure.usage("\(file) holds no JSON array")
      }
      if let binary {
        let info = try firmware.call("p4.info", place.parameters([]))
        let records = try RecordEncoder(info).records(writes)
        try InputFile.write(records, to: binary)
        return .object([.init("records", writes.count), .init("bytes", records.count)])
      }
      if !each {
        return try firmware.call(
          "p4.batch", place.parameters([.init("writes", JSONValue.array(writes))]))
      }
      var results: [JSONValue] = []
      var failures = 0
      var start = 0
      while start < writes.count {
        let part = Array(writes[start..<min(writes.count, start + 1_000)])
        let answer = try firmware.call(
          "p4.batch",
          place.parameters([
            .init("writes", JSONValue.array(part)), .init("atomic", JSONValue.boolean(false)),
          ]))
        results += answer["results"].elements
        failures += answer["failures"].integer ?? 0
        start += part.count
      }
      return .object([
        .init("results", JSONValue.array(results)), .init("failures", failures),
      ])
    }
    func table(of answer: JSONValue) -> String {
      if let records = answer["records"].integer {
        return "\(records) records, \(answer["bytes"].cell) bytes"
      }
      let results = answer["results"].elements
      let failures = answer["failures"].integer ?? 0
      guard failures > 0 else { return "\(results.count) writes done" }
      var lines = ["\(results.count - failures) writes done, \(failures) refused"]
      for (index, result) in results.enumerated() where result["error"] != .null {
        lines.append("  \(index): \(result["error"]["message"].cell)")
      }
      return lines.joined(separator: "\n")
    }
  }
}
