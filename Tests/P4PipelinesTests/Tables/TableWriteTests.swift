import DPUCore
import Testing

@testable import P4Pipelines

struct TableWriteTests {
  private func exact(_ value: UInt64) -> [P4Program.KeyMatch] { [.exact(WideInteger(value))] }

  /// The error of a write, nil when it was accepted.
  private func refused<Result>(_ body: () throws(TableError) -> Result) -> TableError? {
    do {
      _ = try body()
      return nil
    } catch {
      return error
    }
  }

  @Test func handlesCountUpAndTellLives() throws {
    var tables = Tables.set(Tables.program(.exact, [(.exact, 32)], capacity: 3))
    let first = try tables.add(0, exact(10))
    let second = try tables.add(0, exact(11))
    let third = try tables.add(0, exact(12))
    #expect([first, second, third].map { $0.rawValue } == [0, 1, 2])
    let error = refused { () throws(TableError) in try tables.add(0, exact(13)) }
    #expect(error == .full)

    try tables.remove(0, second)
    let again = refused { () throws(TableError) in try tables.remove(0, second) }
    #expect(again == .noSuchEntry)
    let fourth = try tables.add(0, exact(13))
    // The lowest free index, in its second life.
    #expect(fourth.rawValue == 1 << 24 | 1)
    let modified = refused { () throws(TableError) in
      try tables.modify(0, second, target: .action([1]))
    }
    #expect(modified == .noSuchEntry)
    let found = tables.look(0, [10, 11, 12, 13].map { [WideInteger($0 as UInt64)] })
    #expect(found.map { $0.entry } == [0, nil, 2, 1])
  }

  @Test func modifyKeepsIndexAndKey() throws {
    var tables = Tables.set(Tables.program(.exact, [(.exact, 32)], capacity: 3))
    let handle = try tables.add(0, exact(10), Tables.record(5))
    try tables.modify(0, handle, target: .action([1]))
    var found = tables.look(0, [[WideInteger(10 as UInt64)]])
    #expect(found == [Found(entry: 0, record: [1])])
    try tables.modify(0, handle, target: .action(Tables.record(6)))
    found = tables.look(0, [[WideInteger(10 as UInt64)]])
    #expect(found == [Found(entry: 0, record: Tables.record(6))])
  }

  @Test func duplicatesAreRefused() throws {
    var tables = Tables.set(
      Tables.program(.ternary, [(.ternary, 16), (.ternary, 8)], capacity: 9))
    let any = P4Program.KeyMatch.ternary(.zero, mask: .zero)
    let some = P4Program.KeyMatch.ternary(WideInteger(0x1234 as UInt64), mask: .ones(16))
    _ = try tables.add(0, [some, any], priority: 5)
    let same = refused { () throws(TableError) in try tables.add(0, [some, any], priority: 5) }
    #expect(same == .duplicate)
    // Another priority or another mask is another entry.
    _ = try tables.add(0, [some, any], priority: 4)
    _ = try tables.add(0, [some, .ternary(.zero, mask: WideInteger(1 as UInt64))], priority: 5)
    // Bits outside of the mask do not make a difference.
    let loose = P4Program.KeyMatch.ternary(
      WideInteger(0x12ff as UInt64), mask: WideInteger(0xff00 as UInt64))
    let looser = P4Program.KeyMatch.ternary(
      WideInteger(0x1200 as UInt64), mask: WideInteger(0xff00 as UInt64))
    _ = try tables.add(0, [loose, any], priority: 5)
    let equal = refused { () throws(TableError) in try tables.add(0, [looser, any], priority: 5) }
    #expect(equal == .duplicate)
  }

  @Test func amongEqualPrioritiesTheLowerIndexWins() throws {
    var tables = Tables.set(Tables.program(.ternary, [(.ternary, 16)], capacity: 9))
    let key = WideInteger(0x1234 as UInt64)
    func prefix(_ bits: Int) -> [P4Program.KeyMatch] {
      let mask = (WideInteger.ones(16) >> bits) << bits
      return [.ternary(key & mask, mask: mask)]
    }
    let old = try tables.add(0, prefix(8), priority: 7)
    let new = try tables.add(0, prefix(4), priority: 7)
    var found = tables.look(0, [[key]])
    #expect(found[0].entry == old.index)
    let best = try tables.add(0, prefix(12), priority: -7)
    found = tables.look(0, [[key]])
    #expect(found[0].entry == best.index)
    try tables.remove(0, best)
    try tables.remove(0, old)
    found = tables.look(0, [[key]])
    #expect(found[0].entry == new.index)
  }

