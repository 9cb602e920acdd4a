import CLinux
import ControlPlane
import DPDKPort
import DPUCore
import FilterHost
import MQTTOffload
import PacketWire
import PipelineHost
import PollLoop
import TCPLite

/// `dpu --selftest`: the firmware's poll loop serves a scripted client over two DPDK ports joined
/// by memory, then swallows what a null device generates. Needs no network, no huge pages and no
/// rights, so it also runs under an emulator.
struct SelfTest: ~Copyable {
  private typealias Loop = PollLoop<DPDKDevice, FirmwareStage>

  private var client: SelfTestClient
  private var server: Loop
  private var passed = 0
  private var failed = 0

  /// Prints a transcript. Returns whether every step went as it should.
  static func run() throws(StartFailure) -> Bool {
    do {
      return try runSteps()
    } catch {
      throw StartFailure("self-test: \(Text(bytes: error.reason))")
    }
  }

  private static func runSteps() throws(DPDKFailure) -> Bool {
    var core: Int32 = 0
    while clinux_core_is_usable(core) == 0 { core += 1 }
    let arguments: [Text] = [
      "-l", "\(core)", "--no-huge", "-m", "64", "--no-shconf", "--no-pci", "--no-telemetry",
      "--log-level=warning", "--vdev=net_null0,size=60",
    ]
    try DPDK.start(arguments.map { $0.bytes })
    let clientPool = try DPDKPool(worker: 0, frames: 1_023, mtu: 1500)
    let serverPool = try DPDKPool(worker: 1, frames: 1_023, mtu: 1500)
    let (clientPort, serverPort) = try DPDKPort.makePair()
    let nullPort = try DPDKPort(named: ("net_null0" as Text).bytes)
    var options = DPDKPort.Options()
    options.descriptors = 256
    try clientPort.open(options, pools: [clientPool])
    try serverPort.open(options, pools: [serverPool])
    try nullPort.open(options, pools: [serverPool])
    let free = clientPool.available + serverPool.available

    var test = SelfTest(
      client: DPDKDevice(ports: [clientPort], queue: 0, pool: clientPool),
      server: loop(on: DPDKDevice(ports: [serverPort], queue: 0, pool: serverPool)))
    test.meet()
    test.talk()
    test.misbehave()
    test.swallow(loop(on: DPDKDevice(ports: [nullPort], queue: 0, pool: serverPool)))
    test.check(
      clientPool.available + serverPool.available == free, "every buffer is back in its pool")

    ("self-test: \(test.passed) passed, \(test.failed) failed" as Text).printLine(to: 1)
    return test.failed == 0
  }

  private init(client: consuming DPDKDevice, server: consuming Loop) {
    self.client = SelfTestClient(client)
    self.server = server
  }

  private static func loop(on device: consuming DPDKDevice) -> Loop {
    var configuration = TCPConfiguration(
      mac: MACAddress(0x02, 0, 0, 0, 0, 0x01), secrets: (1, 2, 3, 4))
    configuration.ipv4 = SelfTestClient.serverAddress
    configuration.connectionsMax = 64
    configuration.blockCount = 256
    configuration.entriesMax = 1_024
    // No broker: the offload is there and idle, as in a firmware whose broker is down.
    var offload = OffloadConfiguration(keys: (1, 2))
    offload.connectionsMax = configuration.connectionsMax
    offload.blockSize = configuration.blockSize
    let stage = FirmwareStage(
      stack: TCPStack(configuration: configuration, now: DPDK.now),
      offload: MQTTOffload(offload, listenerTag: FirmwareStage.mqttTag, now: DPDK.now),
      link: WorkerLink(.unused, channelsMax: configuration.connectionsMax),
      entrance: .alone, pipelines: PipelineStage(),
      filters: FilterStage(device: nil),
      echoPort: SelfTestClient.serverPort, portCount: 1, core: 0,
      mailbox: CoreMailbox(CoreContents()))
    return Loop(device: device, stage: stage)
  }

