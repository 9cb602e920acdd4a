import DPUCore

/// What the offload counts. A PUBLISH of a client is either `publishesConsumed` or counted under
/// one of the reasons `relayed...`.
package enum MQTTCounter: Int, CounterKey {
  case connectionsOpened
  case connectionsClosed
  case refusedLinkDown
  case refusedNoChannel
  case abortedLinkDown
  case abortedNoMemory
  case abortedLingering
  case abortedByBroker
  case listenersRefused

  case packetsFromClients
  case packetsFromBroker
  case bytesToBroker
  case bytesToClients

  case publishesConsumed
  case copiesDelivered
  case copiesDroppedSlow
  case copiesDroppedNoMemory
  case copiesTooLarge
  case publishesHeld

  // Why a PUBLISH went to the broker: one reason for each rule, in the order they are tried.
  case relayedOff
  case relayedNotConnected
  case relayedQoS
  case relayedRetained
  case relayedTooLarge
  case relayedMalformed
  case relayedReauthentication
  case relayedAlias
  case relayedDollarTopic
  case relayedLinkStalled
  case relayedNotCertified
  case relayedOpaqueSession
  case relayedTooManyLevels
  case relayedShared
  case relayedOverlapping
  case relayedDiffers
  case relayedLearning
  case relayedLearningFull
  case relayedFence
  case relayedReceiverBehind
  case relayedReceiverFull
  case relayedVariants
  case relayedNoMemory

  // Connections that became byte pipes.
  case rawFraming
  case rawConnect
  case rawRequest
  case rawBrokerFraming
  case rawBrokerPacket
  // Sessions whose subscriptions are not known.
  case opaqueSessionPresent
  case opaqueRaw
  case opaqueRequestLost
  case opaqueTrieFull

  case subscriptionsAdded
  case subscriptionsRemoved
  case absentSessionsForgotten
  case aliasesExpanded
  case aliasesLeftToBroker

  case fencesRaised
  case fencesFallen
  case learningsStarted
  case verdictsPositive
  case verdictsDifferent
  case learningsVoid
  case receiversBehind
  case receiversProven
  case pingsForFence
  case pingsForProof
  case pingsForKeepAlive
  case pingAnswersSwallowed

  package var name: StaticString {
    switch self {
    case .connectionsOpened: "connectionsOpened"
    case .connectionsClosed: "connectionsClosed"
    case .refusedLinkDown: "refusedLinkDown"
    case .refusedNoChannel: "refusedNoChannel"
    case .abortedLinkDown: "abortedLinkDown"
    case .abortedNoMemory: "abortedNoMemory"
    case .abortedLingering: "abortedLingering"
    case .abortedByBroker: "abortedByBroker"
    case .listenersRefused: "listenersRefused"
    case .packetsFromClients: "packetsFromClients"
    case .packetsFromBroker: "packetsFromBroker"
    case .bytesToBroker: "bytesToBroker"
    case .bytesToClients: "bytesToClients"
    case .publishesConsumed: "publishesConsumed"
    case .copiesDelivered: "copiesDelivered"
    case .copiesDroppedSlow: "copiesDroppedSlow"
    case .copiesDroppedNoMemory: "copiesDroppedNoMemory"
    case .copiesTooLarge: "copiesTooLarge"
    case .publishesHeld: "publishesHeld"
    case .relayedOff: "relayedOff"
    case .relayedNotConnected: "relayedNotConnected"
    case .relayedQoS: "relayedQoS"
    case .relayedRetained: "relayedRetained"
    case .relayedTooLarge: "relayedTooLarge"
    case .relayedMalformed: "relayedMalformed"
    case .relayedReauthentication: "relayedReauthentication"
    case .relayedAlias: "relayedAlias"
    case .relayedDollarTopic: "relayedDollarTopic"
    case .relayedLinkStalled: "relayedLinkStalled"
    case .relayedNotCertified: "relayedNotCertified"
    case .relayedOpaqueSession: "relayedOpaqueSession"
    case .relayedTooManyLevels: "relayedTooManyLevels"
    case .relayedShared: "relayedShared"
    case .relayedOverlapping: "relayedOverlapping"
    case .relayedDiffers: "relayedDiffers"
    case .relayedLearning: "relayedLearning"
    case .relayedLearningFull: "relayedLearningFull"
    case .relayedFence: "relayedFence"
    case .relayedReceiverBehind: "relayedReceiverBehind"
    case .relayedReceiverFull: "relayedReceiverFull"
    case .relayedVariants: "relayedVariants"
    case .relayedNoMemory: "relayedNoMemory"
    case .rawFraming: "rawFraming"
    case .rawConnect: "rawConnect"
    case .rawRequest: "rawRequest"
    case .rawBrokerFraming: "rawBrokerFraming"
    case .rawBrokerPacket: "rawBrokerPacket"
    case .opaqueSessionPresent: "opaqueSessionPresent"
    case .opaqueRaw: "opaqueRaw"
    case .opaqueRequestLost: "opaqueRequestLost"
    case .opaqueTrieFull: "opaqueTrieFull"
    case .subscriptionsAdded: "subscriptionsAdded"
    case .subscriptionsRemoved: "subscriptionsRemoved"
    case .absentSessionsForgotten: "absentSessionsForgotten"
    case .aliasesExpanded: "aliasesExpanded"
    case .aliasesLeftToBroker: "aliasesLeftToBroker"
    case .fencesRaised: "fencesRaised"
    case .fencesFallen: "fencesFallen"
    case .learningsStarted: "learningsStarted"
    case .verdictsPositive: "verdictsPositive"
    case .verdictsDifferent: "verdictsDifferent"
    case .learningsVoid: "learningsVoid"
    case .receiversBehind: "receiversBehind"
    case .receiversProven: "receiversProven"
    case .pingsForFence: "pingsForFence"
    case .pingsForProof: "pingsForProof"
    case .pingsForKeepAlive: "pingsForKeepAlive"
    case .pingAnswersSwallowed: "pingAnswersSwallowed"
    }
  }
}
