package import DPUCore
import JSONText

/// What the firmware is told at start: the contents of the configuration file, checked. Every
/// member has the default that holds when the file leaves it out.
///
/// docs/configuration.md describes the file member by member.
package struct Configuration: Equatable, Sendable {
  /// Arguments for DPDK's environment layer, as they stand on a DPDK command line. Cores and
  /// devices are not among them: they follow from `cores` and `ports`.
  package var ealArguments: [Text] = []
  /// One uplink, and perhaps one host port.
  package var ports: [Port] = []
  /// Logical cores that run a poll loop each.
  package var cores: [Int] = [0]
  package var idlePolicy = IdlePolicy.pause
  /// The DPU's own addresses on the uplink, one IPv4 and one IPv6 at most, each with the prefix
  /// of its network.
  package var addresses: [Network] = []
  /// Next hop for IPv4 beyond the networks of `addresses`.
  package var gateway: Address?
  /// The same for IPv6.
  package var gateway6: Address?
  /// Nil: the hardware address of the uplink.
  package var mac: HardwareAddress?
  /// Largest IP packet in bytes.
  package var mtu = 1500
  package var tcp = TCP()
  /// The port of the echo service (RFC 862); nil: not offered.
  package var echoPort: UInt16?
  package var mqtt = MQTT()
  /// P4 pipelines between the ports. What belongs to none passes as through a wire.
  package var pipelines: [Pipeline] = []
  /// eBPF filters in front of them, one for a port at most.
  package var filters: [Filter] = []
  /// The FPGA that filters may run in; nil: there is none.
  package var fpga: FPGA?
  package var hostLink = HostLink()
  package var control = Control()
  package var security = Security()
  package var logLevel = LogLevel.info

  package init() {}

  package struct Port: Equatable, Sendable {
    package var role: Role
    /// Name in statistics; that of the role when the file gives none.
    package var name: Text
    /// A DPDK device: a virtual one (`net_tap0,iface=dpu0`) or one on a bus (`0000:03:00.0`).
    package var device: Text
    /// Receive and transmit queues; nil: one for each core.
    package var queues: Int?
    /// Nil: that of the configuration.
    package var mtu: Int?

    /// Whether DPDK makes the device (`--vdev`) instead of finding it on a bus (`--allow`).
    package var isVirtual: Bool {
      device.bytes.starts(with: ("net_" as Text).bytes)
    }
  }

  package enum Role: CaseIterable, Sendable { case uplink, host }

  /// What a poll loop does when a turn brought nothing.
  package enum IdlePolicy: CaseIterable, Sendable { case spin, pause, yield, sleep }

  package enum LogLevel: CaseIterable, Sendable { case error, warning, info, debug }

  /// An own address and the length of its network's prefix.
  package struct Network: Equatable, Sendable {
    package var address: Address
    package var prefix: Int
  }

  /// Where connections end.
  package enum StackCores: CaseIterable, Sendable {
    /// On the first core: it sees all of them, and messages can be consumed.
    case first
    /// On each core those that the device's hash brings there; messages are all relayed.
    case all
  }

  /// How many workers have a TCP stack: always the first ones.
  package var stackWorkers: Int { tcp.cores == .first ? 1 : cores.count }

  /// The TCP stack, with the capacities on each core that has one.
  package struct TCP: Equatable, Sendable {
    package var cores = StackCores.first
    package var connections = 16_384
    /// Bytes one connection may hold that its reader has not taken.
    package var receiveBuffer = 262_144
    /// Bytes one connection may hold that its peer has not acknowledged.
    package var sendBuffer = 262_144
    /// Blocks of payload shared by all connections of the core.
    package var blocks = 32_768
    package var blockSize = 2_048
  }

  package struct MQTT: Equatable, Sendable {
    package var consume = Consume.certified
    package var verify = Verify.learned
    /// Age at which a verdict about a topic must be confirmed by the broker again.
    package var verdictTTLMilliseconds = 5_000
    /// Largest packet that is distributed without the broker.
    package var maximumPacket = 65_536
    /// A subscriber with this many packets queued loses further QoS 0 messages.
    package var slowPackets = 1_000
    /// The same in bytes.
    package var slowBytes = 1_048_576
  }

  /// Whether messages may bypass the broker: never, or while nobody but offloaded connections
  /// listens at it.
  package enum Consume: CaseIterable, Sendable { case off, certified }

  /// Where the list of receivers comes from: the broker's own behaviour, or the subscriptions seen.
  package enum Verify: CaseIterable, Sendable { case learned, trust }

  /// What the firmware gives up when it has started.
  package struct Security: Equatable, Sendable {
    package var capabilities = Capabilities.drop
    package var calls = Calls.confine
  }

  /// Whether the process keeps its capabilities, or only those that a driver goes on to need.
  package enum Capabilities: CaseIterable, Sendable { case drop, keep }

  /// Whether the kernel refuses what a running firmware never calls.
  package enum Calls: CaseIterable, Sendable { case confine, any }

  package struct Control: Equatable, Sendable {
    package var socket: Text = "/run/dpu/control.sock"
    package var mode: UInt32 = 0o660
    /// Group that may connect, a name or a number; nil: that of the process.
    package var group: Text?
    /// Members of this group may change things; nil: only root and the firmware's own user.
    package var operators: Text?
  }
}

extension Configuration.Role: ClosedWord {
  package var word: StaticString {
    switch self {
    case .uplink: "uplink"
    case .host: "host"
    }
  }
}

extension Configuration.StackCores: ClosedWord {
  package var word: StaticString {
    switch self {
    case .first: "first"
    case .all: "all"
    }
  }
}

extension Configuration.IdlePolicy: ClosedWord {
  package var word: StaticString {
    switch self {
    case .spin: "spin"
    case .pause: "pause"
    case .yield: "yield"
    case .sleep: "sleep"
    }
  }
}

extension Configuration.LogLevel: ClosedWord {
  package var word: StaticString {
    switch self {
    case .error: "error"
    case .warning: "warning"
    case .info: "info"
    case .debug: "debug"
    }
  }
}

extension Configuration.Consume: ClosedWord {
  package var word: StaticString {
    switch self {
    case .off: "off"
    case .certified: "certified"
    }
  }
}

extension Configuration.Verify: ClosedWord {
  package var word: StaticString {
    switch self {
    case .learned: "learned"
    case .trust: "trust"
    }
  }
}

extension Configuration.Capabilities: ClosedWord {
  package var word: StaticString {
    switch self {
    case .drop: "drop"
    case .keep: "keep"
    }
  }
}

extension Configuration.Calls: ClosedWord {
  package var word: StaticString {
    switch self {
    case .confine: "confine"
    case .any: "any"
    }
  }
}
