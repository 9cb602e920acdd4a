import DPUCore

/// Bytes received on a connection: in order and waiting to be read, and pieces that came early.
struct ReceiveQueue: BitwiseCopyable {
  private var head: UInt32 = .max
  private var tail: UInt32 = .max
  /// In order and not yet consumed.
  private(set) var readableCount = 0
  /// Early pieces in stream order, never overlapping.
  private var earlyHead: UInt32 = .max
  private var earlyTail: UInt32 = .max
  private(set) var earlyCount: UInt32 = 0
  /// Position of the next byte expected.
  private(set) var next: SequenceNumber

  init(next: SequenceNumber) { self.next = next }

  enum Outcome: Equatable { case stored, noBlock, noEntry, tooManyPieces }

  /// FIN and SYN take a position without a byte.
  mutating func skipOne() { next = next + 1 }

  /// Takes bytes that start at `next`, and early pieces they connect to. On `.noBlock` and
  /// `.noEntry` the first of them may have been taken; `next` tells.
  mutating func append(
    _ bytes: RawSpan, reserve: Int, pool: inout BlockPool, entries: inout EntryPool
  ) -> Outcome {
    var taken = 0
    var outcome = Outcome.stored
    if tail != .max { taken = fill(tail, bytes, &pool, &entries) }
    while taken < bytes.byteCount {
      let rest = bytes.extracting(taken..<bytes.byteCount)
      guard let index = store(rest, reserve, &outcome, &pool, &entries) else { break }
      entries[index].sequence = next + taken
      taken += Int(entries[index].length)
      link(index, &entries)
    }
    readableCount += taken
    next = next + taken
    if earlyHead != .max { connect(&pool, &entries) }
    return outcome
  }

  /// Keeps bytes that start at `sequence`, later than `next`, leaving out what is known.
  mutating func insert(
    _ bytes: RawSpan, at sequence: SequenceNumber, reserve: Int, pool: inout BlockPool,
    entries: inout EntryPool
  ) -> Outcome {
    let end = sequence + bytes.byteCount
    var position = sequence
    var previous: UInt32 = .max
    var following = earlyHead
    if earlyTail != .max, position >= entries[earlyTail].sequence {
      previous = earlyTail
      following = .max
      position = .later(position, entries[earlyTail].end)
    }
    while following != .max, entries[following].end <= position {
      previous = following
      following = entries[following].next
    }
    while position < end {
      if following != .max, entries[following].sequence <= position {
        position = .later(position, entries[following].end)
        previous = following
        following = entries[following].next
        continue
      }
      let gapEnd = following == .max ? end : .earlier(end, entries[following].sequence)
      let piece = bytes.extracting(position - sequence..<gapEnd - sequence)
      if previous != .max, entries[previous].end == position {
        let filled = fill(previous, piece, &pool, &entries)
        position = position + filled
        if filled > 0 { continue }
      }
      guard earlyCount < TCPLimits.outOfOrderEntriesMax else { return .tooManyPieces }
      var outcome = Outcome.stored
      guard let index = store(piece, reserve, &outcome, &pool, &entries) else { return outcome }
      entries[index].sequence = position
      entries[index].next = following
      if previous == .max { earlyHead = index } else { entries[previous].next = index }
      if following == .max { earlyTail = index }
      earlyCount += 1
      position = position + Int(entries[index].length)
      previous = index
    }
    return .stored
  }

  /// The first contiguous run of readable bytes; empty when none.
  @_lifetime(borrow pool)
  func peek(pool: borrowing BlockPool, entries: borrowing EntryPool) -> RawSpan {
    guard head != .max else { return pool.bytes(Block(index: 0), 0..<0) }
    return pool.bytes(entries[head].block, entries[head].range)
  }

