import DPUCore
import MQTTWire
import TopicTrie

/// Room to work on one message. Apart from the engine's state, so that the engine can change
/// while a message is read.
package struct Workbench: ~Copyable {
  /// What is being written; also a request read back when its answer has come.
  var outgoing = FixedArray<UInt8>(repeating: 0, count: outgoingBytes)
  var matcher = TopicMatcher()

  /// A message of the largest size, the topic of its alias, and what a copy may add: identifier
  /// and length fields.
  static var outgoingBytes: Int { OffloadLimits.packetBytesMax + MQTTLimits.stringMax + 32 }
}
