import ArgumentParser

struct FirewallGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "firewall", abstract: "The firewall: the program p4/firewall.p4.",
    discussion: """
      Ports lie in zones. What comes from inside may open a connection, and its answers pass for 64 \
      seconds after the last packet; what comes from outside passes by a rule, or as such an answer. \
      Of the rules that match, the one with the smallest number decides; without one, the default \
      does. Only IPv4 is looked at beyond the Ethernet header.
      """,
    subcommands: [
      Initialise.self, Allow.self, Deny.self, Remove.self, List.self, Stats.self, Default.self,
      Block.self, Unblock.self,
    ])

  static let zones = ["inside": 1, "outside": 2]

  // MARK: Rules

  /// What packets a rule is about.
  struct RuleOptions: ParsableArguments {
    @Option(help: "Where the packet comes in: inside, outside or any.")
    var zone = "outside"
    @Option(help: "Source, an address or a network.")
    var from: String?
    @Option(help: "Destination, an address or a network.")
    var to: String?
    @Option(name: .customLong("protocol"), help: "tcp, udp, icmp or a number.")
    var protocolName: String?
    @Option(help: "Destination port, N or N-M; the type for ICMP is the source port.")
    var port: String?
    @Option(help: "Source port, N or N-M.")
    var sourcePort: String?
    @Option(help: "The number of the rule; smaller ones come first. (default: behind all others)")
    var priority: Int?
    @Option(help: "Packets a second that may pass by this rule.")
    var rate: Int?
    @Option(help: "Packets that may come at once, with --rate.")
    var burst: Int?

    func keys() throws -> JSONValue {
      var keys: [JSONValue.Member] = []
      if zone != "any" {
        guard let number = FirewallGroup.zones[zone] else {
          throw Failure.usage("--zone must be inside, outside or any")
        }
        keys.append(.init("zone", number))
      }
      if let from { keys.append(.init("src", from)) }
      if let to { keys.append(.init("dst", to)) }
      if let protocolName {
        let known = ["icmp": 1, "tcp": 6, "udp": 17]
        guard let number = known[protocolName] ?? Int(protocolName) else {
          throw Failure.usage("--protocol must be tcp, udp, icmp or a number")
        }
        keys.append(.init("proto", number))
      }
      if let port { keys.append(.init("dport", try Self.range(port))) }
      if let sourcePort { keys.append(.init("sport", try Self.range(sourcePort))) }
      return .object(keys)
    }

    private static func range(_ text: String) throws -> JSONValue {
      let parts = text.split(separator: "-", omittingEmptySubsequences: false)
      guard parts.count <= 2, parts.allSatisfy({ UInt16($0) != nil }) else {
        throw Failure.usage("'\(text)' is no port and no range of ports")
      }
      return parts.count == 1
        ? .number(String(parts[0])) : .string("\(parts[0])..\(parts[1])")
    }
  }

  /// Adds a rule behind the others, unless it has a number.
  static func add(
    _ action: String, _ rule: RuleOptions, _ place: PipelineOptions,
    _ firmware: FirmwareConnection
  ) throws -> JSONValue {
    var priority = rule.priority ?? 0
    if rule.priority == nil {
      let rows = try P4Group.Show.fetch("acl", limit: 100_000, place, from: firmware)
      // Room between two for one that comes later.
      let last = rows["entries"].elements.compactMap { $0["priority"].integer }.max() ?? 0
      priority = last + 10
    }
    let answer = try firmware.call(
      "p4.table.insert",
      place.parameters([
        .init("table", "acl"), .init("keys", try rule.keys()), .init("action", action),
        .init("priority", priority),
      ]))
    if let rate = rule.rate, let entry = answer["entry"].integer {
      let burst = rule.burst ?? max(1, rate / 10)
      _ = try firmware.call(
        "p4.meter.write",
        place.parameters([
          .init("meter", "acl_rate"), .init("entry", entry), .init("committedRate", rate),
          .init("committedBurst", burst), .init("peakRate", rate), .init("peakBurst", burst),
        ]))
    }
    return .object([.init("rule", answer["entry"]), .init("priority", priority)])
  }

  struct Allow: Query {
    static let configuration = CommandConfiguration(
      abstract: "Lets packets pass.",
      discussion: "For example: firewall allow --protocol tcp --to 10.77.0.1 --port 1883")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @OptionGroup var rule: RuleOptions
    @Flag(help: "Answers may pass as well. (always so for what comes from inside)")
    var track = false

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      let tracks = track || rule.zone == "inside"
      return try FirewallGroup.add(tracks ? "permit_track" : "permit", rule, place, firmware)
    }
    func table(of answer: JSONValue) -> String {
      "rule \(answer["rule"].cell) with number \(answer["priority"].cell)"
    }
  }

  struct Deny: Query {
    static let configuration = CommandConfiguration(abstract: "Drops packets.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @OptionGroup var rule: RuleOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try FirewallGroup.add("deny", rule, place, firmware)
    }
    func table(of answer: JSONValue) -> String {
      "rule \(answer["rule"].cell) with number \(answer["priority"].cell)"
    }
  }

  struct Remove: PipelineWrite {
    static let configuration = CommandConfiguration(abstract: "Removes a rule.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument(help: "As `firewall list` names it.")
    var rule: Int

    var method: String { "p4.table.delete" }
    func parameters() throws -> [JSONValue.Member?] {
      [.init("table", "acl"), .init("entry", rule)]
    }
  }

  struct Default: PipelineWrite {
    static let configuration = CommandConfiguration(
      abstract: "What becomes of packets without a rule.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument(help: "allow or deny.")
    var policy: String

    func validate() throws {
      guard ["allow", "deny"].contains(policy) else { throw ValidationError("allow or deny") }
    }
    var method: String { "p4.table.setDefault" }
    func parameters() throws -> [JSONValue.Member?] {
      [.init("table", "acl"), .init("action", policy == "allow" ? "permit" : "deny")]
    }
  }

  // MARK: Networks

  struct Block: PipelineWrite {
    static let configuration = CommandConfiguration(
      abstract: "Drops everything from a network, before any rule.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument(help: "As 192.0.2.0/24.")
    var network: String
    @Flag(help: "An exception within a larger network.")
    var except = false

    var method: String { "p4.table.insert" }
    func parameters() throws -> [JSONValue.Member?] {
      [
        .init("table", "net_block"), .init("keys", JSONValue.array([.string(network)])),
        .init("action", except ? "net_permit" : "net_deny"),
      ]
    }
  }

  struct Unblock: PipelineWrite {
    static let configuration = CommandConfiguration(
      abstract: "Takes a blocked network off the list.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @Argument var network: String

    var method: String { "p4.table.delete" }
    func parameters() throws -> [JSONValue.Member?] {
      [.init("table", "net_block"), .init("keys", JSONValue.array([.string(network)]))]
    }
  }

  // MARK: What there is

  struct List: Query {
    static let configuration = CommandConfiguration(
      abstract: "The rules in their order, with the packets that they have decided.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      func rows(_ table: String) throws -> JSONValue {
        try P4Group.Show.fetch(table, limit: 100_000, place, from: firmware)
      }
      let rules = try rows("acl")
      let sorted = rules["entries"].elements.sorted {
        ($0["priority"].integer ?? 0, $0["entry"].integer ?? 0)
          < ($1["priority"].integer ?? 0, $1["entry"].integer ?? 0)
      }
      return .object([
        .init("rules", JSONValue.array(sorted)), .init("default", rules["default"]),
        .init("networks", try rows("net_block")["entries"]),
        .init("zones", try rows("port_zone")["entries"]),
      ])
    }

    func table(of answer: JSONValue) -> String {
      var rules = Table([
        .right("NUMBER"), .right("RULE"), .left("DOES"), .left("ZONE"), .left("FROM"),
        .left("TO"), .left("PROTOCOL"), .left("SOURCE PORT"), .left("PORT"), .right("PACKETS"),
        .right("BYTES"),
      ])
      for row in answer["rules"].elements {
        let keys = FirewallGroup.keys(row)
        rules.add([
          row["priority"].cell, row["entry"].cell, FirewallGroup.verdict(row),
          FirewallGroup.zone(keys["zone"]), FirewallGroup.network(keys["src"]),
          FirewallGroup.network(keys["dst"]), FirewallGroup.protocolName(keys["proto"]),
          FirewallGroup.any(keys["sport"]), FirewallGroup.any(keys["dport"]),
          row["packets"].cell, row["bytes"].cell,
        ])
      }
      var parts = [rules.text, "default: \(FirewallGroup.verdict(answer["default"]))"]
      if !answer["networks"].elements.isEmpty {
        var networks = Table([.left("NETWORK"), .left("DOES"), .right("PACKETS")])
        for row in answer["networks"].elements {
          networks.add([
            FirewallGroup.network(FirewallGroup.keys(row)["src"]),
            FirewallGroup.verdict(row), row["packets"].cell,
          ])
        }
        parts.append(networks.text)
      }
      var zones = Table([.right("PORT"), .left("ZONE")])
      for row in answer["zones"].elements {
        zones.add([
          row["keys"].members.first?.value.cell ?? "-",
          FirewallGroup.zone(row["arguments"]["zone"]),
        ])
      }
      parts.append(zones.text)
      return parts.joined(separator: "\n\n")
    }
  }

  struct Stats: Query {
    static let configuration = CommandConfiguration(
      abstract: "Verdicts: packets and bytes of each.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions

    /// In the order of the program's constants VERDICT_...
    static let verdicts = [
      "permit", "stateful", "deny-l2", "deny-net", "deny-acl", "deny-rate", "malformed", "punt",
    ]

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      let answer = try firmware.call(
        "p4.counter.read", place.parameters([.init("counter", "verdicts")]))
      let rows = zip(Self.verdicts, answer["cells"].elements).map { name, cell in
        JSONValue.object([
          .init("verdict", name), .init("packets", cell["packets"]),
          .init("bytes", cell["bytes"]),
        ])
      }
      return .object([.init("verdicts", JSONValue.array(rows))])
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([.left("VERDICT"), .right("PACKETS"), .right("BYTES")])
      for row in answer["verdicts"].elements {
        table.add([row["verdict"].cell, row["packets"].cell, Units.bytes(row["bytes"])])
      }
      return table.text
    }
  }

  // MARK: Words for values

  /// Keys by the last part of their names.
  static func keys(_ row: JSONValue) -> [String: JSONValue] {
    var keys: [String: JSONValue] = [:]
    for member in row["keys"].members { keys[JSONValue.short(member.key)] = member.value }
    return keys
  }

  static func verdict(_ row: JSONValue) -> String {
    switch JSONValue.short(row["action"].cell) {
    case "permit", "net_permit": "allow"
    case "permit_track": "allow and track"
    case "deny", "net_deny": "deny"
    case "punt_acl": "to the controller"
    case let other: other
    }
  }

  static func zone(_ value: JSONValue?) -> String {
    guard let number = value?.integer else { return "any" }
    return zones.first { $0.value == number }?.key ?? String(number)
  }

  static func any(_ value: JSONValue?) -> String {
    guard let value, value != .string("*") else { return "any" }
    return value.cell.replacing("..", with: "-")
  }

  static func protocolName(_ value: JSONValue?) -> String {
    switch value?.integer {
    case 1: "icmp"
    case 6: "tcp"
    case 17: "udp"
    case let number?: String(number)
    case nil: "any"
    }
  }

  /// A number, `0x.../8` or `0x...&&&0x...` as an IPv4 network.
  static func network(_ value: JSONValue?) -> String {
    guard let value, value != .string("*") else { return "any" }
    if let number = value.integer { return dotted(UInt32(truncatingIfNeeded: number)) }
    let text = value.cell
    func number(_ part: Substring) -> UInt32? {
      part.hasPrefix("0x") ? UInt32(part.dropFirst(2), radix: 16) : UInt32(part)
    }
    if let slash = text.firstIndex(of: "/"), let address = number(text[..<slash]) {
      return dotted(address) + text[slash...]
    }
    let parts = text.split(separator: "&&&")
    guard parts.count == 2, let address = number(parts[0]), let mask = number(parts[1]) else {
      return text
    }
    let length = mask.nonzeroBitCount
    let isPrefix = mask == (length == 0 ? 0 : UInt32.max << UInt32(32 - length))
    return isPrefix ? "\(dotted(address))/\(length)" : "\(dotted(address)) & \(dotted(mask))"
  }

  private static func dotted(_ address: UInt32) -> String {
    [24, 16, 8, 0].map { String(address >> UInt32($0) & 255) }.joined(separator: ".")
  }
}
