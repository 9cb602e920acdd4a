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

/// From a configuration to running workers and back.
extension Firmware {
  /// Runs until SIGTERM or SIGINT, or until an operator asks for the end.
  static func serve(_ configuration: Configuration, file: Text) throws(StartFailure) {
    // Before any device is touched: a second firmware fails here and harms nobody.
    let control = try ControlListener(configuration.control)
    let linkSocket = try ControlListener(
      path: configuration.hostLink.socket, mode: 0o660, group: configuration.hostLink.group)
    let remoteBrokers = try HostLinkStreamListener(configuration.hostLink)
    let plan = try StartPlan(configuration)
    // Before anything counts.
    let statistics = StatisticsSegment(cores: configuration.cores.count)
    // Asked before DPDK pins this thread.
    let processors = Processors.current().without(configuration.cores)
    try plan.startDPDK()
    // Before the ports, which take packets as soon as they are open.
    let board = try PipelineBoard(configuration, now: DPDK.now, random: plan.random)
    let filters = try FilterBoard(configuration, random: plan.random)
    let ports = try plan.openPorts()
    let rights = Rights(configuration, ports: ports.ports)
    try rights.dropCapabilities()
    let mac = try plan.hardwareAddress(of: ports.ports[0])
    guard
      let links = HostLinkListener(
        listener: linkSocket.descriptor, streamListener: remoteBrokers,
        workers: configuration.stackWorkers, channelsPerWorker: configuration.tcp.connections)
    else { throw StartFailure("the host link cannot wait: out of descriptors") }

    var workers: [WorkerThread] = []
    var handles: [CoreHandle] = []
    let exchange = plan.exchange()
    for index in configuration.cores.indices {
      let worker = plan.worker(
        index, ports: ports.ports, pools: ports.pools, mac: mac, links, exchange, board, filters)
      handles.append(worker.handle)
      workers.append(try WorkerThread(worker, core: configuration.cores[index]))
    }
    let error = links.start(on: processors.set)
    guard error == 0 else {
      throw StartFailure("starting the thread of the host link failed with error \(Int(-error))")
    }
    let journal = EventJournal(level: configuration.logLevel, now: { DPDK.now })
    statistics?.publish(handles, ports: plan.ports, links: links.counters.reader)
    let source = FirmwareSource(
      configuration, plan: plan.ports, ports: ports.ports, pools: ports.pools, cores: handles,
      pipelines: PipelineService(board, workers: PipelineCores(handles)),
      filters: FilterService(filters, workers: FilterCores(handles)),
      links: links.counters.reader, journal: journal,
      statistics: statistics?.memory)
    let keeper = ConfigurationKeeper(configuration, file: file, source: source)
    let server = try ControlServer(control, source: source, keeper: keeper)
    try server.start(on: processors)
    try rights.confineCalls()
    if configuration.logLevel != .error {
      ("dpu \(version): \(ports.ports.count) port(s), \(workers.count) worker(s)" as Text)
        .printLine(to: 2)
    }

    ServiceWatch.tell("READY=1\nSTATUS=\(ports.ports.count) port(s), \(workers.count) worker(s)")
    var watch = ServiceWatch(handles.map { $0.loop }, now: DPDK.now)
    // A signal may come to any thread, so this one looks itself from time to time.
    while clinux_stop_requested() == 0 {
      clinux_sleep(50_000_000)
      watch.look(now: DPDK.now)
    }
    ServiceWatch.tell("STOPPING=1")
    server.stop()
    for worker in workers { worker.join() }
    links.stop()
    for port in ports.ports { port.close() }
    DPDK.stop()
  }
}

/// The configuration in the words of the parts it starts.
struct StartPlan {
  let configuration: Configuration
  /// Uplink first: the poll loop's port 0.
  let ports: [Configuration.Port]
  private let ipv4: Configuration.Network?
  private let ipv6: Configuration.Network?

