import DPUCore
import JSONText

// The results of the methods. Members are only ever added: scripts rely on these names.
extension RequestHandler {
  mutating func answer(_ call: GeneralCall, to json: inout JSONWriter) throws(RPCError) {
    switch call.method {
    case .rpcList: writeMethods(to: &json)
    case .rpcSchema: try writeSchema(of: call.text(.method), call, to: &json)
    case .versionGet: writeVersion(to: &json)
    case .systemHealth: writeHealth(to: &json)
    case .systemUptime: json.member("milliseconds", source.uptime.milliseconds)
    case .systemRights: writeRights(to: &json)
    case .systemShutdown:
      source.shutdown()
      json.member("stopping", true)
    case .portList: json.array("ports", source.ports()) { json, port in write(port, to: &json) }
    case .portGet: try writePort(call, to: &json)
    case .coreStats: writeCores(to: &json)
    case .memoryStats: writePools(to: &json)
    case .controlStats: writeOwnCounters(to: &json)
    case .tcpStats: writeCounters(.tcp, to: &json)
    case .mqttStats: writeCounters(.mqtt, to: &json)
    case .logTail: try writeLog(call, to: &json)
    case .logLevel: try setLogLevel(call, to: &json)
    case .eventSubscribe: try subscribe(call, to: &json)
    case .statsOpen: try openStatistics(to: &json)
    default: try answerFromCores(call, to: &json)
    }
  }

  /// What a poll loop or a device must be asked for.
  private func answerFromCores(
    _ call: GeneralCall, to json: inout JSONWriter
  ) throws(RPCError) {
    let offset = try call.offset()
    let limit = try call.limit()
    let topic = try call.text(.topic) ?? Text()
    let client = try call.text(.client)
    let core = try call.integer(.core) ?? 0
    let id = try call.integer(.id) ?? 0
    let port = try call.text(.port) ?? Text()
    let isUp = try call.boolean(.up) ?? true
    let copyBytes = try call.integer(.copyBytes) ?? Limits.captureBytes
    do throws(ControlFailure) {
      switch call.method {
      case .tcpList: try writeConnections(offset, limit, to: &json)
      case .tcpDrop:
        try source.drop(connection: UInt64(id), core: core)
        json.member("dropped", id)
      case .mqttClients: try writeClients(offset, limit, to: &json)
      case .mqttTopics: try writeSubscriptions(offset, limit, to: &json)
      case .mqttExplain: try writeExplanation(topic, client, to: &json)
      case .mqttDisconnect:
        try source.disconnect(client: client ?? Text())
        json.member("disconnected", text: client ?? Text())
      case .portStats: try writePortCounters(port, to: &json)
      case .portSet:
        try source.setPort(port, isUp: isUp)
        json.member("port", text: port)
        json.member("up", isUp)
      case .captureStart:
        try source.startCapture(port: port.isEmpty ? nil : port, copyBytes: copyBytes)
        json.member("copyBytes", copyBytes)
      case .captureStop:
        source.stopCapture()
        json.member("stopped", true)
      default: try writeLinks(to: &json)
      }
    } catch {
      throw RPCError(error)
    }
  }

  // MARK: The interface itself

  private func writeMethods(to json: inout JSONWriter) {
    json.key("methods")
    json.beginArray()
    writeMethods(of: Method.self, to: &json)
    writeMethods(of: ConfigurationMethod.self, to: &json)
    writeMethods(of: PipelineMethod.self, to: &json)
    writeMethods(of: FilterMethod.self, to: &json)
    json.endArray()
  }

  private func writeMethods<Part: PartMethod>(of part: Part.Type, to json: inout JSONWriter) {
    for method in Part.allCases {
      json.beginObject()
      json.member("name", string: method.name)
      json.member("summary", string: method.summary)
      json.member("write", method.isWrite)
      json.member("role", string: method.role.word)
      json.key("parameters")
      json.beginArray()
      for parameter in Part.Argument.allCases where method.takes(parameter) {
        json.beginObject()
        json.member("name", string: parameter.name)
        json.member("required", method.requires(parameter))
        json.endObject()
      }
      json.endArray()
      json.endObject()
    }
  }

