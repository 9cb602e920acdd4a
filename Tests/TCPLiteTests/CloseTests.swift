import DPUCore
import PacketWire
import Testing

@testable import TCPLite

@Suite struct CloseTests {
  private func opened(_ configuration: TCPConfiguration = Bench.configuration()) -> (Bench, Call) {
    let bench = Bench(configuration)
    return (bench, Call(bench))
  }

  /// We close first; both FINs cross all states up to TIME-WAIT.
  private func closedFirst(
    _ configuration: TCPConfiguration = Bench.configuration(),
    options: [UInt8] = Call.usualOptions
  ) -> (Bench, Call) {
    let bench = Bench(configuration)
    let call = Call(bench, options: options)
    bench.stack.close(call.connection)
    _ = bench.turn()
    _ = bench.exchange(call.segment(acking: 1), call.segment("FA", acking: 1))
    return (bench, call)
  }

  @Test func afterThePeersFINDataMayStillBeSent() {
    let (bench, call) = opened()
    _ = bench.exchange(call.segment("FPA", "last words"))
    #expect(bench.events() == [.readable, .peerClosed])
    let c = call.connection
    #expect(bench.text(c) == "last words")
    let hasClosed = bench.stack.peerHasClosed(c)
    #expect(hasClosed)
    #expect(bench.send(c, Array("still here".utf8)) == 10)
    #expect(bench.turn().map(\.payload) == [Array("still here".utf8)])
    _ = bench.exchange(call.segment(at: 11, acking: 10))
    bench.stack.close(c)
    #expect(bench.turn().map(\.flags) == ["FA"])
    _ = bench.exchange(call.segment(at: 11, acking: 11))
    #expect(bench.events() == [.closed(.finished)])
    let timeWait = bench.stack.timeWaitCount
    #expect(timeWait == 0)
  }

  @Test func afterOurFINDataMayStillBeReceived() {
    let (bench, call) = opened()
    let c = call.connection
    bench.stack.close(c)
    #expect(bench.turn().map(\.flags) == ["FA"])
    #expect(bench.send(c, [1]) == 0)
    #expect(bench.exchange(call.segment(acking: 1)) == [])
    let out = bench.exchange(call.segment("PA", acking: 1, "more"))
    #expect(out.map(\.acknowledgment) == [call.client &+ 4])
    #expect(bench.text(c) == "more")
    let last = bench.exchange(call.segment("FA", at: 4, acking: 1))
    #expect(last.map(\.flags) == ["A"] && last[0].acknowledgment == call.client &+ 5)
    #expect(bench.events() == [.readable, .peerClosed, .closed(.finished)])
    let timeWait = bench.stack.timeWaitCount
    #expect(timeWait == 1)
  }

  @Test func bothMayCloseAtOnce() {
    let (bench, call) = opened()
    bench.stack.close(call.connection)
    #expect(bench.turn().map(\.flags) == ["FA"])
    // Their FIN does not acknowledge ours.
    let out = bench.exchange(call.segment("FA"))
    #expect(out.map(\.acknowledgment) == [call.client &+ 1])
    let state = bench.stack.snapshot(of: call.connection)?.state
    #expect(state == .closing)
    _ = bench.exchange(call.segment(at: 1, acking: 1))
    #expect(bench.events() == [.peerClosed, .closed(.finished)])
    let timeWait = bench.stack.timeWaitCount
    #expect(timeWait == 1)
  }

  @Test func aFINThatComesEarlyWaitsForTheGap() {
    let (bench, call) = opened()
    _ = bench.exchange(call.segment("FPA", at: 3, "def"))
    #expect(bench.events() == [])
    let out = bench.exchange(call.segment("PA", "abc"))
    #expect(out[0].acknowledgment == call.client &+ 7)
    #expect(bench.events() == [.readable, .peerClosed])
    #expect(bench.text(call.connection) == "abcdef")
  }

  @Test func nothingIsTakenFromBeyondAFINThatCameEarly() {
    let (bench, call) = opened()
    _ = bench.exchange(call.segment("FPA", at: 3, "def"))
    let out = bench.exchange(call.segment("PA", "abcdefghost"))
    #expect(out[0].acknowledgment == call.client &+ 7)
    #expect(bench.events() == [.readable, .peerClosed])
    #expect(bench.text(call.connection) == "abcdef")
  }

  @Test func dataBehindTheFINIsNotDelivered() {
    let (bench, call) = opened()
    _ = bench.exchange(call.segment("FA"))
    let out = bench.exchange(call.segment("PA", at: 1, "ghost"))
    #expect(out.map(\.acknowledgment) == [call.client &+ 1])
    let readable = bench.stack.readableCount(call.connection)
    #expect(readable == 0 && bench.counter(.droppedDataAfterFIN) == 1)
  }

