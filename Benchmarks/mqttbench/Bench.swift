import CEpoll
import Glibc

/// One publisher and N subscribers in one thread over epoll.
///
/// It shares a small machine with what it measures, so it reads as much as there is with one
/// call per ready connection, parses in place, and sleeps when nothing is to do.
final class Bench {
  private static let publisher = 0
  private static let connectsAtOnce = 64

  let options: Options
  private let poller: Int32
  private let run: UInt64
  /// The publisher, then the subscribers.
  private var connections: [Connection] = []
  private var connected = 0
  private var subscribed = 0
  private let events: UnsafeMutableBufferPointer<epoll_event>
  private let buffer: UnsafeMutableRawBufferPointer

  private(set) var tally: Tally
  private(set) var published = 0
  private var completed = 0
  private var sentAt: [UInt64]
  /// Publish to last subscriber, nanoseconds, in order of completion; warm-up included.
  private var latencies: [UInt64] = []
  private(set) var foreign = 0
  private var packet: (bytes: [UInt8], payload: Int)

  init(_ options: Options) throws(BenchFailure) {
    self.options = options
    let messages = options.warmup + options.publishes + options.burst
    tally = Tally(subscribers: options.subscribers, messages: messages)
    sentAt = Array(repeating: 0, count: messages)
    latencies.reserveCapacity(messages)
    packet = Packets.publish(
      topic: options.topic, payloadBytes: options.payloadBytes, v5: options.version == .v5)
    run = monotonicNanoseconds() ^ UInt64(getpid()) << 48
    events = .allocate(capacity: 1024)
    buffer = .allocate(byteCount: 256 * 1024, alignment: 16)
    poller = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard poller >= 0 else { throw .system("epoll_create1", errno: errno) }
  }

  // MARK: Phases

  /// Opens all connections and subscribes, a few at a time: a broker's backlog is short.
  func connectAll() throws(BenchFailure) {
    for index in 0...options.subscribers {
      let v5 =
        switch options.version {
        case .v311: false
        case .v5: true
        case .mixed: index % 2 == 1
        }
      let connection = try Connection(host: options.host, port: options.port, v5: v5)
      connections.append(connection)
      // EPOLLOUT reports the established connection; then CONNECT is sent.
      try watch(index, EPOLLOUT.rawValue, EPOLL_CTL_ADD)
      if connections.count - connected >= Self.connectsAtOnce {
        try wait("CONNACK") { connections.count - connected < Self.connectsAtOnce / 2 }
      }
    }
    try wait("CONNACK and SUBACK") {
      connected == connections.count && subscribed == options.subscribers
    }
  }

  /// Publishes `count` messages with up to `window` on their way; false when one was given up.
  func publish(_ count: Int, window: Int) throws(BenchFailure) -> Bool {
    let last = published + count
    var given = 0
    while published < last || completed + given < published {
      while published < last, published - completed - given < window { try publishOne() }
      let before = (completed, tally.deliveries)
      let deadline = monotonicNanoseconds() + UInt64(options.timeoutSeconds) * 1_000_000_000
      while (completed, tally.deliveries) == before, monotonicNanoseconds() < deadline {
        _ = try turn(timeoutMilliseconds: options.timeoutSeconds * 1000)
      }
      if (completed, tally.deliveries) == before {
        given = published - completed
        // A path that loses this much is not measured further.
        if given > 10 { return false }
      }
    }
    return given == 0
  }

  /// Waits for latecomers and repeats until nothing has come for `milliseconds`.
  func settle(milliseconds: Int) throws(BenchFailure) {
    while try turn(timeoutMilliseconds: milliseconds) > 0 {}
  }

  func disconnectAll() {
    for connection in connections {
      try? connection.send(Packets.disconnect)
      close(connection.descriptor)
    }
  }

  /// The latencies of the messages completed since there were `count` of them.
  func latencies(since count: Int) -> [UInt64] { Array(latencies[count...]) }
  var completedCount: Int { completed }

  // MARK: The loop

