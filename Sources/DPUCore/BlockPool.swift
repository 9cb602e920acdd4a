/// Names one block of a `BlockPool`.
package struct Block: Equatable, BitwiseCopyable, Sendable {
  package var index: UInt32
  @inline(__always) package init(index: UInt32) { self.index = index }
  package static let none = Block(index: .max)
}

/// Equal blocks of bytes with a reference count each, owned by one core.
///
/// Data in flight lives here: bytes received and not yet read, bytes sent and not yet
/// acknowledged. A message for many receivers is written once and retained once per receiver.
/// The counts are plain integers, because a pool never leaves its core.
package struct BlockPool: ~Copyable {
  package let blockSize: Int
  private var storage: FixedArray<UInt8>
  private var references: FixedArray<UInt32>
  private var nextFree: FixedArray<UInt32>
  private var firstFree: UInt32
  package private(set) var freeCount: Int
  /// Fewest free blocks ever seen.
  package private(set) var lowWater: Int
  package var capacity: Int { references.count }

  package init(blockCount: Int, blockSize: Int) {
    precondition(blockCount > 0 && blockCount < Int(UInt32.max) && blockSize > 0)
    self.blockSize = blockSize
    storage = FixedArray(repeating: 0, count: blockCount * blockSize)
    references = FixedArray(repeating: 0, count: blockCount)
    nextFree = FixedArray(repeating: .max, count: blockCount)
    for i in 0..<blockCount where i + 1 < blockCount { nextFree[i] = UInt32(i + 1) }
    firstFree = 0
    freeCount = blockCount
    lowWater = blockCount
  }

  /// A block with one reference, nil when all are in use. Its bytes are those of its last use.
  package mutating func allocate() -> Block? {
    let index = firstFree
    guard index != .max else { return nil }
    firstFree = nextFree[index]
    references[index] = 1
    freeCount &-= 1
    if freeCount < lowWater { lowWater = freeCount }
    return Block(index: index)
  }

  @inline(__always)
  package mutating func retain(_ block: Block) {
    precondition(references[block.index] > 0)
    references[block.index] += 1
  }

  @inline(__always)
  package mutating func release(_ block: Block) {
    precondition(references[block.index] > 0)
    references[block.index] &-= 1
    if references[block.index] == 0 {
      nextFree[block.index] = firstFree
      firstFree = block.index
      freeCount &+= 1
    }
  }

  package func referenceCount(_ block: Block) -> Int { Int(references[block.index]) }

  /// `range` within the block.
  @inline(__always)
  @_lifetime(borrow self)
  package borrowing func bytes(_ block: Block, _ range: Range<Int>) -> RawSpan {
    precondition(range.lowerBound >= 0 && range.upperBound <= blockSize)
    let start = Int(block.index) * blockSize
    return storage.bytes(start + range.lowerBound..<start + range.upperBound)
  }

  @inline(__always)
  @_lifetime(&self)
  package mutating func mutableBytes(_ block: Block, _ range: Range<Int>) -> MutableRawSpan {
    precondition(range.lowerBound >= 0 && range.upperBound <= blockSize)
    let start = Int(block.index) * blockSize
    return storage.mutableBytes(start + range.lowerBound..<start + range.upperBound)
  }
}
