// Records are kept in the undo log through their address.

// MARK: Entries

extension TableSet {
  /// `priority`: the smallest wins, the lower index among equals; for tables of kind ternary,
  /// range and optional, ignored by others.
  package mutating func insert(
    _ table: Int, key: EntryKey, priority: Int, target: EntryTarget
  ) throws(TableError) -> EntryHandle {
    if layouts[table].areEntriesConstant { throw .constantEntries }
    return try insertChecked(table, key: key, priority: priority, target: target)
  }

  mutating func insertChecked(
    _ table: Int, key: EntryKey, priority: Int, target: EntryTarget
  ) throws(TableError) -> EntryHandle {
    precondition(table < tableCount)
    if layouts[table].keys.isEmpty { throw .noKey }
    guard key.keyWords == tables[table].keyWords else { throw .badKey(field: 0, .missing) }
    let rank = try rank(table, key, priority)
    let reference = try check(table, target)
    if tables[table].find(key, priority: rank) != nil { throw .duplicate }
    guard let entry = tables[table].store.pool.firstFree() else { throw .full }
    guard log.hasRoom(tables[table].undoWords) else { throw .batchFull }
    use(table, reference, by: 1)
    if case .action(let record) = target {
      let place = tables[table].recordBase + entry * tables[table].recordStride
      keepRecord(place, tables[table].recordStride)
      putRecord(record, at: place)
    }
    tables[table].insert(
      entry, key, priority: rank, reference: reference, milliseconds: milliseconds, table: table,
      log: &log)
    return handle(table, entry)
  }

  package mutating func modify(
    _ table: Int, _ handle: EntryHandle, target: EntryTarget
  ) throws(TableError) {
    if layouts[table].areEntriesConstant { throw .constantEntries }
    let entry = try index(table, handle)
    let reference = try check(table, target)
    guard log.hasRoom(tables[table].undoWords) else { throw .batchFull }
    use(table, reference, by: 1)
    use(table, tables[table].store.infos[entry].reference, by: -1)
    tables[table].setReference(entry, reference, log: &log)
    if case .action(let record) = target {
      let place = tables[table].recordBase + entry * tables[table].recordStride
      keepRecord(place, tables[table].recordStride)
      putRecord(record, at: place)
    }
  }

  package mutating func remove(_ table: Int, _ handle: EntryHandle) throws(TableError) {
    if layouts[table].areEntriesConstant { throw .constantEntries }
    let entry = try index(table, handle)
    guard log.hasRoom(tables[table].undoWords) else { throw .batchFull }
    removeChecked(table, entry)
  }

  private mutating func removeChecked(_ table: Int, _ entry: Int) {
    use(table, tables[table].store.infos[entry].reference, by: -1)
    tables[table].remove(entry, table: table, log: &log)
  }

  /// Removes all entries; the default stays.
  package mutating func removeAll(_ table: Int) throws(TableError) {
    if layouts[table].areEntriesConstant { throw .constantEntries }
    try clear(table)
  }

  mutating func clear(_ table: Int) throws(TableError) {
    let count = tables[table].store.pool.count
    guard log.hasRoom(count * tables[table].undoWords) else { throw .batchFull }
    while let entry = tables[table].store.pool.next(from: 0) { removeChecked(table, entry) }
  }

  /// The place of a priority in the order of a table.
  private func rank(
    _ table: Int, _ key: EntryKey, _ priority: Int
  ) throws(TableError) -> UInt32 {
    if layouts[table].kind == .lpm { return UInt32(UInt16.max) - UInt32(key.prefixLength) }
    if !tables[table].hasPriorities { return 0 }
    guard let narrow = Int32(exactly: priority) else { throw .badPriority }
    return UInt32(bitPattern: narrow) ^ 1 << 31
  }

  func priority(_ table: Int, _ entry: Int) -> Int {
    if !tables[table].hasPriorities { return 0 }
    return Int(Int32(bitPattern: tables[table].store.infos[entry].priority ^ 1 << 31))
  }

  package func find(_ table: Int, key: EntryKey, priority: Int) -> EntryHandle? {
    guard key.keyWords == tables[table].keyWords, let rank = try? rank(table, key, priority)
    else { return nil }
    return tables[table].find(key, priority: rank).map { handle(table, $0) }
  }

