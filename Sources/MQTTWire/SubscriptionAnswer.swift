import DPUCore

/// SUBACK (section 3.9) and UNSUBACK (section 3.11): an identifier and a code for each filter.
package struct SubscriptionAnswerView: ~Escapable {
  /// The code of MQTT 3.1.1 for a subscription that was refused.
  private static let refused: UInt8 = 0x80

  /// The whole packet.
  package let bytes: RawSpan
  package let type: PacketType
  package let packetIdentifier: UInt16
  package let properties: PropertyList
  private let codesStart: Int

  /// Accepts the packet of `type`, SUBACK or UNSUBACK, at the start of `bytes`.
  @_lifetime(copy bytes)
  package init(
    _ bytes: RawSpan, _ type: PacketType, version: ProtocolVersion
  ) throws(PacketFailure) {
    guard type == .suback || type == .unsuback else { throw .unexpectedPacketType }
    let header = try FixedHeader(bytes, expecting: type, version: version, from: .server)
    var reader = FieldReader(bytes, header.headerLength..<header.totalLength)
    packetIdentifier = try reader.packetIdentifier()
    properties = try PropertyList(&reader, .acknowledgement, from: .server, version)
    codesStart = reader.position
    self.type = type
    self.bytes = bytes.extracting(0..<header.totalLength)
    // Before 5.0 an UNSUBACK has no payload.
    if type == .unsuback, version != .v5 {
      try reader.finish()
      return
    }
    guard reader.remaining > 0 else { throw .reasonCodesMissing }
    while reader.remaining > 0 {
      if version == .v5 {
        _ = try reader.reasonCode(type, .server)
      } else {
        // MQTT-3.9.3-2. MQTT 3.1 has no code for a refusal, but brokers send it.
        let code = try reader.uint8()
        guard QoS(rawValue: code) != nil || code == Self.refused else {
          throw .reasonCodeNotAllowed
        }
      }
    }
  }

  /// Codes in the packet, one for each filter of the request; 0 for an UNSUBACK before 5.0.
  package var count: Int { bytes.byteCount - codesStart }

  /// The code for filter `index`; nil behind the last one.
  package func code(at index: Int) -> UInt8? {
    guard index >= 0, index < count else { return nil }
    return bytes.byte(at: codesStart + index)
  }

  /// The QoS granted for filter `index` by a SUBACK; nil when it was refused.
  package func grantedQoS(at index: Int) -> QoS? {
    guard type == .suback, let code = code(at: index) else { return nil }
    return QoS(rawValue: code)
  }
}

/// A SUBACK or UNSUBACK to be written.
package struct SubscriptionAnswer: ~Escapable {
  package let type: PacketType
  package var packetIdentifier: UInt16
  /// One byte for each filter; left out of an UNSUBACK before 5.0.
  package var codes: RawSpan
  /// Encoded properties, written for 5.0 only.
  package var properties: RawSpan

  @_lifetime(copy codes, copy properties)
  package init(
    _ type: PacketType, packetIdentifier: UInt16, codes: RawSpan,
    properties: RawSpan = RawSpan()
  ) {
    invariant(type == .suback || type == .unsuback, "only SUBACK and UNSUBACK hold these fields")
    self.type = type
    self.packetIdentifier = packetIdentifier
    self.codes = codes
    self.properties = properties
  }

  package func encodedSize(_ version: ProtocolVersion) -> Int {
    packetSize(remainingLength: remainingLength(version))
  }

  /// Writes the packet to the start of `out`; returns its size. Traps when it does not fit.
  @discardableResult
  @_lifetime(out: copy out)
  package func write(into out: inout MutableRawSpan, _ version: ProtocolVersion) -> Int {
    var at = out.put(type, remainingLength: remainingLength(version))
    at = out.put(packetIdentifier, at: at)
    at = out.put(properties: properties, version, at: at)
    return hasCodes(version) ? out.put(codes, at: at) : at
  }

  private func hasCodes(_ version: ProtocolVersion) -> Bool { type == .suback || version == .v5 }

  private func remainingLength(_ version: ProtocolVersion) -> Int {
    2 + propertySectionSize(properties, version) + (hasCodes(version) ? codes.byteCount : 0)
  }
}
