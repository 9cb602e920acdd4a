import Synchronization

/// A closed list of things that are counted. A case without a name does not compile, and every
/// case has its counter.
package protocol CounterKey: CaseIterable, RawRepresentable, BitwiseCopyable, Sendable
where RawValue == Int, AllCases == [Self] {
  /// As it stands in statistics: lowerCamelCase, reads like its log line.
  var name: StaticString { get }
}

/// One counter for each case of `Key`, written by one core and read by any.
package struct Counters<Key: CounterKey>: ~Copyable {
  private let cells: CounterCells
  package let count: Int

  package init() {
    count = Key.allCases.count
    cells = CounterCells(count: count)
  }

  @inline(__always)
  package func add(_ amount: Int, to key: Key) {
    cells.add(UInt64(truncatingIfNeeded: amount), at: key.rawValue)
  }

  @inline(__always)
  package func increment(_ key: Key) { cells.add(1, at: key.rawValue) }

  /// For one that keeps the largest value that came.
  package func raise(_ key: Key, to value: UInt64) {
    let known = cells.value(at: key.rawValue)
    if value > known { cells.add(value - known, at: key.rawValue) }
  }

  package subscript(key: Key) -> UInt64 { cells.value(at: key.rawValue) }

  /// A view that another thread may keep; the cells live as long as the process.
  package var reader: CounterReader { CounterReader(cells: cells) }

  /// The same counters for another value on the same thread.
  package var writer: CounterWriter<Key> { CounterWriter(cells: cells) }
}

/// Counts where the `Counters` themselves are out of reach. Only on the thread that has those.
package struct CounterWriter<Key: CounterKey>: BitwiseCopyable {
  fileprivate let cells: CounterCells

  package var reader: CounterReader { CounterReader(cells: cells) }

  @inline(__always)
  package func increment(_ key: Key) { cells.add(1, at: key.rawValue) }

  @inline(__always)
  package func add(_ amount: Int, to key: Key) {
    cells.add(UInt64(truncatingIfNeeded: amount), at: key.rawValue)
  }
}

/// Reads counters of another core: each value is whole, the set is not a snapshot.
package struct CounterReader: Sendable, BitwiseCopyable {
  fileprivate let cells: CounterCells
  package var count: Int { cells.count }
  package func value(at index: Int) -> UInt64 { cells.value(at: index) }
  package func value<Key: CounterKey>(_ key: Key) -> UInt64 { cells.value(at: key.rawValue) }

  /// Where the first of them stands in the shared memory, in bytes; nil when it is elsewhere.
  package var sharedOffset: Int? { CounterArena.offset(of: cells) }
}

/// Shared memory for the counters that are made from now on. Other programs read it while this one
/// counts, so nobody has to ask.
package enum CounterArena {
  // Set at start-up, before there is a second thread.
  private nonisolated(unsafe) static var base: UInt = 0
  private nonisolated(unsafe) static var next: UInt = 0
  private nonisolated(unsafe) static var end: UInt = 0

  /// Counters stand in `byteCount` bytes at `address + start`, until they are full; then in memory
  /// of the process. The memory stays for ever. Call before there is a second thread.
  package static func use(address: UInt, start: Int, byteCount: Int) {
    unsafe base = address
    unsafe next = address + UInt(start)
    unsafe end = address + UInt(start + byteCount)
  }

  /// Zeroed; nil when there is no room.
  fileprivate static func take(_ byteCount: Int) -> UnsafeMutableRawPointer? {
    guard unsafe next + UInt(byteCount) <= end else { return nil }
    defer { unsafe next += UInt(byteCount) }
    return unsafe UnsafeMutableRawPointer(bitPattern: next)
  }

  fileprivate static func offset(of cells: CounterCells) -> Int? {
    let address = unsafe UInt(bitPattern: cells.base)
    guard unsafe address >= base && address < end else { return nil }
    return unsafe Int(address - base)
  }
}

/// Cells are never freed: counters are made at start-up and read until the end.
@safe
private struct CounterCells: BitwiseCopyable, @unchecked Sendable {
  fileprivate let base: UnsafeMutablePointer<UInt64>
  let count: Int

  init(count: Int) {
    self.count = count
    let byteCount = (max(1, count) * 8 + 63) / 64 * 64
    let raw =
      unsafe CounterArena.take(byteCount)
      ?? UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 64)
    unsafe base = raw.bindMemory(to: UInt64.self, capacity: max(1, count))
    unsafe base.initialize(repeating: 0, count: max(1, count))
  }

  @inline(__always)
  private func cell(_ index: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
    precondition(index >= 0 && index < count)
    // Atomic<UInt64> has the layout of UInt64.
    return unsafe UnsafeMutableRawPointer(base + index).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  /// One writer: a load and a store, no locked instruction.
  @inline(__always)
  func add(_ amount: UInt64, at index: Int) {
    let cell = unsafe cell(index)
    unsafe cell.pointee.store(cell.pointee.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }

  @inline(__always)
  func value(at index: Int) -> UInt64 { unsafe cell(index).pointee.load(ordering: .relaxed) }
}
