import CLinux
import ControlPlane
import DPDKPort
import DPUCore
import FilterHost
import HostLink
import JSONText
import MQTTOffload
import PipelineHost
import PollLoop
import TCPLite

/// The firmware as the control plane sees it.
final class FirmwareSource: ControlSource, @unchecked Sendable {
  private let configuration: Configuration
  private let portPlan: [Configuration.Port]
  private let dpdkPorts: [DPDKPort]
  private let bufferPools: [DPDKPool]
  private let handles: [CoreHandle]
  private let pipelineService: PipelineService<PipelineCores>
  private let filterService: FilterService<FilterCores>
  private let linkCounters: CounterReader
  private let started: Instant
  private(set) var isCapturing = false
  let journal: EventJournal
  let statistics: StatisticsMemory?

  init(
    _ configuration: Configuration, plan: [Configuration.Port], ports: [DPDKPort],
    pools: [DPDKPool], cores: [CoreHandle], pipelines: PipelineService<PipelineCores>,
    filters: FilterService<FilterCores>, links: CounterReader, journal: EventJournal,
    statistics: StatisticsMemory?
  ) {
    linkCounters = links
    self.journal = journal
    self.statistics = statistics
    self.configuration = configuration
    portPlan = plan
    dpdkPorts = ports
    bufferPools = pools
    handles = cores
    pipelineService = pipelines
    filterService = filters
    started = DPDK.now
  }

  var version: VersionRow {
    #if arch(arm64)
      let architecture: StaticString = "aarch64"
    #else
      let architecture: StaticString = "x86_64"
    #endif
    return VersionRow(
      version: Firmware.version, architecture: architecture, dpdk: Text(bytes: DPDK.version))
  }

  var uptime: Interval { DPDK.now - started }

  func shutdown() { clinux_request_stop() }

  var pipelineNames: [Text] { pipelineService.names }

  var rights: RightsRow {
    RightsRow(
      user: clinux_control_user(), capabilities: clinux_rights_capabilities(),
      isConfined: clinux_rights_seccomp() == 2)
  }

  func check(_ configuration: Configuration) throws(StartFailure) {
    try PipelineBoard.check(configuration)
    try FilterBoard.check(configuration)
  }

  func apply(_ mqtt: Configuration.MQTT) throws(ControlFailure) {
    var wanted = configuration
    wanted.mqtt = mqtt
    let policy = OffloadPolicy(StartPlan.offload(wanted, keys: (0, 0)))
    for core in handles { try core.ask({ $0.question = .adopt(policy) }) { _ in } }
  }

  func drop(connection: UInt64, core: Int) throws(ControlFailure) {
    guard let handle = handles.first(where: { $0.core == core }) else {
      throw .notFound("no worker runs on this core")
    }
    let wanted = SlabHandle(rawValue: connection)
    let found = try handle.ask({ $0.question = .drop(wanted) }) { $0.explanation.clientFound }
    guard found else { throw .notFound("there is no such connection") }
  }

  func disconnect(client: Text) throws(ControlFailure) {
    guard client.bytes.count <= FirmwareLimits.topicBytes else {
      throw .unavailable("client longer than a question may be")
    }
    for core in handles {
      let found = try core.ask({ contents in
        contents.question = .disconnect
        contents.clientCount = client.copy(into: &contents.client)
      }) { $0.explanation.clientFound }
      if found { return }
    }
    throw .notFound("no client with this identifier is connected through the DPU")
  }

  func startCapture(port: Text?, copyBytes: Int) throws(ControlFailure) {
    var chosen: UInt64 = 0
    for (index, plan) in portPlan.enumerated() where port == nil || plan.name == port {
      chosen |= 1 << UInt64(index)
    }
    guard chosen != 0 else { throw .notFound("there is no port of this name") }
    isCapturing = true
    for core in handles {
      try core.ask({ $0.question = .capture(ports: chosen, copyBytes: copyBytes) }) { _ in }
    }
  }

