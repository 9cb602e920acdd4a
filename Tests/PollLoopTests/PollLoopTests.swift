import DPUCore
import Frames
import PollLoop
import Testing

/// Sends what arrives on one port out of the other, drops empty frames, and greets once.
struct CrossStage: TurnStage, ~Copyable {
  var greeting: [UInt8]?
  var nextDeadline: Instant?
  var dropped = 0
  var finished = false

  mutating func receive<Device: FrameDevice & ~Copyable>(
    _ burst: inout Burst, from port: Int, through ports: inout Ports<Device>, now: Instant
  ) {
    while let frame = burst.takeFirst() {
      if frame.count == 0 {
        dropped += 1
        ports.drop(frame)
      } else {
        ports.send(frame, to: 1 - port)
      }
    }
  }

  mutating func turn<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) -> Bool {
    guard let bytes = greeting, var frame = ports.allocate(for: 0) else { return false }
    greeting = nil
    var room = frame.room
    for (i, byte) in bytes.enumerated() { room.storeByte(byte, at: i) }
    frame.resize(to: bytes.count)
    ports.send(frame, to: 0)
    return true
  }

  mutating func finish<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) {
    finished = true
  }
}

/// A clock that moves one microsecond per reading and stops after some turns.
struct ScriptedHost: LoopHost, ~Copyable {
  var time = Instant.zero
  var turnsLeft: Int
  var pauses = 0
  var yields = 0
  var slept: [Interval] = []

  init(turns: Int) { turnsLeft = turns }

  var stopRequested: Bool { turnsLeft <= 0 }
  mutating func now() -> Instant {
    time = time + .microseconds(1)
    turnsLeft -= 1
    return time
  }
  mutating func pause() { pauses += 1 }
  mutating func yield() { yields += 1 }
  mutating func sleep(_ interval: Interval) {
    slept.append(interval)
    time = time + interval
  }
}

@Suite struct PollLoopTests {
  @Test func aTapCopiesWhatArrivesAndWhatLeaves() {
    var loop = PollLoop(device: MemoryDevice(portCount: 2), stage: CrossStage())
    func copies(_ loop: borrowing PollLoop<MemoryDevice, CrossStage>) -> [String] {
      var seen: [String] = []
      while loop.ports.tap.ring.take({ header, bytes in
        let shown = (0..<bytes.byteCount).map { String(bytes.byte(at: $0)) }.joined(separator: " ")
        seen.append(
          "\(header.isOutgoing ? "out" : "in") \(header.port) \(header.length): \(shown)")
      }) {}
      return seen
    }
    loop.ports.device.inject([9], port: 0)
    _ = loop.turn(now: .zero)
    #expect(copies(loop) == [])
    loop.ports.tap.choose(ports: 0b01, copyBytes: 2)
    loop.ports.device.inject([1, 2, 3], port: 0)
    loop.ports.device.inject([4], port: 1)
    _ = loop.turn(now: .zero)
    // The frame of port 0 leaves through port 1, which nobody wants to see.
    #expect(copies(loop) == ["in 0 3: 1 2", "out 0 1: 4"])
    #expect(loop.ports.device.takeSent(port: 1) == [[9], [1, 2, 3]])
    // More than the ring holds is missed by the capture and by nobody else.
    for _ in 0..<5 {
      for _ in 0..<32 { loop.ports.device.inject([5], port: 0) }
      _ = loop.turn(now: .zero)
    }
    #expect(copies(loop).count == 128)
    let missed = loop.ports.reader(port: 0).value(PortCounter.missedByCapture)
    #expect(missed == 32)
    #expect(loop.ports.device.takeSent(port: 1).count == 160)
  }

  @Test func aTurnReceivesWorksAndSends() {
    var loop = PollLoop(device: MemoryDevice(portCount: 2), stage: CrossStage())
    loop.ports.device.inject([1, 2, 3], port: 0)
    loop.ports.device.inject([], port: 0)
    loop.ports.device.inject([9], port: 1)
    let worked = loop.turn(now: .zero)
    #expect(worked)
    #expect(loop.ports.device.takeSent(port: 1) == [[1, 2, 3]])
    #expect(loop.ports.device.takeSent(port: 0) == [[9]])
    #expect(loop.stage.dropped == 1)
    #expect(loop.ports.device.freeBuffers == 256)
    let again = loop.turn(now: .zero)
    #expect(!again)
  }

