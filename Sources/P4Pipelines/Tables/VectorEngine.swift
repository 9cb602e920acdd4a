// Writes bits through raw pointers: rows are numbered by key bytes, words and positions by bits that
// the engine set itself.

/// Finds the entry of the smallest order among those whose value, mask and ranges fit a key: one
/// bit per entry and per value of each byte of the key, anded over the bytes.
///
/// A summary has one bit per group of 8 to 64 entries and is anded first: of a thousand rules it
/// leaves a few words to look at. A rule joins the group that becomes least permissive by it, so
/// that like stands by like. Ranges are stretched to whole bytes; what passes is checked.
struct VectorEngine: ~Copyable {
  let columns: Int
  private let words: Int
  /// Entries in a group, and groups in a word.
  private let groupSize: Int
  let groupsPerWord: Int
  /// Of the summary, those that may have a bit set.
  private(set) var summariesUsed = 0
  /// `[word][column][value of the byte]`: bit p of word w is position 64 w + p.
  let vectors: RawArray<UInt64>
  /// `[word][column][value of the byte]`: bit g of word w is group 64 w + g.
  let summaries: RawArray<UInt64>
  /// By position, and one more.
  private(set) var orders: RawArray<UInt64>
  private var taken: RawArray<UInt64>
  private(set) var inexact: RawArray<UInt64>
  /// By entry.
  private var positions: RawArray<UInt32>
  /// By group: the columns that one of its entries leaves open, of the first 64.
  private var open: RawArray<UInt64>
  /// `[group][column]`: values that pass.
  private var spreads: RawArray<UInt16>
  /// While an entry is entered: its values by column, and how groups differ from it.
  private var joining: RawArray<KeyColumn>
  private var differences: RawArray<UInt8>
  /// Where a lookup notes the words to look at.
  let candidates: RawArray<Candidate>

  /// A word in which one packet may match something.
  struct Candidate: BitwiseCopyable {
    var packet: UInt32
    var word: UInt32
    /// Positions that match.
    var bits: UInt64
  }

  static func byteCount(capacity: Int, columns: Int) -> Int {
    let words = (capacity + 63) / 64
    return columns * 256 * 8 * (words + (words + 63) / 64)
  }

  /// `columns`: bytes of the key. A capacity of zero makes an engine that is never used.
  init(capacity: Int, columns: Int) {
    let words = (capacity + 63) / 64
    var size = 8
    while size < 64, 64 * size < capacity { size *= 2 }
    let perWord = 64 / size
    let summaryWords = (words * perWord + 63) / 64
    self.columns = columns
    self.words = words
    groupSize = size
    groupsPerWord = perWord
    vectors = RawArray(zeroes: words * columns * 256)
    summaries = RawArray(zeroes: summaryWords * columns * 256)
    orders = RawArray(zeroes: words * 64 + 1)
    taken = RawArray(zeroes: words)
    inexact = RawArray(zeroes: words)
    positions = RawArray(zeroes: capacity)
    open = RawArray(zeroes: words * perWord)
    spreads = RawArray(zeroes: words * perWord * columns)
    joining = RawArray(zeroes: capacity == 0 ? 0 : columns)
    differences = RawArray(zeroes: words * perWord)
    // Of one summary word for a batch: at most 64 words for each of 64 packets.
    candidates = RawArray(zeroes: capacity == 0 ? 0 : 64 * size)
  }
}

// MARK: Change

