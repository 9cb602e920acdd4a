import ArgumentParser

extension P4Group {
  struct Write: Query {
    static let configuration = CommandConfiguration(
      abstract: "Table entries from binary records.",
      discussion: """
        FILE holds records as p4.write takes them and `p4 batch --binary` makes them, 1 MiB at \
        most. All of it takes effect between two bursts, or nothing does; with --each every \
        record counts for itself.
        """)
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions

    @Argument(help: "The records; - for standard input.")
    var file: String

    @Flag(help: "Each record for itself.")
    var each = false

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      let records = try InputFile.bytes(of: file)
      return try firmware.call(
        "p4.write",
        place.parameters([
          .init("bytes", records.count), .init("atomic", JSONValue.boolean(!each)),
        ]), body: records)
    }
    func table(of answer: JSONValue) -> String {
      let updates = answer["updates"].integer ?? 0
      let failures = answer["failures"].integer ?? 0
      guard failures > 0 else { return "\(updates) writes done" }
      var lines = ["\(updates - failures) writes done, \(failures) refused"]
      for row in answer["refusals"].elements {
        lines.append("  \(row["update"].cell) at byte \(row["offset"].cell): \(row["reason"].cell)")
      }
      return lines.joined(separator: "\n")
    }
  }
}
