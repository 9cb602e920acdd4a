import DPUCore

/// What a switch counts: every packet's way in and out, and each reason for losing one.
package enum SwitchCounter: Int, CounterKey {
  case received
  case sent
  case sentBytes
  case resubmitted
  case recirculated
  case clonedAtIngress
  case clonedAtEgress
  case multicastCopies
  /// The program said so: mark_to_drop, or egress_spec set to the drop port.
  case droppedByIngress
  case droppedByEgress
  case droppedParserLimit
  case droppedStepLimit
  case droppedAssertion
  case droppedArrivalsFull
  case droppedRecirculationFull
  case droppedQueueFull
  case droppedHeldFull
  case droppedNoBuffer
  case droppedTooLarge
  case droppedNoSuchPort
  case droppedBadPriority
  case droppedAtSwap
  /// Not drops: the original packet goes on.
  case cloneSessionUnknown
  case multicastGroupUnknown
  case parserErrors
  case checksumErrors
  case truncated
  case digests
  case digestsSuppressed
  case digestsLost
  case logs
  case logsLost
  case idleNotifications

  package var name: StaticString {
    switch self {
    case .received: "received"
    case .sent: "sent"
    case .sentBytes: "sentBytes"
    case .resubmitted: "resubmitted"
    case .recirculated: "recirculated"
    case .clonedAtIngress: "clonedAtIngress"
    case .clonedAtEgress: "clonedAtEgress"
    case .multicastCopies: "multicastCopies"
    case .droppedByIngress: "droppedByIngress"
    case .droppedByEgress: "droppedByEgress"
    case .droppedParserLimit: "droppedParserLimit"
    case .droppedStepLimit: "droppedStepLimit"
    case .droppedAssertion: "droppedAssertion"
    case .droppedArrivalsFull: "droppedArrivalsFull"
    case .droppedRecirculationFull: "droppedRecirculationFull"
    case .droppedQueueFull: "droppedQueueFull"
    case .droppedHeldFull: "droppedHeldFull"
    case .droppedNoBuffer: "droppedNoBuffer"
    case .droppedTooLarge: "droppedTooLarge"
    case .droppedNoSuchPort: "droppedNoSuchPort"
    case .droppedBadPriority: "droppedBadPriority"
    case .droppedAtSwap: "droppedAtSwap"
    case .cloneSessionUnknown: "cloneSessionUnknown"
    case .multicastGroupUnknown: "multicastGroupUnknown"
    case .parserErrors: "parserErrors"
    case .checksumErrors: "checksumErrors"
    case .truncated: "truncated"
    case .digests: "digests"
    case .digestsSuppressed: "digestsSuppressed"
    case .digestsLost: "digestsLost"
    case .logs: "logs"
    case .logsLost: "logsLost"
    case .idleNotifications: "idleNotifications"
    }
  }
}
