// The lookup runs on raw pointers into masks that the engine owns and on keys and lanes of the
// machine; tuples and entries in its lists are those that the engine put there.

/// Finds the entry of the smallest order for tables that are too large for bit vectors, and for
/// prefixes that are too long or too many for a trie: one hash lookup for each different mask (a
/// tuple), the tuple with the smallest order first, until no later one can win.
///
/// The hash table is the table's `KeyIndex`. Linear in the number of masks, which is small where
/// tables are large.
struct TupleEngine: ~Copyable {
  private let keyWords: Int
  private var tuples: RawArray<Tuple>
  private var masks: RawArray<UInt64>
  private var pool: IndexPool
  /// Tuples that have entries, the smallest `least` first.
  private var sorted: RawArray<UInt32>
  private var count = 0
  /// By entry.
  private var tupleOfEntry: RawArray<UInt32>

  struct Tuple: BitwiseCopyable {
    /// Of its mask.
    var seed: UInt64
    /// No entry has a smaller order. Not raised while entries are left: finding the next one would
    /// mean looking at all of them.
    var least: UInt64
    var entries: UInt32
  }

  /// A capacity of zero makes an engine that is never used.
  init(capacity: Int, keyWords: Int) {
    self.keyWords = keyWords
    tuples = RawArray(zeroes: capacity)
    masks = RawArray(zeroes: capacity * keyWords)
    pool = IndexPool(capacity: capacity)
    sorted = RawArray(zeroes: capacity)
    tupleOfEntry = RawArray(zeroes: capacity)
  }

  /// Writes the entry of each packet of `mask`, or `TableSet.noEntry`.
  func lookup(
    keys: UnsafePointer<UInt8>, stride: Int, mask: UInt64,
    entries: UnsafeMutablePointer<UInt64>, store: borrowing EntryStore, index: borrowing KeyIndex
  ) {
    var rest = mask
    while rest != 0 {
      let packet = rest.trailingZeroBitCount
      rest &= rest &- 1
      let key = unsafe UnsafeRawPointer(keys + packet &* stride)
      unsafe entries[packet] = find(key, store: store, index: index)
    }
  }

  private func find(
    _ key: UnsafeRawPointer, store: borrowing EntryStore, index: borrowing KeyIndex
  ) -> UInt64 {
    let words = unsafe key.assumingMemoryBound(to: UInt64.self)
    var best = UInt64.max
    for place in 0..<count {
      let number = unsafe Int(sorted.base[place])
      let tuple = unsafe tuples.base[number]
      if tuple.least >= best { break }
      let mask = unsafe UnsafePointer(masks.base + number &* keyWords)
      let hash = unsafe index.hash.hash(seed: tuple.seed, words, masked: mask, keyWords)
      var found = index.first(hash)
      while found != 0 {
        let entry = Int(found) &- 1
        let order = EntryInfo.order(
          priority: unsafe store.infos.base[entry].priority, index: entry)
        if order < best, unsafe tupleOfEntry.base[entry] == UInt32(truncatingIfNeeded: number),
          unsafe isSame(store.value(entry), words, mask),
          unsafe !store.hasRanges || store.isInRanges(entry, key)
        {
          best = order
        }
        found = index.next(after: found, hash)
      }
    }
    return best == .max ? TableSet.noEntry : best & 0xffff_ffff
  }

  @inline(__always)
  private func isSame(
    _ value: UnsafePointer<UInt64>, _ key: UnsafePointer<UInt64>, _ mask: UnsafePointer<UInt64>
  ) -> Bool {
    var difference: UInt64 = 0
    for word in 0..<keyWords { difference |= unsafe (value[word] ^ key[word]) & mask[word] }
    return difference == 0
  }

  // MARK: Change

  /// `mask`: the bits that the entry fixes; `seed`: their hash.
  mutating func insert(
    _ index: Int, mask: UnsafePointer<UInt64>, seed: UInt64, store: borrowing EntryStore
  ) {
    let order = store.order(index)
    var number = -1
    for place in 0..<count {
      let tuple = Int(sorted[place])
      if tuples[tuple].seed == seed,
        unsafe sameWords(masks.base + tuple * keyWords, mask, keyWords)
      {
        number = tuple
        sort(from: place, least: min(order, tuples[tuple].least))
        break
      }
    }
    if number < 0 {
      guard let free = pool.firstFree() else { preconditionFailure() }
      number = free
      pool.take(number)
      tuples[number] = Tuple(seed: seed, least: order, entries: 0)
      for word in 0..<keyWords { masks[number * keyWords + word] = unsafe mask[word] }
      sorted[count] = UInt32(number)
      count += 1
      sort(from: count - 1, least: order)
    }
    tuples[number].entries += 1
    tupleOfEntry[index] = UInt32(number)
  }

  mutating func remove(_ index: Int) {
    let number = Int(tupleOfEntry[index])
    tuples[number].entries -= 1
    if tuples[number].entries > 0 { return }
    pool.release(number)
    var place = 0
    while Int(sorted[place]) != number { place += 1 }
    while place + 1 < count {
      sorted[place] = sorted[place + 1]
      place += 1
    }
    count -= 1
  }

  /// Gives the tuple at `place` a smaller order and moves it to where it belongs.
  private mutating func sort(from place: Int, least: UInt64) {
    let number = sorted[place]
    tuples[Int(number)].least = least
    var place = place
    while place > 0, tuples[Int(sorted[place - 1])].least > least {
      sorted[place] = sorted[place - 1]
      place -= 1
    }
    sorted[place] = number
  }
}
