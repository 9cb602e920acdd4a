import DPUCore

/// A range of a block that is part of a connection's send or receive queue.
package struct Entry: BitwiseCopyable {
  var block: Block = .none
  /// Of the first byte within the block.
  var offset: UInt32 = 0
  var length: UInt32 = 0
  var next: UInt32 = .max
  /// Position of the first byte in the stream.
  var sequence = SequenceNumber(0)
  /// Folded Internet checksum of the bytes, when `hasSum`.
  var sum: UInt16 = 0
  var hasSum = false
  /// The block belongs to this entry alone, and what lies behind its bytes may be filled.
  var isExclusive = false

  var end: SequenceNumber { sequence + Int(length) }
  var range: Range<Int> { Int(offset)..<Int(offset) + Int(length) }

  /// Gives up the first `count` bytes.
  mutating func dropFirst(_ count: Int) {
    offset += UInt32(count)
    length -= UInt32(count)
    sequence = sequence + count
    hasSum = false
  }
}

/// All entries of a stack, linked into queues or free.
package struct EntryPool: ~Copyable {
  private var entries: FixedArray<Entry>
  private var firstFree: UInt32
  package private(set) var freeCount: Int
  package var capacity: Int { entries.count }

  init(capacity: Int) {
    entries = FixedArray(repeating: Entry(), count: capacity)
    for i in 0..<capacity where i + 1 < capacity { entries[i].next = UInt32(i + 1) }
    firstFree = capacity > 0 ? 0 : .max
    freeCount = capacity
  }

  mutating func allocate() -> UInt32? {
    let index = firstFree
    guard index != .max else { return nil }
    firstFree = entries[index].next
    entries[index].next = .max
    freeCount &-= 1
    return index
  }

  @inline(__always)
  mutating func free(_ index: UInt32) {
    entries[index].next = firstFree
    firstFree = index
    freeCount &+= 1
  }

  @inline(__always)
  subscript(index: UInt32) -> Entry {
    get { entries[index] }
    _modify { yield &entries[index] }
  }
}
