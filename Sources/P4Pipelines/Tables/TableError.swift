/// Why a write to a table, a profile or a value set was refused. Nothing has changed then.
package enum TableError: Error, Equatable, Sendable {
  /// The table, profile or value set holds as many as it can.
  case full
  /// There is an entry with this key (and mask, and priority) already.
  case duplicate
  case noSuchEntry
  /// The key does not fit the table's field of that number.
  case badKey(field: Int, KeyFault)
  /// The table does not have this action, or the arguments are not of its form.
  case badAction
  case badPriority
  /// The program declares the entries `const`.
  case constantEntries
  /// The program declares the default action `const`.
  case constantDefault
  /// A table without key has a default entry only.
  case noKey
  /// Actions for a table with a profile, members for one without, groups for one without selector.
  case wrongStorage
  case noSuchMember
  case memberInUse
  case noSuchGroup
  case groupInUse
  case memberAlreadyInGroup
  case memberNotInGroup
  /// The table counts nothing, has no meter, or does not watch for idle entries.
  case notSupported
  case badMeterRates
  /// More writes than can be taken back together.
  case batchFull

  package enum KeyFault: Equatable, Sendable {
    /// The key has more or fewer fields than the table.
    case missing
    case wrongKind
    case tooWide
    case prefixTooLong
    case emptyRange
  }
}

/// Names an entry and one of its lives, as BMv2 does: the index of the entry in the low 24 bits,
/// above it a version that counts how often the index has been given back.
package struct EntryHandle: Equatable, Hashable, BitwiseCopyable, Sendable {
  package var rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }
  package init(index: Int, version: UInt8) {
    rawValue = UInt32(version) << 24 | UInt32(truncatingIfNeeded: index)
  }
  package var index: Int { Int(rawValue & 0xff_ffff) }
  package var version: UInt8 { UInt8(rawValue >> 24) }
}

/// What an entry or a default leads to.
package enum EntryTarget: Equatable, Sendable {
  /// The record: action number (index into `P4Program.actions`), then the argument words; see
  /// `RecordLayout`.
  case action([UInt64])
  case member(Int)
  case group(Int)
}

/// An entry as the control plane reads it back.
package struct TableEntry: Sendable {
  package var handle: EntryHandle
  package var keys: [P4Program.KeyMatch]
  /// Zero in tables without priorities.
  package var priority: Int
  package var target: EntryTarget
  /// Zero: none.
  package var timeoutMilliseconds: Int
}
