import ControlPlane
import DPUCore
import JSONText
import P4Pipelines

extension RPCError {
  /// What the engine says of an operation that cannot be written into a batch.
  init(_ error: ControlError, path: JSONPath) {
    self.init(
      .invalidParameters, error.failure.explanation, path: path, reason: error.failure.name)
  }

  /// What a switch says of a write.
  init(_ failure: P4Pipelines.ControlFailure, path: JSONPath) {
    self.init(.refused, failure.explanation, path: path, reason: failure.name)
  }
}

/// Runs `body`; what is wrong with a parameter becomes the answer.
func reading<Result>(
  _ body: () throws(JSONField.Problem) -> Result
) throws(RPCError) -> Result {
  do throws(JSONField.Problem) {
    return try body()
  } catch {
    throw RPCError(error)
  }
}

/// Runs `body`; what the engine refuses becomes the answer, at `path`.
func writing<Result>(
  at path: JSONPath, _ body: () throws(ControlError) -> Result
) throws(RPCError) -> Result {
  do throws(ControlError) {
    return try body()
  } catch {
    throw RPCError(error, path: path)
  }
}

extension PipelineCall {
  /// What a name of the program stands for. `what` as in "no table acl".
  func named(
    _ parameter: PipelineParameter, _ what: StaticString, _ find: (Text) -> Int?
  ) throws(RPCError) -> Int {
    let field = try required(parameter)
    let name = try text(parameter) ?? Text()
    guard let index = find(name) else {
      throw RPCError(
        .notFound, "the program has no \(what) \(ShortText(name.span).text)", path: field.path)
    }
    return index
  }
}

extension P4Pipelines.ControlFailure {
  /// For people.
  var explanation: Text {
    switch self {
    case .noSuchTable: "there is no such table"
    case .noSuchAction: "there is no such action"
    case .noSuchProfile: "there is no such action profile"
    case .noSuchArray: "there is no such array"
    case .noSuchValueSet: "there is no such value set"
    case .noSuchCalculation: "there is no such calculation"
    case .noSuchDigest: "there is no such digest"
    case .wrongKeyCount: "the table has another number of keys"
    case .wrongKeyKind: "the table matches this key in another way"
    case .keyTooWide: "a key is wider than its field"
    case .badPrefixLength: "a prefix is longer than its field"
    case .emptyRange: "a range is empty"
    case .actionNotOfTable: "the table does not have this action"
    case .wrongArgumentCount: "the action has another number of parameters"
    case .argumentTooWide: "an argument is wider than its parameter"
    case .valueTooWide: "the value is too wide"
    case .outOfRange: "out of range"
    case .badRates: "the peak rate must not lie below the committed rate"
    case .badHash: "not a custom CRC of this width"
    case .badSessionNumber: "a session has a number of 0 to 32767"
    case .badGroupNumber: "a group has a number of 1 to 65535"
    case .badTruncation: "a clone keeps 14 bytes or more"
    case .full: "there is no room for another one"
    case .exists: "it exists already"
    case .notFound: "it does not exist"
    case .badPriority: "the priority is out of range"
    case .entriesAreConstant: "the program declares the entries of the table constant"
    case .defaultIsConstant: "the program declares the default action of the table constant"
    case .noKey: "the table has no key, so it has no entries"
    case .wrongStorage:
      "the table takes either actions, or members or groups of its profile, and this is the other"
    case .notSupported: "the program does not provide for this"
    case .noSuchPort: "there is no such port"
    case .noSuchMember: "there is no such member"
    case .memberInUse: "an entry or a group uses the member"
    case .noSuchGroup: "there is no such group"
    case .groupInUse: "an entry uses the group"
    case .memberAlreadyInGroup: "the member is in the group already"
    case .memberNotInGroup: "the member is not in the group"
    case .noSuchNode: "there is no such node"
    case .nodeInUse: "the node belongs to a group already"
    case .nodeNotInGroup: "the node does not belong to the group"
    case .noSuchSession: "there is no such session"
    case .batchTooLong: "more writes than can be taken back together"
    case .notDone: "not done, because another write of the batch was refused"
    }
  }
}
