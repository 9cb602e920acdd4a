import DPUCore

package struct TCPFlags: OptionSet, BitwiseCopyable, Sendable {
  package let rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let fin = TCPFlags(rawValue: 0x01)
  package static let syn = TCPFlags(rawValue: 0x02)
  package static let rst = TCPFlags(rawValue: 0x04)
  package static let psh = TCPFlags(rawValue: 0x08)
  package static let ack = TCPFlags(rawValue: 0x10)
  package static let urg = TCPFlags(rawValue: 0x20)
}

/// A TCP segment (RFC 9293 §3.1) whose header length and checksum are right.
package struct TCPView: ~Escapable {
  enum Offset {
    static let sourcePort = 0, destinationPort = 2, sequence = 4, acknowledgment = 8
    static let dataOffset = 12, flags = 13, window = 14, checksum = 16, urgent = 18, options = 20
  }

  private let bytes: RawSpan
  private let headerLength: Int

  /// `source` and `destination` are those of the IP header, for the pseudo header.
  @inline(__always)
  @_lifetime(copy bytes)
  package init(
    _ bytes: RawSpan, source: IPAddress, destination: IPAddress
  ) throws(ParseFailure) {
    guard bytes.byteCount >= Offset.options else { throw .truncated }
    let headerLength = Int(bytes.byte(at: Offset.dataOffset) >> 4) * 4
    guard headerLength >= Offset.options, headerLength <= bytes.byteCount else {
      throw .badHeaderLength
    }
    var sum = InternetChecksum(from: source, to: destination, protocolNumber: IPProtocol.tcp)
    sum.add(UInt32(bytes.byteCount))
    sum.add(bytes)
    guard sum.checksum == 0 else { throw .badChecksum }
    self.bytes = bytes
    self.headerLength = headerLength
  }

  package var sourcePort: UInt16 { bytes.beUInt16(at: Offset.sourcePort) }
  package var destinationPort: UInt16 { bytes.beUInt16(at: Offset.destinationPort) }
  package var sequence: UInt32 { bytes.beUInt32(at: Offset.sequence) }
  package var acknowledgment: UInt32 { bytes.beUInt32(at: Offset.acknowledgment) }
  package var flags: TCPFlags { TCPFlags(rawValue: bytes.byte(at: Offset.flags)) }
  package var window: UInt16 { bytes.beUInt16(at: Offset.window) }
  package var options: RawSpan {
    @_lifetime(copy self) get { bytes.extracting(Offset.options..<headerLength) }
  }
  package var payload: RawSpan {
    @_lifetime(copy self) get { bytes.extracting(headerLength..<bytes.byteCount) }
  }
}

/// The fixed part of a TCP header, options apart.
package struct TCPHeader: BitwiseCopyable {
  package static let byteCount = 20

  package var sourcePort: UInt16
  package var destinationPort: UInt16
  package var sequence: UInt32
  package var acknowledgment: UInt32
  package var flags: TCPFlags
  package var window: UInt16

  @inline(__always)
  package init(
    sourcePort: UInt16, destinationPort: UInt16, sequence: UInt32, acknowledgment: UInt32,
    flags: TCPFlags, window: UInt16
  ) {
    self.sourcePort = sourcePort
    self.destinationPort = destinationPort
    self.sequence = sequence
    self.acknowledgment = acknowledgment
    self.flags = flags
    self.window = window
  }

  /// Writes the header, for `optionsLength` bytes of options behind it, with a checksum of zero.
  @inline(__always)
  @_lifetime(frame: copy frame)
  package func write(into frame: inout MutableRawSpan, at start: Int, optionsLength: Int) {
    let words = UInt32(TCPHeader.byteCount + optionsLength) / 4
    frame.storeBE(UInt32(sourcePort) << 16 | UInt32(destinationPort), at: start)
    frame.storeBE(sequence, at: start + TCPView.Offset.sequence)
    frame.storeBE(acknowledgment, at: start + TCPView.Offset.acknowledgment)
    let packed = words << 28 | UInt32(flags.rawValue) << 16 | UInt32(window)
    frame.storeBE(packed, at: start + TCPView.Offset.dataOffset)
    frame.storeBE(UInt32(0), at: start + TCPView.Offset.checksum)
  }

  /// Stores the checksum `sum` has come to in the header at `start`.
  @inline(__always)
  @_lifetime(frame: copy frame)
  package static func storeChecksum(
    _ sum: InternetChecksum, into frame: inout MutableRawSpan, at start: Int
  ) {
    frame.storeBE(sum.checksum, at: start + TCPView.Offset.checksum)
  }
}
