import DPUCore

/// The first bytes of every packet: type, flags and remaining length (section 2.1).
package struct FixedHeader: Equatable, BitwiseCopyable, Sendable {
  package var type: PacketType
  /// The lower half of the first byte.
  package var flags: UInt8
  /// Bytes of the fixed header itself, 2 to 5.
  package var headerLength: Int
  package var remainingLength: Int
  /// The whole packet.
  package var totalLength: Int { headerLength + remainingLength }

  package init(type: PacketType, flags: UInt8, headerLength: Int, remainingLength: Int) {
    self.type = type
    self.flags = flags
    self.headerLength = headerLength
    self.remainingLength = remainingLength
  }
}

/// Finds packet boundaries in a stream.
package enum PacketFraming {
  package enum Scan: Equatable, BitwiseCopyable, Sendable {
    /// Not even the fixed header is whole.
    case incomplete
    /// The fixed header is whole, the packet is not: more than `byteCount` bytes will come.
    case partial(FixedHeader)
    /// A whole packet stands at the start; what follows it was not looked at.
    case packet(FixedHeader)
    /// No packet can start like this. The stream cannot be followed any further.
    case malformed(PacketFailure)
  }

  /// Looks at the packet that starts with `bytes`. Checks its type and length only; the views
  /// check flags and contents. Costs the same however long the packet is, so it can be repeated
  /// whenever more bytes have come.
  package static func scan(_ bytes: RawSpan) -> Scan {
    guard bytes.byteCount > 0 else { return .incomplete }
    let first = bytes.byte(at: 0)
    // "0: Reserved, forbidden" (section 2.1.2). AUTH is judged by its view, which knows the
    // version.
    guard let type = PacketType(rawValue: first >> 4) else {
      return .malformed(.reservedPacketType)
    }
    var value = 0
    var shift = 0
    var position = 1
    while true {
      guard position < MQTTLimits.fixedHeaderMax else { return .malformed(.remainingLengthTooLong) }
      guard position < bytes.byteCount else { return .incomplete }
      let byte = bytes.byte(at: position)
      value |= Int(byte & 0x7f) << shift
      position += 1
      if byte & 0x80 == 0 { break }
      shift += 7
    }
    let header = FixedHeader(
      type: type, flags: first & 0x0f, headerLength: position, remainingLength: value)
    return bytes.byteCount >= header.totalLength ? .packet(header) : .partial(header)
  }
}

extension FixedHeader {
  /// The header of the whole packet of `type` at the start of `bytes`, its flags and direction
  /// checked. The beginning of every view.
  init(
    _ bytes: RawSpan, expecting type: PacketType, version: ProtocolVersion, from sender: Sender
  ) throws(PacketFailure) {
    switch PacketFraming.scan(bytes) {
    case .incomplete, .partial: throw .packetIncomplete
    case .malformed(let failure): throw failure
    case .packet(let header):
      guard header.type == type else { throw .unexpectedPacketType }
      guard type.maySend(sender, version) else { throw .packetNotAllowed }
      guard header.flagsAreValid(version) else { throw .reservedFlags }
      // MQTT-1.5.5-1; 3.1.1 does not demand the shortest form.
      guard
        version != .v5
          || header.headerLength == 1 + VariableByteInteger.size(header.remainingLength)
      else { throw .lengthNotMinimal }
      self = header
    }
  }

  /// Table 2-2. PUBLISH carries its own meaning in the flags and checks them itself.
  private func flagsAreValid(_ version: ProtocolVersion) -> Bool {
    switch type {
    case .publish: true
    case .pubrel, .subscribe, .unsubscribe:
      // MQTT 3.1 uses DUP on these, and does not define RETAIN.
      version == .v31 ? flags & 0b0110 == 0b0010 : flags == 0b0010
    default:
      // MQTT 3.1: "DUP, QoS and RETAIN flags are not used".
      version == .v31 || flags == 0
    }
  }
}

/// Section 1.5.5: seven bits per byte, the lowest first.
package enum VariableByteInteger {
  /// Bytes that `value` takes, 1 to 4.
  @inline(__always)
  package static func size(_ value: Int) -> Int {
    switch value {
    case ..<128: 1
    case ..<16_384: 2
    case ..<2_097_152: 3
    default: 4
    }
  }
}
