import DPUCore
import PacketWire
import Testing

@testable import TCPLite

/// Whatever arrives is counted, and nothing traps.
@Suite struct MalformedTests {
  /// One frame, the counter that must name its fault, and what becomes of it.
  private func check(
    _ frame: [UInt8], _ counter: TCPCounter, _ disposition: FrameDisposition = .consumed,
    line: Int = #line
  ) {
    let bench = Bench()
    let before = bench.counter(counter)
    let result = bench.inject(frame)
    #expect(result == disposition, "line \(line)")
    #expect(bench.counter(counter) == before + 1, "line \(line)")
    _ = bench.turn()
  }

  private let link = Link()
  private var syn: [UInt8] { link.frame(RawSegment(flags: "S", options: Call.usualOptions)) }

  private func fixIPChecksum(_ frame: inout [UInt8]) {
    frame[24] = 0
    frame[25] = 0
    frame.replaceSubrange(24..<26, with: be(slowChecksum(Array(frame[14..<34]))))
  }

  @Test func ethernet() {
    check([], .droppedShortFrame)
    check(Array(syn.prefix(13)), .droppedShortFrame)
    var frame = syn
    frame[5] ^= 1
    check(frame, .framesNotForUs, .notForUs)
    frame = syn
    frame.replaceSubrange(6..<12, with: macBytes(link.serverMAC))
    check(frame, .framesNotForUs, .notForUs)
    frame = syn
    frame[12] = 0x88
    check(frame, .droppedUnknownEtherType, .notForUs)
    frame = syn
    frame[6] |= 1
    check(frame, .droppedGroupSourceMAC)
    // Addressed to others it is theirs to refuse.
    frame[5] ^= 1
    check(frame, .framesNotForUs, .notForUs)
  }

  /// Whatever would have been answered to a group: a handshake, a RST, an echo reply, and what
  /// neighbours ask.
  @Test func framesFromAGroupAreNotAnswered() {
    for group in [MACAddress.broadcast, MACAddress(0x01, 0, 0x5e, 0, 0, 1)] {
      for var link in [Link(), Link.v6] {
        let bench = Bench(link: link)
        let known = Call(bench)
        link.clientMAC = group
        var ping: [UInt8] = [8, 0, 0, 0, 1, 2, 3, 4]
        ping.replaceSubrange(2..<4, with: be(slowChecksum(ping)))
        let frames = [
          link.frame(RawSegment(flags: "S", sourcePort: 5)),
          link.frame(RawSegment(acknowledgment: 9, sourcePort: 5)),
          link.frame(RawSegment(flags: "S", destinationPort: 99)),
          link.frame(known.segment("PA", "to nobody")),
          link.client.isIPv4
            ? link.frame(protocolNumber: 1, ping) : link.icmpv6([128, 0, 0, 0, 1, 2, 3, 4]),
          link.client.isIPv4 ? link.arpRequest() : link.solicitation(),
        ]
        for (count, frame) in frames.enumerated() {
          #expect(bench.inject(frame) == .consumed)
          #expect(bench.counter(.droppedGroupSourceMAC) == UInt64(count + 1))
        }
        #expect(bench.turn() == [] && bench.otherFrames == [])
        // The station itself is still where it was.
        #expect(bench.exchange(known.segment("PA", "hello")).map(\.flags) == ["A"])
        #expect(bench.text(known.connection) == "hello")
      }
    }
  }

  @Test func arp() {
    check(Array(link.arpRequest().prefix(41)), .droppedBadARP)
    for byte in [15, 17, 18, 19, 21] {
      var frame = link.arpRequest()
      frame[byte] ^= 0x10
      check(frame, .droppedBadARP)
    }
    var frame = link.arpRequest()
    frame[22] = 0x01
    check(frame, .droppedBadARP)
  }

  @Test func ipv4() {
    check(Array(syn.prefix(33)), .droppedBadIPv4Header)
    var frame = syn
    frame[14] = 0x65
    check(frame, .droppedBadIPv4Header)
    frame = syn
    frame[14] = 0x44
    check(frame, .droppedBadIPv4Header)
    frame[14] = 0x4f
    check(Array(frame.prefix(60)), .droppedBadIPv4Header)
    frame = syn
    frame[17] = 19
    check(frame, .droppedBadIPv4Header)
    frame[16] = 0xff
    check(frame, .droppedBadIPv4Header)
    frame = syn
    frame[22] ^= 1
    check(frame, .droppedBadIPv4Checksum)
    frame = syn
    frame[33] = 77
    fixIPChecksum(&frame)
    check(frame, .framesNotForUs, .notForUs)
    for fragment: (UInt8, UInt8) in [(0x20, 0), (0, 1), (0x1f, 0xff)] {
      frame = syn
      frame[20] = fragment.0
      frame[21] = fragment.1
      fixIPChecksum(&frame)
      check(frame, .droppedFragment)
    }
    for source: [UInt8] in [[224, 0, 0, 1], [255, 255, 255, 255], [0, 0, 0, 0], [10, 77, 0, 1]] {
      frame = syn
      frame.replaceSubrange(26..<30, with: source)
      fixIPChecksum(&frame)
      check(frame, .droppedBadSource)
    }
    check(link.frame(protocolNumber: 17, [0, 1, 2, 3, 4, 5, 6, 7]), .droppedUnknownProtocol)
  }

