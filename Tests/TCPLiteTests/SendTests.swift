import DPUCore
import PacketWire
import Testing

@testable import TCPLite

@Suite struct SendTests {
  /// A bench, a call with segments of 1,000 bytes, and `count` bytes queued.
  private func sending(
    _ count: Int, options: [UInt8] = [2, 4, 3, 0xe8, 4, 2, 1, 3, 3, 7],
    configuration: TCPConfiguration = Bench.configuration()
  ) -> (Bench, Call) {
    let bench = Bench(configuration)
    let call = Call(bench, options: options)
    let taken = bench.send(call.connection, noise(count, seed: 1))
    precondition(taken == count)
    return (bench, call)
  }

  private func offsets(_ call: Call, _ segments: [RawSegment]) -> [Int] {
    segments.map { Int($0.sequence &- call.server) }
  }

  private func sack(_ call: Call, _ ranges: (Int, Int)...) -> [UInt8] {
    [1, 1, 5, UInt8(2 + 8 * ranges.count)]
      + ranges.flatMap {
        be(call.server &+ UInt32($0.0)) + be(call.server &+ UInt32($0.1))
      }
  }

  @Test func theInitialWindowIsTenSegments() {
    let (bench, call) = sending(50_000)
    #expect(bench.turn().count == 10)
    #expect(bench.turn() == [])
    // Slow start: two out for each one acknowledged.
    #expect(offsets(call, bench.exchange(call.segment(acking: 1_000))) == [10_000, 11_000])
    #expect(bench.exchange(call.segment(acking: 4_000)).count == 5)
  }

  /// What is in flight never exceeds ten segments before the first ACK, however it is queued.
  @Test func theCongestionWindowLimitsWhatIsInFlight() {
    let bench = Bench()
    let call = Call(bench, options: [2, 4, 3, 0xe8, 4, 2, 1, 3, 3, 7])
    var sent = 0
    for _ in 0..<400 {
      _ = bench.send(call.connection, noise(100, seed: 2))
      sent += bench.turn().map(\.payload.count).reduce(0, +)
    }
    #expect(sent == 10_000)
  }

  @Test func aLostSegmentIsRepeatedByTimeoutWithBackOff() {
    let (bench, call) = sending(500)
    #expect(bench.turn().count == 1)
    var times: [UInt64] = []
    for i in 1...13_000 as ClosedRange<UInt64> {
      let out = bench.wait(milliseconds: 1)
      if !out.isEmpty {
        times.append(i)
        #expect(offsets(call, out) == [0])
      }
    }
    // The handshake took no time, so the timeout is the minimum; then it doubles.
    let gaps = zip(times, [0] + times).map { Int($0) - Int($1) }
    let expected = [200, 400, 800, 1_600, 3_200, 6_400]
    #expect(gaps.count == 6 && zip(gaps, expected).allSatisfy { abs($0 - $1) <= 2 }, "\(gaps)")
    #expect(bench.exchange(call.segment(acking: 500)) == [])
    #expect(bench.counter(.retransmitTimeouts) == 6)
    let rto = bench.stack.snapshot(of: call.connection)!.retransmitTimeout
    #expect(rto < .milliseconds(250))
  }

  @Test func aSilentPeerIsGivenUp() {
    var configuration = Bench.configuration()
    configuration.retriesMax = 3
    let (bench, call) = sending(500, configuration: configuration)
    _ = bench.turn()
    #expect(bench.wait(milliseconds: 5_000).count == 3)
    #expect(bench.events() == [.closed(.timedOut)])
    let isKnown = bench.stack.connections.contains(call.connection)
    #expect(!isKnown)
    #expect(bench.stack.pool.freeCount == bench.stack.pool.capacity)
  }

  @Test func afterATimeoutSendingStartsAgainFromTheFirstGap() {
    let (bench, call) = sending(5_000)
    #expect(bench.turn().count == 5)
    #expect(offsets(call, bench.wait(milliseconds: 210)) == [0])
    // The peer had the third and fourth: they are not sent again.
    var ack = call.segment(acking: 1_000)
    ack.options = sack(call, (2_000, 4_000))
    #expect(offsets(call, bench.exchange(ack)) == [1_000, 4_000])
  }

