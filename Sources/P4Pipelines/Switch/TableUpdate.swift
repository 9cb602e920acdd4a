import DPUCore

/// One write of a table entry, as a binary record: what P4Runtime calls an update.
///
/// A record is a header of 20 bytes, the fields of the key in the order of the program, and the
/// arguments of the action or the number of a member or group. Numbers of the header, lengths of
/// prefixes and numbers of members and groups are little-endian. Values of fields and arguments
/// stand as P4Runtime and packets have them: big-endian, in as many whole bytes as their width
/// needs. Each has one form only, so a record that is read and written again is the same.
package struct TableUpdate: Equatable, Sendable {
  /// The numbers are those of P4Runtime's `Update.Type`.
  package enum Operation: UInt8, Sendable { case insert = 1, modify, delete }

  enum Offset {
    static let operation = 0, target = 1, table = 2, action = 4, keyCount = 6, keyBytes = 8
    static let argumentBytes = 10, priority = 12, timeout = 16, key = 20
  }
  package static let headerBytes = Offset.key

  /// Bytes of the record that `bytes` begin with, by its header; nil when that is not whole.
  package static func byteCount(of bytes: ArraySlice<UInt8>) -> Int? {
    guard bytes.count >= headerBytes else { return nil }
    func number(_ offset: Int) -> Int {
      Int(bytes[bytes.startIndex + offset]) | Int(bytes[bytes.startIndex + offset + 1]) << 8
    }
    return headerBytes + number(Offset.keyBytes) + number(Offset.argumentBytes)
  }

  /// Bytes of the number of a member or group.
  static let targetBytes = 4

  enum Target: UInt8 { case action, member, group }

  package var operation: Operation
  /// Index into the program's tables.
  package var table: Int
  package var keys: [P4Program.KeyMatch]
  package var priority = 0
  /// Nil for an entry that is deleted.
  package var action: ActionValue?
  package var timeoutMilliseconds = 0

  package init(
    _ operation: Operation, table: Int, keys: [P4Program.KeyMatch], priority: Int = 0,
    _ action: ActionValue? = nil, timeoutMilliseconds: Int = 0
  ) {
    self.operation = operation
    self.table = table
    self.keys = keys
    self.priority = priority
    self.action = action
    self.timeoutMilliseconds = timeoutMilliseconds
  }

  static func byteCount(width: Int) -> Int { (width + 7) / 8 }

  /// Bytes of the field of a key in a record.
  static func byteCount(of kind: P4Program.MatchKind, width: Int) -> Int {
    switch kind {
    case .exact: byteCount(width: width)
    case .valid: 1
    case .lpm: byteCount(width: width) + 2
    case .ternary, .optional, .range: 2 * byteCount(width: width)
    }
  }
}

/// Why records are refused.
package struct TableUpdateFault: Error, Equatable {
  package enum Reason: Equatable, Sendable {
    /// The record says that it is longer than what is there.
    case truncated
    case unknownOperation, unknownTarget
    /// The key, or the arguments, have another length by the program.
    case wrongKeyBytes, wrongArgumentBytes
    /// Bits of a value that its mask or prefix leaves out, or something that this operation does
    /// not take.
    case notZero
    /// A key that is optional is compared as a whole or not at all.
    case partialMask
    case control(ControlFailure)
  }

  package var reason: Reason
  /// Of the record, from 0.
  package var update: Int
  /// Of what is wrong, from the first record on.
  package var offset: Int
}

