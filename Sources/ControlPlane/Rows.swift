package import DPUCore

// What the firmware tells the control plane, as plain values: a poll loop fills rows and passes
// them through a ring, the control plane turns them into JSON.

package struct Endpoint: Equatable, BitwiseCopyable, Sendable {
  package var address: Address
  package var port: UInt16

  package init(address: Address, port: UInt16) {
    self.address = address
    self.port = port
  }

  /// `10.77.0.2:1883`, `[fd77::2]:1883`.
  package var text: Text {
    address.isIPv4 ? "\(address.text):\(port)" : "[\(address.text)]:\(port)"
  }
}

// MARK: System

package struct VersionRow: Sendable {
  package var version: StaticString
  /// `aarch64` or `x86_64`.
  package var architecture: StaticString
  package var dpdk: Text

  package init(version: StaticString, architecture: StaticString, dpdk: Text) {
    self.version = version
    self.architecture = architecture
    self.dpdk = dpdk
  }
}

/// One thing that must hold for the firmware to do its work.
package struct HealthCheck: Sendable {
  package var name: Text
  package var isGood: Bool
  /// What was seen, good or bad.
  package var detail: Text

  package init(name: Text, isGood: Bool, detail: Text) {
    self.name = name
    self.isGood = isGood
    self.detail = detail
  }
}

/// A frame on its way in or out, as a capture has it.
package struct CapturedFrame: Sendable {
  package var port: Text
  package var core: Int
  package var isOutgoing: Bool
  /// Bytes of the whole frame; there may be fewer in the copy.
  package var length: Int
  package var at: Instant

  package init(port: Text, core: Int, isOutgoing: Bool, length: Int, at: Instant) {
    self.port = port
    self.core = core
    self.isOutgoing = isOutgoing
    self.length = length
    self.at = at
  }
}

/// What the process may still do.
package struct RightsRow: Sendable {
  package var user: UInt32
  /// Effective capabilities that any of its threads has, as capabilities(7) numbers them.
  package var capabilities: UInt64
  /// Whether the kernel refuses system calls that a running firmware never makes.
  package var isConfined: Bool

  package init(user: UInt32, capabilities: UInt64, isConfined: Bool) {
    self.user = user
    self.capabilities = capabilities
    self.isConfined = isConfined
  }
}

package struct PortRow: Sendable {
  package var name: Text
  package var role: Configuration.Role
  package var device: Text
  /// DPDK's driver, as `net_virtio`.
  package var driver: Text
  package var mac = HardwareAddress(rawValue: 0)
  package var mtu = 0
  package var queues = 0
  package var isLinkUp = false
  /// 0 when the device does not know.
  package var speedMegabits = 0
  package var receivedPackets: UInt64 = 0
  package var receivedBytes: UInt64 = 0
  package var sentPackets: UInt64 = 0
  package var sentBytes: UInt64 = 0
  /// Packets the device dropped because nobody fetched them in time.
  package var missedPackets: UInt64 = 0
  package var receiveErrors: UInt64 = 0
  package var sendErrors: UInt64 = 0
  /// Packets dropped for want of a buffer.
  package var withoutBuffer: UInt64 = 0

  package init(name: Text, role: Configuration.Role, device: Text, driver: Text) {
    self.name = name
    self.role = role
    self.device = device
    self.driver = driver
  }
}

package struct CoreRow: BitwiseCopyable, Sendable {
  package var core: Int
  /// Turns of the poll loop, and the cycles of those that found work and those that did not.
  package var turns: UInt64
  package var busyCycles: UInt64
  package var idleCycles: UInt64
  package var cyclesPerSecond: UInt64

  package init(
    core: Int, turns: UInt64, busyCycles: UInt64, idleCycles: UInt64, cyclesPerSecond: UInt64
  ) {
    self.core = core
    self.turns = turns
    self.busyCycles = busyCycles
    self.idleCycles = idleCycles
    self.cyclesPerSecond = cyclesPerSecond
  }
}

/// A pool of equal pieces of memory.
package struct PoolRow: BitwiseCopyable, Sendable {
  /// `payload blocks`, `packet buffers`.
  package var name: StaticString
  /// Nil for a pool that all cores share.
  package var core: Int?
  package var pieceBytes: Int
  package var capacity: Int
  package var free: Int
  /// Fewest free ever; nil when nobody keeps it.
  package var lowWater: Int?

  package init(
    name: StaticString, core: Int?, pieceBytes: Int, capacity: Int, free: Int, lowWater: Int?
  ) {
    self.name = name
    self.core = core
    self.pieceBytes = pieceBytes
    self.capacity = capacity
    self.free = free
    self.lowWater = lowWater
  }
}

// MARK: Counters

/// The counters of one module on one core, with their names.
package struct CoreCounters: Sendable {
  package var core: Int
  package var names: [StaticString]
  package var reader: CounterReader

  package init<Key: CounterKey>(core: Int, _: Key.Type, _ reader: CounterReader) {
    self.core = core
    names = Key.allCases.map { $0.name }
    self.reader = reader
  }
}

/// The counters of a port.
package struct PortCounters: Sendable {
  /// Of the poll loops.
  package var cores: [CoreCounters] = []
  /// The driver's own, as it names them: `rx_good_packets`.
  package var device: [(name: Text, value: UInt64)] = []

  package init() {}
}

