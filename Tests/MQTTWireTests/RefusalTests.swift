import DPUCore
import Testing

@testable import MQTTWire

/// Packets that break a rule, each with the reason it must be refused for.
@Suite struct RefusalTests {
  struct Row: CustomTestStringConvertible, Sendable {
    var text: String
    var version: ProtocolVersion
    var sender: Sender
    var reason: PacketFailure?
    var testDescription: String { "\(text) \(version)" }
    init(_ text: String, _ version: ProtocolVersion, _ sender: Sender, _ reason: PacketFailure?) {
      (self.text, self.version, self.sender, self.reason) = (text, version, sender, reason)
    }
  }

  static let framing: [Row] = [
    Row("", .v311, .client, .packetIncomplete),
    Row("c0", .v311, .client, .packetIncomplete),
    Row("3004 'a'", .v311, .client, .packetIncomplete),
    Row("0000", .v311, .client, .reservedPacketType),
    Row("30 ffffffff 7f", .v311, .client, .remainingLengthTooLong),
    Row("c0 80808080 00", .v5, .client, .remainingLengthTooLong),
    Row("c0 8000", .v5, .client, .lengthNotMinimal),
    Row("c0 8000", .v311, .client, nil),
    Row("c001 00", .v311, .client, .trailingBytes),
    Row("c200", .v311, .client, .reservedFlags),
    Row("c200", .v31, .client, nil),
    Row("d000", .v5, .client, .packetNotAllowed),
    Row("c000", .v5, .server, .packetNotAllowed),
    Row("e000", .v311, .server, .packetNotAllowed),
    Row("f000", .v311, .client, .packetNotAllowed),
  ]

  static let connect: [Row] = [
    Row("100d 'MQTT' 04 02 003c 'c'", .v311, .client, nil),
    Row("100f 'MQIsdp' 03 02 003c 'c'", .v31, .client, nil),
    Row("100e 'MQTT' 05 02 003c 00 'c'", .v5, .client, nil),
    Row("110d 'MQTT' 04 02 003c 'c'", .v311, .client, .reservedFlags),
    Row("100d 'MQTX' 04 02 003c 'c'", .v311, .client, .protocolName),
    Row("100d 'MQTT' 06 02 003c 'c'", .v311, .client, .protocolLevel),
    // A bridge of mosquitto announces itself like this.
    Row("100d 'MQTT' 84 02 003c 'c'", .v311, .client, .protocolLevel),
    Row("100d 'MQTT' 03 02 003c 'c'", .v31, .client, .protocolLevel),
    Row("100f 'MQIsdp' 04 02 003c 'c'", .v31, .client, .protocolLevel),
    Row("100d 'MQTT' 04 03 003c 'c'", .v311, .client, .connectReservedFlag),
    Row("100f 'MQIsdp' 03 03 003c 'c'", .v31, .client, nil),
    Row("100d 'MQTT' 04 0a 003c 'c'", .v311, .client, .willFlags),
    Row("100d 'MQTT' 04 22 003c 'c'", .v311, .client, .willFlags),
    Row("1013 'MQTT' 04 1e 003c 'c' 'w' 'x'", .v311, .client, .willFlags),
    Row("1013 'MQTT' 04 06 003c 'c' '+' 'x'", .v311, .client, .topicWildcard),
    Row("1012 'MQTT' 04 06 003c 'c' '' 'x'", .v311, .client, .topicEmpty),
    Row("1010 'MQTT' 04 42 003c 'c' 'p'", .v311, .client, .passwordWithoutUserName),
    Row("1011 'MQTT' 05 42 003c 00 'c' 'p'", .v5, .client, nil),
    Row("100c 'MQTT' 04 00 003c ''", .v311, .client, .clientIdentifierRejected),
    Row("100c 'MQTT' 04 02 003c ''", .v311, .client, nil),
    Row("100d 'MQTT' 05 00 003c 00 ''", .v5, .client, nil),
    Row("100e 'MQIsdp' 03 02 003c ''", .v31, .client, .clientIdentifierRejected),
    // MQTT 3.1: flags for a user name and password that do not come.
    Row("100f 'MQIsdp' 03 c2 003c 'c'", .v31, .client, nil),
    Row("1012 'MQIsdp' 03 c2 003c 'c' 'u'", .v31, .client, nil),
    Row("100d 'MQTT' 04 c2 003c 'c'", .v311, .client, .fieldTruncated),
    Row("1010 'MQTT' 04 02 003c 'c' 'u'", .v311, .client, .trailingBytes),
    Row("1011 'MQTT' 05 02 003c 03 210000 'c'", .v5, .client, .propertyValue),
    Row("1013 'MQTT' 05 02 003c 05 2700000000 'c'", .v5, .client, .propertyValue),
    Row("1010 'MQTT' 05 02 003c 02 1902 'c'", .v5, .client, .propertyValue),
    Row("1012 'MQTT' 05 02 003c 04 16 'd' 'c'", .v5, .client, .authenticationMethodMissing),
    Row("1014 'MQTT' 05 02 003c 06 2100012100 01 'c'", .v5, .client, .propertyDuplicate),
  ]

