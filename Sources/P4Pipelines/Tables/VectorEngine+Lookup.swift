// The lookup runs on raw pointers into vectors that the engine owns and on keys and lanes of the
// machine; rows are numbered by key bytes, words and positions by bits that the engine set.

extension VectorEngine {
  /// Writes the entry of each packet of `mask`, or `TableSet.noEntry`.
  ///
  /// In passes over all packets, each with as few branches as can be: how many groups a packet has
  /// left cannot be predicted, and a wrong guess costs as much as the vectors of two words.
  func lookup(
    keys: UnsafePointer<UInt8>, stride: Int, mask: UInt64,
    entries: UnsafeMutablePointer<UInt64>, store: borrowing EntryStore
  ) {
    each(mask) { unsafe entries[$0] = .max }
    for summary in 0..<summariesUsed {
      let count =
        if columns == Self.fiveTuple {
          unsafe find(summary, columns: Self.fiveTuple, keys: keys, stride: stride, mask: mask)
        } else {
          unsafe find(summary, columns: columns, keys: keys, stride: stride, mask: mask)
        }
      unsafe choose(count, keys: keys, stride: stride, best: entries, store: store)
    }
    each(mask) { packet in
      let order = unsafe entries[packet]
      unsafe entries[packet] = order == .max ? TableSet.noEntry : order & 0xffff_ffff
    }
  }

  /// Bytes of the addresses, ports and protocol of IPv4. With the number of columns a constant there
  /// is no loop over them, a third of the instructions.
  private static let fiveTuple = 13

  /// Lists the words in which something may match and the positions that do; returns how many.
  @inline(__always)
  private func find(
    _ summary: Int, columns: Int, keys: UnsafePointer<UInt8>, stride: Int, mask: UInt64
  ) -> Int {
    let count = unsafe list(summary, columns, keys: keys, stride: stride, mask: mask)
    unsafe gather(count, columns, keys: keys, stride: stride)
    return count
  }

  /// The rows of all columns at the bytes of a key, anded.
  @inline(__always)
  private static func and(
    _ rows: UnsafePointer<UInt64>, _ key: UnsafePointer<UInt8>, _ columns: Int
  ) -> UInt64 {
    var bits = UInt64.max
    var row = unsafe rows
    var column = 0
    // Four at a time, so that the distances of rows are constants of the instructions.
    while column &+ 3 < columns {
      bits &= unsafe row[Int(key[column])] & row[256 &+ Int(key[column &+ 1])]
      bits &= unsafe row[512 &+ Int(key[column &+ 2])] & row[768 &+ Int(key[column &+ 3])]
      unsafe row += 1024
      column &+= 4
    }
    while column < columns {
      bits &= unsafe row[Int(key[column])]
      unsafe row += 256
      column &+= 1
    }
    return bits
  }

  /// Lists the words in which something may match, for all packets; returns how many.
  @inline(__always)
  private func list(
    _ summary: Int, _ columns: Int, keys: UnsafePointer<UInt8>, stride: Int, mask: UInt64
  ) -> Int {
    let rows = unsafe UnsafePointer(summaries.base + summary &* columns &* 256)
    let candidates = unsafe candidates.base
    let shift = UInt64(truncatingIfNeeded: groupsPerWord.trailingZeroBitCount)
    let groupsOfWord: UInt64 = 1 &<< UInt64(truncatingIfNeeded: groupsPerWord) &- 1
    let firstWord = UInt64(truncatingIfNeeded: summary) &<< (6 &- shift)
    var count = 0
    var rest = mask
    while rest != 0 {
      let packet = rest.trailingZeroBitCount
      rest &= rest &- 1
      var groups = unsafe Self.and(rows, keys + packet &* stride, columns)
      while groups != 0 {
        let first = UInt64(truncatingIfNeeded: groups.trailingZeroBitCount)
        let word = first &>> shift
        // At most eight groups are in a word.
        groups &= ~(groupsOfWord &<< (word &<< shift))
        unsafe candidates[count].packet = UInt32(truncatingIfNeeded: packet)
        unsafe candidates[count].word = UInt32(truncatingIfNeeded: firstWord &+ word)
        count &+= 1
      }
    }
    return count
  }

  /// Fills in the positions that match in each listed word.
  @inline(__always)
  private func gather(_ count: Int, _ columns: Int, keys: UnsafePointer<UInt8>, stride: Int) {
    let candidates = unsafe candidates.base
    let vectors = unsafe UnsafePointer(vectors.base)
    let step = columns &* 256
    var index = 0
    while index < count {
      let key = unsafe keys + Int(candidates[index].packet) &* stride
      let rows = unsafe vectors + Int(candidates[index].word) &* step
      unsafe candidates[index].bits = Self.and(rows, key, columns)
      index &+= 1
    }
  }

  /// Keeps the smallest order of each packet.
  @inline(__always)
  private func choose(
    _ count: Int, keys: UnsafePointer<UInt8>, stride: Int, best: UnsafeMutablePointer<UInt64>,
    store: borrowing EntryStore
  ) {
    let candidates = unsafe UnsafePointer(candidates.base)
    let orders = unsafe UnsafePointer(orders.base)
    let inexact = unsafe UnsafePointer(inexact.base)
    var index = 0
    while index < count {
      let word = unsafe Int(candidates[index].word)
      let packet = unsafe Int(candidates[index].packet)
      var bits = unsafe candidates[index].bits
      index &+= 1
      var least = unsafe best[packet]
      let orders = unsafe orders + word &* 64
      if unsafe bits & inexact[word] == 0 {
        // The first one without a branch: about half of the words have none, hardly one has more.
        // There is an order behind the last position, for words without.
        let order = unsafe orders[bits.trailingZeroBitCount]
        least = min(least, bits == 0 ? .max : order)
        bits &= bits &- 1
        while bits != 0 {
          unsafe least = min(least, orders[bits.trailingZeroBitCount])
          bits &= bits &- 1
        }
      } else {
        let key = unsafe UnsafeRawPointer(keys + packet &* stride)
        while bits != 0 {
          let order = unsafe orders[bits.trailingZeroBitCount]
          if order < least, unsafe store.isInRanges(Int(order & 0xffff_ffff), key) { least = order }
          bits &= bits &- 1
        }
      }
      unsafe best[packet] = least
    }
  }
}