  func stopCapture() {
    isCapturing = false
    for core in handles {
      // One that does not answer now has more to worry about; a later question finds it off or on.
      do throws(ControlFailure) {
        try core.ask({ $0.question = .capture(ports: 0, copyBytes: 0) }) { _ in }
      } catch {
        isCapturing = true
      }
    }
    // What is left would be taken for the next capture's.
    for core in handles { while core.tap.take({ _, _ in }) {} }
  }

  func takeCaptured(_ limit: Int, _ body: (CapturedFrame, RawSpan) -> Void) -> Int {
    var count = 0
    for core in handles {
      while count < limit,
        core.tap.take({ header, bytes in
          let frame = CapturedFrame(
            port: portPlan[Int(header.port)].name, core: core.core, isOutgoing: header.isOutgoing,
            length: Int(header.length), at: header.at)
          body(frame, bytes)
        })
      {
        count += 1
      }
    }
    return count
  }

  private func portIndex(_ name: Text) throws(ControlFailure) -> Int {
    guard let index = portPlan.firstIndex(where: { $0.name == name }) else {
      throw .notFound("there is no port of this name")
    }
    return index
  }

  func setPort(_ name: Text, isUp: Bool) throws(ControlFailure) {
    let index = try portIndex(name)
    do throws(DPDKFailure) { try dpdkPorts[index].setLink(isUp: isUp) } catch {
      throw .unavailable("the driver of this port cannot take its link up or down")
    }
  }

  func portCounters(_ name: Text) throws(ControlFailure) -> PortCounters {
    let index = try portIndex(name)
    var counters = PortCounters()
    for core in handles {
      counters.cores.append(CoreCounters(core: core.core, PortCounter.self, core.ports[index]))
    }
    // Not every driver has any.
    let named = (try? dpdkPorts[index].namedCounters()) ?? []
    counters.device = named.map { (name: Text(bytes: $0.name), value: $0.value) }
    return counters
  }

  func pipelines(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    try pipelineService.answer(call, to: &json)
  }

  func filters(_ call: FilterCall, to json: inout JSONWriter) throws(RPCError) {
    try filterService.answer(call, to: &json)
  }

  // MARK: System

  func health() -> [HealthCheck] {
    var checks: [HealthCheck] = []
    for row in ports() {
      checks.append(
        HealthCheck(
          name: "port \(row.name)", isGood: row.isLinkUp,
          detail: row.isLinkUp ? "link up" : "link down"))
    }
    for core in handles {
      let link = try? linkState(of: core)
      checks.append(
        HealthCheck(
          name: "core \(core.core)", isGood: link != nil,
          detail: link != nil ? "answers" : "does not answer"))
      guard let link, core.hasStack else { continue }
      checks.append(
        HealthCheck(
          name: "broker link of core \(core.core)", isGood: link.isUp && !link.isStalled,
          detail: !link.isUp ? "no broker attached" : link.isStalled ? "stalled" : "up"))
    }
    return checks
  }

  func ports() -> [PortRow] {
    portPlan.indices.map { index in
      let plan = portPlan[index]
      guard let info = try? dpdkPorts[index].describe() else {
        return PortRow(name: plan.name, role: plan.role, device: plan.device, driver: "gone")
      }
      var row = PortRow(
        name: plan.name, role: plan.role, device: plan.device, driver: Text(bytes: info.driver))
      row.mac = HardwareAddress(rawValue: info.hardwareAddress)
      row.mtu = info.mtu
      row.queues = info.queues
      row.isLinkUp = info.isUp
      row.speedMegabits = info.megabitsPerSecond
      for core in handles {
        let counters = core.ports[index]
        row.receivedPackets += counters.value(PortCounter.framesReceived)
        row.receivedBytes += counters.value(PortCounter.bytesReceived)
        row.sentPackets += counters.value(PortCounter.framesTransmitted)
        row.sentBytes += counters.value(PortCounter.bytesTransmitted)
        row.withoutBuffer += counters.value(PortCounter.droppedNoBuffer)
        row.sendErrors += counters.value(PortCounter.droppedTransmitQueueFull)
      }
      if let statistics = try? dpdkPorts[index].statistics() {
        row.missedPackets = statistics.missed
        row.receiveErrors = statistics.receiveErrors
        row.sendErrors += statistics.transmitErrors
        row.withoutBuffer += statistics.noBuffer
      }
      return row
    }
  }

