import ControlPlane
import DPUCore
import JSONText
import P4Pipelines

extension PipelineService {
  // MARK: Listing

  func list(to json: inout JSONWriter) {
    json.array("pipelines", board.pipelines) { json, pipeline in
      json.beginObject()
      json.member("name", text: pipeline.name)
      json.key("program")
      if let loaded = pipeline.loaded { json.value(text: loaded.origin) } else { json.null() }
      json.member("configured", pipeline.isConfigured)
      json.member("loads", pipeline.loads)
      Configuration.write(pipeline.ports, to: &json)
      json.endObject()
    }
  }

  // MARK: Loading

  /// The text of a program: over the socket, or a file of the machine the firmware runs on.
  private func read(_ call: PipelineCall) throws(RPCError) -> (text: Text, origin: Text) {
    if let field = call[.program] {
      if let path = call[.path] {
        throw RPCError(.invalidParameters, "either a program or a path", path: path.path)
      }
      guard let text = field.node.text else {
        throw RPCError(
          .invalidParameters, "must be a string that holds BMv2 JSON", path: field.path)
      }
      return (text, "program")
    }
    guard let path = try call.text(.path) else {
      throw RPCError(
        .invalidParameters, "needs a \"program\" or a \"path\"", path: call.path)
    }
    do throws(StartFailure) {
      return (try TextFile.read(path, maximumBytes: ProgramLimits.textBytes), path)
    } catch {
      throw RPCError(.notFound, error.message, path: call.path(of: .path))
    }
  }

  private func compile(_ call: PipelineCall) throws(RPCError) -> LoadedProgram {
    let (text, origin) = try read(call)
    do throws(LoadedProgram.Failure) {
      return try LoadedProgram(text, origin: origin)
    } catch {
      let path = call[.program] == nil ? call.path(of: .path) : call.path(of: .program)
      throw RPCError(.refused, error.message, path: path, reason: "badProgram")
    }
  }

  func verify(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let loaded = try compile(call)
    do throws(LoadedProgram.Failure) {
      _ = try loaded.makeInstance(
        ports: board.portMap([]), seed: 0, secret: 0, start: workers.now)
    } catch {
      throw RPCError(.refused, error.message, path: call.path, reason: "badProgram")
    }
    describe(loaded, of: nil, to: &json)
  }

  func load(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let name =
      try call.text(.pipeline, maximumBytes: ControlPlane.Limits.pipelineNameBytes)
      ?? (board.pipelines.count == 1 ? board.pipelines[0].name : "main")
    let known = board.pipeline(name)
    let ports = try ports(call, of: known)
    let loaded = try compile(call)
    try check(ports, against: known, name, call)
    do throws(LoadedProgram.Failure) {
      try board.makeHandles(of: loaded, ports: ports, now: workers.now)
    } catch {
      throw RPCError(.refused, error.message, path: call.path, reason: "badProgram")
    }
    guard let pipeline = known ?? board.add(name, ports) else {
      loaded.freeHandles()
      throw RPCError(
        .unavailable, "there are \(PipelineLimits.slots) pipelines already", path: call.path)
    }
    var kept: Kept?
    if try call.boolean(.keep) ?? false, pipeline.loaded != nil {
      kept = try keep(from: pipeline, for: loaded, call)
    }
    pipeline.ports = ports
    try install(loaded, in: pipeline)
    json.member("pipeline", text: pipeline.name)
    json.member("loads", pipeline.loads)
    if let kept {
      json.key("kept")
      json.beginObject()
      json.member("entries", kept.entries)
      json.member("lost", kept.lost)
      json.endObject()
    }
  }

  private func ports(
    _ call: PipelineCall, of known: Pipeline?
  ) throws(RPCError) -> [Configuration.PipelinePort] {
    if let field = call[.ports] {
      if known?.isConfigured == true {
        throw RPCError(
          .invalidParameters, "the configuration says what the ports of this pipeline are",
          path: field.path)
      }
      let hasHost = board.hasHost
      return try reading { () throws(JSONField.Problem) in
        try Configuration.pipelinePorts(field, hasHost: hasHost)
      }
    }
    guard let known else {
      throw RPCError(
        .invalidParameters, "a new pipeline needs \"ports\", as {\"0\": \"uplink\"}",
        path: call.path)
    }
    return known.ports
  }

