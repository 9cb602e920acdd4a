import DPUCore

/// What one side of the link counts.
package enum LinkCounter: Int, CounterKey {
  case framesReceived
  case framesSent
  case bytesReceived
  case bytesSent
  /// For a channel that had already ended here: normal when both sides close at once.
  case droppedStaleFrame
  case channelsOpened
  /// No room in the ring or in the channel table.
  case refusedOpen
  case doorbellsRung
  /// A control frame had to wait for room in the ring.
  case controlDelayed
  case stalls
  case failedPeerGone
  case failedTimeout
  case failedIncompatible
  case failedBadRingIndex
  case failedBadLength
  case failedBadKind
  case failedBadBody
  case failedBadCredit
  case shutDown

  package init(_ failure: LinkFailure) {
    self =
      switch failure {
      case .peerGone: .failedPeerGone
      case .timeout: .failedTimeout
      case .incompatible: .failedIncompatible
      case .badRingIndex: .failedBadRingIndex
      case .badLength: .failedBadLength
      case .badKind: .failedBadKind
      case .badBody: .failedBadBody
      case .badCredit: .failedBadCredit
      case .shutDown: .shutDown
      }
  }

  package var name: StaticString {
    switch self {
    case .framesReceived: "framesReceived"
    case .framesSent: "framesSent"
    case .bytesReceived: "bytesReceived"
    case .bytesSent: "bytesSent"
    case .droppedStaleFrame: "droppedStaleFrame"
    case .channelsOpened: "channelsOpened"
    case .refusedOpen: "refusedOpen"
    case .doorbellsRung: "doorbellsRung"
    case .controlDelayed: "controlDelayed"
    case .stalls: "stalls"
    case .failedPeerGone: "failedPeerGone"
    case .failedTimeout: "failedTimeout"
    case .failedIncompatible: "failedIncompatible"
    case .failedBadRingIndex: "failedBadRingIndex"
    case .failedBadLength: "failedBadLength"
    case .failedBadKind: "failedBadKind"
    case .failedBadBody: "failedBadBody"
    case .failedBadCredit: "failedBadCredit"
    case .shutDown: "shutDown"
    }
  }
}
