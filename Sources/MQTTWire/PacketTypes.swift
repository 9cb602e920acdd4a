/// The control packets, by the number in the upper half of the first byte (section 2.1.2).
package enum PacketType: UInt8, CaseIterable, BitwiseCopyable, Sendable {
  case connect = 1
  case connack = 2
  case publish = 3
  case puback = 4
  case pubrec = 5
  case pubrel = 6
  case pubcomp = 7
  case subscribe = 8
  case suback = 9
  case unsubscribe = 10
  case unsuback = 11
  case pingreq = 12
  case pingresp = 13
  case disconnect = 14
  case auth = 15

  /// Whether `sender` may send this packet at all (tables 2-1).
  package func maySend(_ sender: Sender, _ version: ProtocolVersion) -> Bool {
    switch self {
    case .connect, .subscribe, .unsubscribe, .pingreq: sender == .client
    case .connack, .suback, .unsuback, .pingresp: sender == .server
    case .publish, .puback, .pubrec, .pubrel, .pubcomp: true
    case .disconnect: sender == .client || version == .v5
    case .auth: version == .v5
    }
  }
}

/// The protocol level of CONNECT.
package enum ProtocolVersion: UInt8, CaseIterable, BitwiseCopyable, Sendable {
  /// MQTT 3.1, protocol name `MQIsdp`.
  case v31 = 3
  /// MQTT 3.1.1.
  case v311 = 4
  /// MQTT 5.0: properties and reason codes.
  case v5 = 5
}

/// Which end of the connection sent a packet; several rules differ by direction.
package enum Sender: BitwiseCopyable, Sendable, CaseIterable {
  case client
  case server
}

/// Delivery guarantee (section 4.3).
package enum QoS: UInt8, CaseIterable, BitwiseCopyable, Sendable {
  case atMostOnce = 0
  case atLeastOnce = 1
  case exactlyOnce = 2
}