extension VectorEngine {
  mutating func insert(_ index: Int, store: borrowing EntryStore) {
    var mine: UInt64 = 0
    for column in 0..<columns {
      joining[column] = store.column(index, column)
      if joining[column].isAnything { mine |= 1 << UInt64(column & 63) }
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
    for column in 0..<columns { mark(column, position, joining[column], isSet: true) }
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
    let wordsOfSummary = 64 / groupsPerWord
    while summariesUsed > 0 {
      let first = (summariesUsed - 1) * wordsOfSummary
      for word in first..<min(words, first + wordsOfSummary) where taken[word] != 0 { return }
      summariesUsed -= 1
    }
  }

  /// Columns in which a group may differ from a rule and still be considered for it, as long as
  /// there are groups that differ less; and how many groups are considered.
  private static let differenceMax = 2
  private static let trials = 32

  /// The group with room that lets through least more when an entry joins it, among an empty one
  /// and those whose rules leave nearly the same columns open.
  private mutating func bestGroup(_ mine: UInt64) -> Int {
    var nearest = UInt8.max
    var sawEmpty = false
    for group in 0..<open.count {
      differences[group] = .max
      if !hasRoom(group) { continue }
      if isEmpty(group) {
        if sawEmpty { continue }
        sawEmpty = true
        differences[group] = 0
      } else {
        differences[group] = UInt8((open[group] ^ mine).nonzeroBitCount)
      }
      nearest = min(nearest, differences[group])
    }
    var best = 0
    var least = Double.infinity
    var left = Self.trials
    for difference in nearest...max(nearest, UInt8(Self.differenceMax)) {
      for group in 0..<open.count where differences[group] == difference {
        let cost = growth(group)
        if cost < least {
          least = cost
          best = group
        }
        left -= 1
        if left == 0 { return best }
      }
    }
    return best
  }

  /// By how much the share of random keys grows that pass a group's summary when the entry joins
  /// whose values are in `joining`.
  private func growth(_ group: Int) -> Double {
    var before = 1.0
    var after = 1.0
    for column in 0..<columns {
      let spread = Int(spreads[group * columns + column])
      let values = joining[column]
      let row = ((group / 64) * columns + column) * 256
      let hasOne = summaries[row + Int(values.low & values.mask)] >> UInt64(group & 63) & 1 == 1
      let joined = hasOne ? max(spread, values.size) : min(256, spread + values.size)
      before *= Double(spread) / 256
      after *= Double(joined) / 256
    }
    return after - before
  }

  private func hasRoom(_ group: Int) -> Bool {
    ~taken[group / groupsPerWord] & mask(ofGroup: group) != 0
  }

  private func isEmpty(_ group: Int) -> Bool {
    taken[group / groupsPerWord] & mask(ofGroup: group) == 0
  }

  /// The bits of a group in its word.
  private func mask(ofGroup group: Int) -> UInt64 {
    let low = groupSize == 64 ? UInt64.max : 1 << UInt64(groupSize) - 1
    return low << UInt64(group % groupsPerWord * groupSize)
  }

  /// Sets or clears a position at all values of a column that it matches.
  private mutating func mark(_ column: Int, _ position: Int, _ values: KeyColumn, isSet: Bool) {
    let group = position / groupSize
    // Both arrays hold 256 values for each column of each word.
    let row = unsafe vectors.base + ((position / 64) * columns + column) * 256
    let summary = unsafe summaries.base + ((group / 64) * columns + column) * 256
    let bit: UInt64 = 1 << UInt64(position & 63)
    let groupBit: UInt64 = 1 << UInt64(group & 63)
    let groupMask = mask(ofGroup: group)
    let place = group * columns + column
    var change = 0
    if isSet, values.isAnything {
      // Two plain loops, which become vector instructions.
      for value in 0..<256 { unsafe row[value] |= bit }
      for value in 0..<256 { unsafe summary[value] |= groupBit }
      change = 256 - Int(spreads[place])
    } else if values.isInterval || values.isAnything {
      let all = values.isAnything ? 0..<256 : Int(values.low)..<(Int(values.high) + 1)
      if isSet {
        for value in all {
          unsafe row[value] |= bit
          change &+= unsafe summary[value] & groupBit == 0 ? 1 : 0
          unsafe summary[value] |= groupBit
        }
      } else {
        for value in all {
          let rest = unsafe row[value] & ~bit
          unsafe row[value] = rest
          let isLast = rest & groupMask == 0
          unsafe summary[value] &= isLast ? ~groupBit : .max
          change &-= isLast ? 1 : 0
        }
      }
    } else {
      // Every subset of the bits that do not matter.
      let loose = ~values.mask
      var subset: UInt8 = 0
      repeat {
        let value = Int(values.low & values.mask | subset)
        if isSet {
          unsafe row[value] |= bit
          change += unsafe summary[value] & groupBit == 0 ? 1 : 0
          unsafe summary[value] |= groupBit
        } else {
          unsafe row[value] &= ~bit
          if unsafe row[value] & groupMask == 0 {
            unsafe summary[value] &= ~groupBit
            change -= 1
          }
        }
        subset = (subset &- loose) & loose
      } while subset != 0
    }
    spreads[place] = UInt16(Int(spreads[place]) + change)
  }
}
