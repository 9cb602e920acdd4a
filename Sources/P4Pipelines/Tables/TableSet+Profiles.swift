// MARK: Members

extension TableSet {
  private func checkMember(_ profile: Int, record: [UInt64]) throws(TableError) {
    for table in 0..<tableCount where layouts[table].storage.profile == profile {
      for action in layouts[table].actions
      where record.count == action.words && record[0] == UInt64(action.action) {
        return
      }
    }
    throw .badAction
  }

  private func check(_ profile: Int, member: Int) throws(TableError) {
    guard profiles[profile].members.contains(member) else { throw .noSuchMember }
  }

  private func check(_ profile: Int, group: Int) throws(TableError) {
    guard profiles[profile].groups.contains(group) else { throw .noSuchGroup }
  }

  private func checkRoom(_ profile: Int, steps: Int) throws(TableError) {
    let words = UndoLog.words(keeping: 8 * profiles[profile].recordStride)
    guard log.hasRoom(words + steps * UndoLog.stepWords) else { throw .batchFull }
  }

  /// `record`: action number and argument words. Returns the lowest free handle.
  package mutating func addMember(_ profile: Int, _ record: [UInt64]) throws(TableError) -> Int {
    try checkMember(profile, record: record)
    guard let member = profiles[profile].members.firstFree() else { throw .full }
    try checkRoom(profile, steps: 1)
    profiles[profile].members.take(member)
    log.note(.memberAdded, profile, member)
    put(profile, member, record)
    return member
  }

  package mutating func modifyMember(
    _ profile: Int, _ member: Int, _ record: [UInt64]
  ) throws(TableError) {
    try check(profile, member: member)
    try checkMember(profile, record: record)
    try checkRoom(profile, steps: 0)
    put(profile, member, record)
  }

  private mutating func put(_ profile: Int, _ member: Int, _ record: [UInt64]) {
    let place = profiles[profile].record(member)
    keepRecord(place, profiles[profile].recordStride)
    putRecord(record, at: place)
  }

  /// Refused while an entry, a default or a group uses it.
  package mutating func removeMember(_ profile: Int, _ member: Int) throws(TableError) {
    try check(profile, member: member)
    guard profiles[profile].memberUses[member] == 0 else { throw .memberInUse }
    try checkRoom(profile, steps: 1)
    profiles[profile].members.release(member)
    log.note(.memberRemoved, profile, member)
  }

  package func member(_ profile: Int, _ member: Int) throws(TableError) -> [UInt64] {
    try check(profile, member: member)
    let place = profiles[profile].record(member)
    for table in 0..<tableCount where layouts[table].storage.profile == profile {
      let record = record(table, at: place)
      if !record.isEmpty { return record }
    }
    return []
  }

  /// The next member at or after `handle`.
  package func member(_ profile: Int, from handle: Int) -> Int? {
    profiles[profile].members.next(from: handle)
  }
}

// MARK: Groups

extension TableSet {
  package mutating func addGroup(_ profile: Int) throws(TableError) -> Int {
    guard profiles[profile].hasSelector else { throw .wrongStorage }
    guard let group = profiles[profile].groups.firstFree() else { throw .full }
    try checkRoom(profile, steps: 1)
    profiles[profile].addGroup(group)
    log.note(.groupAdded, profile, group)
    return group
  }

  /// Refused while an entry or a default uses it; its members need not leave before.
  package mutating func removeGroup(_ profile: Int, _ group: Int) throws(TableError) {
    try check(profile, group: group)
    guard profiles[profile].groupUses[group] == 0 else { throw .groupInUse }
    try checkRoom(profile, steps: profiles[profile].memberCount(ofGroup: group) + 1)
    while profiles[profile].memberCount(ofGroup: group) > 0 {
      let last = profiles[profile].memberCount(ofGroup: group) - 1
      let member = profiles[profile].member(last, ofGroup: group)
      profiles[profile].leave(member, group)
      log.note(.left, profile, group, member: member)
    }
    profiles[profile].groups.release(group)
    log.note(.groupRemoved, profile, group)
  }

  package mutating func addMember(
    _ profile: Int, _ member: Int, toGroup group: Int
  ) throws(TableError) {
    try check(profile, member: member)
    try check(profile, group: group)
    if profiles[profile].contains(member, inGroup: group) { throw .memberAlreadyInGroup }
    if profiles[profile].isMembershipFull { throw .full }
    try checkRoom(profile, steps: 1)
    profiles[profile].join(member, group)
    log.note(.joined, profile, group, member: member)
  }

  package mutating func removeMember(
    _ profile: Int, _ member: Int, fromGroup group: Int
  ) throws(TableError) {
    try check(profile, member: member)
    try check(profile, group: group)
    guard profiles[profile].contains(member, inGroup: group) else { throw .memberNotInGroup }
    try checkRoom(profile, steps: 1)
    profiles[profile].leave(member, group)
    log.note(.left, profile, group, member: member)
  }

  /// In ascending order.
  package func members(_ profile: Int, ofGroup group: Int) throws(TableError) -> [Int] {
    try check(profile, group: group)
    var members: [Int] = []
    for place in 0..<profiles[profile].memberCount(ofGroup: group) {
      members.append(profiles[profile].member(place, ofGroup: group))
    }
    return members
  }

  /// The next group at or after `handle`.
  package func group(_ profile: Int, from handle: Int) -> Int? {
    profiles[profile].groups.next(from: handle)
  }
}