  /// Copies readable bytes from `offset` on until `target` is full or they end.
  func copy(
    at offset: Int, into target: inout MutableRawSpan, pool: borrowing BlockPool,
    entries: borrowing EntryPool
  ) -> Int {
    var skip = offset
    var copied = 0
    var index = head
    while index != .max, copied < target.byteCount {
      let range = entries[index].range
      if skip >= range.count {
        skip -= range.count
      } else {
        let count = min(range.count - skip, target.byteCount - copied)
        let from = range.lowerBound + skip
        target.copy(pool.bytes(entries[index].block, from..<from + count), at: copied)
        copied += count
        skip = 0
      }
      index = entries[index].next
    }
    return copied
  }

  /// Gives up the first `count` readable bytes.
  mutating func consume(_ count: Int, pool: inout BlockPool, entries: inout EntryPool) {
    precondition(count >= 0 && count <= readableCount)
    var rest = count
    while rest > 0 {
      let length = Int(entries[head].length)
      if rest < length {
        entries[head].dropFirst(rest)
        break
      }
      rest -= length
      let done = head
      head = entries[done].next
      if head == .max { tail = .max }
      free(done, &pool, &entries)
    }
    readableCount -= count
  }

  mutating func releaseAll(pool: inout BlockPool, entries: inout EntryPool) {
    consume(readableCount, pool: &pool, entries: &entries)
    releaseEarly(pool: &pool, entries: &entries)
  }

  /// Early pieces are only held on trust; giving them up is allowed (RFC 2018 §8).
  mutating func releaseEarly(pool: inout BlockPool, entries: inout EntryPool) {
    while earlyHead != .max {
      let done = earlyHead
      earlyHead = entries[done].next
      free(done, &pool, &entries)
    }
    earlyTail = .max
    earlyCount = 0
  }

  // MARK: Pieces

  /// Copies what fits behind the bytes of an entry. Received blocks have one entry each.
  private func fill(
    _ index: UInt32, _ bytes: RawSpan, _ pool: inout BlockPool, _ entries: inout EntryPool
  ) -> Int {
    let used = Int(entries[index].offset) + Int(entries[index].length)
    let count = min(bytes.byteCount, pool.blockSize - used)
    guard count > 0 else { return 0 }
    let block = entries[index].block
    var room = pool.mutableBytes(block, used..<used + count)
    room.copy(bytes.extracting(0..<count), at: 0)
    entries[index].length += UInt32(count)
    return count
  }

  /// A new entry with the first bytes, as many as a block holds; not linked.
  private func store(
    _ bytes: RawSpan, _ reserve: Int, _ outcome: inout Outcome, _ pool: inout BlockPool,
    _ entries: inout EntryPool
  ) -> UInt32? {
    guard pool.freeCount > reserve else {
      outcome = .noBlock
      return nil
    }
    guard let index = entries.allocate() else {
      outcome = .noEntry
      return nil
    }
    guard let block = pool.allocate() else {
      entries.free(index)
      outcome = .noBlock
      return nil
    }
    let count = min(bytes.byteCount, pool.blockSize)
    var room = pool.mutableBytes(block, 0..<count)
    room.copy(bytes.extracting(0..<count), at: 0)
    entries[index] = Entry(block: block, length: UInt32(count), isExclusive: true)
    return index
  }

  private mutating func link(_ index: UInt32, _ entries: inout EntryPool) {
    entries[index].next = .max
    if tail == .max { head = index } else { entries[tail].next = index }
    tail = index
  }

  private func free(_ index: UInt32, _ pool: inout BlockPool, _ entries: inout EntryPool) {
    pool.release(entries[index].block)
    entries.free(index)
  }

  /// Moves early pieces that `next` has reached to the readable ones.
  private mutating func connect(_ pool: inout BlockPool, _ entries: inout EntryPool) {
    while earlyHead != .max, entries[earlyHead].sequence <= next {
      let index = earlyHead
      earlyHead = entries[index].next
      if earlyHead == .max { earlyTail = .max }
      earlyCount -= 1
      let known = next - entries[index].sequence
      if known >= Int(entries[index].length) {
        free(index, &pool, &entries)
        continue
      }
      if known > 0 { entries[index].dropFirst(known) }
      readableCount += Int(entries[index].length)
      next = entries[index].end
      link(index, &entries)
    }
  }
}
