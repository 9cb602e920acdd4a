import DPUCore

/// What can be called over the control socket.
package enum Method: CaseIterable, Sendable {
  case rpcList, versionGet
  case systemHealth, systemUptime, systemShutdown
  case portList, coreStats, memoryStats, controlStats
  case tcpStats, tcpList
  case mqttStats, mqttClients, mqttExplain
  case linkStats

  package var name: StaticString {
    switch self {
    case .rpcList: "rpc.list"
    case .versionGet: "version.get"
    case .systemHealth: "system.health"
    case .systemUptime: "system.uptime"
    case .systemShutdown: "system.shutdown"
    case .portList: "port.list"
    case .coreStats: "core.stats"
    case .memoryStats: "mem.stats"
    case .controlStats: "control.stats"
    case .tcpStats: "tcp.stats"
    case .tcpList: "tcp.list"
    case .mqttStats: "mqtt.stats"
    case .mqttClients: "mqtt.clients"
    case .mqttExplain: "mqtt.explain"
    case .linkStats: "link.stats"
    }
  }

  package var summary: StaticString {
    switch self {
    case .rpcList: "The methods, their parameters and who may call them."
    case .versionGet: "Versions of the firmware and of DPDK."
    case .systemHealth: "What must hold for the firmware to do its work, and whether it does."
    case .systemUptime: "Time since the start."
    case .systemShutdown: "Stops the firmware."
    case .portList: "The ports with their links and packet counts."
    case .coreStats: "Busy and idle cycles and counters of each poll loop."
    case .memoryStats: "Pools of payload blocks and packet buffers."
    case .controlStats: "Requests to this socket and refusals by reason."
    case .tcpStats: "Counters of the TCP stacks."
    case .tcpList: "TCP connections."
    case .mqttStats: "Counters of the MQTT offload."
    case .mqttClients: "MQTT clients."
    case .mqttExplain: "What would become of a QoS 0 message to a topic now, and why."
    case .linkStats: "Links to the broker, the certificate, counters."
    }
  }

  /// A question and not a list: of two constant arrays in one function Embedded Swift 6.3.1 may
  /// link the wrong one, because each module that inlines the function numbers them anew.
  func takes(_ parameter: Parameter) -> Bool {
    switch self {
    case .tcpList, .mqttClients: parameter == .offset || parameter == .limit
    case .mqttExplain: parameter == .topic || parameter == .client
    default: false
    }
  }

  /// Only root and the firmware's own user may call these.
  package var isWrite: Bool {
    switch self {
    case .systemShutdown: true
    default: false
    }
  }

  init?(named name: Text) {
    for method in Self.allCases where Text(stringLiteral: method.name) == name {
      self = method
      return
    }
    return nil
  }
}
