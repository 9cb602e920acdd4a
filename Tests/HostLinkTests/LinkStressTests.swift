import DPUCore
import Foundation
import Testing

@testable import HostLink

/// Seeded traffic and seeded damage.
@Suite struct LinkStressTests {
  /// One direction of one channel: what was sent, what arrived, what may be granted.
  private struct Stream {
    var sent = 0
    var received = 0
    var owed = 0
  }

  @Test(arguments: 0..<12, [false, true])
  func randomTrafficArrivesWholeAndInOrder(seed: UInt64, overStream: Bool) {
    var random = SplitMix64(seed: seed)
    let ringBytes = 1 << (17 + Int(seed % 3))
    var pair = LinkPair(
      ringBytes: ringBytes, channels: 16, streamSeed: overStream ? seed : nil)
    var live: [SlabHandle] = []
    var generation: UInt32 = 1
    var down: [UInt64: Stream] = [:]  // firmware to shim
    var up: [UInt64: Stream] = [:]
    var total = 0
    func streamSeed(_ channel: SlabHandle, _ direction: UInt64) -> UInt64 {
      channel.rawValue &* 31 &+ direction &* 7 &+ seed
    }

    for step in 0..<6_000 {
      switch Int.random(in: 0..<12, using: &random) {
      case 0:
        let index = UInt32.random(in: 0..<16, using: &random)
        guard !live.contains(where: { $0.index == index }) else { break }
        generation += 2
        let handle = SlabHandle(index: index, generation: generation)
        if pair.firmware.open(handle, local: .broker, peer: .client) { live.append(handle) }
      case 1:
        guard Int.random(in: 0..<4, using: &random) == 0,
          let channel = live.randomElement(using: &random)
        else { break }
        live.removeAll { $0 == channel }
        pair.firmware.close(channel, reason: .finished)
      case 2...6:
        guard let channel = live.randomElement(using: &random) else { break }
        let position = down[channel.rawValue, default: Stream()].sent
        let bytes = pattern(
          from: position, Int.random(in: 1...9_000, using: &random), seed: streamSeed(channel, 0))
        let taken = pair.firmware.send(channel, bytes.span.bytes)
        down[channel.rawValue, default: Stream()].sent += taken
      default:
        guard let channel = live.randomElement(using: &random) else { break }
        let position = up[channel.rawValue, default: Stream()].sent
        let room = pair.shim.frameRoom(channel)
        guard room > 0 else { break }
        let bytes = pattern(
          from: position, Int.random(in: 0...min(room, 5_000), using: &random),
          seed: streamSeed(channel, 1))
        var body = pair.shim.prepareData(room)
        body.copy(bytes.span.bytes, at: 0)
        pair.shim.commitData(channel, bytes.count)
        up[channel.rawValue, default: Stream()].sent += bytes.count
      }
      if Int.random(in: 0..<3, using: &random) == 0 { _ = pair.firmware.finishTurn() }
      if Int.random(in: 0..<3, using: &random) == 0 { _ = pair.shim.finishTurn() }
      pair.carrier?.moveSome()

      var budget = Int.random(in: 0..<6, using: &random)
      while budget > 0, let event = pair.shim.nextEvent() {
        budget -= 1
        guard case .link(.data(let channel, let count)) = event else { continue }
        let position = down[channel.rawValue, default: Stream()].received
        let expected = pattern(from: position, count, seed: streamSeed(channel, 0))
        if pair.shim.eventBytes.array != expected { Issue.record("seed \(seed) step \(step)") }
        down[channel.rawValue]!.received += count
        down[channel.rawValue]!.owed += count
        total += count
      }
      budget = Int.random(in: 0..<6, using: &random)
      while budget > 0, let event = pair.firmware.nextEvent() {
        budget -= 1
        guard case .data(let channel, let count) = event else { continue }
        let position = up[channel.rawValue, default: Stream()].received
        let expected = pattern(from: position, count, seed: streamSeed(channel, 1))
        if pair.firmware.eventBytes.array != expected { Issue.record("seed \(seed) step \(step)") }
        up[channel.rawValue]!.received += count
        up[channel.rawValue]!.owed += count
        total += count
      }
      guard let channel = live.randomElement(using: &random) else { continue }
      if let owed = down[channel.rawValue]?.owed {
        pair.shim.grant(channel, owed)
        down[channel.rawValue]!.owed = 0
      }
      if let owed = up[channel.rawValue]?.owed {
        pair.firmware.grant(channel, owed)
        up[channel.rawValue]!.owed = 0
      }
    }
    // Whatever is still open gets all of its bytes, once everybody reads.
    for _ in 0..<8 {
      pair.finishTurns()
      while let event = pair.shim.nextEvent() {
        if case .link(.data(let channel, let count)) = event {
          down[channel.rawValue]!.received += count
        }
      }
      while let event = pair.firmware.nextEvent() {
        if case .data(let channel, let count) = event { up[channel.rawValue]!.received += count }
      }
    }
    for channel in live {
      let (d, u) = (down[channel.rawValue] ?? Stream(), up[channel.rawValue] ?? Stream())
      check(d.sent == d.received && u.sent == u.received, "seed \(seed)")
    }
    check(pair.firmware.isUp && pair.shim.isUp)
    check(total > 4 * ringBytes)
  }

