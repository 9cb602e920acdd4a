import DPUCore

/// UNSUBSCRIBE (section 3.10).
package struct UnsubscribeView: ~Escapable {
  /// The whole packet.
  package let bytes: RawSpan
  package let version: ProtocolVersion
  package let packetIdentifier: UInt16
  package let properties: PropertyList
  /// How many filters it names, at least one.
  package let count: Int
  private let payloadStart: Int

  /// Accepts the packet at the start of `bytes`.
  @_lifetime(copy bytes)
  package init(_ bytes: RawSpan, version: ProtocolVersion) throws(PacketFailure) {
    let header = try FixedHeader(bytes, expecting: .unsubscribe, version: version, from: .client)
    var reader = FieldReader(bytes, header.headerLength..<header.totalLength)
    packetIdentifier = try reader.packetIdentifier()
    properties = try PropertyList(&reader, .unsubscribe, from: .client, version)
    payloadStart = reader.position
    var count = 0
    while reader.remaining > 0 {
      _ = try reader.topicFilter(version)
      count += 1
    }
    // MQTT-3.10.3-2.
    guard count > 0 else { throw .nothingSubscribed }
    self.count = count
    self.version = version
    self.bytes = bytes.extracting(0..<header.totalLength)
  }

  /// The filters in order.
  @_lifetime(copy self)
  package func makeIterator() -> FilterIterator { FilterIterator(checked: bytes, payloadStart) }
}

/// Walks the filters of a checked UNSUBSCRIBE.
package struct FilterIterator: ~Escapable {
  private var reader: FieldReader

  @_lifetime(copy bytes)
  fileprivate init(checked bytes: RawSpan, _ start: Int) {
    reader = FieldReader(bytes, start..<bytes.byteCount)
  }

  @_lifetime(copy self)
  @_lifetime(self: copy self)
  package mutating func next() -> RawSpan? {
    guard reader.remaining > 0, let range = try? reader.binary() else { return nil }
    return reader.bytes.extracting(range)
  }
}

/// An UNSUBSCRIBE to be written.
package struct Unsubscribe: ~Escapable {
  package var packetIdentifier: UInt16
  /// Encoded properties, written for 5.0 only.
  package var properties: RawSpan
  /// Filters with two bytes of length in front of each, as `write(filter:into:at:)` makes them.
  package var filters: RawSpan

  @_lifetime(copy filters, copy properties)
  package init(packetIdentifier: UInt16, filters: RawSpan, properties: RawSpan = RawSpan()) {
    self.packetIdentifier = packetIdentifier
    self.filters = filters
    self.properties = properties
  }

  /// Writes one filter at `offset`; returns the offset behind it. Traps when there is no room.
  @_lifetime(out: copy out)
  package static func write(
    filter: RawSpan, into out: inout MutableRawSpan, at offset: Int
  ) -> Int {
    out.put(string: filter, at: offset)
  }

  package func encodedSize(_ version: ProtocolVersion) -> Int {
    packetSize(remainingLength: remainingLength(version))
  }

  /// Writes the packet to the start of `out`; returns its size. Traps when it does not fit.
  @discardableResult
  @_lifetime(out: copy out)
  package func write(into out: inout MutableRawSpan, _ version: ProtocolVersion) -> Int {
    var at = out.put(.unsubscribe, flags: 2, remainingLength: remainingLength(version))
    at = out.put(packetIdentifier, at: at)
    at = out.put(properties: properties, version, at: at)
    return out.put(filters, at: at)
  }

  private func remainingLength(_ version: ProtocolVersion) -> Int {
    2 + propertySectionSize(properties, version) + filters.byteCount
  }
}
