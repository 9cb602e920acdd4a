import DPUCore

/// CONNACK (section 3.2), the broker's answer to CONNECT.
package struct ConnackView: ~Escapable {
  enum Flag { static let sessionPresent: UInt8 = 0x01 }
  /// Table 3.1 of MQTT 3.1.1: return codes 0 to 5.
  private static let returnCodeMax: UInt8 = 5

  /// The whole packet.
  package let bytes: RawSpan
  /// The broker holds a session of this client, with its subscriptions.
  package let sessionPresent: Bool
  /// A reason code for 5.0, a return code before; 0 accepts.
  package let code: UInt8
  /// What the broker announces, among it the limits of the connection.
  package let properties: PropertyList

  /// Accepts the packet at the start of `bytes`.
  @_lifetime(copy bytes)
  package init(_ bytes: RawSpan, version: ProtocolVersion) throws(PacketFailure) {
    let header = try FixedHeader(bytes, expecting: .connack, version: version, from: .server)
    var reader = FieldReader(bytes, header.headerLength..<header.totalLength)
    let flags = try reader.uint8()
    // MQTT 3.1 calls the whole byte "reserved, not used".
    guard version == .v31 || flags & ~Flag.sessionPresent == 0 else { throw .connackReservedFlags }
    sessionPresent = version != .v31 && flags & Flag.sessionPresent != 0
    if version == .v5 {
      code = try reader.reasonCode(.connack, .server).rawValue
    } else {
      code = try reader.uint8()
      guard code <= Self.returnCodeMax else { throw .reasonCodeNotAllowed }
    }
    guard code == 0 || !sessionPresent else { throw .sessionPresentOnRefusal }
    properties = try PropertyList(&reader, .connack, from: .server, version)
    try reader.finish()
    self.bytes = bytes.extracting(0..<header.totalLength)
  }

  package var isAccepted: Bool { code == 0 }
}

/// A CONNACK to be written.
package struct Connack: ~Escapable {
  package var sessionPresent: Bool
  /// A reason code for 5.0, a return code before.
  package var code: UInt8
  /// Encoded properties, written for 5.0 only.
  package var properties: RawSpan

  @_lifetime(copy properties)
  package init(sessionPresent: Bool = false, code: UInt8, properties: RawSpan = RawSpan()) {
    self.sessionPresent = sessionPresent
    self.code = code
    self.properties = properties
  }

  package func encodedSize(_ version: ProtocolVersion) -> Int {
    packetSize(remainingLength: 2 + propertySectionSize(properties, version))
  }

  /// Writes the packet to the start of `out`; returns its size. Traps when it does not fit.
  @discardableResult
  @_lifetime(out: copy out)
  package func write(into out: inout MutableRawSpan, _ version: ProtocolVersion) -> Int {
    var at = out.put(.connack, remainingLength: 2 + propertySectionSize(properties, version))
    at = out.put(sessionPresent ? ConnackView.Flag.sessionPresent : 0, at: at)
    at = out.put(code, at: at)
    return out.put(properties: properties, version, at: at)
  }
}
