import DPUCore
import PacketWire
import Testing

@testable import TCPLite

/// Handshakes while too many others are under way (RFC 4987 §3.6).
@Suite struct CookieTests {
  /// A bench whose sixteen places for handshakes are taken by nobody in particular.
  static func flooded(link: Link = Link()) -> Bench {
    let bench = Bench(link: link)
    for port in 0..<16 {
      bench.inject(RawSegment(sequence: 1, flags: "S", sourcePort: UInt16(2_000 + port)))
    }
    _ = bench.turn()
    return bench
  }

  @Test func aFloodCostsABoundedTableAndKeepsNobodyOut() {
    let bench = Self.flooded()
    for port in 0..<1_000 {
      bench.inject(RawSegment(sequence: 1, flags: "S", sourcePort: UInt16(3_000 + port)))
      if port % 100 == 99 { #expect(bench.turn().count == 100) }
    }
    let counts = (bench.stack.connectionCount, bench.stack.halfOpenConnectionCount)
    #expect(counts == (16, 16))
    #expect(bench.counter(.cookiesSent) == 1_000)
    let free = bench.stack.pool.freeCount
    #expect(free == bench.stack.pool.capacity)

    let call = Call(bench)
    #expect(bench.exchange(call.segment("PA", "hello")).map(\.flags) == ["A"])
    #expect(bench.text(call.connection) == "hello")
    #expect(bench.counter(.cookiesAccepted) == 1 && bench.counter(.connectionsOpened) == 1)
    #expect(bench.send(call.connection, Array("world".utf8)) == 5)
    #expect(bench.turn().map(\.payload) == [Array("world".utf8)])
    // Those that were there first are given up as ever; then SYNs are remembered again.
    _ = bench.wait(milliseconds: 32_000)
    #expect(bench.counter(.handshakesTimedOut) == 16)
    bench.inject(RawSegment(sequence: 1, flags: "S", sourcePort: 5_000))
    let half = bench.stack.halfOpenConnectionCount
    #expect(half == 1)
    #expect(bench.counter(.cookiesSent) == 1_001)
  }

  @Test func anAcceptedConnectionIsNotForgottenByLaterSYNs() {
    let bench = Bench()
    let call = Call(bench)
    for port in 0..<40 {
      bench.inject(RawSegment(sequence: 1, flags: "S", sourcePort: UInt16(2_000 + port)))
    }
    _ = bench.turn()
    bench.inject(call.segment("PA", "x"))
    #expect(bench.text(call.connection) == "x")
  }

  @Test func whatThePeerOffersIsEchoedByItsTimestamps() {
    let bench = Self.flooded()
    let call = Call(bench, options: HandshakeTests.timestampOptions)
    #expect(call.synACK.option(2) == be(UInt16(1_460)))
    #expect(call.synACK.option(3) == [3])
    #expect(call.synACK.option(4) == [])
    #expect(call.synACK.timestamps?.echo == 9)
    #expect(call.synACK.window == 65_535)
    let snapshot = bench.stack.snapshot(of: call.connection)
    // A window of 512 scaled by 7.
    #expect(snapshot?.segmentSize == 1_448 && snapshot?.sendWindow == 65_536)
    #expect(bench.counter(.cookiesAccepted) == 1)
    // A gap is reported: the peer permitted SACK.
    let stamps = call.synACK.timestamps!
    let options = [1, 1, 8, 10] + be(stamps.echo) + be(stamps.value)
    let out = bench.exchange(call.segment("PA", at: 10, "later", options: options))
    #expect(out[0].option(5) == be(call.client &+ 10) + be(call.client &+ 15))
    // Our clock never runs backwards.
    #expect(Int32(bitPattern: out[0].timestamps!.value &- stamps.value) >= 0)
    #expect(Int32(bitPattern: out[0].timestamps!.value &- stamps.value) < 64)
  }

  @Test func withoutTimestampsThereIsOnlyTheSegmentSize() {
    let bench = Self.flooded()
    let call = Call(bench)
    #expect(call.synACK.options == [2, 4] + be(UInt16(1_460)))
    let snapshot = bench.stack.snapshot(of: call.connection)
    #expect(snapshot?.segmentSize == 1_460 && snapshot?.sendWindow == 512)
  }

  @Test(arguments: [
    (nil, 536), (40, 88), (100, 88), (536, 536), (1_300, 1_220), (1_459, 1_440), (9_000, 1_460),
  ])
  func segmentsAreNeverLargerThanThePeerTakes(offered: UInt16?, size: Int) {
    let bench = Self.flooded()
    let call = Call(bench, options: offered.map { [2, 4] + be($0) } ?? [])
    let snapshot = bench.stack.snapshot(of: call.connection)
    #expect(snapshot?.segmentSize == size)
  }

  @Test func worksOverIPv6() {
    let bench = Self.flooded(link: .v6)
    let call = Call(bench)
    #expect(bench.counter(.cookiesAccepted) == 1)
    bench.inject(call.segment("PA", "six"))
    #expect(bench.text(call.connection) == "six")
    let snapshot = bench.stack.snapshot(of: call.connection)
    #expect(snapshot?.segmentSize == 1_440)
  }

  @Test func theFirstSegmentMayBringData() {
    let bench = Self.flooded()
    let answer = bench.exchange(RawSegment(sequence: 77, flags: "S"))[0]
    let out = bench.exchange(
      RawSegment(
        sequence: 78, acknowledgment: answer.sequence &+ 1, flags: "PAF",
        payload: Array("all at once".utf8)))
    #expect(out.map(\.flags) == ["A"] && out[0].acknowledgment == 78 + 12)
    let event = bench.stack.nextEvent()
    #expect(event?.kind == .opened)
    #expect(bench.text(event!.connection) == "all at once")
    #expect(bench.events() == [.readable, .peerClosed])
  }

  /// What an attacker who sees no answer can send.
  @Test func guessesAreRefused() {
    let bench = Self.flooded()
    let answer = bench.exchange(RawSegment(sequence: 77, flags: "S"))[0]
    let right = RawSegment(
      sequence: 78, acknowledgment: answer.sequence &+ 1, flags: "A")
    var wrong: [RawSegment] = []
    for bit in 0..<32 as Range<UInt32> {
      wrong.append(right)
      wrong[wrong.count - 1].acknowledgment ^= 1 << bit
    }
    for change in [1, 77, 1 << 31] as [UInt32] {
      wrong.append(right)
      wrong[wrong.count - 1].sequence &+= change
    }
    wrong.append(right)
    wrong[wrong.count - 1].sourcePort ^= 1
    for segment in wrong {
      let out = bench.exchange(segment)
      #expect(out.map(\.flags) == ["R"], "\(segment)")
    }
    #expect(bench.counter(.cookiesRefused) == UInt64(wrong.count))
    #expect(bench.counter(.cookiesAccepted) == 0 && bench.events() == [])
    #expect(bench.exchange(right) == [])
    #expect(bench.events() == [.opened])
    // The same again is a segment of a connection.
    #expect(bench.exchange(right) == [])
    #expect(bench.counter(.cookiesAccepted) == 1)
  }

  @Test(arguments: [(0, true), (30, true), (63, true), (129, false), (2_048, false)])
  func cookiesGrowOld(seconds: UInt64, isGood: Bool) {
    let bench = Self.flooded()
    let answer = bench.exchange(RawSegment(sequence: 77, flags: "S"))[0]
    bench.now = bench.now + .seconds(seconds)
    // There is a flood again, so that cookies are asked for.
    _ = bench.turn()
    for port in 0..<20 {
      bench.inject(RawSegment(sequence: 1, flags: "S", sourcePort: UInt16(6_000 + port)))
    }
    _ = bench.turn()
    _ = bench.exchange(
      RawSegment(sequence: 78, acknowledgment: answer.sequence &+ 1, flags: "A"))
    #expect(bench.events() == (isGood ? [.opened] : []))
    #expect(bench.counter(.cookiesRefused) == (isGood ? 0 : 1))
  }

  @Test func withoutAFloodNobodyIsAskedForACookie() {
    let bench = Bench()
    let out = bench.exchange(RawSegment(sequence: 78, acknowledgment: 5, flags: "A"))
    #expect(out.map(\.flags) == ["R"])
    #expect(bench.counter(.cookiesRefused) == 0)
  }

  @Test func onlyListenersAnswer() {
    let bench = Self.flooded()
    _ = bench.exchange(RawSegment(sequence: 1, flags: "S"))
    let out = bench.exchange(RawSegment(sequence: 77, flags: "S", destinationPort: 99))
    #expect(out.map(\.flags) == ["RA"])
    #expect(bench.counter(.cookiesSent) == 1)
  }

  @Test func aFullTableSendsNone() {
    var configuration = Bench.configuration()
    configuration.connectionsMax = 16
    let bench = Bench(configuration)
    for port in 0..<20 {
      bench.inject(RawSegment(sequence: 1, flags: "S", sourcePort: UInt16(2_000 + port)))
    }
    #expect(bench.turn().count == 16)
    #expect(bench.counter(.droppedConnectionsFull) == 4 && bench.counter(.cookiesSent) == 0)
  }

  @Test func theMarkInATimestampNeverLiesAhead() {
    var random = SplitMix64(seed: 5)
    for _ in 0..<10_000 {
      let stamp = UInt32(truncatingIfNeeded: random.next())
      var options = TCPOptions()
      let shift = UInt8(random.next() % 16)
      options.windowShift = shift < 15 ? shift : nil
      options.sackPermitted = random.next() & 1 == 1
      let offered = StampedOptions(options)
      let marked = offered.put(into: stamp)
      #expect(StampedOptions(from: marked) == offered)
      #expect((0...63).contains(Int32(bitPattern: stamp &- marked)))
    }
  }
}
