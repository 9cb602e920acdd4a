import DPUCore

/// An ARP packet for IPv4 over Ethernet (RFC 826).
package struct ARPView: ~Escapable {
  enum Offset {
    static let hardware = 0, `protocol` = 2, lengths = 4, operation = 6, senderMAC = 8
    static let senderIP = 14, targetMAC = 18, targetIP = 24, end = 28
  }

  private let bytes: RawSpan

  @_lifetime(copy bytes)
  package init(_ bytes: RawSpan) throws(ParseFailure) {
    guard bytes.byteCount >= Offset.end else { throw .truncated }
    guard bytes.beUInt16(at: Offset.hardware) == 1,
      bytes.beUInt16(at: Offset.protocol) == EtherType.ipv4
    else { throw .badVersion }
    guard bytes.beUInt16(at: Offset.lengths) == 0x0604 else { throw .badLength }
    self.bytes = bytes
  }

  package var operation: UInt16 { bytes.beUInt16(at: Offset.operation) }
  package var senderMAC: MACAddress { bytes.macAddress(at: Offset.senderMAC) }
  package var senderIP: IPAddress { bytes.ipv4Address(at: Offset.senderIP) }
  package var targetMAC: MACAddress { bytes.macAddress(at: Offset.targetMAC) }
  package var targetIP: IPAddress { bytes.ipv4Address(at: Offset.targetIP) }
}

package struct ARPPacket: BitwiseCopyable {
  package static let byteCount = 28
  package static let request: UInt16 = 1
  package static let reply: UInt16 = 2

  package var operation: UInt16
  package var senderMAC: MACAddress
  package var senderIP: IPAddress
  package var targetMAC: MACAddress
  package var targetIP: IPAddress

  package init(
    operation: UInt16, senderMAC: MACAddress, senderIP: IPAddress, targetMAC: MACAddress,
    targetIP: IPAddress
  ) {
    self.operation = operation
    self.senderMAC = senderMAC
    self.senderIP = senderIP
    self.targetMAC = targetMAC
    self.targetIP = targetIP
  }

  @_lifetime(frame: copy frame)
  package func write(into frame: inout MutableRawSpan, at start: Int) {
    frame.storeBE(UInt16(1), at: start + ARPView.Offset.hardware)
    frame.storeBE(EtherType.ipv4, at: start + ARPView.Offset.protocol)
    frame.storeBE(UInt16(0x0604), at: start + ARPView.Offset.lengths)
    frame.storeBE(operation, at: start + ARPView.Offset.operation)
    frame.store(senderMAC, at: start + ARPView.Offset.senderMAC)
    frame.storeBE(senderIP.v4, at: start + ARPView.Offset.senderIP)
    frame.store(targetMAC, at: start + ARPView.Offset.targetMAC)
    frame.storeBE(targetIP.v4, at: start + ARPView.Offset.targetIP)
  }
}
