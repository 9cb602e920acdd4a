import DPUCore
import Testing

@testable import MQTTWire

/// What is written is read again, for every packet type in every version and direction.
@Suite struct RoundTripTests {
  static let rounds = 100

  @Test(arguments: ProtocolVersion.allCases)
  func connect(version: ProtocolVersion) throws {
    var make = Generator(random: SplitMix64(seed: 1), version: version)
    for _ in 0..<Self.rounds {
      let clientIdentifier = Array("c".utf8) + make.string()
      let (clean, keepAlive) = (make.flip(), UInt16(make.below(65_536)))
      let willTopic = make.flip() ? make.topic() : nil
      let (willPayload, willQoS, willRetain) = (make.bytes(), make.qos(), make.flip())
      let willProperties = make.properties(.will, from: .client)
      let userName = make.flip() ? make.string() : nil
      let password = (userName != nil || version == .v5) && make.flip() ? make.bytes() : nil
      let properties = make.properties(.connect, from: .client)
      let (section, willSection) = (encoded(properties), encoded(willProperties))
      let will = willTopic.map { _ in (willQoS, willRetain) }
      let packet = connectPacket(
        version, clientIdentifier, clean, keepAlive, willTopic, willPayload, will, willSection,
        userName, password, section)

      let view = try ConnectView(packet.span.bytes)
      #expect(view.bytes.byteCount == packet.count)
      #expect(view.version == version && view.cleanStart == clean)
      #expect(view.keepAliveSeconds == keepAlive)
      #expect(array(view.clientIdentifier) == clientIdentifier)
      #expect(view.hasWill == (willTopic != nil) && array(view.willTopic) == willTopic ?? [])
      if willTopic != nil {
        #expect(view.willQoS == willQoS && view.willRetain == willRetain)
        #expect(array(view.willPayload) == willPayload)
        #expect(decoded(view.willProperties) == willProperties)
      }
      #expect(view.hasUserName == (userName != nil) && array(view.userName) == userName ?? [])
      #expect(view.hasPassword == (password != nil) && array(view.password) == password ?? [])
      #expect(decoded(view.properties) == properties)
    }
  }

  @Test(arguments: ProtocolVersion.allCases)
  func connack(version: ProtocolVersion) throws {
    var make = Generator(random: SplitMix64(seed: 2), version: version)
    let codes: [UInt8] =
      version == .v5
      ? ReasonCode.allCases.filter { $0.isAllowed(in: .connack, from: .server) }.map(\.rawValue)
      : [0, 1, 2, 3, 4, 5]
    for round in 0..<Self.rounds {
      let code = codes[round % codes.count]
      let present = code == 0 && version != .v31 && make.flip()
      let properties = make.properties(.connack, from: .server)
      let section = encoded(properties)
      let value = Connack(sessionPresent: present, code: code, properties: section.span.bytes)
      let packet = written(value.encodedSize(version)) { value.write(into: &$0, version) }
      let view = try ConnackView(packet.span.bytes, version: version)
      #expect(view.sessionPresent == present && view.code == code)
      #expect(view.isAccepted == (code == 0) && decoded(view.properties) == properties)
    }
  }

  @Test(arguments: ProtocolVersion.allCases, Sender.allCases)
  func publish(version: ProtocolVersion, sender: Sender) throws {
    var make = Generator(random: SplitMix64(seed: 3), version: version)
    for _ in 0..<Self.rounds {
      let properties = make.properties(.publish, from: sender)
      let alias = properties.first { $0.identifier == .topicAlias }?.integer
      let topic = alias != nil && make.flip() ? [] : make.topic()
      let (payload, section, qos) = (make.bytes(), encoded(properties), make.qos())
      var value = Publish(
        topic: topic.span.bytes, payload: payload.span.bytes, properties: section.span.bytes)
      value.qos = qos
      value.retain = make.flip()
      value.isDuplicate = qos != .atMostOnce && make.flip()
      value.packetIdentifier = qos == .atMostOnce ? 0 : make.identifier()
      let packet = written(value.encodedSize(version)) { value.write(into: &$0, version) }

      let view = try PublishView(packet.span.bytes, version: version, from: sender)
      #expect(view.qos == qos && view.retain == value.retain)
      #expect(view.isDuplicate == value.isDuplicate)
      #expect(view.packetIdentifier == value.packetIdentifier)
      #expect(array(view.topic) == topic && array(view.payload) == payload)
      #expect(decoded(view.properties) == properties)
      #expect(view.topicAlias.map { UInt32($0) } == alias)
      #expect(view.totalLength == packet.count)
      #expect(view.headerLength == packet.count - payload.count)
      let expiry = properties.first { $0.identifier == .messageExpiryInterval }?.integer
      #expect(view.messageExpiryInterval == expiry)
    }
  }