  @Test func keysThatDoNotFitAreRefused() {
    let tables = Tables.set(
      Tables.program(
        .range, [(.range, 12), (.lpm, 20), (.exact, 3), (.ternary, 9)], capacity: 9))
    let layout = tables.layouts[0]
    func refusal(_ keys: [P4Program.KeyMatch]) -> TableError? {
      do {
        _ = try layout.encode(keys)
        return nil
      } catch { return error }
    }
    func number(_ value: UInt64) -> WideInteger { WideInteger(value) }
    let good: [P4Program.KeyMatch] = [
      .range(number(3), number(4095)), .lpm(number(0x12345), length: 20), .exact(number(7)),
      .ternary(number(511), mask: number(511)),
    ]
    func with(_ field: Int, _ match: P4Program.KeyMatch) -> [P4Program.KeyMatch] {
      var keys = good
      keys[field] = match
      return keys
    }
    #expect(refusal(good) == nil)
    #expect(refusal([]) == .badKey(field: 0, .missing))
    #expect(refusal(with(0, .range(number(4), number(3)))) == .badKey(field: 0, .emptyRange))
    #expect(refusal(with(0, .range(number(4), number(4096)))) == .badKey(field: 0, .tooWide))
    #expect(refusal(with(0, .exact(number(4)))) == .badKey(field: 0, .wrongKind))
    #expect(refusal(with(1, .lpm(number(4), length: 21))) == .badKey(field: 1, .prefixTooLong))
    #expect(refusal(with(1, .lpm(number(1 << 20), length: 0))) == .badKey(field: 1, .tooWide))
    #expect(refusal(with(2, .exact(number(8)))) == .badKey(field: 2, .tooWide))
    #expect(refusal(with(2, .exact(WideInteger(-1)))) == .badKey(field: 2, .tooWide))
    #expect(
      refusal(with(3, .ternary(number(1), mask: number(512)))) == .badKey(field: 3, .tooWide))
  }

  @Test func actionsMustBeOfTheTable() throws {
    var tables = Tables.set(Tables.program(.exact, [(.exact, 32)], capacity: 3))
    for record in [[], [2], [1, 0], [0, 1, 2], [7]] as [[UInt64]] {
      let error = refused { () throws(TableError) in try tables.add(0, exact(1), record) }
      #expect(error == .badAction, "\(record)")
    }
    let key = try tables.key(0, exact(1))
    let member = refused { () throws(TableError) in
      try tables.insert(0, key: key, priority: 0, target: .member(0))
    }
    #expect(member == .wrongStorage)
  }

  @Test func recordsHoldArguments() throws {
    let program = Tables.program(.exact, [(.exact, 32)], capacity: 3)
    let layout = RecordLayout(action: 0, of: program)
    #expect(layout.offsets == [1, 2] && layout.words == 4)
    let label = WideInteger(magnitude: [0x1122_3344_5566_7788, 0x9_0000_0001])
    let record = try layout.encode([WideInteger(7 as UInt64), label])
    #expect(record == [0, 7, 0x1122_3344_5566_7788, 0x9_0000_0001])
    #expect(layout.decode(record) == [WideInteger(7 as UInt64), label])
    let wide = refused { () throws(TableError) in
      try layout.encode([WideInteger(1 << 16 as UInt64), label])
    }
    #expect(wide == .badAction)
  }

  @Test func programMasksApplyToEntries() throws {
    let program = Tables.program(.exact, [(.exact, 16)], capacity: 3) {
      $0.keys[0].mask = WideInteger(0xfff0 as UInt64)
    }
    var tables = Tables.set(program)
    _ = try tables.add(0, exact(0x1234))
    let error = refused { () throws(TableError) in try tables.add(0, exact(0x123f)) }
    #expect(error == .duplicate)
    let found = tables.look(0, [[WideInteger(0x1230 as UInt64)]])
    #expect(found[0].entry == 0)
  }

  @Test func defaultsAreSetAndReset() throws {
    let program = Tables.program(.exact, [(.exact, 32)], capacity: 3) {
      $0.defaultEntry = P4Program.ActionEntry(action: 1, arguments: [])
    }
    var tables = Tables.set(program)
    var found = tables.look(0, [[WideInteger.zero]])
    #expect(found == [Found(entry: nil, record: [1])])
    try tables.setDefault(0, .action(Tables.record(9)))
    found = tables.look(0, [[WideInteger.zero]])
    #expect(found == [Found(entry: nil, record: Tables.record(9))])
    var target = tables.defaultTarget(0)
    #expect(target == .action(Tables.record(9)))
    try tables.resetDefault(0)
    target = tables.defaultTarget(0)
    #expect(target == .action([1]))
  }

  @Test func tablesWithoutKeyHaveADefaultOnly() throws {
    var tables = Tables.set(Tables.program(.exact, [], capacity: 1024))
    let key = refused { () throws(TableError) in try tables.key(0, []) }
    #expect(key == .noKey)
    var target = tables.defaultTarget(0)
    #expect(target == nil)
    try tables.setDefault(0, .action([1]))
    target = tables.defaultTarget(0)
    #expect(target == .action([1]))
    let found = tables.look(0, [[]])
    #expect(found == [Found(entry: nil, record: [1])])
  }

  @Test func constantsAreThereAndStay() throws {
    let program = Tables.program(.ternary, [(.ternary, 8)], capacity: 3) {
      $0.areEntriesConstant = true
      $0.isDefaultConstant = true
      $0.defaultEntry = P4Program.ActionEntry(action: 1, arguments: [])
      for priority in 1...3 {
        let value = WideInteger(priority)
        $0.entries.append(
          P4Program.ConstantEntry(
            keys: [.ternary(value, mask: .ones(priority))],
            action: P4Program.ActionEntry(action: 0, arguments: [value, value]),
            priority: priority))
      }
    }
    var tables = Tables.set(program)
    // 3 fits masks 1, 3 and 7 of values 1, 2 and 3; 2 only the second.
    let found = tables.look(0, [3, 2, 8].map { [WideInteger($0 as UInt64)] })
    #expect(found.map { $0.entry } == [0, 1, nil])
    let handle = try tables.taken(1)
    let errors = [
      refused { () throws(TableError) in try tables.remove(0, handle) },
      refused { () throws(TableError) in try tables.removeAll(0) },
      refused { () throws(TableError) in try tables.modify(0, handle, target: .action([1])) },
      refused { () throws(TableError) in
        try tables.add(0, [.ternary(.zero, mask: .zero)], priority: 9)
      },
    ]
    #expect(errors == [.constantEntries, .constantEntries, .constantEntries, .constantEntries])
    let fixed = refused { () throws(TableError) in try tables.setDefault(0, .action([1])) }
    #expect(fixed == .constantDefault)
  }

  @Test func plansRefuseWhatDoesNotFit() {
    func refusal(_ change: (inout P4Program.Table) -> Void) -> TableError? {
      do {
        _ = try TablePlan(Tables.program(.exact, [(.exact, 8)], capacity: 1, change: change))
        return nil
      } catch { return error }
    }
    func entry(_ value: UInt64, _ action: Int = 1) -> P4Program.ConstantEntry {
      P4Program.ConstantEntry(
        keys: [.exact(WideInteger(value))],
        action: P4Program.ActionEntry(action: action, arguments: []), priority: 0)
    }
    #expect(refusal { $0.entries = [entry(1)] } == nil)
    #expect(refusal { $0.entries = [entry(1), entry(2)] } == .full)
    #expect(refusal { $0.entries = [entry(1), entry(1)] } == .duplicate)
    #expect(refusal { $0.entries = [entry(256)] } == .badKey(field: 0, .tooWide))
    #expect(refusal { $0.entries = [entry(1, 2)] } == .badAction)
    #expect(
      refusal { $0.defaultEntry = P4Program.ActionEntry(action: 0, arguments: []) } == .badAction)
  }

  @Test func emptyTablesAndGiantOnes() throws {
    var none = Tables.set(Tables.program(.ternary, [(.ternary, 32)], capacity: 0))
    let error = refused { () throws(TableError) in
      try none.add(0, [.ternary(.zero, mask: .zero)])
    }
    #expect(error == .full)
    let found = none.look(0, [[WideInteger.zero]])
    #expect(found[0].entry == nil)
    // Only address space until entries come.
    var giant = Tables.set(Tables.program(.ternary, [(.ternary, 512)], capacity: 1 << 30))
    let capacity = giant.tables[0].capacity
    #expect(capacity == TableLimits.entriesMax)
    _ = try giant.add(0, [.ternary(.zero, mask: .zero)])
    let any = giant.look(0, [[WideInteger.ones(512)]])
    #expect(any[0].entry == 0)
  }
}
