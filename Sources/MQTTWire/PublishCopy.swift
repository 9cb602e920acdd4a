import DPUCore

/// The copy of a published message that one kind of receiver gets: QoS 0, not retained.
///
/// Receivers before 5.0 get no properties, so all their copies are equal. A 5.0 receiver gets
/// the publisher's in their order (MQTT-3.3.2-17 and -18 demand it for user properties), with
/// its own subscription identifiers in front and the expiry that is left behind them. That is
/// the order in which mosquitto writes them, so that our copy and the broker's are the same
/// bytes. The topic alias belongs to the publisher's connection and stays behind.
package struct PublishCopy: ~Escapable {
  private let topic: RawSpan
  private let payload: RawSpan
  /// The publisher's property section.
  private let properties: RawSpan
  private let version: ProtocolVersion
  private let messageExpiryInterval: UInt32?
  /// Bytes of `properties` that are forwarded.
  private let forwarded: Int

  /// - Parameters:
  ///   - topic: the name, also when the publisher sent an alias for it.
  ///   - version: the receiver's.
  ///   - messageExpiryInterval: what is left of it, in seconds; nil leaves the property out.
  @_lifetime(copy message, copy topic)
  package init(
    of message: borrowing PublishView, topic: RawSpan, for version: ProtocolVersion,
    messageExpiryInterval: UInt32?
  ) {
    self.topic = topic
    payload = message.payload
    self.version = version
    self.messageExpiryInterval = messageExpiryInterval
    properties = version == .v5 ? message.properties.bytes : RawSpan()
    var count = 0
    if version == .v5 {
      var list = message.properties.makeIterator()
      while let property = list.next() {
        if property.identifier.isForwarded { count += property.encodedSize }
      }
    }
    forwarded = count
  }

  /// Size of the packet without its payload.
  package func headerSize(subscriptionIdentifiers: Span<UInt32>) -> Int {
    packetSize(remainingLength: remainingLength(subscriptionIdentifiers)) - payload.byteCount
  }

  /// Size of the whole packet.
  package func encodedSize(subscriptionIdentifiers: Span<UInt32>) -> Int {
    packetSize(remainingLength: remainingLength(subscriptionIdentifiers))
  }

  /// Writes everything in front of the payload to the start of `out`; returns its size. Traps
  /// when it does not fit. Identifiers are left out before 5.0.
  @discardableResult
  @_lifetime(out: copy out)
  package func writeHeader(
    into out: inout MutableRawSpan, subscriptionIdentifiers: Span<UInt32>
  ) -> Int {
    var at = out.put(.publish, remainingLength: remainingLength(subscriptionIdentifiers))
    at = out.put(string: topic, at: at)
    guard version == .v5 else { return at }
    at = out.put(variable: propertiesSize(subscriptionIdentifiers), at: at)
    for i in subscriptionIdentifiers.indices {
      let property = Property(.subscriptionIdentifier, subscriptionIdentifiers[i])
      at = property.write(into: &out, at: at)
    }
    let list = PropertyIterator(checked: properties)
    at = Self.forward(list, into: &out, at: at)
    if let messageExpiryInterval {
      at = Property(.messageExpiryInterval, messageExpiryInterval).write(into: &out, at: at)
    }
    return at
  }

  /// Writes the whole packet to the start of `out`; returns its size. Traps when it does not fit.
  @discardableResult
  @_lifetime(out: copy out)
  package func write(
    into out: inout MutableRawSpan, subscriptionIdentifiers: Span<UInt32>
  ) -> Int {
    out.put(
      payload, at: writeHeader(into: &out, subscriptionIdentifiers: subscriptionIdentifiers))
  }

  private func propertiesSize(_ identifiers: Span<UInt32>) -> Int {
    var size = forwarded + (messageExpiryInterval == nil ? 0 : 5)
    for i in identifiers.indices {
      size += 1 + VariableByteInteger.size(Int(identifiers[i]))
    }
    return size
  }

  private func remainingLength(_ identifiers: Span<UInt32>) -> Int {
    let fixed = 2 + topic.byteCount + payload.byteCount
    guard version == .v5 else { return fixed }
    let size = propertiesSize(identifiers)
    return fixed + VariableByteInteger.size(size) + size
  }

  @_lifetime(out: copy out)
  private static func forward(
    _ list: consuming PropertyIterator, into out: inout MutableRawSpan, at offset: Int
  ) -> Int {
    var at = offset
    while let property = list.next() {
      if property.identifier.isForwarded { at = property.write(into: &out, at: at) }
    }
    return at
  }
}

extension PropertyIdentifier {
  /// Section 3.3.2.3: what a server passes on unaltered with a message.
  fileprivate var isForwarded: Bool {
    switch self {
    case .topicAlias, .subscriptionIdentifier, .messageExpiryInterval: false
    default: true
    }
  }
}
