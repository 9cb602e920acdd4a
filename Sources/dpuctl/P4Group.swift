import ArgumentParser

struct P4Group: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "p4", abstract: "P4 programs: tests without a firmware.",
    subcommands: [STF.self, Replay.self])
}
