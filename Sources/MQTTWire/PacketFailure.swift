import DPUCore

/// Why bytes are not a valid packet: one case per rule of the specification.
package enum PacketFailure: Int, Error, CounterKey, CaseIterable {
  // Framing
  case reservedPacketType
  case remainingLengthTooLong
  case lengthNotMinimal
  case packetIncomplete
  case unexpectedPacketType
  case packetNotAllowed
  case reservedFlags
  case fieldTruncated
  case trailingBytes
  // Strings and topics
  case illFormedUTF8
  case nullCharacter
  case topicEmpty
  case topicWildcard
  case filterEmpty
  case filterMultiLevelWildcard
  case filterSingleLevelWildcard
  case sharedFilterMalformed
  case sharedFilterNoLocal
  // Identifiers, QoS, codes
  case packetIdentifierZero
  case qosReserved
  case duplicateAtMostOnce
  case reasonCodeNotAllowed
  // Properties
  case propertyLength
  case propertyUnknown
  case propertyNotAllowed
  case propertyDuplicate
  case propertyValue
  case topicAliasZero
  case responseTopicWildcard
  case subscriptionIdentifierZero
  case subscriptionIdentifierFromClient
  case authenticationMethodMissing
  // CONNECT and CONNACK
  case protocolName
  case protocolLevel
  case connectReservedFlag
  case willFlags
  case passwordWithoutUserName
  case clientIdentifierRejected
  case connackReservedFlags
  case sessionPresentOnRefusal
  // SUBSCRIBE, UNSUBSCRIBE and their answers
  case nothingSubscribed
  case subscriptionOptions
  case reasonCodesMissing

  package var name: StaticString {
    switch self {
    case .reservedPacketType: "reservedPacketType"
    case .remainingLengthTooLong: "remainingLengthTooLong"
    case .lengthNotMinimal: "lengthNotMinimal"
    case .packetIncomplete: "packetIncomplete"
    case .unexpectedPacketType: "unexpectedPacketType"
    case .packetNotAllowed: "packetNotAllowed"
    case .reservedFlags: "reservedFlags"
    case .fieldTruncated: "fieldTruncated"
    case .trailingBytes: "trailingBytes"
    case .illFormedUTF8: "illFormedUTF8"
    case .nullCharacter: "nullCharacter"
    case .topicEmpty: "topicEmpty"
    case .topicWildcard: "topicWildcard"
    case .filterEmpty: "filterEmpty"
    case .filterMultiLevelWildcard: "filterMultiLevelWildcard"
    case .filterSingleLevelWildcard: "filterSingleLevelWildcard"
    case .sharedFilterMalformed: "sharedFilterMalformed"
    case .sharedFilterNoLocal: "sharedFilterNoLocal"
    case .packetIdentifierZero: "packetIdentifierZero"
    case .qosReserved: "qosReserved"
    case .duplicateAtMostOnce: "duplicateAtMostOnce"
    case .reasonCodeNotAllowed: "reasonCodeNotAllowed"
    case .propertyLength: "propertyLength"
    case .propertyUnknown: "propertyUnknown"
    case .propertyNotAllowed: "propertyNotAllowed"
    case .propertyDuplicate: "propertyDuplicate"
    case .propertyValue: "propertyValue"
    case .topicAliasZero: "topicAliasZero"
    case .responseTopicWildcard: "responseTopicWildcard"
    case .subscriptionIdentifierZero: "subscriptionIdentifierZero"
    case .subscriptionIdentifierFromClient: "subscriptionIdentifierFromClient"
    case .authenticationMethodMissing: "authenticationMethodMissing"
    case .protocolName: "protocolName"
    case .protocolLevel: "protocolLevel"
    case .connectReservedFlag: "connectReservedFlag"
    case .willFlags: "willFlags"
    case .passwordWithoutUserName: "passwordWithoutUserName"
    case .clientIdentifierRejected: "clientIdentifierRejected"
    case .connackReservedFlags: "connackReservedFlags"
    case .sessionPresentOnRefusal: "sessionPresentOnRefusal"
    case .nothingSubscribed: "nothingSubscribed"
    case .subscriptionOptions: "subscriptionOptions"
    case .reasonCodesMissing: "reasonCodesMissing"
    }
  }

  /// The sentence that was broken: the normative statement, or the section where there is none.
  /// Numbers are those of MQTT 5.0; where 3.1.1 numbers it otherwise, its number follows.
  package var rule: StaticString {
    switch self {
    case .reservedPacketType: "2.1.2"
    case .remainingLengthTooLong: "1.5.5; 3.1.1: 2.2.3"
    case .lengthNotMinimal: "MQTT-1.5.5-1"
    case .packetIncomplete: "2.1.4"
    case .unexpectedPacketType: "2.1.2"
    case .packetNotAllowed: "2.1.2"
    case .reservedFlags: "MQTT-2.1.3-1; 3.1.1: MQTT-2.2.2-2"
    case .fieldTruncated: "2.1.4"
    case .trailingBytes: "2.1.4"
    case .illFormedUTF8: "MQTT-1.5.4-1; 3.1.1: MQTT-1.5.3-1"
    case .nullCharacter: "MQTT-1.5.4-2; 3.1.1: MQTT-1.5.3-2"
    case .topicEmpty: "MQTT-4.7.3-1"
    case .topicWildcard: "MQTT-3.3.2-2"
    case .filterEmpty: "MQTT-4.7.3-1"
    case .filterMultiLevelWildcard: "MQTT-4.7.1-1; 3.1.1: MQTT-4.7.1-2"
    case .filterSingleLevelWildcard: "MQTT-4.7.1-2; 3.1.1: MQTT-4.7.1-3"
    case .sharedFilterMalformed: "MQTT-4.8.2-1, MQTT-4.8.2-2"
    case .sharedFilterNoLocal: "MQTT-3.8.3-4"
    case .packetIdentifierZero: "MQTT-2.2.1-3; 3.1.1: MQTT-2.3.1-1"
    case .qosReserved: "MQTT-3.3.1-4"
    case .duplicateAtMostOnce: "MQTT-3.3.1-2"
    case .reasonCodeNotAllowed: "2.4"
    case .propertyLength: "2.2.2.1"
    case .propertyUnknown: "2.2.2.2"
    case .propertyNotAllowed: "2.2.2.2"
    case .propertyDuplicate: "2.2.2.2"
    case .propertyValue: "2.2.2.2"
    case .topicAliasZero: "MQTT-3.3.2-8"
    case .responseTopicWildcard: "MQTT-3.3.2-14"
    case .subscriptionIdentifierZero: "3.8.2.1.2"
    case .subscriptionIdentifierFromClient: "MQTT-3.3.4-6"
    case .authenticationMethodMissing: "3.1.2.11.10, 3.15.2.2.2"
    case .protocolName: "MQTT-3.1.2-1"
    case .protocolLevel: "MQTT-3.1.2-2"
    case .connectReservedFlag: "MQTT-3.1.2-3"
    case .willFlags: "MQTT-3.1.2-11..13; 3.1.1: MQTT-3.1.2-13..15"
    case .passwordWithoutUserName: "3.1.1: MQTT-3.1.2-22"
    case .clientIdentifierRejected: "3.1.1: MQTT-3.1.3-8"
    case .connackReservedFlags: "MQTT-3.2.2-1"
    case .sessionPresentOnRefusal: "MQTT-3.2.2-6; 3.1.1: MQTT-3.2.2-4"
    case .nothingSubscribed: "MQTT-3.8.3-2, MQTT-3.10.3-2"
    case .subscriptionOptions: "MQTT-3.8.3-5; 3.1.1: MQTT-3-8.3-4"
    case .reasonCodesMissing: "3.9.3, 3.11.3"
    }
  }

  /// What a 5.0 receiver answers in DISCONNECT or CONNACK (section 4.13).
  package var reasonCode: ReasonCode {
    switch self {
    case .packetNotAllowed, .unexpectedPacketType, .topicEmpty, .propertyNotAllowed,
      .propertyDuplicate, .propertyValue, .responseTopicWildcard, .subscriptionIdentifierZero,
      .subscriptionIdentifierFromClient, .authenticationMethodMissing, .sharedFilterNoLocal,
      .nothingSubscribed, .reasonCodesMissing, .sessionPresentOnRefusal:
      .protocolError
    case .topicWildcard: .topicNameInvalid
    case .filterEmpty, .filterMultiLevelWildcard, .filterSingleLevelWildcard,
      .sharedFilterMalformed:
      .topicFilterInvalid
    case .topicAliasZero: .topicAliasInvalid
    case .protocolName, .protocolLevel: .unsupportedProtocolVersion
    case .clientIdentifierRejected: .clientIdentifierNotValid
    default: .malformedPacket
    }
  }
}
