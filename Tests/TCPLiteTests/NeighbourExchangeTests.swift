import DPUCore
import PacketWire
import Testing

@testable import TCPLite

/// Workers, each with a stack and its end of the exchange.
private struct Workers: ~Copyable {
  let benches: [Bench]
  private let rings: [[SPSCRing<NeighbourExchange.Answer>]]

  init(_ count: Int, link: Link = Link()) {
    benches = (0..<count).map { _ in Bench(link: link, knowsNeighbour: false) }
    rings = NeighbourExchange.rings(count)
  }

  /// A frame comes in the queue of `worker`.
  func receive(_ frame: [UInt8], at worker: Int) {
    NeighbourExchange(worker: worker, rings: rings).share(frame.span.bytes)
    benches[worker].inject(frame)
  }

  /// What every turn of `worker` begins with; returns the segments that leave in it.
  func turn(_ worker: Int) -> [RawSegment] {
    let bench = benches[worker]
    NeighbourExchange(worker: worker, rings: rings).receive(into: &bench.stack, now: bench.now)
    return bench.turn()
  }

  /// Answers on their way.
  var waiting: [[Int]] { rings.map { $0.map(\.count) } }
}

@Suite struct NeighbourExchangeTests {
  private static func advertisement(_ link: Link, rest: [UInt8] = []) -> [UInt8] {
    link.icmpv6(
      [136, 0, 0, 0, 0x60, 0, 0, 0] + addressBytes(link.client) + [2, 1]
        + macBytes(link.clientMAC) + rest, hopLimit: 255)
  }

  /// The SYN reaches one worker, the answer to its question another.
  @Test(arguments: [false, true]) func anAnswerReachesTheWorkerThatAsked(isIPv6: Bool) {
    let link = isIPv6 ? Link.v6 : Link()
    let workers = Workers(3, link: link)
    workers.receive(link.frame(RawSegment(sequence: 5, flags: "S")), at: 0)
    #expect(workers.turn(0) == [] && workers.benches[0].otherFrames.count == 1)
    let answer = isIPv6 ? Self.advertisement(link) : link.arpReply()
    // As short frames come from a wire.
    workers.receive(answer + [UInt8](repeating: 0, count: max(0, 60 - answer.count)), at: 2)
    #expect(workers.waiting == [[0, 0, 0], [0, 0, 0], [1, 1, 0]])
    #expect(workers.turn(0).map(\.flags) == ["SA"])
    // Who has not asked does not believe it.
    _ = workers.turn(1)
    for worker in 1...2 {
      let bench = workers.benches[worker]
      let known = bench.stack.neighbourCount
      #expect(known == 0 && bench.counter(.arpUnsolicitedIgnored) == 1)
    }
    #expect(workers.waiting == [[0, 0, 0], [0, 0, 0], [0, 0, 0]])
  }

  @Test func onlyAnswersArePassedOn() {
    let workers = Workers(2)
    let (v4, v6) = (Link(), Link.v6)
    let advertisement = Self.advertisement(v6)
    var frames = [
      v4.arpRequest(), v6.solicitation(), v4.frame(RawSegment(flags: "S")),
      v6.frame(RawSegment(flags: "S")), v6.icmpv6([128, 0, 0, 0, 1, 2, 3, 4]),
      // More than any answer takes.
      Self.advertisement(v6, rest: [14, 2] + [UInt8](repeating: 0, count: 14)),
    ]
    for frame in [v4.arpReply(), advertisement] {
      for count in 0..<frame.count { frames.append(Array(frame.prefix(count))) }
    }
    for frame in frames { workers.receive(frame, at: 0) }
    #expect(workers.waiting == [[0, 0], [0, 0]])
  }

  @Test func answersThatDoNotFitAreLost() {
    let workers = Workers(2)
    workers.receive(Link().frame(RawSegment(sequence: 5, flags: "S")), at: 1)
    _ = workers.turn(1)
    for _ in 0..<100 { workers.receive(Link().arpReply(), at: 0) }
    #expect(workers.waiting == [[0, TCPLimits.neighbourAnswers], [0, 0]])
    #expect(workers.turn(1).map(\.flags) == ["SA"])
    #expect(workers.waiting == [[0, 0], [0, 0]])
  }

  @Test func aloneThereIsNobodyToTell() {
    let workers = Workers(1)
    workers.receive(Link().arpReply(), at: 0)
    #expect(workers.waiting == [[0]] && workers.turn(0) == [])
  }
}