/// Reads records, one after the other.
package struct TableUpdateReader: ~Escapable {
  private let bytes: RawSpan
  private let program: P4Program
  /// Where the next record begins.
  package private(set) var offset = 0
  /// Records read so far.
  package private(set) var count = 0

  @_lifetime(copy bytes)
  package init(_ bytes: RawSpan, of program: P4Program) {
    self.bytes = bytes
    self.program = program
  }

  private typealias Offset = TableUpdate.Offset

  /// Nil at the end. After a fault there is no going on.
  @_lifetime(self: copy self)
  package mutating func next() throws(TableUpdateFault) -> TableUpdate? {
    guard offset < bytes.byteCount else { return nil }
    let start = offset
    guard bytes.byteCount - start >= Offset.key else { throw fault(.truncated, start) }
    let keyBytes = Int(bytes.leUInt16(at: start + Offset.keyBytes))
    let argumentBytes = Int(bytes.leUInt16(at: start + Offset.argumentBytes))
    let end = start + Offset.key + keyBytes + argumentBytes
    guard end <= bytes.byteCount else { throw fault(.truncated, start) }

    guard let operation = TableUpdate.Operation(rawValue: bytes.byte(at: start)) else {
      throw fault(.unknownOperation, start)
    }
    let table = Int(bytes.leUInt16(at: start + Offset.table))
    guard table < program.tables.count else {
      throw fault(.control(.noSuchTable), start + Offset.table)
    }
    let keys = try keys(of: table, at: start, byteCount: keyBytes)
    var update = TableUpdate(operation, table: table, keys: keys)
    update.priority = try number(at: start + Offset.priority)
    update.timeoutMilliseconds = try number(at: start + Offset.timeout)
    guard operation == .insert || update.timeoutMilliseconds == 0 else {
      throw fault(.notZero, start + Offset.timeout)
    }
    if operation == .delete {
      for place in [Offset.target, Offset.action, Offset.action + 1]
      where bytes.byte(at: start + place) != 0 { throw fault(.notZero, start + place) }
      guard argumentBytes == 0 else {
        throw fault(.wrongArgumentBytes, start + Offset.argumentBytes)
      }
    } else {
      update.action = try action(of: table, at: start, end - argumentBytes..<end)
    }
    offset = end
    count += 1
    return update
  }

  private func fault(_ reason: TableUpdateFault.Reason, _ offset: Int) -> TableUpdateFault {
    TableUpdateFault(reason: reason, update: count, offset: offset)
  }

  private func number(at place: Int) throws(TableUpdateFault) -> Int {
    let value = bytes.leUInt32(at: place)
    guard value <= UInt32(Int32.max) else { throw fault(.control(.outOfRange), place) }
    return Int(value)
  }

  // MARK: Keys

  private func keys(
    of table: Int, at start: Int, byteCount: Int
  ) throws(TableUpdateFault) -> [P4Program.KeyMatch] {
    let fields = program.tables[table].keys
    guard Int(bytes.leUInt16(at: start + Offset.keyCount)) == fields.count else {
      throw fault(.control(.wrongKeyCount), start + Offset.keyCount)
    }
    var expected = 0
    for field in fields { expected += TableUpdate.byteCount(of: field.kind, width: field.width) }
    guard expected == byteCount else { throw fault(.wrongKeyBytes, start + Offset.keyBytes) }
    var matches: [P4Program.KeyMatch] = []
    matches.reserveCapacity(fields.count)
    var place = start + Offset.key
    for field in fields {
      matches.append(try match(field.kind, width: field.width, at: place))
      place += TableUpdate.byteCount(of: field.kind, width: field.width)
    }
    return matches
  }

  private func match(
    _ kind: P4Program.MatchKind, width: Int, at place: Int
  ) throws(TableUpdateFault) -> P4Program.KeyMatch {
    if kind == .valid {
      let value = bytes.byte(at: place)
      guard value <= 1 else { throw fault(.control(.keyTooWide), place) }
      return .valid(value == 1)
    }
    let second = place + TableUpdate.byteCount(width: width)
    let value = try value(at: place, width: width, tooWide: .keyTooWide)
    switch kind {
    case .exact, .valid: return .exact(value)
    case .lpm:
      let length = Int(bytes.leUInt16(at: second))
      guard length <= width else { throw fault(.control(.badPrefixLength), second) }
      guard value.truncated(to: width - length).isZero else { throw fault(.notZero, place) }
      return .lpm(value, length: length)
    case .ternary, .optional:
      let mask = try self.value(at: second, width: width, tooWide: .keyTooWide)
      guard value & mask == value else { throw fault(.notZero, place) }
      if kind == .ternary { return .ternary(value, mask: mask) }
      if mask.isZero { return .optional(nil) }
      guard mask == .ones(width) else { throw fault(.partialMask, second) }
      return .optional(value)
    case .range:
      let high = try self.value(at: second, width: width, tooWide: .keyTooWide)
      guard !(high < value) else { throw fault(.control(.emptyRange), place) }
      return .range(value, high)
    }
  }

  private func value(
    at place: Int, width: Int, tooWide: ControlFailure
  ) throws(TableUpdateFault) -> WideInteger {
    let count = TableUpdate.byteCount(width: width)
    var words = [UInt64](repeating: 0, count: (count + 7) / 8)
    for index in 0..<count {
      let byte = UInt64(bytes.byte(at: place + count - 1 - index))
      words[index / 8] |= byte << UInt64(8 * (index % 8))
    }
    let value = WideInteger(magnitude: words)
    guard value.bitWidth <= width else { throw fault(.control(tooWide), place) }
    return value
  }

  // MARK: Actions

  private func action(
    of table: Int, at start: Int, _ range: Range<Int>
  ) throws(TableUpdateFault) -> ActionValue {
    let number = Int(bytes.leUInt16(at: start + Offset.action))
    guard let target = TableUpdate.Target(rawValue: bytes.byte(at: start + Offset.target)) else {
      throw fault(.unknownTarget, start + Offset.target)
    }
    if target != .action {
      guard number == 0 else { throw fault(.notZero, start + Offset.action) }
      guard range.count == TableUpdate.targetBytes else {
        throw fault(.wrongArgumentBytes, start + Offset.argumentBytes)
      }
      let index = try self.number(at: range.lowerBound)
      return target == .member ? .member(index) : .group(index)
    }
    guard program.tables[table].actions.contains(number) else {
      throw fault(.control(.actionNotOfTable), start + Offset.action)
    }
    let parameters = program.actions[number].parameters
    var expected = 0
    for parameter in parameters { expected += TableUpdate.byteCount(width: parameter.width) }
    guard expected == range.count else {
      throw fault(.wrongArgumentBytes, start + Offset.argumentBytes)
    }
    var arguments: [WideInteger] = []
    var place = range.lowerBound
    for parameter in parameters {
      arguments.append(try value(at: place, width: parameter.width, tooWide: .argumentTooWide))
      place += TableUpdate.byteCount(width: parameter.width)
    }
    return .action(number, arguments)
  }
}

