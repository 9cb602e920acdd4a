// The lookup runs on raw pointers into nodes that the engine owns and on keys and lanes of the
// machine; a slot's child is 0 or a node that the engine linked.

/// Finds the longest prefix of a key of up to 16 bytes: a trie that takes 16 bits at the root and
/// eight (or four) at each further level.
///
/// A slot holds both the longest prefix that ends at this level and the child, so that a change
/// touches the slots of one node only, and a lookup remembers the last prefix it passed. Nodes for
/// the worst case are there from the start; memory is touched when a node is first used.
struct TrieEngine: ~Copyable {
  /// Bits of the root and of the other levels.
  private let rootBits: Int
  private let stride: Int
  private let keyBits: Int
  private let nodesMax: Int
  private var slots: RawArray<Slot>
  /// Prefixes that end in a node plus children; by node, the root is 0.
  private var uses: RawArray<UInt32>
  private var nextFree: RawArray<UInt32>
  private var firstFree: UInt32 = 0
  private var nodesMade = 1
  /// Prefixes of each length, so that only those that exist are looked for.
  private var lengths: RawArray<UInt32>
  /// The entry of length 0, plus one: it would fill the whole root.
  private var shortest: UInt32 = 0

  struct Slot: BitwiseCopyable {
    /// Entry + 1; 0: no prefix ends here.
    var entry: UInt32
    /// Node; 0: none, the root is nobody's child.
    var child: UInt32
  }

  /// Bits of a level, or nil when no trie of this size is reasonable.
  static func stride(capacity: Int, keyBytes: Int) -> Int? {
    if keyBytes > 16 { return nil }
    for stride in [8, 4] {
      let nodes = nodeCount(capacity: capacity, keyBits: 8 * keyBytes, stride: stride)
      if (nodes << stride) * MemoryLayout<Slot>.stride <= TableLimits.trieBytesMax { return stride }
    }
    return nil
  }

  private static func nodeCount(capacity: Int, keyBits: Int, stride: Int) -> Int {
    var nodes = 0
    var bits = 16
    while bits < keyBits {
      // No more than there are prefixes, nor than there are values of the bits before.
      nodes += bits < 40 ? min(capacity, 1 << bits) : capacity
      bits += stride
    }
    return nodes
  }

  /// A capacity of zero makes an engine that is never used.
  init(capacity: Int, keyBytes: Int, stride: Int) {
    keyBits = 8 * keyBytes
    rootBits = min(16, keyBits)
    self.stride = stride
    nodesMax =
      capacity == 0
      ? 0
      : 1
        + Self.nodeCount(
          capacity: capacity, keyBits: keyBits, stride: stride)
    slots = RawArray(
      zeroes: capacity == 0 ? 0 : 1 << rootBits + (nodesMax - 1) << stride)
    uses = RawArray(zeroes: nodesMax)
    nextFree = RawArray(zeroes: nodesMax)
    lengths = RawArray(zeroes: capacity == 0 ? 0 : keyBits + 1)
  }

  // MARK: Lookup

  /// Writes the entry of each packet of `mask`, or `TableSet.noEntry`. One level for all packets,
  /// then the next: how deep a packet goes cannot be predicted, and the loads of a level overlap.
  func lookup(
    keys: UnsafePointer<UInt8>, stride keyStride: Int, mask: UInt64,
    entries: UnsafeMutablePointer<UInt64>
  ) {
    let slots = unsafe UnsafePointer(slots.base)
    var children = InlineArray<64, UInt32>(repeating: 0)
    var childSpan = children.mutableSpan
    unsafe childSpan.withUnsafeMutableBufferPointer { buffer in
      let children = unsafe buffer.baseAddress.unsafelyUnwrapped
      let none = UInt64(shortest) &- 1
      let isWide = rootBits == 16
      var deeper: UInt64 = 0
      var rest = mask
      while rest != 0 {
        let packet = rest.trailingZeroBitCount
        rest &= rest &- 1
        let key = unsafe keys + packet &* keyStride
        // Keys are padded to eight bytes, so that the second byte is always there.
        let first = unsafe UInt16(
          bigEndian: UnsafeRawPointer(key).loadUnaligned(as: UInt16.self))
        let slot = unsafe slots[Int(isWide ? first : first >> 8)]
        unsafe entries[packet] = slot.entry == 0 ? none : UInt64(slot.entry) &- 1
        unsafe children[packet] = slot.child
        deeper |= (slot.child == 0 ? 0 : 1) &<< UInt64(packet)
      }
      let nodes = unsafe slots + (1 << rootBits)
      if stride == 8 {
        unsafe Self.descend(
          nodes, keys, keyStride, deeper, entries, children, stride: 8)
      } else {
        unsafe Self.descend(
          nodes, keys, keyStride, deeper, entries, children, stride: 4)
      }
    }
  }