// MARK: TCP and MQTT

package struct ConnectionRow: BitwiseCopyable, Sendable {
  package var core: Int
  /// The slab handle's raw value: names the connection in all listings.
  package var id: UInt64
  package var remote: Endpoint
  package var local: Endpoint
  /// As RFC 9293 writes it: `ESTABLISHED`.
  package var state: StaticString
  /// `mqtt`, `echo`.
  package var service: StaticString
  package var receivedBytes: UInt64 = 0
  package var sentBytes: UInt64 = 0
  /// Bytes in order that the service has not taken.
  package var receiveQueued = 0
  /// Bytes not acknowledged by the peer.
  package var sendQueued = 0
  package var congestionWindow = 0
  package var smoothedRTT = Interval.zero
  package var retransmissions: UInt64 = 0
  package var age = Interval.zero

  package init(
    core: Int, id: UInt64, remote: Endpoint, local: Endpoint, state: StaticString,
    service: StaticString
  ) {
    self.core = core
    self.id = id
    self.remote = remote
    self.local = local
    self.state = state
    self.service = service
  }
}

package struct MQTTClientRow: BitwiseCopyable, Sendable {
  package var core: Int
  /// That of the TCP connection.
  package var id: UInt64
  package var remote: Endpoint
  package var clientID: ShortText
  /// `3.1`, `3.1.1`, `5.0`; empty before CONNECT.
  package var version: StaticString
  /// What the offload does with the connection: `offloaded`, or why it only relays.
  package var mode: StaticString
  package var subscriptions = 0
  package var keepAliveSeconds = 0
  /// PUBLISH packets that came from the client, and those of them that bypassed the broker.
  package var publishes: UInt64 = 0
  package var consumed: UInt64 = 0
  /// PUBLISH packets distributed to the client without the broker.
  package var delivered: UInt64 = 0
  /// Those lost because the client was slow.
  package var dropped: UInt64 = 0
  package var queuedPackets = 0
  package var queuedBytes = 0

  package init(
    core: Int, id: UInt64, remote: Endpoint, clientID: ShortText, version: StaticString,
    mode: StaticString
  ) {
    self.core = core
    self.id = id
    self.remote = remote
    self.clientID = clientID
    self.version = version
    self.mode = mode
  }
}

/// A subscription that messages are delivered by.
package struct SubscriptionRow: Sendable {
  package var core: Int
  /// MQTT 5.0, section 4.7; of a shared subscription (section 4.8.2) what follows the group.
  package var filter: Text
  /// The broker chooses one of the group for each message, so what meets it is relayed. The mark
  /// stays until the session ends, as it does not tell groups apart.
  package var isShared = false
  /// Nil while the client is away and its session is kept: its name went with the connection.
  package var clientID: ShortText?
  package var grantedQoS: UInt8 = 0
  /// MQTT 5.0, section 3.8.3.1: not for the client's own messages.
  package var isNoLocal = false
  /// Of MQTT 5.0; 0 when there is none.
  package var identifier: UInt32 = 0

  package init(core: Int, filter: Text, clientID: ShortText?) {
    self.core = core
    self.filter = filter
    self.clientID = clientID
  }
}

/// What would become of a QoS 0 message now.
package struct ExplainResult: Sendable {
  /// `relay` or `consume`.
  package var decision: StaticString
  /// The first condition that decided it.
  package var reason: StaticString
  package var isCertified: Bool
  /// Of the broker's observed behaviour for the topic: `none`, `learned`, `expired`, …
  package var verdict: StaticString
  package var verdictAge: Interval?
  /// Version of the subscriptions.
  package var generation: UInt64
  /// Subscriptions that match; at most some of their owners are in `receivers`.
  package var matchingSubscriptions: Int
  package var receivers: [ExplainReceiver] = []

  package init(
    decision: StaticString, reason: StaticString, isCertified: Bool, verdict: StaticString,
    verdictAge: Interval?, generation: UInt64, matchingSubscriptions: Int
  ) {
    self.decision = decision
    self.reason = reason
    self.isCertified = isCertified
    self.verdict = verdict
    self.verdictAge = verdictAge
    self.generation = generation
    self.matchingSubscriptions = matchingSubscriptions
  }
}

package struct ExplainReceiver: BitwiseCopyable, Sendable {
  package var core: Int
  package var clientID: ShortText
  package var grantedQoS: UInt8

  package init(core: Int, clientID: ShortText, grantedQoS: UInt8) {
    self.core = core
    self.clientID = clientID
    self.grantedQoS = grantedQoS
  }
}

// MARK: Host link

/// One core's link to the broker.
package struct LinkRow: Sendable {
  package var core: Int
  package var isUp: Bool
  package var isStalled: Bool
  /// Nobody but offloaded connections can receive from the broker.
  package var isCertified: Bool
  /// What stands against the certificate, each as its flag is called.
  package var objections: [StaticString] = []
  /// Where the broker listens.
  package var listeners: [Endpoint] = []
  package var channels = 0

  package init(core: Int, isUp: Bool, isStalled: Bool, isCertified: Bool) {
    self.core = core
    self.isUp = isUp
    self.isStalled = isStalled
    self.isCertified = isCertified
  }
}
