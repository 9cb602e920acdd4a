// Walks chains of entries through raw pointers; every index in a chain is an entry's.

/// Finds the entries that have a given value under a given mask: to see duplicates, to find the
/// next shorter prefix, and as the hash table of the tuple engine.
///
/// In tables with ranges, value and mask are those of the bits that both bounds share.
struct KeyIndex: ~Copyable {
  let hash: TableHash
  /// Entry + 1 of the first entry of each chain, 0: none. A power of two.
  private var heads: RawArray<UInt32>
  private var links: RawArray<Link>

  struct Link: BitwiseCopyable {
    /// Upper half of the hash, so that most keys that do not match need not be read.
    var tag: UInt32
    var next: UInt32
  }

  init(capacity: Int, hash: TableHash) {
    self.hash = hash
    var size = capacity == 0 ? 0 : 1
    while size < capacity { size *= 2 }
    heads = RawArray(zeroes: size)
    links = RawArray(zeroes: capacity)
  }

  mutating func insert(_ index: Int, hash: UInt64) {
    let bucket = Int(hash & UInt64(heads.count - 1))
    links[index] = Link(tag: UInt32(hash >> 32), next: heads[bucket])
    heads[bucket] = UInt32(index + 1)
  }

  mutating func remove(_ index: Int, hash: UInt64) {
    let bucket = Int(hash & UInt64(heads.count - 1))
    var at = heads[bucket]
    if Int(at) == index + 1 {
      heads[bucket] = links[index].next
      return
    }
    while at != 0 {
      let next = links[Int(at) - 1].next
      if Int(next) == index + 1 {
        links[Int(at) - 1].next = links[index].next
        return
      }
      at = next
    }
    preconditionFailure()
  }

  /// The first entry of the chain of `hash` that has its tag, plus one; 0: none.
  @inline(__always)
  func first(_ hash: UInt64) -> UInt32 {
    unsafe skip(heads.base[Int(truncatingIfNeeded: hash) & (heads.count &- 1)], hash)
  }

  @inline(__always)
  func next(after entry: UInt32, _ hash: UInt64) -> UInt32 {
    unsafe skip(links.base[Int(entry) &- 1].next, hash)
  }

  @inline(__always)
  private func skip(_ entry: UInt32, _ hash: UInt64) -> UInt32 {
    let tag = UInt32(truncatingIfNeeded: hash >> 32)
    var entry = entry
    while entry != 0 {
      let link = unsafe links.base[Int(entry) &- 1]
      if link.tag == tag { break }
      entry = link.next
    }
    return entry
  }
}