  /// A port or the stack belongs to one pipeline at most.
  private func check(
    _ ports: [Configuration.PipelinePort], against known: Pipeline?, _ name: Text,
    _ call: PipelineCall
  ) throws(RPCError) {
    let wanted = Configuration.Pipeline(name: name, ports: ports)
    for other in board.pipelines where other !== known {
      let theirs = Configuration.Pipeline(name: other.name, ports: other.ports)
      if let end = wanted.end(sharedWith: theirs) {
        throw RPCError(
          .invalidParameters, "\(end.word) belongs to the pipeline \(other.name) already",
          path: call.path(of: .ports))
      }
    }
  }

  /// Hands the copies to the workers, and frees what they give back.
  private func install(_ loaded: LoadedProgram, in pipeline: Pipeline) throws(RPCError) {
    let old = pipeline.loaded
    pipeline.loaded = loaded
    pipeline.loads += 1
    try exchange(old, for: loaded, in: pipeline)
  }

  func unload(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let pipeline = try loaded(call).pipeline
    let old = pipeline.loaded
    pipeline.loaded = nil
    if !pipeline.isConfigured { board.remove(pipeline) }
    try exchange(old, for: nil, in: pipeline)
    json.member("unloaded", text: pipeline.name)
  }

  private func exchange(
    _ old: LoadedProgram?, for new: LoadedProgram?, in pipeline: Pipeline
  ) throws(RPCError) {
    var late: RPCError?
    for worker in 0..<workers.count {
      do throws(RPCError) {
        let slot = pipeline.slot
        let handle = new?.handles[worker]
        let previous = try ask(
          worker, { $0.question = .install(slot: slot, handle) }, then: { $0.previous })
        previous?.free()
      } catch {
        // It may take the new program up later, so neither copy can be freed.
        late = error
      }
    }
    if let late { throw late }
  }

  // MARK: What is in a program

  func describe(
    _ loaded: LoadedProgram, of pipeline: Pipeline?, to json: inout JSONWriter
  ) {
    let program = loaded.program
    if let pipeline { json.member("pipeline", text: pipeline.name) }
    json.member("program", text: loaded.origin)
    json.member("bytes", loaded.byteCount)
    if let pipeline { Configuration.write(pipeline.ports, to: &json) }
    json.array("tables", program.tables) { json, table in
      json.beginObject()
      Self.write(table, of: program, to: &json)
      json.endObject()
    }
    json.array("actions", program.actions) { json, action in
      json.beginObject()
      json.member("name", text: action.name)
      json.array("parameters", action.parameters) { json, parameter in
        json.beginObject()
        json.member("name", text: parameter.name)
        json.member("width", parameter.width)
        json.endObject()
      }
      json.endObject()
    }
    describeArrays(program, to: &json)
    json.key("limits")
    json.beginObject()
    json.member("sessions", SwitchLimits.sessions)
    json.member("multicastGroups", SwitchLimits.groups)
    json.member("multicastNodes", SwitchLimits.nodes)
    json.member("queueDepth", SwitchLimits.queueDepth)
    json.member("recirculating", SwitchLimits.recirculating)
    json.member("digests", SwitchLimits.digests)
    json.member("packetsIn", PipelineLimits.packetsIn)
    json.endObject()
  }

  private static func write(
    _ table: P4Program.Table, of program: P4Program, to json: inout JSONWriter
  ) {
    json.member("name", text: table.name)
    json.member("control", string: table.isIngress ? "ingress" : "egress")
    json.array("keys", table.keys) { json, key in
      json.beginObject()
      json.member("name", text: key.name)
      json.member("match", string: key.kind.word)
      json.member("width", key.width)
      json.endObject()
    }
    json.array("actions", table.actions) { json, action in
      json.value(text: program.actions[action].name)
    }
    // Places in "actions" below: names may stand there several times.
    json.array("actionNumbers", table.actions) { json, action in json.value(action) }
    json.member("capacity", table.capacity)
    json.member("constant", table.areEntriesConstant)
    json.member("defaultConstant", table.isDefaultConstant)
    json.member("timeout", table.supportsTimeout)
    name("counter", table.directCounter.map { program.counters[$0].name })
    name("meter", table.directMeter.map { program.meters[$0].name })
    switch table.storage {
    case .direct: name("profile", nil)
    case .profile(let index), .selector(let index):
      name("profile", program.profiles[index].name)
    }

    func name(_ key: StaticString, _ name: Text?) {
      json.key(key)
      if let name { json.value(text: name) } else { json.null() }
    }
  }

