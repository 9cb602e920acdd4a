// What the generator knows, read from its registers and counters.
extension PktgenGroup {
  /// Streams that have ever sent or received something, over all cores.
  static func readRegisters(
    _ place: PipelineOptions, _ firmware: FirmwareConnection
  ) throws -> [PktgenReport] {
    /// By core, then by stream.
    func read(_ register: String) throws -> [[Int]] {
      let answer = try firmware.call(
        "p4.register.read", place.parameters([.init("register", register)]))
      return answer["cores"].elements.map { $0["values"].elements.map { $0.integer ?? 0 } }
    }
    func combined(_ register: String, _ join: (Int, Int) -> Int) throws -> [Int] {
      let cores = try read(register)
      return (cores.first?.indices ?? 0..<0).map { stream in
        cores.map { $0[stream] }.reduce(0, join)
      }
    }
    let wanted = try combined("wanted", max)
    let active = try combined("active", max)
    let sent = try combined("sent", +)
    let received = try combined("received", +)
    let right = try combined("hashed_ok", +)
    let wrong = try combined("hashed_bad", +)
    let hash = try combined("xor_hash", ^)
    let expected = try combined("expect_all", max)
    let last = try combined("last_seq", max)
    let reordered = try combined("reordered", +)
    return wanted.indices.compactMap { stream in
      guard wanted[stream] + sent[stream] + received[stream] > 0 else { return nil }
      var report = PktgenReport(stream: stream)
      report.wanted = wanted[stream]
      report.isActive = active[stream] != 0
      report.sent = sent[stream]
      report.received = received[stream]
      report.hashedRight = right[stream]
      report.hashedWrong = wrong[stream]
      report.hash = hash[stream]
      report.expectedHash = expected[stream]
      report.lastSequence = last[stream]
      report.reordered = reordered[stream]
      report.isComplete =
        received[stream] == wanted[stream] && wrong[stream] == 0
        && hash[stream] == expected[stream]
      return report
    }
  }

  /// Cells of the counter `latency` for each stream: below 1, 2, 4, ... microseconds.
  private static let latencyCells = 16

  /// Packets by latency, all streams together; nil when the program does not measure it.
  static func readLatency(
    _ streams: [Int], _ place: PipelineOptions, _ firmware: FirmwareConnection
  ) throws -> JSONValue? {
    let info = try firmware.call("p4.info", place.parameters([]))
    let hasLatency = info["counters"].elements.contains {
      JSONValue.short($0["name"].cell) == "latency"
    }
    guard hasLatency else { return nil }
    var sums = [Int](repeating: 0, count: latencyCells)
    for stream in streams {
      let answer = try firmware.call(
        "p4.counter.read",
        place.parameters([
          .init("counter", "latency"), .init("index", stream * latencyCells),
          .init("count", latencyCells),
        ]))
      for (cell, value) in answer["cells"].elements.enumerated() {
        sums[cell] += value["packets"].integer ?? 0
      }
    }
    return .array(
      sums.enumerated().map { cell, packets in
        .object([
          .init(
            "belowMicroseconds",
            cell == latencyCells - 1 ? JSONValue.null : .number(String(1 << cell))),
          .init("packets", packets),
        ])
      })
  }

  static func clearLatency(
    _ streams: Range<Int>, _ place: PipelineOptions, _ firmware: FirmwareConnection
  ) throws {
    var writes: [JSONValue] = []
    for cell in streams.lowerBound * latencyCells..<streams.upperBound * latencyCells {
      writes.append(
        .object([
          .init("method", "p4.counter.write"), .init("counter", "latency"),
          .init("index", cell), .init("packets", 0), .init("bytes", 0),
        ]))
    }
    let info = try firmware.call("p4.info", place.parameters([]))
    guard
      info["counters"].elements.contains(where: {
        JSONValue.short($0["name"].cell) == "latency"
      })
    else { return }
    _ = try firmware.call(
      "p4.batch", place.parameters([.init("writes", JSONValue.array(writes))]))
  }
}