  // MARK: Steps

  /// Neighbours: an ARP request and a ping.
  private mutating func meet() {
    var sent = client.askForServer()
    var answered = false
    for message in exchange() {
      if case .arpReply(let mac, SelfTestClient.serverAddress) = message {
        client.serverMAC = mac
        answered = true
      }
    }
    check(sent && answered, "an ARP request for 10.0.0.1 is answered")

    sent = client.ping(identifier: 0x1234)
    answered = false
    for message in exchange() {
      if case .echoReply(0x1234) = message { answered = true }
    }
    check(sent && answered, "a ping is answered")
  }

  /// A connection from handshake to close; sequence numbers wrap on the way.
  private mutating func talk() {
    let start: UInt32 = 0xffff_fffe
    let synAck = answer(to: segment([.syn], start, 0))
    check(
      synAck?.flags == [.syn, .ack] && synAck?.acknowledgment == start &+ 1,
      "a SYN is answered with SYN and ACK")
    guard let synAck else { return }

    let theirs = synAck.sequence &+ 1
    let text = ("hello, dpu" as Text).bytes
    let echo = answer(to: segment([.ack, .psh], start &+ 1, theirs, text))
    let next = start &+ 1 &+ UInt32(text.count)
    check(
      echo?.payload == text && echo?.sequence == theirs && echo?.acknowledgment == next,
      "what is sent comes back, with the acknowledgment on the same segment")

    let after = theirs &+ UInt32(text.count)
    let close = answer(to: segment([.ack, .fin], next, after))
    check(
      close?.flags.contains(.fin) == true && close?.acknowledgment == next &+ 1,
      "a FIN is acknowledged and answered with a FIN")
    check(
      answer(to: segment([.ack], next &+ 1, after &+ 1)) == nil,
      "the last ACK is answered by nothing")
  }

  /// What must be refused.
  private mutating func misbehave() {
    check(
      answer(to: segment([.syn], 1_000, 0), damage: 1) == nil,
      "a SYN with a bad checksum is answered by nothing")
    let reset = answer(to: segment([.ack], 5, 77))
    check(
      reset?.flags.contains(.rst) == true && reset?.sequence == 77,
      "a segment without a connection is answered with RST")
  }

  /// Frames of zeros for nobody, as fast as they can be made.
  private mutating func swallow(_ loop: consuming Loop) {
    var loop = loop
    let turns = 1_000
    for _ in 0..<turns { _ = loop.turn(now: DPDK.now) }
    let received = loop.ports.reader(port: 0).value(PortCounter.framesReceived)
    check(received == UInt64(turns * 32), "\(received) frames of zeros are swallowed")
  }

  // MARK: Tools

  /// Lets the firmware turn until it is quiet, and returns what the client has heard.
  private mutating func exchange() -> [SelfTestMessage] {
    var heard: [SelfTestMessage] = []
    for _ in 0..<8 {
      _ = server.turn(now: DPDK.now)
      heard += client.receive()
    }
    return heard
  }

  /// The segment that answers `segment`, if exactly one does.
  private mutating func answer(
    to segment: SelfTestSegment, damage: UInt16 = 0
  ) -> SelfTestSegment? {
    guard client.send(segment, damage: damage) else { return nil }
    let heard = exchange()
    guard heard.count == 1, case .segment(let answer) = heard[0] else { return nil }
    return answer
  }

  private func segment(
    _ flags: TCPFlags, _ sequence: UInt32, _ acknowledgment: UInt32, _ payload: [UInt8] = []
  ) -> SelfTestSegment {
    SelfTestSegment(
      flags: flags, sequence: sequence, acknowledgment: acknowledgment, payload: payload)
  }

  private mutating func check(_ holds: Bool, _ what: Text) {
    if holds { passed += 1 } else { failed += 1 }
    (holds ? "  ok      \(what)" as Text : "  FAILED  \(what)").printLine(to: 1)
  }
}
