import DPUCore

/// Reads the fields of one packet from front to back; every read is checked against its end.
///
/// Strings and binary data come back as ranges within the packet, for a view to keep.
struct FieldReader: ~Escapable {
  let bytes: RawSpan
  private(set) var position: Int
  private let end: Int

  /// Reads `range` of `bytes`, which must lie within.
  @_lifetime(copy bytes)
  init(_ bytes: RawSpan, _ range: Range<Int>) {
    self.bytes = bytes
    position = range.lowerBound
    end = range.upperBound
  }

  var remaining: Int { end - position }

  @_lifetime(self: copy self)
  mutating func uint8() throws(PacketFailure) -> UInt8 {
    guard remaining >= 1 else { throw .fieldTruncated }
    let value = bytes.byte(at: position)
    position += 1
    return value
  }

  @_lifetime(self: copy self)
  mutating func uint16() throws(PacketFailure) -> UInt16 {
    guard remaining >= 2 else { throw .fieldTruncated }
    let value = bytes.beUInt16(at: position)
    position += 2
    return value
  }

  @_lifetime(self: copy self)
  mutating func uint32() throws(PacketFailure) -> UInt32 {
    guard remaining >= 4 else { throw .fieldTruncated }
    let value = bytes.beUInt32(at: position)
    position += 4
    return value
  }

  /// Section 1.5.5, in its shortest form only.
  @_lifetime(self: copy self)
  mutating func variable() throws(PacketFailure) -> Int {
    var value = 0
    for index in 0..<4 {
      let byte = try uint8()
      value |= Int(byte & 0x7f) << (7 * index)
      if byte & 0x80 == 0 {
        guard VariableByteInteger.size(value) == index + 1 else { throw .lengthNotMinimal }
        return value
      }
    }
    throw .remainingLengthTooLong
  }

  /// Two bytes of length and as many bytes (section 1.5.6).
  @_lifetime(self: copy self)
  mutating func binary() throws(PacketFailure) -> Range<Int> {
    let count = Int(try uint16())
    return try skip(count)
  }

  /// The same, well-formed UTF-8 (section 1.5.4).
  @_lifetime(self: copy self)
  mutating func string() throws(PacketFailure) -> Range<Int> {
    let range = try binary()
    if let failure = UTF8Check.failure(in: bytes.extracting(range)) { throw failure }
    return range
  }

  /// A topic filter (sections 4.7 and 4.8).
  @_lifetime(self: copy self)
  mutating func topicFilter(_ version: ProtocolVersion) throws(PacketFailure) -> Range<Int> {
    let range = try binary()
    let filter = bytes.extracting(range)
    if let failure = TopicSyntax.filterFailure(filter, sharing: version == .v5) { throw failure }
    return range
  }

  /// A packet identifier, which is never zero (MQTT-2.2.1-3).
  @_lifetime(self: copy self)
  mutating func packetIdentifier() throws(PacketFailure) -> UInt16 {
    let value = try uint16()
    guard value != 0 else { throw .packetIdentifierZero }
    return value
  }

  /// A reason code that `sender` may put into `type`.
  @_lifetime(self: copy self)
  mutating func reasonCode(
    _ type: PacketType, _ sender: Sender
  ) throws(PacketFailure) -> ReasonCode {
    guard let code = ReasonCode(rawValue: try uint8()), code.isAllowed(in: type, from: sender)
    else { throw .reasonCodeNotAllowed }
    return code
  }

  @_lifetime(self: copy self)
  mutating func skip(_ count: Int) throws(PacketFailure) -> Range<Int> {
    guard count <= remaining else { throw .fieldTruncated }
    let range = position..<position + count
    position += count
    return range
  }

  /// The packet must end here.
  func finish() throws(PacketFailure) {
    guard remaining == 0 else { throw .trailingBytes }
  }
}

/// Each stores one field at an offset and returns the offset behind it. They trap when the
/// target is too short: sizes are asked for first.
extension MutableRawSpan {
  @_lifetime(self: copy self)
  mutating func put(_ value: UInt8, at offset: Int) -> Int {
    storeByte(value, at: offset)
    return offset + 1
  }

  @_lifetime(self: copy self)
  mutating func put(_ value: UInt16, at offset: Int) -> Int {
    storeBE(value, at: offset)
    return offset + 2
  }

  @_lifetime(self: copy self)
  mutating func put(_ value: UInt32, at offset: Int) -> Int {
    storeBE(value, at: offset)
    return offset + 4
  }

  @_lifetime(self: copy self)
  mutating func put(variable value: Int, at offset: Int) -> Int {
    precondition(value >= 0 && value <= MQTTLimits.remainingLengthMax)
    var rest = value
    var position = offset
    repeat {
      let byte = UInt8(rest & 0x7f)
      rest >>= 7
      storeByte(rest > 0 ? byte | 0x80 : byte, at: position)
      position += 1
    } while rest > 0
    return position
  }

  @_lifetime(self: copy self)
  mutating func put(_ bytes: RawSpan, at offset: Int) -> Int {
    copy(bytes, at: offset)
    return offset + bytes.byteCount
  }

  /// With two bytes of length in front.
  @_lifetime(self: copy self)
  mutating func put(string bytes: RawSpan, at offset: Int) -> Int {
    precondition(bytes.byteCount <= MQTTLimits.stringMax)
    storeBE(UInt16(bytes.byteCount), at: offset)
    copy(bytes, at: offset + 2)
    return offset + 2 + bytes.byteCount
  }

  /// The fixed header.
  @_lifetime(self: copy self)
  mutating func put(_ type: PacketType, flags: UInt8 = 0, remainingLength: Int) -> Int {
    storeByte(type.rawValue << 4 | flags, at: 0)
    return put(variable: remainingLength, at: 1)
  }
}

/// The size of a packet with `remainingLength` bytes behind its fixed header.
func packetSize(remainingLength: Int) -> Int {
  1 + VariableByteInteger.size(remainingLength) + remainingLength
}

/// The size of a property section with its length in front; nothing before 5.0.
func propertySectionSize(_ properties: RawSpan, _ version: ProtocolVersion) -> Int {
  guard version == .v5 else { return 0 }
  return VariableByteInteger.size(properties.byteCount) + properties.byteCount
}

extension MutableRawSpan {
  /// A property section: length and encoded properties; nothing before 5.0.
  @_lifetime(self: copy self)
  mutating func put(
    properties: RawSpan, _ version: ProtocolVersion, at offset: Int
  ) -> Int {
    guard version == .v5 else { return offset }
    return put(properties, at: put(variable: properties.byteCount, at: offset))
  }
}
