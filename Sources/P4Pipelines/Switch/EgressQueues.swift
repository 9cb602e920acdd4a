import DPUCore

/// Packets that wait for an egress port with a rate.
///
/// Only such ports queue: without a rate a packet goes on to egress in the batch it came in, and
/// there is nothing to wait for. A port has eight queues, served strictly by priority (the highest
/// number first), each bounded; the port, a single queue, or both may have a rate. As in BMv2 a
/// packet may leave one interval after the one before it, or at once when that is longer ago.
///
/// Time is seen only when the poll loop looks (`begin`). A packet that comes late because of that
/// counts as having left in time, so that the rate holds however long a turn takes.
struct EgressQueues: ~Copyable {
  struct Queue: BitwiseCopyable {
    /// Slots of the held packets, first in, first out; -1: none.
    var first: Int32 = -1
    var last: Int32 = -1
    var count: UInt16 = 0
    var depth: UInt16
    var drops: UInt32 = 0
    var intervalNanoseconds: UInt64 = 0
    var next = Instant.zero
  }

  struct Port: BitwiseCopyable {
    var intervalNanoseconds: UInt64 = 0
    var next = Instant.zero
    var count: UInt32 = 0
    /// Priorities with a rate of their own.
    var ratedPriorities: UInt8 = 0
    /// Priorities with packets.
    var waiting: UInt8 = 0
  }

  private var queues: FixedArray<Queue>
  private var ports: FixedArray<Port>
  /// Links of the lists, by held slot.
  private var links: FixedArray<Int32>
  private var waitingPorts: FixedArray<UInt64>
  private var ratedPorts = 0
  /// The turn at hand and the one before it.
  private var turn = Instant.distantFuture
  private var turnBefore = Instant.distantFuture
  private(set) var count = 0

  /// `held`: number of slots whose indices may be queued.
  init(depth: Int, held: Int) {
    let portCount = SwitchLimits.ports
    queues = FixedArray(
      repeating: Queue(depth: UInt16(depth)), count: portCount * SwitchLimits.priorities)
    ports = FixedArray(repeating: Port(), count: portCount)
    links = FixedArray(repeating: -1, count: held)
    waitingPorts = FixedArray(repeating: 0, count: (portCount + 63) / 64)
  }

  /// Once per turn, also when nothing waits.
  @inline(__always)
  mutating func begin(_ now: Instant) {
    if now == turn { return }
    turnBefore = turn
    turn = now
  }

  /// False: `admit` would let every packet pass.
  @inline(__always)
  var mayHold: Bool { ratedPorts > 0 || count > 0 }

  enum Admission { case pass, hold, full }

  /// Whether a packet for `port` goes on at once (`pass`, and the time is accounted for), waits
  /// (`push` it next), or finds its queue full.
  mutating func admit(port: Int, priority: Int, now: Instant) -> Admission {
    let state = ports[port]
    if state.count == 0 {
      if state.intervalNanoseconds == 0 && state.ratedPriorities == 0 { return .pass }
      let index = port * SwitchLimits.priorities + priority
      let due = max(state.next, queues[index].next)
      if due <= now {
        // Before the last turn nobody waited.
        account(port: port, queue: index, at: due >= turnBefore ? due : now)
        return .pass
      }
    }
    let index = port * SwitchLimits.priorities + priority
    if queues[index].count >= queues[index].depth {
      queues[index].drops &+= 1
      return .full
    }
    return .hold
  }

  /// Packets waiting for a port, all priorities together.
  @inline(__always)
  func depth(port: Int) -> Int { Int(ports[port].count) }

  mutating func push(_ slot: Int, port: Int, priority: Int) {
    let index = port * SwitchLimits.priorities + priority
    links[slot] = -1
    if queues[index].last < 0 {
      queues[index].first = Int32(slot)
    } else {
      links[Int(queues[index].last)] = Int32(slot)
    }
    queues[index].last = Int32(slot)
    queues[index].count += 1
    ports[port].count += 1
    ports[port].waiting |= 1 << UInt8(priority)
    waitingPorts[port / 64] |= 1 << UInt64(port % 64)
    count += 1
  }

  /// The next packet that may leave by now: its slot and port, nil when there is none.
  mutating func pop(now: Instant) -> (slot: Int, port: Int)? {
    guard count > 0 else { return nil }
    for word in 0..<waitingPorts.count {
      var bits = waitingPorts[word]
      while bits != 0 {
        let port = word * 64 + bits.trailingZeroBitCount
        bits &= bits &- 1
        if let slot = pop(port: port, now: now) { return (slot, port) }
      }
    }
    return nil
  }

