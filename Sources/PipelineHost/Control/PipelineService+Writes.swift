import ControlPlane
import DPUCore
import JSONText
import P4Pipelines

extension PipelineService {
  /// One write.
  func write(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let target = try loaded(call)
    _ = try worker(call)
    let results = try perform([call], on: target)
    Self.write(results[0], to: &json)
  }

  /// Several writes: all or nothing between two turns, or one by one.
  func runBatch(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let target = try loaded(call)
    var calls: [PipelineCall] = []
    for field in try batchElements(call) {
      let inner = try batchCall(field)
      _ = try worker(inner)
      calls.append(inner)
    }
    if try call.boolean(.atomic) ?? true {
      let results = try perform(calls, on: target)
      json.array("results", results) { json, result in
        json.beginObject()
        Self.write(result, to: &json)
        json.endObject()
      }
      return
    }
    var results: [Outcome] = []
    var next = 0
    while next < calls.count {
      let part = Self.part(of: calls, from: next)
      results += try performEach(Array(calls[part]), on: target)
      next = part.upperBound
    }
    var failures = 0
    json.array("results", results) { json, result in
      json.beginObject()
      switch result {
      case .done(let value): Self.write(value, to: &json)
      case .refused(let error):
        failures += 1
        error.write(to: &json)
      }
      json.endObject()
    }
    json.member("failures", failures)
  }

  /// What became of one write of a batch that is not atomic.
  private enum Outcome {
    case done(Value)
    case refused(RPCError)
  }

  /// What a write gives back.
  enum Value {
    case nothing
    case entry(Int), member(Int), group(Int)
  }

  private static func write(_ value: Value, to json: inout JSONWriter) {
    switch value {
    case .nothing: break
    case .entry(let handle): json.member("entry", handle)
    case .member(let handle): json.member("member", handle)
    case .group(let handle): json.member("group", handle)
    }
  }

  // MARK: Reading a batch

  private func batchElements(_ call: PipelineCall) throws(RPCError) -> [JSONField] {
    let field = try call.required(.writes)
    return try reading { () throws(JSONField.Problem) in try field.elements(1...65_536) }
  }

  /// `{"method": "p4.table.insert", ...}` with the parameters of the method beside it.
  private func batchCall(_ field: JSONField) throws(RPCError) -> PipelineCall {
    let name = try reading { () throws(JSONField.Problem) in
      for member in try field.members() where member.key == "method" {
        return (text: try member.field.text(maximumBytes: 128), path: member.field.path)
      }
      throw field.problem("has no \"method\"")
    }
    guard let method = PipelineMethod(named: name.text), method.isBatchable else {
      throw RPCError(
        .invalidParameters, "\(name.text) is no write that a batch may hold", path: name.path)
    }
    let call = try PipelineCall(method, field, except: "method")
    if let pipeline = call[.pipeline] {
      throw RPCError(
        .invalidParameters, "the whole batch is for one pipeline", path: pipeline.path)
    }
    return call
  }

  // MARK: Doing it

  /// All of `calls` in one batch, on all workers. What the first refuses the others do not see; as
  /// they all have the same entries, they accept what it has accepted.
  func perform(
    _ calls: [PipelineCall], on target: (pipeline: Pipeline, program: LoadedProgram)
  ) throws(RPCError) -> [Value] {
    var values: [Value] = []
    var book = target.program.book
    for worker in 0..<workers.count {
      var builder = WriteBuilder(
        target.program, core: workers.core(worker), isFirst: worker == 0)
      var results: [WriteResult] = []
      for call in calls { results.append(try builder.add(call)) }
      try apply([builder.batch], to: target.pipeline, on: worker)
      if let failure = builder.batch.failure {
        throw refusal(failure.reason, at: builder.paths[failure.index], on: worker)
      }
      if worker == 0 { values = results.map { Self.value($0, builder.batch) } }
      book = builder.book
    }
    target.program.book = book
    return values
  }

  func refusal(
    _ reason: P4Pipelines.ControlFailure, at path: JSONPath, on worker: Int
  ) -> RPCError {
    var error = RPCError(reason, path: path)
    if worker > 0 {
      error.message =
        "core \(workers.core(worker)) refused what others have accepted: \(error.message)"
    }
    return error
  }

  private static func value(_ result: WriteResult, _ batch: ControlBatch) -> Value {
    func handle(_ operation: Int) -> Int {
      if case .handle(let handle) = batch.result(operation) { return handle }
      return -1
    }
    switch result {
    case .nothing: return .nothing
    case .entry(let operation): return .entry(handle(operation))
    case .member(let operation): return .member(handle(operation))
    case .group(let operation): return .group(handle(operation))
    }
  }

  /// The calls from `start` on that may go to a worker together. Nodes of multicast groups are
  /// numbered in advance, which is right only when everything before has succeeded.
  private static func part(of calls: [PipelineCall], from start: Int) -> Range<Int> {
    func standsAlone(_ call: PipelineCall) -> Bool {
      call.method == .multicastSet || call.method == .multicastDelete
    }
    if standsAlone(calls[start]) { return start..<start + 1 }
    var end = start
    while end < calls.count, end - start < PipelineLimits.writesPerTurn, !standsAlone(calls[end]) {
      end += 1
    }
    return start..<end
  }

  /// Each of `calls` for itself.
  private func performEach(
    _ calls: [PipelineCall], on target: (pipeline: Pipeline, program: LoadedProgram)
  ) throws(RPCError) -> [Outcome] {
    var outcomes: [Outcome] = []
    for worker in 0..<workers.count {
      var current: [Outcome] = []
      var builders: [(place: Int, builder: WriteBuilder, result: WriteResult)] = []
      for (place, call) in calls.enumerated() {
        var builder = WriteBuilder(
          target.program, core: workers.core(worker), isFirst: worker == 0)
        do throws(RPCError) {
          let result = try builder.add(call)
          builders.append((place, builder, result))
          current.append(.done(.nothing))
        } catch {
          current.append(.refused(error))
        }
      }
      try apply(builders.map { $0.builder.batch }, to: target.pipeline, on: worker)
      var book = target.program.book
      for (place, builder, result) in builders {
        if let failure = builder.batch.failure {
          current[place] = .refused(
            refusal(failure.reason, at: builder.paths[failure.index], on: worker))
        } else {
          current[place] = .done(Self.value(result, builder.batch))
          // Once more, for what it changes in the book beside the others.
          var scratch = WriteBuilder(target.program, core: builder.core, isFirst: false)
          scratch.book = book
          if (try? scratch.add(calls[place])) != nil { book = scratch.book }
        }
      }
      if worker == 0 { outcomes = current }
      if worker == workers.count - 1 { target.program.book = book }
    }
    return outcomes
  }
}
