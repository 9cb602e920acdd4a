/// What can be called over the control socket, but for the methods of the parts.
package enum Method: PartMethod {
  case rpcList, rpcSchema, versionGet
  case systemHealth, systemUptime, systemRights, systemShutdown
  case portList, portGet, portStats, portSet, coreStats, memoryStats, controlStats
  case tcpStats, tcpList, tcpDrop
  case mqttStats, mqttClients, mqttTopics, mqttExplain, mqttDisconnect
  case linkStats
  case logTail, logLevel
  case eventSubscribe, statsOpen
  case captureStart, captureStop

  package var name: StaticString {
    switch self {
    case .rpcList: "rpc.list"
    case .rpcSchema: "rpc.schema"
    case .versionGet: "version.get"
    case .systemHealth: "system.health"
    case .systemUptime: "system.uptime"
    case .systemRights: "system.rights"
    case .systemShutdown: "system.shutdown"
    case .portList: "port.list"
    case .portGet: "port.get"
    case .portStats: "port.stats"
    case .portSet: "port.set"
    case .coreStats: "core.stats"
    case .memoryStats: "mem.stats"
    case .controlStats: "control.stats"
    case .tcpStats: "tcp.stats"
    case .tcpList: "tcp.list"
    case .tcpDrop: "tcp.drop"
    case .mqttStats: "mqtt.stats"
    case .mqttClients: "mqtt.clients"
    case .mqttTopics: "mqtt.topics"
    case .mqttExplain: "mqtt.explain"
    case .mqttDisconnect: "mqtt.disconnect"
    case .linkStats: "link.stats"
    case .logTail: "log.tail"
    case .logLevel: "log.level"
    case .eventSubscribe: "event.subscribe"
    case .statsOpen: "stats.open"
    case .captureStart: "capture.start"
    case .captureStop: "capture.stop"
    }
  }

  package var summary: StaticString {
    switch self {
    case .rpcList: "The methods, their parameters and who may call them."
    case .rpcSchema: "JSON Schema of each method's parameters, or of one method's."
    case .versionGet: "Versions of the firmware, of this interface and of DPDK."
    case .systemHealth: "What must hold for the firmware to do its work, and whether it does."
    case .systemUptime: "Time since the start."
    case .systemRights: "Capabilities and system calls that the process still has."
    case .systemShutdown: "Stops the firmware."
    case .portList: "The ports with their links and packet counts."
    case .portGet: "One port with its link and packet counts."
    case .portStats: "What the poll loops and the driver have counted of a port."
    case .portSet: "Takes the link of a port up or down."
    case .coreStats: "Busy and idle cycles and counters of each poll loop."
    case .memoryStats: "Pools of payload blocks and packet buffers."
    case .controlStats: "Requests to this socket and refusals by reason."
    case .tcpStats: "Counters of the TCP stacks."
    case .tcpList: "TCP connections."
    case .tcpDrop: "Ends a TCP connection with a reset."
    case .mqttStats: "Counters of the MQTT offload."
    case .mqttClients: "MQTT clients."
    case .mqttTopics: "The subscriptions by which messages are delivered without the broker."
    case .mqttExplain: "What would become of a QoS 0 message to a topic now, and why."
    case .mqttDisconnect: "Ends the connection of an MQTT client; the broker publishes its will."
    case .linkStats: "Links to the broker, the certificate, counters."
    case .logTail: "The latest lines of the log."
    case .logLevel: "What goes to standard error, and can be changed."
    case .eventSubscribe: "Sends an event as a notification on this connection when it happens."
    case .statsOpen: "Hands out the shared memory that all counters stand in."
    case .captureStart: "Copies frames, as events of kind capture, until nobody subscribes to them."
    case .captureStop: "Ends the copying of frames."
    }
  }

  /// A question and not a list: of two constant arrays in one function Embedded Swift 6.3.1 may
  /// link the wrong one, because each module that inlines the function numbers them anew.
  package func takes(_ parameter: Parameter) -> Bool {
    switch self {
    case .rpcSchema: parameter == .method
    case .tcpList, .mqttClients, .mqttTopics: parameter == .offset || parameter == .limit
    case .tcpDrop: parameter == .core || parameter == .id
    case .mqttExplain: parameter == .topic || parameter == .client
    case .mqttDisconnect: parameter == .client
    case .portGet, .portStats: parameter == .port
    case .portSet: parameter == .port || parameter == .up
    case .logTail: parameter == .limit
    case .logLevel: parameter == .level
    case .eventSubscribe: parameter == .kinds
    case .captureStart: parameter == .port || parameter == .copyBytes
    default: false
    }
  }

  package func requires(_ parameter: Parameter) -> Bool {
    switch self {
    case .tcpDrop, .mqttDisconnect, .portGet, .portStats, .portSet, .eventSubscribe:
      takes(parameter)
    case .mqttExplain: parameter == .topic
    default: false
    }
  }

  /// Streams of a pipeline are taken by who gets them, so subscribing is among them.
  package var isWrite: Bool {
    switch self {
    case .systemShutdown, .portSet, .tcpDrop, .mqttDisconnect, .logLevel, .eventSubscribe,
      .captureStart, .captureStop:
      true
    default: false
    }
  }

  package var isForAdministrators: Bool { self == .systemShutdown }
  package var isLogged: Bool { isWrite && self != .eventSubscribe }
}

/// A call of one of these.
package typealias GeneralCall = MethodCall<Method>
