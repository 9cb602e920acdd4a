import DPUCore

/// An open-addressed hash table from hashes to slot numbers of some other array, which holds the
/// keys. At most half full, linear probing, and removal that leaves no tombstones.
struct ProbeTable: ~Copyable {
  struct Slot: BitwiseCopyable {
    var hash: UInt32
    /// `.max` when free.
    var index: UInt32
  }

  private var slots: FixedArray<Slot>
  private let mask: Int

  /// For at most `capacity` entries.
  init(capacity: Int) {
    var size = 8
    while size < capacity * 2 { size *= 2 }
    slots = FixedArray(repeating: Slot(hash: 0, index: .max), count: size)
    mask = size - 1
  }

  /// The entry with `hash` for which `isSame` holds, `.max` when there is none.
  @inline(__always)
  func find(_ hash: UInt32, _ isSame: (UInt32) -> Bool) -> UInt32 {
    var position = Int(hash) & mask
    while true {
      let slot = slots[position]
      if slot.index == .max || (slot.hash == hash && isSame(slot.index)) { return slot.index }
      position = (position + 1) & mask
    }
  }

  /// Adds an entry that is not there.
  mutating func insert(_ hash: UInt32, _ index: UInt32) {
    var position = Int(hash) & mask
    while slots[position].index != .max { position = (position + 1) & mask }
    slots[position] = Slot(hash: hash, index: index)
  }

  /// Removes an entry that is there.
  mutating func remove(_ hash: UInt32, _ index: UInt32) {
    var hole = Int(hash) & mask
    while slots[hole].index != index {
      invariant(slots[hole].index != .max, "an entry to be removed was not in its table")
      hole = (hole + 1) & mask
    }
    // Entries behind the hole move up, unless they would pass their own first position.
    var next = (hole + 1) & mask
    while slots[next].index != .max {
      let first = Int(slots[next].hash) & mask
      if (next - first) & mask >= (next - hole) & mask {
        slots[hole] = slots[next]
        hole = next
      }
      next = (next + 1) & mask
    }
    slots[hole].index = .max
  }
}
