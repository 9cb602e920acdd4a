package import DPUCore

// Lookups read keys and write lanes through raw pointers: they are the inner loops of the packet
// path, and the machine that calls them owns both for its whole life.

/// All tables, action profiles and parser value sets of a program, with their entries.
///
/// The packet path calls `lookup` and the two calls for direct counters and meters; everything
/// else belongs to the control plane and runs between two bursts. Memory is allocated when the
/// set is made, never later.
@safe
package struct TableSet: ~Copyable {
  /// The first word of a record that has no action: a table without default entry, or an empty
  /// group.
  package static let noAction = UInt64.max
  /// In the lane of entries: nothing matched.
  package static let noEntry = UInt64.max

  package let layouts: [TableLayout]

  /// `secret` keys the hashes, so that nobody outside can aim at one bucket. Enters the program's
  /// constant entries and defaults; throws when one of them does not fit its table.
  package init(_ program: P4Program, secret: UInt64) throws(TableError) {
    var layouts: [TableLayout] = []
    for index in program.tables.indices {
      layouts.append(TableLayout(table: index, of: program))
    }
    self.layouts = layouts
  }
}

// MARK: Packet path

extension TableSet {
  /// Where records start: a record named in a lane is at `records + lane[i]`, word 0 its action
  /// (`noAction` for none), then the arguments. Constant for the life of the set.
  package var records: UnsafePointer<UInt64> { fatalError() }

  /// The time that hits are marked with. Called before each burst.
  package mutating func begin(now: Instant) { fatalError() }

  /// Looks up the packets of `mask`: the key of packet i is at `keys + i * keyStride`, in the form
  /// of the table's layout. Returns those that hit. For each packet of `mask` the index of the
  /// entry (`noEntry` after a miss) goes to `entries[i]` and the record, the default's after a
  /// miss, to `records[i]`, as a distance in words from `self.records`.
  ///
  /// In tables with a selector, `records[i]` may name a group, which `groups` finds and `resolve`
  /// turns into a record.
  package mutating func lookup(
    _ table: Int, keys: UnsafePointer<UInt8>, keyStride: Int, mask: UInt64,
    entries: UnsafeMutablePointer<UInt64>, records: UnsafeMutablePointer<UInt64>
  ) -> UInt64 { fatalError() }

  /// The packets of `mask` whose record is a group (only in tables with a selector).
  package func groups(mask: UInt64, records: UnsafePointer<UInt64>) -> UInt64 { fatalError() }

  /// Puts the record of a member in the place of each group: the member that the selector's hash
  /// picks, or no action when the group is empty. `mask` is what `groups` returned.
  package func resolve(
    _ table: Int, mask: UInt64, hashes: UnsafePointer<UInt64>,
    records: UnsafeMutablePointer<UInt64>
  ) { fatalError() }

  /// Counts the packets of `hits`, those that a lookup has just returned, at their entries.
  package mutating func countDirect(
    _ table: Int, hits: UInt64, entries: UnsafePointer<UInt64>, lengths: UnsafePointer<UInt64>
  ) { fatalError() }

  /// Runs the direct meter for the packets of `hits` and writes their colours.
  package mutating func meterDirect(
    _ table: Int, hits: UInt64, entries: UnsafePointer<UInt64>, lengths: UnsafePointer<UInt64>,
    microseconds: UInt64, colours: UnsafeMutablePointer<UInt64>
  ) { fatalError() }

  /// The packets of `mask` whose key is in the value set. Keys have the form of the key of the
  /// parser state: each part padded to whole bytes, then zeros up to a multiple of eight.
  package func valueSetContains(
    _ set: Int, keys: UnsafePointer<UInt8>, keyStride: Int, mask: UInt64
  ) -> UInt64 { fatalError() }
}

// MARK: Control plane: entries

extension TableSet {
  /// Checks and packs a key. Does not look at the table's entries; may run on another thread.
  package func key(_ table: Int, _ keys: [P4Program.KeyMatch]) throws(TableError) -> EntryKey {
    fatalError()
  }

  /// `priority`: the smallest wins, the lower index among equals; for tables of kind ternary,
  /// range and optional, ignored by others.
  package mutating func insert(
    _ table: Int, key: EntryKey, priority: Int, target: EntryTarget
  ) throws(TableError) -> EntryHandle { fatalError() }

  package mutating func modify(
    _ table: Int, _ handle: EntryHandle, target: EntryTarget
  ) throws(TableError) { fatalError() }

  package mutating func remove(_ table: Int, _ handle: EntryHandle) throws(TableError) {
    fatalError()
  }

