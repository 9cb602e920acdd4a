import DPUCore
import Testing

@testable import P4Pipelines

struct ProfileTests {
  private func tables(members: Int = 8) -> TableSet {
    var program = Tables.program(.exact, [(.exact, 8)], capacity: 20, storage: .selector(0)) {
      $0.defaultEntry = P4Program.ActionEntry(action: 1, arguments: [])
    }
    program.profiles = [
      P4Program.ActionProfile(
        name: "p", capacity: members,
        selector: P4Program.Calculation(name: "", algorithm: .crc16, inputs: []))
    ]
    return Tables.set(program)
  }

  private func refused<Result>(_ body: () throws(TableError) -> Result) -> TableError? {
    do {
      _ = try body()
      return nil
    } catch {
      return error
    }
  }

  /// The ports that the records of these hashes name, nil for no action.
  private func ports(_ tables: inout TableSet, key: UInt8, _ hashes: [UInt64]) -> [UInt64?] {
    let keys = [UInt8](repeating: 0, count: 7).reduce(into: [key]) { $0.append($1) }
    var all: [UInt8] = []
    for _ in hashes { all += keys }
    var entries = [UInt64](repeating: 0, count: 64)
    var records = [UInt64](repeating: 0, count: 64)
    let mask: UInt64 = 1 << UInt64(hashes.count) - 1
    _ = tables.lookup(
      0, keys: all, keyStride: 8, mask: mask, entries: &entries, records: &records)
    let groups = tables.groups(mask: mask, records: records)
    tables.resolve(0, mask: groups, hashes: hashes, records: &records)
    return hashes.indices.map { packet in
      let place = Int(records[packet])
      return tables.recordStore[place] == 0 ? tables.recordStore[place + 1] : nil
    }
  }

  private func add(_ tables: inout TableSet, _ key: Int, _ target: EntryTarget) throws {
    let key = try tables.key(0, [.exact(WideInteger(key))])
    _ = try tables.insert(0, key: key, priority: 0, target: target)
  }

  @Test func hashesPickMembersInAscendingOrder() throws {
    var tables = tables()
    for port in [10, 11, 12, 13] { _ = try tables.addMember(0, Tables.record(port)) }
    let group = try tables.addGroup(0)
    for member in [3, 0, 2] { try tables.addMember(0, member, toGroup: group) }
    try add(&tables, 1, .group(group))
    try add(&tables, 2, .member(1))
    var found = ports(&tables, key: 1, [0, 1, 2, 3, 4, 0xffff_ffff_ffff_ffff])
    #expect(found == [10, 12, 13, 10, 12, 10])
    found = ports(&tables, key: 2, [0, 1])
    #expect(found == [11, 11])
    // A member that changes changes for all who name it.
    try tables.modifyMember(0, 2, Tables.record(99))
    try tables.removeMember(0, 0, fromGroup: group)
    found = ports(&tables, key: 1, [0, 1])
    #expect(found == [99, 13])
    // The default is the table's own action until a member or a group is one.
    found = ports(&tables, key: 3, [0])
    #expect(found == [nil])
    try tables.setDefault(0, .group(group))
    found = ports(&tables, key: 3, [0, 1])
    #expect(found == [99, 13])
    var target = tables.defaultTarget(0)
    #expect(target == .group(group))
    try tables.resetDefault(0)
    target = tables.defaultTarget(0)
    #expect(target == .action([1]))
  }

  @Test func emptyGroupsDoNothing() throws {
    var tables = tables()
    let group = try tables.addGroup(0)
    try add(&tables, 1, .group(group))
    let found = ports(&tables, key: 1, [5])
    #expect(found == [nil])
  }

  @Test func whatIsInUseStays() throws {
    var tables = tables()
    let member = try tables.addMember(0, Tables.record(1))
    let other = try tables.addMember(0, Tables.record(2))
    let group = try tables.addGroup(0)
    try tables.addMember(0, member, toGroup: group)
    var errors = [refused { () throws(TableError) in try tables.removeMember(0, member) }]
    try add(&tables, 1, .group(group))
    errors.append(refused { () throws(TableError) in try tables.removeGroup(0, group) })
    try tables.setDefault(0, .member(other))
    errors.append(refused { () throws(TableError) in try tables.removeMember(0, other) })
    #expect(errors == [.memberInUse, .groupInUse, .memberInUse])
    try tables.resetDefault(0)
    try tables.removeMember(0, other)
    try tables.modify(0, tables.taken(0), target: .member(member))
    // A group goes with its members in it.
    try tables.removeGroup(0, group)
    errors = [refused { () throws(TableError) in try tables.removeMember(0, member) }]
    #expect(errors == [.memberInUse])
    try tables.removeAll(0)
    try tables.removeMember(0, member)
    let left = tables.member(0, from: 0)
    #expect(left == nil)
  }

  @Test func mistakesAreRefused() throws {
    var tables = tables(members: 2)
    let member = try tables.addMember(0, Tables.record(1))
    let group = try tables.addGroup(0)
    try tables.addMember(0, member, toGroup: group)
    var errors = [
      refused { () throws(TableError) in try tables.addMember(0, member, toGroup: group) },
      refused { () throws(TableError) in try tables.addMember(0, 1, toGroup: group) },
      refused { () throws(TableError) in try tables.addMember(0, member, toGroup: 5) },
      refused { () throws(TableError) in try tables.removeMember(0, 7) },
      refused { () throws(TableError) in try tables.addMember(0, [2]) },
    ]
    #expect(
      errors == [.memberAlreadyInGroup, .noSuchMember, .noSuchGroup, .noSuchMember, .badAction])
    let second = try tables.addMember(0, [1])
    #expect(second == 1)
    let key = try tables.key(0, [.exact(.zero)])
    errors = [
      refused { () throws(TableError) in try tables.addMember(0, [1]) },
      refused { () throws(TableError) in try tables.removeMember(0, second, fromGroup: group) },
      refused { () throws(TableError) in
        try tables.insert(0, key: key, priority: 0, target: .action([1]))
      },
      refused { () throws(TableError) in
        try tables.insert(0, key: key, priority: 0, target: .member(9))
      },
    ]
    #expect(errors == [.full, .memberNotInGroup, .wrongStorage, .noSuchMember])
  }

  /// Groups that grow beyond their room move, and keep their members.
  @Test func groupsGrowAndShrink() throws {
    var tables = tables(members: 64)
    for port in 0..<64 { _ = try tables.addMember(0, Tables.record(port)) }
    var wanted: [[Int]] = []
    for _ in 0..<10 {
      _ = try tables.addGroup(0)
      wanted.append([])
    }
    var random = SplitMix64(seed: 9)
    for step in 0..<4000 {
      let group = Int(random.next() % 10)
      let member = Int(random.next() % 64)
      if let place = wanted[group].firstIndex(of: member) {
        if step % 3 == 0 {
          try tables.removeMember(0, member, fromGroup: group)
          wanted[group].remove(at: place)
        }
      } else {
        do {
          try tables.addMember(0, member, toGroup: group)
          wanted[group].append(member)
          wanted[group].sort()
        } catch {
          #expect(error == .full)
          #expect(wanted.reduce(0) { $0 + $1.count } == 64 * TableLimits.membershipsPerMember)
        }
      }
      if step % 50 != 0 { continue }
      for group in 0..<10 {
        let members = try tables.members(0, ofGroup: group)
        #expect(members == wanted[group])
      }
    }
  }
}