  init(_ configuration: Configuration) throws(StartFailure) {
    self.configuration = configuration
    ports =
      configuration.ports.filter { $0.role == .uplink }
      + configuration.ports.filter { $0.role == .host }
    let four = configuration.addresses.filter { $0.address.isIPv4 }
    let six = configuration.addresses.filter { !$0.address.isIPv4 }
    guard four.count <= 1, six.count <= 1 else {
      throw StartFailure("addresses: at most one of IPv4 and one of IPv6 can be served")
    }
    ipv4 = four.first
    ipv6 = six.first
    for core in configuration.cores where clinux_core_is_usable(Int32(core)) == 0 {
      throw StartFailure("cores: this process may not run on core \(core)")
    }
  }

  func startDPDK() throws(StartFailure) {
    // One EAL thread is enough, workers are threads of ours.
    var arguments: [Text] = ["-l", "\(configuration.cores[0])", "--no-telemetry"]
    // Nothing is shared with other processes, so that a second firmware cannot disturb the first.
    // Without huge pages the EAL refuses --in-memory, and needs less to be told.
    let hasHugePages = !configuration.ealArguments.contains("--no-huge")
    arguments.append(hasHugePages ? "--in-memory" : "--no-shconf")
    arguments.append(configuration.logLevel == .debug ? "--log-level=info" : "--log-level=warning")
    for port in ports {
      arguments.append(port.isVirtual ? "--vdev=\(port.device)" : "--allow=\(port.device)")
    }
    if ports.allSatisfy({ $0.isVirtual }) { arguments.append("--no-pci") }
    arguments += configuration.ealArguments
    do {
      try DPDK.start(arguments.map { $0.bytes })
    } catch {
      throw StartFailure(Text(bytes: error.reason))
    }
  }

  func openPorts() throws(StartFailure) -> (ports: [DPDKPort], pools: [DPDKPool]) {
    do {
      var pools: [DPDKPool] = []
      for worker in configuration.cores.indices {
        pools.append(
          try DPDKPool(
            worker: worker, frames: FirmwareLimits.framesPerWorker, mtu: configuration.mtu))
      }
      var opened: [DPDKPort] = []
      for port in ports {
        var options = DPDKPort.Options()
        options.mtu = port.mtu ?? configuration.mtu
        options.promiscuous = ports.count > 1
        let found = try DPDKPort(named: deviceName(port))
        try found.open(options, pools: pools)
        opened.append(found)
      }
      return (opened, pools)
    } catch {
      throw StartFailure(Text(bytes: error.reason))
    }
  }

  func hardwareAddress(of port: DPDKPort) throws(StartFailure) -> MACAddress {
    if let mac = configuration.mac { return MACAddress(mac.rawValue) }
    do {
      return MACAddress(try port.hardwareAddress())
    } catch {
      throw StartFailure(Text(bytes: error.reason))
    }
  }

  /// What workers tell each other.
  struct Exchange {
    var neighbours: [[SPSCRing<NeighbourExchange.Answer>]]
    /// Empty when every worker has a stack.
    var handOver: [HandOverRing]
  }

  func exchange() -> Exchange {
    let stacks = configuration.stackWorkers
    let mtu = ports.map { $0.mtu ?? configuration.mtu }.max() ?? configuration.mtu
    return Exchange(
      neighbours: NeighbourExchange.rings(stacks),
      handOver: stacks == configuration.cores.count
        ? []
        : StackHandOver.rings(
          workers: configuration.cores.count,
          frameBytes: max(mtu, configuration.mtu) + FirmwareLimits.frameHeaders))
  }

  /// The configuration of a worker that hands its frames to another's stack: its own has nothing
  /// to do, and only as much memory as it cannot be without.
  private var withoutStack: Configuration {
    var result = configuration
    result.tcp.connections = 1
    result.tcp.blocks = 64
    return result
  }

