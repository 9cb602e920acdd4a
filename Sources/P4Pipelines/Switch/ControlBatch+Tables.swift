// Each method adds one operation and returns its index in the batch.

extension ControlBatch {
  /// `priority`: the smallest number wins (P4Runtime and STF have it the other way round);
  /// ignored in tables of kind exact and lpm. A timeout of 0 means that the entry is never idle.
  /// Its result is the handle of the entry.
  @discardableResult
  package func addEntry(
    table: Int, keys: [P4Program.KeyMatch], priority: Int = 0, _ action: ActionValue,
    timeoutMilliseconds: Int = 0
  ) throws(ControlError) -> Int {
    let key = try self.key(keys, of: table)
    guard timeoutMilliseconds == 0 || names.program.tables[table].supportsTimeout else {
      throw ControlError(.notSupported)
    }
    return append(
      .insert(
        table: table, key, priority: priority, try target(action, of: table),
        timeoutMilliseconds: timeoutMilliseconds))
  }

  @discardableResult
  package func modifyEntry(
    table: Int, handle: Int, _ action: ActionValue
  ) throws(ControlError) -> Int {
    try self.table(table)
    return append(.modify(table: table, try entry(handle), try target(action, of: table)))
  }

  @discardableResult
  package func modifyEntry(
    table: Int, keys: [P4Program.KeyMatch], priority: Int = 0, _ action: ActionValue
  ) throws(ControlError) -> Int {
    let key = try self.key(keys, of: table)
    return append(
      .modifyKey(table: table, key, priority: priority, try target(action, of: table)))
  }

  @discardableResult
  package func deleteEntry(table: Int, handle: Int) throws(ControlError) -> Int {
    try self.table(table)
    return append(.remove(table: table, try entry(handle)))
  }

  @discardableResult
  package func deleteEntry(
    table: Int, keys: [P4Program.KeyMatch], priority: Int = 0
  ) throws(ControlError) -> Int {
    append(.removeKey(table: table, try key(keys, of: table), priority: priority))
  }

  /// Removes all entries; the default stays.
  @discardableResult
  package func clear(table: Int) throws(ControlError) -> Int {
    try self.table(table)
    return append(.removeAll(table: table))
  }

  @discardableResult
  package func setDefault(table: Int, _ action: ActionValue) throws(ControlError) -> Int {
    try self.table(table)
    let target = try target(action, of: table)
    let program = names.program.tables[table]
    if program.isDefaultActionConstant {
      guard case .action(let index, _) = action, index == program.defaultEntry?.action else {
        throw ControlError(.defaultIsConstant)
      }
    }
    return append(.setDefault(table: table, target))
  }

  /// Back to what the program says.
  @discardableResult
  package func resetDefault(table: Int) throws(ControlError) -> Int {
    try self.table(table)
    return append(.resetDefault(table: table))
  }

  @discardableResult
  package func setTimeout(
    table: Int, handle: Int, milliseconds: Int
  ) throws(ControlError) -> Int {
    try self.table(table)
    guard names.program.tables[table].supportsTimeout else { throw ControlError(.notSupported) }
    guard milliseconds >= 0 else { throw ControlError(.outOfRange) }
    return append(.setTimeout(table: table, try entry(handle), milliseconds: milliseconds))
  }

  /// Up to `limit` entries in the order of their indices. The result says where to go on.
  @discardableResult
  package func readEntries(
    table: Int, from start: Int = 0, limit: Int = 256
  ) throws(ControlError) -> Int {
    try self.table(table)
    guard start >= 0, limit > 0 else { throw ControlError(.outOfRange) }
    entries.reserveCapacity(entries.capacity + limit)
    return append(.readEntries(table: table, from: start, limit: limit))
  }

  @discardableResult
  package func readDefault(table: Int) throws(ControlError) -> Int {
    try self.table(table)
    return append(.readDefault(table: table))
  }

  // MARK: Direct counters and meters

  @discardableResult
  package func readDirectCounter(table: Int, handle: Int) throws(ControlError) -> Int {
    try counts(table)
    return append(.readDirectCounter(table: table, try entry(handle)))
  }

  @discardableResult
  package func writeDirectCounter(
    table: Int, handle: Int, packets: UInt64, bytes: UInt64
  ) throws(ControlError) -> Int {
    try counts(table)
    return append(
      .setDirectCounter(
        table: table, try entry(handle), CounterValue(packets: packets, bytes: bytes)))
  }

  @discardableResult
  package func resetDirectCounters(table: Int) throws(ControlError) -> Int {
    try counts(table)
    return append(.resetDirectCounters(table: table))
  }

  @discardableResult
  package func readDirectMeter(table: Int, handle: Int) throws(ControlError) -> Int {
    try meters(table)
    return append(.readDirectMeter(table: table, try entry(handle)))
  }

  /// nil takes the configuration away: green from then on.
  @discardableResult
  package func setDirectMeter(
    table: Int, handle: Int, _ rates: MeterRates?
  ) throws(ControlError) -> Int {
    try meters(table)
    try check(rates)
    return append(.setDirectMeter(table: table, try entry(handle), rates))
  }

