import DPUCore

/// PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7), which have the same fields.
package struct AcknowledgementView: ~Escapable {
  /// The whole packet.
  package let bytes: RawSpan
  package let type: PacketType
  package let packetIdentifier: UInt16
  /// `.success` before 5.0.
  package let reasonCode: ReasonCode
  package let properties: PropertyList

  /// Accepts the packet of `type` at the start of `bytes`.
  @_lifetime(copy bytes)
  package init(
    _ bytes: RawSpan, _ type: PacketType, version: ProtocolVersion, from sender: Sender
  ) throws(PacketFailure) {
    guard type.isAcknowledgement else { throw .unexpectedPacketType }
    let header = try FixedHeader(bytes, expecting: type, version: version, from: sender)
    var reader = FieldReader(bytes, header.headerLength..<header.totalLength)
    packetIdentifier = try reader.packetIdentifier()
    // Section 3.4.2.1: both the code and the properties can be left out.
    let hasCode = version == .v5 && reader.remaining > 0
    reasonCode = hasCode ? try reader.reasonCode(type, sender) : .success
    properties =
      version == .v5 && reader.remaining > 0
      ? try PropertyList(&reader, .acknowledgement, from: sender, version) : PropertyList()
    try reader.finish()
    self.type = type
    self.bytes = bytes.extracting(0..<header.totalLength)
  }
}

extension PacketType {
  fileprivate var isAcknowledgement: Bool {
    self == .puback || self == .pubrec || self == .pubrel || self == .pubcomp
  }
}

/// One of the four to be written.
package struct Acknowledgement: ~Escapable {
  package let type: PacketType
  package var packetIdentifier: UInt16
  /// Written for 5.0 only, and only when it says something.
  package var reasonCode: ReasonCode
  /// Encoded properties, written for 5.0 only.
  package var properties: RawSpan

  @_lifetime(copy properties)
  package init(
    _ type: PacketType, packetIdentifier: UInt16, reasonCode: ReasonCode = .success,
    properties: RawSpan = RawSpan()
  ) {
    invariant(type.isAcknowledgement, "only PUBACK, PUBREC, PUBREL and PUBCOMP hold these fields")
    self.type = type
    self.packetIdentifier = packetIdentifier
    self.reasonCode = reasonCode
    self.properties = properties
  }

  package func encodedSize(_ version: ProtocolVersion) -> Int {
    packetSize(remainingLength: 2 + reasonSize(reasonCode, properties, version))
  }

  /// Writes the packet to the start of `out`; returns its size. Traps when it does not fit.
  @discardableResult
  @_lifetime(out: copy out)
  package func write(into out: inout MutableRawSpan, _ version: ProtocolVersion) -> Int {
    let flags: UInt8 = type == .pubrel ? 2 : 0
    var at = out.put(
      type, flags: flags, remainingLength: 2 + reasonSize(reasonCode, properties, version))
    at = out.put(packetIdentifier, at: at)
    return out.put(reason: reasonCode, properties, version, at: at)
  }
}
