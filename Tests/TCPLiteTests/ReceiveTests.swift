import DPUCore
import PacketWire
import Testing

@testable import TCPLite

@Suite struct ReceiveTests {
  @Test func earlySegmentsWaitAndAreReported() {
    let bench = Bench()
    let call = Call(bench)
    var out = bench.exchange(call.segment("PA", at: 6, "world"))
    #expect(out.map(\.acknowledgment) == [call.client])
    #expect(out[0].sackBlocks.map(\.0) == [call.client &+ 6])
    #expect(out[0].sackBlocks.map(\.1) == [call.client &+ 11])
    #expect(bench.events() == [])
    // The block just extended comes first (RFC 2018 §4).
    out = bench.exchange(call.segment("PA", at: 20, "later"))
    #expect(out[0].sackBlocks.map(\.0) == [call.client &+ 20, call.client &+ 6])
    out = bench.exchange(call.segment("PA", "hello "))
    #expect(out[0].acknowledgment == call.client &+ 11)
    #expect(out[0].sackBlocks.map(\.0) == [call.client &+ 20])
    #expect(bench.text(call.connection) == "hello world")
    out = bench.exchange(call.segment("PA", at: 11, "123456789"))
    #expect(out[0].acknowledgment == call.client &+ 25 && out[0].sackBlocks.isEmpty)
    #expect(bench.text(call.connection) == "123456789later")
  }

  @Test func overlapsAreCutOff() {
    let bench = Bench()
    let call = Call(bench)
    bench.inject(call.segment("PA", at: 4, "efgh"))
    bench.inject(call.segment("PA", at: 2, "cdefghij"))
    bench.inject(call.segment("PA", at: 0, "abcdef"))
    bench.inject(call.segment("PA", at: 3, "def"))
    bench.inject(call.segment("PA", at: 8, "ijkl"))
    #expect(bench.text(call.connection) == "abcdefghijkl")
    #expect(bench.counter(.droppedDuplicateData) == 1)
  }

  @Test func withoutSACKEveryEarlySegmentIsAnsweredByADuplicate() {
    let bench = Bench()
    let call = Call(bench, options: [])
    let out = bench.exchange(
      call.segment("A", at: 10, "b"), call.segment("A", at: 11, "c"),
      call.segment("A", at: 12, "d"))
    #expect(out.map(\.acknowledgment) == [call.client, call.client, call.client])
    #expect(out.allSatisfy { $0.options.isEmpty })
  }

  @Test func aBurstIsAcknowledgedOnce() {
    let bench = Bench()
    let call = Call(bench)
    for i in 0..<10 { bench.inject(call.segment("A", at: i, "x")) }
    #expect(bench.turn().map(\.acknowledgment) == [call.client &+ 10])
    #expect(bench.events() == [.readable])
  }

  @Test func theWindowClosesAndOpensAgain() {
    var configuration = Bench.configuration()
    configuration.receiveLimit = 4_000
    let bench = Bench(configuration)
    let call = Call(bench)
    let kilobyte = String(repeating: "k", count: 1_000)
    var out: [RawSegment] = []
    for i in 0..<4 { out = bench.exchange(call.segment("A", at: i * 1_000, kilobyte)) }
    #expect(out[0].window == 0)
    // A probe of the closed window is answered, its byte not taken.
    out = bench.exchange(call.segment("A", at: 4_000, "p"))
    #expect(out.map(\.acknowledgment) == [call.client &+ 4_000])
    #expect(bench.counter(.droppedBeyondWindow) == 1)
    // Reading a little does not open it by silly amounts (RFC 9293 §3.8.6.2.2) ...
    bench.stack.consume(call.connection, 500)
    #expect(bench.turn() == [])
    // ... reading half does.
    bench.stack.consume(call.connection, 1_500)
    out = bench.turn()
    #expect(out.map(\.window) == [2_000])
    // What was announced is accepted.
    out = bench.exchange(call.segment("A", at: 4_000, kilobyte))
    #expect(out[0].acknowledgment == call.client &+ 5_000)
  }

