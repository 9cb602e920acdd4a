/// The properties of MQTT 5.0 (table 2-4).
package enum PropertyIdentifier: UInt8, CaseIterable, BitwiseCopyable, Sendable {
  case payloadFormatIndicator = 0x01
  case messageExpiryInterval = 0x02
  case contentType = 0x03
  case responseTopic = 0x08
  case correlationData = 0x09
  case subscriptionIdentifier = 0x0b
  case sessionExpiryInterval = 0x11
  case assignedClientIdentifier = 0x12
  case serverKeepAlive = 0x13
  case authenticationMethod = 0x15
  case authenticationData = 0x16
  case requestProblemInformation = 0x17
  case willDelayInterval = 0x18
  case requestResponseInformation = 0x19
  case responseInformation = 0x1a
  case serverReference = 0x1c
  case reasonString = 0x1f
  case receiveMaximum = 0x21
  case topicAliasMaximum = 0x22
  case topicAlias = 0x23
  case maximumQoS = 0x24
  case retainAvailable = 0x25
  case userProperty = 0x26
  case maximumPacketSize = 0x27
  case wildcardSubscriptionAvailable = 0x28
  case subscriptionIdentifierAvailable = 0x29
  case sharedSubscriptionAvailable = 0x2a

  /// How the value stands on the wire.
  package enum Kind: BitwiseCopyable, Sendable {
    /// One byte, 0 or 1. No property has a byte with other values.
    case flag
    case twoBytes
    case fourBytes
    case variable
    case string
    case binary
    case stringPair
  }

  package var kind: Kind {
    switch self {
    case .payloadFormatIndicator, .requestProblemInformation, .requestResponseInformation,
      .maximumQoS, .retainAvailable, .wildcardSubscriptionAvailable,
      .subscriptionIdentifierAvailable, .sharedSubscriptionAvailable:
      .flag
    case .serverKeepAlive, .receiveMaximum, .topicAliasMaximum, .topicAlias: .twoBytes
    case .messageExpiryInterval, .sessionExpiryInterval, .willDelayInterval, .maximumPacketSize:
      .fourBytes
    case .subscriptionIdentifier: .variable
    case .contentType, .responseTopic, .assignedClientIdentifier, .authenticationMethod,
      .responseInformation, .serverReference, .reasonString:
      .string
    case .correlationData, .authenticationData: .binary
    case .userProperty: .stringPair
    }
  }

  /// Whether it may stand in `section` of a packet from `sender`.
  package func isAllowed(in section: PropertySection, from sender: Sender) -> Bool {
    switch self {
    case .payloadFormatIndicator, .messageExpiryInterval, .contentType, .responseTopic,
      .correlationData:
      section == .publish || section == .will
    case .subscriptionIdentifier: section == .publish || section == .subscribe
    case .sessionExpiryInterval:
      // MQTT-3.14.2-2: in DISCONNECT from the client only.
      section == .connect || section == .connack || (section == .disconnect && sender == .client)
    case .authenticationMethod, .authenticationData:
      section == .connect || section == .connack || section == .auth
    case .requestProblemInformation, .requestResponseInformation: section == .connect
    case .willDelayInterval: section == .will
    case .serverReference: section == .connack || (section == .disconnect && sender == .server)
    case .reasonString:
      switch section {
      case .connack, .acknowledgement, .disconnect, .auth: true
      case .connect, .will, .publish, .subscribe, .unsubscribe: false
      }
    case .receiveMaximum, .topicAliasMaximum, .maximumPacketSize:
      section == .connect || section == .connack
    case .topicAlias: section == .publish
    case .userProperty: true
    case .assignedClientIdentifier, .serverKeepAlive, .responseInformation, .maximumQoS,
      .retainAvailable, .wildcardSubscriptionAvailable, .subscriptionIdentifierAvailable,
      .sharedSubscriptionAvailable:
      section == .connack
    }
  }

  /// Whether it may stand there more than once.
  package func mayRepeat(in section: PropertySection) -> Bool {
    self == .userProperty || (self == .subscriptionIdentifier && section == .publish)
  }
}

/// The places that hold properties.
package enum PropertySection: CaseIterable, BitwiseCopyable, Sendable {
  case connect
  case will
  case connack
  case publish
  /// PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK: all allow the same.
  case acknowledgement
  case subscribe
  case unsubscribe
  case disconnect
  case auth
}
