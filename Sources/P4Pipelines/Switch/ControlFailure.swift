/// Why a control operation was refused.
package enum ControlFailure: UInt8, BitwiseCopyable, Sendable {
  // Found while a batch is filled, before the switch sees it.
  case noSuchTable, noSuchAction, noSuchProfile, noSuchArray, noSuchValueSet, noSuchCalculation
  case noSuchDigest
  case wrongKeyCount, wrongKeyKind, keyTooWide, badPrefixLength, emptyRange
  case actionNotOfTable, wrongArgumentCount, argumentTooWide, valueTooWide
  case outOfRange, badRates, badHash, badSessionNumber, badGroupNumber, badTruncation
  // Found by the switch.
  case full, exists, notFound, badPriority
  case entriesAreConstant, defaultIsConstant, noKey, wrongStorage, notSupported
  case noSuchPort, noSuchMember, memberInUse, noSuchGroup, groupInUse
  case memberAlreadyInGroup, memberNotInGroup
  case noSuchNode, nodeInUse, nodeNotInGroup, noSuchSession
  /// More writes than can be taken back together.
  case batchTooLong
  /// Not tried, or taken back, because an operation of its batch failed.
  case notDone

  package var name: StaticString {
    switch self {
    case .noSuchTable: "noSuchTable"
    case .noSuchAction: "noSuchAction"
    case .noSuchProfile: "noSuchProfile"
    case .noSuchArray: "noSuchArray"
    case .noSuchValueSet: "noSuchValueSet"
    case .noSuchCalculation: "noSuchCalculation"
    case .noSuchDigest: "noSuchDigest"
    case .wrongKeyCount: "wrongKeyCount"
    case .wrongKeyKind: "wrongKeyKind"
    case .keyTooWide: "keyTooWide"
    case .badPrefixLength: "badPrefixLength"
    case .emptyRange: "emptyRange"
    case .actionNotOfTable: "actionNotOfTable"
    case .wrongArgumentCount: "wrongArgumentCount"
    case .argumentTooWide: "argumentTooWide"
    case .valueTooWide: "valueTooWide"
    case .outOfRange: "outOfRange"
    case .badRates: "badRates"
    case .badHash: "badHash"
    case .badSessionNumber: "badSessionNumber"
    case .badGroupNumber: "badGroupNumber"
    case .badTruncation: "badTruncation"
    case .full: "full"
    case .exists: "exists"
    case .notFound: "notFound"
    case .badPriority: "badPriority"
    case .entriesAreConstant: "entriesAreConstant"
    case .defaultIsConstant: "defaultIsConstant"
    case .noKey: "noKey"
    case .wrongStorage: "wrongStorage"
    case .notSupported: "notSupported"
    case .noSuchPort: "noSuchPort"
    case .noSuchMember: "noSuchMember"
    case .memberInUse: "memberInUse"
    case .noSuchGroup: "noSuchGroup"
    case .groupInUse: "groupInUse"
    case .memberAlreadyInGroup: "memberAlreadyInGroup"
    case .memberNotInGroup: "memberNotInGroup"
    case .noSuchNode: "noSuchNode"
    case .nodeInUse: "nodeInUse"
    case .nodeNotInGroup: "nodeNotInGroup"
    case .noSuchSession: "noSuchSession"
    case .batchTooLong: "batchTooLong"
    case .notDone: "notDone"
    }
  }

  init(_ error: TableError) {
    self =
      switch error {
      case .full: .full
      case .duplicate: .exists
      case .noSuchEntry: .notFound
      case .badKey(_, let fault):
        switch fault {
        case .missing: .wrongKeyCount
        case .wrongKind: .wrongKeyKind
        case .tooWide: .keyTooWide
        case .prefixTooLong: .badPrefixLength
        case .emptyRange: .emptyRange
        }
      case .badAction: .actionNotOfTable
      case .badPriority: .badPriority
      case .constantEntries: .entriesAreConstant
      case .constantDefault: .defaultIsConstant
      case .noKey: .noKey
      case .wrongStorage: .wrongStorage
      case .noSuchMember: .noSuchMember
      case .memberInUse: .memberInUse
      case .noSuchGroup: .noSuchGroup
      case .groupInUse: .groupInUse
      case .memberAlreadyInGroup: .memberAlreadyInGroup
      case .memberNotInGroup: .memberNotInGroup
      case .notSupported: .notSupported
      case .badMeterRates: .badRates
      case .batchFull: .batchTooLong
      }
  }

  init(_ error: ExternError) {
    self =
      switch error {
      case .noSuchIndex: .outOfRange
      case .valueTooWide: .valueTooWide
      case .badMeterRates: .badRates
      case .badHash: .badHash
      }
  }
}

/// An operation that cannot be written into a batch.
package struct ControlError: Error, Equatable {
  package var failure: ControlFailure
  package init(_ failure: ControlFailure) { self.failure = failure }
}