  @inline(__always)
  private static func descend(
    _ nodes: UnsafePointer<Slot>, _ keys: UnsafePointer<UInt8>, _ keyStride: Int, _ mask: UInt64,
    _ entries: UnsafeMutablePointer<UInt64>, _ children: UnsafeMutablePointer<UInt32>, stride: Int
  ) {
    var mask = mask
    var bit = 16
    while mask != 0 {
      var deeper: UInt64 = 0
      var rest = mask
      while rest != 0 {
        let packet = rest.trailingZeroBitCount
        rest &= rest &- 1
        let byte = unsafe Int(keys[packet &* keyStride &+ bit &>> 3])
        let digit = stride == 8 ? byte : byte &>> (4 &- bit & 4) & 15
        let child = unsafe Int(children[packet])
        let slot = unsafe nodes[(child &- 1) &<< stride &+ digit]
        let best = unsafe entries[packet]
        unsafe entries[packet] = slot.entry == 0 ? best : UInt64(slot.entry) &- 1
        unsafe children[packet] = slot.child
        deeper |= (slot.child == 0 ? 0 : 1) &<< UInt64(packet)
      }
      mask = deeper
      bit &+= stride
    }
  }

  // MARK: Change

  /// The prefix must not be there yet.
  mutating func insert(_ index: Int, store: borrowing EntryStore) {
    let length = Int(store.infos[index].prefixLength)
    lengths[length] += 1
    if length == 0 {
      shortest = UInt32(index + 1)
      return
    }
    var node = 0
    var start = 0
    while start + bits(node) < length {
      let slot = unsafe place(node) + digit(store.value(index), start, bits(node))
      if slots[slot].child == 0 {
        slots[slot].child = UInt32(makeNode())
        uses[node] += 1
      }
      start += bits(node)
      node = Int(slots[slot].child)
    }
    uses[node] += 1
    let range = unsafe covered(store.value(index), length, node, start)
    for slot in range {
      let other = Int(slots[slot].entry)
      if other == 0 || Int(store.infos[other - 1].prefixLength) <= length {
        slots[slot].entry = UInt32(index + 1)
      }
    }
  }

  /// `keys` still holds the prefix, or not: only shorter ones are looked for.
  mutating func remove(
    _ index: Int, store: borrowing EntryStore, keys: borrowing KeyIndex,
    scratch: UnsafeMutablePointer<UInt64>
  ) {
    let length = Int(store.infos[index].prefixLength)
    lengths[length] -= 1
    if length == 0 {
      shortest = 0
      return
    }
    var node = 0
    var start = 0
    // The nodes on the way, to give back those that become empty.
    var path = InlineArray<32, UInt32>(repeating: 0)
    var depth = 0
    while start + bits(node) < length {
      let slot = unsafe place(node) + digit(store.value(index), start, bits(node))
      path[depth] = UInt32(slot)
      depth += 1
      start += bits(node)
      node = Int(slots[slot].child)
    }
    let shorter = unsafe nextShorter(index, length, after: start, store, keys, scratch)
    for slot in unsafe covered(store.value(index), length, node, start)
    where Int(slots[slot].entry) == index + 1 {
      slots[slot].entry = shorter
    }
    uses[node] -= 1
    while uses[node] == 0, node != 0 {
      release(node)
      depth -= 1
      let slot = Int(path[depth])
      slots[slot].child = 0
      node = slot < 1 << rootBits ? 0 : (slot - 1 << rootBits) >> stride + 1
      uses[node] -= 1
    }
  }

