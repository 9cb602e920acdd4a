import DPUCore
import HostLink

/// The link and the shim, with a `ModelBroker` behind them. Nothing moves until the test says so.
struct FakeLink: BrokerLink, ~Copyable {
  /// What the firmware has put into the ring and the shim has not read.
  enum Command {
    case open(SlabHandle)
    case data(SlabHandle, [UInt8])
    case grant(SlabHandle, Int)
    case shut(SlabHandle)
    case close(SlabHandle)
    case flush(UInt32)
  }

  enum Event {
    case plain(LinkEvent)
    case data(SlabHandle, [UInt8])
  }

  let broker: ModelBroker
  var isUp = true
  var certified = true
  var commands: [Command] = []
  var events: [Event] = []
  /// What the firmware may still send, and the shim.
  var toBroker: [SlabHandle: Int] = [:]
  var toClient: [SlabHandle: Int] = [:]
  /// Longest DATA frame.
  var frameMax = HostLinkLimits.payloadMax
  var refusesChannels = false
  private var bytes = FixedArray<UInt8>(repeating: 0, count: HostLinkLimits.payloadMax)
  private var byteCount = 0

  init(_ broker: ModelBroker) { self.broker = broker }

  // MARK: BrokerLink

  mutating func open(_ channel: SlabHandle, local: LinkAddress, peer: LinkAddress) -> Bool {
    guard isUp, !refusesChannels else { return false }
    toBroker[channel] = HostLinkLimits.window
    commands.append(.open(channel))
    return true
  }

  func sendRoom(_ channel: SlabHandle) -> Int { toBroker[channel] ?? 0 }

  mutating func send(_ channel: SlabHandle, _ bytes: RawSpan) -> Int {
    let count = min(bytes.byteCount, sendRoom(channel))
    guard count > 0 else { return 0 }
    toBroker[channel]! -= count
    commands.append(.data(channel, (0..<count).map { bytes.byte(at: $0) }))
    return count
  }

  mutating func grant(_ channel: SlabHandle, _ count: Int) {
    commands.append(.grant(channel, count))
  }
  mutating func shut(_ channel: SlabHandle) { commands.append(.shut(channel)) }
  mutating func close(_ channel: SlabHandle, reason: HostLink.CloseReason) {
    toBroker[channel] = nil
    commands.append(.close(channel))
  }
  mutating func flush(token: UInt32) -> Bool {
    commands.append(.flush(token))
    return true
  }

  mutating func nextEvent() -> LinkEvent? {
    byteCount = 0
    while !events.isEmpty {
      switch events.removeFirst() {
      case .plain(let event):
        if case .closed(let channel, _) = event {
          guard toBroker[channel] != nil else { continue }
          toBroker[channel] = nil
        }
        return event
      case .data(let channel, let data):
        guard toBroker[channel] != nil else { continue }
        byteCount = data.count
        for (k, byte) in data.enumerated() { bytes[k] = byte }
        return .data(channel, count: data.count)
      }
    }
    return nil
  }

  var eventBytes: RawSpan {
    @_lifetime(borrow self)
    borrowing get { bytes.bytes(0..<byteCount) }
  }

  // MARK: The shim

  /// Carries out the next command. False when there is none.
  mutating func shimReads() -> Bool {
    guard !commands.isEmpty else { return false }
    switch commands.removeFirst() {
    case .open(let id):
      broker.channels[id] = ModelBroker.Channel(id)
      toClient[id] = HostLinkLimits.window
    case .data(let id, let data):
      broker.channels[id]?.input += data
      events.append(.plain(.credit(id)))
      if toBroker[id] != nil { toBroker[id]! += data.count }
    case .grant(let id, let count): toClient[id]? += count
    case .shut(let id): broker.channels[id]?.inputEnded = true
    case .close(let id): broker.channels[id]?.inputEnded = true
    case .flush(let token):
      var complete = true
      for id in broker.channels.keys {
        while shimForwards(id) {}
        if broker.channels[id]?.socket.isEmpty == false { complete = false }
      }
      events.append(.plain(.flushed(token: token, complete: complete)))
    }
    return true
  }

  /// Moves one write of the broker, or as much of it as there is credit for.
  mutating func shimForwards(_ id: SlabHandle) -> Bool {
    guard let channel = broker.channels[id] else { return false }
    if channel.socket.isEmpty {
      guard channel.isClosed, channel.queue.isEmpty else { return false }
      broker.channels[id] = nil
      toClient[id] = nil
      events.append(.plain(.closed(id, .finished)))
      return true
    }
    let count = min(channel.socket[0].count, toClient[id] ?? 0, frameMax)
    guard count > 0 else { return false }
    toClient[id]! -= count
    events.append(.data(id, Array(channel.socket[0].prefix(count))))
    channel.socket[0].removeFirst(count)
    if channel.socket[0].isEmpty { channel.socket.removeFirst() }
    return true
  }
}
