import DPUCore
import PacketWire
import Testing

@testable import TCPLite

/// Random and damaged frames at a stack in every state: it must not trap, not leak, and go on
/// working.
@Suite struct FuzzTests {
  /// Frames that are right, or wrong in one place: with checksums made good again so that the
  /// fault reaches the layer it is meant for.
  private func frame(
    _ random: inout SplitMix64, link: Link, positions: [(client: UInt32, server: UInt32)]
  ) -> [UInt8] {
    func pick(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
    if pick(20) == 0 { return noise(pick(200), seed: random.next()) }
    if pick(40) == 0 { return link.client.isIPv4 ? link.arpRequest() : link.solicitation() }
    if pick(60) == 0 { return link.arpReply() }
    let port = pick(positions.count)
    let known = positions[port]
    let isExact = pick(2) == 0
    func near(_ value: UInt32) -> UInt32 {
      if isExact { return value }
      return switch pick(4) {
      case 0: UInt32(truncatingIfNeeded: random.next())
      case 1: value &+ UInt32(pick(70_000)) &- 2_000
      default: value &+ UInt32(pick(5)) &- 1
      }
    }
    var segment = RawSegment(sequence: near(known.client), acknowledgment: near(known.server))
    segment.sourcePort = UInt16(6_000 + port)
    segment.destinationPort = pick(50) == 0 ? UInt16(pick(65_536)) : pick(3) == 0 ? 7 : 1_883
    segment.flags =
      ["S", "A", "A", "PA", "PA", "FA", "R", "RA", "SA", "", "SF", "FSRPAU"][pick(12)]
    segment.window = pick(3) == 0 ? pick(3) : pick(65_536)
    if pick(3) == 0 {
      segment.options = noise(pick(41), seed: random.next())
    } else if pick(2) == 0 {
      let edges = (0..<2).flatMap { _ in be(near(known.server)) }
      segment.options = [1, 1, 5, 10] + edges
    } else if segment.flags == "S" {
      segment.options = pick(2) == 0 ? Call.usualOptions : HandshakeTests.timestampOptions
    }
    segment.payload = noise(pick(4) == 0 ? pick(1_400) : pick(4), seed: random.next())
    var frame = link.frame(segment)
    if pick(6) == 0 { frame[pick(frame.count)] ^= 1 << UInt8(pick(8)) }
    if pick(12) == 0 { frame = Array(frame.prefix(pick(frame.count + 1))) }
    return frame
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>) func survivesRandomFrames(seed: UInt64) {
    var configuration = Bench.configuration()
    configuration.blockCount = 128
    configuration.entriesMax = 512
    configuration.connectionsMax = 24
    configuration.keepaliveIdle = .seconds(5)
    configuration.sendEntriesMax = 40
    let bench = Bench(configuration)
    _ = bench.stack.listen(7, tag: 1)
    var service = EchoService()
    var random = SplitMix64(seed: seed)
    let links = [Link(), Link.v6]
    var positions = [(client: UInt32, server: UInt32)](repeating: (0, 0), count: 8)
    var known: [SlabHandle] = []
    for _ in 0..<25_000 {
      let link = links[Int(random.next() % 2)]
      bench.inject(frame(&random, link: link, positions: positions))
      if random.next() % 3 == 0 { continue }
      while let event = bench.stack.nextEvent() {
        if case .opened = event.kind { known.append(event.connection) }
        if event.tag == 1 { service.handle(event, stack: &bench.stack) }
      }
      if !known.isEmpty {
        let c = known[Int(random.next() % UInt64(known.count))]
        switch random.next() % 24 {
        case 0: bench.stack.close(c)
        case 1: bench.stack.abort(c)
        case 2, 3: _ = bench.send(c, noise(Int(random.next() % 3_000), seed: 1))
        case 4, 5: _ = bench.text(c)
        default: break
        }
        if known.count > 40 { known.removeFirst(20) }
      }
      let step = [0, 0, 1, 3, 40, 300, 3_000][Int(random.next() % 7)]
      bench.now = bench.now + .milliseconds(UInt64(step))
      bench.stack.advance(now: bench.now)
      bench.stack.transmit(into: &bench.sink, now: bench.now)
      for frame in bench.sink.frames {
        guard let segment = links[0].intactSegment(in: frame) ?? links[1].intactSegment(in: frame)
        else { continue }
        let port = Int(segment.destinationPort) - 6_000
        if positions.indices.contains(port) {
          positions[port].server = segment.sequence &+ UInt32(segment.payload.count)
          if segment.has("S") { positions[port].server &+= 1 }
          positions[port].client = segment.acknowledgment
        }
      }
      bench.sink.frames = []
    }
    #expect(bench.counter(.connectionsOpened) > 50, "seed \(seed)")
    // Left alone, everything ends and everything is given back.
    for i in 0..<UInt32(bench.stack.connectionCapacity) {
      if let snapshot = bench.stack.snapshot(at: i) { bench.stack.abort(snapshot.handle) }
    }
    bench.sink.frames = []
    for _ in 0..<200 {
      bench.now = bench.now + .seconds(1)
      bench.stack.advance(now: bench.now)
      bench.stack.transmit(into: &bench.sink, now: bench.now)
      while let event = bench.stack.nextEvent() { bench.stack.abort(event.connection) }
    }
    let left = [
      bench.stack.connectionCount, bench.stack.halfOpenConnectionCount, bench.stack.timeWaitCount,
      bench.stack.timers.count, bench.stack.pool.capacity - bench.stack.pool.freeCount,
      bench.stack.entries.capacity - bench.stack.freeEntryCount,
    ]
    #expect(left == [0, 0, 0, 0, 0, 0], "seed \(seed)")
    bench.stack.advance(now: bench.now)
    bench.sink.frames = []
    bench.inject(bench.link.arpRequest())
    _ = bench.turn()
    let call = Call(bench, start: 7)
    bench.inject(call.segment("PA", "alive"))
    #expect(bench.text(call.connection) == "alive", "seed \(seed)")
  }
}