  /// 256 KB need a shift of three, which counts from the handshake on.
  @Test func theWindowIsScaled() {
    let bench = Bench()
    let call = Call(bench)
    #expect(call.synACK.option(3) == [3] && call.synACK.window == 65_535)
    let out = bench.exchange(call.segment("PA", "hello"))
    #expect(out.map(\.window) == [((256 << 10) - 5) >> 3])
    let plain = Bench()
    let old = Call(plain, options: [2, 4, 5, 0xb4])
    #expect(old.synACK.option(3) == nil)
    #expect(plain.exchange(old.segment("PA", "hello")).map(\.window) == [65_530])
  }

  @Test func whatLiesBeyondTheWindowIsCutOff() {
    var configuration = Bench.configuration()
    configuration.receiveLimit = 1_000
    let bench = Bench(configuration)
    let call = Call(bench)
    let out = bench.exchange(call.segment("A", String(repeating: "x", count: 1_400)))
    #expect(out[0].acknowledgment == call.client &+ 1_000 && out[0].window == 0)
    let far = bench.exchange(call.segment("A", at: 5_000, "far"))
    #expect(far.map(\.acknowledgment) == [call.client &+ 1_000])
    #expect(bench.counter(.droppedOutOfWindow) == 1)
  }

  @Test func oldTimestampsAreRefused() {
    let bench = Bench()
    let call = Call(bench, options: HandshakeTests.timestampOptions)
    func stamped(_ value: UInt32, at: Int, _ text: String) -> RawSegment {
      call.segment("A", at: at, text, options: [1, 1, 8, 10] + be(value) + [0, 0, 0, 0])
    }
    #expect(bench.exchange(stamped(20, at: 0, "a"))[0].timestamps?.echo == 20)
    let out = bench.exchange(stamped(19, at: 1, "b"))
    #expect(out.map(\.acknowledgment) == [call.client &+ 1])
    #expect(bench.counter(.droppedOldTimestamp) == 1)
    #expect(bench.exchange(call.segment("A", at: 1, "b")) == [])
    #expect(bench.counter(.droppedMissingTimestamp) == 1)
    // RFC 7323 §5.5: after 24 days the old value says nothing.
    bench.now = bench.now + .seconds(25 * 24 * 3_600)
    #expect(bench.exchange(stamped(19, at: 1, "b"))[0].acknowledgment == call.client &+ 2)
  }

  @Test func theEchoedTimestampIsOfTheSegmentThatAdvancedTheWindow() {
    let bench = Bench()
    let call = Call(bench, options: HandshakeTests.timestampOptions)
    func stamped(_ value: UInt32, at: Int, _ text: String) -> RawSegment {
      call.segment("A", at: at, text, options: [1, 1, 8, 10] + be(value) + [0, 0, 0, 0])
    }
    // RFC 7323 §4.3, case B: a hole keeps the older value.
    #expect(bench.exchange(stamped(30, at: 5, "x"))[0].timestamps?.echo == 9)
    #expect(bench.exchange(stamped(31, at: 0, "abcde"))[0].timestamps?.echo == 31)
  }

  @Test func whenBlocksRunOutDataIsDroppedAndTheWindowShrinks() {
    var configuration = Bench.configuration()
    configuration.blockCount = 16
    configuration.blockSize = 1_024
    let bench = Bench(configuration)
    let call = Call(bench)
    let kilobyte = String(repeating: "k", count: 1_024)
    var last = RawSegment()
    for i in 0..<20 {
      last = bench.exchange(call.segment("A", at: i * 1_024, kilobyte)).last ?? last
    }
    // Two of sixteen blocks are kept for others.
    #expect(last.acknowledgment == call.client &+ 14 * 1_024)
    #expect(bench.counter(.droppedNoBlock) == 6)
    #expect(bench.counter(.windowGrantsWithheld) > 0)
    let text = bench.text(call.connection)
    #expect(text.count == 14 * 1_024)
    // There is room again, so the rest may come.
    last = bench.exchange(call.segment("A", at: 14 * 1_024, kilobyte))[0]
    #expect(last.acknowledgment == call.client &+ 15 * 1_024)
  }

  /// A quarter of the blocks is for those who have a connection, an eighth for sending.
  @Test func withFewBlocksNewWindowsAreSmall() {
    var configuration = Bench.configuration()
    configuration.blockCount = 16
    let bench = Bench(configuration)
    var windows: [Int] = []
    var held: [Block] = []
    for count in [11, 12, 14] {
      while held.count < count { held.append(bench.stack.pool.allocate()!) }
      let syn = RawSegment(flags: "S", sourcePort: UInt16(count))
      windows.append(bench.exchange(syn)[0].window)
    }
    #expect(windows == [65_535, 3_000, 0])
    #expect(bench.counter(.windowGrantsWithheld) == 2)
  }

