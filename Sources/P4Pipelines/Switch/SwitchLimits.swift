package import DPUCore

/// Capacities of a switch. Everything is allocated when the switch is made.
package enum SwitchLimits {
  /// Ports 0..<512: egress_spec has nine bits in v1model.
  package static let ports = 512
  /// The egress_spec that means "drop", BMv2's default.
  package static let dropPort = 511
  /// Packets waiting for ingress: eight bursts of 32 from each of two ports.
  package static let arrivals = 512
  /// Packets waiting for another pass, as in BMv2.
  package static let recirculating = 1024
  /// Packets waiting per egress port and priority, as in BMv2.
  package static let queueDepth = 64
  /// Levels of egress priority: the field has three bits.
  package static let priorities = 8
  /// Packets that wait with their headers and metadata: in rated queues, and clones made by
  /// egress until the batch at hand is through.
  package static let held = 2048
  /// Ingress passes per `run` unless the caller says otherwise: eight batches, some ten
  /// microseconds, after which the poll loop looks at its ports again.
  package static let budget = 512
  /// What a batch costs of the budget at least, however few packets it has.
  package static let batchCost = 8
  /// Runs that a program swap waits for packets that go round.
  package static let drainRounds = 64
  /// Sessions that may exist at once; their numbers have 15 bits.
  package static let sessions = 1024
  package static let sessionNumberMax = 0x7fff
  package static let groups = 1024
  package static let nodes = 4096
  package static let digests = 1024
}

/// What may differ between two switches of the same program.
package struct SwitchOptions: Sendable {
  /// Ports 0..<portCount exist; a packet for another port is dropped and counted.
  package var portCount = SwitchLimits.ports
  package var queueDepth = SwitchLimits.queueDepth
  package var recirculating = SwitchLimits.recirculating
  package var held = SwitchLimits.held
  /// Feeds the `random` extern; the same seed and the same packets give the same results.
  package var seed: UInt64 = 1
  /// Where the microsecond timestamps that programs see begin.
  package var start = Instant.zero

  package init() {}
}
