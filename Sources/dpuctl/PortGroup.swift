import ArgumentParser

struct PortGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "port", abstract: "The ports that the firmware drives.",
    subcommands: [List.self, Get.self, Stats.self, Set.self])

  struct Get: Query {
    static let configuration = CommandConfiguration(abstract: "One port, one fact a line.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    @Argument(help: "The port's name.")
    var port: String

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("port.get", .object([.init("port", port)]))
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([.left("FACT"), .left("VALUE")])
      for member in answer.members { table.add([member.key, member.value.cell]) }
      return table.text
    }
  }

  struct Stats: Query {
    static let configuration = CommandConfiguration(
      abstract: "What poll loops and driver have counted of a port.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    @Argument(help: "The port's name.")
    var port: String
    @Flag(help: "Also what is zero.")
    var all = false

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("port.stats", .object([.init("port", port)]))
    }
    func table(of answer: JSONValue) -> String {
      var device = Table([.left("DRIVER'S COUNTER"), .right("TOTAL")])
      for member in answer["device"].members where all || member.value.integer != 0 {
        device.add([member.key, member.value.cell])
      }
      return "\(counterTable(answer, all: all))\n\n\(device.text)"
    }
  }

  struct Set: Query {
    static let configuration = CommandConfiguration(
      abstract: "Takes the link of a port up or down, where the driver can.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    @Argument(help: "The port's name.")
    var port: String
    @Argument(help: "up or down.")
    var state: String

    func validate() throws {
      guard state == "up" || state == "down" else {
        throw ValidationError("the state must be up or down")
      }
    }
    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call(
        "port.set",
        .object([.init("port", port), .init(key: "up", value: .boolean(state == "up"))]))
    }
    func table(of answer: JSONValue) -> String { "\(port) is \(state)" }
  }

  struct List: Query {
    static let configuration = CommandConfiguration(abstract: "Ports, links and packet counts.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("port.list")
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([
        .left("PORT"), .left("ROLE"), .left("DRIVER"), .left("MAC"), .right("MTU"),
        .right("QUEUES"), .left("LINK"), .right("SPEED"), .right("RX PACKETS"),
        .right("RX BYTES"), .right("TX PACKETS"), .right("TX BYTES"), .right("MISSED"),
        .right("ERRORS"), .right("NO BUFFER"),
      ])
      for port in answer["ports"].elements {
        let errors =
          (port["receiveErrors"].integer ?? 0) + (port["sendErrors"].integer ?? 0)
        table.add([
          port["name"].cell, port["role"].cell, port["driver"].cell, port["mac"].cell,
          port["mtu"].cell, port["queues"].cell, port["linkUp"].isTrue ? "up" : "down",
          Units.megabits(port["speedMegabits"]), port["receivedPackets"].cell,
          Units.bytes(port["receivedBytes"]), port["sentPackets"].cell,
          Units.bytes(port["sentBytes"]), port["missedPackets"].cell, String(errors),
          port["withoutBuffer"].cell,
        ])
      }
      return table.text
    }
  }
}

struct CoreGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "core", abstract: "The poll loops.", subcommands: [Stats.self])

  struct Stats: Query {
    static let configuration = CommandConfiguration(
      abstract: "Busy and idle time and counters of each poll loop.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("core.stats")
    }
    func table(of answer: JSONValue) -> String {
      let cores = answer["cores"].elements
      var table = Table([
        .right("CORE"), .right("BUSY"), .right("TURNS"), .right("BUSY TIME"), .right("IDLE TIME"),
      ])
      for core in cores {
        let busy = core["busyCycles"].integer ?? 0
        let idle = core["idleCycles"].integer ?? 0
        table.add([
          core["core"].cell, Units.percent(busy, of: busy + idle), core["turns"].cell,
          Units.cycles(busy, core["cyclesPerSecond"]), Units.cycles(idle, core["cyclesPerSecond"]),
        ])
      }
      guard let names = cores.first?["counters"].members.map(\.key), !names.isEmpty else {
        return table.text
      }
      var counters = Table([.left("COUNTER")] + cores.map { .right("CORE \($0["core"].cell)") })
      for name in names { counters.add([name] + cores.map { $0["counters"][name].cell }) }
      return "\(table.text)\n\n\(counters.text)"
    }
  }
}