  /// The entry + 1 of the longest prefix of entry `index` that is shorter than `length` and longer
  /// than `limit`; 0: none.
  private func nextShorter(
    _ index: Int, _ length: Int, after limit: Int, _ store: borrowing EntryStore,
    _ keys: borrowing KeyIndex, _ scratch: UnsafeMutablePointer<UInt64>
  ) -> UInt32 {
    var shorter = length - 1
    while shorter > limit {
      if lengths[shorter] != 0 {
        unsafe setPrefixMask(scratch, store.keyWords, shorter)
        let seed = unsafe keys.hash.seed(mask: scratch, store.keyWords)
        let hash = unsafe keys.hash.hash(
          seed: seed, store.value(index), masked: scratch, store.keyWords)
        var found = keys.first(hash)
        while found != 0 {
          let other = Int(found) - 1
          if Int(store.infos[other].prefixLength) == shorter,
            unsafe isSame(store.value(other), store.value(index), scratch, store.keyWords)
          {
            return found
          }
          found = keys.next(after: found, hash)
        }
      }
      shorter -= 1
    }
    return 0
  }

  private func isSame(
    _ value: UnsafePointer<UInt64>, _ key: UnsafePointer<UInt64>, _ mask: UnsafePointer<UInt64>,
    _ count: Int
  ) -> Bool {
    var difference: UInt64 = 0
    for word in 0..<count { difference |= unsafe value[word] ^ (key[word] & mask[word]) }
    return difference == 0
  }

  // MARK: Nodes

  private func bits(_ node: Int) -> Int { node == 0 ? rootBits : stride }

  private func place(_ node: Int) -> Int {
    node == 0 ? 0 : 1 << rootBits + (node - 1) << stride
  }

  /// `count` bits of a key from bit `start` on.
  private func digit(_ key: UnsafePointer<UInt64>, _ start: Int, _ count: Int) -> Int {
    let bytes = unsafe UnsafeRawPointer(key)
    let byte = unsafe Int(bytes.load(fromByteOffset: start >> 3, as: UInt8.self))
    switch count {
    case 16:
      return unsafe byte << 8 | Int(bytes.load(fromByteOffset: start >> 3 + 1, as: UInt8.self))
    case 8: return byte
    default: return byte >> (4 - start & 4) & 15
    }
  }

  /// The slots of a node that a prefix covers.
  private func covered(
    _ key: UnsafePointer<UInt64>, _ length: Int, _ node: Int, _ start: Int
  ) -> Range<Int> {
    let size = bits(node)
    let wild = start + size - length
    let first = unsafe place(node) + (digit(key, start, size) >> wild) << wild
    return first..<(first + 1 << wild)
  }

  private mutating func makeNode() -> Int {
    if firstFree != 0 {
      let node = Int(firstFree)
      firstFree = nextFree[node]
      return node
    }
    let node = nodesMade
    precondition(node < nodesMax)
    nodesMade += 1
    return node
  }

  /// An unused node is all zero again.
  private mutating func release(_ node: Int) {
    nextFree[node] = firstFree
    firstFree = UInt32(node)
  }
}

/// Sets the first `length` bits of a key of `count` words, in the order of its bytes, and clears
/// the others.
func setPrefixMask(_ words: UnsafeMutablePointer<UInt64>, _ count: Int, _ length: Int) {
  for word in 0..<count {
    let bits = min(64, max(0, length - 64 * word))
    let mask: UInt64 = bits == 0 ? 0 : ~0 << UInt64(64 - bits)
    unsafe words[word] = mask.bigEndian
  }
}
