package import DPUCore
import JSONText

/// What an answer does besides saying something.
struct AnswerEffects {
  /// Goes to the client with the reply; stays the firmware's.
  var descriptor: Int32?
  /// What the client wants to hear of from now on.
  var subscription: EventKinds?
}

/// JSON-RPC 2.0 from bytes to bytes: no socket, no clock.
package struct RequestHandler<Source: ControlSource>: ~Copyable {
  let source: Source
  /// Nil: there is none to ask about.
  let keeper: ConfigurationKeeper<Source>?
  package let counters = Counters<ControlCounter>()
  /// Of the lines answered since it was taken.
  var effects = AnswerEffects()

  package init(source: Source, keeper: ConfigurationKeeper<Source>? = nil) {
    self.source = source
    self.keeper = keeper
  }

  mutating func takeEffects() -> AnswerEffects {
    defer { effects = AnswerEffects() }
    return effects
  }

  /// Answers one line. Empty for a notification, else one JSON text without a line feed.
  package mutating func handle(_ line: RawSpan, from caller: Caller) -> Text {
    handle(RequestLine(line), body: Text(), from: caller)
  }

  /// The same with the body that the line has announced.
  package mutating func handle(_ line: RequestLine, body: Text, from caller: Caller) -> Text {
    var reply = JSONWriter()
    switch line.content {
    case .json(let root) where root.node.kind == .array:
      handleBatch(root, from: caller, to: &reply)
    case .json(let root): handleRequest(root, body: body, from: caller, to: &reply)
    case .failure(let error): refuse(error, id: .null, to: &reply)
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
  private mutating func handleBatch(
    _ batch: JSONField, from caller: Caller, to reply: inout JSONWriter
  ) {
    guard let requests = try? batch.elements(1...Limits.batchRequests) else {
      let error = RPCError(
        .invalidRequest, "a batch holds 1 to \(Limits.batchRequests) requests", path: batch.path)
      return refuse(error, id: .null, to: &reply)
    }
    var replies = JSONWriter()
    replies.beginArray()
    let none = replies.text.bytes.count
    for request in requests { handleRequest(request, body: nil, from: caller, to: &replies) }
    guard replies.text.bytes.count > none else { return }
    replies.endArray()
    reply.value(finished: replies)
  }

  /// `body` is nil where there can be none.
  private mutating func handleRequest(
    _ field: JSONField, body: Text?, from caller: Caller, to reply: inout JSONWriter
  ) {
    counters.increment(.requests)
    var id = RequestID.absent
    do throws(RPCError) {
      let request = try Request(field, id: &id)
      var result = JSONWriter()
      try answer(
        request.method, request.parameters, body, at: request.methodPath, caller, to: &result)
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

  /// Finds the part that a method belongs to, and lets it write the result.
  private mutating func answer(
    _ name: Text, _ parameters: JSONField?, _ body: Text?, at path: JSONPath, _ caller: Caller,
    to result: inout JSONWriter
  ) throws(RPCError) {
    result.beginObject()
    if let method = Method(named: name) {
      try check(caller, mayCall: method)
      try answer(GeneralCall(method, parameters), to: &result)
      note(method, caller)
    } else if let method = PipelineMethod(named: name) {
      try check(caller, mayCall: method)
      var call = try PipelineCall(method, parameters)
      if method.hasBody { call.body = try checked(body, of: call, at: path) }
      try source.pipelines(call, to: &result)
      note(method, caller)
    } else if let method = FilterMethod(named: name) {
      try check(caller, mayCall: method)
      try source.filters(FilterCall(method, parameters), to: &result)
      note(method, caller)
    } else if let method = ConfigurationMethod(named: name) {
      try check(caller, mayCall: method)
      let call = try ConfigurationCall(method, parameters)
      guard let keeper else { throw RPCError(.unavailable, "there is no configuration") }
      try keeper.answer(call, to: &result)
      note(method, caller)
    } else {
      throw RPCError(
        .unknownMethod, "there is no method \(name); rpc.list tells those there are", path: path)
    }
    result.endObject()
  }

  private func checked(
    _ body: Text?, of call: PipelineCall, at path: JSONPath
  ) throws(RPCError) -> Text {
    guard let body else {
      throw RPCError(
        .invalidRequest, "a request with a body stands in no array of requests", path: path)
    }
    let announced = try call.integer(.bytes, in: 0...Limits.bodyBytes)
    guard announced == body.bytes.count else {
      throw RPCError(
        .invalidParameters, "a body of \(body.bytes.count) bytes follows the request",
        path: call.path(of: .bytes))
    }
    return body
  }

  private func check<Called: PartMethod>(
    _ caller: Caller, mayCall method: Called
  ) throws(RPCError) {
    guard caller.role.rawValue >= method.role.rawValue else {
      throw RPCError(
        .permissionDenied,
        method.isForAdministrators
          ? "\(method.name) is for root and the firmware's own user"
          : "\(method.name) is for root, the firmware's own user and its operators")
    }
  }

  /// What an operator changed stands in the log.
  private func note<Called: PartMethod>(_ method: Called, _ caller: Caller) {
    guard method.isLogged else { return }
    source.journal.post(.change, .info, "\(method.name) by user \(caller.user)")
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
