import DPUCore

/// One property: read from a packet, or made to be written into one.
package struct Property: ~Escapable {
  package let identifier: PropertyIdentifier
  /// The value of the kinds with a number; 0 otherwise.
  package let integer: UInt32
  /// The name of a user property; empty otherwise.
  package let name: RawSpan
  /// The value of the kinds with bytes; empty otherwise.
  package let value: RawSpan

  /// A property with a number. Traps when `identifier` holds something else.
  @_lifetime(immortal)
  package init(_ identifier: PropertyIdentifier, _ integer: UInt32) {
    switch identifier.kind {
    case .flag, .twoBytes, .fourBytes, .variable: break
    case .string, .binary, .stringPair: invariant(false, "this property holds bytes")
    }
    self.identifier = identifier
    self.integer = integer
    name = RawSpan()
    value = RawSpan()
  }

  /// A property with a string or binary data. Traps when `identifier` holds a number.
  @_lifetime(copy value)
  package init(_ identifier: PropertyIdentifier, _ value: RawSpan) {
    invariant(
      identifier.kind == .string || identifier.kind == .binary, "this property holds no string")
    self.identifier = identifier
    integer = 0
    name = RawSpan()
    self.value = value
  }

  /// A user property.
  @_lifetime(copy name, copy value)
  package init(user name: RawSpan, _ value: RawSpan) {
    identifier = .userProperty
    integer = 0
    self.name = name
    self.value = value
  }

  @_lifetime(copy bytes)
  fileprivate init(_ raw: RawProperty, in bytes: RawSpan) {
    identifier = raw.identifier
    integer = raw.integer
    name = bytes.extracting(raw.name)
    value = bytes.extracting(raw.value)
  }

  package var encodedSize: Int {
    switch identifier.kind {
    case .flag: 2
    case .twoBytes: 3
    case .fourBytes: 5
    case .variable: 1 + VariableByteInteger.size(Int(integer))
    case .string, .binary: 3 + value.byteCount
    case .stringPair: 5 + name.byteCount + value.byteCount
    }
  }

  /// Writes it at `offset`; returns the offset behind it. Traps when there is no room, or when
  /// a number or string is too large for its field.
  @_lifetime(out: copy out)
  package func write(into out: inout MutableRawSpan, at offset: Int) -> Int {
    let at = out.put(identifier.rawValue, at: offset)
    switch identifier.kind {
    case .flag: return out.put(UInt8(integer), at: at)
    case .twoBytes: return out.put(UInt16(integer), at: at)
    case .fourBytes: return out.put(integer, at: at)
    case .variable: return out.put(variable: Int(integer), at: at)
    case .string, .binary: return out.put(string: value, at: at)
    case .stringPair: return out.put(string: value, at: out.put(string: name, at: at))
    }
  }
}

