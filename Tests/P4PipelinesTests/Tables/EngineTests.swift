import DPUCore
import Testing

@testable import P4Pipelines

/// Every engine against a matcher that looks at all entries, while entries come and go.
struct EngineTests {
  struct Form: CustomTestStringConvertible, Sendable {
    var name: String
    var kind: P4Program.MatchKind
    var keys: [(P4Program.MatchKind, Int)]
    var capacity: Int
    var engine: MatchTable.Engine
    var testDescription: String { name }
  }

  static let forms: [Form] = [
    Form(name: "exact 32", kind: .exact, keys: [(.exact, 32)], capacity: 100, engine: .exact),
    Form(name: "exact 9", kind: .exact, keys: [(.exact, 9)], capacity: 60, engine: .exact),
    Form(
      name: "exact 64", kind: .exact, keys: [(.exact, 48), (.exact, 15), (.valid, 1)],
      capacity: 300, engine: .exact),
    Form(
      name: "exact 5-tuple", kind: .exact,
      keys: [(.exact, 32), (.exact, 32), (.exact, 8), (.exact, 16), (.exact, 16)], capacity: 300,
      engine: .exact),
    Form(name: "exact 128", kind: .exact, keys: [(.exact, 128)], capacity: 33, engine: .exact),
    Form(
      name: "exact 80 bytes", kind: .exact, keys: [(.exact, 320), (.exact, 316)], capacity: 70,
      engine: .exact),
    Form(name: "exact of one", kind: .exact, keys: [(.exact, 4)], capacity: 1, engine: .exact),

    Form(name: "lpm 32", kind: .lpm, keys: [(.lpm, 32)], capacity: 200, engine: .trie),
    Form(name: "lpm 32 large", kind: .lpm, keys: [(.lpm, 32)], capacity: 16384, engine: .trie),
    Form(name: "lpm 8", kind: .lpm, keys: [(.lpm, 8)], capacity: 60, engine: .trie),
    Form(name: "lpm 20", kind: .lpm, keys: [(.lpm, 20)], capacity: 100, engine: .trie),
    Form(name: "lpm 128", kind: .lpm, keys: [(.lpm, 128)], capacity: 200, engine: .trie),
    Form(name: "lpm 128 large", kind: .lpm, keys: [(.lpm, 128)], capacity: 16384, engine: .trie),
    Form(
      name: "exact and lpm", kind: .lpm, keys: [(.exact, 12), (.valid, 1), (.lpm, 32)],
      capacity: 200, engine: .trie),
    Form(
      name: "lpm and exact", kind: .lpm, keys: [(.lpm, 32), (.exact, 12)], capacity: 200,
      engine: .tuples),
    Form(name: "lpm 200", kind: .lpm, keys: [(.lpm, 200)], capacity: 200, engine: .tuples),

    Form(
      name: "ternary 16", kind: .ternary, keys: [(.ternary, 16)], capacity: 40, engine: .vectors),
    Form(
      name: "ternary 5-tuple", kind: .ternary,
      keys: [(.ternary, 32), (.ternary, 32), (.ternary, 8), (.ternary, 16), (.ternary, 16)],
      capacity: 600, engine: .vectors),
    Form(
      name: "ternary 9 and lpm", kind: .ternary,
      keys: [(.ternary, 9), (.lpm, 20), (.exact, 3), (.optional, 7)], capacity: 130,
      engine: .vectors),
    Form(
      name: "ternary 70 bytes", kind: .ternary, keys: [(.ternary, 560), (.exact, 4)], capacity: 100,
      engine: .vectors),
    Form(
      name: "ternary large", kind: .ternary, keys: [(.ternary, 24), (.exact, 8)], capacity: 5000,
      engine: .vectors),
    Form(
      name: "ternary huge", kind: .ternary, keys: [(.ternary, 32), (.ternary, 128)],
      capacity: 200_000, engine: .tuples),

    Form(name: "range 16", kind: .range, keys: [(.range, 16)], capacity: 100, engine: .vectors),
    Form(
      name: "range mixed", kind: .range,
      keys: [(.range, 12), (.ternary, 32), (.range, 100), (.optional, 8), (.valid, 1)],
      capacity: 200, engine: .vectors),
    Form(
      name: "range huge", kind: .range, keys: [(.range, 16), (.exact, 8), (.ternary, 100)],
      capacity: 300_000, engine: .tuples),
    Form(
      name: "optional", kind: .optional, keys: [(.optional, 32), (.optional, 16)], capacity: 80,
      engine: .vectors),
  ]