  @Test func threeDuplicatesRepeatTheSegmentAtOnce() {
    let (bench, call) = sending(8_000, options: [2, 4, 3, 0xe8])
    // The window of 512 bytes is not worth a segment of 1,000.
    #expect(bench.turn() == [])
    _ = bench.exchange(call.segment(acking: 0, window: 60_000))
    let duplicate = call.segment(acking: 0, window: 60_000)
    #expect(bench.exchange(duplicate, duplicate) == [])
    #expect(offsets(call, bench.exchange(duplicate)) == [0])
    #expect(bench.counter(.fastRetransmits) == 1)
  }

  @Test func newRenoRepeatsOneSegmentForEachPartialAcknowledgment() {
    let (bench, call) = sending(8_000, options: [2, 4, 3, 0xe8])
    _ = bench.turn()
    _ = bench.exchange(call.segment(acking: 0, window: 60_000))
    let duplicate = call.segment(acking: 0, window: 60_000)
    #expect(offsets(call, bench.exchange(duplicate, duplicate, duplicate)) == [0])
    // RFC 6582 §3.2 step 5.
    #expect(offsets(call, bench.exchange(call.segment(acking: 2_000, window: 60_000))) == [2_000])
    #expect(offsets(call, bench.exchange(call.segment(acking: 5_000, window: 60_000))) == [5_000])
    #expect(bench.exchange(call.segment(acking: 8_000, window: 60_000)) == [])
    let isRecovering = bench.stack.snapshot(of: call.connection)!.isRecovering
    #expect(!isRecovering)
    #expect(bench.counter(.fastRetransmits) == 3)
  }

  @Test func withSACKOnlyTheGapsAreRepeated() {
    let (bench, call) = sending(10_000)
    #expect(bench.turn().count == 10)
    // The first, fourth and seventh are lost.
    var ack = call.segment(acking: 0)
    ack.options = sack(call, (1_000, 3_000))
    #expect(bench.exchange(ack) == [])
    ack.options = sack(call, (4_000, 6_000), (1_000, 3_000))
    let first = offsets(call, bench.exchange(ack))
    ack.options = sack(call, (7_000, 10_000), (4_000, 6_000), (1_000, 3_000))
    let then = offsets(call, bench.exchange(ack))
    #expect(first + then == [0, 3_000, 6_000])
    #expect(bench.exchange(call.segment(acking: 10_000)) == [])
    #expect(bench.counter(.segmentsRetransmitted) == 3)
    #expect(bench.counter(.retransmitTimeouts) == 0)
    let window = bench.stack.snapshot(of: call.connection)!.congestionWindow
    #expect(window == 5_000)
  }

  /// Of bytes that were never sent the peer can hold nothing.
  @Test func aSACKOfTheFutureIsNotBelieved() {
    let (bench, call) = sending(10_000)
    #expect(bench.turn().count == 10)
    var ack = call.segment(acking: 0)
    ack.options = sack(call, (20_000, 30_000))
    #expect(bench.exchange(ack) == [])
    // Else everything below it would count as lost.
    ack.options = sack(call, (1_000, 4_000))
    #expect(offsets(call, bench.exchange(ack)) == [0])
  }

  /// A duplicate SACK (RFC 2883) tells of what came twice, not of what is missing.
  @Test func aSACKOfThePastIsNoLoss() {
    let (bench, call) = sending(10_000)
    #expect(bench.turn().count == 10)
    _ = bench.exchange(call.segment(acking: 5_000))
    var ack = call.segment(acking: 5_000)
    ack.options = sack(call, (1_000, 4_000))
    #expect(bench.exchange(ack) == [])
    #expect(bench.counter(.segmentsRetransmitted) == 0)
  }

  /// RFC 2018 §8: a peer may throw away what it has reported.
  @Test func afterATimeoutReportsOfThePeerAreForgotten() {
    let (bench, call) = sending(5_000)
    #expect(bench.turn().count == 5)
    var ack = call.segment(acking: 0)
    ack.options = sack(call, (1_000, 5_000))
    #expect(offsets(call, bench.exchange(ack)) == [0])
    #expect(offsets(call, bench.wait(milliseconds: 210)) == [0])
    #expect(offsets(call, bench.exchange(call.segment(acking: 1_000))) == [1_000, 2_000])
  }

  @Test func theFINComesWithTheLastByte() {
    let (bench, call) = sending(2_500)
    bench.stack.close(call.connection)
    #expect(bench.turn().map(\.flags) == ["A", "A", "FPA"])
  }

