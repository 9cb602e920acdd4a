/// Which of a fixed number of indices are taken; the lowest free one is taken first, as BMv2
/// gives out its handles.
struct IndexPool: ~Copyable {
  /// One bit per index, and one bit per word of those that is full.
  private var taken: RawArray<UInt64>
  private var full: RawArray<UInt64>
  let capacity: Int
  private(set) var count = 0
  var isFull: Bool { count == capacity }

  init(capacity: Int) {
    self.capacity = capacity
    let words = (capacity + 63) / 64
    taken = RawArray(zeroes: words)
    full = RawArray(zeroes: (words + 63) / 64)
    // What lies beyond the capacity is never free.
    if capacity & 63 != 0 { taken[words - 1] = ~0 << UInt64(capacity & 63) }
    if words & 63 != 0 { full[full.count - 1] = ~0 << UInt64(words & 63) }
  }

  @inline(__always)
  func contains(_ index: Int) -> Bool {
    index >= 0 && index < capacity && taken[index >> 6] >> UInt64(index & 63) & 1 == 1
  }

  /// The index that `take` will give out.
  func firstFree() -> Int? {
    if isFull { return nil }
    for block in 0..<full.count where ~full[block] != 0 {
      let word = block << 6 + (~full[block]).trailingZeroBitCount
      return word << 6 + (~taken[word]).trailingZeroBitCount
    }
    return nil
  }

  /// Takes a free index.
  mutating func take(_ index: Int) {
    precondition(!contains(index))
    let word = index >> 6
    taken[word] |= 1 << UInt64(index & 63)
    if ~taken[word] == 0 { full[word >> 6] |= 1 << UInt64(word & 63) }
    count += 1
  }

  mutating func release(_ index: Int) {
    precondition(contains(index))
    let word = index >> 6
    taken[word] &= ~(1 << UInt64(index & 63))
    full[word >> 6] &= ~(1 << UInt64(word & 63))
    count -= 1
  }

  /// The first taken index from `start` on.
  func next(from start: Int) -> Int? {
    guard start < capacity else { return nil }
    var word = max(0, start) >> 6
    var bits = taken[word] & ~0 << UInt64(max(0, start) & 63)
    while true {
      if bits != 0 {
        let index = word << 6 + bits.trailingZeroBitCount
        return index < capacity ? index : nil
      }
      word += 1
      if word == taken.count { return nil }
      bits = taken[word]
    }
  }
}
