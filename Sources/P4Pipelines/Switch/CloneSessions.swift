import DPUCore

/// Where clones go, by session number.
///
/// An index over all 15-bit numbers keeps the look-up of a packet at two loads, however the
/// numbers are chosen.
struct CloneSessions: ~Copyable {
  private var slots: FixedArray<CloneSession>
  /// By session number: slot + 1, 0 for none.
  private var slotOfNumber: FixedArray<UInt16>
  private var free: FixedArray<UInt16>
  private var freeCount: Int

  init(capacity: Int) {
    precondition(capacity > 0 && capacity < Int(UInt16.max))
    slots = FixedArray(repeating: CloneSession(), count: capacity)
    slotOfNumber = FixedArray(repeating: 0, count: SwitchLimits.sessionNumberMax + 1)
    free = FixedArray(repeating: 0, count: capacity)
    freeCount = capacity
    for index in 0..<capacity { free[index] = UInt16(capacity - 1 - index) }
  }

  /// The session a clone primitive named: only the low 15 bits count, as in BMv2.
  @inline(__always)
  subscript(number: Int) -> CloneSession? {
    let slot = slotOfNumber[number & SwitchLimits.sessionNumberMax]
    return slot == 0 ? nil : slots[Int(slot) - 1]
  }

  /// Makes or replaces a session; false when there are too many.
  mutating func set(_ number: Int, _ session: CloneSession) -> Bool {
    var slot = slotOfNumber[number]
    if slot == 0 {
      guard freeCount > 0 else { return false }
      freeCount -= 1
      slot = free[freeCount] + 1
      slotOfNumber[number] = slot
    }
    slots[Int(slot) - 1] = session
    return true
  }

  /// False when there was none.
  mutating func remove(_ number: Int) -> Bool {
    let slot = slotOfNumber[number]
    guard slot != 0 else { return false }
    slotOfNumber[number] = 0
    free[freeCount] = slot - 1
    freeCount += 1
    return true
  }
}