  private func writeSchema(
    of method: Text?, _ call: GeneralCall, to json: inout JSONWriter
  ) throws(RPCError) {
    json.member("$schema", string: "https://json-schema.org/draft/2020-12/schema")
    json.key("methods")
    json.beginObject()
    var count = writeSchemas(of: Method.self, method, to: &json)
    count += writeSchemas(of: ConfigurationMethod.self, method, to: &json)
    count += writeSchemas(of: PipelineMethod.self, method, to: &json)
    count += writeSchemas(of: FilterMethod.self, method, to: &json)
    json.endObject()
    if count == 0, let method {
      throw RPCError(.notFound, "there is no method \(method)", path: call.path(of: .method))
    }
  }

  /// Returns how many there are.
  private func writeSchemas<Part: PartMethod>(
    of part: Part.Type, _ wanted: Text?, to json: inout JSONWriter
  ) -> Int {
    var count = 0
    for method in Part.allCases
    where wanted == nil || wanted == Text(stringLiteral: method.name) {
      count += 1
      json.key(method.name)
      json.beginObject()
      json.member("description", string: method.summary)
      json.member("type", string: "object")
      json.key("properties")
      json.beginObject()
      for parameter in Part.Argument.allCases where method.takes(parameter) {
        json.key(parameter.name)
        json.beginObject()
        parameter.kind.write(to: &json)
        json.endObject()
      }
      json.endObject()
      json.array(
        "required", Part.Argument.allCases.filter { method.takes($0) && method.requires($0) }
      ) { json, parameter in json.value(string: parameter.name) }
      json.member("additionalProperties", false)
      json.endObject()
    }
    return count
  }

  // MARK: The journal

  private func writeLog(_ call: GeneralCall, to json: inout JSONWriter) throws(RPCError) {
    json.array("lines", source.journal.tail(try call.limit())) { json, line in
      json.value(text: line)
    }
  }

  private func setLogLevel(_ call: GeneralCall, to json: inout JSONWriter) throws(RPCError) {
    if let field = call[.level] {
      do throws(JSONField.Problem) {
        source.journal.level = try field.word(Configuration.LogLevel.self)
      } catch {
        throw RPCError(error)
      }
    }
    json.member("level", string: source.journal.level.word)
  }

  /// Replaces what the connection subscribed to before; an empty list ends it.
  private mutating func subscribe(
    _ call: GeneralCall, to json: inout JSONWriter
  ) throws(RPCError) {
    var kinds = EventKinds()
    let list = try call.required(.kinds)
    do throws(JSONField.Problem) {
      for field in try list.elements(0...EventKind.allCases.count) {
        kinds.insert(try field.word(EventKind.self))
      }
    } catch {
      throw RPCError(error)
    }
    effects.subscription = kinds
    json.array("subscribed", EventKind.allCases.filter { kinds.contains($0) }) { json, kind in
      json.value(string: kind.word)
    }
  }

  private mutating func openStatistics(to json: inout JSONWriter) throws(RPCError) {
    guard let memory = source.statistics else {
      throw RPCError(.unavailable, "the counters do not stand in shared memory")
    }
    effects.descriptor = memory.descriptor
    json.member("bytes", memory.byteCount)
    json.member("layout", memory.layout)
  }

  // MARK: System

  private func writeVersion(to json: inout JSONWriter) {
    let version = source.version
    json.member("version", string: version.version)
    json.member("architecture", string: version.architecture)
    json.member("interface", ControlInterface.version)
    json.member("dpdk", text: version.dpdk)
  }

  private func writeRights(to json: inout JSONWriter) {
    let rights = source.rights
    json.member("user", rights.user)
    var mask: Text = "0x"
    mask.append(rights.capabilities, radix: 16, width: 16)
    json.member("capabilities", text: mask)
    json.member("confined", rights.isConfined)
  }

  private func writeHealth(to json: inout JSONWriter) {
    let checks = source.health()
    let isGood = checks.allSatisfy { $0.isGood }
    json.member("status", string: isGood ? "ok" : "degraded")
    json.key("checks")
    json.beginArray()
    for check in checks {
      json.beginObject()
      json.member("name", text: check.name)
      json.member("ok", check.isGood)
      json.member("detail", text: check.detail)
      json.endObject()
    }
    json.endArray()
  }

  private func writePort(_ call: GeneralCall, to json: inout JSONWriter) throws(RPCError) {
    let name = try call.text(.port)
    guard let port = source.ports().first(where: { $0.name == name }) else {
      throw RPCError(
        .notFound, "there is no port of this name", path: call.path(of: .port))
    }
    writeMembers(of: port, to: &json)
  }

