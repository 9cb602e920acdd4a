import ArgumentParser

struct P4Group: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "p4", abstract: "P4 pipelines, and P4 programs without a firmware.",
    discussion: """
      Values are numbers (31, 0x1f) or addresses (10.0.0.1, fd77::1, 02:00:00:00:00:01). Keys are \
      values or, by what the table matches, 10.0.0.0/8, 0x10&&&0xf0, 80..443 or *. Of several \
      entries that match, the one with the smallest priority number wins.
      """,
    subcommands: [
      List.self, Load.self, Verify.self, Unload.self, Info.self, Stats.self, TableVerbs.self,
      CounterVerbs.self, MeterVerbs.self, RegisterVerbs.self, MemberVerbs.self, GroupVerbs.self,
      MirrorVerbs.self, MulticastVerbs.self, ValueSetVerbs.self, Queue.self, Batch.self,
      Write.self, Digests.self, Logs.self, PacketIn.self, PacketOut.self, Trace.self, STF.self,
      Replay.self,
    ])
}

/// Which pipeline is meant.
struct PipelineOptions: ParsableArguments {
  @Option(help: "The pipeline, when there are several.")
  var pipeline: String?

  /// Parameters of a call, with the pipeline among them.
  func parameters(_ members: [JSONValue.Member?]) -> JSONValue {
    let name = pipeline.map { JSONValue.Member(key: "pipeline", value: .string($0)) }
    return .object(([name] + members).compactMap { $0 })
  }
}

/// A command that only asks for something to be done.
protocol PipelineWrite: Query {
  var place: PipelineOptions { get }
  var method: String { get }
  func parameters() throws -> [JSONValue.Member?]
}

extension PipelineWrite {
  func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
    try firmware.call(method, place.parameters(parameters()))
  }
  /// What it gave back, as a new entry's number.
  func table(of answer: JSONValue) -> String {
    answer.members.isEmpty
      ? "done" : answer.members.map { "\($0.key) \($0.value.cell)" }.joined(separator: ", ")
  }
}
