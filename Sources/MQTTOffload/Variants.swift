import DPUCore

/// One encoding of the message at hand.
package struct Variant: BitwiseCopyable {
  /// 0 before 5.0; otherwise 5.0 and the subscription identifier.
  var key: UInt64 = 0
  var size = 0
  /// Keyed hash of its bytes, when it was made for watching.
  var hash: UInt64 = 0
  /// Where it begins in its first block.
  var start = 0
  /// Blocks that hold it.
  var pieces = 0

  @inline(__always)
  static func key(isVersion5: Bool, subscriptionIdentifier: UInt32) -> UInt64 {
    isVersion5 ? 1 << 32 | UInt64(subscriptionIdentifier) : 0
  }
}

/// The encodings of the message at hand, in blocks that all receivers share.
///
/// Small messages fill one block after the other, so that a burst of them does not take a block
/// each; the block being filled stays open from one message to the next.
package struct Variants: ~Copyable {
  private let blockSize: Int
  private let piecesMax: Int
  private var entries: FixedArray<Variant>
  private var blocks: FixedArray<Block>
  private(set) var count = 0
  private var open = Block.none
  private var fill = 0
  /// Blocks that were full while copies in them had not been sent.
  private var retired: FixedArray<Block>
  private var retiredCount = 0

  init(blockSize: Int, packetBytesMax: Int) {
    self.blockSize = blockSize
    piecesMax = (packetBytesMax + blockSize - 1) / blockSize
    entries = FixedArray(repeating: Variant(), count: OffloadLimits.variantsMax)
    blocks = FixedArray(repeating: .none, count: OffloadLimits.variantsMax * piecesMax)
    retired = FixedArray(repeating: .none, count: OffloadLimits.variantsMax)
  }

  var isFull: Bool { count == OffloadLimits.variantsMax }

  subscript(index: Int) -> Variant { @inline(__always) get { entries[index] } }

  func block(_ piece: Int, of index: Int) -> Block { blocks[index * piecesMax + piece] }

  /// `piece` of the variant as a range of its block.
  func range(_ piece: Int, of index: Int) -> Range<Int> {
    let start = piece == 0 ? entries[index].start : 0
    let before = piece * blockSize
    return start..<start + min(entries[index].size - before, blockSize)
  }

  @inline(__always)
  func find(_ key: UInt64) -> Int? {
    for i in 0..<count where entries[i].key == key { return i }
    return nil
  }

  /// Notes an encoding without keeping its bytes.
  mutating func add(_ key: UInt64, size: Int, hash: UInt64) -> Int {
    entries[count] = Variant(key: key, size: size, hash: hash)
    count += 1
    return count - 1
  }

  /// Puts an encoding into blocks; nil when there are none left. Call `finish` when its copies
  /// are sent.
  mutating func add<Transport: ClientTransport & ~Copyable>(
    _ key: UInt64, _ bytes: RawSpan, _ stack: inout Transport
  ) -> Int? {
    let index = count
    let size = bytes.byteCount
    var variant = Variant(key: key, size: size)
    if size <= blockSize {
      if open == .none || size > blockSize - fill {
        guard let block = stack.allocateBlock() else { return nil }
        if open != .none {
          retired[retiredCount] = open
          retiredCount += 1
        }
        open = block
        fill = 0
      }
      stack.writeBlock(open, at: fill, bytes)
      variant.start = fill
      variant.pieces = 1
      blocks[index * piecesMax] = open
      fill += size
    } else {
      var written = 0
      while written < size {
        guard let block = stack.allocateBlock() else {
          release(variant, index, &stack)
          return nil
        }
        let step = min(blockSize, size - written)
        stack.writeBlock(block, at: 0, bytes.extracting(written..<written + step))
        blocks[index * piecesMax + variant.pieces] = block
        variant.pieces += 1
        written += step
      }
    }
    entries[index] = variant
    count += 1
    return index
  }

  /// Forgets the message; its receivers keep what they were sent.
  mutating func finish<Transport: ClientTransport & ~Copyable>(_ stack: inout Transport) {
    for i in 0..<count { release(entries[i], i, &stack) }
    for i in 0..<retiredCount { stack.releaseBlock(retired[i]) }
    count = 0
    retiredCount = 0
  }

  /// Gives back the open block too; the next message takes another.
  mutating func close<Transport: ClientTransport & ~Copyable>(_ stack: inout Transport) {
    finish(&stack)
    if open != .none { stack.releaseBlock(open) }
    open = .none
  }

  private func release<Transport: ClientTransport & ~Copyable>(
    _ variant: Variant, _ index: Int, _ stack: inout Transport
  ) {
    // The open block is the variants' own, whoever else holds it.
    guard variant.pieces > 1 || variant.size > blockSize else { return }
    for piece in 0..<variant.pieces { stack.releaseBlock(blocks[index * piecesMax + piece]) }
  }
}
