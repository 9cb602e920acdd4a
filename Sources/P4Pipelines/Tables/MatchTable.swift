import DPUCore

// The lookup writes lanes of the machine through raw pointers, for the packets of the mask only.

/// One P4 table: its entries, the engine that finds them, and what is kept for each entry.
///
/// Which engine follows from the kind of the table, its keys and its capacity, once for all. Only
/// the arrays of that engine have any size.
struct MatchTable: ~Copyable {
  enum Engine {
    /// No key, or no room for an entry: nothing ever matches.
    case none
    case exact, trie, vectors, tuples
  }

  let engine: Engine
  let keyBytes: Int
  let keyWords: Int
  let capacity: Int
  let hasPriorities: Bool
  /// The profile that entries refer to; -1: none.
  let profile: Int
  let supportsTimeout: Bool
  let meterRateCount: Int
  let meterCountsBytes: Bool
  /// Of entry 0, or of member 0 of the profile, in words from the start of all records.
  let recordBase: Int
  let recordStride: Int
  /// The record that is the table's own default.
  let defaultRecord: Int

  var store: EntryStore
  var exact: ExactEngine
  var trie: TrieEngine
  var vectors: VectorEngine
  var tuples: TupleEngine
  /// In all tables that are not exact.
  var index: KeyIndex
  /// Masks while a write works on them: two keys.
  var scratch: RawArray<UInt64>

  /// Milliseconds of the last hit.
  var hitTimes: RawArray<UInt32>
  var idleCursor = 0
  var counters: RawArray<CounterValue>
  var meters: RawArray<MeterCell>

  /// One: what a miss leads to.
  var fallback: RawArray<Fallback>
  var hits: UInt64 = 0
  var misses: UInt64 = 0

  struct Fallback: BitwiseCopyable {
    var reference: EntryReference
    /// What a miss writes into the lane of records.
    var lane: UInt64
  }

  /// The bit of a record lane that says that the rest is a group.
  static let groupFlag: UInt64 = 1 << 63

  init(_ layout: TableLayout, records: TablePlan.Records, secret: UInt64) {
    let hash = TableHash(secret: secret)
    let bytes = layout.keys.reduce(0) { max($0, $1.offset + $1.byteCount) }
    let capacity = layout.keys.isEmpty ? 0 : layout.capacity
    let words = layout.keyBytes / 8
    let (engine, stride) = Self.engine(layout, capacity: capacity, keyBytes: bytes)
    let isExact = engine == .exact
    let hasMasks = !isExact && engine != .none
    var ranges: [EntryStore.RangeField] = []
    for key in layout.keys where key.kind == .range {
      ranges.append(EntryStore.RangeField(offset: key.offset, byteCount: key.byteCount))
    }

    self.engine = engine
    self.capacity = capacity
    keyBytes = layout.keyBytes
    keyWords = words
    hasPriorities = layout.hasPriorities
    profile = layout.storage.profile ?? -1
    supportsTimeout = layout.supportsTimeout
    meterRateCount = layout.meter?.rateCount ?? 0
    meterCountsBytes = layout.meter?.countsBytes ?? false
    recordBase = records.base
    recordStride = records.stride
    defaultRecord = records.own
    fallback = RawArray([Fallback(reference: .own, lane: UInt64(records.own))])
    store = EntryStore(capacity: capacity, keyWords: words, hasMasks: hasMasks, ranges: ranges)
    exact = ExactEngine(capacity: isExact ? capacity : 0, keyWords: words, hash: hash)
    trie = TrieEngine(
      capacity: engine == .trie ? capacity : 0, keyBytes: bytes, stride: stride)
    vectors = VectorEngine(capacity: engine == .vectors ? capacity : 0, columns: bytes)
    tuples = TupleEngine(capacity: engine == .tuples ? capacity : 0, keyWords: words)
    index = KeyIndex(capacity: isExact ? 0 : capacity, hash: hash)
    scratch = RawArray(zeroes: 2 * words)
    hitTimes = RawArray(zeroes: layout.supportsTimeout ? capacity : 0)
    counters = RawArray(zeroes: layout.counts ? capacity : 0)
    meters = RawArray(zeroes: layout.meter == nil ? 0 : capacity)
  }

  /// The engine for a table, and the bits of a level should it be a trie.
  private static func engine(
    _ layout: TableLayout, capacity: Int, keyBytes: Int
  ) -> (Engine, stride: Int) {
    if capacity == 0 { return (.none, 8) }
    switch layout.kind {
    case .exact, .valid: return (.exact, 8)
    case .lpm:
      if layout.isPrefixLast,
        let stride = TrieEngine.stride(capacity: capacity, keyBytes: keyBytes)
      {
        return (.trie, stride)
      }
      return (.tuples, 8)
    case .ternary, .range, .optional:
      let size = VectorEngine.byteCount(capacity: capacity, columns: keyBytes)
      return (size <= TableLimits.vectorBytesMax ? .vectors : .tuples, 8)
    }
  }
}