  func cores() -> [CoreRow] {
    // The loop keeps nanoseconds, so a cycle of these rows is one nanosecond.
    handles.map {
      CoreRow(
        core: $0.core, turns: $0.loop.value(LoopCounter.turns),
        busyCycles: $0.loop.value(LoopCounter.busyNanoseconds),
        idleCycles: $0.loop.value(LoopCounter.idleNanoseconds), cyclesPerSecond: 1_000_000_000)
    }
  }

  func pools() -> [PoolRow] {
    var rows: [PoolRow] = []
    for (index, core) in handles.enumerated() {
      rows.append(
        PoolRow(
          name: "packet buffers", core: core.core, pieceBytes: configuration.mtu,
          capacity: FirmwareLimits.framesPerWorker, free: bufferPools[index].available,
          lowWater: nil))
      guard core.hasStack, let state = try? linkState(of: core) else { continue }
      rows.append(
        PoolRow(
          name: "payload blocks", core: core.core, pieceBytes: core.blockSize,
          capacity: core.blockCount, free: state.freeBlocks, lowWater: state.lowWaterBlocks))
    }
    return rows
  }

  func counters(_ group: CounterGroup) -> [CoreCounters] {
    // Of one thread, on no poll loop's core: they stand with those of the first worker.
    let ofThread =
      group == .link
      ? [CoreCounters(core: handles[0].core, HostLinkCounter.self, linkCounters)] : []
    return ofThread
      + handles.flatMap { core -> [CoreCounters] in
        switch group {
        case .core:
          [
            CoreCounters(core: core.core, LoopCounter.self, core.loop),
            CoreCounters(core: core.core, StageCounter.self, core.stage),
            CoreCounters(core: core.core, HandOverCounter.self, core.handOver),
          ]
        case .tcp: [CoreCounters(core: core.core, TCPCounter.self, core.tcp)]
        case .mqtt: [CoreCounters(core: core.core, MQTTCounter.self, core.mqtt)]
        case .link: [CoreCounters(core: core.core, LinkCounter.self, core.link)]
        }
      }
  }

  // MARK: Listings

  func tcpConnections(offset: Int, limit: Int) throws(ControlFailure) -> Page<ConnectionRow> {
    try page(offset, limit, { .connections(offset: $0, limit: $1) }) { $0.connections[$1] }
  }

  func mqttClients(offset: Int, limit: Int) throws(ControlFailure) -> Page<MQTTClientRow> {
    try page(offset, limit, { .clients(offset: $0, limit: $1) }) { $0.clients[$1] }
  }

  /// The rows of all cores as one list, fetched in answers that fit the box.
  private func page<Row>(
    _ offset: Int, _ limit: Int, _ question: (Int, Int) -> CoreQuestion,
    _ row: (borrowing CoreContents, Int) -> Row
  ) throws(ControlFailure) -> Page<Row> {
    var page = Page<Row>(rows: [], total: 0)
    for core in handles {
      var next = max(0, offset - page.total)
      var total = 0
      repeat {
        let wanted = min(limit - page.rows.count, FirmwareLimits.rowsPerAnswer)
        let answer = try core.ask({ $0.question = question(next, wanted) }) { contents in
          (rows: (0..<contents.count).map { row(contents, $0) }, total: contents.total)
        }
        page.rows += answer.rows
        total = answer.total
        next += answer.rows.count
        if answer.rows.isEmpty { break }
      } while page.rows.count < limit && next < total
      page.total += total
    }
    return page
  }

  // MARK: MQTT