  /// It needs no window, and is its own probe.
  @Test func aFINIsRepeatedWhileTheWindowIsClosed() {
    let (bench, call) = sending(100)
    _ = bench.turn()
    _ = bench.exchange(call.segment(acking: 100, window: 0))
    bench.stack.close(call.connection)
    #expect(bench.turn().map(\.flags) == ["FA"])
    let out = bench.wait(milliseconds: 210)
    #expect(out.map(\.flags) == ["FA"] && offsets(call, out) == [100])
  }

  @Test func aLostFINIsRepeated() {
    let (bench, call) = sending(100)
    bench.stack.close(call.connection)
    #expect(bench.turn().map(\.flags) == ["FPA"])
    #expect(bench.exchange(call.segment(acking: 100)) == [])
    let out = bench.wait(milliseconds: 210)
    #expect(out.map(\.flags) == ["FA"] && offsets(call, out) == [100])
  }

  @Test func aClosedWindowIsProbed() {
    let (bench, call) = sending(3_000)
    #expect(bench.turn().count == 3)
    #expect(bench.exchange(call.segment(acking: 3_000, window: 0)) == [])
    _ = bench.send(call.connection, noise(500, seed: 3))
    #expect(bench.turn() == [])
    let closed = call.segment(acking: 3_000, window: 0)
    var times: [UInt64] = []
    for i in 1...7_000 as ClosedRange<UInt64> {
      let out = bench.wait(milliseconds: 1)
      guard !out.isEmpty else { continue }
      times.append(i)
      #expect(offsets(call, out) == [3_000] && out[0].payload.count == 1)
      #expect(bench.exchange(closed) == [])
    }
    #expect(times.count == 5 && bench.counter(.windowProbesSent) == 5)
    #expect(zip(times, times.dropFirst()).allSatisfy { $1 > $0 + ($0 * 9 / 10) })
    // It opens: everything comes at once, and its timeout is short again.
    let out = bench.exchange(call.segment(acking: 3_000, window: 512))
    #expect(offsets(call, out) == [3_000] && out[0].payload.count == 500)
    #expect(offsets(call, bench.wait(milliseconds: 450)) == [3_000])
  }

  /// A peer may keep its window closed for as long as it answers (RFC 9293 §3.8.6.1).
  @Test func aPeerThatAnswersProbesIsNotGivenUp() {
    let (bench, call) = sending(100)
    _ = bench.turn()
    _ = bench.exchange(call.segment(acking: 100, window: 0))
    _ = bench.send(call.connection, noise(500, seed: 3))
    var probes = 0
    for _ in 0..<20 * 60_000 / 50 {
      bench.now = bench.now + .milliseconds(50)
      probes += bench.turn().count
      if bench.otherFrames.popLast() != nil { bench.inject(bench.link.arpReply()) }
      bench.inject(call.segment(acking: 100, window: 0))
    }
    #expect(probes > 15 && probes < 40, "\(probes)")
    let state = bench.stack.snapshot(of: call.connection)?.state
    #expect(state == .established)
  }

  /// RFC 9293 §3.8.6.2.1: a small window is not used for small segments.
  @Test func aSmallWindowIsNotFilledBySmallSegments() {
    let (bench, call) = sending(10_000)
    #expect(bench.turn().count == 10)
    _ = bench.send(call.connection, noise(5_000, seed: 3))
    #expect(bench.exchange(call.segment(acking: 10_000, window: 3)) == [])
    // In the end it is, as a probe.
    let out = bench.wait(milliseconds: 450)
    #expect(out.map(\.payload.count) == [384])
  }

  /// RFC 9293 §3.10.7.4: what was overtaken on the way says nothing about the window.
  @Test func anOvertakenSegmentDoesNotCloseTheWindow() {
    let bench = Bench()
    let call = Call(bench)
    bench.inject(call.segment("A", at: 5, "f"))
    bench.inject(call.segment("A", at: 0, "abcde", window: 0))
    #expect(bench.text(call.connection) == "abcdef")
    _ = bench.send(call.connection, noise(100, seed: 1))
    #expect(bench.turn().map(\.payload.count) == [100])
    let window = bench.stack.snapshot(of: call.connection)!.sendWindow
    #expect(window == 512 << 7)
  }

  @Test func theTimeoutFollowsTheMeasuredRoundTrip() {
    let (bench, call) = sending(100)
    var acked = 0
    for _ in 0..<20 {
      _ = bench.turn()
      _ = bench.wait(milliseconds: 80)
      acked += 100
      _ = bench.exchange(call.segment(acking: acked))
      _ = bench.send(call.connection, noise(100, seed: 4))
    }
    let snapshot = bench.stack.snapshot(of: call.connection)!
    #expect(snapshot.roundTrip > .milliseconds(70) && snapshot.roundTrip < .milliseconds(81))
    #expect(snapshot.retransmitTimeout > .milliseconds(270))
    #expect(snapshot.retransmitTimeout < .milliseconds(320))
  }