  /// Removes all entries; the default stays.
  package mutating func removeAll(_ table: Int) throws(TableError) { fatalError() }

  package func find(_ table: Int, key: EntryKey, priority: Int) -> EntryHandle? { fatalError() }

  package func entry(_ table: Int, _ handle: EntryHandle) throws(TableError) -> TableEntry {
    fatalError()
  }

  /// The next entry at or after `index`, for walking through a table in the order of indices.
  package func handle(_ table: Int, from index: Int) -> EntryHandle? { fatalError() }
  package func count(_ table: Int) -> Int { fatalError() }

  package mutating func setDefault(_ table: Int, _ target: EntryTarget) throws(TableError) {
    fatalError()
  }
  /// Back to the program's default.
  package mutating func resetDefault(_ table: Int) throws(TableError) { fatalError() }
  /// nil: the table has none.
  package func defaultTarget(_ table: Int) -> EntryTarget? { fatalError() }

  /// Zero: never idle. The time starts now (the last `begin`).
  package mutating func setTimeout(
    _ table: Int, _ handle: EntryHandle, milliseconds: Int
  ) throws(TableError) { fatalError() }

  /// An entry that nothing has hit for its timeout, each told once until it is hit again. Looks at
  /// a bounded number of entries; call it now and then, until it returns nil.
  package mutating func popIdle(_ table: Int) -> EntryHandle? { fatalError() }

  /// Lookups that hit and that missed since the start.
  package func statistics(_ table: Int) -> (hits: UInt64, misses: UInt64) { fatalError() }
}

// MARK: Control plane: direct counters and meters

extension TableSet {
  package func directCounter(
    _ table: Int, _ handle: EntryHandle
  ) throws(TableError) -> CounterValue { fatalError() }
  package mutating func setDirectCounter(
    _ table: Int, _ handle: EntryHandle, to value: CounterValue
  ) throws(TableError) { fatalError() }
  package mutating func resetDirectCounters(_ table: Int) throws(TableError) { fatalError() }

  /// nil: not configured.
  package func directMeter(
    _ table: Int, _ handle: EntryHandle
  ) throws(TableError) -> MeterRates? { fatalError() }
  /// nil takes the configuration away: green from now on.
  package mutating func setDirectMeter(
    _ table: Int, _ handle: EntryHandle, to rates: MeterRates?
  ) throws(TableError) { fatalError() }
}

// MARK: Control plane: profiles

extension TableSet {
  /// `record`: action number and argument words.
  package mutating func addMember(_ profile: Int, _ record: [UInt64]) throws(TableError) -> Int {
    fatalError()
  }
  package mutating func modifyMember(
    _ profile: Int, _ member: Int, _ record: [UInt64]
  ) throws(TableError) { fatalError() }
  package mutating func removeMember(_ profile: Int, _ member: Int) throws(TableError) {
    fatalError()
  }
  package func member(_ profile: Int, _ member: Int) throws(TableError) -> [UInt64] {
    fatalError()
  }
  package func member(_ profile: Int, from handle: Int) -> Int? { fatalError() }

  package mutating func addGroup(_ profile: Int) throws(TableError) -> Int { fatalError() }
  package mutating func removeGroup(_ profile: Int, _ group: Int) throws(TableError) {
    fatalError()
  }
  package mutating func addMember(
    _ profile: Int, _ member: Int, toGroup group: Int
  ) throws(TableError) { fatalError() }
  package mutating func removeMember(
    _ profile: Int, _ member: Int, fromGroup group: Int
  ) throws(TableError) { fatalError() }
  /// In ascending order.
  package func members(_ profile: Int, ofGroup group: Int) throws(TableError) -> [Int] {
    fatalError()
  }
  package func group(_ profile: Int, from handle: Int) -> Int? { fatalError() }
}

// MARK: Control plane: value sets and batches

extension TableSet {
  package mutating func insert(
    _ value: WideInteger, intoValueSet set: Int
  ) throws(TableError) { fatalError() }
  package mutating func remove(
    _ value: WideInteger, fromValueSet set: Int
  ) throws(TableError) { fatalError() }
  package mutating func removeAll(fromValueSet set: Int) { fatalError() }
  package func values(ofValueSet set: Int) -> [WideInteger] { fatalError() }

  /// Writes from here on can be taken back with `undoBatch`. No packets may be looked up before
  /// the batch is committed or undone.
  package mutating func beginBatch() { fatalError() }
  package mutating func commitBatch() { fatalError() }
  /// Takes back all writes since `beginBatch`, the last first: handles, versions, counters and
  /// meters are as they were.
  package mutating func undoBatch() { fatalError() }
}
