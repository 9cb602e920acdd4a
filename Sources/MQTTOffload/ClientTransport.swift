package import DPUCore
package import PacketWire
package import TCPLite

/// The client side of the offload: connections as byte streams, and the blocks that carry one
/// message to many of them. `TCPStack` in the firmware.
package protocol ClientTransport: ~Copyable {
  mutating func listen(_ port: UInt16, tag: UInt32) -> Bool
  mutating func unlisten(_ port: UInt16)
  func localAddress(of connection: SlabHandle) -> SocketAddress
  func remoteAddress(of connection: SlabHandle) -> SocketAddress

  func readableCount(_ connection: SlabHandle) -> Int
  /// The first contiguous run of bytes in order; empty when there is none.
  @_lifetime(borrow self)
  func peek(_ connection: SlabHandle) -> RawSpan
  /// Gathers bytes from `offset` on without consuming them; returns how many.
  func copyReadable(
    _ connection: SlabHandle, at offset: Int, into target: inout MutableRawSpan
  ) -> Int
  mutating func consume(_ connection: SlabHandle, _ count: Int)

  /// Bytes that one connection may have queued or unacknowledged.
  var sendLimit: Int { get }
  /// How many of them are left.
  func sendRoom(_ connection: SlabHandle) -> Int
  mutating func send(_ connection: SlabHandle, copying bytes: RawSpan) -> Int
  /// Queues a range of a block and retains it, or does nothing and returns false.
  mutating func send(_ connection: SlabHandle, sharing block: Block, _ range: Range<Int>) -> Bool
  /// FIN behind what is queued.
  mutating func close(_ connection: SlabHandle)
  mutating func abort(_ connection: SlabHandle)

  mutating func allocateBlock() -> Block?
  mutating func writeBlock(_ block: Block, at offset: Int, _ bytes: RawSpan)
  @_lifetime(borrow self)
  func readBlock(_ block: Block, _ range: Range<Int>) -> RawSpan
  mutating func releaseBlock(_ block: Block)
}

extension TCPStack: ClientTransport {
  package var sendLimit: Int { configuration.sendLimit }

  package mutating func allocateBlock() -> Block? { pool.allocate() }

  package mutating func writeBlock(_ block: Block, at offset: Int, _ bytes: RawSpan) {
    var target = pool.mutableBytes(block, offset..<offset + bytes.byteCount)
    target.copy(bytes, at: 0)
  }

  @_lifetime(borrow self)
  package func readBlock(_ block: Block, _ range: Range<Int>) -> RawSpan {
    pool.bytes(block, range)
  }

  package mutating func releaseBlock(_ block: Block) { pool.release(block) }
}
