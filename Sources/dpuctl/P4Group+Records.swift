import ArgumentParser

extension P4Group {
  struct Write: Query {
    static let configuration = CommandConfiguration(
      abstract: "Table entries from binary records.",
      discussion: """
        FILE holds records as p4.write takes them and `p4 batch --binary` makes them. All of it \
        takes effect between two bursts, or nothing does, and there may be 1 MiB of it; with \
        --each every record counts for itself, and there may be any number.
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
      guard each, records.count > RecordParts.limit else { return try write(records, firmware) }
      let bar = ProgressBar("writing \(Units.bytes(.number(String(records.count))))")
      defer { bar.end() }
      var sum = RecordParts.Sum()
      for part in RecordParts.split(records) {
        do {
          sum.add(try write(Array(records[part]), firmware), at: part.lowerBound)
        } catch Failure.refused(let text) {
          throw Failure.refused(
            "\(text) of the part from byte \(part.lowerBound) on; \(sum.written) writes before it are "
              + "done")
        }
        bar.show(part.upperBound, of: records.count)
      }
      return sum.answer
    }

    private func write(
      _ records: [UInt8], _ firmware: FirmwareConnection
    ) throws -> JSONValue {
      try firmware.call(
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
