import ArgumentParser

extension P4Group {
  // MARK: Clones and copies

  struct MirrorVerbs: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "mirror", abstract: "Clone sessions.",
      subcommands: [MirrorSet.self, MirrorDelete.self, MirrorList.self])
  }

  struct MirrorSet: PipelineWrite {
    static let configuration = CommandConfiguration(
      commandName: "set", abstract: "Where the clones of a session go.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var session: Int
    @Option(help: "A port.")
    var port: Int?
    @Option(help: "A multicast group.")
    var group: Int?
    @Option(help: "Bytes that a clone keeps.")
    var truncate: Int?

    var method: String { "p4.mirror.set" }
    func parameters() throws -> [JSONValue.Member?] {
      [
        .init("session", session), .optional("port", port), .optional("group", group),
        .optional("truncate", truncate),
      ]
    }
  }

  struct MirrorDelete: PipelineWrite {
    static let configuration = CommandConfiguration(
      commandName: "delete", abstract: "Removes a session.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var session: Int

    var method: String { "p4.mirror.delete" }
    func parameters() throws -> [JSONValue.Member?] { [.init("session", session)] }
  }

  struct MirrorList: Query {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The sessions.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("p4.mirror.list", place.parameters([]))
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([.right("SESSION"), .right("PORT"), .right("GROUP"), .right("KEEPS")])
      for row in answer["sessions"].elements {
        let keeps = row["truncate"].integer == 0 ? "all" : Units.bytes(row["truncate"])
        table.add([row["session"].cell, row["port"].cell, row["group"].cell, keeps])
      }
      return table.text
    }
  }

  struct MulticastVerbs: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "multicast", abstract: "Multicast groups.",
      subcommands: [MulticastSet.self, MulticastDelete.self, MulticastList.self])
  }

  struct MulticastSet: PipelineWrite {
    static let configuration = CommandConfiguration(
      commandName: "set", abstract: "Makes or replaces a group.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var group: Int
    @Argument(help: "Ports of the copies, in their order; PORT/INSTANCE sets egress_rid too.")
    var replicas: [String]

    var method: String { "p4.multicast.set" }
    func parameters() throws -> [JSONValue.Member?] {
      var list: [JSONValue] = []
      for replica in replicas {
        let parts = replica.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let port = Int(parts[0]),
          let instance = parts.count == 2 ? Int(parts[1]) : 0
        else { throw Failure.usage("'\(replica)' is not PORT or PORT/INSTANCE") }
        list.append(.object([.init("port", port), .init("instance", instance)]))
      }
      return [.init("group", group), .init("replicas", JSONValue.array(list))]
    }
  }

  struct MulticastDelete: PipelineWrite {
    static let configuration = CommandConfiguration(
      commandName: "delete", abstract: "Removes a group.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var group: Int

    var method: String { "p4.multicast.delete" }
    func parameters() throws -> [JSONValue.Member?] { [.init("group", group)] }
  }

  struct MulticastList: Query {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The groups.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("p4.multicast.list", place.parameters([]))
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([.right("GROUP"), .left("PORTS/INSTANCE")])
      for row in answer["groups"].elements {
        let replicas = row["replicas"].elements.map {
          "\($0["ports"].cell)/\($0["instance"].cell)"
        }
        table.add([row["group"].cell, replicas.joined(separator: "  ")])
      }
      return table.text
    }
  }

  // MARK: Value sets and queues

  struct ValueSetVerbs: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "valueset", abstract: "Parser value sets.",
      subcommands: [ValueSetChange.self, ValueSetList.self])
  }

  struct ValueSetChange: PipelineWrite {
    static let configuration = CommandConfiguration(
      commandName: "change", abstract: "Adds a value, removes one, or removes all.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var valueSet: String
    @Option(help: "A value to add.")
    var add: String?
    @Option(help: "A value to remove.")
    var remove: String?
    @Flag(help: "Remove all values.")
    var clear = false

    func validate() throws {
      guard [add != nil, remove != nil, clear].filter({ $0 }).count == 1 else {
        throw ValidationError("one of --add, --remove and --clear")
      }
    }
    var method: String {
      add != nil ? "p4.valueSet.insert" : remove != nil ? "p4.valueSet.delete" : "p4.valueSet.clear"
    }
    func parameters() throws -> [JSONValue.Member?] {
      [
        .init("valueSet", valueSet),
        (add ?? remove).map { .init("value", JSONValue.written($0)) },
      ]
    }
  }

  struct ValueSetList: Query {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The values.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var valueSet: String

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("p4.valueSet.list", place.parameters([.init("valueSet", valueSet)]))
    }
    func table(of answer: JSONValue) -> String {
      answer["values"].elements.map(\.cell).joined(separator: "\n")
    }
  }

  struct Queue: PipelineWrite {
    static let configuration = CommandConfiguration(
      abstract: "Depth and rate of egress queues; without a port, of all.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Option var port: Int?
    @Option var priority: Int?
    @Option(help: "Packets that may wait.")
    var depth: Int?
    @Option(help: "Packets a second; 0 for no limit.")
    var rate: Int?

    var method: String { "p4.queue.set" }
    func parameters() throws -> [JSONValue.Member?] {
      [
        .optional("port", port), .optional("priority", priority), .optional("depth", depth),
        .optional("packetsPerSecond", rate),
      ]
    }
  }

  // MARK: What pipelines tell

  struct Digests: Query {
    static let configuration = CommandConfiguration(abstract: "Takes the digests that wait.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Option var limit = 100

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("p4.digests", place.parameters([.init("limit", limit)]))
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([
        .left("DIGEST"), .right("CORE"), .right("MICROSECONDS"), .left("VALUES"),
      ])
      for row in answer["digests"].elements {
        table.add([
          row["digest"].cell, row["core"].cell, row["microseconds"].cell, row["values"].cell,
        ])
      }
      return table.text
    }
  }

  struct Logs: Query {
    static let configuration = CommandConfiguration(
      abstract: "Takes the messages of log_msg that wait.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Option var limit = 100

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("p4.logs", place.parameters([.init("limit", limit)]))
    }
    func table(of answer: JSONValue) -> String {
      answer["logs"].elements.map { $0["text"].cell }.joined(separator: "\n")
    }
  }

  struct PacketIn: Query {
    static let configuration = CommandConfiguration(
      commandName: "packet-in", abstract: "Takes the packets that left through the CPU port.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Option var limit = 100

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("p4.packetIn", place.parameters([.init("limit", limit)]))
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([.left("PIPELINE"), .right("CORE"), .right("AGE"), .left("PACKET")])
      for row in answer["packets"].elements {
        table.add([
          row["pipeline"].cell, row["core"].cell, Units.microseconds(row["ageMicroseconds"]),
          row["packet"].cell,
        ])
      }
      return table.text
    }
  }

  struct PacketOut: Query {
    static let configuration = CommandConfiguration(
      commandName: "packet-out", abstract: "Lets packets come into a pipeline.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument(help: "Packets, hexadecimal.")
    var packets: [String]
    @Option(help: "The port they come in on. (default: the CPU port)")
    var port: Int?
    @Option(help: "The core that gets them. (default: the first)")
    var core: Int?

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call(
        "p4.packetOut",
        place.parameters([
          .init("packets", JSONValue.array(packets.map { .string($0) })),
          .optional("port", port), .optional("core", core),
        ]))
    }
    func table(of answer: JSONValue) -> String {
      "\(answer["sent"].cell) sent, \(answer["dropped"].cell) dropped"
    }
  }

  // MARK: Tracing

  struct Trace: Query {
    static let configuration = CommandConfiguration(
      abstract: "One packet through a copy of the pipeline, step by step.",
      discussion: "Nothing of it happens to the pipeline itself.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument(help: "The packet, hexadecimal.")
    var packet: String
    @Option(help: "The port it comes in on.")
    var port: Int
    @Option(help: "With the registers of this core. (default: the first)")
    var core: Int?

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call(
        "p4.trace",
        place.parameters([
          .init("packet", packet), .init("port", port), .optional("core", core),
        ]))
    }

    func table(of answer: JSONValue) -> String {
      var lines = answer["steps"].elements.map(Self.line)
      if answer["cut"].isTrue { lines.append("... and more") }
      for packet in answer["sent"].elements {
        lines.append("port \(packet["port"].cell): \(packet["packet"].cell)")
      }
      return lines.joined(separator: "\n")
    }

    private static func line(_ step: JSONValue) -> String {
      let name = step["name"].cell
      switch step["step"].cell {
      case "set": return "      \(step["field"].cell) = \(step["value"].cell)"
      case "state", "action", "condition", "checksum":
        return "    \(step["step"].cell) \(name)"
      case "table":
        let found =
          step["hit"].isTrue ? "hit entry \(step["entry"].cell)" : "missed"
        let action = step["action"] == .null ? "" : ": \(JSONValue.short(step["action"].cell))"
        return "    table \(name) \(step["keys"].assignments) \(found)\(action)"
      case let other:
        let rest = step.members.filter { $0.key != "step" }
        return "  \(other) " + rest.map { "\($0.key)=\($0.value.cell)" }.joined(separator: " ")
      }
    }
  }
}
