import DPUCore
import JSONText
import Synchronization

@testable import ControlPlane

enum FakeTCPCounter: Int, CounterKey {
  case segmentsReceived, droppedBadChecksum
  var name: StaticString {
    switch self {
    case .segmentsReceived: "segmentsReceived"
    case .droppedBadChecksum: "droppedBadChecksum"
    }
  }
}

/// A firmware with two cores and fixed figures.
final class FakeSource: ControlSource {
  private let stopped = Atomic(false)
  var isShutDown: Bool { stopped.load(ordering: .relaxed) }
  private let first = Counters<FakeTCPCounter>()
  private let second = Counters<FakeTCPCounter>()

  init() {
    first.add(5, to: .segmentsReceived)
    second.add(7, to: .segmentsReceived)
    second.increment(.droppedBadChecksum)
  }

  /// Another release than the tools'.
  nonisolated(unsafe) var release = ProductVersion.text

  var version: VersionRow {
    VersionRow(version: release, architecture: "x86_64", dpdk: "DPDK 22.11.7")
  }
  var uptime: Interval { .milliseconds(61_500) }
  func health() -> [HealthCheck] {
    [
      HealthCheck(name: "uplink", isGood: true, detail: "link is up"),
      HealthCheck(name: "broker", isGood: false, detail: "no broker attached"),
    ]
  }
  func ports() -> [PortRow] {
    var row = PortRow(name: "uplink", role: .uplink, device: "net_tap0", driver: "net_tap")
    row.mac = HardwareAddress(rawValue: 0x0200_0000_0001)
    row.mtu = 1500
    row.queues = 2
    row.isLinkUp = true
    row.receivedPackets = 12
    row.receivedBytes = 3_456
    return [row]
  }
  func portCounters(_ name: Text) throws(ControlFailure) -> PortCounters {
    guard name == "uplink" else { throw .notFound("there is no port of this name") }
    var counters = PortCounters()
    counters.cores = self.counters(.tcp)
    counters.device = [(name: "rx_good_packets", value: 12), (name: "rx_errors", value: 0)]
    return counters
  }
  func cores() -> [CoreRow] {
    [
      CoreRow(
        core: 1, turns: 100, busyCycles: 500_000, idleCycles: 1_500_000, cyclesPerSecond: 1_000_000),
      CoreRow(
        core: 2, turns: 90, busyCycles: 0, idleCycles: 90_000_000, cyclesPerSecond: 1_000_000),
    ]
  }
  func pools() -> [PoolRow] {
    [
      PoolRow(
        name: "payload blocks", core: 1, pieceBytes: 2_048, capacity: 100, free: 90, lowWater: 80),
      PoolRow(
        name: "packet buffers", core: nil, pieceBytes: 2_176, capacity: 8_191, free: 8_000,
        lowWater: nil),
    ]
  }
  func counters(_ group: CounterGroup) -> [CoreCounters] {
    guard group == .tcp else { return [] }
    return [
      CoreCounters(core: 1, FakeTCPCounter.self, first.reader),
      CoreCounters(core: 2, FakeTCPCounter.self, second.reader),
    ]
  }

  static let client = Endpoint(address: Address(ipv4: 0x0a4d_0002), port: 40_000)
  static let server = Endpoint(
    address: Address(high: 0xfd77_0000_0000_0000, low: 1), port: 1_883)
  let connectionCount = 5_000

  func tcpConnections(offset: Int, limit: Int) throws(ControlFailure) -> Page<ConnectionRow> {
    var rows: [ConnectionRow] = []
    for index in offset..<max(offset, min(connectionCount, offset + limit)) {
      var row = ConnectionRow(
        core: 1, id: UInt64(index), remote: Self.client, local: Self.server,
        state: "ESTABLISHED", service: "mqtt")
      row.smoothedRTT = .microseconds(120)
      rows.append(row)
    }
    return Page(rows: rows, total: connectionCount)
  }
  func mqttClients(offset: Int, limit: Int) throws(ControlFailure) -> Page<MQTTClientRow> {
    throw .timeout(core: 2)
  }
  func mqttSubscriptions(
    offset: Int, limit: Int
  ) throws(ControlFailure) -> Page<SubscriptionRow> {
    let name = Array("sensor-7".utf8)
    var first = SubscriptionRow(
      core: 1, filter: "a/+/#", clientID: ShortText(name.span.bytes))
    first.grantedQoS = 1
    first.isNoLocal = true
    first.identifier = 7
    var second = SubscriptionRow(core: 2, filter: "b", clientID: nil)
    second.isShared = true
    let rows = [first, second]
    return Page(rows: Array(rows.dropFirst(offset).prefix(limit)), total: rows.count)
  }
  func explain(topic: Text, client: Text?) throws(ControlFailure) -> ExplainResult {
    if client == "nobody" { throw .notFound("no client of that name is connected") }
    var result = ExplainResult(
      decision: "relay", reason: "noVerdict", isCertified: true, verdict: "none",
      verdictAge: nil, generation: 3, matchingSubscriptions: 1)
    let name = Array("sensor-7".utf8)
    result.receivers = [
      ExplainReceiver(core: 1, clientID: ShortText(name.span.bytes), grantedQoS: 1)
    ]
    return result
  }
  func links() throws(ControlFailure) -> [LinkRow] {
    var row = LinkRow(core: 1, isUp: true, isStalled: false, isCertified: false)
    row.objections = ["kernelConnection"]
    row.listeners = [Endpoint(address: Address(ipv4: 0), port: 1_883)]
    return [row]
  }
  func filters(_ call: FilterCall, to json: inout JSONWriter) throws(RPCError) {
    if call.method.isWrite { note(call) }
    json.member("called", string: call.method.name)
  }

