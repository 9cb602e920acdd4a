import DPUCore
import HostLink
import MQTTOffload
import MQTTWire
import TCPLite

/// Clients, the offload, a link and a broker, in virtual time.
final class Lab {
  var offload: MQTTOffload<FakeTransport, FakeLink>
  var stack: FakeTransport
  var link: FakeLink
  let broker = ModelBroker()
  var now = Instant(nanoseconds: 1_000_000_000)
  private var slots: UInt32 = 0

  init(connectionsMax: Int = 16, _ change: (inout OffloadConfiguration) -> Void = { _ in }) {
    var configuration = OffloadConfiguration(keys: (11, 22))
    configuration.connectionsMax = connectionsMax
    configuration.absentSessionsMax = 8
    configuration.subscriptionsMax = 4096
    configuration.verdictsMax = 1024
    configuration.requestsMax = 64
    configuration.aliasesMax = 64
    configuration.keptBlocks = 1024
    change(&configuration)
    offload = MQTTOffload(configuration, listenerTag: 1, now: now)
    stack = FakeTransport(connectionsMax: connectionsMax)
    link = FakeLink(broker)
    link.events += [.plain(.up), .plain(.listen(LinkAddress(ipv4: 0, port: 1883)))]
  }

  // MARK: Time

  func turn() {
    while !stack.events.isEmpty {
      let event = stack.events.removeFirst()
      offload.handle(event, stack: &stack, link: &link, now: now)
      if case .closed = event.kind { stack.connections[event.connection.index] = nil }
    }
    offload.pump(stack: &stack, link: &link, now: now)
  }

  /// Everything runs until nothing moves any more, in no time.
  func settle() {
    var isMoving = true
    while isMoving {
      turn()
      isMoving = !stack.events.isEmpty || !link.commands.isEmpty || !link.events.isEmpty
      while link.shimReads() { isMoving = true }
      for channel in broker.channels.values {
        while broker.step(channel) { isMoving = true }
        while link.shimForwards(channel.id) { isMoving = true }
      }
    }
  }

  /// Lets time pass in steps of a millisecond.
  func wait(_ time: Interval) {
    let end = now + time
    while now < end {
      now = now + .milliseconds(1)
      settle()
    }
  }

  func count(_ key: MQTTCounter) -> UInt64 { offload.counters.value(key) }

  // MARK: Clients

  func open(version: UInt8 = 4) -> Client {
    defer { slots += 1 }
    return Client(self, stack.connect(slot: slots), version)
  }

  /// A client that is connected to the broker.
  func client(
    _ name: String, version: UInt8 = 4, clean: Bool = true, keepAlive: Int = 60,
    properties: [UInt8] = []
  ) -> Client {
    let client = open(version: version)
    client.send(
      Packet.connect(
        name, version: version, clean: clean, keepAlive: keepAlive, properties: properties))
    settle()
    client.packets()
    return client
  }

  func subscriber(
    _ name: String, _ filters: String..., version: UInt8 = 4, options: UInt8 = 0,
    identifier: Int = 0
  ) -> Client {
    let client = client(name, version: version)
    for (k, filter) in filters.enumerated() {
      let properties = identifier > 0 ? [0x0b] + Packet.variable(identifier) : []
      client.send(
        Packet.subscribe(k + 1, [(filter, options)], version: version, properties: properties))
    }
    settle()
    client.packets()
    return client
  }
}

final class Client {
  unowned let lab: Lab
  let connection: SlabHandle
  let version: UInt8
  private var rest: [UInt8] = []

  init(_ lab: Lab, _ connection: SlabHandle, _ version: UInt8) {
    self.lab = lab
    self.connection = connection
    self.version = version
  }

  func send(_ bytes: [UInt8]) { lab.stack.write(connection, bytes) }

  func publish(_ topic: String, _ text: String) {
    send(Packet.publish(topic, text, version: version))
  }

  /// Publishes and lets everything happen.
  func say(_ topic: String, _ text: String) {
    publish(topic, text)
    lab.settle()
  }

  func bytes(max: Int = .max) -> [UInt8] { lab.stack.read(connection, max: max) }

  /// Whole packets that came since the last call.
  @discardableResult
  func packets() -> [[UInt8]] {
    rest += bytes()
    var packets = Packet.split(rest)
    rest = []
    if let last = packets.last {
      if case .packet = PacketFraming.scan(last.span.bytes) {
      } else {
        rest = packets.removeLast()
      }
    }
    return packets
  }

  @discardableResult
  func messages() -> [Message] { packets().compactMap { Message($0, version: version) } }

  var isGone: Bool { lab.stack.connections[connection.index]?.handle != connection }
  var finReceived: Bool { lab.stack.connections[connection.index]?.finSent ?? true }

  /// Packets of this client that the broker has handled.
  var seen: [[UInt8]] { lab.broker.channels[connection]?.seen ?? [] }
  func clearSeen() { lab.broker.channels[connection]?.seen = [] }
}
