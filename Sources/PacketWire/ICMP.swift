import DPUCore

/// An ICMP message for IPv4 (RFC 792) with a right checksum.
package struct ICMPView: ~Escapable {
  enum Offset { static let type = 0, code = 1, checksum = 2, rest = 4, data = 8 }

  package static let echoReply: UInt8 = 0
  package static let echoRequest: UInt8 = 8

  private let bytes: RawSpan

  @_lifetime(copy bytes)
  package init(_ bytes: RawSpan) throws(ParseFailure) {
    guard bytes.byteCount >= Offset.data else { throw .truncated }
    var sum = InternetChecksum()
    sum.add(bytes)
    guard sum.checksum == 0 else { throw .badChecksum }
    self.bytes = bytes
  }

  package var type: UInt8 { bytes.byte(at: Offset.type) }
  package var code: UInt8 { bytes.byte(at: Offset.code) }
  package var identifier: UInt16 { bytes.beUInt16(at: Offset.rest) }
  package var sequence: UInt16 { bytes.beUInt16(at: Offset.rest + 2) }
  /// Identifier, sequence number and data of an echo: what a reply gives back unchanged.
  package var echoed: RawSpan {
    @_lifetime(copy self) get { bytes.extracting(Offset.rest..<bytes.byteCount) }
  }
}

/// An ICMPv6 message (RFC 4443) with a right checksum; with the fields of neighbour discovery
/// (RFC 4861 §4.3, §4.4).
package struct ICMPv6View: ~Escapable {
  enum Offset {
    static let type = 0, code = 1, checksum = 2, rest = 4, target = 8, options = 24
  }

  package static let echoRequest: UInt8 = 128
  package static let echoReply: UInt8 = 129
  package static let neighbourSolicitation: UInt8 = 135
  package static let neighbourAdvertisement: UInt8 = 136

  private let bytes: RawSpan

  /// `source` and `destination` are those of the IPv6 header, for the pseudo header.
  @_lifetime(copy bytes)
  package init(
    _ bytes: RawSpan, source: IPAddress, destination: IPAddress
  ) throws(ParseFailure) {
    guard bytes.byteCount >= Offset.target else { throw .truncated }
    var sum = InternetChecksum(
      from: source, to: destination, protocolNumber: IPProtocol.icmpv6)
    sum.add(UInt32(bytes.byteCount))
    sum.add(bytes)
    guard sum.checksum == 0 else { throw .badChecksum }
    self.bytes = bytes
  }

  package var type: UInt8 { bytes.byte(at: Offset.type) }
  package var code: UInt8 { bytes.byte(at: Offset.code) }
  /// Identifier, sequence number and data of an echo.
  package var echoed: RawSpan {
    @_lifetime(copy self) get { bytes.extracting(Offset.rest..<bytes.byteCount) }
  }

  /// A neighbour solicitation or advertisement, nil when it is shorter than its fixed part or
  /// an option has no length.
  package var neighbour: NeighbourMessage? {
    guard bytes.byteCount >= Offset.options else { return nil }
    let flags = bytes.byte(at: Offset.rest)
    var message = NeighbourMessage(
      target: bytes.ipv6Address(at: Offset.target), linkAddress: nil,
      isRouter: flags & 0x80 != 0, isSolicited: flags & 0x40 != 0, overrides: flags & 0x20 != 0)
    // Source link-layer address in a solicitation, target's in an advertisement.
    let wanted: UInt8 = type == Self.neighbourSolicitation ? 1 : 2
    var offset = Offset.options
    while offset + 8 <= bytes.byteCount {
      let length = Int(bytes.byte(at: offset + 1)) * 8
      // "Nodes MUST silently discard an ND packet that contains an option with length zero."
      guard length > 0, offset + length <= bytes.byteCount else { return nil }
      if bytes.byte(at: offset) == wanted {
        message.linkAddress = bytes.macAddress(at: offset + 2)
      }
      offset += length
    }
    return message
  }
}

/// The contents of a neighbour solicitation or advertisement.
package struct NeighbourMessage: Equatable, BitwiseCopyable {
  package var target: IPAddress
  package var linkAddress: MACAddress?
  package var isRouter = false
  package var isSolicited = false
  package var overrides = false

  package init(
    target: IPAddress, linkAddress: MACAddress?, isRouter: Bool = false, isSolicited: Bool = false,
    overrides: Bool = false
  ) {
    self.target = target
    self.linkAddress = linkAddress
    self.isRouter = isRouter
    self.isSolicited = isSolicited
    self.overrides = overrides
  }

  /// Bytes written by `write`.
  package var byteCount: Int { linkAddress == nil ? 24 : 32 }

  /// Writes the ICMPv6 message of `type`, checksum included, at `start`.
  @_lifetime(frame: copy frame)
  package func write(
    into frame: inout MutableRawSpan, at start: Int, type: UInt8, from source: IPAddress,
    to destination: IPAddress
  ) {
    let solicitation = type == ICMPv6View.neighbourSolicitation
    let flags: UInt32 =
      solicitation ? 0 : (isRouter ? 4 : 0) | (isSolicited ? 2 : 0) | (overrides ? 1 : 0)
    frame.storeBE(UInt32(type) << 24, at: start)
    frame.storeBE(flags << 29, at: start + ICMPv6View.Offset.rest)
    frame.store(target, at: start + ICMPv6View.Offset.target)
    if let linkAddress {
      frame.storeBE(
        UInt16(solicitation ? 0x0101 : 0x0201), at: start + ICMPv6View.Offset.options)
      frame.store(linkAddress, at: start + ICMPv6View.Offset.options + 2)
    }
    frame.storeICMPv6Checksum(at: start, count: byteCount, from: source, to: destination)
  }
}

extension MutableRawSpan {
  /// Writes an echo reply (`type` of ICMP or ICMPv6) without its checksum.
  @_lifetime(self: copy self)
  package mutating func storeEchoReply(type: UInt8, echoed: RawSpan, at start: Int) {
    storeBE(UInt32(type) << 24, at: start)
    copy(echoed, at: start + ICMPView.Offset.rest)
  }

  /// Sets the checksum of the ICMP message of `count` bytes at `start`.
  @_lifetime(self: copy self)
  package mutating func storeICMPChecksum(at start: Int, count: Int) {
    storeBE(UInt16(0), at: start + ICMPView.Offset.checksum)
    var sum = InternetChecksum()
    sum.add(bytes.extracting(start..<start + count))
    storeBE(sum.checksum, at: start + ICMPView.Offset.checksum)
  }

  /// Sets the checksum of the ICMPv6 message of `count` bytes at `start`.
  @_lifetime(self: copy self)
  package mutating func storeICMPv6Checksum(
    at start: Int, count: Int, from source: IPAddress, to destination: IPAddress
  ) {
    storeBE(UInt16(0), at: start + ICMPv6View.Offset.checksum)
    var sum = InternetChecksum(
      from: source, to: destination, protocolNumber: IPProtocol.icmpv6)
    sum.add(UInt32(count))
    sum.add(bytes.extracting(start..<start + count))
    storeBE(sum.checksum, at: start + ICMPv6View.Offset.checksum)
  }
}
