// Input: a byte that chooses the address family, then steps of a peer, an application, a link
// and a clock. Frames are raw bytes, or TCP segments with right checksums near where the
// connection stands. In the end everything is given up, and all memory must be back.
import DPUCore
import PacketWire
import TCPLite

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  var input = Input(data, count)
  var bench = FuzzBench(link: input.byte() & 1 == 0 ? Link() : .v6)
  while !input.isEmpty {
    bench.step(&input)
    bench.takeEvents()
  }
  bench.giveEverythingUp()
  return 0
}

private struct Sink: FrameSink {
  var frames: [[UInt8]] = []
  var room = Int.max

  mutating func emit(byteCount: Int, _ write: (inout MutableRawSpan) -> Void) -> Bool {
    guard frames.count < room else { return false }
    var bytes = [UInt8](repeating: 0xa5, count: byteCount)
    var elements = bytes.mutableSpan
    var raw = elements.mutableBytes
    write(&raw)
    frames.append(bytes)
    return true
  }
}

/// What the peer knows of one of its connections.
private struct PeerState {
  /// Our next sequence number, and the next we expect of the stack.
  var next: UInt32 = 1_000
  var expected: UInt32 = 0
  var theirTimestamp: UInt32?
  var ourTimestamp: UInt32 = 1
}

private struct FuzzBench: ~Copyable {
  var stack: TCPStack
  var now = Instant(nanoseconds: 1_000_000_000_000)
  let link: Link
  var peers = [PeerState](repeating: PeerState(), count: 4)
  /// Connections that the application knows.
  var open: [SlabHandle] = []
  var echo = EchoService()

  init(link: Link) {
    self.link = link
    var configuration = TCPConfiguration(mac: link.serverMAC, secrets: (1, 2, 3, 4))
    configuration.ipv4 = Link().server
    configuration.ipv6 = Link.v6.server
    configuration.connectionsMax = 8
    configuration.halfOpenMax = 4
    configuration.timeWaitMax = 4
    configuration.neighboursMax = 8
    configuration.blockCount = 32
    configuration.entriesMax = 96
    configuration.sendEntriesMax = 24
    configuration.receiveLimit = 16 << 10
    configuration.sendLimit = 16 << 10
    stack = TCPStack(configuration: configuration, now: now)
    precondition(stack.listen(1_883, tag: 1) && stack.listen(7, tag: 2))
    receive(link.client.isIPv4 ? link.arpRequest() : link.solicitation())
  }

  mutating func step(_ input: inout Input) {
    let step = input.byte()
    switch step & 15 {
    case 0: receive(raw(&input))
    case 1: receive(link.frame(protocolNumber: input.byte(), input.take(Int(input.byte()))))
    case 2:
      guard !link.client.isIPv4 else { return receive(link.arpRequest()) }
      receive(link.icmpv6([133 + step >> 4] + input.take(Int(input.byte() & 63)) + [0, 0, 0]))
    case 3: connect(step >> 4 & 3, &input)
    case 4...8: sendSegment(step >> 4, &input)
    case 9...11: act(step >> 4, &input)
    case 12: now = now + .milliseconds(UInt64(input.byte()))
    case 13: now = now + .seconds(UInt64(input.byte()))
    default: transmit(room: step >> 4 == 0 ? 1 : .max)
    }
    if step & 15 == 12 || step & 15 == 13 { stack.advance(now: now) }
  }

  // MARK: The link

  mutating func receive(_ frame: [UInt8]) {
    _ = stack.receive(frame.span.bytes, now: now)
  }

  func raw(_ input: inout Input) -> [UInt8] {
    let choice = input.byte()
    var frame = input.take(Int(choice & 0x7f) * 2)
    // Mostly addressed to us, or nothing else would be looked at.
    if choice & 0x80 != 0 { frame = macBytes(link.serverMAC) + macBytes(link.clientMAC) + frame }
    return frame
  }

  mutating func transmit(room: Int = .max) {
    var sink = Sink(room: room)
    stack.transmit(into: &sink, now: now)
    for frame in sink.frames {
      precondition(frame.count >= 14 && frame.count <= 14 + stack.configuration.mtu)
      precondition(frame[0] & 1 == 0 || isForAGroup(frame))
      learn(frame)
    }
  }

  /// Only what neighbours ask, and that an address is taken, is for all to hear.
  func isForAGroup(_ frame: [UInt8]) -> Bool {
    if half(frame, 12) == 0x0806 { return half(frame, 20) == 1 }
    return half(frame, 12) == 0x86dd && frame[20] == 58 && (frame[54] == 135 || frame[54] == 136)
  }

  /// Follows what the stack sends to our peer; it must be well formed.
  mutating func learn(_ frame: [UInt8]) {
    let isIPv4 = half(frame, 12) == 0x0800
    let destination = isIPv4 ? 30..<34 : 38..<54
    guard isIPv4 || half(frame, 12) == 0x86dd, Array(frame[0..<6]) == macBytes(link.clientMAC),
      Array(frame[destination]) == addressBytes(link.client),
      let segment = link.segment(in: frame)
    else { return }
    let port = Int(segment.destinationPort) - 40_000
    guard peers.indices.contains(port) else { return }
    let length = segment.payload.count + (segment.has("S") ? 1 : 0) + (segment.has("F") ? 1 : 0)
    peers[port].expected = segment.sequence &+ UInt32(length)
    if let timestamps = segment.timestamps { peers[port].theirTimestamp = timestamps.value }
  }

  // MARK: The peer