  @Test func anOrderlyEndWaitsUntilEverythingIsRead() {
    let (bench, call) = opened()
    bench.stack.close(call.connection)
    _ = bench.turn()
    _ = bench.exchange(call.segment(acking: 1), call.segment("FPA", acking: 1, "unread"))
    #expect(bench.events() == [.readable, .peerClosed])
    #expect(bench.text(call.connection) == "unread")
    #expect(bench.events() == [.closed(.finished)])
  }

  @Test func whoNeverReadsIsToldInTheEnd() {
    let (bench, call) = opened()
    bench.stack.close(call.connection)
    _ = bench.turn()
    _ = bench.exchange(call.segment(acking: 1), call.segment("FPA", acking: 1, "unread"))
    _ = bench.events()
    bench.now = bench.now + .seconds(61)
    _ = bench.turn()
    #expect(bench.events() == [.closed(.finished)])
    #expect(bench.stack.pool.freeCount == bench.stack.pool.capacity)
  }

  @Test func aSilentPeerDoesNotHoldFINWAIT2ForEver() {
    let (bench, call) = opened()
    bench.stack.close(call.connection)
    _ = bench.turn()
    _ = bench.exchange(call.segment(acking: 1))
    bench.now = bench.now + .seconds(59)
    #expect(bench.turn() == [])
    bench.now = bench.now + .seconds(2)
    #expect(bench.turn().map(\.flags) == ["RA"])
    #expect(bench.events() == [.closed(.timedOut)])
  }

  // MARK: TIME-WAIT

  @Test func timeWaitAnswersTheFINAgainAndEnds() {
    let (bench, call) = closedFirst()
    #expect(bench.counter(.timeWaitEntered) == 1)
    let deadline = bench.stack.nextDeadline
    #expect(deadline == bench.now + .seconds(60))
    bench.now = bench.now + .seconds(59)
    _ = bench.turn()
    let out = bench.exchange(call.segment("FA", acking: 1))
    #expect(out.map(\.acknowledgment) == [call.client &+ 1])
    #expect(out[0].sequence == call.server &+ 1)
    // The wait began again.
    bench.now = bench.now + .seconds(59)
    _ = bench.turn()
    var count = bench.stack.timeWaitCount
    #expect(count == 1)
    bench.now = bench.now + .seconds(2)
    _ = bench.turn()
    count = bench.stack.timeWaitCount
    #expect(count == 0)
    #expect(bench.stack.nextDeadline == nil)
  }

  @Test func aResetDoesNotEndTimeWait() {
    let (bench, call) = closedFirst()
    #expect(bench.exchange(call.segment("R", at: 1)) == [])
    let count = bench.stack.timeWaitCount
    #expect(count == 1)
  }

  @Test func aLaterSYNReopensFromTimeWaitBeyondTheOldPositions() {
    let (bench, call) = closedFirst()
    let old = bench.exchange(RawSegment(sequence: call.client &- 500, flags: "S"))
    #expect(old.map(\.flags) == ["A"])
    let out = bench.exchange(RawSegment(sequence: call.client &+ 500, flags: "S"))
    #expect(out.map(\.flags) == ["SA"])
    #expect(Int32(bitPattern: out[0].sequence &- call.server &- 1) > 0)
    #expect(bench.counter(.timeWaitReused) == 1)
  }

  @Test func aNewerTimestampReopensFromTimeWait() {
    let bench = Bench()
    let call = Call(bench, options: HandshakeTests.timestampOptions)
    func stamped(_ segment: RawSegment, _ value: UInt32) -> RawSegment {
      var segment = segment
      segment.options = [1, 1, 8, 10] + be(value) + [0, 0, 0, 0]
      return segment
    }
    bench.stack.close(call.connection)
    _ = bench.turn()
    _ = bench.exchange(stamped(call.segment("FA", acking: 1), 20))
    let count = bench.stack.timeWaitCount
    #expect(count == 1)
    let syn = RawSegment(sequence: call.client &- 500, flags: "S")
    let answer = bench.exchange(stamped(syn, 20))
    // RFC 7323 §3.2: timestamps until the end.
    #expect(answer.map(\.flags) == ["A"] && answer[0].timestamps?.echo == 20)
    #expect(bench.exchange(stamped(syn, 21)).map(\.flags) == ["SA"])
  }