  static let connack: [Row] = [
    Row("2002 0000", .v311, .server, nil),
    Row("2002 0100", .v311, .server, nil),
    Row("2002 0200", .v311, .server, .connackReservedFlags),
    Row("2002 0200", .v31, .server, nil),
    Row("2002 0105", .v311, .server, .sessionPresentOnRefusal),
    Row("2002 0006", .v311, .server, .reasonCodeNotAllowed),
    Row("2003 0187 00", .v5, .server, .sessionPresentOnRefusal),
    Row("2003 0001 00", .v5, .server, .reasonCodeNotAllowed),
    Row("2003 0004 00", .v5, .server, .reasonCodeNotAllowed),
    Row("2002 0000", .v5, .server, .fieldTruncated),
    Row("2005 0000 02 2402", .v5, .server, .propertyValue),
    Row("2003 0000 00", .v311, .server, .trailingBytes),
  ]

  static let publish: [Row] = [
    Row("3003 'a'", .v311, .client, nil),
    Row("3603 'a' 0001", .v311, .client, .qosReserved),
    Row("3803 'a'", .v311, .client, .duplicateAtMostOnce),
    Row("3803 'a'", .v31, .client, nil),
    Row("3002 ''", .v311, .client, .topicEmpty),
    Row("3003 '#'", .v311, .client, .topicWildcard),
    Row("3005 'a/+'", .v311, .client, .topicWildcard),
    Row("3004 0002 c3 28", .v311, .client, .illFormedUTF8),
    Row("3004 0002 c0 80", .v311, .client, .illFormedUTF8),
    Row("3005 0003 ed a0 80", .v311, .client, .illFormedUTF8),
    Row("3006 0004 f4 90 80 80", .v311, .client, .illFormedUTF8),
    Row("3003 0001 e2", .v311, .client, .illFormedUTF8),
    Row("3005 0003 61 00 62", .v311, .client, .nullCharacter),
    Row("3003 0002 61", .v311, .client, .fieldTruncated),
    Row("3203 'a'", .v311, .client, .fieldTruncated),
    Row("3205 'a' 0000", .v311, .client, .packetIdentifierZero),
    Row("3003 'a'", .v5, .client, .fieldTruncated),
    Row("3003 '' 00", .v5, .client, .topicEmpty),
    Row("3006 '' 03 230001", .v5, .client, nil),
    Row("3006 '' 03 230000", .v5, .client, .topicAliasZero),
    Row("3006 'a' 02 0102", .v5, .client, .propertyValue),
    Row("3004 'a' 01", .v5, .client, .propertyLength),
    Row("3006 'a' 02 2a01", .v5, .client, .propertyNotAllowed),
    Row("3005 'a' 01 7f", .v5, .client, .propertyUnknown),
    Row("3005 'a' 01 02", .v5, .client, .fieldTruncated),
    Row("3006 'a' 02 0b01", .v5, .client, .subscriptionIdentifierFromClient),
    Row("3006 'a' 02 0b01", .v5, .server, nil),
    Row("3008 'a' 04 0b010b02", .v5, .server, nil),
    Row("3006 'a' 02 0b00", .v5, .server, .subscriptionIdentifierZero),
    Row("3007 'a' 03 0b8100", .v5, .server, .lengthNotMinimal),
    Row("3009 'a' 05 0b80808080", .v5, .server, .remainingLengthTooLong),
    Row("3008 'a' 04 08 '#'", .v5, .client, .responseTopicWildcard),
    Row("3005 'a' 8000 00", .v5, .client, .lengthNotMinimal),
  ]

  static let acknowledgements: [Row] = [
    Row("4002 0001", .v311, .client, nil),
    Row("4002 0000", .v311, .client, .packetIdentifierZero),
    Row("4003 0001 00", .v311, .client, .trailingBytes),
    Row("4003 0001 10", .v5, .client, nil),
    Row("4003 0001 92", .v5, .client, .reasonCodeNotAllowed),
    Row("6002 0001", .v311, .client, .reservedFlags),
    Row("6202 0001", .v5, .client, nil),
    Row("6a02 0001", .v31, .client, nil),
    Row("7003 0001 92", .v5, .server, nil),
    Row("7003 0001 10", .v5, .server, .reasonCodeNotAllowed),
    Row("4004 0001 00 01", .v5, .client, .propertyLength),
  ]

