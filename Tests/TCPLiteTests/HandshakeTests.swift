import DPUCore
import PacketWire
import Testing

@testable import TCPLite

@Suite struct HandshakeTests {
  static let timestampOptions: [UInt8] = [
    2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7,
  ]

  @Test func opensCarriesDataBothWaysAndCloses() {
    let bench = Bench()
    let call = Call(bench)
    let c = call.connection
    #expect(bench.turn() == [])
    var out = bench.exchange(call.segment("PA", "hello"))
    #expect(out.map(\.flags) == ["A"])
    #expect(out[0].acknowledgment == call.client &+ 5)
    #expect(bench.events() == [.readable])
    #expect(bench.text(c) == "hello")

    #expect(bench.send(c, Array("world".utf8)) == 5)
    out = bench.turn()
    #expect(out.map(\.flags) == ["PA"])
    #expect(out[0].sequence == call.server && out[0].payload == Array("world".utf8))
    #expect(bench.exchange(call.segment(at: 5, acking: 5)) == [])

    out = bench.exchange(call.segment("FA", at: 5, acking: 5))
    #expect(out.map(\.acknowledgment) == [call.client &+ 6])
    #expect(bench.events() == [.peerClosed])
    bench.stack.close(c)
    out = bench.turn()
    #expect(out.map(\.flags) == ["FA"])
    #expect(bench.exchange(call.segment(at: 6, acking: 6)) == [])
    #expect(bench.events() == [.closed(.finished)])
    let left = (bench.stack.connectionCount, bench.stack.pool.freeCount)
    #expect(left == (0, bench.stack.pool.capacity))
  }

  @Test func offersEveryOptionThePeerOffers() {
    let bench = Bench()
    let call = Call(bench, options: Self.timestampOptions)
    #expect(call.synACK.option(2) == be(UInt16(1_460)))
    #expect(call.synACK.option(3) == [3])
    #expect(call.synACK.option(4) == [])
    #expect(call.synACK.timestamps?.echo == 9)
    // Never scaled in a SYN.
    #expect(call.synACK.window == 65_535)
    let snapshot = bench.stack.snapshot(of: call.connection)
    #expect(snapshot?.segmentSize == 1_448)
  }

  @Test func leavesOutWhatThePeerDoesNotOffer() {
    let bench = Bench()
    let call = Call(bench, options: [])
    #expect(call.synACK.options == [2, 4] + be(UInt16(1_460)))
    let snapshot = bench.stack.snapshot(of: call.connection)
    #expect(snapshot?.segmentSize == 536)
    // The window stays unscaled: 512 means 512.
    #expect(snapshot?.sendWindow == 512)
  }

  @Test func offersTheSegmentSizeOfIPv6() {
    let bench = Bench(link: .v6)
    let call = Call(bench, options: [2, 4, 0xff, 0xff])
    #expect(call.synACK.option(2) == be(UInt16(1_440)))
    let snapshot = bench.stack.snapshot(of: call.connection)
    #expect(snapshot?.segmentSize == 1_440)
  }

  @Test func repeatsTheSYNACKAndGivesUp() {
    let bench = Bench()
    bench.inject(RawSegment(sequence: 1, flags: "S"))
    #expect(bench.turn().map(\.flags) == ["SA"])
    var times: [UInt64] = []
    for i in 1...40_000 as ClosedRange<UInt64> {
      if !bench.wait(milliseconds: 1).isEmpty { times.append(i) }
    }
    #expect(times == [1_000, 3_000, 7_000, 15_000])
    #expect(bench.counter(.handshakesTimedOut) == 1)
    let count = bench.stack.connectionCount
    #expect(count == 0)
    #expect(bench.events() == [])
  }

  @Test func answersARepeatedSYNWithTheSameSYNACK() {
    let bench = Bench()
    let syn = RawSegment(sequence: 77, flags: "S")
    let first = bench.exchange(syn)
    let second = bench.exchange(syn)
    #expect(first[0].sequence == second[0].sequence && second.map(\.flags) == ["SA"])
    let count = bench.stack.connectionCount
    #expect(count == 1)
  }

