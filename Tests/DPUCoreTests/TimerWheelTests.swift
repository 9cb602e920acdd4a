import Testing

@testable import DPUCore

@Suite struct TimerWheelTests {
  @Test func firesInOrderNeverEarlyAndAtMostOneTickLate() {
    var random = SplitMix64(seed: 7)
    let tick = Interval.milliseconds(1)
    var wheel = TimerWheel(capacity: 512, tick: tick, now: .zero)
    var expected: [UInt32: UInt64] = [:]
    var now: UInt64 = 0
    for step in 0..<20_000 {
      let owner = UInt32.random(in: 0..<512, using: &random)
      switch Int.random(in: 0..<10, using: &random) {
      case 0:
        wheel.cancel(owner)
        expected[owner] = nil
      case 1...6:
        let spread = [1_000_000, 300_000_000, 80_000_000_000, 90_000_000_000_000][step % 4]
        let deadline = now + UInt64.random(in: 0..<UInt64(spread), using: &random)
        wheel.schedule(owner, at: Instant(nanoseconds: deadline))
        expected[owner] = deadline
      default:
        if let next = wheel.nextDeadline {
          let earliest = expected.values.min()!
          #expect(next.nanoseconds <= earliest + tick.nanoseconds)
          now = max(now, Bool.random(using: &random) ? next.nanoseconds : now + 5_000_000)
        }
        while let fired = wheel.popExpired(now: Instant(nanoseconds: now)) {
          let deadline = expected.removeValue(forKey: fired)
          #expect(deadline != nil && deadline! <= now)
        }
        // Nothing that is a tick overdue is left behind.
        #expect(expected.values.allSatisfy { $0 + tick.nanoseconds > now })
      }
      let count = wheel.count
      #expect(count == expected.count)
    }
  }

  @Test func nothingScheduledMeansNoDeadline() {
    var wheel = TimerWheel(capacity: 4, tick: .milliseconds(1), now: Instant(nanoseconds: 12345))
    let idle = wheel.nextDeadline
    wheel.schedule(2, at: .distantFuture)
    let fired = wheel.popExpired(now: Instant(nanoseconds: 1 << 60))
    wheel.cancel(2)
    let idleAgain = wheel.nextDeadline
    #expect(idle == nil && fired == nil && idleAgain == nil)
  }
}
