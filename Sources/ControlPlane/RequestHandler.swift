package import DPUCore
import JSONText

/// Who sent a request.
package struct Caller: Sendable {
  package var mayWrite: Bool
  package init(mayWrite: Bool) { self.mayWrite = mayWrite }
}

/// JSON-RPC 2.0 from bytes to bytes: no socket, no clock.
package struct RequestHandler<Source: ControlSource>: ~Copyable {
  let source: Source
  package let counters = Counters<ControlCounter>()

  package init(source: Source) { self.source = source }

  /// Answers one line. Empty for a notification, else one JSON text without a line feed.
  package func handle(_ line: RawSpan, from caller: Caller) -> Text {
    var reply = JSONWriter()
    do throws(JSONDocument.Failure) {
      let root = JSONField(node: try JSONDocument.parse(line), path: JSONPath())
      if root.node.kind == .array {
        handleBatch(root, from: caller, to: &reply)
      } else {
        handleRequest(root, from: caller, to: &reply)
      }
    } catch {
      let position = TextPosition(of: error.offset, in: line)
      refuse(RPCError(.parse, error.reason, position: position), id: .null, to: &reply)
    }
    return reply.text
  }

  /// An error that answers no request in particular.
  package func complaint(_ error: RPCError) -> Text {
    var reply = JSONWriter()
    refuse(error, id: .null, to: &reply)
    return reply.text
  }

  // MARK: One request

  /// Section 6: an array of requests is answered by an array of their replies, if there are any.
  private func handleBatch(_ batch: JSONField, from caller: Caller, to reply: inout JSONWriter) {
    guard let requests = try? batch.elements(1...Limits.batchRequests) else {
      let error = RPCError(
        .invalidRequest, "a batch holds 1 to \(Limits.batchRequests) requests", path: batch.path)
      return refuse(error, id: .null, to: &reply)
    }
    var replies = JSONWriter()
    replies.beginArray()
    let none = replies.text.bytes.count
    for request in requests { handleRequest(request, from: caller, to: &replies) }
    guard replies.text.bytes.count > none else { return }
    replies.endArray()
    reply.value(finished: replies)
  }

  private func handleRequest(
    _ field: JSONField, from caller: Caller, to reply: inout JSONWriter
  ) {
    counters.increment(.requests)
    var id = RequestID.absent
    do throws(RPCError) {
      let request = try Request(field, id: &id)
      var result = JSONWriter()
      if let method = Method(named: request.method) {
        try check(caller, mayCall: method.name, isWrite: method.isWrite)
        try answer(method, Parameters(request.parameters, of: method), to: &result)
      } else if let method = PipelineMethod(named: request.method) {
        try check(caller, mayCall: method.name, isWrite: method.isWrite)
        result.beginObject()
        try source.pipelines(PipelineCall(method, request.parameters), to: &result)
        result.endObject()
      } else if let method = FilterMethod(named: request.method) {
        try check(caller, mayCall: method.name, isWrite: method.isWrite)
        result.beginObject()
        try source.filters(FilterCall(method, request.parameters), to: &result)
        result.endObject()
      } else {
        throw RPCError(
          .unknownMethod, "there is no method \(request.method); rpc.list tells those there are",
          path: request.methodPath)
      }
      guard reply.text.bytes.count + result.text.bytes.count <= Limits.resultBytes else {
        throw RPCError(
          .replyTooLarge, "the results have more than \(Limits.resultBytes) bytes; ask for less")
      }
      counters.increment(.answered)
      guard id != .absent else { return }
      reply.beginObject()
      reply.member("jsonrpc", string: "2.0")
      id.write(to: &reply)
      reply.key("result")
      reply.value(finished: result)
      reply.endObject()
    } catch {
      // Section 4.1: a notification gets no answer, not even an error. What is no request at all
      // is no notification either.
      if id == .absent, error.code != .invalidRequest {
        counters.increment(error.code.counter)
      } else {
        refuse(error, id: id == .absent ? .null : id, to: &reply)
      }
    }
  }

  private func check(
    _ caller: Caller, mayCall name: StaticString, isWrite: Bool
  ) throws(RPCError) {
    guard caller.mayWrite || !isWrite else {
      throw RPCError(.permissionDenied, "\(name) is for root and the firmware's own user")
    }
  }

  private func refuse(_ error: RPCError, id: RequestID, to reply: inout JSONWriter) {
    counters.increment(error.code.counter)
    reply.beginObject()
    reply.member("jsonrpc", string: "2.0")
    id.write(to: &reply)
    error.write(to: &reply)
    reply.endObject()
  }
}

/// What a client chose to recognise the reply.
enum RequestID: Equatable {
  case absent, null
  case integer(Int64)
  case text(Text)

  func write(to json: inout JSONWriter) {
    json.key("id")
    switch self {
    case .absent, .null: json.null()
    case .integer(let value): json.value(value)
    case .text(let value): json.value(text: value)
    }
  }
}

/// The members of a request object, checked.
private struct Request {
  var method = Text()
  var methodPath = JSONPath()
  var parameters: JSONField?

  /// `id` is set as soon as it is known, so that the error can be answered to it.
  init(_ field: JSONField, id: inout RequestID) throws(RPCError) {
    do throws(JSONField.Problem) {
      let members = try field.members()
      for member in members where member.key == "id" { id = try Self.id(member.field) }
      var sawVersion = false
      for member in members {
        switch member.key {
        case "id": break
        case "jsonrpc":
          guard member.field.node.text == "2.0" else {
            throw member.field.problem("must be \"2.0\"")
          }
          sawVersion = true
        case "method":
          method = try member.field.text(maximumBytes: Limits.identifierBytes)
          methodPath = member.field.path
        case "params":
          // Section 4.2: parameters are a structured value.
          guard [.object, .array].contains(member.field.node.kind) else {
            throw member.field.problem("must be an object")
          }
          parameters = member.field
        default: throw member.unknown("jsonrpc, id, method, params")
        }
      }
      guard sawVersion else { throw field.problem("has no \"jsonrpc\"") }
      guard !method.isEmpty else { throw field.problem("has no \"method\"") }
    } catch {
      throw RPCError(.invalidRequest, error.message, path: error.path)
    }
  }

  private static func id(_ field: JSONField) throws(JSONField.Problem) -> RequestID {
    switch field.node.kind {
    case .null: return .null
    case .integer: return .integer(field.node.integer ?? 0)
    case .string:
      // Comes back in the reply, so it counts there.
      let text = field.node.text ?? Text()
      guard text.bytes.count <= Limits.identifierBytes else {
        throw field.problem("must be at most \(Limits.identifierBytes) bytes long")
      }
      return .text(text)
    default: throw field.problem("must be a string, an integer or null")
    }
  }
}