  /// All that core number `index` works with.
  func worker(
    _ index: Int, ports: [DPDKPort], pools: [DPDKPool], mac: MACAddress, _ links: HostLinkListener,
    _ exchange: Exchange, _ board: PipelineBoard, _ filterBoard: FilterBoard
  ) -> Worker {
    let hasStack = index < configuration.stackWorkers
    let capacities = hasStack ? configuration : withoutStack
    let now = DPDK.now
    var pipelines = PipelineStage()
    board.place(into: &pipelines, worker: index)
    // The FPGA belongs to the first worker.
    var filters = FilterStage(device: index == 0 ? filterBoard.device : nil)
    filterBoard.place(into: &filters, worker: index)
    let mailbox = CoreMailbox(CoreContents())
    let stage = FirmwareStage(
      stack: TCPStack(configuration: stack(capacities, mac: mac), now: now),
      offload: MQTTOffload(
        Self.offload(capacities, keys: (random(), random())), listenerTag: FirmwareStage.mqttTag,
        now: now),
      link: WorkerLink(
        hasStack ? links.mailbox(index) : .unused, channelsMax: capacities.tcp.connections),
      entrance: StackEntrance(
        hasStack
          ? NeighbourExchange(worker: index, rings: exchange.neighbours)
          : NeighbourExchange(worker: 0, rings: NeighbourExchange.rings(1)),
        StackHandOver(worker: index, rings: exchange.handOver)),
      pipelines: pipelines, filters: filters,
      echoPort: configuration.echoPort,
      portCount: ports.count, core: configuration.cores[index], mailbox: mailbox)
    let device = DPDKDevice(ports: ports, queue: index, pool: pools[index])
    return Worker(loop: PollLoop(device: device, stage: stage), idle: idle, mailbox: mailbox)
  }

  static func offload(
    _ configuration: Configuration, keys: (UInt64, UInt64)
  ) -> OffloadConfiguration {
    var result = OffloadConfiguration(keys: keys)
    // A stack sees the subscriptions of its own connections only, so with several of them nobody
    // knows all receivers of a message.
    let consumes = configuration.mqtt.consume == .certified && configuration.stackWorkers == 1
    result.consume = consumes ? .certified : .off
    result.verify = configuration.mqtt.verify == .trust ? .trust : .learned
    result.verdictLifetime = .milliseconds(UInt64(configuration.mqtt.verdictTTLMilliseconds))
    result.messageBytesMax = configuration.mqtt.maximumPacket
    result.connectionsMax = configuration.tcp.connections
    result.blockSize = configuration.tcp.blockSize
    return result
  }

  func stack(_ configuration: Configuration, mac: MACAddress) -> TCPConfiguration {
    var result = TCPConfiguration(mac: mac, secrets: (random(), random(), random(), random()))
    if let ipv4 {
      result.ipv4 = ipAddress(ipv4.address)
      result.ipv4PrefixLength = ipv4.prefix
    }
    if let ipv6 {
      result.ipv6 = ipAddress(ipv6.address)
      result.ipv6PrefixLength = ipv6.prefix
    }
    result.ipv4Gateway = configuration.gateway.map(ipAddress)
    result.ipv6Gateway = configuration.gateway6.map(ipAddress)
    result.mtu = configuration.mtu
    result.connectionsMax = configuration.tcp.connections
    result.receiveLimit = configuration.tcp.receiveBuffer
    // A subscriber is slow when its send queue is full, in bytes or in packets.
    result.sendLimit = min(configuration.tcp.sendBuffer, configuration.mqtt.slowBytes)
    result.sendEntriesMax = min(result.sendEntriesMax, configuration.mqtt.slowPackets)
    result.blockCount = configuration.tcp.blocks
    result.blockSize = configuration.tcp.blockSize
    return result
  }

  var idle: IdlePolicy {
    switch configuration.idlePolicy {
    case .spin: IdlePolicy(rest: .spin)
    case .pause: IdlePolicy(rest: .pause)
    case .yield: IdlePolicy(rest: .yield)
    case .sleep: IdlePolicy(rest: .sleep)
    }
  }

  /// `net_tap0,iface=dpu0` is called `net_tap0`.
  private func deviceName(_ port: Configuration.Port) -> [UInt8] {
    Array(port.device.bytes.prefix { $0 != UInt8(ascii: ",") })
  }

  private func ipAddress(_ address: Address) -> IPAddress {
    IPAddress(high: address.high, low: address.low)
  }

  func random() -> UInt64 {
    var word: UInt64 = 0
    unsafe clinux_random(&word, 8)
    return word
  }
}
