import DPUCore
import Testing

@testable import HostLink

/// What the two ends say to each other, frame by frame.
@Suite struct LinkTests {
  @Test func bothEndsGreetAndTheListenersFollow() {
    var pair = LinkPair(greet: false)
    check(!pair.firmware.isUp)
    let early = pair.firmware.open(
      SlabHandle(index: 0, generation: 1), local: .broker, peer: .client)
    check(!early)
    let announced = pair.shim.announce(.broker, listening: true)
    check(announced)
    check(pair.firmwareEvents(), is: [.up, .listen(.broker)])
    check(pair.shimEvents(), is: [.link(.up)])
    _ = pair.shim.announce(.broker, listening: false)
    check(pair.firmwareEvents(), is: [.unlisten(.broker)])
  }

  @Test func aChannelLivesFromOpenToClose() {
    var pair = LinkPair()
    let channel = pair.open(3)
    pair.shim.accepted(channel)
    check(pair.firmwareEvents(), is: [.accepted(channel)])

    let request = pattern(from: 0, 300)
    let taken = pair.firmware.send(channel, request.span.bytes)
    check(taken, is: 300)
    pair.finishTurns()
    check(pair.shim.nextEvent(), is: .link(.data(channel, count: 300)))
    check(pair.shim.eventBytes.array, is: request)
    check(pair.shim.nextEvent(), is: nil)
    check(pair.shim.eventBytes.byteCount, is: 0)

    var body = pair.shim.prepareData(100)
    body.storeByte(9, at: 0)
    pair.shim.commitData(channel, 1)
    pair.shim.shut(channel)
    pair.finishTurns()
    check(pair.firmware.nextEvent(), is: .data(channel, count: 1))
    check(pair.firmware.eventBytes.array, is: [9])
    check(pair.firmware.nextEvent(), is: .shut(channel))

    pair.firmware.shut(channel)
    pair.firmware.close(channel, reason: .reset)
    check(pair.shimEvents(), is: [.link(.shut(channel)), .link(.closed(channel, .reset))])
    let counts = [pair.firmware.channelCount, pair.shim.channelCount]
    check(counts, is: [0, 0])
    check(pair.firmware.sendRoom(channel), is: 0)
  }

  @Test func aLateFrameNeverReachesANewerClientInTheSameSlot() {
    var pair = LinkPair()
    let old = pair.open(0, generation: 1)
    // The shim writes to the old channel while the firmware already gave its slot away.
    let late = pattern(from: 0, 10)
    _ = pair.shim.send(old, late.span.bytes)
    pair.shim.close(old, reason: .finished)
    pair.firmware.close(old, reason: .reset)
    let new = SlabHandle(index: 0, generation: 3)
    let opened = pair.firmware.open(new, local: .broker, peer: .client)
    check(opened)
    check(pair.firmwareEvents(), is: [])
    check(pair.shimEvents(), is: [.open(new, local: .broker, peer: .client)])
    check(pair.firmware.counters.value(LinkCounter.droppedStaleFrame), is: 2)
    check(pair.shim.counters[.droppedStaleFrame], is: 1)
    let room = [pair.firmware.sendRoom(old), pair.firmware.sendRoom(new)]
    check(room[0] == 0 && room[1] > 0)
  }

  @Test func creditEndsAtOneWindowAndReturnsInQuarters() {
    var pair = LinkPair(ringBytes: 1 << 20)
    let channel = pair.open(0)
    let window = HostLinkLimits.window
    let bytes = pattern(from: 0, window + 100)
    let sent = pair.firmware.send(channel, bytes.span.bytes)
    check(sent, is: window)
    check(pair.firmware.sendRoom(channel), is: 0)
    var received: [UInt8] = []
    pair.finishTurns()
    while case .link(.data(_, let count)) = pair.shim.nextEvent() {
      check(count <= HostLinkLimits.payloadMax)
      received += pair.shim.eventBytes.array
    }
    check(received, is: Array(bytes[..<window]))
    pair.shim.grant(channel, window / 4 - 1)
    check(pair.firmwareEvents(), is: [])
    pair.shim.grant(channel, 1)
    check(pair.firmwareEvents(), is: [.credit(channel)])
    check(pair.firmware.sendRoom(channel), is: window / 4)
  }