  private mutating func pop(port: Int, now: Instant) -> Int? {
    if ports[port].intervalNanoseconds != 0 && ports[port].next > now { return nil }
    var waiting = ports[port].waiting
    while waiting != 0 {
      let priority = 7 - waiting.leadingZeroBitCount
      waiting &= ~(1 << UInt8(priority))
      let index = port * SwitchLimits.priorities + priority
      if queues[index].intervalNanoseconds != 0 && queues[index].next > now { continue }
      // Accounted at the time it could have left, so that a late poll does not lower the rate.
      account(port: port, queue: index, at: max(ports[port].next, queues[index].next))
      return remove(port: port, priority: priority)
    }
    return nil
  }

  /// Any packet that waits, whatever the time: for a program swap.
  mutating func popAny() -> (slot: Int, port: Int)? {
    guard count > 0 else { return nil }
    for word in 0..<waitingPorts.count where waitingPorts[word] != 0 {
      let port = word * 64 + waitingPorts[word].trailingZeroBitCount
      let priority = 7 - ports[port].waiting.leadingZeroBitCount
      return (remove(port: port, priority: priority), port)
    }
    return nil
  }

  private mutating func remove(port: Int, priority: Int) -> Int {
    let index = port * SwitchLimits.priorities + priority
    let slot = Int(queues[index].first)
    queues[index].first = links[slot]
    if links[slot] < 0 {
      queues[index].last = -1
      ports[port].waiting &= ~(1 << UInt8(priority))
      if ports[port].waiting == 0 { waitingPorts[port / 64] &= ~(1 << UInt64(port % 64)) }
    }
    queues[index].count -= 1
    ports[port].count -= 1
    count -= 1
    return slot
  }

  private mutating func account(port: Int, queue index: Int, at time: Instant) {
    let portInterval = ports[port].intervalNanoseconds
    if portInterval != 0 {
      ports[port].next = time + .nanoseconds(portInterval)
    }
    let queueInterval = queues[index].intervalNanoseconds
    if queueInterval != 0 {
      queues[index].next = time + .nanoseconds(queueInterval)
    }
  }

  /// When the next packet may leave; nil when none waits.
  var nextDeadline: Instant? {
    guard count > 0 else { return nil }
    var earliest = Instant.distantFuture
    for word in 0..<waitingPorts.count {
      var bits = waitingPorts[word]
      while bits != 0 {
        let port = word * 64 + bits.trailingZeroBitCount
        bits &= bits &- 1
        var waiting = ports[port].waiting
        while waiting != 0 {
          let priority = waiting.trailingZeroBitCount
          waiting &= waiting &- 1
          let queue = queues[port * SwitchLimits.priorities + priority]
          earliest = min(earliest, max(ports[port].next, queue.next))
        }
      }
    }
    return earliest
  }
}

// MARK: Control

extension EgressQueues {
  /// What a change of one queue's depth or rate replaces; the same for a port's rate.
  func depth(port: Int, priority: Int) -> Int {
    Int(queues[port * SwitchLimits.priorities + priority].depth)
  }

  mutating func setDepth(port: Int?, priority: Int?, _ depth: Int) {
    for at in port.map({ $0..<$0 + 1 }) ?? 0..<ports.count {
      for level in priority.map({ $0..<$0 + 1 }) ?? 0..<SwitchLimits.priorities {
        queues[at * SwitchLimits.priorities + level].depth = UInt16(depth)
      }
    }
  }

  /// Packets that found a queue of this port full.
  func drops(port: Int) -> UInt64 {
    var sum: UInt64 = 0
    for level in 0..<SwitchLimits.priorities {
      sum += UInt64(queues[port * SwitchLimits.priorities + level].drops)
    }
    return sum
  }

  mutating func setRate(port: Int?, priority: Int?, packetsPerSecond rate: Int) {
    let interval = rate == 0 ? 0 : max(1, 1_000_000_000 / UInt64(rate))
    for at in port.map({ $0..<$0 + 1 }) ?? 0..<ports.count {
      let before = isRated(at)
      if let priority {
        let index = at * SwitchLimits.priorities + priority
        queues[index].intervalNanoseconds = interval
        queues[index].next = .zero
        let bit: UInt8 = 1 << UInt8(priority)
        if interval == 0 {
          ports[at].ratedPriorities &= ~bit
        } else {
          ports[at].ratedPriorities |= bit
        }
      } else {
        ports[at].intervalNanoseconds = interval
        ports[at].next = .zero
      }
      ratedPorts += (isRated(at) ? 1 : 0) - (before ? 1 : 0)
    }
  }

  private func isRated(_ port: Int) -> Bool {
    ports[port].intervalNanoseconds != 0 || ports[port].ratedPriorities != 0
  }
}
