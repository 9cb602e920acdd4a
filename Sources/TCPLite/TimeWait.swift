import DPUCore
import PacketWire

/// What must be remembered of a connection that we closed first (RFC 9293 §3.6.1).
package struct TimeWaitRecord: BitwiseCopyable {
  var local: SocketAddress
  var remote: SocketAddress
  var hash: UInt32
  var sendNext = SequenceNumber(0)
  var receiveNext = SequenceNumber(0)
  var recentTimestamp: UInt32 = 0
  var timestampOffset: UInt32 = 0
  var usesTimestamps = false
  var expiresAt = Instant.zero
  var hashNext: UInt32 = .max
  var newer: UInt32 = .max
  var older: UInt32 = .max
}

/// Ended connections, oldest first: they all wait equally long, so their order is their timer.
struct TimeWaitTable: ~Copyable {
  private var records: Slab<TimeWaitRecord>
  private var buckets: FixedArray<UInt32>
  private let mask: UInt32
  private var oldest: UInt32 = .max
  private var newest: UInt32 = .max

  var count: Int { records.count }
  var nextDeadline: Instant? { oldest == .max ? nil : records[oldest].expiresAt }

  init(capacity: Int) {
    let nowhere = SocketAddress(ip: .unspecified, port: 0)
    records = Slab(
      repeating: TimeWaitRecord(local: nowhere, remote: nowhere, hash: 0), capacity: capacity)
    var size = 2
    while size < 2 * capacity { size *= 2 }
    buckets = FixedArray(repeating: .max, count: size)
    mask = UInt32(size - 1)
  }

  func find(_ hash: UInt32, _ local: SocketAddress, _ remote: SocketAddress) -> UInt32? {
    if records.count == 0 { return nil }
    var index = buckets[hash & mask]
    while index != .max {
      if records[index].hash == hash, records[index].remote == remote,
        records[index].local == local
      {
        return index
      }
      index = records[index].hashNext
    }
    return nil
  }

  subscript(index: UInt32) -> TimeWaitRecord {
    get { records[index] }
    _modify { yield &records[index] }
  }

  /// Adds a record; true when the oldest had to go for it.
  mutating func insert(_ record: TimeWaitRecord) -> Bool {
    let mustRecycle = records.isFull
    if mustRecycle { remove(oldest) }
    guard let index = records.insert(record)?.index else { return mustRecycle }
    let bucket = record.hash & mask
    records[index].hashNext = buckets[bucket]
    buckets[bucket] = index
    linkNewest(index)
    return mustRecycle
  }

  /// The peer has repeated its FIN: the wait starts again.
  mutating func restart(_ index: UInt32, until deadline: Instant) {
    unlink(index)
    records[index].expiresAt = deadline
    linkNewest(index)
  }

  mutating func remove(_ index: UInt32) {
    let bucket = records[index].hash & mask
    if buckets[bucket] == index {
      buckets[bucket] = records[index].hashNext
    } else {
      var current = buckets[bucket]
      while records[current].hashNext != index { current = records[current].hashNext }
      records[current].hashNext = records[index].hashNext
    }
    unlink(index)
    if let handle = records.handle(at: index) { records.remove(handle) }
  }

  mutating func expire(now: Instant) {
    while oldest != .max, records[oldest].expiresAt <= now { remove(oldest) }
  }

  private mutating func linkNewest(_ index: UInt32) {
    records[index].newer = .max
    records[index].older = newest
    if newest == .max { oldest = index } else { records[newest].newer = index }
    newest = index
  }

  private mutating func unlink(_ index: UInt32) {
    let (newer, older) = (records[index].newer, records[index].older)
    if older == .max { oldest = newer } else { records[older].newer = newer }
    if newer == .max { newest = older } else { records[newer].older = older }
  }
}