  @Test func closeAndCreditWaitBehindAFullRing() {
    var pair = LinkPair(ringBytes: 1 << 17, channels: 8)
    let channels = (0..<4).map { pair.open(UInt32($0)) }
    let bytes = pattern(from: 0, HostLinkLimits.window)
    var sent = 0
    for channel in channels { sent += pair.firmware.send(channel, bytes.span.bytes) }
    // DATA leaves an eighth of the ring free; FLUSH frames fill that too.
    check(sent < 1 << 17 && sent > (1 << 17) * 3 / 4)
    var token: UInt32 = 0
    while pair.firmware.flush(token: token) { token += 1 }
    pair.firmware.close(channels[0], reason: .finished)
    pair.firmware.shut(channels[1])
    let refused = pair.firmware.open(channels[0], local: .broker, peer: .client)
    check(!refused)
    check(pair.firmware.counters.value(LinkCounter.controlDelayed), is: 2)

    var events = pair.shimEvents().filter {
      if case .link(.data) = $0 { false } else { true }
    }
    check(events.count, is: Int(token))
    events = pair.shimEvents()
    check(events, is: [.link(.closed(channels[0], .finished)), .link(.shut(channels[1]))])
    let reopened = pair.firmware.open(
      SlabHandle(index: 0, generation: 3), local: .broker, peer: .client)
    check(reopened)
  }

  @Test func sendTakesAtLeastWhatSendRoomPromised() {
    var random = SplitMix64(seed: 11)
    var pair = LinkPair(ringBytes: 1 << 17, channels: 8)
    let channels = (0..<8).map { pair.open(UInt32($0)) }
    var promised = 0
    for _ in 0..<20_000 {
      let channel = channels[Int.random(in: 0..<8, using: &random)]
      let room = pair.firmware.sendRoom(channel)
      let count = Int.random(in: 0...40_000, using: &random)
      let bytes = [UInt8](repeating: 1, count: count)
      let taken = pair.firmware.send(channel, bytes.span.bytes)
      if taken < min(room, count) { Issue.record("took \(taken), promised \(room) for \(count)") }
      promised += room
      guard Int.random(in: 0..<3, using: &random) == 0 else { continue }
      pair.finishTurns()
      var budget = Int.random(in: 1..<20, using: &random)
      while budget > 0, case .link(.data(let channel, let count)) = pair.shim.nextEvent() {
        pair.shim.grant(channel, count)
        budget -= 1
      }
      pair.finishTurns()
      while pair.firmware.nextEvent() != nil {}
    }
    check(promised > 0)
  }

  @Test func flushIsAnsweredBehindTheData() {
    var pair = LinkPair()
    let channel = pair.open(0)
    _ = pair.firmware.flush(token: 0xffff_fffe)
    check(pair.shimEvents(), is: [.flush(token: 0xffff_fffe)])
    let bytes = pattern(from: 0, 5)
    _ = pair.shim.send(channel, bytes.span.bytes)
    _ = pair.shim.flushed(token: 0xffff_fffe, complete: true)
    _ = pair.shim.flushed(token: 1, complete: false)
    check(
      pair.firmwareEvents(),
      is: [
        .data(channel, count: 5), .flushed(token: 0xffff_fffe, complete: true),
        .flushed(token: 1, complete: false),
      ])
  }

  @Test func theCertificateCountsAtOnceAndOnlyWhileUp() {
    var pair = LinkPair(greet: false)
    pair.memory.link.certificate = .certified
    check(!pair.firmware.certified)
    _ = pair.firmwareEvents()
    check(pair.firmware.certified)
    pair.memory.link.certificate = [.kernelConnection]
    check(!pair.firmware.certified)
    _ = pair.shim.report([.kernelConnection])
    check(pair.firmwareEvents(), is: [.certificate([.kernelConnection])])
    pair.memory.link.certificate = [.certified, .otherListener]
    check(!pair.firmware.certified)
    pair.memory.link.certificate = .certified
    pair.firmware.apply(.detach, now: pair.now)
    _ = pair.firmwareEvents()
    check(!pair.firmware.certified)
  }

  @Test func whatThePeerLeftIsReadBeforeDown() {
    var pair = LinkPair()
    let channel = pair.open(0)
    let bytes = pattern(from: 0, 40)
    _ = pair.shim.send(channel, bytes.span.bytes)
    pair.shim.close(channel, reason: .finished)
    pair.finishTurns()
    pair.firmware.apply(.detach, now: pair.now)
    check(pair.firmware.takeNotice(), is: nil)
    check(
      pair.firmwareEvents(),
      is: [
        .data(channel, count: 40), .closed(channel, .finished), .down(.peerGone),
      ])
    check(pair.firmware.takeNotice(), is: .released)
    check(pair.firmware.takeNotice(), is: nil)

    // The next shim starts afresh on new memory.
    let next = SharedMemory()
    pair.firmware.apply(.attach(next.link, generation: 8, doorbell: -1), now: pair.now)
    var shim = LinkEndpoint(role: .shim, channelsMax: 64)
    shim.attach(next.link, generation: 8, now: pair.now)
    _ = shim.finishTurn()
    check(pair.firmwareEvents(), is: [.up])
  }

