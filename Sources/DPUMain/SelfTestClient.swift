import DPDKPort
import DPUCore
import Frames
import PacketWire

/// What the client of the self-test hears.
enum SelfTestMessage {
  case arpReply(from: MACAddress, address: IPAddress)
  case echoReply(identifier: UInt16)
  case segment(SelfTestSegment)
  case other
}

struct SelfTestSegment {
  var flags: TCPFlags
  var sequence: UInt32
  var acknowledgment: UInt32
  var payload: [UInt8]
}

/// A scripted peer at the other end of a pair of ports: writes single frames, reads the answers.
struct SelfTestClient: ~Copyable {
  static let mac = MACAddress(0x02, 0, 0, 0, 0, 0x02)
  static let address = IPAddress(10, 0, 0, 2)
  static let port: UInt16 = 40_000
  static let serverAddress = IPAddress(10, 0, 0, 1)
  static let serverPort: UInt16 = 7

  var device: DPDKDevice
  var serverMAC = MACAddress.broadcast
  private var burst = Burst()

  init(_ device: consuming DPDKDevice) { self.device = device }

  // MARK: Sending

  mutating func askForServer() -> Bool {
    send(type: EtherType.arp, byteCount: ARPPacket.byteCount) { frame in
      ARPPacket(
        operation: ARPPacket.request, senderMAC: Self.mac, senderIP: Self.address,
        targetMAC: .zero, targetIP: Self.serverAddress
      ).write(into: &frame, at: EthernetHeader.byteCount)
    }
  }

  mutating func ping(identifier: UInt16) -> Bool {
    let messageBytes = 40
    return sendIPv4(IPProtocol.icmp, payloadLength: messageBytes) { frame, start in
      for i in 0..<messageBytes { frame.storeByte(UInt8(i), at: start + i) }
      frame.storeBE(UInt32(ICMPView.echoRequest) << 24, at: start)
      frame.storeBE(UInt32(identifier) << 16 | 1, at: start + 4)
      frame.storeICMPChecksum(at: start, count: messageBytes)
    }
  }

  /// `damage` is added to the checksum.
  mutating func send(_ segment: SelfTestSegment, damage: UInt16 = 0) -> Bool {
    let length = TCPHeader.byteCount + segment.payload.count
    return sendIPv4(IPProtocol.tcp, payloadLength: length) { frame, start in
      TCPHeader(
        sourcePort: Self.port, destinationPort: Self.serverPort, sequence: segment.sequence,
        acknowledgment: segment.acknowledgment, flags: segment.flags, window: 32_768
      ).write(into: &frame, at: start, optionsLength: 0)
      for (i, byte) in segment.payload.enumerated() {
        frame.storeByte(byte, at: start + TCPHeader.byteCount + i)
      }
      var sum = InternetChecksum(
        from: Self.address, to: Self.serverAddress, protocolNumber: IPProtocol.tcp)
      sum.add(UInt32(length))
      sum.add(frame.bytes.extracting(start..<start + length))
      sum.add(damage)
      TCPHeader.storeChecksum(sum, into: &frame, at: start)
    }
  }

  private mutating func sendIPv4(
    _ protocolNumber: UInt8, payloadLength: Int, _ write: (inout MutableRawSpan, Int) -> Void
  ) -> Bool {
    send(type: EtherType.ipv4, byteCount: IPv4Header.byteCount + payloadLength) { frame in
      IPv4Header(
        source: Self.address, destination: Self.serverAddress, protocolNumber: protocolNumber,
        payloadLength: payloadLength
      ).write(into: &frame, at: EthernetHeader.byteCount)
      write(&frame, EthernetHeader.byteCount + IPv4Header.byteCount)
    }
  }

  /// False when there was no buffer or the port took no frame.
  private mutating func send(
    type: UInt16, byteCount: Int, _ write: (inout MutableRawSpan) -> Void
  ) -> Bool {
    guard var frame = device.allocate() else { return false }
    frame.resize(to: EthernetHeader.byteCount + byteCount)
    var room = frame.room
    EthernetHeader(destination: serverMAC, source: Self.mac, type: type).write(into: &room)
    write(&room)
    burst.append(frame)
    return device.transmit(port: 0, &burst).sentFrames == 1
  }

  // MARK: Receiving

  /// Everything that has arrived.
  mutating func receive() -> [SelfTestMessage] {
    var messages: [SelfTestMessage] = []
    device.receive(port: 0, into: &burst)
    while let frame = burst.takeFirst() {
      messages.append(Self.read(frame))
      device.recycle(frame)
    }
    return messages
  }

  private static func read(_ frame: borrowing Frame) -> SelfTestMessage {
    guard let ethernet = try? EthernetView(frame.bytes), ethernet.destination == mac else {
      return .other
    }
    if ethernet.type == EtherType.arp {
      guard let arp = try? ARPView(ethernet.payload), arp.operation == ARPPacket.reply else {
        return .other
      }
      return .arpReply(from: arp.senderMAC, address: arp.senderIP)
    }
    guard ethernet.type == EtherType.ipv4, let ip = try? IPv4View(ethernet.payload),
      ip.source == serverAddress, ip.destination == address
    else { return .other }
    if ip.protocolNumber == IPProtocol.icmp {
      guard let icmp = try? ICMPView(ip.payload), icmp.type == ICMPView.echoReply else {
        return .other
      }
      return .echoReply(identifier: icmp.identifier)
    }
    guard ip.protocolNumber == IPProtocol.tcp,
      let tcp = try? TCPView(ip.payload, source: ip.source, destination: ip.destination),
      tcp.sourcePort == serverPort, tcp.destinationPort == port
    else { return .other }
    var payload: [UInt8] = []
    let bytes = tcp.payload
    for i in 0..<bytes.byteCount { payload.append(bytes.byte(at: i)) }
    return .segment(
      SelfTestSegment(
        flags: tcp.flags, sequence: tcp.sequence, acknowledgment: tcp.acknowledgment,
        payload: payload))
  }
}
