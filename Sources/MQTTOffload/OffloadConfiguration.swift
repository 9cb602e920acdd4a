package import DPUCore

/// What an operator decides about the offload.
package struct OffloadConfiguration: BitwiseCopyable, Sendable {
  /// Whether messages may be delivered without the broker.
  package enum Consume: UInt8, BitwiseCopyable, Sendable {
    /// Everything goes through the broker.
    case off
    /// While the shim certifies that nobody but offloaded connections can receive from it.
    case certified
  }

  /// How the offload knows that the broker would deliver to those it would deliver to.
  package enum Verify: UInt8, BitwiseCopyable, Sendable {
    /// By watching the broker deliver one message of each publisher and topic first, and again
    /// after `verdictLifetime`. Right whatever access rules the broker has.
    case learned
    /// By the operator's word that the broker has no access rules.
    case trust
  }

  package var consume = Consume.certified
  package var verify = Verify.learned
  /// Connections at once; must be what the TCP stack has.
  package var connectionsMax = 16_384
  /// Persistent sessions remembered while their clients are away, beyond `connectionsMax`.
  package var absentSessionsMax = 4_096
  package var subscriptionsMax = 262_144
  /// (publisher, topic) pairs whose verdict is remembered.
  package var verdictsMax = 65_536
  /// SUBSCRIBE and UNSUBSCRIBE packets without an answer, over all clients.
  package var requestsMax = 8_192
  /// Topic aliases, over all clients.
  package var aliasesMax = 16_384
  /// Blocks of 1 KB that keep incomplete packets, unanswered requests and aliases.
  package var keptBlocks = 16_384
  /// Size of the transport's blocks.
  package var blockSize = 2_048

  /// Larger PUBLISH packets are left to the broker; at most `OffloadLimits.packetBytesMax`.
  package var messageBytesMax = OffloadLimits.packetBytesMax
  package var verdictLifetime = Interval.seconds(5)
  /// How long a message may wait in front of the offload for an earlier one to leave the broker.
  package var holdMax = Interval.milliseconds(100)
  /// How long a receiver may lag before messages no longer go through the broker for its sake
  /// and its copies are dropped.
  package var slowReceiverGrace = Interval.seconds(1)

  /// Keys of all hashes; random, and different at every start.
  package var key0: UInt64
  package var key1: UInt64

  package init(keys: (UInt64, UInt64)) { (key0, key1) = keys }
}

/// Those decisions about the offload that can change while messages pass.
package struct OffloadPolicy: BitwiseCopyable, Sendable {
  package var consume: OffloadConfiguration.Consume
  package var verify: OffloadConfiguration.Verify
  package var verdictLifetime: Interval
  package var messageBytesMax: Int

  package init(_ configuration: OffloadConfiguration) {
    consume = configuration.consume
    verify = configuration.verify
    verdictLifetime = configuration.verdictLifetime
    messageBytesMax = configuration.messageBytesMax
  }
}
