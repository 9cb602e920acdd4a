import DPUCore
import PacketWire
import Testing

@testable import TCPLite

@Suite struct ScoreboardTests {
  /// Against a set of positions, while there is room for all ranges.
  @Test(arguments: 1...30 as ClosedRange<UInt64>) func agreesWithASet(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let base = SequenceNumber(0xffff_ff80)
    var board = Scoreboard()
    var held = Set<Int>()
    var acknowledged = 0
    for _ in 0..<200 {
      let start = acknowledged + 1 + Int(random.next() % 60)
      let end = start + 1 + Int(random.next() % 30)
      let added = held.union(start..<end)
      let ranges = added.filter { !added.contains($0 - 1) }.count
      if ranges <= 8 {
        board.insert(base + start, base + end)
        held = added
      }
      if random.next() % 4 == 0 {
        acknowledged += Int(random.next() % 20)
        board.advance(to: base + acknowledged)
        held = held.filter { $0 >= acknowledged }
      }
      let limit = acknowledged + Int(random.next() % 100)
      #expect(board.byteCount(below: base + limit) == held.filter { $0 < limit }.count)
      let from = acknowledged + Int(random.next() % 80)
      let missing = (from...).first { !held.contains($0) }!
      #expect(board.firstMissing(from: base + from) == base + missing, "seed \(seed)")
      let next = held.filter { $0 > from && !held.contains($0 - 1) }.min()
      #expect(board.nextHeld(above: base + from) == next.map { base + $0 }, "seed \(seed)")
      #expect(board.highest == held.max().map { base + $0 + 1 })
    }
  }

  @Test func theHighestRangeMakesRoom() {
    var board = Scoreboard()
    for i in (1...9).reversed() {
      board.insert(SequenceNumber(UInt32(i * 10)), SequenceNumber(UInt32(i * 10 + 5)))
    }
    #expect(board.count == 8 && board.highest == SequenceNumber(85))
    board.insert(SequenceNumber(200), SequenceNumber(300))
    #expect(board.highest == SequenceNumber(85))
  }

  @Test func reportsTheLatestRangeFirst() {
    var reported = ReportedRanges()
    for i: UInt32 in [10, 30, 50, 70, 90] {
      reported.insert(SequenceNumber(i), SequenceNumber(i + 5))
    }
    #expect((0..<reported.count).map { reported.ranges[$0].start } == [90, 70, 50, 30])
    reported.insert(SequenceNumber(55), SequenceNumber(70))
    #expect((0..<reported.count).map { reported.ranges[$0].start } == [50, 90, 30])
    #expect(reported.ranges[0].end == 75)
    reported.advance(to: SequenceNumber(60))
    #expect((0..<reported.count).map { reported.ranges[$0].start } == [50, 90])
  }
}