  private func publishOne() throws(BenchFailure) {
    Payload.write(
      run: run, sequence: UInt64(published), into: &packet.bytes, at: packet.payload)
    sentAt[published] = monotonicNanoseconds()
    published += 1
    try connections[Self.publisher].send(packet.bytes)
  }

  private func wait(_ what: String, until done: () -> Bool) throws(BenchFailure) {
    // A thousand connects may take a busy machine a while; silence is what counts.
    while !done() {
      guard try turn(timeoutMilliseconds: 10_000) > 0 else { throw .refused("no \(what) in 10 s") }
    }
  }

  /// One epoll_wait and what it reports. Returns the number of events.
  private func turn(timeoutMilliseconds: Int) throws(BenchFailure) -> Int {
    let count = epoll_wait(
      poller, events.baseAddress, Int32(events.count), Int32(timeoutMilliseconds))
    guard count >= 0 else {
      if errno == EINTR { return 1 }
      throw .system("epoll_wait", errno: errno)
    }
    for event in events[..<Int(count)] {
      let index = Int(event.data.u32)
      if event.events & EPOLLOUT.rawValue != 0 {
        try established(index)
      } else {
        try receive(index)
      }
    }
    return Int(count)
  }

  private func established(_ index: Int) throws(BenchFailure) {
    var failure: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    getsockopt(connections[index].descriptor, SOL_SOCKET, SO_ERROR, &failure, &size)
    guard failure == 0 else { throw .system("connect", errno: failure) }
    try watch(index, EPOLLIN.rawValue, EPOLL_CTL_MOD)
    let name = "bench-\(getpid())-\(index)"
    try connections[index].send(
      Packets.connect(clientIdentifier: name, v5: connections[index].v5))
  }

  private func receive(_ index: Int) throws(BenchFailure) {
    let kept = connections[index].partial.count
    if kept > 0 {
      buffer.copyBytes(from: connections[index].partial)
      connections[index].partial.removeAll(keepingCapacity: true)
    }
    let count = read(connections[index].descriptor, buffer.baseAddress! + kept, buffer.count - kept)
    guard count > 0 else {
      if count < 0, errno == EAGAIN { return }
      throw .refused("connection \(index) was closed by the broker")
    }
    var rest = UnsafeRawBufferPointer(rebasing: buffer[..<(kept + count)])
    while let received = ReceivedPacket(rest) {
      try handle(received, index)
      rest = UnsafeRawBufferPointer(rebasing: rest[received.totalBytes...])
    }
    if !rest.isEmpty {
      guard rest.count < buffer.count else { throw .refused("a packet larger than the buffer") }
      connections[index].partial.append(contentsOf: rest)
    }
  }

  private func handle(_ received: ReceivedPacket, _ index: Int) throws(BenchFailure) {
    switch PacketType(rawValue: received.first >> 4) {
    case .publish:
      guard let message = received.message(v5: connections[index].v5), message.run == run,
        message.sequence < UInt64(published)
      else {
        foreign += 1
        return
      }
      let sequence = Int(message.sequence)
      if tally.record(sequence, at: index - 1) {
        latencies.append(monotonicNanoseconds() - sentAt[sequence])
        completed += 1
      }
    case .connack:
      guard received.body.count >= 2, received.body[1] == 0 else {
        throw .refused("CONNACK refuses connection \(index)")
      }
      connected += 1
      guard index != Self.publisher else { return }
      try connections[index].send(Packets.subscribe(options.topic, v5: connections[index].v5))
    case .suback:
      guard received.body.last == 0 else { throw .refused("SUBACK refuses QoS 0") }
      subscribed += 1
    case .disconnect:
      throw .refused("the broker disconnects connection \(index)")
    case nil:
      throw .refused("unexpected packet type \(received.first >> 4)")
    }
  }

  private func watch(_ index: Int, _ interest: UInt32, _ operation: Int32) throws(BenchFailure) {
    var event = epoll_event(events: interest, data: epoll_data_t(u32: UInt32(index)))
    guard epoll_ctl(poller, operation, connections[index].descriptor, &event) == 0 else {
      throw .system("epoll_ctl", errno: errno)
    }
  }
}
