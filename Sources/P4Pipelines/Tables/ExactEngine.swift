// The lookups run on raw pointers into buckets that the engine owns and on keys and lanes of the
// machine; every bucket number is masked or comes from a link that the engine wrote.

/// Finds the entry with exactly the key of a packet: a hash table of buckets of one cache line,
/// each followed by a chain of overflow buckets that is nearly always empty.
///
/// Keys of one word stand in the bucket, four of them. Longer keys have a one-byte signature there,
/// eight of them, and are compared in the store. All buckets that may ever be needed are made at
/// the start: a chain is kept without holes, so that overflow takes a quarter of the capacity.
struct ExactEngine: ~Copyable {
  private let hash: TableHash
  private let keyWords: Int
  /// Entries in one bucket.
  private let ways: Int
  private let bucketMask: Int
  private var words: RawArray<UInt64>
  private var firstFree: UInt32 = 0

  // Words of a bucket. One-word keys: 4 keys, 4 entries (two to a word), link.
  // Longer keys: 8 signatures in word 0, 8 entries from word 1, link.
  private static let bucketWords = 8
  private var entriesAt: Int { keyWords == 1 ? 4 : 1 }
  private static let linkAt = 6

  /// A capacity of zero makes an engine that is never used.
  init(capacity: Int, keyWords: Int, hash: TableHash) {
    self.hash = hash
    self.keyWords = keyWords
    ways = keyWords == 1 ? 4 : 8
    // Half full on average at most: one bucket in 20 overflows with four ways, hardly one with 8.
    var buckets = 1
    while buckets * ways < 2 * capacity { buckets *= 2 }
    bucketMask = buckets - 1
    let overflow = capacity / ways + 1
    words = RawArray(zeroes: capacity == 0 ? 0 : (buckets + overflow) * Self.bucketWords)
    if capacity == 0 { return }
    // Free overflow buckets are linked; a link is the number of a bucket, 0 for none, which is
    // unambiguous because bucket 0 never overflows from another.
    firstFree = UInt32(buckets)
    for bucket in buckets..<(buckets + overflow - 1) {
      setLink(bucket, UInt32(bucket + 1))
    }
  }

  // MARK: Lookup

  /// Writes the entry of each packet of `mask`, or `TableSet.noEntry`.
  @inline(__always)
  func lookup(
    keys: UnsafePointer<UInt8>, stride: Int, mask: UInt64,
    entries: UnsafeMutablePointer<UInt64>, store: borrowing EntryStore
  ) {
    switch keyWords {
    case 1: unsafe lookupWord(keys: keys, stride: stride, mask: mask, entries: entries)
    case 2:
      unsafe lookupLong(
        keys: keys, stride: stride, mask: mask, entries: entries, store: store, words: 2)
    default:
      unsafe lookupLong(
        keys: keys, stride: stride, mask: mask, entries: entries, store: store, words: keyWords)
    }
  }

  private func lookupWord(
    keys: UnsafePointer<UInt8>, stride: Int, mask: UInt64, entries: UnsafeMutablePointer<UInt64>
  ) {
    let base = unsafe UnsafePointer(words.base)
    var rest = mask
    while rest != 0 {
      let packet = rest.trailingZeroBitCount
      rest &= rest &- 1
      let key = unsafe UnsafeRawPointer(keys + packet &* stride).loadUnaligned(as: UInt64.self)
      var bucket =
        unsafe base
        + (Int(truncatingIfNeeded: hash.hash(key)) & bucketMask) &* Self.bucketWords
      // No branch on the way a key is in: an empty way holds entry 0, so that it adds nothing.
      var found = unsafe Self.match(bucket, key)
      while found == 0 {
        let link = unsafe Int(truncatingIfNeeded: bucket[Self.linkAt])
        if link == 0 { break }
        unsafe bucket = base + link &* Self.bucketWords
        found = unsafe Self.match(bucket, key)
      }
      unsafe entries[packet] = found &- 1
    }
  }

  @inline(__always)
  private static func match(_ bucket: UnsafePointer<UInt64>, _ key: UInt64) -> UInt64 {
    unsafe (bucket[0] == key ? bucket[4] & 0xffff_ffff : 0)
      | (bucket[1] == key ? bucket[4] >> 32 : 0)
      | (bucket[2] == key ? bucket[5] & 0xffff_ffff : 0)
      | (bucket[3] == key ? bucket[5] >> 32 : 0)
  }

  @inline(__always)
  private func lookupLong(
    keys: UnsafePointer<UInt8>, stride: Int, mask: UInt64,
    entries: UnsafeMutablePointer<UInt64>, store: borrowing EntryStore, words count: Int
  ) {
    let base = unsafe UnsafePointer(words.base)
    let values = unsafe UnsafePointer(store.values.base)
    var rest = mask
    while rest != 0 {
      let packet = rest.trailingZeroBitCount
      rest &= rest &- 1
      let key = unsafe UnsafeRawPointer(keys + packet &* stride)
        .assumingMemoryBound(to: UInt64.self)
      let keyHash = unsafe count == 2 ? hash.hash(key[0], key[1]) : hash.hash(key, count)
      var bucket =
        unsafe base
        + (Int(truncatingIfNeeded: keyHash) & bucketMask) &* Self.bucketWords
      var found = unsafe Self.match(bucket, keyHash, key, values, count)
      while found == 0 {
        let link = unsafe Int(truncatingIfNeeded: bucket[Self.linkAt])
        if link == 0 { break }
        unsafe bucket = base + link &* Self.bucketWords
        found = unsafe Self.match(bucket, keyHash, key, values, count)
      }
      unsafe entries[packet] = UInt64(found) &- 1
    }
  }

