package import DPUCore
package import PacketWire

/// One connection as control and statistics show it.
package struct ConnectionSnapshot: BitwiseCopyable, Sendable {
  package var handle: SlabHandle
  package var tag: UInt32
  package var local: SocketAddress
  package var remote: SocketAddress
  package var state: ConnectionState
  package var readable: Int
  package var outOfOrderPieces: Int
  /// Queued, of which `flight` bytes are sent and not acknowledged.
  package var queued: Int
  package var flight: Int
  package var segmentSize: Int
  package var congestionWindow: Int
  package var sendWindow: Int
  package var receiveWindow: Int
  /// Zero before the first measurement.
  package var roundTrip: Interval
  package var retransmitTimeout: Interval
  package var retries: Int
  package var isRecovering: Bool
  package var openedAt: Instant
  /// Payload in order from the peer, and payload sent to it, each byte once.
  package var receivedBytes: UInt64
  package var sentBytes: UInt64
  /// Segments sent again.
  package var retransmissions: UInt64
  package var usesTimestamps: Bool
  package var usesSACK: Bool
}

extension TCPStack {
  package var connectionCount: Int { connections.count }
  package var connectionCapacity: Int { connections.capacity }
  package var halfOpenConnectionCount: Int { halfOpenCount }
  package var timeWaitCount: Int { timeWaits.count }
  package var neighbourCount: Int { neighbours.count }
  package var freeEntryCount: Int { entries.freeCount }

  /// The connection in slot `index`, below `connectionCapacity`; nil when the slot is free. A
  /// caller goes through the slots a few per turn, so that a long list costs no turn its time.
  package func snapshot(at index: UInt32) -> ConnectionSnapshot? {
    guard let handle = connections.handle(at: index) else { return nil }
    return snapshot(of: handle)
  }

  package func snapshot(of handle: SlabHandle) -> ConnectionSnapshot? {
    guard connections.contains(handle) else { return nil }
    let c = connections[handle]
    return ConnectionSnapshot(
      handle: handle, tag: c.tag, local: c.local, remote: c.remote, state: c.state,
      readable: c.receive.readableCount, outOfOrderPieces: Int(c.receive.earlyCount),
      queued: c.queue.byteCount, flight: c.sendMax - c.unacknowledged,
      segmentSize: c.segmentSize, congestionWindow: c.congestion.window,
      sendWindow: c.sendWindow, receiveWindow: max(0, c.windowEdge - c.receiveNext),
      roundTrip: .nanoseconds(c.roundTrip.smoothed),
      retransmitTimeout: c.roundTrip.current(maximum: configuration.maximumRTO),
      retries: Int(c.retries), isRecovering: c.flags.contains(.inRecovery),
      openedAt: c.openedAt,
      receivedBytes: c.consumedBytes + UInt64(c.receive.readableCount),
      sentBytes: c.sentBytes, retransmissions: c.retransmissions,
      usesTimestamps: c.flags.contains(.usesTimestamps), usesSACK: c.flags.contains(.usesSACK))
  }
}