  @Test(
    arguments: ProtocolVersion.allCases, [PacketType.puback, .pubrec, .pubrel, .pubcomp])
  func acknowledgement(version: ProtocolVersion, type: PacketType) throws {
    var make = Generator(random: SplitMix64(seed: 4), version: version)
    let codes = ReasonCode.allCases.filter { $0.isAllowed(in: type, from: .client) }
    for round in 0..<Self.rounds {
      let code = version == .v5 ? codes[round % codes.count] : .success
      let properties = make.flip() ? make.properties(.acknowledgement, from: .client) : []
      let section = encoded(properties)
      let value = Acknowledgement(
        type, packetIdentifier: make.identifier(), reasonCode: code, properties: section.span.bytes)
      let packet = written(value.encodedSize(version)) { value.write(into: &$0, version) }
      let view = try AcknowledgementView(packet.span.bytes, type, version: version, from: .client)
      #expect(view.type == type && view.packetIdentifier == value.packetIdentifier)
      #expect(view.reasonCode == code && decoded(view.properties) == properties)
      if code == .success, properties.isEmpty { #expect(packet.count == 4) }
    }
  }

  @Test(arguments: ProtocolVersion.allCases)
  func subscribe(version: ProtocolVersion) throws {
    var make = Generator(random: SplitMix64(seed: 5), version: version)
    for _ in 0..<Self.rounds {
      var wanted: [(filter: [UInt8], options: SubscriptionOptions)] = []
      var requests: [UInt8] = []
      for _ in 0...make.below(5) {
        let filter = make.filter()
        let isShared = filter.starts(with: "$share/".utf8)
        let handling = SubscriptionOptions.RetainHandling(rawValue: UInt8(make.below(3)))!
        let options =
          version == .v5
          ? SubscriptionOptions(
            make.qos(), noLocal: !isShared && make.flip(), retainAsPublished: make.flip(),
            retainHandling: handling)
          : SubscriptionOptions(make.qos())
        wanted.append((filter, options))
        let request = SubscriptionRequest(filter: filter.span.bytes, options: options)
        requests += written(request.encodedSize) { request.write(into: &$0, at: 0) }
      }
      let properties = make.properties(.subscribe, from: .client)
      let section = encoded(properties)
      let value = Subscribe(
        packetIdentifier: make.identifier(), requests: requests.span.bytes,
        properties: section.span.bytes)
      let packet = written(value.encodedSize(version)) { value.write(into: &$0, version) }

      let view = try SubscribeView(packet.span.bytes, version: version)
      #expect(view.packetIdentifier == value.packetIdentifier && view.count == wanted.count)
      #expect(decoded(view.properties) == properties)
      let identifier = properties.first { $0.identifier == .subscriptionIdentifier }?.integer
      #expect(view.subscriptionIdentifier == identifier)
      var iterator = view.makeIterator()
      var index = 0
      while let request = iterator.next() {
        #expect(array(request.filter) == wanted[index].filter)
        #expect(request.options == wanted[index].options)
        index += 1
      }
      #expect(index == wanted.count)
    }
  }

  @Test(arguments: ProtocolVersion.allCases)
  func unsubscribe(version: ProtocolVersion) throws {
    var make = Generator(random: SplitMix64(seed: 6), version: version)
    for _ in 0..<Self.rounds {
      let wanted = (0...make.below(5)).map { _ in make.filter() }
      let filters = wanted.flatMap { filter in
        written(2 + filter.count) {
          Unsubscribe.write(filter: filter.span.bytes, into: &$0, at: 0)
        }
      }
      let properties = make.properties(.unsubscribe, from: .client)
      let section = encoded(properties)
      let value = Unsubscribe(
        packetIdentifier: make.identifier(), filters: filters.span.bytes,
        properties: section.span.bytes)
      let packet = written(value.encodedSize(version)) { value.write(into: &$0, version) }
      let view = try UnsubscribeView(packet.span.bytes, version: version)
      #expect(view.packetIdentifier == value.packetIdentifier && view.count == wanted.count)
      #expect(decoded(view.properties) == properties)
      var found: [[UInt8]] = []
      var iterator = view.makeIterator()
      while let filter = iterator.next() { found.append(array(filter)) }
      #expect(found == wanted)
    }
  }

  @Test(arguments: ProtocolVersion.allCases, [PacketType.suback, .unsuback])
  func subscriptionAnswer(version: ProtocolVersion, type: PacketType) throws {
    var make = Generator(random: SplitMix64(seed: 7), version: version)
    let codes: [UInt8] =
      version == .v5
      ? ReasonCode.allCases.filter { $0.isAllowed(in: type, from: .server) }.map(\.rawValue)
      : [0, 1, 2, 0x80]
    for _ in 0..<Self.rounds {
      let sent = (0...make.below(6)).map { _ in codes[make.below(codes.count)] }
      let properties = make.properties(.acknowledgement, from: .server)
      let section = encoded(properties)
      let value = SubscriptionAnswer(
        type, packetIdentifier: make.identifier(), codes: sent.span.bytes,
        properties: section.span.bytes)
      let packet = written(value.encodedSize(version)) { value.write(into: &$0, version) }
      let view = try SubscriptionAnswerView(packet.span.bytes, type, version: version)
      let expected = type == .unsuback && version != .v5 ? [] : sent
      #expect(view.packetIdentifier == value.packetIdentifier && view.count == expected.count)
      #expect(decoded(view.properties) == properties)
      #expect((0..<view.count).map { view.code(at: $0) } == expected)
      #expect(view.code(at: view.count) == nil)
      let granted = (0..<view.count).map { view.grantedQoS(at: $0)?.rawValue }
      #expect(granted == expected.map { type == .suback && $0 < 3 ? $0 : nil })
    }
  }

  @Test(arguments: Sender.allCases)
  func disconnectAndAuth(sender: Sender) throws {
    var make = Generator(random: SplitMix64(seed: 8), version: .v5)
    for type in [PacketType.disconnect, .auth] {
      let codes = ReasonCode.allCases.filter { $0.isAllowed(in: type, from: sender) }
      for round in 0..<Self.rounds {
        let code = codes[round % codes.count]
        let properties = make.properties(type == .auth ? .auth : .disconnect, from: sender)
        let section = encoded(properties)
        let value = Reason(type, code, properties: section.span.bytes)
        let packet = written(value.encodedSize(.v5)) { value.write(into: &$0, .v5) }
        let view = try ReasonView(packet.span.bytes, type, version: .v5, from: sender)
        #expect(view.reasonCode == code && decoded(view.properties) == properties)
      }
    }
  }

  @Test(arguments: ProtocolVersion.allCases)
  func emptyPackets(version: ProtocolVersion) throws {
    let bye = Reason(.disconnect)
    let goodbye = written(bye.encodedSize(version)) { bye.write(into: &$0, version) }
    #expect(goodbye == packet("e000"))
    let view = try ReasonView(goodbye.span.bytes, .disconnect, version: version, from: .client)
    #expect(view.reasonCode == .success)
    for type in [PacketType.pingreq, .pingresp] {
      let ping = written(Ping.encodedSize) { Ping.write(type, into: &$0) }
      #expect(ping == [type.rawValue << 4, 0])
      try Ping.check(ping.span.bytes, type, version: version)
    }
  }

  private func connectPacket(
    _ version: ProtocolVersion, _ client: [UInt8], _ clean: Bool, _ keepAlive: UInt16,
    _ willTopic: [UInt8]?, _ willPayload: [UInt8], _ flags: (qos: QoS, retain: Bool)?,
    _ willSection: [UInt8], _ userName: [UInt8]?, _ password: [UInt8]?, _ section: [UInt8]
  ) -> [UInt8] {
    // Spans of optional arrays do not outlive an optional chain, hence the plain arrays.
    let (topic, user, secret) = (willTopic ?? [], userName ?? [], password ?? [])
    var will: Will? = nil
    if let flags {
      will = Will(
        topic: topic.span.bytes, payload: willPayload.span.bytes, qos: flags.qos,
        retain: flags.retain, properties: willSection.span.bytes)
    }
    let value = Connect(
      clientIdentifier: client.span.bytes, cleanStart: clean, keepAliveSeconds: keepAlive,
      will: will, userName: userName == nil ? nil : user.span.bytes,
      password: password == nil ? nil : secret.span.bytes, properties: section.span.bytes)
    return written(value.encodedSize(version)) { value.write(into: &$0, version) }
  }
}
