import ArgumentParser

extension FirewallGroup {
  /// The tables that say how ports are joined, without which nothing passes.
  struct Initialise: Query {
    static let configuration = CommandConfiguration(
      commandName: "init", abstract: "Joins the ports, puts them into zones, and lets inside out.",
      discussion: """
        The uplink is outside, the host's port and the DPU's own stack are inside. Broadcasts go to \
        all other ports, frames for the DPU's hardware address to its stack, the rest to and fro \
        between uplink and host. What was set before is replaced, rules stay.
        """)
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions

    @Option(
      help: "Hardware address of the host; without it, what the stack sends goes to all ports.")
    var hostMac: String?
    @Option(help: "The DPU's own hardware address. (default: that of the uplink)")
    var mac: String?
    @Flag(help: "Without the rule that lets everything from inside pass.")
    var strict = false

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      let ports = try PipelinePorts(of: place.pipeline, from: firmware)
      let own = try mac ?? uplinkAddress(firmware)
      var writes = ["port_zone", "wire"].map { Self.write("p4.table.clear", $0, []) }
      writes.append(
        .object([
          .init("method", "p4.multicast.set"), .init("group", 1),
          .init(
            "replicas", JSONValue.array(ports.data.map { .object([.init("port", $0)]) })),
        ]))
      for (end, zone) in [("uplink", "outside"), ("host", "inside"), ("stack", "inside")] {
        guard let number = ports[end] else { continue }
        writes.append(
          Self.write(
            "p4.table.insert", "port_zone",
            [
              .init("keys", JSONValue.array([.number(String(number))])),
              .init("action", "set_zone"),
              .init("arguments", JSONValue.array([.number(String(zones[zone] ?? 0))])),
            ]))
        writes += wires(from: end, number, ports, own)
      }
      let rules = try P4Group.Show.fetch("acl", limit: 1, place, from: firmware)
      if !strict, rules["entries"].elements.isEmpty {
        writes.append(
          Self.write(
            "p4.table.insert", "acl",
            [
              .init("keys", JSONValue.object([.init("zone", 1)])),
              .init("action", "permit_track"), .init("priority", 1_000),
            ]))
      }
      return try firmware.call(
        "p4.batch", place.parameters([.init("writes", JSONValue.array(writes))]))
    }

    func table(of answer: JSONValue) -> String {
      "\(answer["results"].elements.count) writes done; firewall list shows them"
    }

    private func uplinkAddress(_ firmware: FirmwareConnection) throws -> String {
      let ports = try firmware.call("port.list")["ports"].elements
      guard let uplink = ports.first(where: { $0["role"] == .string("uplink") }) else {
        throw Failure.refused("the firmware has no uplink")
      }
      return uplink["mac"].cell
    }

    private static func write(
      _ method: String, _ table: String, _ members: [JSONValue.Member]
    ) -> JSONValue {
      .object([.init("method", method), .init("table", table)] + members)
    }

    /// Where frames from `end` go, by destination; the smaller number wins.
    private func wires(
      from end: String, _ number: Int, _ ports: PipelinePorts, _ own: String
    ) -> [JSONValue] {
      var wires: [JSONValue] = []
      func wire(_ destination: String, _ priority: Int, _ action: String, _ argument: Int) {
        wires.append(
          Self.write(
            "p4.table.insert", "wire",
            [
              .init(
                "keys", JSONValue.array([.number(String(number)), .string(destination)])),
              .init("priority", priority), .init("action", action),
              .init("arguments", JSONValue.array([.number(String(argument))])),
            ]))
      }
      wire("01:00:00:00:00:00&&&01:00:00:00:00:00", 1, "flood", 1)
      if end == "stack" {
        if let host = ports["host"], let uplink = ports["uplink"] {
          if let hostMac {
            wire(hostMac, 2, "forward", host)
            wire("*", 3, "forward", uplink)
          } else {
            wire("*", 3, "flood", 1)
          }
        } else if let other = ports["uplink"] ?? ports["host"] {
          wire("*", 3, "forward", other)
        }
        return wires
      }
      if let stack = ports["stack"] { wire(own, 2, "forward", stack) }
      if let other = ports[end == "uplink" ? "host" : "uplink"] { wire("*", 3, "forward", other) }
      return wires
    }
  }
}
