// Keys are copied and compared as words through raw pointers into the store.

extension MatchTable {
  /// Words of the undo log that one write of an entry takes at most, its record included.
  var undoWords: Int {
    2 * UndoLog.words(keeping: keyBytes) + UndoLog.words(keeping: 8 * recordStride)
      + 4 * UndoLog.words(keeping: 96) + 2 * UndoLog.stepWords
  }

  /// The entry with this key, mask and priority.
  func find(_ key: borrowing EntryKey, priority: UInt32) -> Int? {
    if engine == .none { return nil }
    return unsafe key.withWords { (value, mask) in
      if engine == .exact { return unsafe exact.find(value, store: store) }
      let fixed = unsafe scratch.base
      unsafe store.fixedBits(value, mask, into: fixed)
      let hash = unsafe hash(value, fixed)
      var found = index.first(hash)
      while found != 0 {
        let entry = Int(found) - 1
        if !hasPriorities || store.infos[entry].priority == priority,
          unsafe sameWords(store.value(entry), value, keyWords),
          unsafe sameWords(store.mask(entry), mask, keyWords)
        {
          return entry
        }
        found = index.next(after: found, hash)
      }
      return nil
    }
  }

  /// Enters a key that is not there yet; the index is free. Everything kept for the entry starts
  /// anew.
  mutating func insert(
    _ entry: Int, _ key: borrowing EntryKey, priority: UInt32, reference: EntryReference,
    milliseconds: UInt32, table: Int, log: inout UndoLog
  ) {
    unsafe log.keep(UnsafeMutableRawPointer(store.values.base + entry * keyWords), keyBytes)
    if engine != .exact {
      unsafe log.keep(UnsafeMutableRawPointer(store.masks.base + entry * keyWords), keyBytes)
    }
    log.keep(store.infos, entry)
    if counters.count > 0 { log.keep(counters, entry) }
    if meters.count > 0 { log.keep(meters, entry) }
    if hitTimes.count > 0 { log.keep(hitTimes, entry) }

    unsafe key.withWords { (value, mask) in
      for word in 0..<keyWords {
        store.values[entry * keyWords + word] = unsafe value[word]
        if engine != .exact { store.masks[entry * keyWords + word] = unsafe mask[word] }
      }
    }
    store.infos[entry] = EntryInfo(
      priority: priority, prefixLength: UInt16(key.prefixLength),
      version: store.infos[entry].version, isToldIdle: false, timeout: 0, reference: reference)
    if counters.count > 0 { counters[entry] = CounterValue() }
    if meters.count > 0 { meters[entry].configure(nil) }
    if hitTimes.count > 0 { hitTimes[entry] = milliseconds }
    link(entry)
    log.note(.inserted, table, entry)
  }

  /// Removes an entry; its handle is never valid again.
  mutating func remove(_ entry: Int, table: Int, log: inout UndoLog) {
    log.note(.removed, table, entry)
    log.keep(store.infos, entry)
    unlink(entry)
    store.infos[entry].version &+= 1
  }

  mutating func setReference(_ entry: Int, _ reference: EntryReference, log: inout UndoLog) {
    log.keep(store.infos, entry)
    store.infos[entry].reference = reference
  }

  mutating func setFallback(_ value: Fallback, log: inout UndoLog) {
    log.keep(fallback, 0)
    fallback[0] = value
  }

  mutating func setTimeout(_ entry: Int, _ timeout: UInt32, now: UInt32, log: inout UndoLog) {
    log.keep(store.infos, entry)
    log.keep(hitTimes, entry)
    store.infos[entry].timeout = timeout
    store.infos[entry].isToldIdle = false
    hitTimes[entry] = now
  }

  mutating func setCounter(_ entry: Int, _ value: CounterValue, log: inout UndoLog) {
    log.keep(counters, entry)
    counters[entry] = value
  }

  mutating func setMeter(_ entry: Int, _ rates: MeterRates?, log: inout UndoLog) {
    log.keep(meters, entry)
    meters[entry].configure(rates)
  }

  /// Makes an entry of the store known to the engine.
  mutating func link(_ entry: Int) {
    store.pool.take(entry)
    switch engine {
    case .exact: exact.insert(entry, store: store)
    case .none: preconditionFailure()
    default:
      let fixed = unsafe scratch.base
      unsafe store.fixedBits(entry, into: fixed)
      index.insert(entry, hash: unsafe hash(store.value(entry), fixed))
      switch engine {
      case .trie: trie.insert(entry, store: store)
      case .vectors: vectors.insert(entry, store: store)
      default:
        unsafe tuples.insert(
          entry, mask: fixed, seed: index.hash.seed(mask: fixed, keyWords), store: store)
      }
    }
  }

  mutating func unlink(_ entry: Int) {
    store.pool.release(entry)
    if engine == .exact {
      exact.remove(entry, store: store)
      return
    }
    let fixed = unsafe scratch.base
    unsafe store.fixedBits(entry, into: fixed)
    index.remove(entry, hash: unsafe hash(store.value(entry), fixed))
    switch engine {
    case .trie:
      unsafe trie.remove(entry, store: store, keys: index, scratch: scratch.base + keyWords)
    case .vectors: vectors.remove(entry, store: store)
    default: tuples.remove(entry)
    }
  }

  /// The hash of a value under the bits that its entry fixes.
  private func hash(_ value: UnsafePointer<UInt64>, _ fixed: UnsafePointer<UInt64>) -> UInt64 {
    let seed = unsafe index.hash.seed(mask: fixed, keyWords)
    return unsafe index.hash.hash(seed: seed, value, masked: fixed, keyWords)
  }
}
