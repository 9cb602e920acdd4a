package import DPUCore
package import JSONText

extension Configuration {
  /// The whole configuration as the file would say it, with every default. Reading it gives the
  /// same configuration.
  package func write(to json: inout JSONWriter) {
    json.beginObject()
    json.member("schema", Self.schema)
    json.array("eal", ealArguments) { json, argument in json.value(text: argument) }
    json.array("ports", ports) { json, port in port.write(to: &json) }
    json.array("cores", cores) { json, core in json.value(core) }
    json.member("idle", string: idlePolicy.word)
    json.array("addresses", addresses) { json, network in
      json.value(text: "\(network.address.text)/\(network.prefix)")
    }
    if let gateway { json.member("gateway", text: gateway.text) }
    if let gateway6 { json.member("gateway6", text: gateway6.text) }
    if let mac { json.member("mac", text: mac.text) }
    json.member("mtu", mtu)
    writeServices(to: &json)
    json.array("pipelines", pipelines) { json, pipeline in pipeline.write(to: &json) }
    json.array("filters", filters) { json, filter in filter.write(to: &json) }
    if let fpga {
      json.key("fpga")
      json.beginObject()
      json.member("kind", string: fpga.kind.word)
      json.member("path", text: fpga.path)
      json.member("timeoutMilliseconds", fpga.timeoutMilliseconds)
      json.endObject()
    }
    writeSockets(to: &json)
    json.member("log", string: logLevel.word)
    json.endObject()
  }

  private func writeServices(to json: inout JSONWriter) {
    json.key("tcp")
    json.beginObject()
    json.member("cores", string: tcp.cores.word)
    json.member("connections", tcp.connections)
    json.member("receiveBuffer", tcp.receiveBuffer)
    json.member("sendBuffer", tcp.sendBuffer)
    json.member("blocks", tcp.blocks)
    json.member("blockSize", tcp.blockSize)
    json.endObject()
    if let echoPort {
      json.key("echo")
      json.beginObject()
      json.member("port", echoPort)
      json.endObject()
    }
    json.key("mqtt")
    json.beginObject()
    json.member("consume", string: mqtt.consume.word)
    json.member("verify", string: mqtt.verify.word)
    json.member("ttlMilliseconds", mqtt.verdictTTLMilliseconds)
    json.member("maximumPacket", mqtt.maximumPacket)
    json.member("slowPackets", mqtt.slowPackets)
    json.member("slowBytes", mqtt.slowBytes)
    json.endObject()
  }

  private func writeSockets(to json: inout JSONWriter) {
    json.key("hostLink")
    json.beginObject()
    json.member("socket", text: hostLink.socket)
    if let group = hostLink.group { json.member("group", text: group) }
    if let listen = hostLink.listen { json.member("listen", text: listen.text) }
    if let peer = hostLink.peer { json.member("peer", text: peer.text) }
    json.endObject()
    json.key("control")
    json.beginObject()
    json.member("socket", text: control.socket)
    var mode = Text()
    mode.append(UInt64(control.mode), radix: 8, width: 4)
    json.member("mode", text: mode)
    if let group = control.group { json.member("group", text: group) }
    if let operators = control.operators { json.member("operators", text: operators) }
    json.endObject()
    json.key("security")
    json.beginObject()
    json.member("capabilities", string: security.capabilities.word)
    json.member("calls", string: security.calls.word)
    json.endObject()
  }

  /// As JSON on one line.
  package var json: Text {
    var json = JSONWriter()
    write(to: &json)
    return json.text
  }
}

extension Configuration.Port {
  fileprivate func write(to json: inout JSONWriter) {
    json.beginObject()
    json.member("role", string: role.word)
    json.member("name", text: name)
    json.member("device", text: device)
    if let queues { json.member("queues", queues) }
    if let mtu { json.member("mtu", mtu) }
    json.endObject()
  }
}

extension Configuration.Pipeline {
  fileprivate func write(to json: inout JSONWriter) {
    json.beginObject()
    json.member("name", text: name)
    if let program { json.member("program", text: program) }
    Configuration.write(ports, to: &json)
    json.endObject()
  }
}

extension Configuration {
  /// The member `ports` of a pipeline, as `pipelinePorts` reads it.
  package static func write(_ ports: [PipelinePort], to json: inout JSONWriter) {
    json.key("ports")
    json.beginObject()
    for port in ports {
      json.key(text: "\(port.number)")
      json.value(string: port.end.word)
    }
    json.endObject()
  }
}

extension Configuration.Filter {
  fileprivate func write(to json: inout JSONWriter) {
    json.beginObject()
    json.member("port", string: port.word)
    json.member("program", text: program)
    if let name { json.member("name", text: name) }
    json.member("engine", string: policy.engine.word)
    json.member("aborted", string: policy.aborted.word)
    json.member("deadDevice", string: policy.deadDevice.word)
    json.endObject()
  }
}
