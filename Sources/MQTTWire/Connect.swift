import DPUCore

/// CONNECT (section 3.1), the first packet of a client. It names its own version.
package struct ConnectView: ~Escapable {
  enum Flag {
    static let reserved: UInt8 = 0x01, cleanStart: UInt8 = 0x02, will: UInt8 = 0x04
    static let willQoSShift: UInt8 = 3, willRetain: UInt8 = 0x20
    static let password: UInt8 = 0x40, userName: UInt8 = 0x80
  }

  /// The whole packet.
  package let bytes: RawSpan
  package let version: ProtocolVersion
  /// In seconds; 0 turns it off.
  package let keepAliveSeconds: UInt16
  package let properties: PropertyList
  package let willProperties: PropertyList
  package let willQoS: QoS
  private let flags: UInt8
  private let clientIdentifierRange: Range<Int>
  private let willTopicRange: Range<Int>
  private let willPayloadRange: Range<Int>
  private let userNameRange: Range<Int>
  private let passwordRange: Range<Int>

  /// Accepts the packet at the start of `bytes`.
  @_lifetime(copy bytes)
  package init(_ bytes: RawSpan) throws(PacketFailure) {
    // The flags of the fixed header are judged when the version is known.
    let header = try FixedHeader(bytes, expecting: .connect, version: .v31, from: .client)
    var reader = FieldReader(bytes, header.headerLength..<header.totalLength)
    let name = try reader.string()
    let version = try Self.version(name: bytes.extracting(name), level: try reader.uint8())
    _ = try FixedHeader(bytes, expecting: .connect, version: version, from: .client)

    let flags = try reader.uint8()
    willQoS = try Self.check(flags, version)
    keepAliveSeconds = try reader.uint16()
    properties = try PropertyList(&reader, .connect, from: .client, version)

    clientIdentifierRange = try reader.string()
    // MQTT-3.1.3-8: 3.1.1 lets a server name only clients without a session to keep. MQTT 3.1
    // always wants a name; its limit of 23 characters is not enforced by any broker.
    if clientIdentifierRange.isEmpty {
      let mayBeEmpty = version == .v5 || (version == .v311 && flags & Flag.cleanStart != 0)
      guard mayBeEmpty else { throw .clientIdentifierRejected }
    }
    if flags & Flag.will != 0 {
      willProperties = try PropertyList(&reader, .will, from: .client, version)
      willTopicRange = try reader.binary()
      if let failure = TopicSyntax.nameFailure(bytes.extracting(willTopicRange)) { throw failure }
      willPayloadRange = try reader.binary()
    } else {
      willProperties = PropertyList()
      willTopicRange = 0..<0
      willPayloadRange = 0..<0
    }
    // MQTT 3.1, section 3.1: "the Remaining Length field takes precedence over the flag", so
    // that a user name or password may be missing although its flag is set.
    var present = flags
    if version == .v31, reader.remaining == 0 { present &= ~(Flag.userName | Flag.password) }
    userNameRange = present & Flag.userName != 0 ? try reader.string() : 0..<0
    if version == .v31, reader.remaining == 0 { present &= ~Flag.password }
    passwordRange = present & Flag.password != 0 ? try reader.binary() : 0..<0
    try reader.finish()
    self.bytes = bytes.extracting(0..<header.totalLength)
    self.version = version
    self.flags = present
  }

  package var cleanStart: Bool { flags & Flag.cleanStart != 0 }
  package var hasWill: Bool { flags & Flag.will != 0 }
  package var willRetain: Bool { flags & Flag.willRetain != 0 }
  package var hasUserName: Bool { flags & Flag.userName != 0 }
  package var hasPassword: Bool { flags & Flag.password != 0 }
  package var clientIdentifier: RawSpan {
    @_lifetime(copy self)
    get { bytes.extracting(clientIdentifierRange) }
  }
  /// Empty without a will.
  package var willTopic: RawSpan {
    @_lifetime(copy self)
    get { bytes.extracting(willTopicRange) }
  }
  package var willPayload: RawSpan {
    @_lifetime(copy self)
    get { bytes.extracting(willPayloadRange) }
  }
  /// Empty when there is none.
  package var userName: RawSpan {
    @_lifetime(copy self)
    get { bytes.extracting(userNameRange) }
  }
  package var password: RawSpan {
    @_lifetime(copy self)
    get { bytes.extracting(passwordRange) }
  }

  /// The name belongs to the level: MQIsdp with 3, MQTT with 4 and 5.
  private static func version(
    name: RawSpan, level: UInt8
  ) throws(PacketFailure) -> ProtocolVersion {
    let isMQTT = name.byteCount == 4 && name.beUInt32(at: 0) == 0x4d51_5454
    let isMQIsdp =
      name.byteCount == 6 && name.beUInt32(at: 0) == 0x4d51_4973 && name.beUInt16(at: 4) == 0x6470
    guard isMQTT || isMQIsdp else { throw .protocolName }
    guard let version = ProtocolVersion(rawValue: level), isMQIsdp == (version == .v31) else {
      throw .protocolLevel
    }
    return version
  }

  /// Section 3.1.2.3; returns the QoS of the will.
  private static func check(
    _ flags: UInt8, _ version: ProtocolVersion
  ) throws(PacketFailure) -> QoS {
    guard let willQoS = QoS(rawValue: flags >> Flag.willQoSShift & 3) else { throw .willFlags }
    // MQTT 3.1 has no sentence about flags that mean nothing.
    guard version != .v31 else { return willQoS }
    guard flags & Flag.reserved == 0 else { throw .connectReservedFlag }
    if flags & Flag.will == 0 {
      guard willQoS == .atMostOnce, flags & Flag.willRetain == 0 else { throw .willFlags }
    }
    if version == .v311, flags & Flag.password != 0, flags & Flag.userName == 0 {
      throw .passwordWithoutUserName
    }
    return willQoS
  }
}