  @Test func anotherVersionOrGenerationIsRefused() {
    var pair = LinkPair(greet: false)
    pair.finishTurns()
    // The shim's HELLO lies at the start of the second ring.
    let hello = 4096 + (1 << 17) + FrameHeader.byteCount
    pair.memory.bytes[hello + Hello.Offset.version] = 2
    check(pair.firmware.nextEvent(), is: nil)
    check(!pair.firmware.isUp)
    check(pair.firmware.takeNotice(), is: .failed(.incompatible))
    pair.firmware.apply(.detach, now: pair.now)
    check(pair.firmware.takeNotice(), is: .released)

    var other = LinkPair(greet: false)
    other.finishTurns()
    other.memory.bytes[hello + Hello.Offset.generation] = 99
    check(other.firmware.nextEvent(), is: nil)
    check(other.firmware.takeNotice(), is: .failed(.incompatible))
  }
}

/// Time and sleep.
@Suite struct LinkTimeTests {
  @Test func silenceIsPingedStallsAtOneSecondAndEndsAtFive() {
    var pair = LinkPair(greet: false)
    _ = pair.firmwareEvents()
    _ = pair.shimEvents()
    let start = pair.now
    // The shim's process is stopped: it takes no turn.
    var happened: [UInt64: LinkEvent] = [:]
    for _ in 0..<70 {
      pair.now = pair.now + .milliseconds(100)
      while let event = pair.firmware.nextEvent() {
        happened[(pair.now - start).milliseconds] = event
      }
      pair.firmware.advance(now: pair.now)
      _ = pair.firmware.finishTurn()
    }
    // The first turn notices the greeting; a PING leaves half a second later.
    check(happened, is: [1_700: .stalled, 5_700: .down(.timeout)])
    check(pair.firmware.takeNotice(), is: .failed(.timeout))
    check(pair.firmware.counters.value(LinkCounter.stalls), is: 1)
  }

  @Test func aLateAnswerEndsTheStall() {
    var pair = LinkPair()
    for _ in 0..<30 {
      pair.now = pair.now + .milliseconds(100)
      pair.firmware.advance(now: pair.now)
    }
    check(pair.firmware.nextEvent(), is: .stalled)
    check(pair.shimEvents(), is: [])  // answers the PING
    check(pair.firmwareEvents() == [])
    pair.advance(.milliseconds(100))
    check(pair.firmware.nextEvent(), is: .resumed)
  }

  /// A firmware that was suspended learns nothing of what happened meanwhile before it has heard.
  @Test func aPauseOfTheWorkerItselfIsAStall() {
    var pair = LinkPair()
    pair.firmware.beginTurn(now: pair.now)
    for _ in 0..<3 {
      pair.advance(.milliseconds(400))
      pair.firmware.beginTurn(now: pair.now)
      check(pair.firmware.nextEvent(), is: nil)
    }
    pair.now = pair.now + .milliseconds(1_000)
    pair.firmware.beginTurn(now: pair.now)
    // Before anything else in this turn.
    check(pair.firmware.nextEvent(), is: .stalled)
    pair.firmware.advance(now: pair.now)
    check(pair.firmware.nextEvent(), is: nil)
    check(pair.shimEvents(), is: [])  // answers the PING
    check(pair.firmwareEvents() == [])
    pair.firmware.advance(now: pair.now)
    check(pair.firmware.nextEvent(), is: .resumed)
    check(pair.firmware.counters.value(LinkCounter.stalls), is: 1)
  }

  @Test func anIdleLinkStaysUpForAnHour() {
    var pair = LinkPair()
    for _ in 0..<36_000 {
      pair.advance(.milliseconds(100))
      let events = (pair.firmwareEvents().count, pair.shimEvents().count)
      if events != (0, 0) { Issue.record("an event at \(pair.now)") }
    }
    check(pair.firmware.isUp && pair.shim.isUp)
    // One PING each in half a second at most.
    check(pair.shim.counters[.framesSent] < 4 * 3600 + 10)
  }

  @Test func theDoorbellRingsOnceForASleeper() {
    var pair = LinkPair()
    let sleeps = pair.shim.prepareToSleep()
    check(sleeps)
    let channel = SlabHandle(index: 0, generation: 1)
    _ = pair.firmware.open(channel, local: .broker, peer: .client)
    let first = pair.firmware.finishTurn()
    _ = pair.firmware.flush(token: 1)
    let second = pair.firmware.finishTurn()
    check(first && !second)
    let sleepsAgain = pair.shim.prepareToSleep()
    check(!sleepsAgain)
    pair.shim.awake()
    _ = pair.firmware.flush(token: 2)
    let whileAwake = pair.firmware.finishTurn()
    check(!whileAwake)
    check(pair.shimEvents().count, is: 3)
  }
}