  /// Karn: the acknowledgment of a repeated segment measures nothing.
  @Test func aRepeatedSegmentIsNotMeasured() {
    let (bench, call) = sending(100)
    _ = bench.turn()
    let before = bench.stack.snapshot(of: call.connection)!.roundTrip
    _ = bench.wait(milliseconds: 210)
    _ = bench.wait(milliseconds: 150)
    _ = bench.exchange(call.segment(acking: 100))
    let after = bench.stack.snapshot(of: call.connection)!.roundTrip
    #expect(after == before)
  }

  /// Nor when the repetition did not wait for a timeout.
  @Test func aSegmentRepeatedEarlyIsNotMeasured() {
    let (bench, call) = sending(10_000)
    let before = bench.stack.snapshot(of: call.connection)!.roundTrip
    _ = bench.turn()
    _ = bench.wait(milliseconds: 50)
    var ack = call.segment(acking: 0)
    ack.options = sack(call, (1_000, 10_000))
    #expect(offsets(call, bench.exchange(ack)) == [0])
    _ = bench.wait(milliseconds: 50)
    _ = bench.exchange(call.segment(acking: 10_000))
    let after = bench.stack.snapshot(of: call.connection)!.roundTrip
    #expect(after == before)
  }

  /// RFC 7323 §4.1: a timestamp tells which of them was acknowledged. One that is not ours, or
  /// minutes old, tells nothing.
  @Test(arguments: [(0, 29_000_000 / 8), (200_000, 1)])
  func aRepeatedSegmentIsMeasuredByItsTimestamp(age: UInt32, smoothed: UInt64) {
    let bench = Bench()
    let call = Call(bench, options: HandshakeTests.timestampOptions)
    // The handshake took no time.
    var roundTrip = bench.stack.snapshot(of: call.connection)!.roundTrip
    #expect(roundTrip == .nanoseconds(1))
    _ = bench.send(call.connection, noise(100, seed: 1))
    #expect(bench.turn().count == 1)
    // Sent again after 201 ms, and acknowledged 29 ms later.
    let stamp = bench.wait(milliseconds: 230)[0].timestamps!.value
    bench.inject(
      call.segment(acking: 100, options: [1, 1, 8, 10] + be(20 as UInt32) + be(stamp &- age)))
    roundTrip = bench.stack.snapshot(of: call.connection)!.roundTrip
    let queued = bench.stack.unsentOrUnacknowledged(call.connection)
    #expect(queued == 0 && roundTrip == .nanoseconds(smoothed))
  }

  @Test func aSYNACKSentTwiceIsNotMeasured() {
    let bench = Bench()
    let syn = RawSegment(sequence: 8, flags: "S")
    let answer = bench.exchange(syn)[0]
    _ = bench.wait(milliseconds: 500)
    #expect(bench.exchange(syn).map(\.flags) == ["SA"])
    _ = bench.wait(milliseconds: 100)
    bench.inject(RawSegment(sequence: 9, acknowledgment: answer.sequence &+ 1))
    let snapshot = bench.stack.snapshot(at: 0)!
    #expect(snapshot.roundTrip == .zero && snapshot.retransmitTimeout == .seconds(1))
  }

  @Test func theSendQueueIsLimitedAndAnnouncesRoom() {
    var configuration = Bench.configuration()
    configuration.sendLimit = 10_000
    let bench = Bench(configuration)
    let call = Call(bench, options: [2, 4, 3, 0xe8, 4, 2, 1, 3, 3, 7])
    #expect(bench.send(call.connection, noise(12_000, seed: 5)) == 10_000)
    let room = bench.stack.sendRoom(call.connection)
    #expect(room == 0)
    #expect(bench.counter(.sendsRefusedLimit) == 1)
    _ = bench.turn()
    bench.inject(call.segment(acking: 4_000))
    #expect(bench.events() == [])
    bench.inject(call.segment(acking: 5_000))
    #expect(bench.events() == [.writable])
    bench.inject(call.segment(acking: 10_000))
    #expect(bench.events() == [.writable])
    let queued = bench.stack.unsentOrUnacknowledged(call.connection)
    #expect(queued == 0)
  }

