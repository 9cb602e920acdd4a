package import DPUCore
import PacketWire
import Synchronization

/// A TCP/IP host on one link and one core: frames and a time in, frames and events out.
///
/// Each turn: `receive` every frame, take events with `nextEvent` and act on them, `advance`,
/// `transmit`. Nothing here reads a clock, and nothing allocates after `init`. A connection
/// announced by `.opened` keeps its handle until its `.closed` event was taken; calls with a
/// handle that is no longer valid do nothing.
package struct TCPStack: ~Copyable {
  package let configuration: TCPConfiguration
  package let counters = Counters<TCPCounter>()
  /// Blocks of everything in flight. An application writes a message for many connections into
  /// a block of its own, sends it to each with `send(_:sharing:_:)` and releases it.
  package var pool: BlockPool
  var entries: EntryPool
  var connections: Slab<Connection>
  var table: ConnectionTable
  var timeWaits: TimeWaitTable
  var neighbours: NeighbourTable
  var timers: TimerWheel
  var ready = ConnectionList()
  var eventHead: UInt32 = .max
  var eventTail: UInt32 = .max
  var replies: ReplyQueue
  var listeners: FixedArray<Listener>
  var listenerCount = 0
  var halfOpenCount = 0
  /// When the last SYN was answered by a cookie.
  var cookiesSentAt: Instant?
  /// The time of the last call that was given one.
  var now: Instant
  /// Blocks that received data may not take, so that senders and answers keep going.
  let reserve: Int
  /// Below this many free blocks windows are opened sparingly.
  let lowMark: Int
  let linkLocal: IPAddress
  let flowHash: FlowHash
  var sharedSum = SharedSum()
  /// Never used. An atomic has a fixed address, so the compiler passes the stack by reference;
  /// without it, every call of a non-mutating method copies a kilobyte.
  private let anchor = Atomic<Bool>(false)

  package init(configuration: TCPConfiguration, now: Instant) {
    precondition(configuration.connectionsMax > 0 && configuration.blockSize >= 128)
    precondition(configuration.mtu >= 576 && configuration.mtu <= 65_535)
    precondition(configuration.receiveLimit > 0 && configuration.receiveLimit < 1 << 30)
    self.configuration = configuration
    self.now = now
    pool = BlockPool(blockCount: configuration.blockCount, blockSize: configuration.blockSize)
    entries = EntryPool(capacity: configuration.entriesMax)
    let nowhere = SocketAddress(ip: .unspecified, port: 0)
    let syn = SegmentHeader(
      sequence: SequenceNumber(0), acknowledgment: SequenceNumber(0), flags: [], window: 0,
      options: TCPOptions())
    connections = Slab(
      repeating: Connection(
        local: nowhere, remote: nowhere, tag: 0, hash: 0, initialSend: SequenceNumber(0),
        timestampOffset: 0, syn: syn, configuration: configuration, now: now),
      capacity: configuration.connectionsMax)
    table = ConnectionTable(capacity: configuration.connectionsMax)
    timeWaits = TimeWaitTable(capacity: configuration.timeWaitMax)
    neighbours = NeighbourTable(
      capacity: configuration.neighboursMax, key0: configuration.hashKey1,
      key1: configuration.hashKey0)
    timers = TimerWheel(
      capacity: configuration.connectionsMax, tick: .milliseconds(1), now: now)
    replies = ReplyQueue(capacity: TCPLimits.repliesMax)
    listeners = FixedArray(repeating: Listener(port: 0, tag: 0), count: TCPLimits.listenersMax)
    reserve = configuration.blockCount / 8
    lowMark = configuration.blockCount / 4
    linkLocal = IPAddress(linkLocalOf: configuration.mac)
    flowHash = FlowHash(key0: configuration.hashKey0, key1: configuration.hashKey1)
  }

  // MARK: Listening

  package struct Listener: BitwiseCopyable {
    var port: UInt16
    var tag: UInt32
  }

  /// Accepts connections to `port`, on all addresses; their events carry `tag`. False when
  /// somebody listens there already or there are too many listeners.
  package mutating func listen(_ port: UInt16, tag: UInt32) -> Bool {
    guard listenerTag(port) == nil, listenerCount < listeners.count else { return false }
    listeners[listenerCount] = Listener(port: port, tag: tag)
    listenerCount += 1
    return true
  }

  /// Refuses connections to `port` from now on; those that exist stay.
  package mutating func unlisten(_ port: UInt16) {
    for i in 0..<listenerCount where listeners[i].port == port {
      listenerCount -= 1
      listeners[i] = listeners[listenerCount]
      return
    }
  }

  func listenerTag(_ port: UInt16) -> UInt32? {
    for i in 0..<listenerCount where listeners[i].port == port { return listeners[i].tag }
    return nil
  }

  // MARK: Events

  /// The next thing that happened, nil when all is told.
  package mutating func nextEvent() -> TCPEvent? {
    let index = eventHead
    guard index != .max, let handle = connections.handle(at: index) else { return nil }
    let tag = connections[index].tag
    let pending = connections[index].pending
    let kind: TCPEvent.Kind
    if pending.contains(.opened) {
      connections[index].pending.remove(.opened)
      kind = .opened
    } else if pending.contains(.readable) {
      connections[index].pending.remove(.readable)
      kind = .readable
    } else if pending.contains(.writable) {
      connections[index].pending.remove(.writable)
      kind = .writable
    } else if pending.contains(.peerClosed) {
      connections[index].pending.remove(.peerClosed)
      kind = .peerClosed
    } else {
      connections[index].pending.remove(.closed)
      kind = .closed(connections[index].closeReason)
    }
    if connections[index].pending.isEmpty {
      eventHead = connections[index].eventNext
      if eventHead == .max { eventTail = .max }
      connections[index].flags.remove(.inEventList)
    }
    if case .closed = kind { dispose(index) }
    return TCPEvent(kind: kind, connection: handle, tag: tag)
  }

  /// Notes an event for the application; nothing for a connection it was not told of.
  mutating func announce(_ event: Connection.Pending, on index: UInt32) {
    guard connections[index].flags.contains(.announced) else { return }
    connections[index].pending.insert(event)
    if connections[index].flags.contains(.inEventList) { return }
    connections[index].flags.insert(.inEventList)
    connections[index].eventNext = .max
    if eventTail == .max { eventHead = index } else { connections[eventTail].eventNext = index }
    eventTail = index
  }

  // MARK: The end of a connection

  /// Ends a connection at once: off the table, the timers and the ready list. Readable bytes
  /// stay until the application has taken the `.closed` event.
  mutating func end(_ index: UInt32, _ reason: CloseReason) {
    if connections[index].state == .closed { return }
    if connections[index].state == .synReceived { halfOpenCount -= 1 }
    connections[index].state = .closed
    connections[index].closeReason = reason
    table.remove(index, from: &connections)
    timers.cancel(index)
    connections[index].retransmitAt = .distantFuture
    connections[index].lifetimeAt = .distantFuture
    connections[index].wheelAt = .distantFuture
    leaveList(index)
    connections[index].queue.releaseAll(pool: &pool, entries: &entries)
    connections[index].receive.releaseEarly(pool: &pool, entries: &entries)
    if connections[index].flags.contains(.announced) {
      announceEnd(index)
    } else {
      dispose(index)
    }
  }

  /// Tells of the end. An orderly end waits until everything received was read, at most for as
  /// long as a peer may be silent in FIN-WAIT-2.
  private mutating func announceEnd(_ index: UInt32) {
    if connections[index].closeReason == .finished, connections[index].receive.readableCount > 0 {
      connections[index].flags.insert(.endsWhenRead)
      connections[index].lifetimeAt = now + configuration.finWait
      updateTimer(index)
      return
    }
    announce(.closed, on: index)
  }

  private mutating func dispose(_ index: UInt32) {
    guard let handle = connections.handle(at: index) else { return }
    timers.cancel(index)
    connections[index].receive.releaseAll(pool: &pool, entries: &entries)
    connections.remove(handle)
  }

  mutating func leaveList(_ index: UInt32) {
    switch connections[index].list {
    case .none: break
    case .ready: ready.remove(index, in: &connections)
    case .awaitingNeighbour:
      let neighbour = connections[index].neighbour
      neighbours[neighbour].waiting.remove(index, in: &connections)
    }
  }

  /// Puts a connection among those that `transmit` visits.
  @inline(__always)
  mutating func markReady(_ index: UInt32) {
    if connections[index].list == .none { ready.append(index, as: .ready, in: &connections) }
  }
}
