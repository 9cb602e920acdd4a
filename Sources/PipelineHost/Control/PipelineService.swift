package import ControlPlane
package import DPUCore
package import JSONText
import P4Pipelines

/// The P4 pipelines as the control plane sees them: answers its calls.
///
/// Of the control thread. Programs are read and compiled here; what a worker has to do goes to it
/// through its mailbox, and the workers take it one after the other.
package final class PipelineService<Workers: PipelineWorkers> {
  let board: PipelineBoard
  let workers: Workers
  /// Packets out of the CPU ports that nobody has taken, oldest first.
  var backlog: [WaitingPacketIn] = []
  /// Those that were dropped because too many waited, since the last call.
  var lostPacketsIn = 0

  package init(_ board: PipelineBoard, workers: Workers) {
    precondition(board.workers == workers.count)
    self.board = board
    self.workers = workers
  }

  /// Of the pipelines, with or without a program.
  package var names: [Text] { board.pipelines.map { $0.name } }

  /// Does what `call` says and writes the members of the result.
  package func answer(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    switch call.method {
    case .list: list(to: &json)
    case .load: try load(call, to: &json)
    case .verify: try verify(call, to: &json)
    case .unload: try unload(call, to: &json)
    case .info: try describe(try loaded(call).program, of: loaded(call).pipeline, to: &json)
    case .stats: try writeStatistics(try loaded(call).pipeline, to: &json)
    case .batch: try runBatch(call, to: &json)
    case .write: try writeEntries(call, to: &json)
    case .trace: try trace(call, to: &json)
    case .tableList: try listTable(call, to: &json)
    case .tableGet: try writeEntry(call, to: &json)
    case .memberList: try listMembers(call, to: &json)
    case .groupList: try listGroups(call, to: &json)
    case .counterRead: try readCounter(call, to: &json)
    case .meterRead: try readMeter(call, to: &json)
    case .registerRead: try readRegister(call, to: &json)
    case .mirrorList: try listMirrors(call, to: &json)
    case .multicastList: try listGroupsOfMulticast(call, to: &json)
    case .valueSetList: try listValueSet(call, to: &json)
    case .digests: try takeDigests(call, to: &json)
    case .timeouts: try takeTimeouts(call, to: &json)
    case .logs: try takeLogs(call, to: &json)
    case .packetIn: try takePacketsIn(call, to: &json)
    case .packetOut: try sendPackets(call, to: &json)
    default: try write(call, to: &json)
    }
  }

  // MARK: Finding the pipeline

  /// The pipeline that a call means: the named one, or the only one there is.
  func pipeline(_ call: PipelineCall) throws(RPCError) -> Pipeline {
    if let name = try call.text(.pipeline, maximumBytes: ControlPlane.Limits.pipelineNameBytes) {
      guard let pipeline = board.pipeline(name) else {
        throw RPCError(
          .notFound, "there is no pipeline \(name)", path: call.path(of: .pipeline))
      }
      return pipeline
    }
    guard board.pipelines.count == 1 else {
      let text: Text =
        board.pipelines.isEmpty
        ? "there is no pipeline" : "there are several pipelines; \"pipeline\" must name one"
      throw RPCError(
        board.pipelines.isEmpty ? .notFound : .invalidParameters, text, path: call.path)
    }
    return board.pipelines[0]
  }

  func loaded(
    _ call: PipelineCall
  ) throws(RPCError) -> (pipeline: Pipeline, program: LoadedProgram) {
    let pipeline = try pipeline(call)
    guard let program = pipeline.loaded else {
      throw RPCError(.unavailable, "no program is loaded into the pipeline \(pipeline.name)")
    }
    return (pipeline, program)
  }

  /// A core that a call names, as a worker; nil when it names none.
  func worker(_ call: PipelineCall) throws(RPCError) -> Int? {
    guard let core = try call.integer(.core, in: 0...Int(Int32.max)) else { return nil }
    for worker in 0..<workers.count where workers.core(worker) == core { return worker }
    throw RPCError(.notFound, "no worker runs on core \(core)", path: call.path(of: .core))
  }

  // MARK: Asking a worker

  /// Asks a worker and looks at its answer.
  @discardableResult
  func ask<Result>(
    _ worker: Int, _ prepare: (inout PipelineExchange) -> Void,
    then read: (borrowing PipelineExchange) -> Result
  ) throws(RPCError) -> Result {
    let result = workers.mailbox(worker).exchange(
      prepare, waiting: { workers.await(worker) }, then: read)
    guard let result else {
      throw RPCError(.noAnswer, "core \(workers.core(worker)) did not answer in time")
    }
    return result
  }

  /// Lets a worker apply batches, one after the other, between two turns.
  func apply(
    _ batches: [ControlBatch], to pipeline: Pipeline, on worker: Int
  ) throws(RPCError) {
    let list = BatchList(batches)
    // The list must live until the answer is there. When none comes the worker may still look at
    // it later, so it is left to it.
    let held = unsafe Unmanaged.passRetained(list)
    let address = UInt(bitPattern: unsafe held.toOpaque())
    let isLoaded = try ask(
      worker, { $0.question = .apply(slot: pipeline.slot, batches: address) },
      then: { $0.isLoaded })
    unsafe held.release()
    guard isLoaded else {
      throw RPCError(.unavailable, "core \(workers.core(worker)) has no program in its pipeline")
    }
  }

  /// Operations that read, on one worker.
  func read(
    _ loaded: (pipeline: Pipeline, program: LoadedProgram), on worker: Int, at path: JSONPath,
    _ fill: (ControlBatch) throws(ControlError) -> Void
  ) throws(RPCError) -> ControlBatch {
    let batch = ControlBatch(loaded.program.names, isAtomic: false)
    try writing(at: path) { () throws(ControlError) in try fill(batch) }
    try apply([batch], to: loaded.pipeline, on: worker)
    if let failure = batch.failure { throw RPCError(failure.reason, path: path) }
    return batch
  }
}

/// A packet out of a CPU port that waits for the control plane's client.
struct WaitingPacketIn {
  var slot: Int
  var core: Int
  var at: Instant
  var bytes: Text
}
