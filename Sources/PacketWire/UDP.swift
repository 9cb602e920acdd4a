import DPUCore

/// A UDP datagram (RFC 768).
package struct UDPView: ~Escapable {
  enum Offset {
    static let sourcePort = 0, destinationPort = 2, length = 4, checksum = 6, payload = 8
  }

  private let bytes: RawSpan

  /// `source` and `destination` are those of the IP header. A checksum of zero means none was
  /// made, which IPv6 does not allow (RFC 8200 §8.1).
  @_lifetime(copy bytes)
  package init(
    _ bytes: RawSpan, source: IPAddress, destination: IPAddress
  ) throws(ParseFailure) {
    guard bytes.byteCount >= Offset.payload else { throw .truncated }
    let length = Int(bytes.beUInt16(at: Offset.length))
    guard length >= Offset.payload, length <= bytes.byteCount else { throw .badLength }
    let datagram = bytes.extracting(0..<length)
    if bytes.beUInt16(at: Offset.checksum) != 0 || !source.isIPv4 {
      var sum = InternetChecksum(
        from: source, to: destination, protocolNumber: IPProtocol.udp)
      sum.add(UInt32(length))
      sum.add(datagram)
      guard sum.checksum == 0 else { throw .badChecksum }
    }
    self.bytes = datagram
  }

  package var sourcePort: UInt16 { bytes.beUInt16(at: Offset.sourcePort) }
  package var destinationPort: UInt16 { bytes.beUInt16(at: Offset.destinationPort) }
  package var payload: RawSpan {
    @_lifetime(copy self) get { bytes.extracting(Offset.payload..<bytes.byteCount) }
  }
}

package struct UDPHeader: BitwiseCopyable {
  package static let byteCount = 8

  package var sourcePort: UInt16
  package var destinationPort: UInt16

  package init(sourcePort: UInt16, destinationPort: UInt16) {
    self.sourcePort = sourcePort
    self.destinationPort = destinationPort
  }

  /// Writes the header in front of the payload that ends at `end` and sets its checksum.
  @_lifetime(frame: copy frame)
  package func write(
    into frame: inout MutableRawSpan, at start: Int, end: Int, from source: IPAddress,
    to destination: IPAddress
  ) {
    frame.storeBE(sourcePort, at: start + UDPView.Offset.sourcePort)
    frame.storeBE(destinationPort, at: start + UDPView.Offset.destinationPort)
    frame.storeBE(UInt16(end - start), at: start + UDPView.Offset.length)
    frame.storeBE(UInt16(0), at: start + UDPView.Offset.checksum)
    var sum = InternetChecksum(
      from: source, to: destination, protocolNumber: IPProtocol.udp)
    sum.add(UInt32(end - start))
    sum.add(frame.bytes.extracting(start..<end))
    // A sum of zero is sent as all ones: zero would mean "no checksum".
    frame.storeBE(sum.checksum == 0 ? .max : sum.checksum, at: start + UDPView.Offset.checksum)
  }
}
