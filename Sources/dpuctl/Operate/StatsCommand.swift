import ArgumentParser
import Glibc

/// Counters out of the shared memory: nothing of the firmware is asked for them.
struct Stats: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Counters, read out of shared memory without asking the firmware.",
    discussion: """
      Names are GROUP.COUNTER, as tcp.segmentsReceived; * stands for anything. With --every they \
      are shown again with their rates. Only on the DPU itself: memory does not pass through ssh.
      """)
  @ParentCommand var root: DPUControl
  @OptionGroup var options: GlobalOptions

  @Argument(help: "Names to show.")
  var patterns = ["*"]

  @Flag(help: "Those as well that are zero.")
  var all = false

  @Option(help: "Seconds between two looks.")
  var every: Double?

  @Option(name: .customShort("n"), help: "Looks after which to end. (default: no end)")
  var count: Int?

  func validate() throws {
    guard (0.01...3_600).contains(every ?? 1) else {
      throw ValidationError("--every must be from 0.01 to 3,600 seconds")
    }
  }

  mutating func run() throws {
    let segment = try StatisticsSegment(FirmwareConnection(options.place(root)))
    let patterns = patterns
    let chosen = segment.counters.filter { counter in
      patterns.contains { fnmatch($0, counter.name, 0) == 0 }
    }
    guard !chosen.isEmpty else {
      throw Failure.refused("no counter is called \(patterns.joined(separator: " or "))")
    }
    let wantsJSON = options.json || root.options.json
    var before: [UInt64]?
    var looks = every == nil ? 1 : count ?? .max
    while looks > 0 {
      let values = chosen.map(segment.value)
      ByteStream.printLine(
        wantsJSON ? Self.json(chosen, values) : table(chosen, values, since: before))
      before = values
      looks -= 1
      if looks > 0, let every { usleep(UInt32(every * 1e6)) }
    }
  }

  private static func json(_ counters: [StatisticsSegment.Counter], _ values: [UInt64]) -> String {
    JSONValue.array(
      zip(counters, values).map { counter, value in
        .object([
          .init("name", counter.name), .init("core", counter.core),
          .init(key: "value", value: .number(String(value))),
        ])
      }
    ).text
  }

  private func table(
    _ counters: [StatisticsSegment.Counter], _ values: [UInt64], since before: [UInt64]?
  ) -> String {
    var table = Table(
      [.left("COUNTER"), .right("CORE"), .right("VALUE")]
        + (before == nil ? [] : [.right("PER SECOND")]))
    for (index, counter) in counters.enumerated() where all || values[index] != 0 {
      var row = [counter.name, String(counter.core), String(values[index])]
      if let before, let every {
        row.append(String(Int(Double(values[index] &- before[index]) / every)))
      }
      table.add(row)
    }
    return table.text
  }
}
