import DPUCore
import PacketWire
import Testing

@testable import TCPLite

@Suite struct CongestionTests {
  private static let segment = 1_000

  private func fresh() -> CongestionControl { CongestionControl(segmentSize: Self.segment) }

  /// RFC 6928 §2: ten segments, but neither more than 14,600 bytes nor less than two segments.
  @Test func theInitialWindowIsBounded() {
    #expect(fresh().window == 10_000)
    #expect(CongestionControl(segmentSize: 1_460).window == 14_600)
    #expect(CongestionControl(segmentSize: 4_000).window == 14_600)
    #expect(CongestionControl(segmentSize: 8_960).window == 17_920)
  }

  /// RFC 3465 §2.2: by the bytes acknowledged, but at most two segments for one ACK.
  @Test func slowStartGrowsByWhatIsAcknowledged() {
    var congestion = fresh()
    var windows: [Int] = []
    for count in [1_000, 300, 5_000] {
      congestion.acknowledged(count, flight: congestion.window, segmentSize: Self.segment)
      windows.append(congestion.window)
    }
    #expect(windows == [11_000, 11_300, 13_300])
  }

  @Test func aWindowThatIsNotUsedDoesNotGrow() {
    var congestion = fresh()
    congestion.acknowledged(1_000, flight: 4_900, segmentSize: Self.segment)
    #expect(congestion.window == 10_000)
    congestion.acknowledged(1_000, flight: 5_000, segmentSize: Self.segment)
    #expect(congestion.window == 11_000)
    // In congestion avoidance it must be full.
    congestion.lost(flight: 20_000, segmentSize: Self.segment)
    for _ in 0..<50 {
      congestion.acknowledged(1_000, flight: 8_000, segmentSize: Self.segment)
    }
    #expect(congestion.window == 10_000)
  }

  /// RFC 5681 §3.1: one segment for each window of data.
  @Test func afterALossItHalvesAndGrowsBySegments() {
    var congestion = fresh()
    congestion.lost(flight: 20_000, segmentSize: Self.segment)
    #expect(congestion.window == 10_000 && congestion.threshold == 10_000)
    var windows: [Int] = []
    for _ in 0..<21 {
      congestion.acknowledged(1_000, flight: congestion.window, segmentSize: Self.segment)
      windows.append(congestion.window)
    }
    #expect(windows[8] == 10_000 && windows[9] == 11_000)
    #expect(windows[19] == 11_000 && windows[20] == 12_000)
    congestion.lost(flight: 1_000, segmentSize: Self.segment)
    #expect(congestion.window == 2_000)
  }

  /// RFC 5681 §3.1: repeated timeouts of one segment say nothing new about the path.
  @Test func aTimeoutStartsAgainFromOneSegment() {
    var congestion = fresh()
    congestion.timedOut(flight: 20_000, segmentSize: Self.segment, isFirst: true)
    #expect(congestion.window == 1_000 && congestion.threshold == 10_000)
    congestion.timedOut(flight: 1_000, segmentSize: Self.segment, isFirst: false)
    #expect(congestion.window == 1_000 && congestion.threshold == 10_000)
    for _ in 0..<9 {
      congestion.acknowledged(1_000, flight: congestion.window, segmentSize: Self.segment)
    }
    #expect(congestion.window == 10_000)
    congestion.acknowledged(1_000, flight: 10_000, segmentSize: Self.segment)
    #expect(congestion.window == 10_000)
  }

  // MARK: On a connection

  /// Segments of 1,000 bytes, no SACK, and a window worth filling.
  private func opened() -> (Bench, Call) {
    let bench = Bench()
    let call = Call(bench, options: [2, 4, 3, 0xe8])
    bench.inject(call.segment(window: 60_000))
    return (bench, call)
  }

  private func offsets(_ call: Call, _ segments: [RawSegment]) -> [Int] {
    segments.map { Int($0.sequence &- call.server) }
  }

  /// RFC 5681 §4.1.
  @Test func afterSilenceTheWindowIsTenSegmentsAgain() {
    let (bench, call) = opened()
    var acknowledged = 0
    func send(_ count: Int) -> Int {
      _ = bench.send(call.connection, noise(count, seed: 1))
      return bench.turn().count
    }
    func acknowledge(_ count: Int) {
      for _ in 0..<count {
        acknowledged += 1_000
        bench.inject(call.segment(acking: acknowledged, window: 60_000))
      }
    }
    #expect(send(10_000) == 10)
    acknowledge(10)
    // As long as half of it was in flight it grew.
    #expect(send(20_000) == 14)
    acknowledge(14)
    #expect(bench.turn().count == 6)
    acknowledge(6)
    // A pause, but not longer than a timeout.
    bench.now = bench.now + .milliseconds(100)
    #expect(send(19_000) == 19)
    acknowledge(19)
    bench.now = bench.now + .seconds(1)
    #expect(send(19_000) == 10)
  }

  /// RFC 5681 §2: a duplicate carries no data and no news of the window.
  @Test func dataAndWindowUpdatesAreNoDuplicates() {
    let (bench, call) = opened()
    _ = bench.send(call.connection, noise(5_000, seed: 1))
    #expect(bench.turn().count == 5)
    for i in 0..<5 {
      let out = bench.exchange(call.segment("PA", at: i, "x", window: 60_000))
      #expect(out.map(\.payload) == [[]])
    }
    for i in 1...5 {
      #expect(bench.exchange(call.segment(at: 5, window: 60_000 - i)) == [])
    }
    #expect(bench.counter(.duplicateAcknowledgments) == 0)
    let duplicate = call.segment(at: 5, window: 59_995)
    #expect(offsets(call, bench.exchange(duplicate, duplicate, duplicate)) == [0])
  }

  /// RFC 6582 §3.2: each duplicate stands for a segment that has left the network, until an
  /// acknowledgment covers it.
  @Test func newDataFollowsTheDuplicatesAndNoMore() {
    let (bench, call) = opened()
    _ = bench.send(call.connection, noise(40_000, seed: 1))
    #expect(bench.turn().count == 10)
    let duplicate = call.segment(window: 60_000)
    var sent: [[Int]] = []
    for _ in 0..<11 { sent.append(offsets(call, bench.exchange(duplicate))) }
    // Two by limited transmit (RFC 3042), then half of twelve segments may be out.
    #expect(sent[..<3] == [[10_000], [11_000], [0]])
    #expect(sent[3..<6] == [[], [], []])
    #expect(sent[6...] == [[12_000], [13_000], [14_000], [15_000], [16_000]])
    let partial = bench.exchange(call.segment(acking: 2_000, window: 60_000))
    #expect(offsets(call, partial) == [2_000])
  }

  /// RFC 6582 §4: what is sent again after a timeout brings duplicates of its own.
  @Test func duplicatesAfterATimeoutAreNoLoss() {
    let (bench, call) = opened()
    _ = bench.send(call.connection, noise(8_000, seed: 1))
    #expect(bench.turn().count == 8)
    #expect(offsets(call, bench.wait(milliseconds: 210)) == [0])
    let acknowledgment = call.segment(acking: 1_000, window: 60_000)
    #expect(offsets(call, bench.exchange(acknowledgment)) == [1_000, 2_000])
    for _ in 0..<4 { _ = bench.exchange(acknowledgment) }
    #expect(bench.counter(.duplicateAcknowledgments) == 4)
    #expect(bench.counter(.fastRetransmits) == 0)
  }
}