  // MARK: Checks

  private func key(_ keys: [P4Program.KeyMatch], of table: Int) throws(ControlError) -> EntryKey {
    try self.table(table)
    do { return try names.layouts[table].encode(keys) } catch {
      throw ControlError(ControlFailure(error))
    }
  }

  private func entry(_ handle: Int) throws(ControlError) -> EntryHandle {
    guard let raw = UInt32(exactly: handle) else { throw ControlError(.notFound) }
    return EntryHandle(rawValue: raw)
  }

  private func counts(_ table: Int) throws(ControlError) {
    try self.table(table)
    guard names.program.tables[table].directCounter != nil else {
      throw ControlError(.notSupported)
    }
  }

  private func meters(_ table: Int) throws(ControlError) {
    try self.table(table)
    guard names.program.tables[table].directMeter != nil else { throw ControlError(.notSupported) }
  }

  /// Rates must be numbers, not negative, and the peak not below the committed rate.
  func check(_ rates: MeterRates?) throws(ControlError) {
    guard let rates else { return }
    guard rates.committedRate >= 0, rates.peakRate >= rates.committedRate,
      rates.peakRate.isFinite, rates.peakBurst <= 1 << 48, rates.committedBurst <= 1 << 48
    else { throw ControlError(.badRates) }
  }
}

// MARK: Action profiles

extension ControlBatch {
  /// Its result is the handle of the member.
  @discardableResult
  package func addMember(
    profile: Int, _ action: Int, _ arguments: [WideInteger]
  ) throws(ControlError) -> Int {
    append(.addMember(profile: profile, try member(action, arguments, of: profile)))
  }

  @discardableResult
  package func modifyMember(
    profile: Int, member: Int, _ action: Int, _ arguments: [WideInteger]
  ) throws(ControlError) -> Int {
    append(
      .modifyMember(
        profile: profile, member: member, try self.member(action, arguments, of: profile)))
  }

  @discardableResult
  package func deleteMember(profile: Int, member: Int) throws(ControlError) -> Int {
    try self.profile(profile)
    return append(.removeMember(profile: profile, member: member))
  }

  /// Its result is the handle of the group.
  @discardableResult
  package func addGroup(profile: Int) throws(ControlError) -> Int {
    try selector(profile)
    return append(.addGroup(profile: profile))
  }

  @discardableResult
  package func deleteGroup(profile: Int, group: Int) throws(ControlError) -> Int {
    try selector(profile)
    return append(.removeGroup(profile: profile, group: group))
  }

  @discardableResult
  package func addMember(
    _ member: Int, toGroup group: Int, profile: Int
  ) throws(ControlError) -> Int {
    try selector(profile)
    return append(.addToGroup(profile: profile, member: member, group: group))
  }

  @discardableResult
  package func removeMember(
    _ member: Int, fromGroup group: Int, profile: Int
  ) throws(ControlError) -> Int {
    try selector(profile)
    return append(.removeFromGroup(profile: profile, member: member, group: group))
  }

  @discardableResult
  package func readMembers(profile: Int) throws(ControlError) -> Int {
    try self.profile(profile)
    return append(.readMembers(profile: profile))
  }

  @discardableResult
  package func readGroups(profile: Int) throws(ControlError) -> Int {
    try selector(profile)
    return append(.readGroups(profile: profile))
  }

  private func selector(_ profile: Int) throws(ControlError) {
    try self.profile(profile)
    guard names.program.profiles[profile].selector != nil else {
      throw ControlError(.wrongStorage)
    }
  }

  private func member(
    _ action: Int, _ arguments: [WideInteger], of profile: Int
  ) throws(ControlError) -> [UInt64] {
    try self.profile(profile)
    return try record(action, arguments, of: names.tables(ofProfile: profile))
  }
}

// MARK: Parser value sets

extension ControlBatch {
  @discardableResult
  package func addToValueSet(_ set: Int, _ value: WideInteger) throws(ControlError) -> Int {
    append(.insertValue(set: set, try checked(value, of: set)))
  }

  @discardableResult
  package func removeFromValueSet(_ set: Int, _ value: WideInteger) throws(ControlError) -> Int {
    append(.removeValue(set: set, try checked(value, of: set)))
  }

  @discardableResult
  package func clearValueSet(_ set: Int) throws(ControlError) -> Int {
    guard names.program.valueSets.indices.contains(set) else {
      throw ControlError(.noSuchValueSet)
    }
    return append(.removeValues(set: set))
  }

  private func checked(_ value: WideInteger, of set: Int) throws(ControlError) -> WideInteger {
    guard names.program.valueSets.indices.contains(set) else {
      throw ControlError(.noSuchValueSet)
    }
    guard !value.isNegative, value.bitWidth <= names.program.valueSets[set].width else {
      throw ControlError(.valueTooWide)
    }
    return value
  }
}
