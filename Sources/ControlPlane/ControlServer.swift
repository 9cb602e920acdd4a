import CLinux
package import DPUCore

/// Serves the control socket on a thread of its own.
///
/// One line is one request, with the body that it announces. Nobody can hold up the others: sockets
/// never block, a client that does not read its reply is not read from either, and after a while it
/// is closed.
package final class ControlServer<Source: ControlSource>: @unchecked Sendable {
  private let listener: ControlListener
  private let source: Source
  private var handler: RequestHandler<Source>
  /// Of the handler, for other threads.
  package let counters: CounterReader
  /// Its members are operators; nil: there are none but administrators.
  private let operators: UInt32?
  private let patience: Patience
  private let poller: Int32
  private let bell: Int32
  private var thread: ControlThread?

  // Of the control thread only.
  private var clients: [ControlClient?]
  private var buffer = [UInt8](repeating: 0, count: 65_536)
  private var isStopping = false
  private var hasNewcomers = false
  private var events = EventSource()

  package init(
    _ listener: ControlListener, source: Source, keeper: ConfigurationKeeper<Source>? = nil,
    patience: Patience = Patience()
  ) throws(StartFailure) {
    self.listener = listener
    self.patience = patience
    self.source = source
    operators = try keeper?.running.control.operators.map { (name) throws(StartFailure) in
      let group = unsafe name.withCString { unsafe clinux_control_group($0) }
      guard group >= 0 else { throw StartFailure("control.operators: there is no group \(name)") }
      return UInt32(group)
    }
    handler = RequestHandler(source: source, keeper: keeper)
    counters = handler.counters.reader
    clients = Array(repeating: nil, count: Limits.clients)
    poller = clinux_control_poller()
    bell = clinux_control_bell()
    let readable = clinux_control_readable.rawValue
    guard poller >= 0, bell >= 0,
      clinux_control_watch(poller, listener.descriptor, readable, Token.listener) == 0,
      clinux_control_watch(poller, bell, readable, Token.bell) == 0
    else { throw StartFailure("cannot wait for the control socket: out of descriptors") }
  }

  deinit {
    for client in clients { if let client { clinux_control_close(client.descriptor) } }
    if bell >= 0 { clinux_control_close(bell) }
    if poller >= 0 { clinux_control_close(poller) }
  }

  /// Serves from now on, on `processors`.
  package func start(on processors: Processors) throws(StartFailure) {
    thread = try ControlThread(on: processors) { self.run() }
  }

  /// Ends the thread and closes all connections; replies that are under way are still handed to
  /// the kernel. Call once, after `start`.
  package func stop() {
    clinux_control_ring(bell)
    thread?.join()
    thread = nil
  }

  // MARK: The loop

  private func run() {
    var events = [clinux_control_event](repeating: clinux_control_event(), count: 64)
    var hasWork = false
    while !isStopping {
      let timeout = hasWork ? 0 : millisecondsToDeadline()
      let count = unsafe events.withUnsafeMutableBufferPointer {
        unsafe clinux_control_wait(poller, $0.baseAddress!, Int32($0.count), timeout)
      }
      for index in 0..<max(0, Int(count)) { handle(events[index]) }
      hasWork = false
      for slot in clients.indices where clients[slot] != nil {
        if serve(slot) { hasWork = true }
      }
      if tellEvents() { hasWork = true }
      closeLate()
      // Last, so that who left has made room for who comes.
      if hasNewcomers { accept() }
    }
    for slot in clients.indices { close(slot) }
  }

  private func handle(_ event: clinux_control_event) {
    switch event.token {
    case Token.bell: isStopping = true
    case Token.listener: hasNewcomers = true
    default:
      // An event closes no client but its own, so this is the one that was meant.
      receive(Int(event.token))
    }
  }

  /// Gives newcomers the free slots, or refuses one when there is none. The others wait a round:
  /// who left before they came must have been noticed.
  private func accept() {
    hasNewcomers = false
    guard clients.contains(where: { $0 == nil }) else {
      if let client = nextNewcomer() { turnAway(client) }
      return
    }
    for slot in clients.indices where clients[slot] == nil {
      guard let client = nextNewcomer() else { return }
      let readable = clinux_control_readable.rawValue
      guard clinux_control_watch(poller, client.descriptor, readable, UInt64(slot)) == 0 else {
        turnAway(client)
        continue
      }
      handler.counters.increment(.connections)
      clients[slot] = client
    }
  }

  private func nextNewcomer() -> ControlClient? {
    var user: UInt32 = 0
    let descriptor = unsafe clinux_control_accept(listener.descriptor, &user)
    guard descriptor >= 0 else { return nil }
    return ControlClient(descriptor: descriptor, caller: caller(descriptor, user: user))
  }

  private func caller(_ descriptor: Int32, user: UInt32) -> Caller {
    if user == 0 || user == clinux_control_user() { return Caller(.administrator, user: user) }
    if let operators, clinux_control_is_member(descriptor, operators) > 0 {
      return Caller(.operator, user: user)
    }
    return Caller(.reader, user: user)
  }

  private func turnAway(_ newcomer: ControlClient) {
    var client = newcomer
    let error = RPCError(
      .tooManyConnections, "\(Limits.clients) connections are open already")
    client.send(handler.complaint(error), now: now)
    _ = client.flush(now: now)
    clinux_control_close(client.descriptor)
  }

  private func receive(_ slot: Int) {
    guard clients[slot]?.wantsInput == true else { return }
    if !clients[slot]!.receive(into: &buffer, now: now) {
      handler.counters.increment(.closedError)
      close(slot)
    }
  }

  /// Answers requests and sends what can be sent. True when requests are left for the next round.
  private func serve(_ slot: Int) -> Bool {
    guard flush(slot) else { return false }
    for _ in 0..<Limits.requestsPerTurn {
      guard clients[slot]!.mayBeAnswered else { break }
      switch clients[slot]!.nextRequest(now: now) {
      case .whole(let line, let body):
        if line.body == .unknown { clients[slot]!.closeWhenFlushed() }
        let reply = handler.handle(line, body: body, from: clients[slot]!.caller)
        let effects = handler.takeEffects()
        clients[slot]!.send(reply, with: effects.descriptor, now: now)
        if let subscription = effects.subscription { clients[slot]!.subscription = subscription }
      case .lineTooLong:
        clients[slot]!.closeWhenFlushed()
        refuse(slot, .requestTooLarge, "a request has at most \(Limits.requestBytes) bytes")
      case .bodyTooLong:
        clients[slot]!.closeWhenFlushed()
        refuse(slot, .requestTooLarge, "a body has at most \(Limits.bodyBytes) bytes")
      case .cutOff:
        clients[slot]!.closeWhenFlushed()
        refuse(slot, .halfRequest, "the connection ended before the body did")
      case .none:
        if clients[slot]!.hasEnded { clients[slot]!.closeWhenFlushed() }
        if flush(slot) { watch(slot) }
        return false
      }
      guard flush(slot) else { return false }
    }
    watch(slot)
    return clients[slot]!.mayBeAnswered
  }

  /// What somebody subscribed to.
  private var wanted: EventKinds {
    var kinds = EventKinds()
    for client in clients { if let client { kinds.formUnion(client.subscription) } }
    return kinds
  }

  /// Posts what has happened and hands it to those who subscribed. True when a reply has to go out.
  private func tellEvents() -> Bool {
    events.look(source, wanted, now: now)
    var hasSent = false
    for event in source.journal.takePending() {
      for slot in clients.indices where clients[slot]?.subscription.contains(event.kind) == true {
        if clients[slot]!.send(event, now: now) {
          hasSent = true
        } else {
          handler.counters.increment(.droppedEvents)
        }
      }
    }
    return hasSent
  }

  private func refuse(_ slot: Int, _ code: RPCError.Code, _ message: Text) {
    clients[slot]!.send(handler.complaint(RPCError(code, message)), now: now)
  }

  /// False when the client is closed.
  private func flush(_ slot: Int) -> Bool {
    guard clients[slot]!.flush(now: now) else {
      handler.counters.increment(.closedError)
      close(slot)
      return false
    }
    if clients[slot]!.isClosing, !clients[slot]!.hasOutput {
      close(slot)
      return false
    }
    return true
  }

  private func watch(_ slot: Int) {
    let readiness: clinux_control_readiness =
      clients[slot]!.hasOutput ? clinux_control_writable : clinux_control_readable
    _ = clinux_control_watch(
      poller, clients[slot]!.descriptor, readiness.rawValue, UInt64(slot))
  }

  private func close(_ slot: Int) {
    guard let client = clients[slot] else { return }
    clinux_control_close(client.descriptor)
    clients[slot] = nil
  }

  // MARK: Time

  private var now: Instant { Instant(nanoseconds: clinux_control_now()) }

  private func millisecondsToDeadline() -> Int32 {
    var earliest = events.deadline(wanted)
    for client in clients {
      if let (deadline, _) = client?.deadline(patience) { earliest = min(earliest, deadline) }
    }
    // Rounded up, so that the deadline has come when the wait ends.
    return earliest <= now ? 0 : Int32(clamping: (earliest - now).milliseconds + 1)
  }

  private func closeLate() {
    let now = now
    for slot in clients.indices {
      guard let (deadline, lateness) = clients[slot]?.deadline(patience), deadline <= now else {
        continue
      }
      switch lateness {
      case .halfRequest:
        clients[slot]!.closeWhenFlushed()
        refuse(slot, .halfRequest, "the rest of the request did not come in time")
        _ = flush(slot)
      case .unreadReply:
        handler.counters.increment(.closedUnreadReply)
        close(slot)
      }
    }
  }
}

/// Tokens of the poller that are not slots of clients.
private enum Token {
  static let listener: UInt64 = .max
  static let bell: UInt64 = .max - 1
}