  @Test func timeWaitIsBoundedAndTheOldestMakesRoom() {
    let bench = Bench()
    for i in 0..<12 {
      let port = UInt16(5_000 + i)
      func on(_ segment: RawSegment) -> RawSegment {
        var segment = segment
        segment.sourcePort = port
        return segment
      }
      let answer = bench.exchange(on(RawSegment(sequence: 0, flags: "S")))[0]
      let server = answer.sequence &+ 1
      bench.inject(on(RawSegment(sequence: 1, acknowledgment: server, flags: "A")))
      bench.stack.close(bench.stack.nextEvent()!.connection)
      _ = bench.turn()
      _ = bench.exchange(on(RawSegment(sequence: 1, acknowledgment: server &+ 1, flags: "FA")))
      _ = bench.events()
    }
    let count = bench.stack.timeWaitCount
    #expect(count == 8)
    #expect(bench.counter(.timeWaitRecycled) == 4)
  }

  // MARK: Reset

  @Test func onlyAResetAtTheExpectedPositionIsBelieved() {
    let (bench, call) = opened()
    // RFC 5961 §3.2: in the window, but not exactly.
    let out = bench.exchange(call.segment("R", at: 1))
    #expect(out.map(\.flags) == ["A"] && out[0].acknowledgment == call.client)
    #expect(bench.exchange(call.segment("R", at: 400_000)) == [])
    #expect(bench.events() == [])
    _ = bench.exchange(call.segment("R"))
    #expect(bench.events() == [.closed(.reset)])
  }

  @Test func aSYNInTheConnectionIsChallenged() {
    let (bench, call) = opened()
    let out = bench.exchange(call.segment("S", at: 10))
    #expect(out.map(\.flags) == ["A"] && out[0].acknowledgment == call.client)
    #expect(bench.events() == [])
  }

  @Test func challengesAreFew() {
    let (bench, call) = opened()
    var answers = 0
    for _ in 0..<100 {
      answers += bench.exchange(call.segment("S", at: 10)).count
      bench.now = bench.now + .milliseconds(10)
    }
    #expect(answers == 2)
    #expect(bench.counter(.challengesSuppressed) == 98)
  }

  @Test func anImpossibleAcknowledgmentIsChallenged() {
    let (bench, call) = opened()
    let out = bench.exchange(call.segment("PA", acking: 1, "evil"))
    #expect(out.map(\.flags) == ["A"])
    let readable = bench.stack.readableCount(call.connection)
    #expect(readable == 0 && bench.counter(.droppedBadAcknowledgment) == 1)
    let old = bench.exchange(call.segment("PA", acking: -70_000 & 0xffff_ffff, "evil"))
    #expect(old == [] && bench.counter(.droppedBadAcknowledgment) == 2)
  }

  @Test func abortTellsThePeerAndTheApplication() {
    let (bench, call) = opened()
    _ = bench.send(call.connection, noise(100, seed: 1))
    _ = bench.turn()
    bench.stack.abort(call.connection)
    let out = bench.turn()
    #expect(out.map(\.flags) == ["RA"] && out[0].sequence == call.server &+ 100)
    #expect(bench.events() == [.closed(.aborted)])
    // Whatever still comes is refused.
    #expect(bench.exchange(call.segment(acking: 100)).map(\.flags) == ["R"])
  }

  /// The end of the firmware: every client hears of it at once, in whatever state it is.
  @Test func abortingAllTellsEveryPeer() {
    let bench = Bench()
    func on(_ port: UInt16, _ segment: RawSegment) -> RawSegment {
      var segment = segment
      segment.sourcePort = port
      return segment
    }
    /// A handshake, but for its last segment. Returns the position of our first byte.
    func greet(_ port: UInt16) -> UInt32 {
      bench.exchange(on(port, RawSegment(sequence: 9, flags: "S")))[0].sequence &+ 1
    }
    func open(_ port: UInt16, at server: UInt32) -> SlabHandle {
      bench.inject(on(port, RawSegment(sequence: 10, acknowledgment: server, flags: "A")))
      return bench.stack.nextEvent()!.connection
    }
    let starts = (1...4 as ClosedRange<UInt16>).map(greet)
    _ = open(1, at: starts[0])
    _ = bench.send(open(2, at: starts[1]), noise(100, seed: 1))
    bench.stack.close(open(3, at: starts[2]))
    #expect(bench.turn().map(\.flags) == ["PA", "FA"])

    let isDone = bench.stack.abortAll()
    let out = bench.turn()
    #expect(isDone && out.map(\.flags) == ["RA", "RA", "RA", "RA"])
    #expect(out.map(\.destinationPort) == [1, 2, 3, 4])
    // Exactly where the peer expects it, or it would not believe it (RFC 5961 §3.2).
    #expect(zip(out, starts).map { $0.sequence &- $1 } == [0, 100, 1, 0])
    #expect(out.allSatisfy { $0.acknowledgment == 10 })
    #expect(bench.counter(.connectionsAborted) == 4 && bench.counter(.resetsSent) == 4)
    #expect(bench.events() == Array(repeating: .closed(.aborted), count: 3))
    let left = (bench.stack.connectionCount, bench.stack.pool.freeCount)
    #expect(left == (0, bench.stack.pool.capacity))
  }

