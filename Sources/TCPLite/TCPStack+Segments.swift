import DPUCore
import PacketWire

/// The arrival of a segment (RFC 9293 §3.10.7).
extension TCPStack {
  mutating func receiveTCP(
    _ bytes: RawSpan, _ origin: PacketOrigin, now: Instant
  ) -> FrameDisposition {
    counters.increment(.segmentsReceived)
    let view: TCPView
    do {
      view = try TCPView(bytes, source: origin.source, destination: origin.destination)
    } catch {
      switch error {
      case .truncated: return drop(.droppedShortSegment)
      case .badChecksum: return drop(.droppedBadTCPChecksum)
      default: return drop(.droppedBadTCPHeader)
      }
    }
    let options: TCPOptions
    do { options = try TCPOptions(view.options) } catch { return drop(.droppedBadTCPOption) }
    let header = SegmentHeader(
      sequence: SequenceNumber(view.sequence),
      acknowledgment: SequenceNumber(view.acknowledgment), flags: view.flags, window: view.window,
      options: options)
    let local = SocketAddress(ip: origin.destination, port: view.destinationPort)
    let remote = SocketAddress(ip: origin.source, port: view.sourcePort)
    let hash = flowHash(local, remote)
    let shortHash = UInt32(truncatingIfNeeded: hash)
    if let index = table.find(shortHash, local, remote, in: connections) {
      arrived(header, view.payload, on: index, now: now)
      return .consumed
    }
    let flow = Flow(local: local, remote: remote, mac: origin.mac, hash: hash)
    var previous: SequenceNumber?
    if let index = timeWaits.find(shortHash, local, remote) {
      previous = arrivedInTimeWait(index, header, flow, payloadCount: view.payload.byteCount)
      if previous == nil { return .consumed }
    }
    if previous == nil, let index = connection(openedBy: header, flow, now: now) {
      arrived(header, view.payload, on: index, now: now)
      return .consumed
    }
    arrivedForNobody(
      header, payloadCount: view.payload.byteCount, flow, after: previous, now: now)
    return .consumed
  }

  /// The two ends of a segment that belongs to no connection.
  struct Flow: BitwiseCopyable {
    var local: SocketAddress
    var remote: SocketAddress
    var mac: MACAddress
    var hash: UInt64
  }

  // MARK: No connection

  /// `previous`: the last position an earlier connection between the same ends has used.
  private mutating func arrivedForNobody(
    _ header: SegmentHeader, payloadCount: Int, _ flow: Flow, after previous: SequenceNumber?,
    now: Instant
  ) {
    if header.flags.contains(.rst) { return counters.increment(.droppedBadReset) }
    guard header.flags.contains(.syn), !header.flags.contains(.ack),
      let tag = listenerTag(flow.local.port)
    else { return refuse(header, payloadCount: payloadCount, flow) }
    if header.flags.contains(.fin) { return counters.increment(.droppedBadFlags) }
    // A cookie cannot lie beyond an earlier connection.
    if previous == nil, isFlooded, !connections.isFull {
      return answerWithCookie(header, flow, now: now)
    }
    var initialSend = initialSequence(flow, now: now)
    // RFC 1122 §4.2.2.13: beyond everything of the earlier connection.
    if let previous { initialSend = .later(initialSend, previous + 1) }
    let connection = Connection(
      local: flow.local, remote: flow.remote, tag: tag,
      hash: UInt32(truncatingIfNeeded: flow.hash), initialSend: initialSend,
      timestampOffset: timestampOffset(flow), syn: header, configuration: configuration, now: now)
    guard let handle = connections.insert(connection) else {
      return counters.increment(.droppedConnectionsFull)
    }
    halfOpenCount += 1
    table.insert(handle.index, into: &connections)
    markReady(handle.index)
  }

  /// RFC 6528 §3: a clock of four microseconds plus a keyed hash of the connection.
  private func initialSequence(_ flow: Flow, now: Instant) -> SequenceNumber {
    let clock = UInt32(truncatingIfNeeded: now.nanoseconds / 4_000)
    return SequenceNumber(clock &+ UInt32(truncatingIfNeeded: sequenceHash(flow)))
  }

  func timestampOffset(_ flow: Flow) -> UInt32 {
    UInt32(truncatingIfNeeded: sequenceHash(flow) >> 32)
  }

  func sequenceHash(_ flow: Flow) -> UInt64 {
    FlowHash(key0: configuration.sequenceKey0, key1: configuration.sequenceKey1)(
      flow.local, flow.remote)
  }

  /// RFC 9293 §3.10.7.1: a segment for a connection that does not exist is answered by RST.
  private mutating func refuse(_ header: SegmentHeader, payloadCount: Int, _ flow: Flow) {
    let length =
      payloadCount + (header.flags.contains(.syn) ? 1 : 0)
      + (header.flags.contains(.fin) ? 1 : 0)
    if header.flags.contains(.ack) {
      sendBare(
        [.rst], flow, sequence: header.acknowledgment, acknowledgment: SequenceNumber(0))
    } else {
      sendBare(
        [.rst, .ack], flow, sequence: SequenceNumber(0),
        acknowledgment: header.sequence + length)
    }
  }

