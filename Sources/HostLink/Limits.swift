/// Capacities of the link between the firmware and the shim in the broker.
package enum HostLinkLimits {
  /// Bytes that may be on their way in one channel and one direction. One TCP window of a local
  /// network; 1,000 stalled channels then hold at most 64 MB in the broker's process.
  package static let window = 64 * 1024
  /// Payload of one frame: large enough that a 3 MB message costs 190 frames, small enough that
  /// no channel keeps the others waiting.
  package static let payloadMax = 16 * 1024
  /// Bytes of one ring unless configured: fits the second-level cache of the Arm cores.
  package static let ringBytes = 1 << 20
  package static let ringBytesMin = 4 * (payloadMax + 64)
  package static let ringBytesMax = 1 << 28
  /// Part of a ring that DATA leaves to control frames: an eighth keeps CLOSE and CREDIT moving
  /// behind a full ring.
  package static let controlShare = 8
  /// Channels of one ring pair that a peer may ask for; the table of 32-byte entries stays
  /// below 32 MB.
  package static let channelsMax = 1 << 20
  /// Ring pairs of one attachment: one per poll core. Three descriptors each must fit one
  /// SCM_RIGHTS message (253).
  package static let workersMax = 32
}
