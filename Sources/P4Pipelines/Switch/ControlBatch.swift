/// Control operations that a switch applies together, between two bursts, and their results.
///
/// The control thread fills it, by indices that `P4Names` finds; a worker applies it
/// (`P4Switch.apply`) and hands it back. Everything that can be checked or needs memory happens
/// while it is filled, so that applying writes allocates nothing.
///
/// When atomic (the default), all of it takes effect or nothing: the first failure takes back what
/// was done before it. Reads and writes of counters, meters, registers and hashes cannot fail
/// then; they run, in their order, after everything else has succeeded.
package final class ControlBatch {
  package let names: P4Names
  package let isAtomic: Bool
  var operations: [ControlOperation] = []
  /// One per operation.
  package internal(set) var results: [ControlResult] = []
  /// Values of registers that were read.
  package internal(set) var words: [UInt64] = []
  /// Entries that were read.
  package internal(set) var entries: [TableEntry] = []
  /// What takes back the operations that are no table's: at most one per operation.
  var undo: [ControlUndo] = []
  /// The first operation that failed.
  package internal(set) var failure: (index: Int, reason: ControlFailure)?
  package internal(set) var isApplied = false

  package init(_ names: P4Names, isAtomic: Bool = true) {
    self.names = names
    self.isAtomic = isAtomic
  }

  package var count: Int { operations.count }
  package var isEmpty: Bool { operations.isEmpty }

  package func result(_ index: Int) -> ControlResult { results[index] }

  /// Elements that operation `index` has read of a register array.
  package func values(_ index: Int) -> [WideInteger] {
    guard case .words(let first, let count, let each) = results[index] else { return [] }
    var values: [WideInteger] = []
    for element in 0..<count {
      let start = first + element * each
      values.append(WideInteger(magnitude: [UInt64](words[start..<start + each])))
    }
    return values
  }

  /// Adds an operation; its index in the batch.
  @discardableResult
  func append(_ operation: ControlOperation) -> Int {
    precondition(!isApplied)
    operations.append(operation)
    results.append(.failed(.notDone))
    undo.append(.nothing)
    return operations.count - 1
  }

  func table(_ table: Int) throws(ControlError) {
    guard names.program.tables.indices.contains(table) else { throw ControlError(.noSuchTable) }
  }

  func profile(_ profile: Int) throws(ControlError) {
    guard names.program.profiles.indices.contains(profile) else {
      throw ControlError(.noSuchProfile)
    }
  }

  /// Action number and argument words, among the actions of one of `tables`.
  func record(
    _ action: Int, _ arguments: [WideInteger], of tables: [Int]
  ) throws(ControlError) -> [UInt64] {
    let program = names.program
    guard program.actions.indices.contains(action) else { throw ControlError(.noSuchAction) }
    var isKnown = tables.isEmpty
    for table in tables where program.tables[table].actions.contains(action) { isKnown = true }
    guard isKnown else { throw ControlError(.actionNotOfTable) }
    let parameters = program.actions[action].parameters
    guard arguments.count == parameters.count else { throw ControlError(.wrongArgumentCount) }
    for index in arguments.indices {
      guard !arguments[index].isNegative, arguments[index].bitWidth <= parameters[index].width
      else { throw ControlError(.argumentTooWide) }
    }
    do { return try RecordLayout(action: action, of: program).encode(arguments) } catch {
      throw ControlError(ControlFailure(error))
    }
  }

  func target(_ action: ActionValue, of table: Int) throws(ControlError) -> EntryTarget {
    let storage = names.program.tables[table].storage
    switch action {
    case .action(let index, let arguments):
      guard storage == .direct else { throw ControlError(.wrongStorage) }
      return .action(try record(index, arguments, of: [table]))
    case .member(let member):
      guard storage != .direct, member >= 0 else { throw ControlError(.wrongStorage) }
      return .member(member)
    case .group(let group):
      guard case .selector = storage, group >= 0 else { throw ControlError(.wrongStorage) }
      return .group(group)
    }
  }
}
