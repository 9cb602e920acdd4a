import DPUCore
import MQTTOffload
import PacketWire
import TCPLite

/// Client connections without TCP: what a client writes becomes readable in runs of any length,
/// what it is sent is collected until it reads.
struct FakeTransport: ClientTransport, ~Copyable {
  static let regionBytes = 256 << 10

  struct Connection {
    var handle: SlabHandle
    /// Readable bytes lie in the region of the slot.
    var readable = 0
    /// Queued towards the client: unread, and counted against the limit.
    var sent: [UInt8] = []
    var finReceived = false
    var finSent = false
    var wasReset = false
    var isPressed = false
  }

  var connections: [UInt32: Connection] = [:]
  var generation: [UInt32: UInt32] = [:]
  var region: FixedArray<UInt8>
  var pool = BlockPool(blockCount: 2048, blockSize: 2048)
  var listening: Set<UInt16> = []
  var events: [TCPEvent] = []
  /// No run of readable bytes is longer: blocks of a stack are not contiguous.
  var runMax = 1 << 20
  var sendLimit = 256 << 10

  init(connectionsMax: Int) {
    region = FixedArray(repeating: 0, count: connectionsMax * Self.regionBytes)
  }

  // MARK: The test's side

  mutating func connect(slot: UInt32) -> SlabHandle {
    generation[slot, default: 0] += 1
    let handle = SlabHandle(index: slot, generation: generation[slot]! * 2 - 1)
    connections[slot] = Connection(handle: handle)
    events.append(TCPEvent(kind: .opened, connection: handle, tag: 1))
    return handle
  }

  mutating func write(_ c: SlabHandle, _ bytes: [UInt8]) {
    let start = Int(c.index) * Self.regionBytes + connections[c.index]!.readable
    precondition(connections[c.index]!.readable + bytes.count <= Self.regionBytes)
    for (k, byte) in bytes.enumerated() { region[start + k] = byte }
    connections[c.index]!.readable += bytes.count
    events.append(TCPEvent(kind: .readable, connection: c, tag: 1))
  }

  /// The client reads up to `count` bytes, as if it acknowledged them.
  mutating func read(_ c: SlabHandle, max count: Int = .max) -> [UInt8] {
    guard var connection = connections[c.index], connection.handle == c else { return [] }
    let taken = Array(connection.sent.prefix(count))
    connection.sent.removeFirst(taken.count)
    if connection.isPressed, connection.sent.count <= sendLimit / 2 {
      connection.isPressed = false
      events.append(TCPEvent(kind: .writable, connection: c, tag: 1))
    }
    connections[c.index] = connection
    return taken
  }

  mutating func finish(_ c: SlabHandle) {
    connections[c.index]!.finReceived = true
    events.append(TCPEvent(kind: .peerClosed, connection: c, tag: 1))
    endIfFinished(c)
  }

  mutating func reset(_ c: SlabHandle) { end(c, .reset) }

  private mutating func endIfFinished(_ c: SlabHandle) {
    guard let connection = connections[c.index], connection.finReceived, connection.finSent else {
      return
    }
    end(c, .finished)
  }

  private mutating func end(_ c: SlabHandle, _ reason: CloseReason) {
    events.removeAll { $0.connection == c && $0.kind != .opened }
    events.append(TCPEvent(kind: .closed(reason), connection: c, tag: 1))
  }

  private func live(_ c: SlabHandle) -> Connection? {
    guard let connection = connections[c.index], connection.handle == c else { return nil }
    return connection
  }

  // MARK: ClientTransport

  mutating func listen(_ port: UInt16, tag: UInt32) -> Bool { listening.insert(port).inserted }
  mutating func unlisten(_ port: UInt16) { listening.remove(port) }
  func localAddress(of connection: SlabHandle) -> SocketAddress {
    SocketAddress(ip: IPAddress(10, 77, 0, 1), port: 1883)
  }
  func remoteAddress(of connection: SlabHandle) -> SocketAddress {
    SocketAddress(ip: IPAddress(10, 77, 0, 2), port: 40_000 + UInt16(connection.index))
  }
  func readableCount(_ c: SlabHandle) -> Int { live(c)?.readable ?? 0 }

  @_lifetime(borrow self)
  func peek(_ c: SlabHandle) -> RawSpan {
    let start = Int(c.index) * Self.regionBytes
    return region.bytes(start..<start + min(runMax, readableCount(c)))
  }

  func copyReadable(
    _ c: SlabHandle, at offset: Int, into target: inout MutableRawSpan
  ) -> Int {
    let count = min(target.byteCount, readableCount(c) - offset)
    let start = Int(c.index) * Self.regionBytes + offset
    target.copy(region.bytes(start..<start + count), at: 0)
    return count
  }

  mutating func consume(_ c: SlabHandle, _ count: Int) {
    guard let connection = live(c) else { return }
    precondition(count <= connection.readable)
    let start = Int(c.index) * Self.regionBytes
    for k in 0..<connection.readable - count { region[start + k] = region[start + count + k] }
    connections[c.index]!.readable -= count
  }

  func sendRoom(_ c: SlabHandle) -> Int {
    guard let connection = live(c), !connection.finSent else { return 0 }
    return max(0, sendLimit - connection.sent.count)
  }

  mutating func send(_ c: SlabHandle, copying bytes: RawSpan) -> Int {
    queue(c, Self.array(bytes))
  }

  private static func array(_ bytes: RawSpan) -> [UInt8] {
    (0..<bytes.byteCount).map { bytes.byte(at: $0) }
  }

  private mutating func queue(_ c: SlabHandle, _ bytes: [UInt8]) -> Int {
    guard live(c) != nil else { return 0 }
    let count = min(bytes.count, sendRoom(c))
    connections[c.index]!.sent += bytes.prefix(count)
    if count < bytes.count || connections[c.index]!.sent.count > sendLimit / 2 {
      connections[c.index]!.isPressed = true
    }
    return count
  }

  mutating func send(_ c: SlabHandle, sharing block: Block, _ range: Range<Int>) -> Bool {
    guard range.count <= sendRoom(c) else {
      connections[c.index]?.isPressed = true
      return false
    }
    return queue(c, Self.array(pool.bytes(block, range))) == range.count
  }

  mutating func close(_ c: SlabHandle) {
    guard live(c) != nil else { return }
    connections[c.index]!.finSent = true
    endIfFinished(c)
  }

  mutating func abort(_ c: SlabHandle) {
    guard live(c) != nil else { return }
    connections[c.index]!.wasReset = true
    end(c, .aborted)
  }

  mutating func allocateBlock() -> Block? { pool.allocate() }
  mutating func writeBlock(_ block: Block, at offset: Int, _ bytes: RawSpan) {
    var target = pool.mutableBytes(block, offset..<offset + bytes.byteCount)
    target.copy(bytes, at: 0)
  }
  @_lifetime(borrow self)
  func readBlock(_ block: Block, _ range: Range<Int>) -> RawSpan { pool.bytes(block, range) }
  mutating func releaseBlock(_ block: Block) { pool.release(block) }
}