  static let subscriptions: [Row] = [
    Row("8206 0001 'a' 00", .v311, .client, nil),
    Row("8006 0001 'a' 00", .v311, .client, .reservedFlags),
    Row("8a06 0001 'a' 00", .v31, .client, nil),
    Row("8206 0000 'a' 00", .v311, .client, .packetIdentifierZero),
    Row("8202 0001", .v311, .client, .nothingSubscribed),
    Row("8205 0001 '' 00", .v311, .client, .filterEmpty),
    Row("8206 0001 'a' 03", .v311, .client, .subscriptionOptions),
    Row("8206 0001 'a' 04", .v311, .client, .subscriptionOptions),
    Row("8206 0001 'a' fd", .v31, .client, nil),
    Row("8207 0001 00 'a' 2e", .v5, .client, nil),
    Row("8207 0001 00 'a' 30", .v5, .client, .subscriptionOptions),
    Row("8207 0001 00 'a' 40", .v5, .client, .subscriptionOptions),
    Row("8207 0001 'a#' 00", .v311, .client, .filterMultiLevelWildcard),
    Row("8208 0001 '#/a' 00", .v311, .client, .filterMultiLevelWildcard),
    Row("8207 0001 '+a' 00", .v311, .client, .filterSingleLevelWildcard),
    Row("8208 0001 'a/b' 00 ", .v311, .client, nil),
    Row("8209 0001 02 0b00 'a' 00", .v5, .client, .subscriptionIdentifierZero),
    Row("820b 0001 04 0b010b02 'a' 00", .v5, .client, .propertyDuplicate),
    Row("8210 0001 00 '$share/g/a' 00", .v5, .client, nil),
    Row("8210 0001 00 '$share/g/a' 04", .v5, .client, .sharedFilterNoLocal),
    Row("820f 0001 00 '$share//a' 00", .v5, .client, .sharedFilterMalformed),
    Row("820f 0001 00 '$share/g/' 00", .v5, .client, .sharedFilterMalformed),
    Row("820e 0001 00 '$share/g' 00", .v5, .client, .sharedFilterMalformed),
    Row("8210 0001 00 '$share/+/a' 00", .v5, .client, .sharedFilterMalformed),
    // Before 5.0 it is a filter like any other.
    Row("820e 0001 '$share//a' 00", .v311, .client, nil),
    Row("a205 0001 'a'", .v311, .client, nil),
    Row("a202 0001", .v311, .client, .nothingSubscribed),
    Row("a207 0001 'a+b'", .v311, .client, .filterSingleLevelWildcard),
    Row("a205 0001 'a' 00", .v311, .client, nil),
    Row("9003 0001 80", .v311, .server, nil),
    Row("9003 0001 03", .v311, .server, .reasonCodeNotAllowed),
    Row("9002 0001", .v311, .server, .reasonCodesMissing),
    Row("9003 0001 00", .v5, .server, .reasonCodesMissing),
    Row("9004 0001 00 03", .v5, .server, .reasonCodeNotAllowed),
    Row("b002 0001", .v311, .server, nil),
    Row("b003 0001 00", .v311, .server, .trailingBytes),
    Row("b004 0001 00 11", .v5, .server, nil),
  ]

  static let reasons: [Row] = [
    Row("e001 00", .v311, .client, .trailingBytes),
    Row("e001 04", .v5, .client, nil),
    Row("e001 04", .v5, .server, .reasonCodeNotAllowed),
    Row("e001 8b", .v5, .client, .reasonCodeNotAllowed),
    Row("e007 00 05 11 00000001", .v5, .client, nil),
    Row("e007 00 05 11 00000001", .v5, .server, .propertyNotAllowed),
    Row("e006 9c 04 1c 's'", .v5, .server, nil),
    Row("e006 00 04 1c 's'", .v5, .client, .propertyNotAllowed),
    Row("f000", .v5, .server, nil),
    Row("f001 18", .v5, .client, .fieldTruncated),
    Row("f002 18 00", .v5, .client, .authenticationMethodMissing),
    Row("f006 18 04 15 'm'", .v5, .client, nil),
    Row("f006 19 04 15 'm'", .v5, .server, .reasonCodeNotAllowed),
  ]

  static let rows =
    framing + connect + connack + publish + acknowledgements + subscriptions + reasons

  @Test(arguments: rows)
  func isRefusedForItsReason(row: Row) {
    let bytes = packet(row.text)
    var sum: UInt64 = 0
    let reason = exercise(bytes.span.bytes, row.version, row.sender, &sum)
    #expect(reason == row.reason)
  }

