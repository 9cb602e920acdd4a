import DPUCore
import JSONText

// The results of the methods. Members are only ever added: scripts rely on these names.
extension RequestHandler {
  func answer(
    _ method: Method, _ parameters: Parameters, to json: inout JSONWriter
  ) throws(RPCError) {
    do throws(ControlFailure) {
      json.beginObject()
      switch method {
      case .rpcList: writeMethods(to: &json)
      case .versionGet: writeVersion(to: &json)
      case .systemHealth: writeHealth(to: &json)
      case .systemUptime: json.member("milliseconds", source.uptime.milliseconds)
      case .systemShutdown:
        source.shutdown()
        json.member("stopping", true)
      case .portList: writePorts(to: &json)
      case .coreStats: writeCores(to: &json)
      case .memoryStats: writePools(to: &json)
      case .controlStats: writeOwnCounters(to: &json)
      case .tcpStats: writeCounters(.tcp, to: &json)
      case .tcpList: try writeConnections(parameters, to: &json)
      case .mqttStats: writeCounters(.mqtt, to: &json)
      case .mqttClients: try writeClients(parameters, to: &json)
      case .mqttExplain: try writeExplanation(parameters, to: &json)
      case .linkStats: try writeLinks(to: &json)
      }
      json.endObject()
    } catch {
      throw RPCError(error)
    }
  }

  // MARK: System

  private func writeMethods(to json: inout JSONWriter) {
    json.key("methods")
    json.beginArray()
    for method in Method.allCases {
      json.beginObject()
      write(method.name, method.summary, isWrite: method.isWrite, to: &json)
      for parameter in Parameter.allCases where method.takes(parameter) {
        write(parameter: parameter.name, isRequired: parameter.isRequired, to: &json)
      }
      json.endArray()
      json.endObject()
    }
    writeMethods(of: PipelineMethod.self, to: &json)
    writeMethods(of: FilterMethod.self, to: &json)
    json.endArray()
  }

  private func writeMethods<Part: PartMethod>(of part: Part.Type, to json: inout JSONWriter) {
    for method in Part.allCases {
      json.beginObject()
      write(method.name, method.summary, isWrite: method.isWrite, to: &json)
      for parameter in Part.Argument.allCases where method.takes(parameter) {
        write(parameter: parameter.name, isRequired: method.requires(parameter), to: &json)
      }
      json.endArray()
      json.endObject()
    }
  }

  /// The members of a method up to the start of its parameters.
  private func write(
    _ name: StaticString, _ summary: StaticString, isWrite: Bool, to json: inout JSONWriter
  ) {
    json.member("name", string: name)
    json.member("summary", string: summary)
    json.member("write", isWrite)
    json.key("parameters")
    json.beginArray()
  }

  private func write(parameter: StaticString, isRequired: Bool, to json: inout JSONWriter) {
    json.beginObject()
    json.member("name", string: parameter)
    json.member("required", isRequired)
    json.endObject()
  }

  private func writeVersion(to json: inout JSONWriter) {
    let version = source.version
    json.member("version", string: version.version)
    json.member("architecture", string: version.architecture)
    json.member("dpdk", text: version.dpdk)
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

  private func writePorts(to json: inout JSONWriter) {
    json.key("ports")
    json.beginArray()
    for port in source.ports() {
      json.beginObject()
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
      json.endObject()
    }
    json.endArray()
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
    let sets = source.counters(group)
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
    _ parameters: Parameters, to json: inout JSONWriter
  ) throws(ControlFailure) {
    let page = try source.tcpConnections(offset: parameters.offset, limit: parameters.limit)
    json.member("total", page.total)
    json.member("offset", parameters.offset)
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
    _ parameters: Parameters, to json: inout JSONWriter
  ) throws(ControlFailure) {
    let page = try source.mqttClients(offset: parameters.offset, limit: parameters.limit)
    json.member("total", page.total)
    json.member("offset", parameters.offset)
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

  private func writeExplanation(
    _ parameters: Parameters, to json: inout JSONWriter
  ) throws(ControlFailure) {
    let result = try source.explain(topic: parameters.topic, client: parameters.client)
    json.member("topic", text: parameters.topic)
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