  /// A peer that scribbles over the shared memory ends the link with a reason, and nothing else.
  @Test(arguments: 0..<400)
  func aCorruptPeerFailsTheLinkAndNothingElse(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var pair = LinkPair(ringBytes: 1 << 17, channels: 4)
    let channels = (0..<4).map { pair.open(UInt32($0)) }
    let ring = 4096 + (1 << 17)
    var ended = false
    for _ in 0..<200 {
      let channel = channels.randomElement(using: &random)!
      let room = pair.shim.frameRoom(channel)
      if room > 0 {
        let count = Int.random(in: 1...min(room, 2_000), using: &random)
        _ = pair.shim.prepareData(count)
        pair.shim.commitData(channel, count)
      }
      _ = pair.shim.finishTurn()
      // The indices, or the first kilobytes of the ring to the firmware.
      for _ in 0..<Int.random(in: 0..<3, using: &random) {
        let place =
          Bool.random(using: &random)
          ? [0, 128, 512, 640].randomElement(using: &random)!
            + Int.random(in: 0..<8, using: &random)
          : ring + Int.random(in: 0..<8_192, using: &random)
        pair.memory.bytes[place] = UInt8.random(in: 0...255, using: &random)
      }
      while let event = pair.firmware.nextEvent() {
        if case .data(_, let count) = event { check(pair.firmware.eventBytes.byteCount, is: count) }
        if case .data(let from, let count) = event { pair.firmware.grant(from, count) }
        if case .down = event { ended = true }
      }
      while let event = pair.shim.nextEvent() {
        if case .link(.data(_, let count)) = event {
          check(pair.shim.eventBytes.byteCount == count)
        }
      }
      let bytes = [UInt8](repeating: 5, count: 700)
      _ = pair.firmware.send(channel, bytes.span.bytes)
      _ = pair.firmware.finishTurn()
      if ended { break }
    }
    check(ended, is: (pair.firmware.takeNotice() != nil))
  }

  /// A frame that only the other side may send, or that no version knows.
  @Test(arguments: [
    (FrameHeader(.open, length: 0), LinkFailure.badKind), (FrameHeader(.flush), .badKind),
    (FrameHeader(.hello), .badKind), (FrameHeader(.listen), .badBody),
    (FrameHeader(.data, channel: 1 << 32), .badLength),
    (FrameHeader(.close, channel: 1 << 32, argument: 77), .badBody),
    (FrameHeader(.credit, channel: 1 << 32, argument: 1), .badCredit),
  ])
  func aFrameThatCannotBeIsAFailureWithItsReason(header: FrameHeader, reason: LinkFailure) {
    var pair = LinkPair()
    _ = pair.open(0, generation: 1)
    _ = pair.shim.append(header)
    check(pair.firmwareEvents(), is: [.down(reason)])
    check(pair.firmware.takeNotice(), is: .failed(reason))
    let counted = pair.firmware.counters.value(LinkCounter(reason))
    check(counted, is: 1)
  }

  @Test func randomBytesAreNoHello() {
    var random = SplitMix64(seed: 5)
    for _ in 0..<20_000 {
      var bytes = [UInt8](repeating: 0, count: Int.random(in: 0...40, using: &random))
      for i in bytes.indices { bytes[i] = UInt8.random(in: 0...255, using: &random) }
      if bytes.count >= 6 { bytes.replaceSubrange(0..<6, with: [0x44, 0x50, 0x55, 0x4c, 1, 0]) }
      let hello = try? Hello(bytes.span.bytes)
      if let hello { check(hello.workers > 0 && hello.ringBytes >= 1 << 16) }
    }
  }

  /// Two threads that sleep whenever they may: a lost wake-up would stop them.
  @Test func noWakeUpIsLost() async {
    let rounds = 20_000
    let memory = SharedMemory()
    let link = memory.link
    let bells = [DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)]
    @Sendable func run(_ role: LinkRole) -> Int {
      var end = LinkEndpoint(role: role, channelsMax: 1)
      end.attach(link, generation: 1, now: .zero)
      let mine = bells[role == .firmware ? 0 : 1]
      let theirs = bells[role == .firmware ? 1 : 0]
      var count = 0
      var timeouts = 0
      while count < rounds {
        while let event = end.nextEvent() {
          switch event {
          case .link(.up): if role == .firmware { _ = end.flush(token: 0) }
          case .flush(let token):
            _ = end.flushed(token: token, complete: true)
            count += 1
          case .link(.flushed(let token, _)):
            count += 1
            if count < rounds { _ = end.flush(token: token &+ 1) }
          default: break
          }
        }
        if end.finishTurn() { theirs.signal() }
        if count < rounds, end.prepareToSleep() {
          if mine.wait(timeout: .now() + 2) == .timedOut { timeouts += 1 }
          end.awake()
        }
        if timeouts > 2 { return -1 }
      }
      return count
    }
    // Threads of their own: tasks share as many threads as there are cores, and while other tests
    // hold those, one of two that wait for each other may not even begin.
    let (counts, arrived) = AsyncStream.makeStream(of: Int.self)
    for role in [LinkRole.shim, .firmware] {
      Thread.detachNewThread { arrived.yield(run(role)) }
    }
    var count = counts.makeAsyncIterator()
    check(await count.next(), is: rounds)
    check(await count.next(), is: rounds)
    withExtendedLifetime(memory) {}
  }
}