  @Test func refusesTheWrongAcknowledgmentOfItsSYN() {
    let bench = Bench()
    let answer = bench.exchange(RawSegment(sequence: 77, flags: "S"))[0]
    let out = bench.exchange(
      RawSegment(sequence: 78, acknowledgment: answer.sequence &+ 5, flags: "A"))
    #expect(out.map(\.flags) == ["R"])
    #expect(out[0].sequence == answer.sequence &+ 5)
    #expect(bench.events() == [])
  }

  @Test func aResetEndsAHandshakeSilently() {
    let bench = Bench()
    bench.inject(RawSegment(sequence: 77, flags: "S"))
    _ = bench.turn()
    #expect(bench.exchange(RawSegment(sequence: 78, flags: "R")) == [])
    let counts = (bench.stack.connectionCount, bench.stack.halfOpenConnectionCount)
    #expect(counts == (0, 0))
    #expect(bench.counter(.handshakesReset) == 1)
  }

  @Test func aClosedPortAnswersWithReset() {
    let bench = Bench()
    var segment = RawSegment(sequence: 77, flags: "S", destinationPort: 99)
    var out = bench.exchange(segment)
    #expect(out.map(\.flags) == ["RA"])
    #expect(out[0].acknowledgment == 78 && out[0].sequence == 0)
    segment = RawSegment(sequence: 5, acknowledgment: 1_234, flags: "A", destinationPort: 99)
    out = bench.exchange(segment)
    #expect(out.map(\.flags) == ["R"])
    #expect(out[0].sequence == 1_234)
    // A reset is never answered.
    segment.flags = "R"
    #expect(bench.exchange(segment) == [])
  }

  @Test func aResetCountsWhenItIsSent() {
    let bench = Bench()
    for port in 1...200 as ClosedRange<UInt16> {
      bench.inject(RawSegment(flags: "S", sourcePort: port, destinationPort: 99))
    }
    #expect(bench.turn().count == TCPLimits.repliesMax)
    #expect(bench.counter(.resetsSent) == UInt64(TCPLimits.repliesMax))
    #expect(bench.counter(.droppedReplyQueueFull) == 200 - UInt64(TCPLimits.repliesMax))
  }

  @Test func anUnlistenedPortRefuses() {
    let bench = Bench()
    let isRefused = bench.stack.listen(1_883, tag: 1)
    #expect(!isRefused)
    bench.stack.unlisten(1_883)
    #expect(bench.exchange(RawSegment(flags: "S")).map(\.flags) == ["RA"])
  }

  @Test func aFullTableDropsSYNs() {
    var configuration = Bench.configuration()
    configuration.connectionsMax = 2
    let bench = Bench(configuration)
    for port in 0..<3 {
      bench.inject(RawSegment(sequence: 1, flags: "S", sourcePort: UInt16(2_000 + port)))
    }
    #expect(bench.turn().count == 2)
    #expect(bench.counter(.droppedConnectionsFull) == 1)
  }

  /// RFC 6528: a clock, and an offset that only the secret tells.
  @Test func initialSequenceNumbersFollowTheClockAndDifferByConnection() {
    func initial(_ bench: Bench, port: UInt16) -> UInt32 {
      bench.exchange(RawSegment(flags: "S", sourcePort: port))[0].sequence
    }
    let first = Bench()
    let a = initial(first, port: 1)
    let b = initial(first, port: 2)
    #expect(a != b)
    let later = Bench()
    later.now = later.now + .milliseconds(4)
    #expect(initial(later, port: 1) == a &+ 1_000)
    var configuration = Bench.configuration()
    configuration.sequenceKey0 ^= 1
    #expect(initial(Bench(configuration), port: 1) != a)
  }

  @Test func positionsMayWrapInMidStream() {
    let bench = Bench()
    // The client's first byte has position 0xffff_fff1.
    let call = Call(bench, start: 0xffff_fff0)
    let text = String(repeating: "w", count: 40)
    let out = bench.exchange(call.segment("PA", text))
    #expect(out[0].acknowledgment == 25)
    #expect(bench.text(call.connection) == text)
  }

  @Test func addressesAreThoseOfTheTwoEnds() {
    let bench = Bench(link: .v6)
    let call = Call(bench)
    let remote = bench.stack.remoteAddress(of: call.connection)
    let local = bench.stack.localAddress(of: call.connection)
    #expect(remote == SocketAddress(ip: Link.v6.client, port: 40_000))
    #expect(local == SocketAddress(ip: Link.v6.server, port: 1_883))
  }
}