  @Test func abortingAllGoesOnWhereTheAnswersWereFull() {
    var configuration = Bench.configuration()
    configuration.connectionsMax = 300
    configuration.halfOpenMax = 300
    let bench = Bench(configuration)
    for port in 1...300 as ClosedRange<UInt16> {
      bench.inject(RawSegment(flags: "S", sourcePort: port))
    }
    #expect(bench.turn().count == 300)
    var heard: [UInt16] = []
    for expected in [false, false, true] {
      let isDone = bench.stack.abortAll()
      #expect(isDone == expected)
      heard += bench.turn().map(\.destinationPort)
    }
    #expect(heard == Array(1...300) && bench.counter(.droppedReplyQueueFull) == 0)
  }

  @Test func aStaleHandleDoesNothing() {
    let (bench, call) = opened()
    bench.stack.abort(call.connection)
    _ = bench.turn()
    _ = bench.events()
    let second = Call(bench, start: 50)
    #expect(second.connection.index == call.connection.index)
    bench.stack.close(call.connection)
    bench.stack.abort(call.connection)
    bench.stack.consume(call.connection, 0)
    #expect(bench.send(call.connection, [1]) == 0)
    let answers = (
      bench.stack.sendRoom(call.connection), bench.stack.readableCount(call.connection)
    )
    #expect(answers == (0, 0))
    let state = bench.stack.snapshot(of: second.connection)?.state
    #expect(state == .established)
  }

  // MARK: Keep-alive

  @Test func aDeadPeerIsNoticed() {
    var configuration = Bench.configuration()
    configuration.keepaliveIdle = .seconds(10)
    configuration.keepaliveInterval = .seconds(1)
    configuration.keepaliveProbesMax = 3
    let (bench, call) = opened(configuration)
    let probes = bench.wait(milliseconds: 10_500)
    #expect(probes.map(\.sequence) == [call.server &- 1])
    // It answers: everything is well for another ten seconds.
    bench.inject(call.segment())
    #expect(bench.wait(milliseconds: 9_900) == [])
    let rest = bench.wait(milliseconds: 4_000)
    #expect(rest.map(\.flags) == ["A", "A", "A", "RA"])
    #expect(bench.events() == [.closed(.timedOut)])
  }

  @Test func aKeepAliveOfThePeerIsAnswered() {
    let (bench, call) = opened()
    let out = bench.exchange(call.segment(at: -1 & 0xffff_ffff))
    #expect(out.map(\.acknowledgment) == [call.client])
  }

  // MARK: Echo service

  private func echoing() -> (Bench, Call) {
    let (bench, call) = opened()
    return (bench, call)
  }

  private func serve(_ bench: Bench) -> [TCPEvent.Kind] {
    var service = EchoService()
    var kinds: [TCPEvent.Kind] = []
    while let event = bench.stack.nextEvent() {
      kinds.append(event.kind)
      service.handle(event, stack: &bench.stack)
    }
    return kinds
  }

  @Test func theEchoServiceEchoesAndClosesAfterThePeer() {
    let (bench, call) = echoing()
    bench.inject(call.segment("FPA", "echo me"))
    _ = serve(bench)
    let out = bench.turn()
    #expect(out.map(\.flags) == ["FPA"] && out[0].payload == Array("echo me".utf8))
    _ = bench.exchange(call.segment(at: 8, acking: 8))
    #expect(serve(bench) == [.closed(.finished)])
  }

  @Test func theEchoServiceClosesFirstOnQUIT() {
    let (bench, call) = echoing()
    bench.inject(call.segment("PA", "QUIT\r\nx"))
    _ = serve(bench)
    #expect(bench.turn().map(\.flags) == ["PA"])
    bench.inject(call.segment("PA", at: 7, acking: 7, "QUIT\r\n"))
    _ = serve(bench)
    let out = bench.turn()
    #expect(out.map(\.flags) == ["FPA"] && out[0].payload == Array("QUIT\r\n".utf8))
    // What comes after that is thrown away, and the end is orderly.
    bench.inject(call.segment("FPA", at: 13, acking: 14, "late"))
    #expect(serve(bench) == [.readable, .peerClosed, .closed(.finished)])
    let timeWait = bench.stack.timeWaitCount
    #expect(timeWait == 1)
  }
}
