package import DPUCore
package import JSONText

/// An answer that says why there is none. The codes from -32768 on are those of JSON-RPC 2.0,
/// section 5.1; those from -32000 on are ours.
package struct RPCError: Error {
  package enum Code: Int {
    case parse = -32700
    case invalidRequest = -32600
    case unknownMethod = -32601
    case invalidParameters = -32602
    /// A poll loop did not answer in time.
    case noAnswer = -32000
    case permissionDenied = -32001
    case tooManyConnections = -32002
    case requestTooLarge = -32003
    case halfRequest = -32004
    case replyTooLarge = -32005
    case notFound = -32006
    case unavailable = -32007
    /// A pipeline or a filter did not accept a write.
    case refused = -32008

    var counter: ControlCounter {
      switch self {
      case .parse: .refusedParse
      case .invalidRequest: .refusedInvalidRequest
      case .unknownMethod: .refusedUnknownMethod
      case .invalidParameters: .refusedInvalidParameters
      case .notFound: .refusedNotFound
      case .unavailable: .refusedUnavailable
      case .refused: .refusedByPipeline
      case .noAnswer: .refusedNoAnswer
      case .permissionDenied: .refusedPermission
      case .tooManyConnections: .refusedTooManyConnections
      case .requestTooLarge: .closedRequestTooLarge
      case .halfRequest: .closedHalfRequest
      case .replyTooLarge: .refusedReplyTooLarge
      }
    }
  }

  package var code: Code
  package var message: Text
  /// The member of the request that is at fault.
  package var path: JSONPath?
  /// Where a text stops being JSON.
  package var position: TextPosition?
  /// One word for programs, where the code leaves several possibilities.
  package var reason: StaticString?
  /// Of the records in a body, the one at fault and the byte where that shows.
  package var place: RecordPlace?

  package struct RecordPlace {
    package var update: Int
    package var offset: Int

    package init(update: Int, offset: Int) {
      self.update = update
      self.offset = offset
    }
  }

  package init(
    _ code: Code, _ message: Text, path: JSONPath? = nil, position: TextPosition? = nil,
    reason: StaticString? = nil, place: RecordPlace? = nil
  ) {
    self.code = code
    self.message = message
    self.path = path
    self.position = position
    self.reason = reason
    self.place = place
  }

  init(_ failure: ControlFailure) {
    switch failure {
    case .timeout(let core): self.init(.noAnswer, "core \(core) did not answer in time")
    case .notFound(let what): self.init(.notFound, "\(what)")
    case .unavailable(let why): self.init(.unavailable, "\(why)")
    }
  }

  /// As the member `error` of a reply.
  package func write(to json: inout JSONWriter) {
    json.key("error")
    json.beginObject()
    json.member("code", code.rawValue)
    json.member("message", text: message)
    if path != nil || position != nil || reason != nil || place != nil {
      json.key("data")
      json.beginObject()
      if let path { json.member("path", text: path.text) }
      if let position {
        json.member("line", position.line)
        json.member("column", position.column)
      }
      if let place {
        json.member("update", place.update)
        json.member("offset", place.offset)
      }
      if let reason { json.member("reason", string: reason) }
      json.endObject()
    }
    json.endObject()
  }
}
