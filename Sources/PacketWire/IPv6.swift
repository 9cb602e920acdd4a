import DPUCore

/// An IPv6 packet (RFC 8200) whose length is right; trailing bytes of a padded frame are cut off.
package struct IPv6View: ~Escapable {
  enum Offset {
    static let version = 0, payloadLength = 4, nextHeader = 6, hopLimit = 7, source = 8
    static let destination = 24, end = 40
  }

  private let bytes: RawSpan

  @inline(__always)
  @_lifetime(copy bytes)
  package init(_ bytes: RawSpan) throws(ParseFailure) {
    guard bytes.byteCount >= Offset.end else { throw .truncated }
    guard bytes.byte(at: Offset.version) >> 4 == 6 else { throw .badVersion }
    let length = Offset.end + Int(bytes.beUInt16(at: Offset.payloadLength))
    guard length <= bytes.byteCount else { throw .badLength }
    self.bytes = bytes.extracting(0..<length)
  }

  package var nextHeader: UInt8 { bytes.byte(at: Offset.nextHeader) }
  package var hopLimit: UInt8 { bytes.byte(at: Offset.hopLimit) }
  package var source: IPAddress { bytes.ipv6Address(at: Offset.source) }
  package var destination: IPAddress { bytes.ipv6Address(at: Offset.destination) }

  /// What follows the extension headers.
  package enum UpperLayer: Equatable, BitwiseCopyable {
    case found(protocolNumber: UInt8, offset: Int)
    case fragment
    /// An extension header that is cut off, or more of them than anybody needs.
    case malformed
    /// A routing header with segments left: we are not a router (RFC 8200 §4.4).
    case routed
  }

  /// Extension headers skipped before giving up: each kind once, destination options twice.
  private static let extensionHeadersMax = 4

  package var upperLayer: UpperLayer {
    var next = nextHeader
    var offset = Offset.end
    var skipped = 0
    while true {
      switch next {
      case 44: return .fragment
      case 0, 43, 60:
        guard skipped < Self.extensionHeadersMax, offset + 8 <= bytes.byteCount else {
          return .malformed
        }
        if next == 43, bytes.byte(at: offset + 3) != 0 { return .routed }
        next = bytes.byte(at: offset)
        offset += (Int(bytes.byte(at: offset + 1)) + 1) * 8
        skipped += 1
        if offset > bytes.byteCount { return .malformed }
      default: return .found(protocolNumber: next, offset: offset)
      }
    }
  }

  /// The bytes from `offset` on, as found by `upperLayer`.
  @_lifetime(copy self)
  package func payload(from offset: Int) -> RawSpan { bytes.extracting(offset..<bytes.byteCount) }
}

package struct IPv6Header: BitwiseCopyable {
  package static let byteCount = 40

  package var source: IPAddress
  package var destination: IPAddress
  package var nextHeader: UInt8
  package var payloadLength: Int
  package var hopLimit: UInt8 = 64

  @inline(__always)
  package init(source: IPAddress, destination: IPAddress, nextHeader: UInt8, payloadLength: Int) {
    self.source = source
    self.destination = destination
    self.nextHeader = nextHeader
    self.payloadLength = payloadLength
  }

  @inline(__always)
  @_lifetime(frame: copy frame)
  package func write(into frame: inout MutableRawSpan, at start: Int) {
    frame.storeBE(UInt32(6) << 28, at: start + IPv6View.Offset.version)
    frame.storeBE(UInt16(payloadLength), at: start + IPv6View.Offset.payloadLength)
    frame.storeByte(nextHeader, at: start + IPv6View.Offset.nextHeader)
    frame.storeByte(hopLimit, at: start + IPv6View.Offset.hopLimit)
    frame.store(source, at: start + IPv6View.Offset.source)
    frame.store(destination, at: start + IPv6View.Offset.destination)
  }
}
