package import DPUCore
package import PacketWire

/// What an application does with its connections.
extension TCPStack {
  package func remoteAddress(of connection: SlabHandle) -> SocketAddress {
    guard connections.contains(connection) else { return .nowhere }
    return connections[connection].remote
  }

  package func localAddress(of connection: SlabHandle) -> SocketAddress {
    guard connections.contains(connection) else { return .nowhere }
    return connections[connection].local
  }

  // MARK: Reading

  /// Bytes received in order and not yet consumed.
  package func readableCount(_ connection: SlabHandle) -> Int {
    guard connections.contains(connection) else { return 0 }
    return connections[connection].receive.readableCount
  }

  /// The first contiguous run of readable bytes; empty when there are none.
  @_lifetime(borrow self)
  package func peek(_ connection: SlabHandle) -> RawSpan {
    guard connections.contains(connection) else { return pool.bytes(Block(index: 0), 0..<0) }
    return connections[connection].receive.peek(pool: pool, entries: entries)
  }

  /// Copies readable bytes from `offset` on into `target`, without consuming them. Returns how
  /// many, fewer than `target` holds when they end.
  package func copyReadable(
    _ connection: SlabHandle, at offset: Int, into target: inout MutableRawSpan
  ) -> Int {
    guard connections.contains(connection) else { return 0 }
    return connections[connection].receive.copy(
      at: offset, into: &target, pool: pool, entries: entries)
  }

  /// Gives up the first `count` readable bytes, which lets the peer send more. Traps above
  /// `readableCount`.
  package mutating func consume(_ connection: SlabHandle, _ count: Int) {
    guard connections.contains(connection) else { return }
    let index = connection.index
    connections[index].receive.consume(count, pool: &pool, entries: &entries)
    connections[index].consumedBytes += UInt64(count)
    if connections[index].state == .closed {
      if connections[index].flags.contains(.endsWhenRead),
        connections[index].receive.readableCount == 0
      {
        connections[index].flags.remove(.endsWhenRead)
        announce(.closed, on: index)
      }
    } else if connections[index].wantsWindowUpdate(limit: configuration.receiveLimit) {
      connections[index].acksOwed = max(1, connections[index].acksOwed)
      markReady(index)
    }
  }

  /// Whether the peer has sent its last byte: what is readable now is all there will be.
  package func peerHasClosed(_ connection: SlabHandle) -> Bool {
    guard connections.contains(connection) else { return true }
    return connections[connection].flags.contains(.peerFINTaken)
  }

  // MARK: Sending

  /// Whether `send` may still be called: neither `close` was, nor is the connection over.
  package func canSend(_ connection: SlabHandle) -> Bool {
    connections.contains(connection) && connections[connection].canSend
  }

  /// Bytes that may still be queued; zero also when the connection has its fill of pieces. Less
  /// may be taken when memory is short.
  package func sendRoom(_ connection: SlabHandle) -> Int {
    guard canSend(connection),
      Int(connections[connection].queue.entryCount) < configuration.sendEntriesMax
    else { return 0 }
    return max(0, configuration.sendLimit - connections[connection].queue.byteCount)
  }

  package func unsentOrUnacknowledged(_ connection: SlabHandle) -> Int {
    guard connections.contains(connection) else { return 0 }
    return connections[connection].queue.byteCount
  }

  /// Queues a copy of `bytes`, as many as there is room for. Returns how many; when that is
  /// not all, `.writable` will come.
  package mutating func send(_ connection: SlabHandle, copying bytes: RawSpan) -> Int {
    guard canSend(connection) else { return 0 }
    let index = connection.index
    let count = min(bytes.byteCount, sendRoom(connection))
    let taken = connections[index].queue.append(
      copying: bytes.extracting(0..<count), pool: &pool, entries: &entries)
    if taken < bytes.byteCount {
      let reason: TCPCounter =
        taken == count
        ? .sendsRefusedLimit : entries.freeCount == 0 ? .sendsRefusedNoEntry : .sendsRefusedNoBlock
      refused(index, reason)
    }
    if taken > 0 { queued(index) }
    return taken
  }