/// The properties of one packet, without the length in front. Checked once.
package struct PropertyList: ~Escapable {
  /// As they stand in the packet, for forwarding.
  package let bytes: RawSpan
  /// One bit for each identifier that occurs.
  private let present: UInt64

  /// No properties: what a packet before 5.0 has.
  @_lifetime(immortal)
  init() {
    bytes = RawSpan()
    present = 0
  }

  /// Accepts the property section that `reader` stands before; there is none before 5.0.
  @_lifetime(copy reader)
  init(
    _ reader: inout FieldReader, _ section: PropertySection, from sender: Sender,
    _ version: ProtocolVersion
  ) throws(PacketFailure) {
    guard version == .v5 else {
      self = PropertyList()
      return
    }
    let length = try reader.variable()
    guard length <= reader.remaining else { throw .propertyLength }
    let range = try reader.skip(length)
    let bytes = reader.bytes.extracting(range)
    self = PropertyList(bytes, present: try Self.check(bytes, section, from: sender))
  }

  @_lifetime(copy bytes)
  private init(_ bytes: RawSpan, present: UInt64) {
    self.bytes = bytes
    self.present = present
  }

  package var isEmpty: Bool { present == 0 }

  package func contains(_ identifier: PropertyIdentifier) -> Bool {
    present & identifier.bit != 0
  }

  /// The number of `identifier`; nil when it does not occur. The first of several.
  package func integer(_ identifier: PropertyIdentifier) -> UInt32? {
    guard contains(identifier) else { return nil }
    var properties = makeIterator()
    while let property = properties.next() {
      if property.identifier == identifier { return property.integer }
    }
    return nil
  }

  /// The bytes of `identifier`; nil when it does not occur. The first of several.
  @_lifetime(copy self)
  package func value(_ identifier: PropertyIdentifier) -> RawSpan? {
    guard contains(identifier) else { return nil }
    var properties = makeIterator()
    while let property = properties.next() {
      if property.identifier == identifier { return property.value }
    }
    return nil
  }

  /// All of them in order.
  @_lifetime(copy self)
  package func makeIterator() -> PropertyIterator { PropertyIterator(checked: bytes) }

  /// Every property well formed, allowed here, not repeated; returns which occur.
  private static func check(
    _ bytes: RawSpan, _ section: PropertySection, from sender: Sender
  ) throws(PacketFailure) -> UInt64 {
    var present: UInt64 = 0
    var reader = FieldReader(bytes, 0..<bytes.byteCount)
    while reader.remaining > 0 {
      let property = try RawProperty(&reader)
      let identifier = property.identifier
      guard identifier.isAllowed(in: section, from: sender) else { throw .propertyNotAllowed }
      guard present & identifier.bit == 0 || identifier.mayRepeat(in: section) else {
        throw .propertyDuplicate
      }
      if let failure = property.valueFailure(in: bytes) { throw failure }
      if identifier == .subscriptionIdentifier, section == .publish, sender == .client {
        throw .subscriptionIdentifierFromClient
      }
      present |= identifier.bit
    }
    // Sections 3.1.2.11.10, 3.2.2.3.18 and 3.15.2.2.3.
    if present & PropertyIdentifier.authenticationData.bit != 0,
      present & PropertyIdentifier.authenticationMethod.bit == 0
    {
      throw .authenticationMethodMissing
    }
    return present
  }
}

/// Walks a checked property section.
package struct PropertyIterator: ~Escapable {
  private var reader: FieldReader

  @_lifetime(copy bytes)
  init(checked bytes: RawSpan) { reader = FieldReader(bytes, 0..<bytes.byteCount) }

  /// Offset of the next property within the section.
  package var position: Int { reader.position }

  @_lifetime(copy self)
  @_lifetime(self: copy self)
  package mutating func next() -> Property? {
    // Nothing is left to fail after the check; without it, the walk would just end.
    guard reader.remaining > 0, let raw = try? RawProperty(&reader) else { return nil }
    return Property(raw, in: reader.bytes)
  }
}

extension PropertyIdentifier {
  fileprivate var bit: UInt64 { 1 << UInt64(rawValue) }
}

/// A property as ranges of its section.
private struct RawProperty {
  let identifier: PropertyIdentifier
  var integer: UInt32 = 0
  var name = 0..<0
  var value = 0..<0

  init(_ reader: inout FieldReader) throws(PacketFailure) {
    // An identifier is a variable byte integer; all that exist take one byte.
    guard let identifier = PropertyIdentifier(rawValue: try reader.uint8()) else {
      throw .propertyUnknown
    }
    self.identifier = identifier
    switch identifier.kind {
    case .flag: integer = UInt32(try reader.uint8())
    case .twoBytes: integer = UInt32(try reader.uint16())
    case .fourBytes: integer = try reader.uint32()
    case .variable: integer = UInt32(try reader.variable())
    case .string: value = try reader.string()
    case .binary: value = try reader.binary()
    case .stringPair:
      name = try reader.string()
      value = try reader.string()
    }
  }

  /// Values that the specification calls errors.
  func valueFailure(in bytes: RawSpan) -> PacketFailure? {
    switch identifier {
    case .topicAlias: integer == 0 ? .topicAliasZero : nil
    case .subscriptionIdentifier: integer == 0 ? .subscriptionIdentifierZero : nil
    case .receiveMaximum, .maximumPacketSize: integer == 0 ? .propertyValue : nil
    case .responseTopic:
      TopicSyntax.containsWildcard(bytes.extracting(value)) ? .responseTopicWildcard : nil
    default: identifier.kind == .flag && integer > 1 ? .propertyValue : nil
    }
  }
}