  @Test func everyFrameIsCounted() {
    var loop = PollLoop(device: MemoryDevice(portCount: 2), stage: CrossStage())
    loop.ports.device.transmitRoom = 4
    for _ in 0..<10 { loop.ports.device.inject([1, 2, 3], port: 0) }
    _ = loop.turn(now: .zero)
    let received = loop.ports.reader(port: 0)
    let sent = loop.ports.reader(port: 1)
    #expect(received.value(PortCounter.framesReceived) == 10)
    #expect(received.value(PortCounter.bytesReceived) == 30)
    #expect(sent.value(PortCounter.framesTransmitted) == 4)
    #expect(sent.value(PortCounter.bytesTransmitted) == 12)
    #expect(sent.value(PortCounter.droppedTransmitQueueFull) == 6)
  }

  @Test func moreThanABurstLeavesInOneTurn() {
    var loop = PollLoop(device: MemoryDevice(portCount: 2), stage: CrossStage())
    loop.stage.greeting = [7]
    for _ in 0..<32 { loop.ports.device.inject([1], port: 1) }
    _ = loop.turn(now: .zero)
    #expect(loop.ports.device.takeSent(port: 0).count == 33)
  }

  @Test func withoutBuffersASenderIsToldAndItIsCounted() {
    var loop = PollLoop(device: MemoryDevice(portCount: 2, bufferCount: 1), stage: CrossStage())
    loop.stage.greeting = [7]
    let only = loop.ports.device.allocate()!
    let worked = loop.turn(now: .zero)
    #expect(!worked)
    #expect(loop.ports.reader(port: 0).value(PortCounter.droppedNoBuffer) == 1)
    loop.ports.device.recycle(only)
    let retried = loop.turn(now: .zero)
    #expect(retried)
    #expect(loop.ports.device.takeSent(port: 0) == [[7]])
  }

  @Test func aStageThatKeepsFramesStopsTheProgram() async {
    await #expect(processExitsWith: .failure) {
      struct Keeper: TurnStage, ~Copyable {
        var nextDeadline: Instant? { nil }
        mutating func receive<Device: FrameDevice & ~Copyable>(
          _ burst: inout Burst, from port: Int, through ports: inout Ports<Device>, now: Instant
        ) {}
        mutating func turn<Device: FrameDevice & ~Copyable>(
          through ports: inout Ports<Device>, now: Instant
        ) -> Bool { false }
        mutating func finish<Device: FrameDevice & ~Copyable>(
          through ports: inout Ports<Device>, now: Instant
        ) {}
      }
      var loop = PollLoop(device: MemoryDevice(portCount: 1), stage: Keeper())
      loop.ports.device.inject([1], port: 0)
      _ = loop.turn(now: .zero)
    }
  }
}

@Suite struct RunTests {
  @Test func timeIsChargedToBusyOrIdle() {
    var loop = PollLoop(device: MemoryDevice(portCount: 2), stage: CrossStage())
    for _ in 0..<64 { loop.ports.device.inject([1], port: 0) }
    var host = ScriptedHost(turns: 11)
    loop.run(on: &host, idle: IdlePolicy(rest: .pause))
    // The clock is read once before the first turn and once after each.
    #expect(loop.reader.value(LoopCounter.turns) == 10)
    #expect(loop.reader.value(LoopCounter.busyNanoseconds) == 2_000)
    #expect(loop.reader.value(LoopCounter.idleNanoseconds) == 8_000)
    #expect(host.pauses == 8)
    let finished = loop.stage.finished
    #expect(finished)
  }

  @Test func anIdleLoopPausesThenYieldsThenSleeps() {
    var loop = PollLoop(device: MemoryDevice(portCount: 2), stage: CrossStage())
    var host = ScriptedHost(turns: 11)
    loop.run(
      on: &host,
      idle: IdlePolicy(rest: .sleep, patienceTurns: 3, longestSleep: .microseconds(50)))
    #expect(host.pauses == 3)
    #expect(host.yields == 3)
    #expect(host.slept == Array(repeating: .microseconds(50), count: 4))
    #expect(loop.reader.value(LoopCounter.sleeps) == 4)
  }

  @Test func aDeadlineShortensTheSleep() {
    var loop = PollLoop(device: MemoryDevice(portCount: 2), stage: CrossStage())
    loop.stage.nextDeadline = Instant(nanoseconds: 11_000)
    var host = ScriptedHost(turns: 3)
    loop.run(
      on: &host,
      idle: IdlePolicy(rest: .sleep, patienceTurns: 0, longestSleep: .microseconds(50)))
    // At 1 us the deadline is 10 us away; at 12 us it has passed and there is no sleep.
    #expect(host.slept == [.microseconds(10)])
  }

  @Test func yieldingNeverSleeps() {
    let policy = IdlePolicy(rest: .yield, patienceTurns: 2)
    #expect([1, 2, 3, 1_000_000].map(policy.action) == [.pause, .pause, .yield, .yield])
    #expect(IdlePolicy(rest: .spin).action(idleTurns: 9) == .spin)
    #expect(IdlePolicy(rest: .pause).action(idleTurns: 9) == .pause)
  }
}