extension TableUpdate {
  /// Appends the record. Widths are those of the fields of the table's key, of which keys that are
  /// matched `valid` take no notice, and of the action's parameters. Values must fit them.
  package func append(to bytes: inout [UInt8], keyWidths: [Int], argumentWidths: [Int]) {
    precondition(keys.count == keyWidths.count)
    var key: [UInt8] = []
    for index in keys.indices { Self.append(keys[index], width: keyWidths[index], to: &key) }
    var arguments: [UInt8] = []
    var target = Target.action
    var number = 0
    switch action {
    case .action(let index, let values):
      precondition(values.count == argumentWidths.count)
      number = index
      for (value, width) in zip(values, argumentWidths) {
        Self.append(value, width: width, to: &arguments)
      }
    case .member(let member):
      target = .member
      Self.append(number: member, bytes: Self.targetBytes, to: &arguments)
    case .group(let group):
      target = .group
      Self.append(number: group, bytes: Self.targetBytes, to: &arguments)
    case nil: break
    }
    bytes.append(operation.rawValue)
    bytes.append(target.rawValue)
    for (value, count) in [
      (table, 2), (number, 2), (keys.count, 2), (key.count, 2), (arguments.count, 2),
      (priority, 4), (timeoutMilliseconds, 4),
    ] {
      Self.append(number: value, bytes: count, to: &bytes)
    }
    bytes += key
    bytes += arguments
  }

  private static func append(number: Int, bytes count: Int, to bytes: inout [UInt8]) {
    precondition(number >= 0 && number < 1 << (8 * count))
    for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * index))) }
  }

  private static func append(_ value: WideInteger, width: Int, to bytes: inout [UInt8]) {
    precondition(!value.isNegative && value.bitWidth <= width)
    for index in (0..<byteCount(width: width)).reversed() {
      bytes.append(UInt8(truncatingIfNeeded: value.word(index / 8) >> UInt64(8 * (index % 8))))
    }
  }

  private static func append(
    _ match: P4Program.KeyMatch, width: Int, to bytes: inout [UInt8]
  ) {
    switch match {
    case .exact(let value): append(value, width: width, to: &bytes)
    case .valid(let isValid): bytes.append(isValid ? 1 : 0)
    case .lpm(let value, let length):
      append(value, width: width, to: &bytes)
      append(number: length, bytes: 2, to: &bytes)
    case .ternary(let value, let mask):
      append(value & mask, width: width, to: &bytes)
      append(mask, width: width, to: &bytes)
    case .optional(let value):
      append(value ?? .zero, width: width, to: &bytes)
      append(value == nil ? .zero : .ones(width), width: width, to: &bytes)
    case .range(let low, let high):
      append(low, width: width, to: &bytes)
      append(high, width: width, to: &bytes)
    }
  }
}

// MARK: In a batch

extension ControlBatch {
  /// Adds what a record says; its index in the batch.
  @discardableResult
  package func add(_ update: TableUpdate) throws(ControlError) -> Int {
    switch (update.operation, update.action) {
    case (.insert, let action?):
      try addEntry(
        table: update.table, keys: update.keys, priority: update.priority, action,
        timeoutMilliseconds: update.timeoutMilliseconds)
    case (.modify, let action?):
      try modifyEntry(
        table: update.table, keys: update.keys, priority: update.priority, action)
    default:
      try deleteEntry(table: update.table, keys: update.keys, priority: update.priority)
    }
  }

  /// The same operations for another switch, not applied.
  package convenience init(repeating other: ControlBatch) {
    self.init(other.names, isAtomic: other.isAtomic)
    for operation in other.operations { append(operation) }
  }
}
