import DPUCore

/// Finds the number of a name: a hash table over bytes with linear probing, for load time.
///
/// The hash is not keyed. Names that collide on purpose make it slow, not wrong, and there are
/// few enough of each kind (`ProgramLimits`) that slow is still fractions of a second.
struct NameTable {
  private var names: [Text] = []
  private var values: [Int] = []
  /// Index into `names` plus one, 0 where free. The count is a power of two, at most half used.
  private var slots = [Int32](repeating: 0, count: 16)

  var count: Int { names.count }

  /// False when the name is there already; then nothing changes.
  mutating func insert(_ name: Text, _ value: Int) -> Bool {
    if find(name) != nil { return false }
    names.append(name)
    values.append(value)
    if names.count * 2 > slots.count {
      slots = [Int32](repeating: 0, count: slots.count * 2)
      for index in names.indices { place(index) }
    } else {
      place(names.count - 1)
    }
    return true
  }

  func find(_ name: Text) -> Int? {
    var slot = Self.hash(name) & (slots.count - 1)
    while slots[slot] != 0 {
      let index = Int(slots[slot]) - 1
      if names[index] == name { return values[index] }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// Numbers as keys: the `id`s of the format.
  mutating func insert(id: Int, _ value: Int) -> Bool { insert(Self.key(id), value) }

  func find(id: Int) -> Int? { find(Self.key(id)) }

  private mutating func place(_ index: Int) {
    var slot = Self.hash(names[index]) & (slots.count - 1)
    while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = Int32(index + 1)
  }

  private static func key(_ id: Int) -> Text { "\(id)" }

  /// FNV-1a, folded.
  private static func hash(_ name: Text) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in name.bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return Int(truncatingIfNeeded: hash ^ hash >> 32)
  }
}
