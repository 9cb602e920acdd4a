import ControlPlane
import DPUCore
import JSONText
import P4Pipelines

// What pipelines tell on their own, and packets from and to the control plane.
extension PipelineService {
  /// How many records a call takes at most, over all workers.
  private func limit(_ call: PipelineCall) throws(RPCError) -> Int {
    try call.integer(.limit, in: 1...ControlPlane.Limits.rowsPerReply) ?? 100
  }

  // MARK: Digests

  func takeDigests(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let target = try loaded(call)
    let program = target.program.program
    try drain(
      "digests", target.pipeline.slot, call, to: &json, { .digests(slot: $0, limit: $1) },
      { (exchange: borrowing PipelineExchange, core: Int) in
        // Taken out of the answer and written down at once: the texts are finished here.
        var rows: [JSONWriter] = []
        var start = 0
        for place in 0..<exchange.count {
          guard let header = exchange.digests[place] else { break }
          let bytes = exchange.bytes.bytes(start..<start + header.byteCount)
          start += header.byteCount
          var row = JSONWriter()
          Self.write(header, bytes, program, core: core, to: &row)
          rows.append(row)
        }
        return rows
      })
  }

  /// Takes records of one kind out of the workers, one after the other, until the call's limit is
  /// reached, and writes them as an array. `rows` makes a text of each record of an answer.
  private func drain(
    _ key: StaticString, _ slot: Int, _ call: PipelineCall, to json: inout JSONWriter,
    _ question: (_ slot: Int, _ limit: Int) -> PipelineQuestion,
    _ rows: (borrowing PipelineExchange, _ core: Int) -> [JSONWriter]
  ) throws(RPCError) {
    var left = try limit(call)
    json.key(key)
    json.beginArray()
    for worker in 0..<workers.count {
      let core = workers.core(worker)
      while left > 0 {
        let wanted = min(left, PipelineLimits.recordsPerAnswer)
        let taken = try ask(worker, { $0.question = question(slot, wanted) }) { rows($0, core) }
        for row in taken { json.value(finished: row) }
        left -= taken.count
        if taken.count < wanted { break }
      }
    }
    json.endArray()
  }

  private static func write(
    _ header: DigestHeader, _ bytes: RawSpan, _ program: P4Program, core: Int,
    to json: inout JSONWriter
  ) {
    let list = program.learnLists[header.list]
    json.beginObject()
    json.member("digest", text: list.name)
    json.member("core", core)
    json.member("microseconds", header.microseconds)
    json.key("values")
    json.beginArray()
    var start = 0
    for element in list.elements {
      let count = (element.width + 7) / 8
      guard start + count <= bytes.byteCount else { break }
      json.value(
        WideInteger(bigEndian: bytes.extracting(start..<start + count)), width: element.width)
      start += count
    }
    json.endArray()
    json.endObject()
  }

  // MARK: Idle entries and messages

  func takeTimeouts(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let target = try loaded(call)
    let tables = target.program.program.tables
    try drain(
      "timeouts", target.pipeline.slot, call, to: &json, { .idle(slot: $0, limit: $1) },
      { (exchange: borrowing PipelineExchange, core: Int) in
        (0..<exchange.count).compactMap { exchange.idle[$0] }.map { record in
          var row = JSONWriter()
          row.beginObject()
          row.member("table", text: tables[record.table].name)
          row.member("entry", record.handle)
          row.member("core", core)
          row.endObject()
          return row
        }
      })
  }

  func takeLogs(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let target = try loaded(call)
    try drain(
      "logs", target.pipeline.slot, call, to: &json, { .logs(slot: $0, limit: $1) },
      { (exchange: borrowing PipelineExchange, core: Int) in
        (0..<exchange.count).compactMap { exchange.logs[$0] }.map { record in
          var row = JSONWriter()
          row.beginObject()
          row.member("core", core)
          row.member("text", text: target.program.code.text(of: record))
          row.endObject()
          return row
        }
      })
  }

  // MARK: Packets

  /// Packets that left through the CPU port of a pipeline, or of any.
  func takePacketsIn(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let wanted = try call[.pipeline] == nil ? nil : pipeline(call)
    let limit = try limit(call)
    fetchPacketsIn()
    let chosen = backlog.indices.filter { wanted == nil || wanted?.slot == backlog[$0].slot }
      .prefix(limit)
    json.array("packets", chosen) { json, place in
      let packet = self.backlog[place]
      json.beginObject()
      json.key("pipeline")
      if let from = self.board.pipelines.first(where: { $0.slot == packet.slot }) {
        json.value(text: from.name)
      } else {
        json.null()
      }
      json.member("core", packet.core)
      json.member("ageMicroseconds", (self.workers.now - packet.at).microseconds)
      json.member("packet", hexadecimal: packet.bytes.span)
      json.endObject()
    }
    let taken = Array(chosen)
    for place in taken.reversed() { backlog.remove(at: place) }
    json.member("lost", lostPacketsIn)
    lostPacketsIn = 0
  }

  /// Takes everything out of the workers' rings, so that packets of one pipeline wait here for those
  /// who want them while another's are taken. The oldest give way.
  private func fetchPacketsIn() {
    for worker in 0..<workers.count {
      let core = workers.core(worker)
      while workers.packetsIn(worker).take({ header, bytes in
        backlog.append(
          WaitingPacketIn(slot: header.slot, core: core, at: header.at, bytes: Text(bytes)))
      }) {}
    }
    let excess = backlog.count - PipelineLimits.backlog
    if excess > 0 {
      backlog.removeFirst(excess)
      lostPacketsIn += excess
    }
  }

  /// Packets that come into a pipeline as if they had arrived on a port: the CPU port unless the
  /// call names another one.
  func sendPackets(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let target = try loaded(call)
    let field = try call.required(.packets)
    let port =
      try call.integer(.port, in: 0...ControlPlane.Limits.pipelinePortMax)
      ?? target.pipeline.number(of: .cpu)
    guard let port else {
      throw RPCError(
        .invalidParameters,
        "the pipeline has no CPU port, so \"port\" must say where the packets come in",
        path: call.path)
    }
    let worker = try worker(call) ?? 0
    let packets = try reading { () throws(JSONField.Problem) in
      var packets: [[UInt8]] = []
      for element in try field.elements(1...4_096) {
        packets.append(try element.packet(maximumBytes: PipelineLimits.packetBytes))
      }
      return packets
    }
    var taken = 0
    var start = 0
    while start < packets.count {
      let part = start..<min(packets.count, start + PipelineLimits.packetsOut)
      let slot = target.pipeline.slot
      taken += try ask(
        worker,
        { exchange in
          var place = 0
          for index in part {
            let packet = packets[index]
            exchange.lengths[index - part.lowerBound] = packet.count
            for byte in packet {
              exchange.bytes[place] = byte
              place += 1
            }
          }
          exchange.question = .packetsOut(slot: slot, port: port, count: part.count)
        }, then: { $0.count })
      start = part.upperBound
    }
    json.member("sent", taken)
    json.member("dropped", packets.count - taken)
  }
}
