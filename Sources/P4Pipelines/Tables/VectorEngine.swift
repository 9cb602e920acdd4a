// The lookup runs on raw pointers into vectors that the engine owns and on keys and lanes of the
// machine; rows are numbered by key bytes, words and positions by bits that the engine set.

/// Finds the entry of the smallest order among those whose value, mask and ranges fit a key: one
/// bit per entry and per value of each byte of the key, anded over the bytes.
///
/// A summary has one bit per group of 8 to 64 entries and is anded first: of a thousand rules it
/// leaves a word or two to look at. Rules that leave the same bytes open share groups, so that a
/// group is as selective as its rules. Ranges are stretched to whole bytes; what passes is checked.
struct VectorEngine: ~Copyable {
  private let columns: Int
  private let words: Int
  /// Entries in a group, and groups in a word.
  private let groupSize: Int
  private let groupsPerWord: Int
  private let summaryWords: Int
  /// Those that may have a bit set.
  private var summariesUsed = 0
  /// `[column][word][value of the byte]`: bit p of word w is position 64 w + p.
  private var vectors: RawArray<UInt64>
  /// `[word][column][value of the byte]`: bit g of word w is group 64 w + g.
  private var summaries: RawArray<UInt64>
  /// By position.
  private var orders: RawArray<UInt64>
  private var taken: RawArray<UInt64>
  private var inexact: RawArray<UInt64>
  /// By entry.
  private var positions: RawArray<UInt32>
  /// By group: the columns that one of its entries leaves open.
  private var open: RawArray<UInt64>

  static func byteCount(capacity: Int, columns: Int) -> Int {
    let words = (capacity + 63) / 64
    return columns * 256 * 8 * (words + (words + 63) / 64)
  }

  /// `columns`: bytes of the key. A capacity of zero makes an engine that is never used.
  init(capacity: Int, columns: Int) {
    self.columns = columns
    words = (capacity + 63) / 64
    var size = 8
    while size < 64, 64 * size < capacity { size *= 2 }
    groupSize = size
    groupsPerWord = 64 / size
    summaryWords = (words * groupsPerWord + 63) / 64
    vectors = RawArray(zeroes: columns * words * 256)
    summaries = RawArray(zeroes: columns * summaryWords * 256)
    orders = RawArray(zeroes: words * 64)
    taken = RawArray(zeroes: words)
    inexact = RawArray(zeroes: words)
    positions = RawArray(zeroes: capacity)
    open = RawArray(zeroes: words * groupsPerWord)
  }

  // MARK: Lookup

  /// Writes the entry of each packet of `mask`, or `TableSet.noEntry`.
  func lookup(
    keys: UnsafePointer<UInt8>, stride: Int, mask: UInt64,
    entries: UnsafeMutablePointer<UInt64>, store: borrowing EntryStore
  ) {
    var rest = mask
    while rest != 0 {
      unsafe entries[rest.trailingZeroBitCount] = .max
      rest &= rest &- 1
    }
    var live = InlineArray<64, UInt64>(repeating: 0)
    var liveSpan = live.mutableSpan
    unsafe liveSpan.withUnsafeMutableBufferPointer { buffer in
      let live = unsafe buffer.baseAddress.unsafelyUnwrapped
      for summary in 0..<summariesUsed {
        let some = unsafe summarise(summary, keys: keys, stride: stride, mask: mask, live: live)
        unsafe choose(
          summary, keys: keys, stride: stride, mask: some, live: live, best: entries, store: store)
      }
    }
    rest = mask
    while rest != 0 {
      let packet = rest.trailingZeroBitCount
      rest &= rest &- 1
      let order = unsafe entries[packet]
      unsafe entries[packet] = order == .max ? TableSet.noEntry : order & 0xffff_ffff
    }
  }

  /// Finds the groups in which something may match, for all packets, without a branch; returns the
  /// packets that have one.
  @inline(__always)
  private func summarise(
    _ summary: Int, keys: UnsafePointer<UInt8>, stride: Int, mask: UInt64,
    live: UnsafeMutablePointer<UInt64>
  ) -> UInt64 {
    let rows = unsafe UnsafePointer(summaries.base + summary &* columns &* 256)
    var some: UInt64 = 0
    var rest = mask
    while rest != 0 {
      let packet = rest.trailingZeroBitCount
      rest &= rest &- 1
      let key = unsafe keys + packet &* stride
      var groups = UInt64.max
      var row = unsafe rows
      var column = 0
      while column &+ 1 < columns {
        groups &= unsafe row[Int(key[column])] & row[256 &+ Int(key[column &+ 1])]
        unsafe row += 512
        column &+= 2
      }
      if column < columns { groups &= unsafe row[Int(key[column])] }
      unsafe live[packet] = groups
      some |= (groups == 0 ? 0 : 1) &<< UInt64(truncatingIfNeeded: packet)
    }
    return some
  }

