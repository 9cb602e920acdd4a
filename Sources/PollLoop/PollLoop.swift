package import DPUCore
package import Frames

/// What a worker does with frames: all the protocols behind one door.
package protocol TurnStage: ~Copyable {
  /// Takes every frame of `burst`: sends it on, or drops it and counts why.
  mutating func receive<Device: FrameDevice & ~Copyable>(
    _ burst: inout Burst, from port: Int, through ports: inout Ports<Device>, now: Instant)

  /// Called once per turn, after all bursts: timers, work that waits, frames to send. Returns
  /// whether there was anything to do; when not, the loop may rest.
  mutating func turn<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) -> Bool

  /// Whether somebody waits for `attend`. Asked once per turn, so it costs a load at most.
  var isAsked: Bool { get }

  /// Called between two turns, when `isAsked`: what an operator wants done. It may allocate and
  /// count references, which a turn may not, and shall be done in some ten microseconds.
  mutating func attend<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant)

  /// The last call: sends what peers should hear before the worker ends.
  mutating func finish<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant)

  /// When `turn` has something to do even if no frame arrives; nil when nothing waits.
  var nextDeadline: Instant? { get }
}

extension TurnStage where Self: ~Copyable {
  /// A stage without an operator.
  package var isAsked: Bool { false }

  package mutating func attend<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) {}
}

/// What is counted by each worker.
package enum LoopCounter: Int, CounterKey {
  case turns
  /// Time between two turns belongs to the first: busy when that had work, idle when not.
  case busyNanoseconds, idleNanoseconds
  /// How often the worker gave the core away.
  case yields, sleeps
  /// How often it did what an operator asked for.
  case attended
  /// Processor time of these, and the most that one took: how long frames had to wait for it.
  case attendedNanoseconds, longestAttendedNanoseconds

  package var name: StaticString {
    switch self {
    case .turns: "turns"
    case .busyNanoseconds: "busyNanoseconds"
    case .idleNanoseconds: "idleNanoseconds"
    case .yields: "yields"
    case .sleeps: "sleeps"
    case .attended: "attended"
    case .attendedNanoseconds: "attendedNanoseconds"
    case .longestAttendedNanoseconds: "longestAttendedNanoseconds"
    }
  }
}

/// Run to completion: receive a burst from every port, work on it, send what came of it.
///
/// One per core, sharing nothing with the others. `turn` is the packet path: no allocation, no
/// lock, no system call but those of the device.
package struct PollLoop<Device: FrameDevice & ~Copyable, Stage: TurnStage & ~Copyable>: ~Copyable {
  package var ports: Ports<Device>
  package var stage: Stage
  private var burst = Burst()
  private let counters = Counters<LoopCounter>()

  package init(device: consuming Device, stage: consuming Stage) {
    ports = Ports(device)
    self.stage = stage
  }

  /// For statistics; may be kept by another thread.
  package var reader: CounterReader { counters.reader }

  /// One turn. `now` is the time of everything in it. Returns whether there was work.
  @inline(never)  // The audit of the machine code starts here.
  package mutating func turn(now: Instant) -> Bool {
    var worked = false
    ports.tap.now = now
    for port in 0..<ports.count {
      ports.receive(from: port, into: &burst)
      if burst.isEmpty { continue }
      worked = true
      stage.receive(&burst, from: port, through: &ports, now: now)
      invariant(burst.isEmpty, "a stage left frames in a burst")
    }
    if stage.turn(through: &ports, now: now) { worked = true }
    ports.flush()
    return worked
  }

  /// Does what an operator asked for, if anything. Between two turns; returns whether there was
  /// something.
  package mutating func attend(now: Instant) -> Bool {
    guard stage.isAsked else { return false }
    stage.attend(through: &ports, now: now)
    ports.flush()
    counters.increment(.attended)
    return true
  }

  /// Turns until the host asks to stop.
  package mutating func run<Host: LoopHost & ~Copyable>(on host: inout Host, idle: IdlePolicy) {
    var idleTurns = 0
    var now = host.now()
    while !host.stopRequested {
      var worked = turn(now: now)
      if stage.isAsked {
        let start = host.processorTime()
        worked = attend(now: now)
        let took = (host.processorTime() - start).nanoseconds
        counters.add(Int(took), to: .attendedNanoseconds)
        counters.raise(.longestAttendedNanoseconds, to: took)
      }
      idleTurns = worked ? 0 : idleTurns &+ 1
      if !worked { rest(idle.action(idleTurns: idleTurns), on: &host, since: now) }
      let next = host.now()
      counters.increment(.turns)
      counters.add(
        Int((next - now).nanoseconds), to: worked ? .busyNanoseconds : .idleNanoseconds)
      now = next
    }
    stage.finish(through: &ports, now: now)
    ports.flush()
  }

  private func rest<Host: LoopHost & ~Copyable>(
    _ action: IdleAction, on host: inout Host, since now: Instant
  ) {
    switch action {
    case .spin: break
    case .pause: host.pause()
    case .yield:
      counters.increment(.yields)
      host.yield()
    case .sleep(let longest):
      let wait = stage.nextDeadline.map { min($0 - now, longest) } ?? longest
      if wait == .zero { return }
      counters.increment(.sleeps)
      host.sleep(wait)
    }
  }
}
