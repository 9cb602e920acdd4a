/// Capacities of the composition.
enum FirmwareLimits {
  /// Packet buffers of one worker: 1,024 descriptors in each queue of two ports, as much again
  /// in flight, rounded to what suits DPDK's pools.
  static let framesPerWorker = 8_191
  /// Hardware addresses whose port is remembered; more share places and cost a broadcast.
  static let stations = 256
}