  /// Says what was called, with which parameters.
  func pipelines(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    if call.method == .unload {
      throw RPCError(.refused, "is busy", path: call.path, reason: "busy")
    }
    if call.method == .load {
      note(call)
      if call[.path]?.node.text == "/refused" { throw RPCError(.refused, "no program") }
    }
    if call.method == .packetIn, packetsIn > 0 {
      packetsIn -= 1
      return json.array("packets", [packetsIn]) { json, number in json.value(number) }
    }
    json.member("called", string: call.method.name)
    if call.method.hasBody { json.member("body", call.body.bytes.count) }
    for parameter in PipelineParameter.allCases {
      if let field = call[parameter] { json.member(parameter.name, text: field.path.text) }
    }
  }

  private func note<Called: PartMethod>(_ call: MethodCall<Called>) {
    var text = "\(call.method.name)"
    for parameter in Called.Argument.allCases {
      if let value = call[parameter]?.node {
        text += " \(parameter.name)=\(plain(value.text ?? value.json))"
      }
    }
    deeds.append(text)
  }

  /// Packets that wait for whoever asks.
  nonisolated(unsafe) var packetsIn = 0
  /// What was done, for tests to look at; of the thread that calls.
  nonisolated(unsafe) var deeds: [String] = []
  func drop(connection: UInt64, core: Int) throws(ControlFailure) {
    guard connection < connectionCount else { throw .notFound("there is no such connection") }
    deeds.append("drop \(connection) on \(core)")
  }
  func disconnect(client: Text) throws(ControlFailure) {
    deeds.append("disconnect \(plain(client))")
  }
  func setPort(_ name: Text, isUp: Bool) throws(ControlFailure) {
    guard name == "uplink" else { throw .notFound("there is no port of this name") }
    deeds.append("uplink \(isUp ? "up" : "down")")
  }
  /// Frames of two bytes that wait for a capture.
  nonisolated(unsafe) var framesWaiting = 0
  nonisolated(unsafe) var isCapturing = false

  func startCapture(port: Text?, copyBytes: Int) throws(ControlFailure) {
    deeds.append("capture \(port.map(plain) ?? "all") \(copyBytes)")
    isCapturing = true
  }
  func stopCapture() {
    deeds.append("capture ends")
    isCapturing = false
  }
  func takeCaptured(_ limit: Int, _ body: (CapturedFrame, RawSpan) -> Void) -> Int {
    guard isCapturing else { return 0 }
    let count = min(limit, framesWaiting)
    for number in 0..<count {
      let bytes = [UInt8(7), UInt8(number)]
      body(
        CapturedFrame(
          port: "uplink", core: 1, isOutgoing: number == 1, length: 60,
          at: Instant(nanoseconds: UInt64(1_000_000_000 + number))), bytes.span.bytes)
    }
    framesWaiting -= count
    return count
  }
  func check(_ configuration: Configuration) throws(StartFailure) {
    for pipeline in configuration.pipelines where pipeline.program == "/missing" {
      throw StartFailure("/missing: No such file or directory")
    }
  }
  func apply(_ mqtt: Configuration.MQTT) throws(ControlFailure) {
    deeds.append("mqtt \(mqtt.consume) \(mqtt.verify) \(mqtt.verdictTTLMilliseconds)")
  }
  let pipelineNames: [Text] = ["main"]
  let journal = EventJournal(level: .error, now: { .zero })
  let statistics: StatisticsMemory? = nil
  let rights = RightsRow(user: 0, capabilities: 0x1000, isConfined: true)
  func shutdown() { stopped.store(true, ordering: .relaxed) }
}

private func plain(_ text: Text) -> String { String(decoding: text.bytes, as: UTF8.self) }
