import ArgumentParser

struct LinkGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "link", abstract: "The links to the broker.", subcommands: [Stats.self])

  struct Stats: Query {
    static let configuration = CommandConfiguration(
      abstract: "State, certificate and counters.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try firmware.call("link.stats")
    }
    func table(of answer: JSONValue) -> String {
      var table = Table([
        .right("CORE"), .left("STATE"), .left("CERTIFIED"), .left("OBJECTIONS"),
        .left("LISTENERS"), .right("CHANNELS"),
      ])
      for link in answer["links"].elements {
        let state = link["stalled"].isTrue ? "stalled" : link["up"].isTrue ? "up" : "down"
        table.add([
          link["core"].cell, state, link["certified"].cell, link["objections"].cell,
          link["listeners"].cell, link["channels"].cell,
        ])
      }
      return "\(table.text)\n\n\(counterTable(answer))"
    }
  }
}
