import DPUCore
import Testing

@testable import P4Pipelines

/// Control operations on p4/l3switch.json, p4/firewall.json and p4/paths.json.
struct ControlBatchTests {
  private func failure(_ body: () throws -> Void) -> ControlFailure? {
    do {
      try body()
      return nil
    } catch {
      return (error as? ControlError)?.failure
    }
  }

  @Test func entriesAreAddedReadChangedAndRemoved() throws {
    var rig = try SwitchRig("p4/l3switch.json")
    let table = rig.names.table("l2_fdb")!
    let forward = rig.names.action("forward", of: table)!
    var batch = try rig.control {
      for index in 0..<5 {
        try $0.addEntry(
          table: table, keys: [.exact(WideInteger(UInt64(index)))],
          .action(forward, [WideInteger(UInt64(index) + 1)]))
      }
    }
    var handles: [Int] = []
    for index in 0..<5 {
      guard case .handle(let handle) = batch.result(index) else { return #expect(Bool(false)) }
      handles.append(handle)
    }
    #expect(Set(handles).count == 5)
    batch = try rig.control {
      try $0.modifyEntry(table: table, handle: handles[1], .action(forward, [WideInteger(99)]))
      try $0.modifyEntry(
        table: table, keys: [.exact(WideInteger(2))], .action(forward, [WideInteger(98)]))
      try $0.deleteEntry(table: table, handle: handles[0])
      try $0.deleteEntry(table: table, keys: [.exact(WideInteger(4))])
      try $0.readEntries(table: table, limit: 2)
      try $0.readEntries(table: table, limit: 16)
    }
    guard case .entries(0, 2, let next?) = batch.result(4) else { return #expect(Bool(false)) }
    guard case .entries(2, 3, nil) = batch.result(5) else { return #expect(Bool(false)) }
    #expect(batch.entries.prefix(2).map { Int($0.handle.rawValue) } == Array(handles[1...2]))
    let values = batch.entries.suffix(3).map { rig.names.action(of: $0.target) }
    #expect(
      values == [99, 98, 4].map { .action(forward, [WideInteger($0)]) })
    batch = try rig.control { try $0.readEntries(table: table, from: next, limit: 2) }
    #expect(batch.entries.map { Int($0.handle.rawValue) } == [handles[3]])
    batch = try rig.control {
      try $0.clear(table: table)
      try $0.readEntries(table: table)
    }
    #expect(batch.entries.isEmpty)
  }

  @Test func aBatchTakesEffectAsAWholeOrNotAtAll() throws {
    var rig = try SwitchRig("p4/l3switch.json")
    let table = rig.names.table("l2_fdb")!
    let forward = rig.names.action("forward", of: table)!
    func add(_ batch: ControlBatch, _ key: UInt64) throws {
      try batch.addEntry(
        table: table, keys: [.exact(WideInteger(key))], .action(forward, [WideInteger(1)]))
    }
    try rig.control {
      try add($0, 1)
      try $0.setSession(7, CloneSession(port: 1))
      try $0.createGroup(9)
      try $0.createNode(rid: 3, ports: [1, 2])
      try $0.associate(group: 9, node: 0)
    }
    let batch = ControlBatch(rig.names)
    try add(batch, 2)
    try batch.setSession(7, CloneSession(port: 2))
    try batch.setSession(8, CloneSession(port: 3))
    try batch.deleteSession(7)
    try batch.updateNode(0, ports: [5])
    try batch.createNode(rid: 4, ports: [6])
    try batch.associate(group: 9, node: 1)
    batch.destroyNode(0)
    try batch.createGroup(10)
    try batch.destroyGroup(9)
    try batch.clear(table: table)
    try add(batch, 3)
    try batch.setDefault(table: table, .action(forward, [WideInteger(5)]))
    try batch.deleteEntry(table: table, keys: [.exact(WideInteger(77))])
    try add(batch, 4)
    rig.virtual.apply(batch)
    #expect(batch.failure?.index == 13)
    #expect(batch.failure?.reason == .notFound)
    for index in 0..<batch.count {
      guard case .failed(let reason) = batch.result(index) else {
        Issue.record("operation \(index) counts as done")
        continue
      }
      #expect(reason == (index == 13 ? .notFound : .notDone))
    }
    same(rig.virtual.switch.sessions[7]?.port, 1)
    same(rig.virtual.switch.sessions[8] == nil, true)
    same(rig.virtual.switch.multicast.hasGroup(10), false)
    same(rig.virtual.switch.multicast.node(0)?.ports[0], 0b110)
    same(rig.virtual.switch.multicast.node(1) == nil, true)
    var cursor = rig.virtual.switch.multicast.start(9)!
    same(rig.virtual.switch.multicast.next(&cursor)?.port, 1)
    same(rig.virtual.switch.multicast.next(&cursor)?.port, 2)
    same(rig.virtual.switch.multicast.next(&cursor)?.port, nil)
    let after = try rig.control {
      try $0.readEntries(table: table)
      try $0.readDefault(table: table)
    }
    #expect(after.entries.map(\.keys) == [[.exact(WideInteger(1))]])
    guard case .target(let target) = after.result(1) else { return #expect(Bool(false)) }
    #expect(target.flatMap { rig.names.action(of: $0) } != .action(forward, [WideInteger(5)]))
  }

  @Test func aBatchThatIsNotAtomicDoesWhatItCan() throws {
    var rig = try SwitchRig.paths()
    let batch = ControlBatch(rig.names, isAtomic: false)
    try batch.deleteSession(70)
    try batch.setSession(71, CloneSession(port: 4))
    batch.destroyNode(17)
    rig.virtual.apply(batch)
    #expect(batch.failure?.index == 0)
    #expect(batch.failure?.reason == .noSuchSession)
    same(rig.virtual.switch.sessions[71]?.port, 4)
    guard case .done = batch.result(1) else { return #expect(Bool(false)) }
    guard case .failed(.noSuchNode) = batch.result(2) else { return #expect(Bool(false)) }
  }

  @Test func countersMetersAndRegistersAreWrittenAndRead() throws {
    var rig = try SwitchRig("p4/pktgen.json")
    let register = rig.names.register("wanted")!
    let narrow = rig.names.register("reordered")!
    let counter = rig.names.counter("sent_count")!
    let batch = try rig.control {
      try $0.writeRegister(register, range: 3..<5, WideInteger(77))
      try $0.writeRegister(narrow, range: 0..<256, WideInteger(0xffff))
      try $0.writeCounter(counter, index: 255, packets: 5, bytes: 500)
      try $0.readRegister(register, range: 2..<6)
      try $0.readCounter(counter, index: 255)
      try $0.resetRegister(narrow)
      try $0.resetCounter(counter)
      try $0.readRegister(narrow, range: 0..<1)
      try $0.readCounter(counter, index: 255)
    }
    #expect(batch.values(3) == [0, 77, 77, 0].map { WideInteger($0 as UInt64) })
    guard case .counter(CounterValue(packets: 5, bytes: 500)) = batch.result(4) else {
      return #expect(Bool(false))
    }
    #expect(batch.values(7) == [.zero])
    guard case .counter(CounterValue(packets: 0, bytes: 0)) = batch.result(8) else {
      return #expect(Bool(false))
    }
    let refused = ControlBatch(rig.names)
    same(failure { try refused.readRegister(register, range: 0..<257) }, .outOfRange)
    same(failure { try refused.readCounter(counter, index: 256) }, .outOfRange)
    same(failure { try refused.readCounter(99, index: 0) }, .noSuchArray)
    same(
      failure { try refused.writeRegister(narrow, range: 0..<1, WideInteger(1 << 16)) },
      .valueTooWide)
  }

  @Test func directCountersAndMetersGoByEntry() throws {
    var rig = try SwitchRig("p4/firewall.json")
    let table = rig.names.table("acl")!
    let deny = rig.names.action("deny", of: table)!
    let keys: [P4Program.KeyMatch] = rig.names.program.tables[table].keys.map {
      $0.kind == .range
        ? .range(.zero, .ones($0.width)) : .ternary(.zero, mask: .zero)
    }
    let added = try rig.control {
      try $0.addEntry(table: table, keys: keys, priority: 3, .action(deny, []))
    }
    guard case .handle(let handle) = added.result(0) else { return #expect(Bool(false)) }
    let rates = MeterRates(committedRate: 1, committedBurst: 2, peakRate: 3, peakBurst: 4)
    let batch = try rig.control {
      try $0.writeDirectCounter(table: table, handle: handle, packets: 1, bytes: 2)
      try $0.readDirectCounter(table: table, handle: handle)
      try $0.setDirectMeter(table: table, handle: handle, rates)
      try $0.readDirectMeter(table: table, handle: handle)
      try $0.setDirectMeter(table: table, handle: handle, nil)
      try $0.readDirectMeter(table: table, handle: handle)
    }
    guard case .counter(CounterValue(packets: 1, bytes: 2)) = batch.result(1),
      case .meter(let read?) = batch.result(3), case .meter(nil) = batch.result(5)
    else { return #expect(Bool(false)) }
    #expect(read == rates)
    let slow = MeterRates(committedRate: 5, committedBurst: 2, peakRate: 3, peakBurst: 4)
    let refused = ControlBatch(rig.names)
    same(failure { try refused.setDirectMeter(table: table, handle: handle, slow) }, .badRates)
  }

  @Test func whatIsMalformedNeverReachesTheSwitch() throws {
    let rig = try SwitchRig("p4/l3switch.json")
    let names = rig.names
    let table = names.table("l2_fdb")!
    let forward = names.action("forward", of: table)!
    let batch = ControlBatch(names)
    let key: [P4Program.KeyMatch] = [.exact(WideInteger(1))]
    func add(
      _ keys: [P4Program.KeyMatch], _ action: ActionValue
    ) -> ControlFailure? {
      failure { try batch.addEntry(table: table, keys: keys, action) }
    }
    let good = ActionValue.action(forward, [WideInteger(1)])
    #expect(failure { try batch.addEntry(table: 999, keys: key, good) } == .noSuchTable)
    #expect(add([], good) == .wrongKeyCount)
    #expect(add(key + key, good) == .wrongKeyCount)
    #expect(add([.exact(.ones(49))], good) == .keyTooWide)
    #expect(add([.ternary(.zero, mask: .zero)], good) == .wrongKeyKind)
    #expect(add(key, .action(999, [])) == .noSuchAction)
    #expect(add(key, .action(forward, [])) == .wrongArgumentCount)
    #expect(add(key, .action(forward, [.ones(10)])) == .argumentTooWide)
    #expect(add(key, .member(1)) == .wrongStorage)
    let other = names.program.actions.indices.first {
      !names.program.tables[table].actions.contains($0)
        && names.program.actions[$0].parameters.isEmpty
    }!
    #expect(add(key, .action(other, [])) == .actionNotOfTable)
    #expect(failure { try batch.setSession(0x8000, CloneSession()) } == .badSessionNumber)
    #expect(failure { try batch.createGroup(0) } == .badGroupNumber)
    #expect(failure { try batch.createNode(rid: 1 << 16, ports: []) } == .valueTooWide)
    #expect(failure { try batch.createNode(rid: 1, ports: [512]) } == .noSuchPort)
    #expect(
      failure { try batch.setQueueRate(port: 1, priority: 8, packetsPerSecond: 1) }
        == .badPriority)
    #expect(failure { try batch.addMember(profile: 999, 0, []) } == .noSuchProfile)
    #expect(batch.isEmpty)
  }
}
