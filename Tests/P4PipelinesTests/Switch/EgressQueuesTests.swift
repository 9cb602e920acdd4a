import DPUCore
import Testing

@testable import P4Pipelines

struct EgressQueuesTests {
  private func at(_ microseconds: UInt64) -> Instant {
    .zero + .seconds(1) + .microseconds(microseconds)
  }

  @Test func aPortWithoutARateNeverHolds() {
    var queues = EgressQueues(depth: 1, held: 4)
    same(queues.mayHold, false)
    for _ in 0..<10 { same(queues.admit(port: 3, priority: 0, now: at(0)), .pass) }
    queues.setRate(port: 4, priority: nil, packetsPerSecond: 1)
    same(queues.mayHold, true)
    same(queues.admit(port: 3, priority: 0, now: at(0)), .pass)
  }

  @Test func aRateSpacesPacketsAndTheTailIsDropped() {
    var queues = EgressQueues(depth: 2, held: 8)
    queues.setRate(port: 1, priority: nil, packetsPerSecond: 10_000)
    same(queues.admit(port: 1, priority: 0, now: at(0)), .pass)
    same(queues.admit(port: 1, priority: 0, now: at(0)), .hold)
    queues.push(0, port: 1, priority: 0)
    same(queues.admit(port: 1, priority: 0, now: at(0)), .hold)
    queues.push(1, port: 1, priority: 0)
    same(queues.admit(port: 1, priority: 0, now: at(0)), .full)
    same(queues.drops(port: 1), 1)
    same(queues.depth(port: 1), 2)
    same(queues.nextDeadline, at(100))
    same(queues.pop(now: at(99))?.slot, nil)
    same(queues.pop(now: at(100))?.slot, 0)
    same(queues.nextDeadline, at(200))
    // A late poll sends at once and does not lower the rate.
    same(queues.pop(now: at(350))?.slot, 1)
    same(queues.nextDeadline, nil)
    same(queues.admit(port: 1, priority: 0, now: at(350)), .pass)
    same(queues.admit(port: 1, priority: 0, now: at(351)), .hold)
  }

  /// One that comes round again within a late turn could have left in time, and counts so.
  @Test func aLateTurnDoesNotLowerTheRate() {
    var queues = EgressQueues(depth: 2, held: 8)
    queues.setRate(port: 1, priority: nil, packetsPerSecond: 10_000)
    queues.begin(at(0))
    same(queues.admit(port: 1, priority: 0, now: at(0)), .pass)
    same(queues.admit(port: 1, priority: 0, now: at(0)), .hold)
    queues.push(0, port: 1, priority: 0)
    queues.begin(at(350))
    same(queues.pop(now: at(350))?.slot, 0)
    for _ in 0..<2 { same(queues.admit(port: 1, priority: 0, now: at(350)), .pass) }
    same(queues.admit(port: 1, priority: 0, now: at(350)), .hold)
    // Nobody waited in the turn before: a burst after a rest is spaced from its start.
    for turn in [UInt64(1000), 2000] { queues.begin(at(turn)) }
    same(queues.admit(port: 1, priority: 0, now: at(2000)), .pass)
    same(queues.admit(port: 1, priority: 0, now: at(2000)), .hold)
  }

  @Test func higherPrioritiesGoFirst() {
    var queues = EgressQueues(depth: 8, held: 16)
    queues.setRate(port: 511, priority: nil, packetsPerSecond: 1_000_000)
    same(queues.admit(port: 511, priority: 0, now: at(0)), .pass)
    for (slot, priority) in [0, 7, 3, 7, 0, 3].enumerated() {
      same(queues.admit(port: 511, priority: priority, now: at(0)), .hold)
      queues.push(slot, port: 511, priority: priority)
    }
    var slots: [Int] = []
    for step in 1...6 {
      same(queues.pop(now: at(UInt64(step)) + .nanoseconds(500)) == nil, false)
      slots.append(step)
    }
    same(queues.count, 0)
    same(queues.pop(now: at(100))?.slot, nil)
  }

  @Test func priorityOrderIsStrict() {
    var queues = EgressQueues(depth: 8, held: 16)
    queues.setRate(port: 2, priority: nil, packetsPerSecond: 1_000)
    _ = queues.admit(port: 2, priority: 0, now: at(0))
    for (slot, priority) in [0, 7, 3, 7, 0, 3].enumerated() {
      queues.push(slot, port: 2, priority: priority)
    }
    var order: [Int] = []
    while let next = queues.pop(now: at(1_000_000)) { order.append(next.slot) }
    same(order, [1, 3, 2, 5, 0, 4])
  }

  @Test func aPriorityMayHaveARateOfItsOwn() {
    var queues = EgressQueues(depth: 8, held: 16)
    queues.setRate(port: 2, priority: 7, packetsPerSecond: 1_000)
    same(queues.admit(port: 2, priority: 7, now: at(0)), .pass)
    same(queues.admit(port: 2, priority: 7, now: at(0)), .hold)
    queues.push(5, port: 2, priority: 7)
    // While somebody waits, others join the queue and leave at the next look.
    same(queues.admit(port: 2, priority: 1, now: at(0)), .hold)
    queues.push(6, port: 2, priority: 1)
    same(queues.pop(now: at(0))?.slot, 6)
    same(queues.pop(now: at(0))?.slot, nil)
    same(queues.nextDeadline, at(1000))
    same(queues.pop(now: at(1000))?.slot, 5)
  }

  @Test func withoutItsRateAQueueRunsEmptyAtOnce() {
    var queues = EgressQueues(depth: 8, held: 16)
    queues.setRate(port: nil, priority: nil, packetsPerSecond: 1)
    same(queues.admit(port: 9, priority: 0, now: at(0)), .pass)
    for slot in 0..<4 { queues.push(slot, port: 9, priority: 0) }
    same(queues.pop(now: at(10))?.slot, nil)
    queues.setRate(port: nil, priority: nil, packetsPerSecond: 0)
    same(queues.mayHold, true)
    var order: [Int] = []
    while let next = queues.pop(now: at(10)) { order.append(next.slot) }
    same(order, [0, 1, 2, 3])
    same(queues.mayHold, false)
  }

  @Test func everythingCanBeTakenOutForASwap() {
    var queues = EgressQueues(depth: 8, held: 16)
    queues.setRate(port: nil, priority: nil, packetsPerSecond: 1)
    for slot in 0..<16 { queues.push(slot, port: slot * 31, priority: slot % 8) }
    var seen: Set<Int> = []
    while let next = queues.popAny() {
      same(next.port, next.slot * 31)
      seen.insert(next.slot)
    }
    same(seen, Set(0..<16))
    same(queues.count, 0)
  }
}
