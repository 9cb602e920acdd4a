import DPUCore
import Testing

@testable import P4Pipelines

/// Writes that are taken back: whatever they were, nothing is different afterwards.
struct BatchTests {
  /// All that can be seen of a table: entries in order, the default, counters, lookups.
  private struct Picture: Equatable {
    var entries: [String] = []
    var fallback: EntryTarget?
    var found: [Found] = []
    var profile: [[UInt64]] = []
    var groups: [[Int]] = []
    var uses: [UInt32] = []
    var values: [WideInteger] = []
  }

  private func picture(_ tables: inout TableSet, _ keys: [[WideInteger]]) throws -> Picture {
    var picture = Picture()
    // First, because it marks the entries it hits.
    picture.found = tables.look(0, keys)
    var next = tables.handle(0, from: 0)
    while let handle = next {
      let entry = try tables.entry(0, handle)
      let counter = tables.layouts[0].counts ? try tables.directCounter(0, handle) : CounterValue()
      let rates = tables.layouts[0].meter == nil ? nil : try tables.directMeter(0, handle)
      let idle =
        tables.layouts[0].supportsTimeout ? try tables.idleMilliseconds(0, handle) : 0
      picture.entries.append("\(entry) \(counter) \(String(describing: rates)) \(idle)")
      next = tables.handle(0, from: handle.index + 1)
    }
    picture.fallback = tables.defaultTarget(0)
    for index in 0..<tables.tables[0].capacity {
      // Versions of free indices count too: they make the next handles.
      picture.uses.append(UInt32(tables.tables[0].store.infos[index].version))
    }
    if tables.layouts[0].storage.profile != nil {
      var member = tables.member(0, from: 0)
      while let handle = member {
        picture.profile.append([UInt64(handle)] + (try tables.member(0, handle)))
        picture.uses.append(tables.profiles[0].memberUses[handle])
        member = tables.member(0, from: handle + 1)
      }
      var group = tables.group(0, from: 0)
      while let handle = group {
        picture.groups.append([handle] + (try tables.members(0, ofGroup: handle)))
        picture.uses.append(tables.profiles[0].groupUses[handle])
        group = tables.group(0, from: handle + 1)
      }
    }
    if tables.valueSetCount > 0 { picture.values = tables.values(ofValueSet: 0) }
    return picture
  }

  @Test(arguments: EngineTests.forms.filter { $0.capacity <= 600 })
  func undoneWritesLeaveNothing(_ form: EngineTests.Form) throws {
    var drawer = KeyDrawer(seed: 5, keys: form.keys)
    var program = Tables.program(form.kind, form.keys, capacity: form.capacity) {
      $0.directCounter = 0
      $0.directMeter = 0
      $0.supportsTimeout = true
    }
    program.counters = [P4Program.CounterArray(name: "c", size: 0, directTable: 0)]
    program.meters = [P4Program.MeterArray(name: "m", size: 0, countsBytes: true)]
    program.valueSets = [P4Program.ValueSet(name: "v", width: 12, capacity: 9)]
    var tables = Tables.set(program)
    let keys = (0..<64).map { _ in drawer.key() }
    for round in 0..<12 {
      tables.begin(now: Instant(nanoseconds: UInt64(round) * 10_000_000))
      let before = try picture(&tables, keys)
      tables.beginBatch()
      for _ in 0..<20 { write(&tables, &drawer) }
      tables.undoBatch()
      let after = try picture(&tables, keys)
      #expect(before == after, "\(form.name) round \(round)")
      tables.beginBatch()
      for _ in 0..<20 { write(&tables, &drawer) }
      tables.commitBatch()
    }
  }