  mutating func connect(_ number: UInt8, _ input: inout Input) {
    let port = Int(number)
    let options = input.byte()
    peers[port] = PeerState(next: UInt32(input.word()) << 16 | 0xfff0)
    var syn = segment(port, flags: "S")
    if options & 1 != 0 { syn.options += [2, 4] + be(UInt16(options) << 4) }
    if options & 2 != 0 { syn.options += [3, 3, options >> 4] }
    if options & 4 != 0 { syn.options += [4, 2] }
    if options & 8 != 0 {
      peers[port].theirTimestamp = 0
      syn.options += timestamp(port)
    }
    receive(link.frame(syn))
    peers[port].next &+= 1
    transmit()
    receive(link.frame(segment(port, flags: "A")))
  }

  mutating func sendSegment(_ choice: UInt8, _ input: inout Input) {
    let port = Int(choice & 3)
    let shape = input.byte()
    var segment = segment(port, flags: "A")
    if shape & 1 != 0 { segment.flags = flags(input.byte()) }
    if shape & 2 != 0 { segment.sequence &+= offset(&input) }
    if shape & 4 != 0 { segment.acknowledgment &+= offset(&input) }
    if shape & 8 != 0 { segment.window = Int(input.word()) }
    if shape & 16 != 0 {
      let start = segment.acknowledgment &+ offset(&input)
      segment.options += [1, 1, 5, 10] + be(start) + be(start &+ UInt32(input.word()))
    }
    if shape & 32 != 0 { segment.options += input.take(Int(input.byte() & 7)) }
    if segment.options.count > 40 { segment.options.removeLast(segment.options.count - 40) }
    if shape & 64 != 0 {
      segment.payload = [UInt8](repeating: shape, count: Int(input.word()) % 1_400)
    }
    receive(link.frame(segment))
    if shape & 2 == 0 {
      peers[port].next &+= UInt32(segment.payload.count) &+ (segment.has("F") ? 1 : 0)
    }
    if shape & 128 != 0 { transmit() }
  }

  func segment(_ port: Int, flags: String) -> RawSegment {
    var segment = RawSegment(
      sequence: peers[port].next, acknowledgment: peers[port].expected, flags: flags)
    segment.sourcePort = UInt16(40_000 + port)
    segment.destinationPort = port == 3 ? 7 : 1_883
    if !flags.contains("S"), peers[port].theirTimestamp != nil {
      segment.options = timestamp(port)
    }
    return segment
  }

  func timestamp(_ port: Int) -> [UInt8] {
    let ours = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000)
    return [1, 1, 8, 10] + be(ours) + be(peers[port].theirTimestamp ?? 0)
  }

  func flags(_ bits: UInt8) -> String {
    String(RawSegment.flagLetters.filter { bits & $0.1 != 0 }.map(\.0))
  }

  /// A little before or behind, seldom anywhere.
  func offset(_ input: inout Input) -> UInt32 {
    let byte = input.byte()
    if byte == 0x80 { return input.long() }
    return UInt32(bitPattern: Int32(Int8(bitPattern: byte)) * 100)
  }

  // MARK: The application

  mutating func act(_ choice: UInt8, _ input: inout Input) {
    guard !open.isEmpty else { return }
    let connection = open[Int(input.byte()) % open.count]
    switch choice & 7 {
    case 0, 1:
      let bytes = [UInt8](repeating: 0x5a, count: Int(input.word()) % 5_000)
      let taken = stack.send(connection, copying: bytes.span.bytes)
      precondition(taken >= 0 && taken <= bytes.count)
    case 2:
      guard let block = stack.pool.allocate() else { return }
      let end = 1 + Int(input.word()) % stack.pool.blockSize
      for other in open { _ = stack.send(other, sharing: block, end / 2..<end) }
      stack.pool.release(block)
    case 3: stack.close(connection)
    case 4: stack.abort(connection)
    default:
      let readable = stack.readableCount(connection)
      let peeked = stack.peek(connection).byteCount
      precondition(peeked <= readable && (peeked > 0) == (readable > 0))
      var buffer = [UInt8](repeating: 0, count: 300)
      var elements = buffer.mutableSpan
      var target = elements.mutableBytes
      let skipped = min(readable, 100)
      let copied = stack.copyReadable(connection, at: skipped, into: &target)
      precondition(copied == min(300, readable - skipped))
      stack.consume(connection, min(readable, Int(input.word())))
    }
  }

  mutating func takeEvents() {
    while let event = stack.nextEvent() {
      switch event.kind {
      case .opened: open.append(event.connection)
      case .closed: open.removeAll { $0 == event.connection }
      case .readable, .writable, .peerClosed: break
      }
      if event.tag == 2 { echo.handle(event, stack: &stack) }
    }
  }

  // MARK: The end

  mutating func giveEverythingUp() {
    for connection in open { stack.abort(connection) }
    // Half-open connections and the waits after the end take minutes.
    for _ in 0..<40 where stack.connectionCount > 0 || stack.timeWaitCount > 0 {
      now = now + .seconds(30)
      stack.advance(now: now)
      transmit()
      takeEvents()
      for connection in open { stack.abort(connection) }
    }
    takeEvents()
    transmit()
    precondition(open.isEmpty && stack.connectionCount == 0 && stack.halfOpenConnectionCount == 0)
    precondition(stack.timeWaitCount == 0)
    precondition(stack.freeEntryCount == stack.configuration.entriesMax)
    precondition(stack.pool.freeCount == stack.configuration.blockCount)
  }
}
