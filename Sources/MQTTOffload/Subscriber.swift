import DPUCore

/// The subscriptions of one client, which may outlive its connection.
package struct Subscriber: BitwiseCopyable {
  /// The connection that has it, `.max` while the client is away.
  var session: UInt32 = .max
  var clientHash: UInt64 = 0
  /// Changes whenever its subscriptions or its connection do, and is never used twice.
  var epoch: UInt64 = 0
  /// In the trie, its shared ones included.
  var subscriptions = 0
  /// The last match that met it.
  var match: UInt64 = 0
  /// Neighbours in the list of those away, oldest first.
  var next: UInt32 = .max
  var previous: UInt32 = .max
  /// Next in its bucket of the client table.
  var nextInBucket: UInt32 = .max

  package init() {}
}

/// Subscribers by number and by client identifier.
package struct SubscriberTable: ~Copyable {
  private var slots: Slab<Subscriber>
  private var buckets: FixedArray<UInt32>
  private var oldestAbsent: UInt32 = .max
  private var newestAbsent: UInt32 = .max
  private var lastEpoch: UInt64 = 0
  private(set) var absentCount = 0
  var isFull: Bool { slots.isFull }

  init(capacity: Int) {
    slots = Slab(repeating: Subscriber(), capacity: capacity)
    var size = 1
    while size < capacity { size *= 2 }
    buckets = FixedArray(repeating: .max, count: size)
  }

  subscript(index: UInt32) -> Subscriber {
    @inline(__always) get { slots[index] }
    @inline(__always) _modify { yield &slots[index] }
  }

  /// A record for `session`; nil when all are taken by connected clients or others.
  mutating func add(session: UInt32, clientHash: UInt64) -> UInt32? {
    guard let handle = slots.insert(Subscriber()) else { return nil }
    let index = handle.index
    slots[index].session = session
    slots[index].clientHash = clientHash
    touch(index)
    if clientHash != 0 {
      let bucket = bucket(of: clientHash)
      slots[index].nextInBucket = buckets[bucket]
      buckets[bucket] = index
    }
    return index
  }

  /// What depends on its subscriptions is no longer valid.
  mutating func touch(_ index: UInt32) {
    lastEpoch += 1
    slots[index].epoch = lastEpoch
  }

  func find(clientHash: UInt64) -> UInt32? {
    guard clientHash != 0 else { return nil }
    var index = buckets[bucket(of: clientHash)]
    while index != .max, slots[index].clientHash != clientHash {
      index = slots[index].nextInBucket
    }
    return index == .max ? nil : index
  }

  /// Its client went away and will be back.
  mutating func park(_ index: UInt32) {
    slots[index].session = .max
    slots[index].previous = newestAbsent
    slots[index].next = .max
    if newestAbsent == .max { oldestAbsent = index } else { slots[newestAbsent].next = index }
    newestAbsent = index
    absentCount += 1
    touch(index)
  }

  /// It belongs to `session` now.
  mutating func attach(_ index: UInt32, to session: UInt32) {
    if slots[index].session == .max { unlinkAbsent(index) }
    slots[index].session = session
    touch(index)
  }

  /// The client that has been away for longest.
  var longestAbsent: UInt32? { oldestAbsent == .max ? nil : oldestAbsent }

  mutating func remove(_ index: UInt32) {
    if slots[index].session == .max { unlinkAbsent(index) }
    let hash = slots[index].clientHash
    if hash != 0 {
      let bucket = bucket(of: hash)
      var at = buckets[bucket]
      if at == index {
        buckets[bucket] = slots[index].nextInBucket
      } else {
        while slots[at].nextInBucket != index { at = slots[at].nextInBucket }
        slots[at].nextInBucket = slots[index].nextInBucket
      }
    }
    if let handle = slots.handle(at: index) { slots.remove(handle) }
  }

  private mutating func unlinkAbsent(_ index: UInt32) {
    let (previous, next) = (slots[index].previous, slots[index].next)
    if previous == .max { oldestAbsent = next } else { slots[previous].next = next }
    if next == .max { newestAbsent = previous } else { slots[next].previous = previous }
    absentCount -= 1
  }

  private func bucket(of hash: UInt64) -> Int {
    Int(truncatingIfNeeded: hash & UInt64(buckets.count - 1))
  }
}