/// A will, part of a CONNECT to be written.
package struct Will: ~Escapable {
  package var topic: RawSpan
  package var payload: RawSpan
  package var qos: QoS
  package var retain: Bool
  /// Encoded properties, written for 5.0 only.
  package var properties: RawSpan

  @_lifetime(copy topic, copy payload, copy properties)
  package init(
    topic: RawSpan, payload: RawSpan, qos: QoS = .atMostOnce, retain: Bool = false,
    properties: RawSpan = RawSpan()
  ) {
    self.topic = topic
    self.payload = payload
    self.qos = qos
    self.retain = retain
    self.properties = properties
  }
}

/// A CONNECT to be written.
package struct Connect: ~Escapable {
  package var clientIdentifier: RawSpan
  package var cleanStart: Bool
  package var keepAliveSeconds: UInt16
  /// nil leaves it out; so with the three below.
  package let will: Will?
  package let userName: RawSpan?
  package let password: RawSpan?
  /// Encoded properties, written for 5.0 only.
  package var properties: RawSpan

  @_lifetime(copy clientIdentifier, copy will, copy userName, copy password, copy properties)
  package init(
    clientIdentifier: RawSpan, cleanStart: Bool = true, keepAliveSeconds: UInt16 = 0,
    will: Will? = nil, userName: RawSpan? = nil, password: RawSpan? = nil,
    properties: RawSpan = RawSpan()
  ) {
    self.clientIdentifier = clientIdentifier
    self.cleanStart = cleanStart
    self.keepAliveSeconds = keepAliveSeconds
    self.will = will
    self.userName = userName
    self.password = password
    self.properties = properties
  }

  package func encodedSize(_ version: ProtocolVersion) -> Int {
    packetSize(remainingLength: remainingLength(version))
  }

  /// Writes the packet to the start of `out`; returns its size. Traps when it does not fit.
  @discardableResult
  @_lifetime(out: copy out)
  package func write(into out: inout MutableRawSpan, _ version: ProtocolVersion) -> Int {
    var at = out.put(.connect, remainingLength: remainingLength(version))
    if version == .v31 {
      at = out.put(UInt16(6), at: at)
      at = out.put(UInt32(0x4d51_4973), at: at)
      at = out.put(UInt16(0x6470), at: at)
    } else {
      at = out.put(UInt16(4), at: at)
      at = out.put(UInt32(0x4d51_5454), at: at)
    }
    at = out.put(version.rawValue, at: at)
    at = out.put(flags, at: at)
    at = out.put(keepAliveSeconds, at: at)
    at = out.put(properties: properties, version, at: at)
    at = out.put(string: clientIdentifier, at: at)
    if let will {
      at = out.put(properties: will.properties, version, at: at)
      at = out.put(string: will.topic, at: at)
      at = out.put(string: will.payload, at: at)
    }
    if let userName { at = out.put(string: userName, at: at) }
    if let password { at = out.put(string: password, at: at) }
    return at
  }

  private var flags: UInt8 {
    var flags: UInt8 = cleanStart ? ConnectView.Flag.cleanStart : 0
    if let will {
      flags |= ConnectView.Flag.will | will.qos.rawValue << ConnectView.Flag.willQoSShift
      if will.retain { flags |= ConnectView.Flag.willRetain }
    }
    if userName != nil { flags |= ConnectView.Flag.userName }
    if password != nil { flags |= ConnectView.Flag.password }
    return flags
  }

  private func remainingLength(_ version: ProtocolVersion) -> Int {
    var size = version == .v31 ? 12 : 10
    size += propertySectionSize(properties, version) + 2 + clientIdentifier.byteCount
    if let will {
      size += propertySectionSize(will.properties, version)
      size += 4 + will.topic.byteCount + will.payload.byteCount
    }
    if let userName { size += 2 + userName.byteCount }
    if let password { size += 2 + password.byteCount }
    return size
  }
}
