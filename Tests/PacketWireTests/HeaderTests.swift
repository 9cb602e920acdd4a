import DPUCore
import PacketWire
import Testing

/// What is written is read back the same, and looks on the wire as the RFCs say.
@Suite struct HeaderTests {
  private let here = IPAddress(10, 1, 2, 3)
  private let there = IPAddress(172, 16, 5, 9)
  private let here6 = IPAddress(high: 0xfd00_0001_0002_0003, low: 0x1122_3344_5566_7788)
  private let there6 = IPAddress(high: 0xfe80 << 48, low: 0xaabb_ccff_fedd_eeff)

  private func written(_ count: Int, _ write: (inout MutableRawSpan) -> Void) -> [UInt8] {
    var frame = [UInt8](repeating: 0x5a, count: count)
    var span = frame.mutableSpan
    var raw = span.mutableBytes
    write(&raw)
    return frame
  }

  @Test func ethernet() throws {
    let header = EthernetHeader(
      destination: MACAddress(1, 2, 3, 4, 5, 6), source: MACAddress(7, 8, 9, 10, 11, 12),
      type: EtherType.ipv6)
    let frame = written(20) { header.write(into: &$0) }
    #expect(frame[0..<14] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x86, 0xdd])
    let view = try EthernetView(frame.span.bytes)
    #expect(view.destination == header.destination && view.source == header.source)
    #expect(view.type == header.type)
    #expect(view.payload.byteCount == 6)
  }

  @Test func arp() throws {
    let packet = ARPPacket(
      operation: ARPPacket.reply, senderMAC: MACAddress(2, 0, 0, 0, 0, 1), senderIP: here,
      targetMAC: MACAddress(2, 0, 0, 0, 0, 2), targetIP: there)
    let bytes = written(28) { packet.write(into: &$0, at: 0) }
    let view = try ARPView(bytes.span.bytes)
    #expect(view.operation == 2 && view.senderMAC == packet.senderMAC)
    #expect(view.senderIP == here && view.targetMAC == packet.targetMAC && view.targetIP == there)
  }

  @Test func ipv4() throws {
    let header = IPv4Header(
      source: here, destination: there, protocolNumber: IPProtocol.tcp, payloadLength: 5)
    let bytes = written(30) { header.write(into: &$0, at: 0) }
    #expect(referenceSum(Array(bytes[0..<20])) == 0xffff)
    let view = try IPv4View(bytes.span.bytes)
    #expect(view.source == here && view.destination == there && !view.isFragment)
    #expect(view.protocolNumber == 6 && view.timeToLive == 64)
    // Five bytes of payload; the other five are padding.
    #expect(view.payload.byteCount == 5)
  }

  @Test func ipv4OptionsAreSkipped() throws {
    let header = IPv4Header(
      source: here, destination: there, protocolNumber: IPProtocol.udp, payloadLength: 10)
    var bytes = written(30) { header.write(into: &$0, at: 0) }
    bytes[0] = 0x46
    bytes.replaceSubrange(10..<12, with: [0, 0])
    let sum = ~referenceSum(Array(bytes[0..<24]))
    bytes.replaceSubrange(10..<12, with: [UInt8(sum >> 8), UInt8(sum & 255)])
    let view = try IPv4View(bytes.span.bytes)
    #expect(view.payload.byteCount == 6)
  }

  @Test func ipv6() throws {
    var header = IPv6Header(
      source: here6, destination: there6, nextHeader: IPProtocol.udp, payloadLength: 3)
    header.hopLimit = 9
    let bytes = written(50) { header.write(into: &$0, at: 0) }
    let view = try IPv6View(bytes.span.bytes)
    #expect(view.source == here6 && view.destination == there6 && view.hopLimit == 9)
    let upper = view.upperLayer
    #expect(upper == .found(protocolNumber: IPProtocol.udp, offset: 40))
    #expect(view.payload(from: 40).byteCount == 3)
  }

  @Test func udp() throws {
    for (source, destination) in [(here, there), (here6, there6)] {
      let bytes = written(8 + 13) {
        UDPHeader(sourcePort: 53, destinationPort: 9_999)
          .write(into: &$0, at: 0, end: 21, from: source, to: destination)
      }
      let view = try UDPView(bytes.span.bytes, source: source, destination: destination)
      #expect(view.sourcePort == 53 && view.destinationPort == 9_999)
      #expect(view.payload.byteCount == 13)
      let isRefused = failure {
        _ = try UDPView(bytes.span.bytes, source: source, destination: source)
      }
      #expect(isRefused == .badChecksum)
    }
  }

  @Test func udpWithoutChecksumIsForIPv4Only() throws {
    let bytes: [UInt8] = [0, 53, 0, 54, 0, 8, 0, 0]
    _ = try UDPView(bytes.span.bytes, source: here, destination: there)
    let refused = failure { _ = try UDPView(bytes.span.bytes, source: here6, destination: there6) }
    #expect(refused == .badChecksum)
  }