  func mqttSubscriptions(
    offset: Int, limit: Int
  ) throws(ControlFailure) -> Page<SubscriptionRow> {
    var page = Page<SubscriptionRow>(rows: [], total: 0)
    var left = offset
    for core in handles {
      var place: Int? = 0
      var total = 0
      while let start = place {
        let wanted = min(limit - page.rows.count, FirmwareLimits.rowsPerAnswer)
        let answer = try core.ask({
          $0.question = .subscriptions(place: start, skipping: left, limit: wanted)
        }) { contents in
          (
            rows: Self.subscriptions(contents, core: core.core), total: contents.total,
            skipped: contents.skipped, next: contents.nextPlace
          )
        }
        page.rows += answer.rows
        left -= answer.skipped
        total = answer.total
        place = page.rows.count < limit ? answer.next : nil
      }
      page.total += total
    }
    return page
  }

  private static func subscriptions(
    _ contents: borrowing CoreContents, core: Int
  ) -> [SubscriptionRow] {
    var rows: [SubscriptionRow] = []
    var start = 0
    for index in 0..<contents.count {
      let entry = contents.subscriptions[index]
      var row = SubscriptionRow(core: core, filter: Text(), clientID: entry.client)
      for place in start..<start + entry.filterCount {
        row.filter.append(byte: contents.topic[place])
      }
      row.isShared = entry.isShared
      row.grantedQoS = entry.grantedQoS
      row.isNoLocal = entry.isNoLocal
      row.identifier = entry.identifier
      rows.append(row)
      start += entry.filterCount
    }
    return rows
  }

  func explain(topic: Text, client: Text?) throws(ControlFailure) -> ExplainResult {
    guard topic.bytes.count <= FirmwareLimits.topicBytes,
      (client?.bytes.count ?? 0) <= FirmwareLimits.topicBytes
    else { throw .unavailable("topic or client longer than a question may be") }
    for core in handles {
      let answer = try core.ask({ contents in
        contents.question = .explain(anyClient: client == nil)
        contents.topicCount = topic.copy(into: &contents.topic)
        contents.clientCount = client?.copy(into: &contents.client) ?? 0
      }) { contents in
        var result = ExplainResult(
          decision: contents.explanation.decision, reason: contents.explanation.reason,
          isCertified: contents.explanation.isCertified,
          verdict: contents.explanation.verdict,
          verdictAge: contents.explanation.verdictAge,
          generation: contents.explanation.generation,
          matchingSubscriptions: contents.explanation.matchingSubscriptions)
        result.receivers = (0..<contents.count).map { contents.receivers[$0] }
        return (result: result, found: contents.explanation.clientFound)
      }
      if answer.found { return answer.result }
    }
    throw .notFound("no client with this identifier is connected through the DPU")
  }

  func links() throws(ControlFailure) -> [LinkRow] {
    var rows: [LinkRow] = []
    for core in handles where core.hasStack {
      let state = try linkState(of: core)
      let flags = CertificateFlags(rawValue: state.certificate)
      var row = LinkRow(
        core: core.core, isUp: state.isUp, isStalled: state.isStalled,
        isCertified: state.isUp && flags == .certified)
      if flags.contains(.kernelConnection) { row.objections.append("kernelConnection") }
      if flags.contains(.outgoingConnection) { row.objections.append("outgoingConnection") }
      if flags.contains(.otherListener) { row.objections.append("otherListener") }
      for index in 0..<state.listenerCount { row.listeners.append(state.listeners[index]) }
      row.channels = state.channels
      rows.append(row)
    }
    return rows
  }

  private func linkState(
    of core: CoreHandle
  ) throws(ControlFailure) -> CoreContents.LinkState {
    try core.ask({ $0.question = .link }) { $0.link }
  }
}

extension Text {
  /// Copies the text to the start of `bytes`, which must be long enough. Returns its length.
  fileprivate func copy(into target: inout FixedArray<UInt8>) -> Int {
    for index in bytes.indices { target[index] = bytes[index] }
    return bytes.count
  }
}
