package import DPUCore

// Lookups read keys and write lanes through raw pointers: they are the inner loops of the packet
// path, and the machine that calls them owns both for its whole life.

/// All tables, action profiles and parser value sets of a program, with their entries.
///
/// The packet path calls `lookup`, for selectors `groups` and `resolve`, and the two calls for
/// direct counters and meters; everything else belongs to the control plane and runs between two
/// bursts. Memory is allocated when the set is made, never later.
package struct TableSet: ~Copyable {
  /// The first word of a record that has no action: a table without default entry, or an empty
  /// group.
  package static let noAction = UInt64.max
  /// In the lane of entries: nothing matched.
  package static let noEntry = UInt64.max

  package let layouts: [TableLayout]
  /// Tables and, behind them, value sets.
  var tables: TableArray
  var profiles: ProfileArray
  let tableCount: Int
  let valueSetCount: Int
  /// The program's default records, by table.
  let programDefaults: [[UInt64]]
  /// The first record has no action.
  var recordStore: RawArray<UInt64>
  var log: UndoLog
  private(set) var milliseconds: UInt32 = 0

  /// `secret` keys the hashes, so that nobody outside can aim at one bucket.
  package init(_ plan: TablePlan, secret: UInt64) {
    layouts = plan.layouts
    tableCount = plan.tableCount
    valueSetCount = plan.layouts.count - plan.tableCount
    programDefaults = plan.defaults
    recordStore = RawArray(zeroes: plan.recordWords)
    log = UndoLog(words: TableLimits.undoWords)
    tables = TableArray(capacity: plan.layouts.count)
    profiles = ProfileArray(capacity: plan.profiles.count)
    for index in plan.layouts.indices {
      tables.append(
        MatchTable(
          plan.layouts[index], records: plan.records[index], secret: secret &+ UInt64(index)))
    }
    for profile in plan.profiles { profiles.append(ProfileStore(profile)) }
    recordStore[0] = Self.noAction
    for index in 0..<tableCount { putRecord(programDefaults[index], at: plan.records[index].own) }
    for entry in plan.constants {
      // The plan has checked all that could be refused.
      let handle = try? insertChecked(
        entry.table, key: entry.key, priority: entry.priority, target: .action(entry.record))
      invariant(handle != nil, "a constant entry does not fit its table")
    }
  }

  mutating func putRecord(_ record: [UInt64], at place: Int) {
    for word in record.indices { recordStore[place + word] = record[word] }
  }
}

// MARK: Packet path

extension TableSet {
  /// Where records start: a record named in a lane is at `records + lane[i]`, word 0 its action
  /// (`noAction` for none), then the arguments. Constant for the life of the set.
  package var records: UnsafePointer<UInt64> {
    @inline(__always) get { unsafe UnsafePointer(recordStore.base) }
  }

  /// The time that hits are marked with. Called before each burst.
  package mutating func begin(now: Instant) {
    milliseconds = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000)
  }

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
  ) -> UInt64 {
    unsafe tables[table].lookup(
      keys: keys, stride: keyStride, mask: mask, milliseconds: milliseconds, entries: entries,
      records: records)
  }

  /// What a miss in the table writes into the lane of records: all there is in a table without
  /// key. May change between bursts, and may name a group.
  package func defaultRecord(_ table: Int) -> UInt64 { tables[table].fallback[0].lane }

  /// The packets of `mask` whose record is a group (only in tables with a selector).
  package func groups(mask: UInt64, records: UnsafePointer<UInt64>) -> UInt64 {
    var groups: UInt64 = 0
    var rest = mask
    while rest != 0 {
      let packet = rest.trailingZeroBitCount
      rest &= rest &- 1
      groups |= unsafe (records[packet] >> 63) &<< UInt64(truncatingIfNeeded: packet)
    }
    return groups
  }

  /// Puts the record of a member in the place of each group: the member that the selector's hash
  /// picks, or no action when the group is empty. `mask` is what `groups` returned.
  package func resolve(
    _ table: Int, mask: UInt64, hashes: UnsafePointer<UInt64>,
    records: UnsafeMutablePointer<UInt64>
  ) {
    let number = tables[table].profile
    var rest = mask
    while rest != 0 {
      let packet = rest.trailingZeroBitCount
      rest &= rest &- 1
      let group = unsafe Int(records[packet] & ~MatchTable.groupFlag)
      let count = UInt64(profiles[number].memberCount(ofGroup: group))
      if count == 0 {
        unsafe records[packet] = 0
        continue
      }
      let place = unsafe Int(hashes[packet] % count)
      let member = profiles[number].member(place, ofGroup: group)
      unsafe records[packet] = UInt64(profiles[number].record(member))
    }
  }

  /// Counts the packets of `hits`, those that a lookup has just returned, at their entries.
  package mutating func countDirect(
    _ table: Int, hits: UInt64, entries: UnsafePointer<UInt64>, lengths: UnsafePointer<UInt64>
  ) {
    unsafe tables[table].count(hits: hits, entries: entries, lengths: lengths)
  }

  /// Runs the direct meter for the packets of `hits` and writes their colours.
  package mutating func meterDirect(
    _ table: Int, hits: UInt64, entries: UnsafePointer<UInt64>, lengths: UnsafePointer<UInt64>,
    microseconds: UInt64, colours: UnsafeMutablePointer<UInt64>
  ) {
    unsafe tables[table].meter(
      hits: hits, entries: entries, lengths: lengths, microseconds: microseconds, colours: colours)
  }

  /// The packets of `mask` whose key is in the value set. Keys have the form of the key of the
  /// parser state: each part padded to whole bytes, then zeros up to a multiple of eight.
  package mutating func valueSetContains(
    _ set: Int, keys: UnsafePointer<UInt8>, keyStride: Int, mask: UInt64
  ) -> UInt64 {
    var entries = InlineArray<64, UInt64>(repeating: 0)
    var records = InlineArray<64, UInt64>(repeating: 0)
    var entrySpan = entries.mutableSpan
    var recordSpan = records.mutableSpan
    return unsafe entrySpan.withUnsafeMutableBufferPointer { entries in
      unsafe recordSpan.withUnsafeMutableBufferPointer { records in
        unsafe tables[tableCount + set].lookup(
          keys: keys, stride: keyStride, mask: mask, milliseconds: milliseconds,
          entries: entries.baseAddress.unsafelyUnwrapped,
          records: records.baseAddress.unsafelyUnwrapped)
      }
    }
  }
}
