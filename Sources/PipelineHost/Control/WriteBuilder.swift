import ControlPlane
import DPUCore
import JSONText
import P4Pipelines

/// What a write gives back once it is done.
enum WriteResult {
  case nothing
  /// The handle is the result of that operation of the batch.
  case entry(Int), member(Int), group(Int)
}

/// Turns calls that write into operations of a batch, for one worker.
///
/// All workers get the same operations, so that what they give back is the same as well; only
/// registers may be written on one core.
struct WriteBuilder {
  let batch: ControlBatch
  let names: P4Names
  /// As it will be when everything has succeeded.
  var book: TrafficBook
  let core: Int
  /// Counters are summed over the workers, so only one of them gets a value that is set.
  let isFirst: Bool
  /// Of each operation, the call's path: where a refusal points to.
  private(set) var paths: [JSONPath] = []

  init(_ loaded: LoadedProgram, core: Int, isFirst: Bool) {
    batch = ControlBatch(loaded.names)
    names = loaded.names
    book = loaded.book
    self.core = core
    self.isFirst = isFirst
  }

  var program: P4Program { names.program }

  mutating func add(_ call: PipelineCall) throws(RPCError) -> WriteResult {
    let result = try operations(of: call)
    while paths.count < batch.count { paths.append(call.path) }
    return result
  }

  private mutating func operations(of call: PipelineCall) throws(RPCError) -> WriteResult {
    switch call.method {
    case .tableInsert: return try insert(call)
    case .tableModify: try modify(call)
    case .tableDelete: try delete(call)
    case .tableSetDefault: try setDefault(call)
    case .tableResetDefault:
      let table = try table(call)
      _ = try writing(at: call.path) { () throws(ControlError) in
        try batch.resetDefault(table: table)
      }
    case .tableClear:
      let table = try table(call)
      _ = try writing(at: call.path) { () throws(ControlError) in try batch.clear(table: table) }
    case .tableSetTimeout: try setTimeout(call)
    case .memberAdd, .memberModify, .memberDelete, .groupAdd, .groupDelete, .groupJoin, .groupLeave:
      return try writeProfile(call)
    case .counterWrite, .counterReset: try writeCounter(call)
    case .meterWrite, .meterReset: try writeMeter(call)
    case .registerWrite, .registerReset: try writeRegister(call)
    case .mirrorSet, .mirrorDelete: try writeMirror(call)
    case .multicastSet, .multicastDelete: try writeMulticast(call)
    case .valueSetInsert, .valueSetDelete, .valueSetClear: try writeValueSet(call)
    case .queueSet: try writeQueue(call)
    case .hashSet: try writeHash(call)
    case .digestSet, .digestAcknowledge: try writeDigest(call)
    default:
      throw RPCError(.invalidParameters, "\(call.method.name) is no write", path: call.path)
    }
    return .nothing
  }

  func table(_ call: PipelineCall) throws(RPCError) -> Int {
    try call.named(.table, "table") { names.table($0) }
  }
}
