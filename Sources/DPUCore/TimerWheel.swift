/// Timers for a fixed number of owners: start, stop and expiry cost constant time.
///
/// Each owner (a slot number) has at most one timer here. Four levels of 256 ticks; a timer
/// further away than the top level waits in its last slot and is placed again. A timer never
/// fires early and at most one tick late. Expired owners are taken one by one with
/// `popExpired`, so that a burst of expiries can be spread over several turns.
package struct TimerWheel: ~Copyable {
  private static let slotsPerLevel = 256
  private static let levels = 4
  /// One list per slot, and the list of what is due.
  private static let dueList = UInt32(slotsPerLevel * levels)

  // Not private: the compiler needs its metadata where a wheel is destroyed.
  package struct Node: BitwiseCopyable {
    var deadlineTick: UInt64 = 0
    var next: UInt32 = .max
    var previous: UInt32 = .max
    /// The list it is in, `.max` when stopped.
    var list: UInt32 = .max
  }

  private let tickNanoseconds: UInt64
  private var currentTick: UInt64
  private var nodes: FixedArray<Node>
  private var heads: FixedArray<UInt32>
  /// Taken slots per level, one bit each.
  private var occupied: FixedArray<UInt64>
  package private(set) var count = 0

  /// `tick` is the resolution; one millisecond suits TCP.
  package init(capacity: Int, tick: Interval, now: Instant) {
    precondition(tick.nanoseconds > 0 && capacity < Int(UInt32.max))
    tickNanoseconds = tick.nanoseconds
    currentTick = now.nanoseconds / tick.nanoseconds
    nodes = FixedArray(repeating: Node(), count: capacity)
    heads = FixedArray(repeating: .max, count: Int(Self.dueList) + 1)
    occupied = FixedArray(repeating: 0, count: Self.levels * Self.slotsPerLevel / 64)
  }

  /// Starts or moves the timer of `owner`.
  package mutating func schedule(_ owner: UInt32, at deadline: Instant) {
    if nodes[owner].list != .max { unlink(owner) } else { count += 1 }
    // Rounded up: never early.
    let (padded, overflow) = deadline.nanoseconds.addingReportingOverflow(tickNanoseconds - 1)
    nodes[owner].deadlineTick = (overflow ? .max : padded) / tickNanoseconds
    place(owner)
  }

  package mutating func cancel(_ owner: UInt32) {
    guard nodes[owner].list != .max else { return }
    unlink(owner)
    count -= 1
  }

  package func isScheduled(_ owner: UInt32) -> Bool { nodes[owner].list != .max }

  /// An owner whose deadline has come, its timer stopped; nil when there is none at `now`.
  package mutating func popExpired(now: Instant) -> UInt32? {
    let target = now.nanoseconds / tickNanoseconds
    if heads[Self.dueList] == .max, currentTick < target { advance(to: target) }
    let owner = heads[Self.dueList]
    guard owner != .max else { return nil }
    unlink(owner)
    count -= 1
    return owner
  }

  /// Not later than the next expiry; nil when nothing runs. May be early by the width of a slot
  /// of a higher level, so after waking at it, ask again.
  package var nextDeadline: Instant? {
    guard count > 0 else { return nil }
    if heads[Self.dueList] != .max { return Instant(nanoseconds: currentTick * tickNanoseconds) }
    var best: UInt64 = .max
    for level in 0..<Self.levels {
      let shift = UInt64(level * 8)
      let base = currentTick >> shift
      // At level 0 the slot of the current tick is empty; higher up it may hold wrapped ones.
      if let distance = firstOccupied(level: level, after: Int(base & 255)) {
        let tick = (base &+ UInt64(distance)) << shift
        if tick < best { best = tick }
      }
    }
    let (ns, overflow) = best.multipliedReportingOverflow(by: tickNanoseconds)
    return Instant(nanoseconds: overflow ? .max : ns)
  }

  // MARK: Lists

  private mutating func place(_ owner: UInt32) {
    let deadline = nodes[owner].deadlineTick
    if deadline <= currentTick { return link(owner, Self.dueList) }
    for level in 0..<Self.levels {
      let shift = UInt64(level * 8)
      // The slot must lie ahead of the cursor of this level, less than one turn away.
      if (deadline >> shift) - (currentTick >> shift) < UInt64(Self.slotsPerLevel) {
        return link(owner, UInt32(level * Self.slotsPerLevel) + UInt32((deadline >> shift) & 255))
      }
    }
    // Beyond the top level: its furthest slot, to be placed again from there.
    let shift = UInt64((Self.levels - 1) * 8)
    let slot = ((currentTick >> shift) &+ 255) & 255
    link(owner, UInt32((Self.levels - 1) * Self.slotsPerLevel) + UInt32(slot))
  }

  private mutating func link(_ owner: UInt32, _ list: UInt32) {
    let head = heads[list]
    nodes[owner].list = list
    nodes[owner].next = head
    nodes[owner].previous = .max
    if head != .max { nodes[head].previous = owner }
    heads[list] = owner
    if list != Self.dueList { occupied[Int(list) / 64] |= 1 << (UInt64(list) & 63) }
  }

  private mutating func unlink(_ owner: UInt32) {
    let node = nodes[owner]
    if node.previous != .max {
      nodes[node.previous].next = node.next
    } else {
      heads[node.list] = node.next
      if node.next == .max, node.list != Self.dueList {
        occupied[Int(node.list) / 64] &= ~(1 << (UInt64(node.list) & 63))
      }
    }
    if node.next != .max { nodes[node.next].previous = node.previous }
    nodes[owner].list = .max
  }

  /// Distance from slot `cursor` of `level` to the next taken slot, 1 to 256.
  private func firstOccupied(level: Int, after cursor: Int) -> Int? {
    var distance = 1
    while distance <= Self.slotsPerLevel {
      let slot = (cursor + distance) & 255
      let word = occupied[level * 4 + slot / 64] >> UInt64(slot & 63)
      if word != 0 {
        let found = distance + word.trailingZeroBitCount
        return found <= Self.slotsPerLevel ? found : nil
      }
      distance += 64 - (slot & 63)
    }
    return nil
  }

  /// Moves the cursor to `target`, jumping over empty stretches, until something is due.
  private mutating func advance(to target: UInt64) {
    while currentTick < target {
      var next = target
      for level in 0..<Self.levels {
        let shift = UInt64(level * 8)
        let base = currentTick >> shift
        if let distance = firstOccupied(level: level, after: Int(base & 255)) {
          next = min(next, (base &+ UInt64(distance)) << shift)
        }
      }
      currentTick = next
      // From the top down, so that what falls from above is seen below in the same step.
      var level = Self.levels - 1
      while level >= 0 {
        let shift = UInt64(level * 8)
        if next & ((1 << shift) - 1) == 0 {
          drain(UInt32(level * Self.slotsPerLevel) + UInt32((next >> shift) & 255))
        }
        level -= 1
      }
      if heads[Self.dueList] != .max { return }
    }
  }

  private mutating func drain(_ list: UInt32) {
    while true {
      let owner = heads[list]
      guard owner != .max else { return }
      unlink(owner)
      place(owner)
    }
  }
}
