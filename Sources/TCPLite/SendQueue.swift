import DPUCore
import PacketWire

/// Bytes queued on a connection: unacknowledged, then unsent.
struct SendQueue: BitwiseCopyable {
  private(set) var head: UInt32 = .max
  private var tail: UInt32 = .max
  private(set) var entryCount: UInt32 = 0
  /// Position of the first byte held, and one past the last.
  private(set) var start: SequenceNumber
  private(set) var end: SequenceNumber
  /// The entries last sent from, for bytes sent the first time and for repeated ones, so that
  /// going forward never searches.
  private var newCursor: UInt32 = .max
  private var repeatCursor: UInt32 = .max

  init(start: SequenceNumber) {
    self.start = start
    end = start
  }

  var byteCount: Int { end - start }

  /// Copies bytes behind the last, as far as blocks and entries go. Returns the number taken.
  mutating func append(
    copying bytes: RawSpan, pool: inout BlockPool, entries: inout EntryPool
  ) -> Int {
    var taken = 0
    if tail != .max, entries[tail].isExclusive {
      let used = Int(entries[tail].offset) + Int(entries[tail].length)
      taken = min(bytes.byteCount, pool.blockSize - used)
      if taken > 0 {
        let block = entries[tail].block
        var room = pool.mutableBytes(block, used..<used + taken)
        room.copy(bytes.extracting(0..<taken), at: 0)
        entries[tail].length += UInt32(taken)
        entries[tail].hasSum = false
        end = end + taken
      }
    }
    while taken < bytes.byteCount {
      guard entries.freeCount > 0, let block = pool.allocate() else { break }
      let count = min(bytes.byteCount - taken, pool.blockSize)
      var room = pool.mutableBytes(block, 0..<count)
      room.copy(bytes.extracting(taken..<taken + count), at: 0)
      _ = append(
        Entry(block: block, offset: 0, length: UInt32(count), isExclusive: true), to: &entries)
      taken += count
    }
    return taken
  }

  /// Queues a range of a block whose reference the caller hands over. False when no entry is free.
  mutating func append(_ entry: Entry, to entries: inout EntryPool) -> Bool {
    guard let index = entries.allocate() else { return false }
    entries[index] = entry
    entries[index].sequence = end
    entries[index].next = .max
    if tail == .max { head = index } else { entries[tail].next = index }
    tail = index
    entryCount += 1
    end = end + Int(entry.length)
    return true
  }

  /// Lets go of everything before `position`, which must lie within the queue.
  mutating func release(
    upTo position: SequenceNumber, pool: inout BlockPool, entries: inout EntryPool
  ) {
    while head != .max, entries[head].end <= position {
      let done = head
      head = entries[done].next
      if newCursor == done { newCursor = head }
      if repeatCursor == done { repeatCursor = head }
      pool.release(entries[done].block)
      entries.free(done)
      entryCount -= 1
    }
    if head == .max {
      tail = .max
      newCursor = .max
      repeatCursor = .max
    } else if entries[head].sequence < position {
      entries[head].dropFirst(position - entries[head].sequence)
    }
    start = position
  }

  mutating func releaseAll(pool: inout BlockPool, entries: inout EntryPool) {
    release(upTo: end, pool: &pool, entries: &entries)
  }

  /// Copies `count` bytes, at least one, from `position` on to `offset` of `frame`. Returns their
  /// checksum. `isNew` tells which of the two ways through the queue goes on.
  @inline(__always)
  @_lifetime(frame: copy frame)
  mutating func copy(
    from position: SequenceNumber, count: Int, isNew: Bool, into frame: inout MutableRawSpan,
    at offset: Int,
    pool: borrowing BlockPool, entries: inout EntryPool
  ) -> InternetChecksum {
    var sum = InternetChecksum()
    var index = isNew ? newCursor : repeatCursor
    if index == .max || entries[index].sequence > position { index = head }
    while entries[index].end <= position { index = entries[index].next }
    var copied = 0
    while true {
      let skip = (position + copied) - entries[index].sequence
      let length = Int(entries[index].length)
      let piece = min(count - copied, length - skip)
      let from = Int(entries[index].offset) + skip
      let bytes = pool.bytes(entries[index].block, from..<from + piece)
      frame.copy(bytes, at: offset + copied)
      if entries[index].hasSum, piece == length {
        sum.add(partial: entries[index].sum, at: copied)
      } else {
        var pieceSum = InternetChecksum()
        pieceSum.add(bytes)
        sum.add(partial: pieceSum.partial, at: copied)
      }
      copied += piece
      if copied == count { break }
      index = entries[index].next
    }
    if isNew { newCursor = index } else { repeatCursor = index }
    return sum
  }
}
