/// A point in time on a monotonic clock, in nanoseconds since an arbitrary start.
///
/// Engines are handed the time; they never read a clock.
package struct Instant: Equatable, Comparable, BitwiseCopyable, Sendable {
  package var nanoseconds: UInt64

  package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  package static let zero = Instant(nanoseconds: 0)
  /// Later than anything: a deadline that never comes.
  package static let distantFuture = Instant(nanoseconds: .max)

  @inline(__always)
  package static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

  /// Saturates at `distantFuture`.
  @inline(__always)
  package static func + (a: Instant, b: Interval) -> Instant {
    let (sum, overflow) = a.nanoseconds.addingReportingOverflow(b.nanoseconds)
    return Instant(nanoseconds: overflow ? .max : sum)
  }

  /// The time from `b` to `a`; zero when `b` is later.
  @inline(__always)
  package static func - (a: Instant, b: Instant) -> Interval {
    Interval(nanoseconds: a.nanoseconds > b.nanoseconds ? a.nanoseconds &- b.nanoseconds : 0)
  }
}

/// A length of time in nanoseconds, never negative.
package struct Interval: Equatable, Comparable, BitwiseCopyable, Sendable {
  package var nanoseconds: UInt64

  package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  package static func nanoseconds(_ n: UInt64) -> Interval { Interval(nanoseconds: n) }
  package static func microseconds(_ n: UInt64) -> Interval { Interval(nanoseconds: n * 1_000) }
  package static func milliseconds(_ n: UInt64) -> Interval { Interval(nanoseconds: n * 1_000_000) }
  package static func seconds(_ n: UInt64) -> Interval { Interval(nanoseconds: n * 1_000_000_000) }
  package static let zero = Interval(nanoseconds: 0)

  package var milliseconds: UInt64 { nanoseconds / 1_000_000 }
  package var microseconds: UInt64 { nanoseconds / 1_000 }

  @inline(__always)
  package static func < (a: Interval, b: Interval) -> Bool { a.nanoseconds < b.nanoseconds }
  @inline(__always)
  package static func + (a: Interval, b: Interval) -> Interval {
    Interval(nanoseconds: a.nanoseconds + b.nanoseconds)
  }
  /// Saturates at zero.
  @inline(__always)
  package static func - (a: Interval, b: Interval) -> Interval {
    Interval(nanoseconds: a.nanoseconds > b.nanoseconds ? a.nanoseconds &- b.nanoseconds : 0)
  }
  @inline(__always)
  package static func * (a: Interval, factor: UInt64) -> Interval {
    Interval(nanoseconds: a.nanoseconds * factor)
  }
  @inline(__always)
  package static func / (a: Interval, divisor: UInt64) -> Interval {
    Interval(nanoseconds: a.nanoseconds / divisor)
  }
}
