import DPUCore

/// PUBLISH (section 3.3), the packet that carries a message.
package struct PublishView: ~Escapable {
  enum Flag { static let duplicate: UInt8 = 8, qosShift: UInt8 = 1, retain: UInt8 = 1 }

  /// The whole packet.
  package let bytes: RawSpan
  package let version: ProtocolVersion
  package let header: FixedHeader
  package let qos: QoS
  /// 0 at QoS 0.
  package let packetIdentifier: UInt16
  package let properties: PropertyList
  private let topicRange: Range<Int>
  private let payloadStart: Int

  /// Accepts the packet at the start of `bytes`.
  @_lifetime(copy bytes)
  package init(
    _ bytes: RawSpan, version: ProtocolVersion, from sender: Sender
  ) throws(PacketFailure) {
    let header = try FixedHeader(bytes, expecting: .publish, version: version, from: sender)
    // MQTT-3.3.1-4.
    guard let qos = QoS(rawValue: header.flags >> Flag.qosShift & 3) else { throw .qosReserved }
    // MQTT-3.3.1-2; MQTT 3.1 has no such sentence.
    guard header.flags & Flag.duplicate == 0 || qos != .atMostOnce || version == .v31 else {
      throw .duplicateAtMostOnce
    }
    var reader = FieldReader(bytes, header.headerLength..<header.totalLength)
    let topic = try reader.binary()
    packetIdentifier = qos == .atMostOnce ? 0 : try reader.packetIdentifier()
    properties = try PropertyList(&reader, .publish, from: sender, version)
    // Section 3.3.2.3.4: an empty name stands for a topic alias.
    if topic.count > 0 || !properties.contains(.topicAlias) {
      if let failure = TopicSyntax.nameFailure(bytes.extracting(topic)) { throw failure }
    }
    self.bytes = bytes.extracting(0..<header.totalLength)
    self.version = version
    self.header = header
    self.qos = qos
    topicRange = topic
    payloadStart = reader.position
  }

  package var isDuplicate: Bool { header.flags & Flag.duplicate != 0 }
  package var retain: Bool { header.flags & Flag.retain != 0 }
  /// Empty when a topic alias stands for it.
  package var topic: RawSpan {
    @_lifetime(copy self)
    get { bytes.extracting(topicRange) }
  }
  package var payload: RawSpan {
    @_lifetime(copy self)
    get { bytes.extracting(payloadStart..<bytes.byteCount) }
  }
  /// Everything in front of the payload.
  package var headerLength: Int { payloadStart }
  package var totalLength: Int { bytes.byteCount }
  /// nil when there is none; never 0.
  package var topicAlias: UInt16? { properties.integer(.topicAlias).map { UInt16($0) } }
  /// In seconds; nil when the message does not expire.
  package var messageExpiryInterval: UInt32? { properties.integer(.messageExpiryInterval) }
  /// The first one; a server may send several, which `properties` lists.
  package var subscriptionIdentifier: UInt32? { properties.integer(.subscriptionIdentifier) }
}

/// A PUBLISH to be written.
package struct Publish: ~Escapable {
  package var topic: RawSpan
  package var payload: RawSpan
  package var qos = QoS.atMostOnce
  package var retain = false
  package var isDuplicate = false
  /// Not 0 above QoS 0.
  package var packetIdentifier: UInt16 = 0
  /// Encoded properties, written for 5.0 only.
  package var properties: RawSpan

  @_lifetime(copy topic, copy payload, copy properties)
  package init(topic: RawSpan, payload: RawSpan, properties: RawSpan = RawSpan()) {
    self.topic = topic
    self.payload = payload
    self.properties = properties
  }

  package func encodedSize(_ version: ProtocolVersion) -> Int {
    packetSize(remainingLength: remainingLength(version))
  }

  /// Writes the packet to the start of `out`; returns its size. Traps when it does not fit.
  @discardableResult
  @_lifetime(out: copy out)
  package func write(into out: inout MutableRawSpan, _ version: ProtocolVersion) -> Int {
    var flags = qos.rawValue << PublishView.Flag.qosShift
    if retain { flags |= PublishView.Flag.retain }
    if isDuplicate { flags |= PublishView.Flag.duplicate }
    var at = out.put(.publish, flags: flags, remainingLength: remainingLength(version))
    at = out.put(string: topic, at: at)
    if qos != .atMostOnce { at = out.put(packetIdentifier, at: at) }
    at = out.put(properties: properties, version, at: at)
    return out.put(payload, at: at)
  }

  private func remainingLength(_ version: ProtocolVersion) -> Int {
    2 + topic.byteCount + (qos == .atMostOnce ? 0 : 2)
      + propertySectionSize(properties, version) + payload.byteCount
  }
}