  @Test func aSendRefusedForWantOfMemoryIsFollowedByAnEvent() {
    var configuration = Bench.configuration()
    configuration.blockCount = 4
    let bench = Bench(configuration)
    let call = Call(bench)
    let held = (0..<4).compactMap { _ in bench.stack.pool.allocate() }
    #expect(bench.send(call.connection, [1, 2, 3]) == 0)
    #expect(bench.counter(.sendsRefusedNoBlock) == 1)
    for block in held { bench.stack.pool.release(block) }
    _ = bench.wait(milliseconds: 15)
    #expect(bench.events() == [.writable])
  }

  // MARK: Sharing

  @Test func oneBlockServesManyConnections() {
    let bench = Bench()
    let calls = (0..<20).map { i in
      let syn = RawSegment(
        sequence: 9, flags: "S", options: Call.usualOptions, sourcePort: UInt16(3_000 + i))
      let answer = bench.exchange(syn)[0]
      bench.inject(
        RawSegment(
          sequence: 10, acknowledgment: answer.sequence &+ 1, flags: "A", window: 500,
          sourcePort: syn.sourcePort))
      let handle = bench.stack.nextEvent()!.connection
      return (handle, answer.sequence &+ 1, syn.sourcePort)
    }
    let block = bench.stack.pool.allocate()!
    let message = noise(301, seed: 6)
    fill(&bench.stack, block, message, at: 7)
    for (handle, _, _) in calls {
      let isQueued = bench.stack.send(handle, sharing: block, 7..<308)
      #expect(isQueued)
    }
    bench.stack.pool.release(block)
    let out = bench.turn()
    #expect(out.count == 20)
    #expect(out.allSatisfy { $0.payload == message })
    var used = bench.stack.pool.capacity - bench.stack.pool.freeCount
    #expect(used == 1)
    for (_, server, port) in calls {
      bench.inject(
        RawSegment(
          sequence: 10, acknowledgment: server &+ 301, flags: "A", window: 500, sourcePort: port))
    }
    used = bench.stack.pool.capacity - bench.stack.pool.freeCount
    #expect(used == 0)
  }

  /// Segments gather pieces of odd lengths, shared and copied, with right checksums (the bench
  /// checks them), also when they are cut anew for repetition.
  @Test(arguments: 1...10 as ClosedRange<UInt64>) func gathersOddPieces(seed: UInt64) {
    let bench = Bench()
    let call = Call(bench, options: [2, 4, 2, 0x37, 4, 2, 1, 3, 3, 7])
    var random = SplitMix64(seed: seed)
    var expected: [UInt8] = []
    let block = bench.stack.pool.allocate()!
    let content = noise(2_048, seed: seed)
    fill(&bench.stack, block, content, at: 0)
    for _ in 0..<60 {
      let start = Int(random.next() % 1_000)
      let end = start + Int(random.next() % 300)
      if random.next() % 2 == 0 {
        let isQueued = bench.stack.send(call.connection, sharing: block, start..<end)
        #expect(isQueued)
      } else {
        #expect(bench.send(call.connection, Array(content[start..<end])) == end - start)
      }
      expected += content[start..<end]
    }
    bench.stack.pool.release(block)
    var received: [UInt8] = []
    var lost = true
    while received.count < expected.count {
      var out = bench.turn()
      if out.isEmpty { out = bench.wait(milliseconds: 2_000) }
      for segment in out {
        let at = Int(segment.sequence &- call.server)
        lost.toggle()
        if at <= received.count, !lost {
          received += segment.payload.dropFirst(received.count - at)
        }
      }
      bench.inject(call.segment(acking: received.count))
    }
    #expect(received == expected, "seed \(seed)")
    let used = bench.stack.pool.capacity - bench.stack.pool.freeCount
    #expect(used == 0)
  }

  private func fill(_ stack: inout TCPStack, _ block: Block, _ bytes: [UInt8], at offset: Int) {
    var room = stack.pool.mutableBytes(block, offset..<offset + bytes.count)
    room.copy(bytes.span.bytes, at: 0)
  }

  @Test func aFullSinkLosesNothing() {
    let (bench, call) = sending(10_000)
    bench.sink.room = 3
    #expect(offsets(call, bench.turn()) == [0, 1_000, 2_000])
    #expect(offsets(call, bench.turn()) == [3_000, 4_000, 5_000])
    bench.sink.room = .max
    #expect(offsets(call, bench.turn()) == [6_000, 7_000, 8_000, 9_000])
  }
}
