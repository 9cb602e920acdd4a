import DPUCore
import P4Pipelines

/// What has been written into the tables and profiles of a loaded program, read back.
///
/// Read in parts between turns, so it is the state of one moment only when nobody writes meanwhile;
/// writes come from the same thread, so nobody does.
struct Snapshot {
  struct Table {
    var index: Int
    var entries: [TableEntry]
    var fallback: EntryTarget?
  }

  struct Profile {
    var index: Int
    var members: [(member: Int, record: [UInt64])]
    var groups: [(group: Int, members: [Int])]
  }

  var tables: [Table] = []
  var profiles: [Profile] = []
  var book = TrafficBook()
}

/// What became of a snapshot in another program.
struct Kept {
  /// Entries that are in the new program as well.
  var entries = 0
  /// Entries, defaults, members, values and sessions for which it has no place.
  var lost = 0
}

/// Writes a snapshot into a switch that nobody runs yet: of the same program, or of one that has
/// tables of the same names and forms.
struct Restorer {
  let snapshot: Snapshot
  let old: P4Program
  let new: LoadedProgram
  private(set) var kept = Kept()
  /// By old member and group: the new handle. Profiles by their old index.
  private var members: [[Int: Int]] = []
  private var groups: [[Int: Int]] = []
  /// By new table and place: the handle that the entry has in the old switch.
  private(set) var oldHandles: [[Int: Int]] = []

  init(_ snapshot: Snapshot, of old: P4Program, into new: LoadedProgram) {
    self.snapshot = snapshot
    self.old = old
    self.new = new
    members = Array(repeating: [:], count: old.profiles.count)
    groups = members
    oldHandles = Array(repeating: [:], count: new.program.tables.count)
  }

  mutating func run(_ p4: inout P4Switch, now: Instant) {
    kept = Kept()
    for profile in snapshot.profiles { restore(profile, &p4, now) }
    for table in snapshot.tables { restore(table, &p4, now) }
    restoreBook(&p4, now)
  }

  /// One operation; its handle, 0 when it has none, nil when it was refused.
  private func apply(
    _ p4: inout P4Switch, _ now: Instant, _ fill: (ControlBatch) throws(ControlError) -> Void
  ) -> Int? {
    let batch = ControlBatch(new.names)
    do throws(ControlError) { try fill(batch) } catch { return nil }
    p4.apply(batch, now: now)
    guard batch.failure == nil, batch.count > 0 else { return nil }
    if case .handle(let handle) = batch.result(0) { return handle }
    return 0
  }

  // MARK: Actions

  /// An action of the old program in the new one, when it has the same parameters there.
  private func action(
    _ index: Int, _ find: (Text) -> Int?
  ) -> Int? {
    let was = old.actions[index]
    guard let found = find(was.name) else { return nil }
    let widths = new.program.actions[found].parameters.map { $0.width }
    return widths == was.parameters.map { $0.width } ? found : nil
  }

  private func value(_ target: EntryTarget, profile: Int?, of table: Int) -> ActionValue? {
    switch target {
    case .action(let record):
      guard let number = record.first.flatMap({ Int(exactly: $0) }),
        old.actions.indices.contains(number),
        let action = action(number, { new.names.action($0, of: table) })
      else { return nil }
      return .action(action, RecordLayout(action: number, of: old).decode(record))
    case .member(let member):
      return profile.flatMap { members[$0][member] }.map { .member($0) }
    case .group(let group):
      return profile.flatMap { groups[$0][group] }.map { .group($0) }
    }
  }

  // MARK: Profiles and tables

  private mutating func restore(_ profile: Snapshot.Profile, _ p4: inout P4Switch, _ now: Instant) {
    guard let index = new.names.profile(old.profiles[profile.index].name) else {
      kept.lost += profile.members.count
      return
    }
    for (member, record) in profile.members {
      guard let number = record.first.flatMap({ Int(exactly: $0) }),
        old.actions.indices.contains(number),
        let action = action(
          number,
          { name in
            for table in new.names.tables(ofProfile: index) {
              if let action = new.names.action(name, of: table) { return action }
            }
            return nil
          })
      else {
        kept.lost += 1
        continue
      }
      let arguments = RecordLayout(action: number, of: old).decode(record)
      members[profile.index][member] = apply(&p4, now) { (batch) throws(ControlError) in
        try batch.addMember(profile: index, action, arguments)
      }
      if members[profile.index][member] == nil { kept.lost += 1 }
    }
    for (group, inside) in profile.groups {
      guard
        let made = apply(
          &p4, now,
          { (batch) throws(ControlError) in
            try batch.addGroup(profile: index)
          })
      else {
        kept.lost += 1
        continue
      }
      groups[profile.index][group] = made
      for member in inside {
        guard let member = members[profile.index][member] else { continue }
        _ = apply(&p4, now) { (batch) throws(ControlError) in
          try batch.addMember(member, toGroup: made, profile: index)
        }
      }
    }
  }