  private func describeArrays(_ program: P4Program, to json: inout JSONWriter) {
    json.array("counters", program.counters) { json, counter in
      json.beginObject()
      json.member("name", text: counter.name)
      json.member("size", counter.size)
      json.member("direct", counter.directTable != nil)
      json.endObject()
    }
    json.array("meters", program.meters) { json, meter in
      json.beginObject()
      json.member("name", text: meter.name)
      json.member("size", meter.size)
      json.member("unit", string: meter.countsBytes ? "bytes" : "packets")
      json.member("direct", meter.directTable != nil)
      json.endObject()
    }
    json.array("registers", program.registers) { json, register in
      json.beginObject()
      json.member("name", text: register.name)
      json.member("size", register.size)
      json.member("width", register.width)
      json.endObject()
    }
    json.array("profiles", program.profiles) { json, profile in
      json.beginObject()
      json.member("name", text: profile.name)
      json.member("capacity", profile.capacity)
      json.member("selector", profile.selector != nil)
      json.endObject()
    }
    json.array("valueSets", program.valueSets) { json, set in
      json.beginObject()
      json.member("name", text: set.name)
      json.member("width", set.width)
      json.member("capacity", set.capacity)
      json.endObject()
    }
    json.array("digests", program.learnLists) { json, list in
      json.beginObject()
      json.member("name", text: list.name)
      json.array("widths", list.elements) { json, element in json.value(element.width) }
      json.endObject()
    }
    json.array("calculations", program.calculations) { json, calculation in
      json.value(text: calculation.name)
    }
  }

  // MARK: Counters of the switch

  /// Sums over the workers, then each worker.
  func writeStatistics(_ pipeline: Pipeline, to json: inout JSONWriter) throws(RPCError) {
    json.member("pipeline", text: pipeline.name)
    let slot = pipeline.slot
    let switches = pipeline.loaded?.counters ?? []
    json.key("counters")
    json.beginObject()
    for key in SwitchCounter.allCases {
      json.member(key.name, switches.reduce(0) { $0 &+ $1.value(key) })
    }
    for key in PipelineCounter.allCases {
      var sum: UInt64 = 0
      for worker in 0..<workers.count { sum &+= workers.counters(worker, slot: slot).value(key) }
      json.member(key.name, sum)
    }
    json.endObject()
    json.array("cores", 0..<workers.count) { json, worker in
      json.beginObject()
      json.member("core", self.workers.core(worker))
      json.key("counters")
      json.beginObject()
      for key in SwitchCounter.allCases { json.member(key.name, switches[worker].value(key)) }
      for key in PipelineCounter.allCases {
        json.member(key.name, self.workers.counters(worker, slot: slot).value(key))
      }
      json.endObject()
      json.endObject()
    }
    try writeTableStatistics(pipeline, to: &json)
  }

  private func writeTableStatistics(
    _ pipeline: Pipeline, to json: inout JSONWriter
  ) throws(RPCError) {
    guard let program = pipeline.loaded?.program else { return }
    var rows: [(name: Text, hits: UInt64, misses: UInt64)] = []
    for (index, table) in program.tables.enumerated() where !table.keys.isEmpty {
      var row = (name: table.name, hits: UInt64(0), misses: UInt64(0))
      for worker in 0..<workers.count {
        let slot = pipeline.slot
        let seen = try ask(
          worker, { $0.question = .tableStatistics(slot: slot, table: index) },
          then: { (hits: $0.hits, misses: $0.misses) })
        row.hits &+= seen.hits
        row.misses &+= seen.misses
      }
      rows.append(row)
    }
    json.array("tables", rows) { json, row in
      json.beginObject()
      json.member("name", text: row.name)
      json.member("hits", row.hits)
      json.member("misses", row.misses)
      json.endObject()
    }
  }
}