  /// A write of some kind; refusals are part of it.
  private func write(_ tables: inout TableSet, _ drawer: inout KeyDrawer) {
    let start = Int(drawer.random.next() % UInt64(tables.tables[0].capacity))
    let handle = tables.handle(0, from: start) ?? tables.handle(0, from: 0)
    let number = Int(drawer.random.next() % 5000)
    do {
      switch drawer.random.next() % 12 {
      case 0..<5:
        let priority = Int(drawer.random.next() % 5)
        _ = try tables.add(0, drawer.entry(), priority: priority, Tables.record(number))
      case 5, 6: if let handle { try tables.remove(0, handle) }
      case 7: if let handle { try tables.modify(0, handle, target: .action(Tables.record(number))) }
      case 8: try tables.setDefault(0, .action(Tables.record(number)))
      case 9:
        if let handle {
          try tables.setDirectCounter(0, handle, to: CounterValue(packets: 5, bytes: 7))
          try tables.setTimeout(0, handle, milliseconds: number)
          try tables.setDirectMeter(
            0, handle,
            to: MeterRates(
              committedRate: 1, committedBurst: 100, peakRate: Double(number + 1), peakBurst: 500))
        }
      case 10:
        try tables.insert(WideInteger(number % 4096), intoValueSet: 0)
      default:
        if drawer.random.next() % 4 == 0 {
          try tables.removeAll(0)
          try tables.removeAll(fromValueSet: 0)
        } else if let value = tables.values(ofValueSet: 0).first {
          try tables.remove(value, fromValueSet: 0)
        }
      }
    } catch {}
  }

  @Test func undoneProfileWritesLeaveNothing() throws {
    var program = Tables.program(
      .exact, [(.exact, 8)], capacity: 40, storage: .selector(0))
    program.profiles = [
      P4Program.ActionProfile(
        name: "p", capacity: 20,
        selector: P4Program.Calculation(name: "", algorithm: .crc16, inputs: []))
    ]
    var tables = Tables.set(program)
    var random = SplitMix64(seed: 3)
    func pick(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
    func write() {
      do {
        switch pick(11) {
        case 0, 1: _ = try tables.addMember(0, Tables.record(pick(1000)))
        case 2: try tables.removeMember(0, pick(20))
        case 3: try tables.modifyMember(0, pick(20), [1])
        case 4: _ = try tables.addGroup(0)
        case 5: if pick(3) == 0 { try tables.removeGroup(0, pick(10)) }
        case 6, 7: try tables.addMember(0, pick(20), toGroup: pick(10))
        case 8: try tables.removeMember(0, pick(20), fromGroup: pick(10))
        case 9:
          let target: EntryTarget = pick(2) == 0 ? .member(pick(20)) : .group(pick(10))
          if pick(4) == 0 {
            try tables.setDefault(0, target)
          } else if let handle = tables.handle(0, from: pick(40)), pick(2) == 0 {
            try tables.modify(0, handle, target: target)
          } else {
            let key = try tables.key(0, [.exact(WideInteger(pick(256)))])
            _ = try tables.insert(0, key: key, priority: 0, target: target)
          }
        default: if let handle = tables.handle(0, from: pick(40)) { try tables.remove(0, handle) }
        }
      } catch {}
    }
    let keys = (0..<64).map { [WideInteger($0)] }
    for round in 0..<200 {
      let before = try picture(&tables, keys)
      tables.beginBatch()
      for _ in 0..<30 { write() }
      tables.undoBatch()
      let after = try picture(&tables, keys)
      #expect(before == after, "round \(round)")
      for _ in 0..<5 { write() }
    }
  }

  @Test func aFullTableMayBeReplacedInOneBatch() throws {
    var tables = Tables.set(Tables.program(.lpm, [(.lpm, 32)], capacity: 50))
    func prefix(_ number: Int) -> [P4Program.KeyMatch] {
      [.lpm(WideInteger(number) << 16, length: 16)]
    }
    for number in 0..<50 { _ = try tables.add(0, prefix(number)) }
    tables.beginBatch()
    try tables.removeAll(0)
    for number in 100..<150 { _ = try tables.add(0, prefix(number)) }
    tables.undoBatch()
    let found = tables.look(0, [[WideInteger(7) << 16], [WideInteger(107) << 16]])
    #expect(found.map { $0.entry } == [7, nil])
  }

  @Test func batchesHaveALimit() throws {
    var tables = Tables.set(Tables.program(.exact, [(.exact, 32)], capacity: 3))
    let handle = try tables.add(0, [.exact(.zero)], Tables.record(1))
    tables.beginBatch()
    var writes = 0
    do {
      while true {
        try tables.modify(0, handle, target: .action(Tables.record(writes)))
        writes += 1
      }
    } catch {
      #expect(error == .batchFull)
    }
    #expect(writes > 10_000)
    tables.undoBatch()
    let found = tables.look(0, [[WideInteger.zero]])
    #expect(found == [Found(entry: 0, record: Tables.record(1))])
  }
}
