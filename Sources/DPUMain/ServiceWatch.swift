import CLinux
import DPUCore
import PollLoop

/// What the main thread does while the workers run: tells the service manager that all is well, as
/// long as it is.
struct ServiceWatch {
  private let workers: [CounterReader]
  private let period: Interval
  private var turns: [UInt64]
  private var looked: Instant

  /// `workers`: the poll loops' counters.
  init(_ workers: [CounterReader], now: Instant) {
    self.workers = workers
    // Twice as often as wanted, as sd_watchdog_enabled(3) advises.
    period = Interval(nanoseconds: clinux_service_watchdog() / 2)
    turns = workers.map { $0.value(LoopCounter.turns) }
    looked = now
  }

  static func tell(_ state: Text) {
    _ = unsafe state.withCString { unsafe clinux_service_notify($0) }
  }

  /// Call some times a second. A worker whose loop has not turned since the last word to the
  /// manager is stuck: then nothing is said, and the manager starts the firmware anew.
  mutating func look(now: Instant) {
    guard period.nanoseconds > 0, now - looked >= period else { return }
    looked = now
    var isWell = true
    for index in workers.indices {
      let count = workers[index].value(LoopCounter.turns)
      if count == turns[index] { isWell = false }
      turns[index] = count
    }
    if isWell { Self.tell("WATCHDOG=1") }
  }
}
