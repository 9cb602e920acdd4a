import ArgumentParser
import DPUCore
import Glibc

struct PktgenGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pktgen", abstract: "The packet generator: the program p4/pktgen.p4.",
    subcommands: [Start.self, Stop.self, Status.self, Clear.self])

  /// Frames of control packets and of the data that comes of them.
  struct AddressOptions: ParsableArguments {
    @Option(name: .customLong("to-mac"), help: "Destination of the packets. (default: broadcast)")
    var destination: String?
    @Option(name: .customLong("from-mac"), help: "Their source. (default: 02:00:00:00:00:88)")
    var source: String?

    func addresses() throws -> (destination: [UInt8], source: [UInt8]) {
      (
        try Self.address(destination) ?? Array(repeating: 0xff, count: 6),
        try Self.address(source) ?? [2, 0, 0, 0, 0, 0x88]
      )
    }

    private static func address(_ text: String?) throws -> [UInt8]? {
      guard let text else { return nil }
      guard let bytes = PktgenPacket.bytes(hexadecimal: text), bytes.count == 6 else {
        throw Failure.usage("'\(text)' is no MAC address")
      }
      return bytes
    }
  }

  /// Which streams, of 256.
  struct StreamOptions: ParsableArguments {
    @Option(help: "How many streams.")
    var streams = 1
    @Option(help: "The number of the first.")
    var firstStream = 0

    func validate() throws {
      guard (1...256).contains(streams), (0...256 - streams).contains(firstStream) else {
        throw ValidationError("streams have numbers of 0 to 255")
      }
    }
    var range: Range<Int> { firstStream..<firstStream + streams }
  }

  struct Start: Query {
    static let configuration = CommandConfiguration(
      abstract: "Starts streams of numbered and hashed packets.",
      discussion: """
        Every packet carries its stream, its number, the microsecond it was made and the CRC-32 of \
        stream, number and a pattern of 32 bytes. What comes back to any port of the pipeline is \
        counted and compared, and so is the time it was on its way. Streams take turns; --rate and \
        --gap pace all that run.
        """)
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @OptionGroup var streams: StreamOptions
    @OptionGroup var addresses: AddressOptions

    @Option(help: "Where they leave: uplink, host, a port number, or all.")
    var port = "uplink"
    @Option(help: "Packets of each stream.")
    var count = 1_000
    @Option(help: "Packets a second, all streams together. (default: as fast as possible)")
    var rate: Int?
    @Option(help: "Microseconds between the packets of a stream, in place of --rate.")
    var gap: Int?
    @Option(help: "Bytes of a packet, 62 to 9000.")
    var size = 64
    @Option(help: "The pattern, 64 hexadecimal digits. (default: 00 01 02 ...)")
    var pattern: String?
    @Option(help: "The CRC-32 of the pattern that packets must have. (default: as it is)")
    var expectEach: String?
    @Option(help: "The xor of all hashes of a stream. (default: as it will be)")
    var expectAll: String?
    @Option(help: "The core that generates. (default: the first)")
    var core: Int?

    func validate() throws {
      guard (1...Int(UInt32.max)).contains(count) else {
        throw ValidationError("--count must be 1 to 4294967295")
      }
      guard (PktgenPacket.smallest...9_000).contains(size) else {
        throw ValidationError("--size must be \(PktgenPacket.smallest) to 9000")
      }
      guard (1...1_000_000_000).contains(rate ?? 1) else {
        throw ValidationError("--rate must be 1 to 1000000000")
      }
      guard (1...1_000_000).contains(gap ?? 1) else {
        throw ValidationError("--gap must be 1 to 1000000")
      }
      guard rate == nil || gap == nil else { throw ValidationError("either --rate or --gap") }
    }

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      let ports = try PipelinePorts(of: place.pipeline, from: firmware)
      let target = port == "all" ? PktgenPacket.allPorts : try ports.number(port)
      // A gap is one of each stream; 0 stands for no limit.
      let pace = rate ?? gap.map { max(1, streams.streams * 1_000_000 / $0) } ?? 0
      try prepare(ports, pace: pace, firmware)
      let pattern = try patternBytes()
      let (destination, source) = try addresses.addresses()
      var packets: [JSONValue] = []
      for stream in streams.range {
        let number = UInt8(stream)
        let all =
          try expected(expectAll)
          ?? PktgenPacket.hash(stream: number, count: count, pattern: pattern)
        let each = try expected(expectEach) ?? CRC32.of(pattern)
        var packet = PktgenPacket.header(
          PktgenPacket.start, stream: number, port: target, to: destination, from: source)
        for word in [UInt32(count), 0, each, all] { packet += PktgenPacket.bytes(word) }
        packet += pattern
        // START has 16 bytes more than the data that comes of it.
        packet += Array(repeating: 0, count: size + 16 - packet.count)
        packets.append(.string(PktgenPacket.hexadecimal(packet)))
      }
      let answer = try firmware.call(
        "p4.packetOut",
        place.parameters([.init("packets", JSONValue.array(packets)), .optional("core", core)]))
      guard answer["dropped"].integer == 0 else {
        throw Failure.refused("the firmware had no room for \(answer["dropped"].cell) packets")
      }
      return .object([
        .init("started", streams.streams), .init("port", target), .init("count", count),
        .init("packetsPerSecond", pace == 0 ? JSONValue.null : .number(String(pace))),
        .init("size", size),
      ])
    }

    func table(of answer: JSONValue) -> String {
      let rate = answer["packetsPerSecond"].integer
      let pace = rate.map { "\($0) a second" } ?? "as fast as possible"
      return """
        \(answer["started"].cell) stream(s) of \(answer["count"].cell) packets of \
        \(answer["size"].cell) bytes, \(pace)
        """
    }

    /// Clone sessions that the program asks for, the queue that paces it, and the right of the
    /// control plane to command.
    private func prepare(
      _ ports: PipelinePorts, pace: Int, _ firmware: FirmwareConnection
    ) throws {
      let cpu = try ports.cpu()
      let seeds = try ports.unused()
      var writes: [JSONValue] = []
      for (session, port) in [(100, seeds), (101, cpu)] {
        writes.append(
          .object([
            .init("method", "p4.mirror.set"), .init("session", session), .init("port", port),
          ]))
      }
      // Every stream has one seed, which waits here until its next packet is due.
      writes.append(
        .object([
          .init("method", "p4.queue.set"), .init("port", seeds), .init("depth", 256),
          .init("packetsPerSecond", pace),
        ]))
      writes.append(
        .object([
          .init("method", "p4.table.insert"), .init("table", "control_port"),
          .init("keys", JSONValue.array([.number(String(cpu)), .string("*")])),
          .init("action", "trust"),
        ]))
      if port == "all" {
        let replicas = ports.data.map { JSONValue.object([.init("port", $0)]) }
        for stream in streams.range {
          writes.append(
            .object([
              .init("method", "p4.multicast.set"), .init("group", 1 + stream),
              .init("replicas", JSONValue.array(replicas)),
            ]))
        }
      }
      let answer = try firmware.call(
        "p4.batch",
        place.parameters([
          .init("writes", JSONValue.array(writes)), .init("atomic", JSONValue.boolean(false)),
        ]))
      for result in answer["results"].elements {
        let error = result["error"]
        // Trusted already, from the last time.
        if error == .null || error["data"]["reason"] == .string("exists") { continue }
        throw Failure.refused("preparing the generator: \(error["message"].cell)")
      }
      try PktgenGroup.clearLatency(streams.range, place, firmware)
    }

    private func patternBytes() throws -> [UInt8] {
      guard let pattern else { return Array(0..<32) }
      guard let bytes = PktgenPacket.bytes(hexadecimal: pattern), bytes.count == 32 else {
        throw Failure.usage("--pattern must be 64 hexadecimal digits")
      }
      return bytes
    }

    private func expected(_ text: String?) throws -> UInt32? {
      guard let text else { return nil }
      let digits = text.hasPrefix("0x") ? String(text.dropFirst(2)) : text
      guard let value = UInt32(digits, radix: 16) else {
        throw Failure.usage("'\(text)' is no hash of 32 bits in hexadecimal")
      }
      return value
    }
  }

  // MARK: Reports

  struct Stop: Query {
    static let configuration = CommandConfiguration(
      abstract: "Ends streams, and says what they have done.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @OptionGroup var streams: StreamOptions
    @OptionGroup var addresses: AddressOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      try PktgenGroup.command(
        PktgenPacket.stop, streams.range, addresses, place, firmware)
    }
    func table(of answer: JSONValue) -> String { PktgenGroup.table(answer) }
  }

  struct Clear: Query {
    static let configuration = CommandConfiguration(
      abstract: "Ends streams and forgets what they have done.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions
    @OptionGroup var streams: StreamOptions
    @OptionGroup var addresses: AddressOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      let answer = try PktgenGroup.command(
        PktgenPacket.clear, streams.range, addresses, place, firmware)
      try PktgenGroup.clearLatency(streams.range, place, firmware)
      return answer
    }
    func table(of answer: JSONValue) -> String { "cleared" }
  }

  struct Status: Query {
    static let configuration = CommandConfiguration(
      abstract: "Sent, received, hashed, lost and reordered packets, and their latency.")
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var place: PipelineOptions

    @Flag(help: "Ask the streams with packets, in place of reading registers.")
    var query = false
    @OptionGroup var streams: StreamOptions
    @OptionGroup var addresses: AddressOptions

    func ask(_ firmware: FirmwareConnection) throws -> JSONValue {
      if query {
        return try PktgenGroup.command(
          PktgenPacket.query, streams.range, addresses, place, firmware)
      }
      let reports = try PktgenGroup.readRegisters(place, firmware)
      var members: [JSONValue.Member] = [
        .init("streams", JSONValue.array(reports.map(\.value)))
      ]
      if let latency = try PktgenGroup.readLatency(reports.map(\.stream), place, firmware) {
        members.append(.init("latency", latency))
      }
      return .object(members)
    }
    func table(of answer: JSONValue) -> String { PktgenGroup.table(answer) }
  }

  /// Sends a control packet to each stream, and waits for their reports.
  static func command(
    _ op: UInt8, _ streams: Range<Int>, _ addresses: AddressOptions, _ place: PipelineOptions,
    _ firmware: FirmwareConnection
  ) throws -> JSONValue {
    let (destination, source) = try addresses.addresses()
    let packets = streams.map {
      JSONValue.string(
        PktgenPacket.hexadecimal(
          PktgenPacket.header(op, stream: UInt8($0), to: destination, from: source)))
    }
    // What waited before is no answer.
    _ = try firmware.call("p4.packetIn", place.parameters([.init("limit", 1_000)]))
    _ = try firmware.call(
      "p4.packetOut", place.parameters([.init("packets", JSONValue.array(packets))]))
    var reports: [Int: PktgenReport] = [:]
    for _ in 0..<50 where reports.count < streams.count {
      usleep(10_000)
      let answer = try firmware.call("p4.packetIn", place.parameters([.init("limit", 1_000)]))
      for packet in answer["packets"].elements {
        if let bytes = PktgenPacket.bytes(hexadecimal: packet["packet"].cell),
          let report = PktgenReport(bytes)
        {
          reports[report.stream] = report
        }
      }
    }
    guard reports.count == streams.count else {
      throw Failure.refused(
        "\(streams.count - reports.count) of \(streams.count) streams did not answer; "
          + "is the control port trusted (pktgen start)?")
    }
    let rows = streams.compactMap { reports[$0] }
    return .object([.init("streams", JSONValue.array(rows.map(\.value)))])
  }

  static func table(_ answer: JSONValue) -> String {
    var table = Table([
      .right("STREAM"), .left("STATE"), .right("WANTED"), .right("SENT"), .right("RECEIVED"),
      .right("HASHED"), .right("MATCHED"), .right("WRONG"), .right("LOST"), .right("REORDERED"),
      .left("HASH"),
    ])
    for row in answer["streams"].elements {
      let state =
        row["active"].isTrue ? "running" : row["complete"].isTrue ? "complete" : "ended"
      let hash = String(row["hash"].integer ?? 0, radix: 16)
      let isRight = row["hash"] == row["expectedHash"]
      table.add([
        row["stream"].cell, state, row["wanted"].cell, row["sent"].cell, row["received"].cell,
        row["hashed"].cell, row["matched"].cell, row["wrong"].cell, row["lost"].cell,
        row["reordered"].cell, "\(hash) \(isRight ? "as expected" : "unlike expected")",
      ])
    }
    let latency = answer["latency"].elements
    guard latency.contains(where: { $0["packets"].integer ?? 0 > 0 }) else { return table.text }
    var histogram = Table([.left("LATENCY"), .right("PACKETS"), .left("")])
    let most = latency.map { $0["packets"].integer ?? 0 }.max() ?? 1
    for row in latency where row["packets"].integer ?? 0 > 0 {
      let count = row["packets"].integer ?? 0
      let bound = row["belowMicroseconds"].integer
      histogram.add([
        bound.map { "below \(Units.microseconds(.number(String($0))))" } ?? "more",
        String(count), String(repeating: "#", count: max(1, count * 40 / most)),
      ])
    }
    return "\(table.text)\n\n\(histogram.text)"
  }
}
