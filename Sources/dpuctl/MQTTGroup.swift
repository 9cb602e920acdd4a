import ArgumentParser

struct MQTTGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mqtt", abstract: "The MQTT offload.",
    subcommands: [Stats.self, Clients.self, Topics.self, Explain.self, Disconnect.self])

  struct Disconnect: Query {
    static let configuration = CommandConfiguration(
      abstract: "Ends a client's connection; the broker publishes its will.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    @Argument(help: "The client identifier.")
    var client: String

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("mqtt.disconnect", .object([.init("client", client)]))
    }
    func table(of answer: JSONValue) -> String { "disconnected" }
  }

  struct Stats: Query {
    static let configuration = CommandConfiguration(abstract: "Counters.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("mqtt.stats")
    }
    func table(of answer: JSONValue) -> String { counterTable(answer) }
  }

  struct Clients: Query {
    static let configuration = CommandConfiguration(abstract: "Clients.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var page: PageOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try page.fetch("mqtt.clients", rows: "clients", from: firmware)
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([
        .right("CORE"), .left("CLIENT"), .left("REMOTE"), .left("VERSION"), .left("MODE"),
        .right("SUBSCRIPTIONS"), .right("KEEP-ALIVE"), .right("PUBLISHES"), .right("CONSUMED"),
        .right("DELIVERED"), .right("DROPPED"), .right("QUEUED"),
      ])
      for row in answer["clients"].elements {
        table.add([
          row["core"].cell, row["clientID"].cell, row["remote"].cell, row["version"].cell,
          row["mode"].cell, row["subscriptions"].cell, "\(row["keepAliveSeconds"].cell) s",
          row["publishes"].cell, row["consumed"].cell, row["delivered"].cell,
          row["dropped"].cell, Units.bytes(row["queuedBytes"]),
        ])
      }
      return table.text + page.footer(answer, rows: "clients")
    }
  }

  struct Topics: Query {
    static let configuration = CommandConfiguration(
      abstract: "Subscriptions by which messages are delivered without the broker.",
      discussion: """
        What the broker has granted to clients that are connected through the DPU, or whose \
        sessions wait for them. Retained messages stay with the broker.
        """)
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var page: PageOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try page.fetch("mqtt.topics", rows: "subscriptions", from: firmware)
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([
        .left("FILTER"), .left("CLIENT"), .right("CORE"), .right("QOS"), .left("SHARED"),
        .left("NO LOCAL"), .right("IDENTIFIER"),
      ])
      for row in answer["subscriptions"].elements {
        table.add([
          row["filter"].cell, row["clientID"] == .null ? "(away)" : row["clientID"].cell,
          row["core"].cell, row["grantedQoS"].cell, row["shared"].isTrue ? "yes" : "",
          row["noLocal"].isTrue ? "yes" : "",
          row["identifier"].integer == 0 ? "" : row["identifier"].cell,
        ])
      }
      return table.text + page.footer(answer, rows: "subscriptions")
    }
  }

  struct Explain: Query {
    static let configuration = CommandConfiguration(
      abstract: "What would become of a QoS 0 message to a topic now, and why.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    @Argument(help: "A topic name.")
    var topic: String

    @Option(help: "The client identifier of the publisher. (default: any well-behaved client)")
    var client: String?

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      var parameters = [JSONValue.Member(key: "topic", value: .string(topic))]
      if let client { parameters.append(.init(key: "client", value: .string(client))) }
      return try firmware.call("mqtt.explain", .object(parameters))
    }
    func table(of answer: JSONValue) -> String {
      var facts = Table([.left("FACT"), .left("VALUE")])
      facts.add(["topic", answer["topic"].cell])
      facts.add(["decision", answer["decision"].cell])
      facts.add(["reason", answer["reason"].cell])
      facts.add(["certified", answer["certified"].cell])
      facts.add(["verdict", answer["verdict"].cell])
      facts.add(["verdict age", Units.milliseconds(answer["verdictAgeMilliseconds"])])
      facts.add(["subscriptions", answer["matchingSubscriptions"].cell])
      guard !answer["receivers"].elements.isEmpty else { return facts.text }
      var receivers = Table([.right("CORE"), .left("RECEIVER"), .right("GRANTED QOS")])
      for row in answer["receivers"].elements {
        receivers.add([row["core"].cell, row["clientID"].cell, row["grantedQoS"].cell])
      }
      return "\(facts.text)\n\n\(receivers.text)"
    }
  }
}