  @Test func everyReasonHasAnExample() {
    // Asked only by those who know what they expect.
    let viewsOnly: Set<PacketFailure> = [.unexpectedPacketType]
    let shown = Set(Self.rows.compactMap(\.reason)).union(viewsOnly)
    let missing = Set(PacketFailure.allCases).subtracting(shown)
    #expect(missing.isEmpty, "\(missing)")
  }

  @Test func aViewRefusesPacketsOfAnotherType() {
    let ping = packet("c000")
    #expect(throws: PacketFailure.unexpectedPacketType) { try ConnectView(ping.span.bytes).version }
    #expect(throws: PacketFailure.unexpectedPacketType) {
      try AcknowledgementView(ping.span.bytes, .pingreq, version: .v5, from: .client).type
    }
    #expect(throws: PacketFailure.unexpectedPacketType) {
      try ReasonView(ping.span.bytes, .pingreq, version: .v5, from: .client).type
    }
    #expect(throws: PacketFailure.unexpectedPacketType) {
      try SubscriptionAnswerView(ping.span.bytes, .suback, version: .v5).type
    }
  }

  /// A property in a place where it does not belong, for all properties, places and directions.
  @Test(arguments: Sender.allCases)
  func propertiesStandOnlyWhereTheyBelong(sender: Sender) {
    let packets: [(PropertySection, String, String)] = [
      (.connect, "10", "'MQTT' 05 02 0000 P 'c'"),
      (.will, "10", "'MQTT' 05 06 0000 00 'c' P 'w' ''"),
      (.connack, "20", "0000 P"), (.publish, "30", "'a' P"),
      (.acknowledgement, "40", "0001 00 P"), (.acknowledgement, "62", "0001 00 P"),
      (.subscribe, "82", "0001 P 'a' 00"), (.acknowledgement, "90", "0001 P 00"),
      (.unsubscribe, "a2", "0001 P 'a'"), (.acknowledgement, "b0", "0001 P 00"),
      (.disconnect, "e0", "00 P"), (.auth, "f0", "18 P"),
    ]
    var make = Generator(random: SplitMix64(seed: 5), version: .v5)
    for (section, type, body) in packets {
      for identifier in PropertyIdentifier.allCases {
        var sent = [make.property(identifier)]
        if identifier == .authenticationData || section == .auth,
          identifier != .authenticationMethod,
          PropertyIdentifier.authenticationMethod.isAllowed(in: section, from: sender)
        {
          sent.append(make.property(.authenticationMethod))
        }
        let properties = encoded(sent)
        let around = body.split(separator: "P", omittingEmptySubsequences: false).map {
          packet(String($0))
        }
        let content = around[0] + variable(properties.count) + properties + around[1]
        let bytes = packet(type) + variable(content.count) + content
        guard PacketType(rawValue: bytes[0] >> 4)!.maySend(sender, .v5) else { continue }
        var sum: UInt64 = 0
        let reason = exercise(bytes.span.bytes, .v5, sender, &sum)
        var expected: PacketFailure?
        if !Self.places(identifier, sender).contains(section) {
          expected = .propertyNotAllowed
        } else if identifier == .subscriptionIdentifier, section == .publish, sender == .client {
          expected = .subscriptionIdentifierFromClient
        }
        #expect(reason == expected, "\(identifier) in \(section) from \(sender)")
      }
    }
  }

  /// Table 2-4 and section 3.14.2.2, where DISCONNECT differs by direction.
  private static func places(_ property: PropertyIdentifier, _ sender: Sender) -> [PropertySection]
  {
    switch property {
    case .payloadFormatIndicator, .messageExpiryInterval, .contentType, .responseTopic,
      .correlationData:
      [.publish, .will]
    case .subscriptionIdentifier: [.publish, .subscribe]
    case .sessionExpiryInterval: [.connect, .connack] + (sender == .client ? [.disconnect] : [])
    case .serverReference: [.connack] + (sender == .server ? [.disconnect] : [])
    case .authenticationMethod, .authenticationData: [.connect, .connack, .auth]
    case .requestProblemInformation, .requestResponseInformation: [.connect]
    case .willDelayInterval: [.will]
    case .reasonString: [.connack, .acknowledgement, .disconnect, .auth]
    case .receiveMaximum, .topicAliasMaximum, .maximumPacketSize: [.connect, .connack]
    case .topicAlias: [.publish]
    case .userProperty: PropertySection.allCases
    case .assignedClientIdentifier, .serverKeepAlive, .responseInformation, .maximumQoS,
      .retainAvailable, .wildcardSubscriptionAvailable, .subscriptionIdentifierAvailable,
      .sharedSubscriptionAvailable:
      [.connack]
    }
  }

  /// As a variable byte integer.
  private func variable(_ value: Int) -> [UInt8] {
    written(VariableByteInteger.size(value)) { $0.put(variable: value, at: 0) }
  }
}
