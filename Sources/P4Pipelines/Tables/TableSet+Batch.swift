// MARK: Batches

extension TableSet {
  /// Writes from here on can be taken back with `undoBatch`. No packets may be looked up before
  /// the batch is committed or undone.
  package mutating func beginBatch() { log.begin() }

  package mutating func commitBatch() { log.end() }

  /// Takes back all writes since `beginBatch`, the last first: handles, versions, counters and
  /// meters are as they were.
  package mutating func undoBatch() {
    while let step = log.pop() {
      switch step.kind {
      case .inserted: tables[step.place].unlink(step.index)
      case .removed: tables[step.place].link(step.index)
      case .memberAdded: profiles[step.place].members.release(step.index)
      case .memberRemoved: profiles[step.place].members.take(step.index)
      case .groupAdded: profiles[step.place].groups.release(step.index)
      case .groupRemoved: profiles[step.place].addGroup(step.index)
      case .joined: profiles[step.place].leave(step.member, step.index)
      case .left: profiles[step.place].join(step.member, step.index)
      case .memberUsed:
        profiles[step.place].useMember(step.index, by: step.member == 0 ? -1 : 1)
      case .groupUsed:
        profiles[step.place].useGroup(step.index, by: step.member == 0 ? -1 : 1)
      case .bytes: preconditionFailure()
      }
    }
    log.end()
  }
}

// MARK: Value sets

extension TableLayout {
  /// A value set is an exact table without records. Its key has the parts of the first parser
  /// state that asks for it; values are given as one number, the first part in its highest bits.
  init(valueSet number: Int, of program: P4Program) {
    let set = program.valueSets[number]
    capacity = min(max(0, set.capacity), TableLimits.entriesMax)
    var widths: [Int] = []
    for state in program.states where widths.isEmpty {
      for transition in state.transitions {
        if case .valueSet(number) = transition.match { widths = state.key.map { $0.width } }
      }
    }
    // Nobody asks, or the parts do not add up: one part.
    if widths.reduce(0, +) != set.width { widths = [set.width] }
    var next = 0
    for width in widths {
      let field = KeyField(kind: .exact, offset: next, width: width)
      keys.append(field)
      next += field.byteCount
    }
    keyBytes = (next + 7) / 8 * 8
  }

  /// A value of a value set as a key.
  fileprivate func encode(value: WideInteger) throws(TableError) -> EntryKey {
    var rest = value
    var parts: [P4Program.KeyMatch] = []
    for field in keys.reversed() {
      parts.insert(.exact(rest.truncated(to: field.width)), at: 0)
      rest = rest >> field.width
    }
    guard !value.isNegative, rest.isZero else { throw .badKey(field: 0, .tooWide) }
    return try encode(parts)
  }
}

extension TableSet {
  package mutating func insert(
    _ value: WideInteger, intoValueSet set: Int
  ) throws(TableError) {
    precondition(set < valueSetCount)
    let table = tableCount + set
    let key = try layouts[table].encode(value: value)
    if tables[table].find(key, priority: 0) != nil { throw .duplicate }
    guard let entry = tables[table].store.pool.firstFree() else { throw .full }
    guard log.hasRoom(tables[table].undoWords) else { throw .batchFull }
    tables[table].insert(
      entry, key, priority: 0, reference: .own, milliseconds: 0, table: table, log: &log)
  }

  package mutating func remove(
    _ value: WideInteger, fromValueSet set: Int
  ) throws(TableError) {
    precondition(set < valueSetCount)
    let table = tableCount + set
    let key = try layouts[table].encode(value: value)
    guard let entry = tables[table].find(key, priority: 0) else { throw .noSuchEntry }
    guard log.hasRoom(tables[table].undoWords) else { throw .batchFull }
    tables[table].remove(entry, table: table, log: &log)
  }

  package mutating func removeAll(fromValueSet set: Int) throws(TableError) {
    precondition(set < valueSetCount)
    try clear(tableCount + set)
  }

  /// In the order of entry.
  package func values(ofValueSet set: Int) -> [WideInteger] {
    precondition(set < valueSetCount)
    let table = tableCount + set
    var values: [WideInteger] = []
    var next = tables[table].store.pool.next(from: 0)
    while let entry = next {
      var value = WideInteger.zero
      let parts = unsafe layouts[table].decode(tables[table].store.value(entry), nil)
      for index in parts.indices {
        if case .exact(let part) = parts[index] {
          value = value << layouts[table].keys[index].width | part
        }
      }
      values.append(value)
      next = tables[table].store.pool.next(from: entry + 1)
    }
    return values
  }
}