  @inline(__always)
  private func choose(
    _ summary: Int, keys: UnsafePointer<UInt8>, stride: Int, mask: UInt64,
    live: UnsafePointer<UInt64>, best: UnsafeMutablePointer<UInt64>, store: borrowing EntryStore
  ) {
    let vectors = unsafe UnsafePointer(vectors.base)
    let orders = unsafe UnsafePointer(orders.base)
    let inexact = unsafe UnsafePointer(inexact.base)
    let shift = UInt64(truncatingIfNeeded: groupsPerWord.trailingZeroBitCount)
    let groupsOfWord = groupsPerWord == 64 ? UInt64.max : 1 &<< UInt64(groupsPerWord) &- 1
    let firstWord = summary &* 64 &>> Int(shift)
    var rest = mask
    while rest != 0 {
      let packet = rest.trailingZeroBitCount
      rest &= rest &- 1
      let key = unsafe keys + packet &* stride
      var groups = unsafe live[packet]
      var least = unsafe best[packet]
      while groups != 0 {
        let ofSummary = UInt64(truncatingIfNeeded: groups.trailingZeroBitCount) &>> shift
        groups &= ~(groupsOfWord &<< (ofSummary &<< shift))
        let word = firstWord &+ Int(truncatingIfNeeded: ofSummary)
        var row = unsafe vectors + word &* 256
        var bits = UInt64.max
        for column in 0..<columns {
          bits &= unsafe row[Int(key[column])]
          unsafe row += words &* 256
        }
        while bits != 0 {
          let bit = bits.trailingZeroBitCount
          let order = unsafe orders[word &* 64 &+ bit]
          if order < least {
            let isExact =
              unsafe inexact[word] &>> UInt64(truncatingIfNeeded: bit) & 1 == 0
              || store.isInRanges(Int(order & 0xffff_ffff), UnsafeRawPointer(key))
            if isExact { least = order }
          }
          bits &= bits &- 1
        }
      }
      unsafe best[packet] = least
    }
  }

  // MARK: Change

  mutating func insert(_ index: Int, store: borrowing EntryStore) {
    var mine: UInt64 = 0
    for column in 0..<columns where store.column(index, column).isAnything {
      mine |= 1 << UInt64(column & 63)
    }
    let group = bestGroup(mine)
    open[group] |= mine
    let word = group / groupsPerWord
    let free = ~taken[word] & mask(ofGroup: group)
    let bit = free.trailingZeroBitCount
    let position = word * 64 + bit
    taken[word] |= 1 << UInt64(bit)
    if !store.areColumnsExact(index) { inexact[word] |= 1 << UInt64(bit) }
    orders[position] = store.order(index)
    positions[index] = UInt32(position)
    summariesUsed = max(summariesUsed, group / 64 + 1)
    for column in 0..<columns { mark(column, position, store.column(index, column), isSet: true) }
  }

  mutating func remove(_ index: Int, store: borrowing EntryStore) {
    let position = Int(positions[index])
    let word = position / 64
    let group = position / groupSize
    taken[word] &= ~(1 << UInt64(position & 63))
    inexact[word] &= ~(1 << UInt64(position & 63))
    for column in 0..<columns { mark(column, position, store.column(index, column), isSet: false) }
    if taken[word] & mask(ofGroup: group) == 0 { open[group] = 0 }
    if taken[word] == 0 { shrink() }
  }

  private mutating func shrink() {
    while summariesUsed > 0 {
      let wordsOfSummary = 64 / groupsPerWord
      let first = (summariesUsed - 1) * wordsOfSummary
      for word in first..<min(words, first + wordsOfSummary) where taken[word] != 0 { return }
      summariesUsed -= 1
    }
  }

  /// One with room whose rules leave the same columns open, else an empty one, else the one that
  /// differs least.
  private func bestGroup(_ mine: UInt64) -> Int {
    var best = 0
    var bestScore = Int.max
    for group in 0..<open.count {
      let used = taken[group / groupsPerWord] & mask(ofGroup: group)
      if used == mask(ofGroup: group) { continue }
      let score = used == 0 ? 1 : 2 * (open[group] ^ mine).nonzeroBitCount
      if score == 0 { return group }
      if score < bestScore {
        best = group
        bestScore = score
      }
    }
    return best
  }

  /// The bits of a group in its word.
  private func mask(ofGroup group: Int) -> UInt64 {
    let low = groupSize == 64 ? UInt64.max : 1 << UInt64(groupSize) - 1
    return low << UInt64(group % groupsPerWord * groupSize)
  }

  /// Sets or clears a position at all values of a column that it matches.
  private mutating func mark(_ column: Int, _ position: Int, _ values: KeyColumn, isSet: Bool) {
    let group = position / groupSize
    let row = unsafe vectors.base + (column * words + position / 64) * 256
    let summary = unsafe summaries.base + ((group / 64) * columns + column) * 256
    let bit: UInt64 = 1 << UInt64(position & 63)
    let groupBit: UInt64 = 1 << UInt64(group & 63)
    let groupMask = mask(ofGroup: group)
    let low = Int(values.low)
    let high = Int(values.high)
    if values.isInterval || values.isAnything {
      let all = values.isAnything ? 0..<256 : low..<(high + 1)
      if isSet {
        for value in all {
          unsafe row[value] |= bit
          unsafe summary[value] |= groupBit
        }
      } else {
        for value in all {
          let rest = unsafe row[value] & ~bit
          unsafe row[value] = rest
          let kept = rest & groupMask == 0 ? ~groupBit : .max
          unsafe summary[value] &= kept
        }
      }
      return
    }
    // Every subset of the bits that do not matter.
    let loose = ~values.mask
    var subset: UInt8 = 0
    repeat {
      let value = Int(values.low & values.mask | subset)
      if isSet {
        unsafe row[value] |= bit
        unsafe summary[value] |= groupBit
      } else {
        unsafe row[value] &= ~bit
        if unsafe row[value] & groupMask == 0 { unsafe summary[value] &= ~groupBit }
      }
      subset = (subset &- loose) & loose
    } while subset != 0
  }
}
