/// What became of a burst.
package struct TransmitOutcome: Equatable, BitwiseCopyable, Sendable {
  package var sentFrames = 0
  package var sentBytes = 0
  /// Frames the port had no room for.
  package var unsentFrames = 0

  package init() {}
}

/// One worker's share of the network: its own queue on each of its ports, and its own buffers.
///
/// Nothing here blocks. A device is used by one thread only.
package protocol FrameDevice: ~Copyable {
  /// Ports are numbered from zero.
  var portCount: Int { get }

  /// Replaces the content of `burst`, which must be empty, by what arrived on `port`.
  mutating func receive(port: Int, into burst: inout Burst)

  /// Sends the frames of `burst` in order and leaves it empty. What the port has no room for is
  /// recycled, for the caller to count.
  mutating func transmit(port: Int, _ burst: inout Burst) -> TransmitOutcome

  /// An empty frame to write into; nil when all buffers are in use.
  mutating func allocate() -> Frame?

  /// Gives a frame back unsent.
  mutating func recycle(_ frame: consuming Frame)
}
