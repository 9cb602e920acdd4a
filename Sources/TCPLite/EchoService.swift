import DPUCore

/// The echo service (RFC 862) on TCP: gives back what it gets, and closes when the peer has.
///
/// For testing the other order, the six bytes `QUIT\r\n` at the end of what has arrived make it
/// close first, after echoing them. It keeps no state: what is unread is what is not yet echoed.
package struct EchoService: ~Copyable {
  /// What is copied at a time.
  private var buffer = FixedArray<UInt8>(repeating: 0, count: 4_096)

  package init() {}

  /// Acts on one event of a connection of this service.
  package mutating func handle(_ event: TCPEvent, stack: inout TCPStack) {
    switch event.kind {
    case .opened, .closed: break
    case .readable, .writable, .peerClosed: echo(event.connection, &stack)
    }
  }

  private mutating func echo(_ connection: SlabHandle, _ stack: inout TCPStack) {
    while true {
      let readable = stack.readableCount(connection)
      guard readable > 0 else { break }
      guard stack.canSend(connection) else {
        // We have closed: the rest is thrown away, so that the peer's FIN gets through.
        stack.consume(connection, readable)
        break
      }
      var target = buffer.mutableBytes(0..<buffer.count)
      let copied = stack.copyReadable(connection, at: 0, into: &target)
      let bytes = buffer.bytes(0..<copied)
      let taken = stack.send(connection, copying: bytes)
      stack.consume(connection, taken)
      // The rest waits for `.writable`.
      if taken < copied { return }
      if copied == readable, endsWithQuit(bytes) { stack.close(connection) }
    }
    if stack.peerHasClosed(connection) { stack.close(connection) }
  }

  private func endsWithQuit(_ bytes: RawSpan) -> Bool {
    let count = bytes.byteCount
    guard count >= 6 else { return false }
    return bytes.beUInt32(at: count - 6) == 0x5155_4954 && bytes.beUInt16(at: count - 2) == 0x0d0a
  }
}
