import DPUCore

/// What the control socket counts. Each refusal has its reason.
package enum ControlCounter: Int, CounterKey {
  case connections
  case requests
  case answered
  case refusedParse
  case refusedInvalidRequest
  case refusedUnknownMethod
  case refusedInvalidParameters
  case refusedPermission
  case refusedNotFound
  case refusedUnavailable
  case refusedByPipeline
  case refusedNoAnswer
  case refusedReplyTooLarge
  case refusedTooManyConnections
  case closedRequestTooLarge
  case closedHalfRequest
  case closedUnreadReply
  case closedError
  case droppedEvents

  package var name: StaticString {
    switch self {
    case .connections: "connections"
    case .requests: "requests"
    case .answered: "answered"
    case .refusedParse: "refusedParse"
    case .refusedInvalidRequest: "refusedInvalidRequest"
    case .refusedUnknownMethod: "refusedUnknownMethod"
    case .refusedInvalidParameters: "refusedInvalidParameters"
    case .refusedPermission: "refusedPermission"
    case .refusedNotFound: "refusedNotFound"
    case .refusedUnavailable: "refusedUnavailable"
    case .refusedByPipeline: "refusedByPipeline"
    case .refusedNoAnswer: "refusedNoAnswer"
    case .refusedReplyTooLarge: "refusedReplyTooLarge"
    case .refusedTooManyConnections: "refusedTooManyConnections"
    case .closedRequestTooLarge: "closedRequestTooLarge"
    case .closedHalfRequest: "closedHalfRequest"
    case .closedUnreadReply: "closedUnreadReply"
    case .closedError: "closedError"
    case .droppedEvents: "droppedEvents"
    }
  }
}
