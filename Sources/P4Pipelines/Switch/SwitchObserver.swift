package import DPUCore

/// What the switch decides about a packet, for those who trace it.
package enum SwitchEvent: Equatable, Sendable {
  /// A pass begins: 0 from a port, 4 recirculated, 6 resubmitted. `port` is where the packet came
  /// from outside.
  case ingress(instanceType: Int, port: Int)
  case parserError(Int)
  case cloned(session: Int)
  case digest(list: Int)
  case resubmitted
  case multicast(group: Int)
  /// The packet or copy goes to egress for this port.
  case egress(port: Int, instanceType: Int)
  /// It waits in the queue of its port.
  case queued(port: Int)
  case recirculated
  case sent(port: Int, length: Int)
  /// By its reason.
  case dropped(SwitchCounter)
}

/// Watches a switch at work. Every sink is one and, unless it says otherwise, sees nothing: then
/// the calls are compiled away.
package protocol SwitchObserver: PipelineObserver, ~Copyable {
  /// `packet` of `bank` is where the machine holds it.
  mutating func note(_ event: SwitchEvent, bank: Int, packet: Int)
}

extension PacketSink where Self: ~Copyable {
  package static var isObserving: Bool { false }
  package mutating func ran(
    _ instruction: Int, packets: UInt64, _ machine: borrowing Machine, bank: Int
  ) {}
  package mutating func applied(
    _ table: Int, packets: UInt64, hits: UInt64, _ machine: borrowing Machine, bank: Int
  ) {}
  package mutating func note(_ event: SwitchEvent, bank: Int, packet: Int) {}
}

extension P4Switch {
  /// One packet alone through the switch, and whatever comes of it, in a bounded number of passes.
  /// For a sink that observes; others could as well call `receive` and `run`.
  package mutating func trace<Sink: PacketSink & ~Copyable>(
    _ buffer: PacketBuffer, port: Int, into sink: inout Sink, now: Instant
  ) {
    guard receive(buffer, port: port, now: now) else {
      sink.recycle(buffer)
      return
    }
    drain(into: &sink, now: now)
  }

  @inline(__always)
  mutating func parse<Sink: PacketSink & ~Copyable>(
    bank: Int, _ mask: UInt64, _ sink: inout Sink
  ) {
    if Sink.isObserving {
      machine.parse(bank: bank, mask, &sink)
    } else {
      machine.parse(bank: bank, mask)
    }
  }

  @inline(__always)
  mutating func run<Sink: PacketSink & ~Copyable>(
    _ section: PipelineSection, bank: Int, _ mask: UInt64, _ sink: inout Sink
  ) {
    if Sink.isObserving {
      machine.observe(section, bank: bank, mask, &sink)
      return
    }
    switch section {
    case .parser: machine.parse(bank: bank, mask)
    case .verify: machine.verifyChecksums(bank: bank, mask)
    case .ingress: machine.ingress(bank: bank, mask)
    case .egress: machine.egress(bank: bank, mask)
    case .update: machine.updateChecksums(bank: bank, mask)
    }
  }

  /// Tells the same of several packets.
  @inline(__always)
  func note<Sink: PacketSink & ~Copyable>(
    _ event: SwitchEvent, bank: Int, _ mask: UInt64, _ sink: inout Sink
  ) {
    if !Sink.isObserving { return }
    var bits = mask
    while bits != 0 {
      sink.note(event, bank: bank, packet: bits.trailingZeroBitCount)
      bits &= bits &- 1
    }
  }

  /// Counts a packet that is lost, and tells it.
  @inline(__always)
  mutating func lose<Sink: PacketSink & ~Copyable>(
    _ packet: Int, bank: Int, _ reason: SwitchCounter, _ sink: inout Sink
  ) {
    counters.increment(reason)
    if Sink.isObserving { sink.note(.dropped(reason), bank: bank, packet: packet) }
  }

  @inline(__always)
  mutating func lose<Sink: PacketSink & ~Copyable>(
    _ mask: UInt64, bank: Int, _ reason: SwitchCounter, _ sink: inout Sink
  ) {
    if mask == 0 { return }
    counters.add(mask.nonzeroBitCount, to: reason)
    note(.dropped(reason), bank: bank, mask, &sink)
  }
}
