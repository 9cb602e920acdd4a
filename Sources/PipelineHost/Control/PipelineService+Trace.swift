import ControlPlane
import DPUCore
import JSONText
import P4Pipelines

extension PipelineService {
  /// Runs one packet through a copy of a worker's switch: the same entries, profiles, sessions,
  /// groups and registers. Counters, meters and packets that wait are not in the copy, and what the
  /// packet writes stays there.
  func trace(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let target = try loaded(call)
    let field = try call.required(.packet)
    let packet = try reading { () throws(JSONField.Problem) in
      try field.packet(maximumBytes: PipelineLimits.packetBytes)
    }
    let port = try call.integer(.port, in: 0...ControlPlane.Limits.pipelinePortMax) ?? 0
    let worker = try worker(call) ?? 0
    let copy: LoadedProgram
    var instance: PipelineInstance
    do throws(LoadedProgram.Failure) {
      copy = LoadedProgram(copying: target.program)
      instance = try copy.makeInstance(
        ports: board.portMap(target.pipeline.ports), seed: 0, secret: 0, start: .zero)
    } catch {
      throw RPCError(.refused, error.message, path: call.path)
    }
    var restorer = Restorer(
      try snapshot(of: target, call), of: target.program.program, into: copy)
    restorer.run(&instance.p4, now: workers.now)
    try copyRegisters(of: target, on: worker, into: &instance.p4, copy, call)
    var sink = TraceSink(copy.program, copy.code)
    guard let buffer = sink.buffer(holding: packet) else {
      throw RPCError(.unavailable, "the packet is too long to be traced", path: field.path)
    }
    instance.p4.trace(buffer, port: port, into: &sink, now: workers.now)
    let writer = TraceWriter(program: copy.program, oldHandles: restorer.oldHandles)
    json.array("steps", sink.steps) { json, step in writer.write(step, to: &json) }
    json.member("cut", sink.isCut)
    json.array("sent", sink.sent) { json, packet in
      json.beginObject()
      json.member("port", packet.port)
      json.member("packet", hexadecimal: packet.bytes.span)
      json.endObject()
    }
  }

  private func copyRegisters(
    of target: Target, on worker: Int, into p4: inout P4Switch, _ copy: LoadedProgram,
    _ call: PipelineCall
  ) throws(RPCError) {
    for (index, register) in copy.program.registers.enumerated() {
      var start = 0
      while start < register.size {
        let part = start..<min(register.size, start + PipelineLimits.elementsPerTurn)
        let batch = try read(target, on: worker, at: call.path) { (batch) throws(ControlError) in
          try batch.readRegister(index, range: part)
        }
        let values = batch.values(0)
        let write = ControlBatch(copy.names)
        for (place, value) in values.enumerated() where !value.isZero {
          _ = try writing(at: call.path) { () throws(ControlError) in
            try write.writeRegister(index, range: start + place..<start + place + 1, value)
          }
        }
        p4.apply(write, now: workers.now)
        start = part.upperBound
      }
    }
  }
}

/// Steps of a trace as JSON. Each has the member `step`, which says what the others mean.
struct TraceWriter {
  let program: P4Program
  /// By table and place: the number of the entry in the pipeline that was copied.
  let oldHandles: [[Int: Int]]

  func write(_ step: TraceStep, to json: inout JSONWriter) {
    json.beginObject()
    switch step {
    case .event(let event): write(event, to: &json)
    case .place(let mark): write(mark, to: &json)
    case .table(let table, let key, let entry, let action, let isHit):
      json.member("step", string: "table")
      json.member("name", text: program.tables[table].name)
      json.key("keys")
      write(key, of: table, to: &json)
      json.member("hit", isHit)
      json.member("entry", optional: entry.flatMap { oldHandles[table][$0] ?? $0 })
      json.key("action")
      if let action { json.value(text: program.actions[action].name) } else { json.null() }
    case .field(let reference, let value):
      let header = program.headers[reference.header]
      json.member("step", string: "set")
      json.member("field", text: "\(header.name).\(header.fields[reference.field].name)")
      json.key("value")
      json.value(WideInteger(value), width: min(64, header.fields[reference.field].width))
    }
    json.endObject()
  }

  private func write(_ key: [UInt8], of table: Int, to json: inout JSONWriter) {
    json.beginObject()
    var start = 0
    for declared in program.tables[table].keys {
      let end = start + (declared.width + 7) / 8
      guard end <= key.count else { break }
      json.key(text: declared.name)
      json.value(WideInteger(bigEndian: Array(key[start..<end])), width: declared.width)
      start = end
    }
    json.endObject()
  }

  private func write(_ mark: PipelineCode.Mark, to json: inout JSONWriter) {
    let index = Int(mark.index)
    func named(_ step: StaticString, _ name: Text?) {
      json.member("step", string: step)
      if let name { json.member("name", text: name) }
    }
    let control = mark.isIngress ? program.ingress : program.egress
    switch mark.place {
    case .state: named("state", index < program.states.count ? program.states[index].name : nil)
    case .action:
      named("action", index < program.actions.count ? program.actions[index].name : nil)
    case .conditional:
      named(
        "condition",
        index < control.conditionals.count ? control.conditionals[index].name : nil)
    case .checksum:
      named("checksum", index < program.checksums.count ? program.checksums[index].name : nil)
    case .deparser: named("deparser", nil)
    case .table, .none: named("other", nil)
    }
  }

  private func write(_ event: SwitchEvent, to json: inout JSONWriter) {
    func step(_ name: StaticString) { json.member("step", string: name) }
    switch event {
    case .ingress(let instanceType, let port):
      step("ingress")
      json.member("instanceType", instanceType)
      json.member("port", port)
    case .parserError(let error):
      step("parserError")
      json.key("error")
      if let known = program.errors.first(where: { $0.value == UInt64(error) }) {
        json.value(text: known.name)
      } else {
        json.value(error)
      }
    case .cloned(let session):
      step("cloned")
      json.member("session", session)
    case .digest(let list):
      step("digest")
      json.key("digest")
      json.value(
        text: program.learnLists.indices.contains(list)
          ? program.learnLists[list].name : Text())
    case .resubmitted: step("resubmitted")
    case .multicast(let group):
      step("multicast")
      json.member("group", group)
    case .egress(let port, let instanceType):
      step("egress")
      json.member("port", port)
      json.member("instanceType", instanceType)
    case .queued(let port):
      step("queued")
      json.member("port", port)
    case .recirculated: step("recirculated")
    case .sent(let port, let length):
      step("sent")
      json.member("port", port)
      json.member("bytes", length)
    case .dropped(let reason):
      step("dropped")
      json.member("reason", string: reason.name)
    }
  }
}
