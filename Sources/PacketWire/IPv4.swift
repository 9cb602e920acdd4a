import DPUCore

package enum IPProtocol {
  package static let icmp: UInt8 = 1
  package static let tcp: UInt8 = 6
  package static let udp: UInt8 = 17
  package static let icmpv6: UInt8 = 58
}

/// An IPv4 packet (RFC 791) whose lengths and header checksum are right; trailing bytes of a
/// padded frame are cut off. Header options are skipped, not interpreted.
package struct IPv4View: ~Escapable {
  enum Offset {
    static let versionAndLength = 0, typeOfService = 1, totalLength = 2, identification = 4
    static let fragment = 6, timeToLive = 8, `protocol` = 9, checksum = 10, source = 12
    static let destination = 16, end = 20
  }

  private let bytes: RawSpan
  private let headerLength: Int

  @inline(__always)
  @_lifetime(copy bytes)
  package init(_ bytes: RawSpan) throws(ParseFailure) {
    guard bytes.byteCount >= Offset.end else { throw .truncated }
    let first = bytes.byte(at: Offset.versionAndLength)
    guard first >> 4 == 4 else { throw .badVersion }
    let headerLength = Int(first & 15) * 4
    guard headerLength >= Offset.end, headerLength <= bytes.byteCount else {
      throw .badHeaderLength
    }
    let totalLength = Int(bytes.beUInt16(at: Offset.totalLength))
    guard totalLength >= headerLength, totalLength <= bytes.byteCount else { throw .badLength }
    var sum = InternetChecksum()
    sum.add(bytes.extracting(0..<headerLength))
    guard sum.checksum == 0 else { throw .badChecksum }
    self.bytes = bytes.extracting(0..<totalLength)
    self.headerLength = headerLength
  }

  package var identification: UInt16 { bytes.beUInt16(at: Offset.identification) }
  /// Part of a datagram that was cut up: more fragments follow, or it does not start at zero.
  package var isFragment: Bool { bytes.beUInt16(at: Offset.fragment) & 0x3fff != 0 }
  package var timeToLive: UInt8 { bytes.byte(at: Offset.timeToLive) }
  package var protocolNumber: UInt8 { bytes.byte(at: Offset.protocol) }
  package var source: IPAddress { bytes.ipv4Address(at: Offset.source) }
  package var destination: IPAddress { bytes.ipv4Address(at: Offset.destination) }
  package var payload: RawSpan {
    @_lifetime(copy self) get { bytes.extracting(headerLength..<bytes.byteCount) }
  }
}

package struct IPv4Header: BitwiseCopyable {
  package static let byteCount = 20

  package var source: IPAddress
  package var destination: IPAddress
  package var protocolNumber: UInt8
  package var payloadLength: Int
  package var timeToLive: UInt8 = 64

  @inline(__always)
  package init(
    source: IPAddress, destination: IPAddress, protocolNumber: UInt8, payloadLength: Int
  ) {
    self.source = source
    self.destination = destination
    self.protocolNumber = protocolNumber
    self.payloadLength = payloadLength
  }

  /// Writes the header with its checksum. Never fragmented, so the identification is zero
  /// (RFC 6864 §4.1) and "don't fragment" is set.
  @inline(__always)
  @_lifetime(frame: copy frame)
  package func write(into frame: inout MutableRawSpan, at start: Int) {
    let totalLength = UInt16(Self.byteCount + payloadLength)
    var sum = InternetChecksum()
    sum.add(0x4500 as UInt16)
    sum.add(totalLength)
    sum.add(0x4000 as UInt16)
    sum.add(UInt16(timeToLive) << 8 | UInt16(protocolNumber))
    sum.add(source.v4)
    sum.add(destination.v4)
    frame.storeBE(UInt32(0x4500) << 16 | UInt32(totalLength), at: start)
    frame.storeBE(UInt32(0x4000), at: start + IPv4View.Offset.identification)
    frame.storeByte(timeToLive, at: start + IPv4View.Offset.timeToLive)
    frame.storeByte(protocolNumber, at: start + IPv4View.Offset.protocol)
    frame.storeBE(sum.checksum, at: start + IPv4View.Offset.checksum)
    frame.storeBE(source.v4, at: start + IPv4View.Offset.source)
    frame.storeBE(destination.v4, at: start + IPv4View.Offset.destination)
  }
}
