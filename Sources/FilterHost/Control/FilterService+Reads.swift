import ControlPlane
import DPUCore
import HBPFBridge
import JSONText

extension FilterService {
  // MARK: The program

  func describe(_ call: FilterCall, to json: inout JSONWriter) throws(RPCError) {
    let (port, filter) = try loaded(call)
    json.member("port", string: board.ports[port].word)
    json.member("program", text: filter.origin)
    json.member("name", text: filter.program.name)
    json.member("section", text: filter.program.section)
    json.member("bytes", filter.byteCount)
    json.member("instructions", filter.program.instructions.count)
    json.member("engine", string: filter.engine.word)
    json.array("functions", filter.program.functions) { json, function in
      json.beginObject()
      json.member("name", text: function.name)
      json.member("slot", function.slot)
      json.endObject()
    }
    writeMaps(of: filter, to: &json)
    var targets = [VerifierTarget.software, .fpga, .hBPF]
    if let device = board.device { targets[1] = device.capabilities.target }
    json.array("targets", targets) { json, target in
      json.beginObject()
      json.member("target", text: target.name)
      let reason: Text? = target.mapsInStateOnly ? filter.fault(on: target) : nil
      json.member("runs", reason == nil)
      json.key("reason")
      if let reason { json.value(text: reason) } else { json.null() }
      json.endObject()
    }
  }

  private func writeMaps(of filter: LoadedFilter, to json: inout JSONWriter) {
    let layout = MapLayout(filter.maps)
    json.array("maps", filter.maps.indices) { json, index in
      let map = filter.maps[index]
      json.beginObject()
      json.member("name", text: map.name)
      json.member("kind", string: map.kind.name)
      json.member("keyBytes", map.keyBytes)
      json.member("valueBytes", map.valueBytes)
      json.member("entries", map.entries)
      json.member("stateOffset", optional: layout.place(of: index))
      json.endObject()
    }
  }

  // MARK: Maps

  /// All maps, or the entries of one: those of each core, as each has its own.
  func writeMaps(_ call: FilterCall, to json: inout JSONWriter) throws(RPCError) {
    let (port, filter) = try loaded(call)
    json.member("port", string: board.ports[port].word)
    guard let name = try call.text(.map) else { return writeMaps(of: filter, to: &json) }
    guard let map = filter.maps.firstIndex(where: { $0.name == name }) else {
      throw RPCError(
        .notFound, "the filter has no map \(ShortText(name.span).text)", path: call.path(of: .map))
    }
    let start = try call.integer(.offset, in: 0...Int(Int32.max)) ?? 0
    let limit = try call.integer(.limit, in: 1...ControlPlane.Limits.rowsPerReply) ?? 100
    let isDevice = filter.engine == .fpga
    let cores = isDevice ? board.device?.capabilities.cores ?? 0 : workers.count
    json.member("map", text: name)
    json.member("engine", string: filter.engine.word)
    json.key("cores")
    json.beginArray()
    for core in 0..<cores {
      json.beginObject()
      json.member("core", isDevice ? core : workers.core(core))
      try writeEntries(
        of: map, filter.maps[map], port, from: start, limit: limit, worker: isDevice ? 0 : core,
        deviceCore: core, to: &json)
      json.endObject()
    }
    json.endArray()
  }

  private func writeEntries(
    of map: Int, _ declaration: MapDeclaration, _ port: Int, from start: Int, limit: Int,
    worker: Int, deviceCore: Int, to json: inout JSONWriter
  ) throws(RPCError) {
    var from: Int? = start
    var left = limit
    json.key("entries")
    json.beginArray()
    while let next = from, left > 0 {
      let wanted = min(left, FilterLimits.entriesPerAnswer)
      let fault = try ask(
        worker,
        {
          $0.question = .entries(
            port: port, map: map, start: next, limit: wanted, core: deviceCore)
        },
        then: { exchange in
          var used = 0
          for entry in 0..<exchange.count {
            let middle = used + declaration.keyBytes
            let end = middle + declaration.valueBytes
            json.beginObject()
            json.member("entry", exchange.numbers[entry])
            json.member("key", hexadecimal: exchange.bytes.bytes(used..<middle))
            json.member("value", hexadecimal: exchange.bytes.bytes(middle..<end))
            json.endObject()
            used = end
          }
          left -= exchange.count
          from = exchange.next
          return exchange.fault
        })
      if let fault { throw RPCError(.unavailable, fault.text, reason: "deviceFault") }
    }
    json.endArray()
    json.member("next", optional: from)
  }

  // MARK: Counters

  /// Sums over the workers, then each worker.
  func writeStatistics(_ call: FilterCall, to json: inout JSONWriter) throws(RPCError) {
    let (port, filter) = try loaded(call)
    json.member("port", string: board.ports[port].word)
    json.member("engine", string: filter.engine.word)
    json.key("counters")
    json.beginObject()
    for key in FilterCounter.allCases {
      var sum: UInt64 = 0
      for worker in 0..<workers.count { sum &+= workers.counters(worker, port: port).value(key) }
      json.member(key.name, sum)
    }
    json.endObject()
    json.array("cores", 0..<workers.count) { json, worker in
      json.beginObject()
      json.member("core", self.workers.core(worker))
      json.key("counters")
      json.beginObject()
      for key in FilterCounter.allCases {
        json.member(key.name, self.workers.counters(worker, port: port).value(key))
      }
      json.endObject()
      json.endObject()
    }
  }

  // MARK: The FPGA

  func writeDevice(_ call: FilterCall, to json: inout JSONWriter) throws(RPCError) {
    guard let device = board.device, let fpga = board.fpga else {
      throw RPCError(.unavailable, "there is no FPGA in the configuration", path: call.path)
    }
    let resets = try call.boolean(.reset) ?? false
    let capabilities = device.capabilities
    json.member("path", text: fpga.path)
    json.member("kind", string: fpga.kind.word)
    json.member("version", text: "\(capabilities.major).\(capabilities.minor)")
    json.member("cores", capabilities.cores)
    json.member("slotsPerCore", capabilities.slotsPerCore)
    json.member("programRows", capabilities.programRows)
    let fault = try ask(
      0, { $0.question = resets ? .resetDevice : .device },
      then: { exchange in
        let silent = resets ? nil : exchange.fault
        json.member("dead", exchange.isDead || silent != nil)
        if exchange.isReset {
          json.member("state", string: "reset")
          json.member("reason", text: "it was reset and waits for a filter")
        } else if exchange.isDead {
          json.member("state", string: "dead")
          json.member("reason", text: "a packet took longer than \(fpga.timeoutMilliseconds) ms")
        } else {
          json.member("state", string: silent == nil ? "alive" : "dead")
          if let silent { json.member("reason", text: silent.text) }
        }
        json.member("inFlight", exchange.inFlight)
        if exchange.deviceCores > 0 {
          json.member("refusedDescriptors", exchange.refusedDescriptors)
          json.member("ignoredDoorbells", exchange.ignoredDoorbells)
        }
        json.key("counters")
        json.beginArray()
        for core in 0..<exchange.deviceCores {
          guard let counters = exchange.counters[core] else { continue }
          json.beginObject()
          json.member("core", core)
          json.member("packets", counters.packets)
          json.member("instructions", counters.instructions)
          json.member("busyCycles", counters.busyCycles)
          json.member("faults", counters.faults)
          json.endObject()
        }
        json.endArray()
        // That it is silent is an answer too, but no reset.
        return resets ? exchange.fault : nil
      })
    if let fault { throw RPCError(.unavailable, fault.text, reason: "deviceFault") }
  }
}