  @Test(arguments: forms)
  func agreesWithNaiveMatcher(_ form: Form) throws {
    for seed in UInt64(1)...2 { try run(form, seed: seed, steps: 1000) }
  }

  private func run(_ form: Form, seed: UInt64, steps: Int) throws {
    var drawer = KeyDrawer(seed: seed, keys: form.keys)
    var tables = Tables.set(
      Tables.program(form.kind, form.keys, capacity: form.capacity), secret: seed)
    let engine = tables.tables[0].engine
    #expect(engine == form.engine)
    var naive = NaiveTable(kind: form.kind)
    var handles: [Int: EntryHandle] = [:]
    // Fuller and emptier by turns, and full now and then.
    var isGrowing = true
    for step in 0..<steps {
      if step % 200 == 0 { isGrowing = drawer.random.next() % 3 != 0 || handles.isEmpty }
      let draw = drawer.random.next() % 10
      if isGrowing ? draw < 7 : draw < 3 {
        let entry = drawer.entry()
        let priority = Int(drawer.random.next() % 9) - 4
        let record = Tables.record(Int(drawer.random.next() % 60000))
        do {
          let handle = try tables.add(0, entry, priority: priority, record)
          #expect(handles[handle.index] == nil)
          handles[handle.index] = handle
          naive.entries[handle.index] = NaiveTable.Entry(
            keys: entry, widths: form.keys.map { $0.1 },
            priority: form.usesPriority ? priority : 0, record: record)
        } catch .duplicate {
          let same = naive.entries.values.contains {
            $0.keys == entry && (!form.usesPriority || $0.priority == priority)
          }
          #expect(same, "\(form.name) seed \(seed) step \(step)")
        } catch .full {
          #expect(handles.count == form.capacity)
          isGrowing = false
        }
      } else if draw < 9, !handles.isEmpty {
        let start = Int(drawer.random.next() % UInt64(form.capacity))
        let other = tables.handle(0, from: start) ?? tables.handle(0, from: 0)
        let handle = try #require(other)
        try tables.remove(0, handle)
        handles[handle.index] = nil
        naive.entries[handle.index] = nil
      }
      if step % 8 != 0 { continue }
      var keys = (0..<8).map { _ in drawer.key() }
      for _ in 0..<6 {
        if let entry = naive.entries.values.randomElement(using: &drawer.random) {
          keys.append(drawer.key(near: entry.keys))
        }
      }
      let found = tables.look(0, keys)
      for (key, found) in zip(keys, found) {
        let wanted = naive.find(key)
        let record = wanted.flatMap { naive.entries[$0]?.record } ?? []
        #expect(
          found == Found(entry: wanted, record: record),
          "\(form.name) seed \(seed) step \(step) entries \(handles.count)")
        if found.entry != wanted { return }
      }
    }
    let (hits, misses) = tables.statistics(0)
    #expect(hits > 50 && misses > 5, "\(form.name): \(hits) hits, \(misses) misses")
    try readBack(form, &tables, naive, handles, drawer)
  }

  /// What was written is there, in order, and nothing else; then all goes.
  private func readBack(
    _ form: Form, _ tables: inout TableSet, _ naive: NaiveTable, _ handles: [Int: EntryHandle],
    _ drawer: KeyDrawer
  ) throws {
    var indices: [Int] = []
    var next = tables.handle(0, from: 0)
    while let handle = next {
      indices.append(handle.index)
      let entry = try tables.entry(0, handle)
      let wanted = try #require(naive.entries[handle.index])
      #expect(entry.keys == wanted.keys)
      #expect(entry.priority == wanted.priority)
      #expect(entry.target == .action(wanted.record))
      let again = try tables.find(0, key: tables.key(0, entry.keys), priority: entry.priority)
      #expect(again == handle)
      next = tables.handle(0, from: handle.index + 1)
    }
    #expect(indices == handles.keys.sorted())
    try tables.removeAll(0)
    let count = tables.count(0)
    #expect(count == 0)
    var drawer = drawer
    let found = tables.look(0, (0..<64).map { _ in drawer.key() })
    #expect(found.allSatisfy { $0.entry == nil })
  }
}

extension EngineTests.Form {
  var usesPriority: Bool { kind == .ternary || kind == .range || kind == .optional }
}