  /// Queues `range` of `block` without copying it: the block is retained until the bytes were
  /// acknowledged, and must not change until then. All or nothing; after false, `.writable`
  /// will come.
  package mutating func send(
    _ connection: SlabHandle, sharing block: Block, _ range: Range<Int>
  ) -> Bool {
    guard canSend(connection) else { return false }
    if range.isEmpty { return true }
    let index = connection.index
    guard range.count <= sendRoom(connection) else {
      refused(index, .sendsRefusedLimit)
      return false
    }
    if sharedSum.block != block || sharedSum.range != range { share(block, range) }
    let entry = Entry(
      block: block, offset: UInt32(range.lowerBound), length: UInt32(range.count),
      sum: sharedSum.sum, hasSum: true)
    guard connections[index].queue.append(entry, to: &entries) else {
      refused(index, .sendsRefusedNoEntry)
      return false
    }
    pool.retain(block)
    queued(index)
    return true
  }

  /// Sends a FIN after what is queued. Receiving goes on until the peer has closed as well.
  package mutating func close(_ connection: SlabHandle) {
    guard canSend(connection) else { return }
    let index = connection.index
    connections[index].flags.insert(.finQueued)
    connections[index].state = connections[index].state == .established ? .finWait1 : .lastAck
    markReady(index)
  }

  /// Whether the connection exists, and is not over.
  package func contains(_ connection: SlabHandle) -> Bool {
    connections.contains(connection) && connections[connection.index].state != .closed
  }

  /// Ends the connection at once and tells the peer with a RST. `.closed(.aborted)` follows.
  package mutating func abort(_ connection: SlabHandle) {
    guard connections.contains(connection) else { return }
    let index = connection.index
    guard connections[index].state != .closed else {
      // Over already; what was still to be read is given up.
      connections[index].receive.releaseAll(pool: &pool, entries: &entries)
      if connections[index].flags.contains(.endsWhenRead) {
        connections[index].flags.remove(.endsWhenRead)
        announce(.closed, on: index)
      }
      return
    }
    sendReset(for: index)
    counters.increment(.connectionsAborted)
    end(index, .aborted)
  }

  /// Aborts every connection, half-open ones included, as `abort` does. False when the resets of
  /// all do not fit in one `transmit`: then call that and this again.
  package mutating func abortAll() -> Bool {
    for index in 0..<UInt32(connections.capacity) {
      guard let handle = connections.handle(at: index), connections[index].state != .closed else {
        continue
      }
      if replies.isFull { return false }
      abort(handle)
    }
    return true
  }

  // MARK: Bookkeeping

  private mutating func queued(_ index: UInt32) {
    if connections[index].queue.byteCount > configuration.sendLimit / 2
      || Int(connections[index].queue.entryCount) > configuration.sendEntriesMax / 2
    {
      connections[index].flags.insert(.pressed)
    }
    markReady(index)
  }

  private mutating func refused(_ index: UInt32, _ reason: TCPCounter) {
    counters.increment(reason)
    connections[index].flags.insert(.pressed)
    // Memory is short elsewhere: no acknowledgment of ours will tell when that is over.
    if connections[index].queue.byteCount == 0 {
      connections[index].flags.insert(.starved)
      markReady(index)
    }
  }

  private mutating func share(_ block: Block, _ range: Range<Int>) {
    forgetShared()
    var sum = InternetChecksum()
    sum.add(pool.bytes(block, range))
    pool.retain(block)
    sharedSum = SharedSum(block: block, range: range, sum: sum.partial)
  }

  /// Lets go of the block last shared. Called by `transmit`, so between two turns the stack
  /// holds only what is queued.
  mutating func forgetShared() {
    if sharedSum.block != .none { pool.release(sharedSum.block) }
    sharedSum = SharedSum()
  }

  /// Tells the application when there is room again.
  mutating func relieve(_ index: UInt32) {
    guard connections[index].flags.contains(.pressed), connections[index].canSend else { return }
    let count = connections[index].queue.byteCount
    guard count <= configuration.sendLimit / 2,
      Int(connections[index].queue.entryCount) <= configuration.sendEntriesMax / 2
    else { return }
    if count == 0 { connections[index].flags.remove(.pressed) }
    announce(.writable, on: index)
  }
}

extension SocketAddress {
  static let nowhere = SocketAddress(ip: .unspecified, port: 0)
}
