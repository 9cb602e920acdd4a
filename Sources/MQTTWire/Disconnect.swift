import DPUCore

/// DISCONNECT (section 3.14) and AUTH (section 3.15): a reason and properties.
package struct ReasonView: ~Escapable {
  /// The whole packet.
  package let bytes: RawSpan
  package let type: PacketType
  /// `.success` before 5.0: a normal disconnection.
  package let reasonCode: ReasonCode
  package let properties: PropertyList

  /// Accepts the packet of `type`, DISCONNECT or AUTH, at the start of `bytes`.
  @_lifetime(copy bytes)
  package init(
    _ bytes: RawSpan, _ type: PacketType, version: ProtocolVersion, from sender: Sender
  ) throws(PacketFailure) {
    guard type == .disconnect || type == .auth else { throw .unexpectedPacketType }
    let header = try FixedHeader(bytes, expecting: type, version: version, from: sender)
    var reader = FieldReader(bytes, header.headerLength..<header.totalLength)
    if version == .v5, reader.remaining > 0 {
      reasonCode = try reader.reasonCode(type, sender)
      // Section 3.14.2.2.1: a DISCONNECT may end behind the code; an AUTH may not.
      if type == .auth || reader.remaining > 0 {
        properties = try PropertyList(
          &reader, type == .auth ? .auth : .disconnect, from: sender, version)
        // Section 3.15.2.2.2.
        guard type != .auth || properties.contains(.authenticationMethod) else {
          throw .authenticationMethodMissing
        }
      } else {
        properties = PropertyList()
      }
    } else {
      reasonCode = .success
      properties = PropertyList()
    }
    try reader.finish()
    self.type = type
    self.bytes = bytes.extracting(0..<header.totalLength)
  }
}

/// A DISCONNECT or AUTH to be written.
package struct Reason: ~Escapable {
  package let type: PacketType
  /// Written for 5.0 only, and only when it says something.
  package var reasonCode: ReasonCode
  /// Encoded properties, written for 5.0 only.
  package var properties: RawSpan

  @_lifetime(copy properties)
  package init(
    _ type: PacketType, _ reasonCode: ReasonCode = .success, properties: RawSpan = RawSpan()
  ) {
    invariant(type == .disconnect || type == .auth, "only DISCONNECT and AUTH hold these fields")
    self.type = type
    self.reasonCode = reasonCode
    self.properties = properties
  }

  package func encodedSize(_ version: ProtocolVersion) -> Int {
    packetSize(remainingLength: reasonSize(reasonCode, properties, version))
  }

  /// Writes the packet to the start of `out`; returns its size. Traps when it does not fit.
  @discardableResult
  @_lifetime(out: copy out)
  package func write(into out: inout MutableRawSpan, _ version: ProtocolVersion) -> Int {
    let at = out.put(type, remainingLength: reasonSize(reasonCode, properties, version))
    return out.put(reason: reasonCode, properties, version, at: at)
  }
}

/// The size of a reason code and properties that are left out when they say nothing.
func reasonSize(_ code: ReasonCode, _ properties: RawSpan, _ version: ProtocolVersion) -> Int {
  guard version == .v5, code != .success || properties.byteCount > 0 else { return 0 }
  return 1 + propertySectionSize(properties, version)
}

extension MutableRawSpan {
  /// A reason code and properties, left out when they say nothing.
  @_lifetime(self: copy self)
  mutating func put(
    reason code: ReasonCode, _ properties: RawSpan, _ version: ProtocolVersion, at offset: Int
  ) -> Int {
    guard reasonSize(code, properties, version) > 0 else { return offset }
    return put(properties: properties, version, at: put(code.rawValue, at: offset))
  }
}