  /// The entry with this key in a bucket, plus one; 0: none.
  @inline(__always)
  private static func match(
    _ bucket: UnsafePointer<UInt64>, _ hash: UInt64, _ key: UnsafePointer<UInt64>,
    _ values: UnsafePointer<UInt64>, _ count: Int
  ) -> UInt32 {
    let difference = unsafe bucket[0] ^ (hash >> 56) &* 0x0101_0101_0101_0101
    // The high bit of each byte that is zero, and now and then of one above it.
    var ways = (difference &- 0x0101_0101_0101_0101) & ~difference & 0x8080_8080_8080_8080
    let slots = unsafe UnsafeRawPointer(bucket + 1).assumingMemoryBound(to: UInt32.self)
    while ways != 0 {
      let entry = unsafe slots[ways.trailingZeroBitCount >> 3]
      if entry != 0 {
        let value = unsafe values + (Int(entry) &- 1) &* count
        let isSame =
          unsafe count == 2
          ? (value[0] ^ key[0]) | (value[1] ^ key[1]) == 0 : sameWords(value, key, count)
        if isSame { return entry }
      }
      ways &= ways &- 1
    }
    return 0
  }

  /// The entry with this key.
  func find(_ key: UnsafePointer<UInt64>, store: borrowing EntryStore) -> Int? {
    let keyHash = unsafe hash.hash(key, keyWords)
    var bucket = Int(truncatingIfNeeded: keyHash) & bucketMask
    while true {
      for way in 0..<ways {
        let entry = Int(entry(bucket, way))
        if entry != 0, unsafe sameWords(store.value(entry - 1), key, keyWords) { return entry - 1 }
      }
      bucket = link(bucket)
      if bucket == 0 { return nil }
    }
  }

  // MARK: Change

  /// The key must not be there yet.
  mutating func insert(_ index: Int, store: borrowing EntryStore) {
    let keyHash = unsafe hash.hash(store.value(index), keyWords)
    var bucket = Int(truncatingIfNeeded: keyHash) & bucketMask
    while true {
      for way in 0..<ways where entry(bucket, way) == 0 {
        unsafe set(bucket, way, UInt32(index + 1), keyHash, store.value(index))
        return
      }
      if link(bucket) == 0 { break }
      bucket = link(bucket)
    }
    let added = Int(firstFree)
    firstFree = UInt32(link(added))
    setLink(added, 0)
    setLink(bucket, UInt32(added))
    unsafe set(added, 0, UInt32(index + 1), keyHash, store.value(index))
  }

  /// Moves the last entry of the chain into the hole.
  mutating func remove(_ index: Int, store: borrowing EntryStore) {
    let keyHash = unsafe hash.hash(store.value(index), keyWords)
    var bucket = Int(truncatingIfNeeded: keyHash) & bucketMask
    var hole: (bucket: Int, way: Int)?
    var beforeLast = 0
    while true {
      if hole == nil {
        for way in 0..<ways where Int(entry(bucket, way)) == index + 1 { hole = (bucket, way) }
      }
      if link(bucket) == 0 { break }
      beforeLast = bucket
      bucket = link(bucket)
    }
    guard let hole else { preconditionFailure() }
    var way = ways - 1
    while entry(bucket, way) == 0 { way -= 1 }
    move(from: (bucket, way), to: hole)
    if way == 0, bucket > bucketMask {
      setLink(beforeLast, 0)
      setLink(bucket, firstFree)
      firstFree = UInt32(bucket)
    }
  }

  // MARK: Buckets

  private func entry(_ bucket: Int, _ way: Int) -> UInt32 {
    let word = words[bucket * Self.bucketWords + entriesAt + way / 2]
    return UInt32(truncatingIfNeeded: word >> UInt64(32 * (way & 1)))
  }

  private func link(_ bucket: Int) -> Int { Int(words[bucket * Self.bucketWords + Self.linkAt]) }

  private mutating func setLink(_ bucket: Int, _ link: UInt32) {
    words[bucket * Self.bucketWords + Self.linkAt] = UInt64(link)
  }

  private mutating func setEntry(_ bucket: Int, _ way: Int, _ entry: UInt32) {
    let place = bucket * Self.bucketWords + entriesAt + way / 2
    let shift = UInt64(32 * (way & 1))
    words[place] = words[place] & ~(0xffff_ffff << shift) | UInt64(entry) << shift
  }

  private mutating func setSignature(_ bucket: Int, _ way: Int, _ signature: UInt64) {
    let place = bucket * Self.bucketWords
    words[place] = words[place] & ~(0xff << UInt64(8 * way)) | signature << UInt64(8 * way)
  }

  private mutating func set(
    _ bucket: Int, _ way: Int, _ entry: UInt32, _ hash: UInt64, _ key: UnsafePointer<UInt64>
  ) {
    setEntry(bucket, way, entry)
    if keyWords == 1 {
      unsafe words[bucket * Self.bucketWords + way] = key[0]
    } else {
      setSignature(bucket, way, hash >> 56)
    }
  }

  private mutating func move(from last: (bucket: Int, way: Int), to hole: (bucket: Int, way: Int)) {
    setEntry(hole.bucket, hole.way, entry(last.bucket, last.way))
    if keyWords == 1 {
      words[hole.bucket * Self.bucketWords + hole.way] =
        words[last.bucket * Self.bucketWords + last.way]
    } else {
      setSignature(
        hole.bucket, hole.way,
        words[last.bucket * Self.bucketWords] >> UInt64(8 * last.way) & 0xff)
    }
    setEntry(last.bucket, last.way, 0)
  }
}
