package import DPUCore

/// What a loop needs of the thread it runs on.
package protocol LoopHost: ~Copyable {
  /// Never goes back.
  mutating func now() -> Instant
  /// Processor time of this thread: goes on only while it runs.
  mutating func processorTime() -> Instant
  var stopRequested: Bool { get }
  /// Tells the core that this is a waiting loop; a few dozen cycles.
  mutating func pause()
  /// Lets other threads of this core run.
  mutating func yield()
  /// Gives the core away for about `interval`; may return earlier.
  mutating func sleep(_ interval: Interval)
}

extension LoopHost where Self: ~Copyable {
  /// A thread that is never interrupted.
  package mutating func processorTime() -> Instant { now() }
}

package enum IdleAction: Equatable, Sendable {
  case spin, pause, yield
  case sleep(atMost: Interval)
}

/// How a worker waits when there is nothing to do.
///
/// On a DPU every worker owns its core: `spin` or `pause`. Where cores are shared with the peers
/// the worker waits for, as on a development machine, `yield` or `sleep` let them run.
package struct IdlePolicy: Equatable, Sendable {
  package enum Rest: Equatable, Sendable { case spin, pause, yield, sleep }

  package var rest: Rest
  /// Empty turns during which the worker only pauses, because the next frame is often close.
  package var patienceTurns: Int
  /// Upper bound of one sleep: frames wait that long, as kernel devices wake nobody.
  package var longestSleep: Interval

  package init(
    rest: Rest, patienceTurns: Int = 64, longestSleep: Interval = .microseconds(100)
  ) {
    self.rest = rest
    self.patienceTurns = patienceTurns
    self.longestSleep = longestSleep
  }

  /// `idleTurns` turns in a row had no work; at least one.
  @inline(__always)
  package func action(idleTurns: Int) -> IdleAction {
    switch rest {
    case .spin: return .spin
    case .pause: return .pause
    case .yield: return idleTurns <= patienceTurns ? .pause : .yield
    case .sleep:
      if idleTurns <= patienceTurns { return .pause }
      // Yielding first costs a peer that answers within microseconds no sleep.
      return idleTurns <= 2 * patienceTurns ? .yield : .sleep(atMost: longestSleep)
    }
  }
}
