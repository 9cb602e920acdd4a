// Keys are read as words through raw pointers into the store.

// MARK: Reading back

extension TableSet {
  /// Checks and packs a key. Does not look at the table's entries; `layouts` may be copied and
  /// used on another thread.
  package func key(_ table: Int, _ keys: [P4Program.KeyMatch]) throws(TableError) -> EntryKey {
    try layouts[table].encode(keys)
  }

  package func entry(_ table: Int, _ handle: EntryHandle) throws(TableError) -> TableEntry {
    let entry = try index(table, handle)
    let info = tables[table].store.infos[entry]
    let target: EntryTarget
    if info.reference.isGroup {
      target = .group(info.reference.number)
    } else if !info.reference.isOwn {
      target = .member(info.reference.number)
    } else {
      let place = tables[table].recordBase + entry * tables[table].recordStride
      target = .action(record(table, at: place))
    }
    return TableEntry(
      handle: handle,
      keys: unsafe layouts[table].decode(
        tables[table].store.value(entry),
        tables[table].engine == .exact ? nil : tables[table].store.mask(entry)),
      priority: priority(table, entry), target: target, timeoutMilliseconds: Int(info.timeout))
  }

  /// The next entry at or after `index`, for walking through a table in the order of indices.
  package func handle(_ table: Int, from index: Int) -> EntryHandle? {
    tables[table].store.pool.next(from: index).map { handle(table, $0) }
  }

  package func count(_ table: Int) -> Int { tables[table].store.pool.count }

  /// Lookups that hit and that missed since the start.
  package func statistics(_ table: Int) -> (hits: UInt64, misses: UInt64) {
    (tables[table].hits, tables[table].misses)
  }
}

// MARK: Idle entries

extension TableSet {
  /// Zero: never idle. The time starts now (the last `begin`).
  package mutating func setTimeout(
    _ table: Int, _ handle: EntryHandle, milliseconds timeout: Int
  ) throws(TableError) {
    let entry = try index(table, handle)
    guard tables[table].supportsTimeout, timeout >= 0, timeout <= Int(Int32.max) else {
      throw .notSupported
    }
    guard log.hasRoom(tables[table].undoWords) else { throw .batchFull }
    tables[table].setTimeout(entry, UInt32(timeout), now: milliseconds, log: &log)
  }

  /// Milliseconds since the last hit, or since the entry or its timeout was set.
  package func idleMilliseconds(_ table: Int, _ handle: EntryHandle) throws(TableError) -> Int {
    let entry = try index(table, handle)
    guard tables[table].supportsTimeout else { throw .notSupported }
    return Int(milliseconds &- tables[table].hitTimes[entry])
  }

  /// An entry that nothing has hit for its timeout, each told once until it is hit again. Looks at
  /// a bounded number of entries; call it now and then, until it returns nil.
  package mutating func popIdle(_ table: Int) -> EntryHandle? {
    if !tables[table].supportsTimeout { return nil }
    for _ in 0..<TableLimits.idleScan {
      guard let entry = tables[table].store.pool.next(from: tables[table].idleCursor)
      else {
        tables[table].idleCursor = 0
        return nil
      }
      tables[table].idleCursor = entry + 1
      let info = tables[table].store.infos[entry]
      if info.timeout == 0 { continue }
      let isIdle = milliseconds &- tables[table].hitTimes[entry] >= info.timeout
      if isIdle == info.isToldIdle { continue }
      tables[table].store.infos[entry].isToldIdle = isIdle
      if isIdle { return handle(table, entry) }
    }
    return nil
  }
}

// MARK: Direct counters and meters

extension TableSet {
  package func directCounter(
    _ table: Int, _ handle: EntryHandle
  ) throws(TableError) -> CounterValue {
    let entry = try index(table, handle)
    guard layouts[table].counts else { throw .notSupported }
    return tables[table].counters[entry]
  }

  package mutating func setDirectCounter(
    _ table: Int, _ handle: EntryHandle, to value: CounterValue
  ) throws(TableError) {
    let entry = try index(table, handle)
    guard layouts[table].counts else { throw .notSupported }
    guard log.hasRoom(tables[table].undoWords) else { throw .batchFull }
    tables[table].setCounter(entry, value, log: &log)
  }

  /// Of all entries.
  package mutating func resetDirectCounters(_ table: Int) throws(TableError) {
    guard layouts[table].counts else { throw .notSupported }
    let count = tables[table].store.pool.count
    guard log.hasRoom(count * tables[table].undoWords) else { throw .batchFull }
    var next = tables[table].store.pool.next(from: 0)
    while let entry = next {
      tables[table].setCounter(entry, CounterValue(), log: &log)
      next = tables[table].store.pool.next(from: entry + 1)
    }
  }

  /// nil: not configured.
  package func directMeter(
    _ table: Int, _ handle: EntryHandle
  ) throws(TableError) -> MeterRates? {
    let entry = try index(table, handle)
    guard layouts[table].meter != nil else { throw .notSupported }
    return tables[table].meters[entry].rates
  }

  /// nil takes the configuration away: green from now on.
  package mutating func setDirectMeter(
    _ table: Int, _ handle: EntryHandle, to rates: MeterRates?
  ) throws(TableError) {
    let entry = try index(table, handle)
    guard let meter = layouts[table].meter else { throw .notSupported }
    if let rates, !MeterCell.accepts(rates, rateCount: meter.rateCount) { throw .badMeterRates }
    guard log.hasRoom(tables[table].undoWords) else { throw .batchFull }
    tables[table].setMeter(entry, rates, log: &log)
  }
}
