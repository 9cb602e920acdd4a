import DPUCore

/// The names of levels, in linked blocks of one size: nothing fragments, all comes back.
struct NameStore: ~Copyable {
  private var bytes: FixedArray<UInt8>
  private var nextBlock: FixedArray<UInt32>
  private var firstFree: UInt32
  private(set) var freeCount: Int
  var capacity: Int { nextBlock.count }

  init(blocks: Int) {
    precondition(blocks > 0 && blocks < Int(UInt32.max))
    bytes = FixedArray(repeating: 0, count: blocks * TopicTrie.nameBlockSize)
    nextBlock = FixedArray(repeating: .max, count: blocks)
    for i in 0..<blocks - 1 { nextBlock[i] = UInt32(i + 1) }
    firstFree = 0
    freeCount = blocks
  }

  static func blocks(for byteCount: Int) -> Int {
    (byteCount + TopicTrie.nameBlockSize - 1) / TopicTrie.nameBlockSize
  }

  /// Keeps `range` of `text`; returns its first block, `.max` for an empty name. There must be
  /// room.
  mutating func insert(_ text: RawSpan, _ range: Range<Int>) -> UInt32 {
    var first = UInt32.max
    var end = range.upperBound
    // From the last block to the first, so that each knows its successor.
    var start = range.lowerBound + (Self.blocks(for: range.count) - 1) * TopicTrie.nameBlockSize
    while start >= range.lowerBound, end > start {
      let block = firstFree
      firstFree = nextBlock[block]
      freeCount -= 1
      let at = Int(block) * TopicTrie.nameBlockSize
      var target = bytes.mutableBytes(at..<at + (end - start))
      target.copy(text.extracting(start..<end), at: 0)
      nextBlock[block] = first
      first = block
      end = start
      start -= TopicTrie.nameBlockSize
    }
    return first
  }

  /// Gives a name back.
  mutating func remove(_ first: UInt32) {
    var block = first
    while block != .max {
      let next = nextBlock[block]
      nextBlock[block] = firstFree
      firstFree = block
      freeCount += 1
      block = next
    }
  }

  /// Copies the name at `first`, which has `count` bytes.
  func copy(_ first: UInt32, _ count: Int, to target: inout MutableRawSpan, at offset: Int) {
    var block = first
    var done = 0
    while done < count {
      let part = min(TopicTrie.nameBlockSize, count - done)
      let at = Int(block) * TopicTrie.nameBlockSize
      target.copy(bytes.bytes(at..<at + part), at: offset + done)
      done += part
      block = nextBlock[block]
    }
  }

  /// Whether the name at `first` is `range` of `text`, which has the same length.
  @inline(__always)
  func equals(_ first: UInt32, _ text: RawSpan, _ range: Range<Int>) -> Bool {
    var block = first
    var start = range.lowerBound
    while start < range.upperBound {
      let count = min(TopicTrie.nameBlockSize, range.upperBound - start)
      let at = Int(block) * TopicTrie.nameBlockSize
      guard bytes.bytes(at..<at + count).sameBytes(as: text.extracting(start..<start + count))
      else { return false }
      start += count
      block = nextBlock[block]
    }
    return true
  }
}
