import DPUCore

/// Bytes in a list of blocks of a `ChainStore`: first in, first out.
package struct Chain: BitwiseCopyable {
  fileprivate var first: UInt32 = .max
  fileprivate var last: UInt32 = .max
  /// Where the first byte stands in the first block, and the end of the last in its block.
  fileprivate var start: UInt32 = 0
  fileprivate var end: UInt32 = 0
  package fileprivate(set) var count = 0

  package init() {}
}

/// Keeps bytes that cannot be used yet: pieces of packets, requests without an answer, topics
/// of aliases, and what a client had no room for.
package struct ChainStore: ~Copyable {
  private var pool: BlockPool
  private var next: FixedArray<UInt32>
  var freeBlocks: Int { pool.freeCount }

  init(blocks: Int) {
    pool = BlockPool(blockCount: blocks, blockSize: OffloadLimits.keptBlockBytes)
    next = FixedArray(repeating: .max, count: blocks)
  }

  /// Keeps all of `bytes` behind what `chain` holds. False, and nothing done, without room.
  mutating func append(_ bytes: RawSpan, to chain: inout Chain) -> Bool {
    let size = pool.blockSize
    var taken = 0
    let room = chain.first == .max ? 0 : size - Int(chain.end)
    guard (max(0, bytes.byteCount - room) + size - 1) / size <= pool.freeCount else { return false }
    while taken < bytes.byteCount {
      if chain.first == .max || Int(chain.end) == size {
        guard let block = pool.allocate() else { return false }
        next[block.index] = .max
        if chain.first == .max {
          chain.first = block.index
          chain.start = 0
        } else {
          next[chain.last] = block.index
        }
        chain.last = block.index
        chain.end = 0
      }
      let count = min(bytes.byteCount - taken, size - Int(chain.end))
      let end = Int(chain.end)
      var target = pool.mutableBytes(Block(index: chain.last), end..<end + count)
      target.copy(bytes.extracting(taken..<taken + count), at: 0)
      chain.end += UInt32(count)
      taken += count
    }
    chain.count += taken
    return true
  }

  /// The first bytes that lie together.
  @_lifetime(borrow self)
  borrowing func front(_ chain: Chain) -> RawSpan {
    guard chain.count > 0 else { return RawSpan() }
    let end = chain.first == chain.last ? Int(chain.end) : pool.blockSize
    return pool.bytes(Block(index: chain.first), Int(chain.start)..<end)
  }

  mutating func dropFirst(_ count: Int, of chain: inout Chain) {
    invariant(count <= chain.count, "more dropped than was kept")
    var rest = count
    chain.count -= count
    while rest > 0 {
      let end = chain.first == chain.last ? Int(chain.end) : pool.blockSize
      let step = min(rest, end - Int(chain.start))
      chain.start += UInt32(step)
      rest -= step
      if Int(chain.start) == end {
        let done = chain.first
        chain.first = next[done]
        chain.start = 0
        pool.release(Block(index: done))
        if chain.first == .max { chain = Chain() }
      }
    }
  }

  /// Copies all of it to the start of `target`.
  func copy(_ chain: Chain, into target: inout FixedArray<UInt8>) {
    var block = chain.first
    var start = Int(chain.start)
    var copied = 0
    while copied < chain.count {
      let end = block == chain.last ? Int(chain.end) : pool.blockSize
      var room = target.mutableBytes(copied..<copied + end - start)
      room.copy(pool.bytes(Block(index: block), start..<end), at: 0)
      copied += end - start
      start = 0
      block = next[block]
    }
  }

  mutating func release(_ chain: inout Chain) { dropFirst(chain.count, of: &chain) }
}
