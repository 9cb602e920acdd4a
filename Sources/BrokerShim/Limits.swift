/// Capacities of the shim in the broker's process.
enum ShimLimits {
  /// Descriptors whose use is known; the table costs 64 bytes for each that is ever used.
  static let descriptorsMax = 1 << 20
  /// Listening sockets of one broker; mosquitto has one for each listener and address family.
  static let listenersMax = 64
  /// Connections that wait for the broker's accept, over all listeners: the kernel's default
  /// backlog limit (net.core.somaxconn).
  static let acceptQueueMax = 4096
  /// Connections of all workers and those that only wait for the broker to read their last bytes.
  static let connectionsMax = 32 * 1024
  /// Events taken from the kernel, and frames from one ring, before looking elsewhere.
  static let batch = 256
  static let framesPerTurn = 1024
  /// Waiting between attempts to reach the firmware.
  static let retryFirstMilliseconds: UInt64 = 100
  static let retryLastMilliseconds: UInt64 = 1000
  /// Waiting for the firmware's greeting.
  static let greetingMilliseconds: UInt64 = 2000
  /// From the end of one connection to a firmware on another machine to that of the link.
  static let farewellMilliseconds: UInt64 = 200
  /// Waiting for room in a full ring: nobody rings for that, the firmware empties it in less.
  static let fullRingMilliseconds: Int32 = 1
  /// What the broker still wrote is forwarded for at most so long when its process ends.
  static let exitMilliseconds: Int32 = 300
}
