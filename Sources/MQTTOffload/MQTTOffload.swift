package import DPUCore
package import HostLink
import MQTTWire
package import TCPLite

/// The offload of one core: clients on one side, the broker on the other, and what may go from
/// client to client without the broker.
///
/// In each turn: `handle` every event of the transport, then `pump`. Nothing here reads a clock or
/// allocates after `init`. How it decides: docs/mqtt-offload.md.
package struct MQTTOffload<
  Transport: ClientTransport & ~Copyable, Link: BrokerLink & ~Copyable
>: ~Copyable {
  package var engine: OffloadEngine<Transport, Link>
  /// A packet of a client, and one of the broker that came in pieces.
  private var incoming: FixedArray<UInt8>
  private var assembled: FixedArray<UInt8>
  /// The topic of the message at hand, its alias resolved.
  private var name: FixedArray<UInt8>
  private var bench = Workbench()

  /// Listens where the broker does, with `listenerTag` on the transport.
  package init(
    _ configuration: OffloadConfiguration, listenerTag: UInt32, now: Instant
  ) {
    engine = OffloadEngine(configuration, listenerTag: listenerTag, now: now)
    incoming = FixedArray(repeating: 0, count: OffloadLimits.packetBytesMax)
    name = FixedArray(repeating: 0, count: MQTTLimits.stringMax)
    assembled = FixedArray(repeating: 0, count: OffloadLimits.packetBytesMax)
  }

  package var counters: CounterReader { engine.counters.reader }
  /// When `pump` is wanted although nothing happened; it may come to nothing.
  package var nextDeadline: Instant? {
    engine.ready.count > 0 ? engine.lastTurn : engine.deadlines.nextDeadline
  }

  /// An event of a connection to one of our ports.
  package mutating func handle(
    _ event: TCPEvent, stack: inout Transport, link: inout Link, now: Instant
  ) {
    engine.lastTurn = now
    if case .opened = event.kind {
      return engine.open(event.connection, &stack, &link, now)
    }
    guard let i = engine.session(of: event.connection) else { return }
    switch event.kind {
    case .opened: break
    case .readable: progress(i, &stack, &link, now)
    case .writable: engine.settle(i, &stack, &link)
    case .peerClosed:
      engine.sessions[i].clientEnded = true
      progress(i, &stack, &link, now)
    case .closed(let reason): engine.clientGone(i, finished: reason == .finished, &link)
    }
  }

  /// Takes what the broker sent and does what has become due.
  package mutating func pump(stack: inout Transport, link: inout Link, now: Instant) {
    engine.lastTurn = now
    engine.copiesLeft = OffloadLimits.copiesPerTurn
    var left = OffloadLimits.linkEventsPerTurn
    while left > 0, let event = link.nextEvent() {
      handle(event, &stack, &link, now)
      left -= 1
    }
    engine.expire(&stack, &link, now)
    // Each once: who asks again meanwhile gets the next turn.
    var next = engine.ready.first(from: 0)
    while let i = next {
      engine.ready.remove(i)
      if engine.sessions[i].phase != .free { progress(i, &stack, &link, now) }
      next = engine.ready.first(from: i + 1)
    }
    engine.flush(&link)
  }

  /// What would become of a QoS 0 message to `topic` now, and who would get it.
  package mutating func explain(
    publisher: SlabHandle?, topic: RawSpan, link: borrowing Link, now: Instant
  ) -> Explanation {
    engine.explain(publisher, topic, &bench, link, now)
  }

  private mutating func progress(
    _ i: UInt32, _ stack: inout Transport, _ link: inout Link, _ now: Instant
  ) {
    engine.progress(i, &incoming, &name, &bench, &stack, &link, now)
  }

  private mutating func handle(
    _ event: LinkEvent, _ stack: inout Transport, _ link: inout Link, _ now: Instant
  ) {
    switch event {
    case .up, .certificate, .accepted: break
    case .down: engine.linkDown(&stack, &link)
    case .stalled: engine.isStalled = true
    case .resumed: engine.isStalled = false
    case .listen(let address): listen(address.port, &stack)
    case .unlisten(let address):
      if case .last = engine.listeners.remove(address.port) { stack.unlisten(address.port) }
    case .flushed(let token, _): engine.flushed(token)
    case .data(let channel, _):
      guard let i = engine.session(of: channel) else { return }
      engine.receiveFromBroker(i, link.eventBytes, &assembled, &bench, &stack)
      engine.settle(i, &stack, &link)
    case .credit(let channel):
      if let i = engine.session(of: channel) { progress(i, &stack, &link, now) }
    case .shut(let channel):
      guard let i = engine.session(of: channel) else { return }
      engine.sessions[i].brokerEnded = true
      engine.settle(i, &stack, &link)
    case .closed(let channel, let reason):
      guard let i = engine.session(of: channel), engine.sessions[i].hasChannel else { return }
      // A broker that closes with something of the client unread resets its side; what it wrote
      // before, such as its DISCONNECT, has left all the same.
      if reason == .refused {
        engine.abort(i, .abortedByBroker, &stack, &link)
      } else {
        engine.brokerClosed(i, &stack, &link, now: now)
      }
    }
  }

  private mutating func listen(_ port: UInt16, _ stack: inout Transport) {
    switch engine.listeners.add(port) {
    case .none, .last: break
    case .first:
      if !stack.listen(port, tag: engine.listenerTag) {
        engine.counters.increment(.listenersRefused)
      }
    case .refused: engine.counters.increment(.listenersRefused)
    }
  }
}