  @Test func icmp() {
    check(link.frame(protocolNumber: 1, [8, 0, 0, 0, 1, 2, 3]), .droppedBadICMP)
    check(link.frame(protocolNumber: 1, [8, 0, 0, 0, 1, 2, 3, 4]), .droppedBadICMP)
    check(link.frame(protocolNumber: 1, [3, 0, 0xfc, 0xff, 0, 0, 0, 0]), .droppedUnknownICMP)
  }

  @Test func ipv6() {
    let link = Link.v6
    let good = link.frame(RawSegment(flags: "S"))
    check(Array(good.prefix(53)), .droppedBadIPv6Header)
    var frame = good
    frame[14] = 0x40
    check(frame, .droppedBadIPv6Header)
    frame = good
    frame[19] += 1
    check(frame, .droppedBadIPv6Header)
    frame = good
    frame[22] = 0xff
    check(frame, .droppedBadSource)
    let filler = [UInt8](repeating: 0, count: 24)
    check(link.frame(protocolNumber: 44, filler), .droppedFragment)
    check(link.frame(protocolNumber: 17, filler), .droppedUnknownProtocol)
    check(link.frame(protocolNumber: 60, [6, 200] + filler), .droppedBadIPv6Header)
    check(link.frame(protocolNumber: 43, [6, 0, 0, 1] + filler), .droppedRoutingHeader)
    check(link.frame(protocolNumber: 60, [60, 0]), .droppedBadIPv6Header)
    check(link.frame(protocolNumber: 58, filler), .droppedBadICMP)
    check(link.icmpv6([1, 0] + filler), .droppedUnknownICMP)
    // A solicitation with an option of length zero.
    let solicitation =
      [135, 0, 0, 0, 0, 0, 0, 0] + addressBytes(link.server) + [1, 0, 0, 0, 0, 0, 0, 0]
    check(link.icmpv6(solicitation, hopLimit: 255), .droppedBadICMP)
  }

  @Test func extensionHeadersAreSkipped() {
    let bench = Bench(link: .v6)
    let plain = Link.v6.frame(RawSegment(flags: "S"))
    let frame = Link.v6.frame(
      protocolNumber: 0, [60, 0, 1, 4, 0, 0, 0, 0] + [6, 0, 1, 4, 0, 0, 0, 0] + plain[54...])
    bench.inject(frame)
    #expect(bench.turn().map(\.flags) == ["SA"])
  }

  @Test func tcp() {
    check(link.frame(protocolNumber: 6, [UInt8](repeating: 0, count: 19)), .droppedShortSegment)
    for offset: UInt8 in [0, 0x40, 0xf0] {
      var frame = syn
      frame[46] = offset
      check(frame, .droppedBadTCPHeader)
    }
    for byte in 34..<syn.count where byte != 46 {
      var frame = syn
      frame[byte] ^= 0x40
      check(frame, .droppedBadTCPChecksum)
    }
    for options: [UInt8] in [
      [2], [2, 0, 0, 0], [2, 1, 0, 0], [2, 40, 0, 0], [2, 3, 0], [3, 4, 0, 0], [8, 9, 0, 0],
      [5, 11] + [UInt8](repeating: 0, count: 10), [4, 3, 0], [1, 1, 1, 8],
    ] {
      check(link.frame(RawSegment(flags: "S", options: options)), .droppedBadTCPOption)
    }
    check(link.frame(RawSegment(flags: "SF")), .droppedBadFlags)
    check(link.frame(RawSegment(flags: "R")), .droppedBadReset)
  }

  @Test func aSegmentWithoutACKIsDropped() {
    let bench = Bench()
    let call = Call(bench)
    #expect(bench.exchange(call.segment("P", "x")) == [])
    #expect(bench.counter(.droppedMissingACK) == 1)
  }

  @Test func paddingBehindThePacketIsIgnored() {
    let bench = Bench()
    let call = Call(bench)
    bench.inject(bench.link.frame(call.segment("PA", "hi")) + [1, 2, 3, 4])
    #expect(bench.text(call.connection) == "hi")
  }

  @Test func anUnreasonableSegmentSizeIsRaised() {
    let bench = Bench()
    let call = Call(bench, options: [2, 4, 0, 1])
    let size = bench.stack.snapshot(of: call.connection)?.segmentSize
    #expect(size == TCPLimits.segmentSizeMin)
  }
}
