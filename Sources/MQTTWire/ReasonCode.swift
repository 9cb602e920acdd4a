/// The reason codes of MQTT 5.0 (section 2.4). 0 to 2 have several names there, one here.
package enum ReasonCode: UInt8, CaseIterable, BitwiseCopyable, Sendable {
  /// Also normal disconnection, and granted QoS 0.
  case success = 0x00
  case grantedQoS1 = 0x01
  case grantedQoS2 = 0x02
  case disconnectWithWill = 0x04
  case noMatchingSubscribers = 0x10
  case noSubscriptionExisted = 0x11
  case continueAuthentication = 0x18
  case reauthenticate = 0x19
  case unspecifiedError = 0x80
  case malformedPacket = 0x81
  case protocolError = 0x82
  case implementationSpecificError = 0x83
  case unsupportedProtocolVersion = 0x84
  case clientIdentifierNotValid = 0x85
  case badUserNameOrPassword = 0x86
  case notAuthorized = 0x87
  case serverUnavailable = 0x88
  case serverBusy = 0x89
  case banned = 0x8a
  case serverShuttingDown = 0x8b
  case badAuthenticationMethod = 0x8c
  case keepAliveTimeout = 0x8d
  case sessionTakenOver = 0x8e
  case topicFilterInvalid = 0x8f
  case topicNameInvalid = 0x90
  case packetIdentifierInUse = 0x91
  case packetIdentifierNotFound = 0x92
  case receiveMaximumExceeded = 0x93
  case topicAliasInvalid = 0x94
  case packetTooLarge = 0x95
  case messageRateTooHigh = 0x96
  case quotaExceeded = 0x97
  case administrativeAction = 0x98
  case payloadFormatInvalid = 0x99
  case retainNotSupported = 0x9a
  case qosNotSupported = 0x9b
  case useAnotherServer = 0x9c
  case serverMoved = 0x9d
  case sharedSubscriptionsNotSupported = 0x9e
  case connectionRateExceeded = 0x9f
  case maximumConnectTime = 0xa0
  case subscriptionIdentifiersNotSupported = 0xa1
  case wildcardSubscriptionsNotSupported = 0xa2

  /// Whether `sender` may put this code into a packet of `type` (the tables of chapter 3).
  package func isAllowed(in type: PacketType, from sender: Sender) -> Bool {
    switch type {
    case .connack:
      switch self {
      case .success, .unspecifiedError, .malformedPacket, .protocolError,
        .implementationSpecificError, .unsupportedProtocolVersion, .clientIdentifierNotValid,
        .badUserNameOrPassword, .notAuthorized, .serverUnavailable, .serverBusy, .banned,
        .badAuthenticationMethod, .topicNameInvalid, .packetTooLarge, .quotaExceeded,
        .payloadFormatInvalid, .retainNotSupported, .qosNotSupported, .useAnotherServer,
        .serverMoved, .connectionRateExceeded:
        true
      default: false
      }
    case .puback, .pubrec:
      switch self {
      case .success, .noMatchingSubscribers, .unspecifiedError, .implementationSpecificError,
        .notAuthorized, .topicNameInvalid, .packetIdentifierInUse, .quotaExceeded,
        .payloadFormatInvalid:
        true
      default: false
      }
    case .pubrel, .pubcomp: self == .success || self == .packetIdentifierNotFound
    case .suback:
      switch self {
      case .success, .grantedQoS1, .grantedQoS2, .unspecifiedError, .implementationSpecificError,
        .notAuthorized, .topicFilterInvalid, .packetIdentifierInUse, .quotaExceeded,
        .sharedSubscriptionsNotSupported, .subscriptionIdentifiersNotSupported,
        .wildcardSubscriptionsNotSupported:
        true
      default: false
      }
    case .unsuback:
      switch self {
      case .success, .noSubscriptionExisted, .unspecifiedError, .implementationSpecificError,
        .notAuthorized, .topicFilterInvalid, .packetIdentifierInUse:
        true
      default: false
      }
    case .disconnect: isAllowedInDisconnect(from: sender)
    case .auth:
      switch self {
      case .success: sender == .server
      case .continueAuthentication: true
      case .reauthenticate: sender == .client
      default: false
      }
    case .connect, .publish, .subscribe, .unsubscribe, .pingreq, .pingresp: false
    }
  }

  /// Section 3.14.2.1.
  private func isAllowedInDisconnect(from sender: Sender) -> Bool {
    switch self {
    case .success, .unspecifiedError, .malformedPacket, .protocolError,
      .implementationSpecificError, .topicNameInvalid, .receiveMaximumExceeded,
      .topicAliasInvalid, .packetTooLarge, .messageRateTooHigh, .quotaExceeded,
      .administrativeAction, .payloadFormatInvalid:
      true
    case .disconnectWithWill: sender == .client
    case .notAuthorized, .serverBusy, .serverShuttingDown, .keepAliveTimeout, .sessionTakenOver,
      .topicFilterInvalid, .retainNotSupported, .qosNotSupported, .useAnotherServer, .serverMoved,
      .sharedSubscriptionsNotSupported, .connectionRateExceeded, .maximumConnectTime,
      .subscriptionIdentifiersNotSupported, .wildcardSubscriptionsNotSupported:
      sender == .server
    default: false
    }
  }
}