  private func write(_ port: PortRow, to json: inout JSONWriter) {
    json.beginObject()
    writeMembers(of: port, to: &json)
    json.endObject()
  }

  private func writeMembers(of port: PortRow, to json: inout JSONWriter) {
    json.member("name", text: port.name)
    json.member("role", string: port.role.word)
    json.member("device", text: port.device)
    json.member("driver", text: port.driver)
    json.member("mac", text: port.mac.text)
    json.member("mtu", port.mtu)
    json.member("queues", port.queues)
    json.member("linkUp", port.isLinkUp)
    json.member("speedMegabits", port.speedMegabits)
    json.member("receivedPackets", port.receivedPackets)
    json.member("receivedBytes", port.receivedBytes)
    json.member("sentPackets", port.sentPackets)
    json.member("sentBytes", port.sentBytes)
    json.member("missedPackets", port.missedPackets)
    json.member("receiveErrors", port.receiveErrors)
    json.member("sendErrors", port.sendErrors)
    json.member("withoutBuffer", port.withoutBuffer)
  }

  private func writePortCounters(
    _ name: Text, to json: inout JSONWriter
  ) throws(ControlFailure) {
    let counters = try source.portCounters(name)
    json.member("port", text: name)
    write(counters: counters.cores, to: &json)
    json.key("device")
    json.beginObject()
    for (name, value) in counters.device {
      json.key(text: name)
      json.value(value)
    }
    json.endObject()
  }

  private func writeCores(to json: inout JSONWriter) {
    let counters = source.counters(.core)
    json.key("cores")
    json.beginArray()
    for row in source.cores() {
      json.beginObject()
      json.member("core", row.core)
      json.member("turns", row.turns)
      json.member("busyCycles", row.busyCycles)
      json.member("idleCycles", row.idleCycles)
      json.member("cyclesPerSecond", row.cyclesPerSecond)
      json.key("counters")
      write(counters.filter { $0.core == row.core }, to: &json)
      json.endObject()
    }
    json.endArray()
  }

  private func writePools(to json: inout JSONWriter) {
    json.key("pools")
    json.beginArray()
    for pool in source.pools() {
      json.beginObject()
      json.member("name", string: pool.name)
      json.member("core", optional: pool.core)
      json.member("pieceBytes", pool.pieceBytes)
      json.member("capacity", pool.capacity)
      json.member("free", pool.free)
      json.member("lowWater", optional: pool.lowWater)
      json.endObject()
    }
    json.endArray()
  }

  // MARK: Counters

  private func writeOwnCounters(to json: inout JSONWriter) {
    json.key("counters")
    write([CoreCounters(core: 0, ControlCounter.self, counters.reader)], to: &json)
  }

  /// The sums over all cores, then each core.
  private func writeCounters(_ group: CounterGroup, to json: inout JSONWriter) {
    write(counters: source.counters(group), to: &json)
  }

  private func write(counters sets: [CoreCounters], to json: inout JSONWriter) {
    json.key("counters")
    write(sets, to: &json)
    json.key("cores")
    json.beginArray()
    var done: [Int] = []
    for set in sets where !done.contains(set.core) {
      done.append(set.core)
      json.beginObject()
      json.member("core", set.core)
      json.key("counters")
      write(sets.filter { $0.core == set.core }, to: &json)
      json.endObject()
    }
    json.endArray()
  }

  /// One object; counters of the same name are added up.
  private func write(_ sets: [CoreCounters], to json: inout JSONWriter) {
    var names: [StaticString] = []
    var sums: [UInt64] = []
    for set in sets {
      for index in 0..<set.names.count {
        let name = Text(stringLiteral: set.names[index])
        let value = set.reader.value(at: index)
        if let known = names.firstIndex(where: { Text(stringLiteral: $0) == name }) {
          sums[known] &+= value
        } else {
          names.append(set.names[index])
          sums.append(value)
        }
      }
    }
    json.beginObject()
    for index in 0..<names.count { json.member(names[index], sums[index]) }
    json.endObject()
  }

  // MARK: TCP

