import ControlPlane
import DPUCore
import JSONText
import P4Pipelines

extension PipelineService {
  /// Writes of table entries that came as binary records: all or nothing between two turns, or each
  /// for itself. A record that cannot be read refuses all of them either way.
  func writeEntries(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let target = try loaded(call)
    let isAtomic = try call.boolean(.atomic) ?? true
    let namesEntries = try call.boolean(.entries) ?? true
    var records = RecordList(call, target.program.names, isAtomic: isAtomic)
    try records.read()
    for part in records.batches.indices { try apply(part, of: records, to: target.pipeline) }
    records.write(to: &json, namesEntries: namesEntries)
  }

  /// One batch of the records on all workers. What the first refuses the others do not see.
  private func apply(
    _ part: Int, of records: RecordList, to pipeline: Pipeline
  ) throws(RPCError) {
    let first = records.batches[part]
    for worker in 0..<workers.count {
      let batch = worker == 0 ? first : ControlBatch(repeating: first)
      try apply([batch], to: pipeline, on: worker)
      guard records.isAtomic, let failure = batch.failure else { continue }
      var error = refusal(failure.reason, at: records.path, on: worker)
      error.place = records.place(failure.index)
      throw error
    }
  }
}

/// Records on their way into tables.
private struct RecordList {
  let path: JSONPath
  let isAtomic: Bool
  private let body: Text
  private let names: P4Names
  /// One when atomic; else each has what a worker does between two turns.
  private(set) var batches: [ControlBatch] = []
  /// Where each record begins.
  private var offsets: [Int] = []
  private var operations: [TableUpdate.Operation] = []

  init(_ call: PipelineCall, _ names: P4Names, isAtomic: Bool) {
    path = call.path(of: .bytes)
    body = call.body
    self.names = names
    self.isAtomic = isAtomic
  }

  mutating func read() throws(RPCError) {
    let body = body
    var reader = TableUpdateReader(body.span, of: names.program)
    while true {
      let start = reader.offset
      guard let update = try next(&reader) else { break }
      let room = isAtomic ? Int.max : PipelineLimits.writesPerTurn
      if batches.isEmpty || batches[batches.count - 1].count == room {
        batches.append(ControlBatch(names, isAtomic: isAtomic))
      }
      let batch = batches[batches.count - 1]
      offsets.append(start)
      operations.append(update.operation)
      do throws(ControlError) {
        try batch.add(update)
      } catch {
        var refusal = RPCError(error, path: path)
        refusal.place = place(offsets.count - 1)
        throw refusal
      }
    }
  }

  private func next(
    _ reader: inout TableUpdateReader
  ) throws(RPCError) -> TableUpdate? {
    do throws(TableUpdateFault) {
      return try reader.next()
    } catch {
      throw RPCError(
        .invalidParameters, error.reason.explanation, path: path, reason: error.reason.name,
        place: RPCError.RecordPlace(update: error.update, offset: error.offset))
    }
  }

  func place(_ record: Int) -> RPCError.RecordPlace {
    RPCError.RecordPlace(update: record, offset: offsets[record])
  }

  // MARK: What became of them

  private func result(_ record: Int) -> ControlResult {
    isAtomic
      ? batches[0].result(record)
      : batches[record / PipelineLimits.writesPerTurn].result(
        record % PipelineLimits.writesPerTurn)
  }

  func write(to json: inout JSONWriter, namesEntries: Bool) {
    json.member("updates", offsets.count)
    if namesEntries {
      json.key("entries")
      json.beginArray()
      for record in offsets.indices where operations[record] == .insert {
        if case .handle(let entry) = result(record) { json.value(entry) } else { json.null() }
      }
      json.endArray()
    }
    if isAtomic { return }
    var failures = 0
    json.key("refusals")
    json.beginArray()
    for record in offsets.indices {
      guard case .failed(let reason) = result(record) else { continue }
      failures += 1
      // Short, so that a full body of them fits a reply.
      json.beginObject()
      json.member("update", record)
      json.member("offset", offsets[record])
      json.member("reason", string: reason.name)
      json.endObject()
    }
    json.endArray()
    json.member("failures", failures)
  }
}

extension TableUpdateFault.Reason {
  fileprivate var name: StaticString {
    switch self {
    case .truncated: "truncated"
    case .unknownOperation: "unknownOperation"
    case .unknownTarget: "unknownTarget"
    case .wrongKeyBytes: "wrongKeyBytes"
    case .wrongArgumentBytes: "wrongArgumentBytes"
    case .notZero: "notZero"
    case .partialMask: "partialMask"
    case .control(let failure): failure.name
    }
  }

  fileprivate var explanation: Text {
    switch self {
    case .truncated: "the record ends after the body"
    case .unknownOperation: "the operation must be 1 (insert), 2 (modify) or 3 (delete)"
    case .unknownTarget: "the target must be 0 (action), 1 (member) or 2 (group)"
    case .wrongKeyBytes: "the table has a key of another length"
    case .wrongArgumentBytes: "what the entry does takes another number of bytes"
    case .notZero: "must be zero here"
    case .partialMask: "the mask must be all ones or all zeros"
    case .control(let failure): failure.explanation
    }
  }
}
