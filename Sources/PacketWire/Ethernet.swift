import DPUCore

package enum EtherType {
  package static let ipv4: UInt16 = 0x0800
  package static let arp: UInt16 = 0x0806
  package static let ipv6: UInt16 = 0x86dd
}

/// An Ethernet II frame without its check sequence.
package struct EthernetView: ~Escapable {
  enum Offset { static let destination = 0, source = 6, type = 12, payload = 14 }

  private let bytes: RawSpan

  @inline(__always)
  @_lifetime(copy bytes)
  package init(_ bytes: RawSpan) throws(ParseFailure) {
    guard bytes.byteCount >= Offset.payload else { throw .truncated }
    self.bytes = bytes
  }

  package var destination: MACAddress { bytes.macAddress(at: Offset.destination) }
  package var source: MACAddress { bytes.macAddress(at: Offset.source) }
  package var type: UInt16 { bytes.beUInt16(at: Offset.type) }
  package var payload: RawSpan {
    @_lifetime(copy self) get { bytes.extracting(Offset.payload..<bytes.byteCount) }
  }
}

package struct EthernetHeader: BitwiseCopyable {
  package static let byteCount = 14

  package var destination: MACAddress
  package var source: MACAddress
  package var type: UInt16

  package init(destination: MACAddress, source: MACAddress, type: UInt16) {
    self.destination = destination
    self.source = source
    self.type = type
  }

  /// Writes the header at the start of `frame`.
  @inline(__always)
  @_lifetime(frame: copy frame)
  package func write(into frame: inout MutableRawSpan) {
    frame.store(destination, at: EthernetView.Offset.destination)
    frame.store(source, at: EthernetView.Offset.source)
    frame.storeBE(type, at: EthernetView.Offset.type)
  }
}