  @Test func smallSegmentsShareBlocks() {
    let bench = Bench()
    let call = Call(bench)
    for i in 0..<1_000 { bench.inject(call.segment("A", at: i, "x")) }
    let used = bench.stack.pool.capacity - bench.stack.pool.freeCount
    #expect(used == 1)
    let run = peekCount(bench.stack, call.connection)
    #expect(run == 1_000)
  }

  @Test func gapsPerConnectionAreBounded() {
    let bench = Bench()
    let call = Call(bench)
    for i in 1...400 { bench.inject(call.segment("A", at: i * 2, "x")) }
    #expect(bench.counter(.droppedOutOfOrderFull) == 400 - UInt64(TCPLimits.outOfOrderEntriesMax))
    bench.stack.abort(call.connection)
    _ = bench.turn()
    _ = bench.events()
    let left = (bench.stack.pool.freeCount, bench.stack.freeEntryCount)
    #expect(left == (bench.stack.pool.capacity, bench.stack.entries.capacity))
  }

  @Test func readsAcrossBlocksWithoutConsuming() {
    let bench = Bench()
    let call = Call(bench)
    let text = (0..<6).map { String(repeating: "\($0)", count: 1_000) }.joined()
    for i in 0..<6 {
      let start = text.index(text.startIndex, offsetBy: i * 1_000)
      bench.inject(
        call.segment("A", at: i * 1_000, String(text[start...].prefix(1_000))))
    }
    var bytes = [UInt8](repeating: 0, count: 2_500)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    let copied = bench.stack.copyReadable(call.connection, at: 1_500, into: &raw)
    #expect(copied == 2_500)
    #expect(bytes == Array(text.utf8)[1_500..<4_000].map { $0 })
    let readable = bench.stack.readableCount(call.connection)
    #expect(readable == 6_000)
    #expect(bench.text(call.connection) == text)
  }

  /// The queue against an array: random pieces of a stream, in any order, overlapping.
  @Test(arguments: 1...60 as ClosedRange<UInt64>) func agreesWithAnArray(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let stream = noise(20_000, seed: seed)
    let start = SequenceNumber(UInt32(truncatingIfNeeded: random.next()) | 0xffff_e000)
    var pool = BlockPool(blockCount: 256, blockSize: 256)
    var entries = EntryPool(capacity: 400)
    var queue = ReceiveQueue(next: start)
    var held = [Bool](repeating: false, count: stream.count)
    var read = 0
    var next = 0
    for _ in 0..<600 {
      let offset = min(stream.count - 1, next + Int(random.next() % 4_000) * Int(random.next() % 2))
      let count = min(stream.count - offset, 1 + Int(random.next() % 900))
      let piece = Array(stream[offset..<offset + count])
      let outcome =
        offset == next
        ? queue.append(piece.span.bytes, reserve: 0, pool: &pool, entries: &entries)
        : queue.insert(
          piece.span.bytes, at: start + offset, reserve: 0, pool: &pool, entries: &entries)
      #expect(outcome == .stored || outcome == .tooManyPieces, "seed \(seed)")
      guard outcome == .stored else { continue }
      for i in offset..<offset + count { held[i] = true }
      while next < stream.count, held[next] { next += 1 }
      #expect(queue.next == start + next, "seed \(seed)")
      #expect(queue.readableCount == next - read, "seed \(seed)")
      let taken = Int(random.next() % UInt64(queue.readableCount + 1))
      var bytes = [UInt8](repeating: 0, count: taken)
      var span = bytes.mutableSpan
      var raw = span.mutableBytes
      let copied = queue.copy(at: 0, into: &raw, pool: pool, entries: entries)
      queue.consume(copied, pool: &pool, entries: &entries)
      let same = bytes == Array(stream[read..<read + taken])
      #expect(same && copied == taken, "seed \(seed)")
      read += taken
    }
    queue.releaseAll(pool: &pool, entries: &entries)
    let left = (pool.freeCount, entries.freeCount)
    #expect(left == (256, 400), "seed \(seed)")
  }
}