  private mutating func restore(_ table: Snapshot.Table, _ p4: inout P4Switch, _ now: Instant) {
    let was = old.tables[table.index]
    guard let index = new.names.table(was.name) else {
      kept.lost += table.entries.count
      return
    }
    let declared = new.program.tables[index]
    let profile: Int? =
      switch was.storage {
      case .direct: nil
      case .profile(let profile), .selector(let profile): profile
      }
    if !declared.isDefaultConstant, let fallback = table.fallback,
      let value = value(fallback, profile: profile, of: index)
    {
      _ = apply(&p4, now) { (batch) throws(ControlError) in
        try batch.setDefault(table: index, value)
      }
    }
    guard !declared.areEntriesConstant else { return }
    let hasSameKeys =
      declared.keys.count == was.keys.count
      && declared.keys.indices.allSatisfy {
        declared.keys[$0].kind == was.keys[$0].kind
          && declared.keys[$0].width == was.keys[$0].width
      }
    guard hasSameKeys else {
      kept.lost += table.entries.count
      return
    }
    if !declared.keys.isEmpty {
      _ = apply(&p4, now) { (batch) throws(ControlError) in try batch.clear(table: index) }
    }
    for entry in table.entries {
      let handle = value(entry.target, profile: profile, of: index).flatMap { value in
        apply(&p4, now) { (batch) throws(ControlError) in
          try batch.addEntry(
            table: index, keys: entry.keys, priority: entry.priority, value,
            timeoutMilliseconds: declared.supportsTimeout ? entry.timeoutMilliseconds : 0)
        }
      }
      if let handle {
        kept.entries += 1
        oldHandles[index][EntryHandle(rawValue: UInt32(handle)).index] =
          Int(entry.handle.rawValue)
      } else {
        kept.lost += 1
      }
    }
  }

  // MARK: The book

  private mutating func restoreBook(_ p4: inout P4Switch, _ now: Instant) {
    var book = TrafficBook()
    for entry in snapshot.book.sessions {
      let isSet = apply(&p4, now) { (batch) throws(ControlError) in
        try batch.setSession(entry.number, entry.session)
      }
      if isSet != nil { book.set(entry.number, entry.session) } else { kept.lost += 1 }
    }
    for group in snapshot.book.groups {
      _ = apply(&p4, now) { (batch) throws(ControlError) in
        try batch.createGroup(group.number)
      }
      var made = TrafficBook.Group(number: group.number, replicas: [])
      for replica in group.replicas {
        guard
          let node = apply(
            &p4, now,
            { (batch) throws(ControlError) in
              try batch.createNode(rid: replica.instance, ports: replica.ports)
            })
        else {
          kept.lost += 1
          continue
        }
        _ = apply(&p4, now) { (batch) throws(ControlError) in
          try batch.associate(group: group.number, node: node)
        }
        var copy = replica
        copy.node = node
        made.replicas.append(copy)
      }
      book.set(made)
    }
    for queue in snapshot.book.queues {
      _ = apply(&p4, now) { (batch) throws(ControlError) in
        if let depth = queue.depth {
          try batch.setQueueDepth(port: queue.port, priority: queue.priority, depth)
        }
        if let rate = queue.packetsPerSecond {
          try batch.setQueueRate(
            port: queue.port, priority: queue.priority, packetsPerSecond: rate)
        }
      }
      book.set(queue)
    }
    for entry in snapshot.book.values {
      guard let set = new.names.valueSet(old.valueSets[entry.set].name),
        apply(
          &p4, now,
          { (batch) throws(ControlError) in
            try batch.addToValueSet(set, entry.value)
          }) != nil
      else {
        kept.lost += 1
        continue
      }
      book.insert(entry.value, into: set)
    }
    new.book = book
  }
}