  func handle(_ table: Int, _ entry: Int) -> EntryHandle {
    EntryHandle(index: entry, version: tables[table].store.infos[entry].version)
  }

  func index(_ table: Int, _ handle: EntryHandle) throws(TableError) -> Int {
    precondition(table < tableCount)
    guard tables[table].store.pool.contains(handle.index),
      tables[table].store.infos[handle.index].version == handle.version
    else { throw .noSuchEntry }
    return handle.index
  }
}

// MARK: Targets

extension TableSet {
  /// Whether the table can lead there.
  private func check(_ table: Int, _ target: EntryTarget) throws(TableError) -> EntryReference {
    switch (target, layouts[table].storage) {
    case (.action(let record), .direct):
      try check(table, record: record)
      return .own
    case (.member(let member), .profile(let profile)),
      (.member(let member), .selector(let profile)):
      guard profiles[profile].members.contains(member) else { throw .noSuchMember }
      return EntryReference(member: member)
    case (.group(let group), .selector(let profile)):
      guard profiles[profile].groups.contains(group) else { throw .noSuchGroup }
      return EntryReference(group: group)
    default: throw .wrongStorage
    }
  }

  func check(_ table: Int, record: [UInt64]) throws(TableError) {
    for action in layouts[table].actions
    where record.count == action.words && record[0] == UInt64(action.action) {
      return
    }
    throw .badAction
  }

  mutating func keepRecord(_ place: Int, _ words: Int) {
    precondition(place >= 0 && place + words <= recordStore.count)
    unsafe log.keep(UnsafeMutableRawPointer(recordStore.base + place), 8 * words)
  }

  /// Counts a use of a member or group.
  mutating func use(_ table: Int, _ reference: EntryReference, by change: Int) {
    guard !reference.isOwn, let profile = layouts[table].storage.profile else { return }
    if reference.isGroup {
      profiles[profile].useGroup(reference.number, by: change)
      log.note(.groupUsed, profile, reference.number, member: change < 0 ? 1 : 0)
    } else {
      profiles[profile].useMember(reference.number, by: change)
      log.note(.memberUsed, profile, reference.number, member: change < 0 ? 1 : 0)
    }
  }
}

// MARK: Defaults

extension TableSet {
  /// Tables with a profile take a member, a group, or an action of their own.
  package mutating func setDefault(_ table: Int, _ target: EntryTarget) throws(TableError) {
    if layouts[table].isDefaultConstant { throw .constantDefault }
    if case .action(let record) = target {
      try check(table, record: record)
      try putDefault(table, .own, record)
    } else {
      try putDefault(table, try check(table, target), nil)
    }
  }

  /// Back to the program's default.
  package mutating func resetDefault(_ table: Int) throws(TableError) {
    try putDefault(table, .own, programDefaults[table])
  }

  private mutating func putDefault(
    _ table: Int, _ reference: EntryReference, _ record: [UInt64]?
  ) throws(TableError) {
    guard log.hasRoom(tables[table].undoWords + 2 * layouts[table].recordWords) else {
      throw .batchFull
    }
    use(table, reference, by: 1)
    use(table, tables[table].fallback[0].reference, by: -1)
    let place = tables[table].defaultRecord
    let lane = reference.isOwn ? UInt64(place) : tables[table].lane(reference)
    tables[table].setFallback(
      MatchTable.Fallback(reference: reference, lane: lane), log: &log)
    if let record {
      keepRecord(place, layouts[table].recordWords)
      putRecord(record, at: place)
    }
  }

  /// nil: the table has none.
  package func defaultTarget(_ table: Int) -> EntryTarget? {
    let reference = tables[table].fallback[0].reference
    if reference.isGroup { return .group(reference.number) }
    if !reference.isOwn { return .member(reference.number) }
    let record = record(table, at: tables[table].defaultRecord)
    return record.isEmpty ? nil : .action(record)
  }

  /// A record cut to the words of its action; empty without one.
  func record(_ table: Int, at place: Int) -> [UInt64] {
    for action in layouts[table].actions where recordStore[place] == UInt64(action.action) {
      var record: [UInt64] = []
      for word in 0..<action.words { record.append(recordStore[place + word]) }
      return record
    }
    return []
  }
}