  /// A segment in TIME-WAIT. When it opens a new connection in place of the old one, the last
  /// position of the old one; else nil.
  private mutating func arrivedInTimeWait(
    _ index: UInt32, _ header: SegmentHeader, _ flow: Flow, payloadCount: Int
  ) -> SequenceNumber? {
    let record = timeWaits[index]
    if header.flags.contains(.rst) {
      // RFC 1337: a reset must not cut the wait short.
      counters.increment(.droppedForTimeWait)
      return nil
    }
    if header.flags.contains(.syn), !header.flags.contains(.ack) {
      // RFC 1122 §4.2.2.13, RFC 6191 §2: later than anything of the old connection.
      let isNewer =
        record.usesTimestamps && header.options.hasTimestamp
        ? Int32(bitPattern: header.options.timestampValue &- record.recentTimestamp) > 0
        : header.sequence > record.receiveNext
      if isNewer {
        timeWaits.remove(index)
        counters.increment(.timeWaitReused)
        return record.sendNext
      }
    }
    if header.flags.contains(.fin) {
      timeWaits.restart(index, until: now + configuration.timeWait)
    } else if payloadCount == 0, !header.flags.contains(.syn) {
      counters.increment(.droppedForTimeWait)
      return nil
    }
    var options = TCPOptions()
    if record.usesTimestamps {
      options.hasTimestamp = true
      options.timestampValue =
        UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000) &+ record.timestampOffset
      options.timestampEcho = record.recentTimestamp
    }
    sendBare(
      [.ack], flow, sequence: record.sendNext, acknowledgment: record.receiveNext,
      options: options)
    return nil
  }

  // MARK: On a connection

  private mutating func arrived(
    _ header: SegmentHeader, _ payload: RawSpan, on index: UInt32, now: Instant
  ) {
    let isReset = header.flags.contains(.rst)
    let isHalfOpen = connections[index].state == .synReceived
    if header.flags.contains(.syn), !isReset {
      if isHalfOpen, !header.flags.contains(.ack),
        header.sequence == connections[index].initialReceive
      {
        // The SYN again: our answer was lost.
        connections[index].flags.insert(.needsSYN)
        return markReady(index)
      }
      // RFC 5961 §4.2.
      counters.increment(.droppedSYNInConnection)
      return challenge(index, now: now)
    }
    if connections[index].flags.contains(.usesTimestamps), !isReset {
      guard header.options.hasTimestamp else { return counters.increment(.droppedMissingTimestamp) }
      if connections[index].hasOldTimestamp(header.options, now: now) {
        counters.increment(.droppedOldTimestamp)
        return reject(index, carriesData: payload.byteCount > 0, now: now)
      }
    }
    let length = payload.byteCount + (header.flags.contains(.fin) ? 1 : 0)
    guard connections[index].isAcceptable(header, length: length) else {
      counters.increment(isReset ? .droppedBadReset : .droppedOutOfWindow)
      if !isReset { reject(index, carriesData: length > 0, now: now) }
      return
    }
    if isReset { return reset(header, on: index, now: now) }
    guard header.flags.contains(.ack) else { return counters.increment(.droppedMissingACK) }
    if isHalfOpen, !establish(header, index, now: now) { return }
    connections[index].noteTimestamp(header, now: now)

    let acknowledgment = connections[index].acknowledge(
      header, carriesData: length > 0, configuration: configuration, now: now, pool: &pool,
      entries: &entries)
    switch acknowledgment {
    case .invalid:
      counters.increment(.droppedBadAcknowledgment)
      return challenge(index, now: now)
    case .advanced:
      connections[index].flags.remove(.needsProbe)
      connections[index].restartTimer(maximumRTO: configuration.maximumRTO, now: now)
      neighbours.progressed(connections[index].neighbour, now: now)
      relieve(index)
    case .duplicate: counters.increment(.duplicateAcknowledgments)
    case .old, .unchanged: break
    }
    if connections[index].isFINAcknowledged, finAcknowledged(index) { return }
    if connections[index].hasUnsent || connections[index].flags.contains(.inRecovery) {
      markReady(index)
    }
    connections[index].keepaliveProbes = 0
    takePayload(header, payload, on: index)
    heard(index, now: now)
  }

  /// RFC 5961 §3.2: only a reset at exactly the expected position is believed.
  private mutating func reset(_ header: SegmentHeader, on index: UInt32, now: Instant) {
    guard header.sequence == connections[index].receiveNext else {
      counters.increment(.droppedBadReset)
      return challenge(index, now: now)
    }
    counters.increment(
      connections[index].state == .synReceived ? .handshakesReset : .connectionsReset)
    end(index, .reset)
  }

  /// The last step of the handshake. False when the acknowledgment is not for our SYN.
  private mutating func establish(
    _ header: SegmentHeader, _ index: UInt32, now: Instant
  ) -> Bool {
    let connection = connections[index].initialSend
    guard header.acknowledgment == connection + 1, connections[index].sendMax > connection else {
      counters.increment(.droppedBadAcknowledgment)
      let flow = Flow(
        local: connections[index].local, remote: connections[index].remote, mac: .zero, hash: 0)
      if let mac = knownMAC(index) {
        sendBare(
          [.rst], Flow(local: flow.local, remote: flow.remote, mac: mac, hash: 0),
          sequence: header.acknowledgment, acknowledgment: SequenceNumber(0))
      }
      return false
    }
    halfOpenCount -= 1
    connections[index].state = .established
    connections[index].flags.remove(.needsSYN)
    connections[index].flags.insert(.announced)
    counters.increment(.connectionsOpened)
    announce(.opened, on: index)
    return true
  }

  /// Our FIN was acknowledged. True when the connection is over.
  private mutating func finAcknowledged(_ index: UInt32) -> Bool {
    switch connections[index].state {
    case .finWait1: connections[index].state = .finWait2
    case .closing:
      enterTimeWait(index)
      return true
    case .lastAck:
      counters.increment(.connectionsFinished)
      end(index, .finished)
      return true
    default: break
    }
    return false
  }

  private mutating func takePayload(
    _ header: SegmentHeader, _ payload: RawSpan, on index: UInt32
  ) {
    let isFIN = header.flags.contains(.fin)
    if payload.byteCount == 0, !isFIN { return }
    if connections[index].flags.contains(.peerFINTaken) {
      // The FIN again, or data behind it.
      counters.increment(.droppedDataAfterFIN)
      return acknowledgeSoon(index)
    }
    if isFIN { connections[index].noteFIN(at: header.sequence + payload.byteCount) }
    let before = connections[index].receive.readableCount
    let taken = connections[index].take(
      payload, at: header.sequence, reserve: reserve, pool: &pool, entries: &entries)
    switch taken {
    case .nothing, .inOrder: break
    case .duplicate: counters.increment(.droppedDuplicateData)
    case .outOfOrder: counters.increment(.outOfOrderSegments)
    case .beyondWindow: counters.increment(.droppedBeyondWindow)
    case .refused(.tooManyPieces): counters.increment(.droppedOutOfOrderFull)
    case .refused(.noEntry): counters.increment(.droppedNoEntry)
    case .refused: counters.increment(.droppedNoBlock)
    }
    let count = connections[index].receive.readableCount - before
    if count > 0 {
      counters.add(count, to: .bytesReceived)
      announce(.readable, on: index)
    }
    if taken == .outOfOrder, !connections[index].flags.contains(.usesSACK) {
      // Without SACK the peer counts duplicates: one for each early segment.
      connections[index].acksOwed &+= connections[index].acksOwed < 16 ? 1 : 0
      markReady(index)
    } else {
      acknowledgeSoon(index)
    }
    if connections[index].flags.contains(.peerFINKnown),
      connections[index].receiveNext == connections[index].peerFIN
    {
      takeFIN(index)
    }
  }

  private mutating func takeFIN(_ index: UInt32) {
    connections[index].receive.skipOne()
    connections[index].flags.insert(.peerFINTaken)
    announce(.peerClosed, on: index)
    switch connections[index].state {
    case .established: connections[index].state = .closeWait
    case .finWait1: connections[index].state = .closing
    case .finWait2: enterTimeWait(index)
    default: break
    }
  }

  /// Both directions are closed, ours first: answer the FIN and remember the connection.
  private mutating func enterTimeWait(_ index: UInt32) {
    let connection = connections[index]
    let record = TimeWaitRecord(
      local: connection.local, remote: connection.remote, hash: connection.hash,
      sendNext: connection.sendMax, receiveNext: connection.receiveNext,
      recentTimestamp: connection.recentTimestamp, timestampOffset: connection.timestampOffset,
      usesTimestamps: connection.flags.contains(.usesTimestamps),
      expiresAt: now + configuration.timeWait)
    if timeWaits.insert(record) { counters.increment(.timeWaitRecycled) }
    counters.increment(.timeWaitEntered)
    counters.increment(.connectionsFinished)
    sendLone([.ack], for: index)
    end(index, .finished)
  }

  // MARK: Answers

  /// An ACK at the end of the turn, with data if there is any.
  private mutating func acknowledgeSoon(_ index: UInt32) {
    connections[index].acksOwed = max(1, connections[index].acksOwed)
    markReady(index)
  }

  /// An unacceptable segment is answered by an ACK: at once when it carried data, since then the
  /// peer is sending something again, else seldom, lest two stacks answer each other for ever.
  private mutating func reject(_ index: UInt32, carriesData: Bool, now: Instant) {
    if carriesData { acknowledgeSoon(index) } else { challenge(index, now: now) }
  }

  /// A challenge ACK (RFC 5961), at most two a second.
  private mutating func challenge(_ index: UInt32, now: Instant) {
    if let last = connections[index].challengedAt, now - last < TCPLimits.challengeInterval {
      return counters.increment(.challengesSuppressed)
    }
    guard connections[index].state != .synReceived else { return }
    connections[index].challengedAt = now
    counters.increment(.challengesSent)
    acknowledgeSoon(index)
  }
}