// MARK: Packet path

extension MatchTable {
  /// See `TableSet.lookup`.
  mutating func lookup(
    keys: UnsafePointer<UInt8>, stride: Int, mask: UInt64, milliseconds: UInt32,
    entries: UnsafeMutablePointer<UInt64>, records: UnsafeMutablePointer<UInt64>
  ) -> UInt64 {
    unsafe match(keys: keys, stride: stride, mask: mask, entries: entries)
    let defaultLane = fallback[0].lane
    var hit: UInt64 = 0
    var rest = mask
    if profile >= 0 {
      while rest != 0 {
        let packet = rest.trailingZeroBitCount
        rest &= rest &- 1
        let entry = unsafe entries[packet]
        if entry == TableSet.noEntry {
          unsafe records[packet] = defaultLane
        } else {
          hit |= 1 &<< UInt64(truncatingIfNeeded: packet)
          unsafe records[packet] = lane(store.infos.base[Int(truncatingIfNeeded: entry)].reference)
        }
      }
    } else {
      let base = UInt64(truncatingIfNeeded: recordBase)
      let recordStride = UInt64(truncatingIfNeeded: recordStride)
      while rest != 0 {
        let packet = rest.trailingZeroBitCount
        rest &= rest &- 1
        let entry = unsafe entries[packet]
        let isHit = entry != TableSet.noEntry
        unsafe records[packet] = isHit ? base &+ entry &* recordStride : defaultLane
        hit |= (isHit ? 1 : 0) &<< UInt64(truncatingIfNeeded: packet)
      }
    }
    if supportsTimeout {
      rest = hit
      while rest != 0 {
        let packet = rest.trailingZeroBitCount
        rest &= rest &- 1
        unsafe hitTimes.base[Int(truncatingIfNeeded: entries[packet])] = milliseconds
      }
    }
    let hitCount = UInt64(truncatingIfNeeded: hit.nonzeroBitCount)
    hits &+= hitCount
    misses &+= UInt64(truncatingIfNeeded: mask.nonzeroBitCount) &- hitCount
    return hit
  }

  @inline(__always)
  private mutating func match(
    keys: UnsafePointer<UInt8>, stride: Int, mask: UInt64, entries: UnsafeMutablePointer<UInt64>
  ) {
    switch engine {
    case .exact:
      unsafe exact.lookup(keys: keys, stride: stride, mask: mask, entries: entries, store: store)
    case .trie:
      unsafe trie.lookup(keys: keys, stride: stride, mask: mask, entries: entries)
    case .vectors:
      unsafe vectors.lookup(keys: keys, stride: stride, mask: mask, entries: entries, store: store)
    case .tuples:
      unsafe tuples.lookup(
        keys: keys, stride: stride, mask: mask, entries: entries, store: store, index: index)
    case .none:
      var rest = mask
      while rest != 0 {
        unsafe entries[rest.trailingZeroBitCount] = TableSet.noEntry
        rest &= rest &- 1
      }
    }
  }

  /// What the lane of records holds for a member or a group.
  @inline(__always)
  func lane(_ reference: EntryReference) -> UInt64 {
    reference.isGroup
      ? Self.groupFlag | UInt64(truncatingIfNeeded: reference.number)
      : UInt64(truncatingIfNeeded: recordBase &+ reference.number &* recordStride)
  }

  mutating func count(
    hits: UInt64, entries: UnsafePointer<UInt64>, lengths: UnsafePointer<UInt64>
  ) {
    var rest = hits
    while rest != 0 {
      let packet = rest.trailingZeroBitCount
      rest &= rest &- 1
      let entry = unsafe Int(truncatingIfNeeded: entries[packet])
      counters[entry].packets &+= 1
      unsafe counters[entry].bytes &+= lengths[packet]
    }
  }

  mutating func meter(
    hits: UInt64, entries: UnsafePointer<UInt64>, lengths: UnsafePointer<UInt64>,
    microseconds: UInt64, colours: UnsafeMutablePointer<UInt64>
  ) {
    var rest = hits
    while rest != 0 {
      let packet = rest.trailingZeroBitCount
      rest &= rest &- 1
      let entry = unsafe Int(truncatingIfNeeded: entries[packet])
      unsafe colours[packet] = meters[entry].colour(
        meterCountsBytes ? lengths[packet] : 1, microseconds: microseconds,
        rateCount: meterRateCount)
    }
  }
}
