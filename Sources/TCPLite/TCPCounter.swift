import DPUCore

/// What the stack counts. `dropped…` is a frame or segment thrown away, with its reason.
package enum TCPCounter: Int, CounterKey {
  case framesReceived, framesSent, framesNotForUs
  case droppedShortFrame, droppedGroupSourceMAC, droppedUnknownEtherType, droppedBadARP
  case droppedBadIPv4Header, droppedBadIPv4Checksum, droppedFragment, droppedBadIPv6Header
  case droppedBadSource, droppedUnknownProtocol, droppedBadICMP, droppedUnknownICMP
  case droppedRoutingHeader
  case droppedReplyQueueFull, droppedReplyNoBlock, droppedReplyTooLong
  case droppedShortSegment, droppedBadTCPHeader, droppedBadTCPChecksum, droppedBadTCPOption
  case droppedBadFlags, droppedMissingACK, droppedOutOfWindow, droppedOldTimestamp
  case droppedMissingTimestamp, droppedBadAcknowledgment, droppedBadReset, droppedSYNInConnection
  case droppedConnectionsFull, droppedNeighboursFull, droppedDuplicateData
  case droppedBeyondWindow, droppedNoBlock, droppedNoEntry, droppedOutOfOrderFull
  case droppedDataAfterFIN, droppedForTimeWait
  case arpRequestsSent, arpRepliesSent, arpRequestsSuppressed, arpUnsolicitedIgnored
  case addressConflicts, neighbourSolicitationsSent, neighbourAdvertisementsSent
  case neighboursEvicted, echoRepliesSent
  case segmentsReceived, segmentsSent, bytesReceived, bytesSent
  case connectionsOpened, connectionsFinished, connectionsReset, connectionsAborted
  case connectionsTimedOut, handshakesTimedOut, handshakesReset
  case cookiesSent, cookiesAccepted, cookiesRefused
  case resetsSent, challengesSent, challengesSuppressed
  case segmentsRetransmitted, fastRetransmits, retransmitTimeouts, windowProbesSent
  case keepaliveProbesSent, outOfOrderSegments, duplicateAcknowledgments
  case timeWaitEntered, timeWaitRecycled, timeWaitReused
  case sendsRefusedNoBlock, sendsRefusedNoEntry, sendsRefusedLimit, windowGrantsWithheld

  package var name: StaticString {
    switch self {
    case .framesReceived: "framesReceived"
    case .framesSent: "framesSent"
    case .framesNotForUs: "framesNotForUs"
    case .droppedShortFrame: "droppedShortFrame"
    case .droppedGroupSourceMAC: "droppedGroupSourceMAC"
    case .droppedUnknownEtherType: "droppedUnknownEtherType"
    case .droppedBadARP: "droppedBadARP"
    case .droppedBadIPv4Header: "droppedBadIPv4Header"
    case .droppedBadIPv4Checksum: "droppedBadIPv4Checksum"
    case .droppedFragment: "droppedFragment"
    case .droppedBadIPv6Header: "droppedBadIPv6Header"
    case .droppedBadSource: "droppedBadSource"
    case .droppedUnknownProtocol: "droppedUnknownProtocol"
    case .droppedBadICMP: "droppedBadICMP"
    case .droppedUnknownICMP: "droppedUnknownICMP"
    case .droppedRoutingHeader: "droppedRoutingHeader"
    case .droppedReplyQueueFull: "droppedReplyQueueFull"
    case .droppedReplyNoBlock: "droppedReplyNoBlock"
    case .droppedReplyTooLong: "droppedReplyTooLong"
    case .droppedShortSegment: "droppedShortSegment"
    case .droppedBadTCPHeader: "droppedBadTCPHeader"
    case .droppedBadTCPChecksum: "droppedBadTCPChecksum"
    case .droppedBadTCPOption: "droppedBadTCPOption"
    case .droppedBadFlags: "droppedBadFlags"
    case .droppedMissingACK: "droppedMissingACK"
    case .droppedOutOfWindow: "droppedOutOfWindow"
    case .droppedOldTimestamp: "droppedOldTimestamp"
    case .droppedMissingTimestamp: "droppedMissingTimestamp"
    case .droppedBadAcknowledgment: "droppedBadAcknowledgment"
    case .droppedBadReset: "droppedBadReset"
    case .droppedSYNInConnection: "droppedSYNInConnection"
    case .droppedConnectionsFull: "droppedConnectionsFull"
    case .droppedNeighboursFull: "droppedNeighboursFull"
    case .droppedDuplicateData: "droppedDuplicateData"
    case .droppedBeyondWindow: "droppedBeyondWindow"
    case .droppedNoBlock: "droppedNoBlock"
    case .droppedNoEntry: "droppedNoEntry"
    case .droppedOutOfOrderFull: "droppedOutOfOrderFull"
    case .droppedDataAfterFIN: "droppedDataAfterFIN"
    case .droppedForTimeWait: "droppedForTimeWait"
    case .arpRequestsSent: "arpRequestsSent"
    case .arpRepliesSent: "arpRepliesSent"
    case .arpRequestsSuppressed: "arpRequestsSuppressed"
    case .arpUnsolicitedIgnored: "arpUnsolicitedIgnored"
    case .addressConflicts: "addressConflicts"
    case .neighbourSolicitationsSent: "neighbourSolicitationsSent"
    case .neighbourAdvertisementsSent: "neighbourAdvertisementsSent"
    case .neighboursEvicted: "neighboursEvicted"
    case .echoRepliesSent: "echoRepliesSent"
    case .segmentsReceived: "segmentsReceived"
    case .segmentsSent: "segmentsSent"
    case .bytesReceived: "bytesReceived"
    case .bytesSent: "bytesSent"
    case .connectionsOpened: "connectionsOpened"
    case .connectionsFinished: "connectionsFinished"
    case .connectionsReset: "connectionsReset"
    case .connectionsAborted: "connectionsAborted"
    case .connectionsTimedOut: "connectionsTimedOut"
    case .handshakesTimedOut: "handshakesTimedOut"
    case .handshakesReset: "handshakesReset"
    case .cookiesSent: "cookiesSent"
    case .cookiesAccepted: "cookiesAccepted"
    case .cookiesRefused: "cookiesRefused"
    case .resetsSent: "resetsSent"
    case .challengesSent: "challengesSent"
    case .challengesSuppressed: "challengesSuppressed"
    case .segmentsRetransmitted: "segmentsRetransmitted"
    case .fastRetransmits: "fastRetransmits"
    case .retransmitTimeouts: "retransmitTimeouts"
    case .windowProbesSent: "windowProbesSent"
    case .keepaliveProbesSent: "keepaliveProbesSent"
    case .outOfOrderSegments: "outOfOrderSegments"
    case .duplicateAcknowledgments: "duplicateAcknowledgments"
    case .timeWaitEntered: "timeWaitEntered"
    case .timeWaitRecycled: "timeWaitRecycled"
    case .timeWaitReused: "timeWaitReused"
    case .sendsRefusedNoBlock: "sendsRefusedNoBlock"
    case .sendsRefusedNoEntry: "sendsRefusedNoEntry"
    case .sendsRefusedLimit: "sendsRefusedLimit"
    case .windowGrantsWithheld: "windowGrantsWithheld"
    }
  }
}
