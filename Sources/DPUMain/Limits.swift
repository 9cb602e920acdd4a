/// Capacities of the composition.
enum FirmwareLimits {
  /// Packet buffers of one worker: 1,024 descriptors in each queue of two ports, as much again
  /// in flight, rounded to what suits DPDK's pools.
  static let framesPerWorker = 8_191
  /// Hardware addresses whose port is remembered; more share places and cost a broadcast.
  static let stations = 256
  /// Bytes of a topic or client identifier that an operator may ask about: what MQTT allows.
  static let topicBytes = 65_535
  /// Rows a poll loop writes in one turn; a longer list is fetched in parts, so that no turn is
  /// held up for more than some microseconds.
  static let rowsPerAnswer = 128
  /// Places, most of them free perhaps, that a poll loop looks at for one answer.
  static let placesPerAnswer = 2_048
  /// Frames on their way from a worker to the one with the stack: sixteen bursts.
  static let framesHandedOver = 512
  /// Ethernet with two tags, in front of the largest packet.
  static let frameHeaders = 22
  /// Of those, how many the stack takes from each worker in a turn: a burst.
  static let framesTakenOver = 32
  static let receiversPerAnswer = 256
}