  private func writeConnections(
    _ offset: Int, _ limit: Int, to json: inout JSONWriter
  ) throws(ControlFailure) {
    let page = try source.tcpConnections(offset: offset, limit: limit)
    json.member("total", page.total)
    json.member("offset", offset)
    json.key("connections")
    json.beginArray()
    for row in page.rows {
      json.beginObject()
      json.member("core", row.core)
      json.member("id", row.id)
      json.member("remote", text: row.remote.text)
      json.member("local", text: row.local.text)
      json.member("state", string: row.state)
      json.member("service", string: row.service)
      json.member("receivedBytes", row.receivedBytes)
      json.member("sentBytes", row.sentBytes)
      json.member("receiveQueued", row.receiveQueued)
      json.member("sendQueued", row.sendQueued)
      json.member("congestionWindow", row.congestionWindow)
      json.member("smoothedRTTMicroseconds", row.smoothedRTT.microseconds)
      json.member("retransmissions", row.retransmissions)
      json.member("ageMilliseconds", row.age.milliseconds)
      json.endObject()
    }
    json.endArray()
  }

  // MARK: MQTT

  private func writeClients(
    _ offset: Int, _ limit: Int, to json: inout JSONWriter
  ) throws(ControlFailure) {
    let page = try source.mqttClients(offset: offset, limit: limit)
    json.member("total", page.total)
    json.member("offset", offset)
    json.key("clients")
    json.beginArray()
    for row in page.rows {
      json.beginObject()
      json.member("core", row.core)
      json.member("id", row.id)
      json.member("remote", text: row.remote.text)
      json.member("clientID", text: row.clientID.text)
      json.member("version", string: row.version)
      json.member("mode", string: row.mode)
      json.member("subscriptions", row.subscriptions)
      json.member("keepAliveSeconds", row.keepAliveSeconds)
      json.member("publishes", row.publishes)
      json.member("consumed", row.consumed)
      json.member("delivered", row.delivered)
      json.member("dropped", row.dropped)
      json.member("queuedPackets", row.queuedPackets)
      json.member("queuedBytes", row.queuedBytes)
      json.endObject()
    }
    json.endArray()
  }

  private func writeSubscriptions(
    _ offset: Int, _ limit: Int, to json: inout JSONWriter
  ) throws(ControlFailure) {
    let page = try source.mqttSubscriptions(offset: offset, limit: limit)
    json.member("total", page.total)
    json.member("offset", offset)
    json.array("subscriptions", page.rows) { json, row in
      json.beginObject()
      json.member("core", row.core)
      json.member("filter", text: row.filter)
      json.member("shared", row.isShared)
      json.key("clientID")
      if let client = row.clientID { json.value(text: client.text) } else { json.null() }
      json.member("grantedQoS", row.grantedQoS)
      json.member("noLocal", row.isNoLocal)
      json.member("identifier", row.identifier)
      json.endObject()
    }
  }

  private func writeExplanation(
    _ topic: Text, _ client: Text?, to json: inout JSONWriter
  ) throws(ControlFailure) {
    let result = try source.explain(topic: topic, client: client)
    json.member("topic", text: topic)
    json.member("decision", string: result.decision)
    json.member("reason", string: result.reason)
    json.member("certified", result.isCertified)
    json.member("verdict", string: result.verdict)
    json.member("verdictAgeMilliseconds", optional: result.verdictAge.map { Int($0.milliseconds) })
    json.member("generation", result.generation)
    json.member("matchingSubscriptions", result.matchingSubscriptions)
    json.key("receivers")
    json.beginArray()
    for receiver in result.receivers {
      json.beginObject()
      json.member("core", receiver.core)
      json.member("clientID", text: receiver.clientID.text)
      json.member("grantedQoS", receiver.grantedQoS)
      json.endObject()
    }
    json.endArray()
  }

  // MARK: Host link

  private func writeLinks(to json: inout JSONWriter) throws(ControlFailure) {
    json.key("links")
    json.beginArray()
    for row in try source.links() {
      json.beginObject()
      json.member("core", row.core)
      json.member("up", row.isUp)
      json.member("stalled", row.isStalled)
      json.member("certified", row.isCertified)
      json.key("objections")
      json.beginArray()
      for objection in row.objections { json.value(string: objection) }
      json.endArray()
      json.key("listeners")
      json.beginArray()
      for listener in row.listeners { json.value(text: listener.text) }
      json.endArray()
      json.member("channels", row.channels)
      json.endObject()
    }
    json.endArray()
    writeCounters(.link, to: &json)
  }
}
