import ArgumentParser

struct SystemGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "system", abstract: "The firmware as a whole.",
    subcommands: [
      Version.self, Health.self, Uptime.self, Memory.self, Control.self, Methods.self, Schema.self,
      Rights.self, Reload.self, Shutdown.self,
    ])

  struct Schema: Query {
    static let configuration = CommandConfiguration(
      abstract: "JSON Schema of the methods' parameters.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    @Argument(help: "One method only.")
    var method: String?

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("rpc.schema", .object(method.map { [.init("method", $0)] } ?? []))
    }
    func table(of answer: JSONValue) -> String { answer.indented }
  }

  struct Rights: Query {
    static let configuration = CommandConfiguration(
      abstract: "Capabilities and system calls that the firmware's process still has.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("system.rights")
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([.right("USER"), .left("CAPABILITIES"), .left("CALLS")])
      let none = answer["capabilities"].cell.allSatisfy { $0 == "0" || $0 == "x" }
      table.add([
        answer["user"].cell, none ? "none" : answer["capabilities"].cell,
        answer["confined"].isTrue ? "confined" : "any",
      ])
      return table.text
    }
  }

  struct Version: Query {
    static let configuration = CommandConfiguration(abstract: "Versions of firmware and DPDK.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("version.get")
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([
        .left("VERSION"), .right("INTERFACE"), .left("ARCHITECTURE"), .left("DPDK"),
      ])
      table.add([
        answer["version"].cell, answer["interface"].cell, answer["architecture"].cell,
        answer["dpdk"].cell,
      ])
      return table.text
    }
  }

  struct Health: Query {
    static let configuration = CommandConfiguration(
      abstract: "What must hold for the firmware to do its work.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("system.health")
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([.left("CHECK"), .left("OK"), .left("DETAIL")])
      for check in answer["checks"].elements {
        table.add([check["name"].cell, check["ok"].cell, check["detail"].cell])
      }
      return "\(answer["status"].cell)\n\n\(table.text)"
    }
  }

  struct Uptime: Query {
    static let configuration = CommandConfiguration(abstract: "Time since the start.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("system.uptime")
    }
    func table(of answer: JSONValue) -> String { Units.milliseconds(answer["milliseconds"]) }
  }

  struct Memory: Query {
    static let configuration = CommandConfiguration(
      abstract: "Pools of payload blocks and packet buffers.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("mem.stats")
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([
        .left("POOL"), .right("CORE"), .right("PIECE"), .right("CAPACITY"), .right("FREE"),
        .right("FEWEST FREE"), .right("IN USE"),
      ])
      for pool in answer["pools"].elements {
        let capacity = pool["capacity"].integer ?? 0
        table.add([
          pool["name"].cell, pool["core"].cell, Units.bytes(pool["pieceBytes"]),
          pool["capacity"].cell, pool["free"].cell, pool["lowWater"].cell,
          Units.percent(capacity - (pool["free"].integer ?? 0), of: capacity),
        ])
      }
      return table.text
    }
  }

  struct Control: Query {
    static let configuration = CommandConfiguration(
      abstract: "Requests to the control socket and refusals by reason.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("control.stats")
    }
    func table(of answer: JSONValue) -> String { counterTable(answer) }
  }

  struct Methods: Query {
    static let configuration = CommandConfiguration(abstract: "What `dpuctl call` can call.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue { try firmware.call("rpc.list") }
    func table(of answer: JSONValue) -> String {
      var table = Table([.left("METHOD"), .left("PARAMETERS"), .left("RIGHT"), .left("SUMMARY")])
      for method in answer["methods"].elements {
        let parameters = method["parameters"].elements.map {
          $0["name"].cell + ($0["required"].isTrue ? "" : "?")
        }
        table.add([
          method["name"].cell, parameters.joined(separator: " "),
          method["write"].isTrue ? "write" : "read", method["summary"].cell,
        ])
      }
      return table.text
    }
  }

  struct Reload: Query {
    static let configuration = CommandConfiguration(
      abstract: "Reads the configuration file again and changes what differs, or nothing.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("system.reload")
    }
    func table(of answer: JSONValue) -> String { changeTable(answer) }
  }

  struct Shutdown: Query {
    static let configuration = CommandConfiguration(abstract: "Stops the firmware.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("system.shutdown")
    }
    func table(of answer: JSONValue) -> String { "stopping" }
  }
}

/// Counters with one column for the sum and, when there are several, one for each core.
/// `all`: also what is zero.
func counterTable(_ answer: JSONValue, all: Bool = true) -> String {
  let cores = answer["cores"].elements.count > 1 ? answer["cores"].elements : []
  var table = Table(
    [.left("COUNTER"), .right("TOTAL")] + cores.map { .right("CORE \($0["core"].cell)") })
  for counter in answer["counters"].members where all || counter.value.integer != 0 {
    table.add([counter.key, counter.value.cell] + cores.map { $0["counters"][counter.key].cell })
  }
  return table.text
}
