import DPUCore

/// How a subscription wants its messages (section 3.8.3.1). Before 5.0 it is the QoS alone.
package struct SubscriptionOptions: Equatable, BitwiseCopyable, Sendable {
  enum Bit {
    static let qos: UInt8 = 0x03, noLocal: UInt8 = 0x04, retainAsPublished: UInt8 = 0x08
    static let retainHandlingShift: UInt8 = 4, reserved: UInt8 = 0xc0
  }

  package let rawValue: UInt8

  /// What retained messages a new subscription brings.
  package enum RetainHandling: UInt8, CaseIterable, BitwiseCopyable, Sendable {
    case send = 0
    case sendWhenNew = 1
    case doNotSend = 2
  }

  /// nil when a combination is forbidden (MQTT-3.8.3-5).
  init?(_ rawValue: UInt8, _ version: ProtocolVersion) {
    guard QoS(rawValue: rawValue & Bit.qos) != nil else { return nil }
    switch version {
    case .v31: break  // "The upper 6 bits of this byte are not used in the current version."
    case .v311: guard rawValue & ~Bit.qos == 0 else { return nil }
    case .v5:
      guard rawValue & Bit.reserved == 0,
        RetainHandling(rawValue: rawValue >> Bit.retainHandlingShift & 3) != nil
      else { return nil }
    }
    self.rawValue = version == .v31 ? rawValue & Bit.qos : rawValue
  }

  package init(
    _ qos: QoS, noLocal: Bool = false, retainAsPublished: Bool = false,
    retainHandling: RetainHandling = .send
  ) {
    rawValue =
      qos.rawValue | (noLocal ? Bit.noLocal : 0) | (retainAsPublished ? Bit.retainAsPublished : 0)
      | retainHandling.rawValue << Bit.retainHandlingShift
  }

  package var maximumQoS: QoS { QoS(rawValue: rawValue & Bit.qos) ?? .atMostOnce }
  package var noLocal: Bool { rawValue & Bit.noLocal != 0 }
  package var retainAsPublished: Bool { rawValue & Bit.retainAsPublished != 0 }
  package var retainHandling: RetainHandling {
    RetainHandling(rawValue: rawValue >> Bit.retainHandlingShift & 3) ?? .send
  }
}

/// One line of a SUBSCRIBE: read from a packet, or made to be written into one.
package struct SubscriptionRequest: ~Escapable {
  package let filter: RawSpan
  package let options: SubscriptionOptions

  @_lifetime(copy filter)
  package init(filter: RawSpan, options: SubscriptionOptions) {
    self.filter = filter
    self.options = options
  }

  package var encodedSize: Int { 3 + filter.byteCount }

  /// Writes it at `offset`; returns the offset behind it. Traps when there is no room.
  @_lifetime(out: copy out)
  package func write(into out: inout MutableRawSpan, at offset: Int) -> Int {
    out.put(options.rawValue, at: out.put(string: filter, at: offset))
  }
}

/// SUBSCRIBE (section 3.8).
package struct SubscribeView: ~Escapable {
  /// The whole packet.
  package let bytes: RawSpan
  package let version: ProtocolVersion
  package let packetIdentifier: UInt16
  package let properties: PropertyList
  /// How many filters it asks for, at least one; the answer has a code for each, in order.
  package let count: Int
  private let payloadStart: Int

  /// Accepts the packet at the start of `bytes`.
  @_lifetime(copy bytes)
  package init(_ bytes: RawSpan, version: ProtocolVersion) throws(PacketFailure) {
    let header = try FixedHeader(bytes, expecting: .subscribe, version: version, from: .client)
    var reader = FieldReader(bytes, header.headerLength..<header.totalLength)
    packetIdentifier = try reader.packetIdentifier()
    properties = try PropertyList(&reader, .subscribe, from: .client, version)
    payloadStart = reader.position
    var count = 0
    while reader.remaining > 0 {
      _ = try RawSubscription(&reader, version)
      count += 1
    }
    // MQTT-3.8.3-2.
    guard count > 0 else { throw .nothingSubscribed }
    self.count = count
    self.version = version
    self.bytes = bytes.extracting(0..<header.totalLength)
  }

  /// nil when there is none; never 0.
  package var subscriptionIdentifier: UInt32? { properties.integer(.subscriptionIdentifier) }

  /// The requests in order.
  @_lifetime(copy self)
  package func makeIterator() -> SubscriptionIterator {
    SubscriptionIterator(checked: bytes, from: payloadStart, version)
  }
}

/// Walks the requests of a checked SUBSCRIBE.
package struct SubscriptionIterator: ~Escapable {
  private var reader: FieldReader
  private let version: ProtocolVersion

  @_lifetime(copy bytes)
  fileprivate init(checked bytes: RawSpan, from start: Int, _ version: ProtocolVersion) {
    reader = FieldReader(bytes, start..<bytes.byteCount)
    self.version = version
  }

  @_lifetime(copy self)
  @_lifetime(self: copy self)
  package mutating func next() -> SubscriptionRequest? {
    guard reader.remaining > 0, let raw = try? RawSubscription(&reader, version) else {
      return nil
    }
    return SubscriptionRequest(filter: reader.bytes.extracting(raw.filter), options: raw.options)
  }
}

/// A request as a range of its packet.
private struct RawSubscription {
  let filter: Range<Int>
  let options: SubscriptionOptions

  init(_ reader: inout FieldReader, _ version: ProtocolVersion) throws(PacketFailure) {
    filter = try reader.topicFilter(version)
    guard let options = SubscriptionOptions(try reader.uint8(), version) else {
      throw .subscriptionOptions
    }
    // MQTT-3.8.3-4.
    if version == .v5, options.noLocal, TopicSyntax.isShared(reader.bytes.extracting(filter)) {
      throw .sharedFilterNoLocal
    }
    self.options = options
  }
}

/// A SUBSCRIBE to be written.
package struct Subscribe: ~Escapable {
  package var packetIdentifier: UInt16
  /// Encoded properties, written for 5.0 only.
  package var properties: RawSpan
  /// `SubscriptionRequest`s, encoded one behind the other.
  package var requests: RawSpan

  @_lifetime(copy requests, copy properties)
  package init(packetIdentifier: UInt16, requests: RawSpan, properties: RawSpan = RawSpan()) {
    self.packetIdentifier = packetIdentifier
    self.requests = requests
    self.properties = properties
  }

  package func encodedSize(_ version: ProtocolVersion) -> Int {
    packetSize(remainingLength: remainingLength(version))
  }

  /// Writes the packet to the start of `out`; returns its size. Traps when it does not fit.
  @discardableResult
  @_lifetime(out: copy out)
  package func write(into out: inout MutableRawSpan, _ version: ProtocolVersion) -> Int {
    var at = out.put(.subscribe, flags: 2, remainingLength: remainingLength(version))
    at = out.put(packetIdentifier, at: at)
    at = out.put(properties: properties, version, at: at)
    return out.put(requests, at: at)
  }

  private func remainingLength(_ version: ProtocolVersion) -> Int {
    2 + propertySectionSize(properties, version) + requests.byteCount
  }
}