  @Test func tcpWithEveryOption() throws {
    for (source, destination) in [(here, there), (here6, there6)] {
      var options = TCPOptions()
      options.hasTimestamp = true
      options.timestampValue = 0x0102_0304
      options.timestampEcho = 0xf1f2_f3f4
      options.maximumSegmentSize = 1_460
      options.windowShift = 7
      options.sackPermitted = true
      options.sackCount = 1
      options.sackBlocks[0] = SACKBlock(start: 5, end: 0xffff_ffff)
      #expect(options.byteCount == 36)
      let header = TCPHeader(
        sourcePort: 1, destinationPort: 65_535, sequence: 0xdead_beef,
        acknowledgment: 0x0bad_f00d, flags: [.syn, .ack, .psh], window: 4_321)
      let bytes = written(20 + 36 + 7) { frame in
        header.write(into: &frame, at: 0, optionsLength: 36)
        options.write(into: &frame, at: 20)
        var sum = InternetChecksum(from: source, to: destination, protocolNumber: IPProtocol.tcp)
        sum.add(63 as UInt32)
        sum.add(frame.bytes)
        TCPHeader.storeChecksum(sum, into: &frame, at: 0)
      }
      let view = try TCPView(bytes.span.bytes, source: source, destination: destination)
      #expect(view.sourcePort == 1 && view.destinationPort == 65_535 && view.window == 4_321)
      #expect(view.sequence == 0xdead_beef && view.acknowledgment == 0x0bad_f00d)
      #expect(view.flags == [.syn, .ack, .psh])
      #expect(view.payload.byteCount == 7)
      let read = try TCPOptions(view.options)
      #expect(read.maximumSegmentSize == 1_460 && read.windowShift == 7 && read.sackPermitted)
      #expect(read.timestampValue == 0x0102_0304 && read.timestampEcho == 0xf1f2_f3f4)
      #expect(read.sackCount == 1 && read.sackBlocks[0] == options.sackBlocks[0])
    }
  }

  @Test(arguments: 0...4) func sackBlocksComeBack(count: Int) throws {
    var options = TCPOptions()
    options.sackCount = count
    for i in 0..<count {
      options.sackBlocks[i] = SACKBlock(start: UInt32(i * 10), end: UInt32(i * 10 + 5))
    }
    let bytes = written(options.byteCount) { options.write(into: &$0, at: 0) }
    let read = try TCPOptions(bytes.span.bytes)
    #expect(read.sackCount == count)
    for i in 0..<count { #expect(read.sackBlocks[i] == options.sackBlocks[i]) }
  }

  @Test func unknownOptionsAreSkippedAndTheEndEnds() throws {
    let bytes: [UInt8] = [254, 4, 1, 2, 1, 4, 2, 0, 2, 0]
    let read = try TCPOptions(bytes.span.bytes)
    #expect(read.sackPermitted && read.maximumSegmentSize == 0)
  }

  @Test func neighbourMessages() throws {
    for linkAddress in [nil, MACAddress(2, 3, 4, 5, 6, 7)] {
      for type in [ICMPv6View.neighbourSolicitation, ICMPv6View.neighbourAdvertisement] {
        let isAdvertisement = type == ICMPv6View.neighbourAdvertisement
        let message = NeighbourMessage(
          target: there6, linkAddress: linkAddress, isRouter: false,
          isSolicited: isAdvertisement, overrides: isAdvertisement)
        let bytes = written(message.byteCount) {
          message.write(into: &$0, at: 0, type: type, from: here6, to: there6)
        }
        let view = try ICMPv6View(bytes.span.bytes, source: here6, destination: there6)
        let read = view.neighbour
        #expect(view.type == type && read == message)
      }
    }
  }

  @Test func addresses() {
    #expect(IPAddress(10, 77, 0, 1).isIPv4 && !here6.isIPv4)
    #expect(IPAddress(10, 77, 3, 1).hasPrefix(IPAddress(10, 77, 0, 0), length: 22))
    #expect(!IPAddress(10, 77, 4, 1).hasPrefix(IPAddress(10, 77, 0, 0), length: 22))
    #expect(here.hasPrefix(there, length: 0) && !here6.hasPrefix(here, length: 0))
    #expect(here6.hasPrefix(IPAddress(high: here6.high, low: 0), length: 64))
    #expect(!here6.hasPrefix(IPAddress(high: here6.high, low: 0), length: 68))
    #expect(here6.hasPrefix(here6, length: 128))
    // fe80::ff:fe00:1 for 02:00:00:00:00:01 with the local bit inverted.
    let linkLocal = IPAddress(linkLocalOf: MACAddress(2, 0, 0, 0, 0, 1))
    #expect(linkLocal == IPAddress(high: 0xfe80 << 48, low: 0x0000_00ff_fe00_0001))
    #expect(linkLocal.isLinkLocal)
    #expect(here6.solicitedNode == IPAddress(high: 0xff02 << 48, low: 0x1_ff66_7788))
    #expect(
      MACAddress(ipv6Multicast: here6.solicitedNode)
        == MACAddress(0x33, 0x33, 0xff, 0x66, 0x77, 0x88))
    #expect(IPAddress(224, 0, 0, 1).isMulticast && IPAddress(v4: .max).isMulticast)
    #expect(IPAddress(v4: 0).isUnspecified && IPAddress.unspecified.isUnspecified)
  }

  /// Every prefix of a good packet is refused with a reason or read; nothing traps.
  @Test func cutAnywhereNothingTraps() {
    let random = bytes(80, seed: 9)
    for count in 0...80 {
      for version: UInt8 in [0x45, 0x46, 0x4f, 0x60, 0] {
        var data = Array(random.prefix(count))
        if !data.isEmpty { data[0] = version }
        let span = data.span.bytes
        _ = failure { _ = try EthernetView(span) }
        _ = failure { _ = try ARPView(span) }
        _ = failure { _ = try IPv4View(span) }
        _ = failure { _ = try IPv6View(span).upperLayer }
        _ = failure { _ = try ICMPView(span) }
        _ = failure { _ = try ICMPv6View(span, source: here6, destination: there6).neighbour }
        _ = failure { _ = try UDPView(span, source: here, destination: there) }
        _ = failure { _ = try TCPView(span, source: here, destination: there) }
        _ = failure { _ = try TCPOptions(span) }
      }
    }
  }

  private func failure(_ body: () throws -> Void) -> ParseFailure? {
    do {
      try body()
      return nil
    } catch { return error as? ParseFailure }
  }
}
