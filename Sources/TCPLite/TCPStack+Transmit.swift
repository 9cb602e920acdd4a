package import DPUCore
import PacketWire

/// Where frames go: a device's transmit queue, or a test.
package protocol FrameSink: ~Copyable {
  /// Offers one frame of `byteCount` bytes to `write`, then queues it. False when there is no
  /// room now: nothing was called, and the frame will be offered again next time.
  mutating func emit(byteCount: Int, _ write: (inout MutableRawSpan) -> Void) -> Bool
}

/// Building the frames that are due.
extension TCPStack {
  /// Sends what is ready until that is all, or the sink is full. Call it every turn, after the
  /// events were handled: data then carries the acknowledgments.
  package mutating func transmit<Sink: FrameSink & ~Copyable>(
    into sink: inout Sink, now: Instant
  ) {
    self.now = now
    forgetShared()
    guard sendReplies(into: &sink) else { return }
    while ready.head != .max {
      let index = ready.head
      switch visit(index, &sink, now: now) {
      case .done: if connections[index].list == .ready { ready.remove(index, in: &connections) }
      case .more:
        ready.remove(index, in: &connections)
        ready.append(index, as: .ready, in: &connections)
      case .sinkFull: return
      }
    }
    // Questions to neighbours that came up on the way.
    _ = sendReplies(into: &sink)
  }

  private mutating func sendReplies<Sink: FrameSink & ~Copyable>(
    into sink: inout Sink
  ) -> Bool {
    while let reply = replies.first {
      let wasSent = sink.emit(byteCount: reply.byteCount) {
        $0.copy(pool.bytes(reply.block, 0..<reply.byteCount), at: 0)
      }
      guard wasSent else { return false }
      counters.increment(.framesSent)
      replies.removeFirst()
      pool.release(reply.block)
    }
    return true
  }

  private enum Visit { case done, more, sinkFull }

  /// Sends what one connection has to send, up to its share.
  private mutating func visit<Sink: FrameSink & ~Copyable>(
    _ index: UInt32, _ sink: inout Sink, now: Instant
  ) -> Visit {
    guard let mac = resolve(index, now: now) else { return .done }
    let grant = windowGrant()
    var result = Visit.more
    for _ in 0..<TCPLimits.segmentsPerVisit {
      guard
        let segment = connections[index].nextTransmission(
          now: now, maximumRTO: configuration.maximumRTO)
      else {
        result = .done
        break
      }
      guard send(segment, of: index, to: mac, grant: grant, &sink, now: now) else {
        result = .sinkFull
        break
      }
    }
    if result == .done { armIfBlocked(index, now: now) }
    updateTimer(index)
    return result
  }

  /// Bytes a connection may announce, given how many blocks are left.
  private mutating func windowGrant() -> Int {
    if pool.freeCount > lowMark { return configuration.receiveLimit }
    counters.increment(.windowGrantsWithheld)
    return pool.freeCount > reserve ? 2 * configuration.mtu : 0
  }

  private mutating func send<Sink: FrameSink & ~Copyable>(
    _ segment: Transmission, of index: UInt32, to mac: MACAddress, grant: Int,
    _ sink: inout Sink, now: Instant
  ) -> Bool {
    let window = connections[index].offerWindow(limit: configuration.receiveLimit, grant: grant)
    let options = connections[index].options(for: segment, mtu: configuration.mtu, now: now)
    let optionsLength = options.byteCount
    let tcpLength = TCPHeader.byteCount + optionsLength + segment.count
    let source = connections[index].local
    let destination = connections[index].remote
    let envelope = Envelope(
      to: mac, from: configuration.mac, source: source.ip, destination: destination.ip,
      protocolNumber: IPProtocol.tcp)
    let start = envelope.byteCount
    let header = TCPHeader(
      sourcePort: source.port, destinationPort: destination.port,
      sequence: segment.sequence.value,
      acknowledgment: connections[index].receiveNext.value, flags: segment.flags, window: window)
    let wasSent = sink.emit(byteCount: start + tcpLength) { frame in
      envelope.write(into: &frame, payloadLength: tcpLength)
      header.write(into: &frame, at: start, optionsLength: optionsLength)
      options.write(into: &frame, at: start + TCPHeader.byteCount)
      let payloadStart = start + TCPHeader.byteCount + optionsLength
      var sum = InternetChecksum(partial: connections[index].pseudoSum)
      if segment.count > 0 {
        let payloadSum = connections[index].queue.copy(
          from: segment.sequence, count: segment.count, isNew: segment.kind == .data,
          into: &frame, at: payloadStart, pool: pool, entries: &entries)
        sum.add(partial: payloadSum.partial, at: 0)
      }
      sum.add(UInt32(tcpLength))
      sum.add(frame.bytes.extracting(start..<payloadStart))
      TCPHeader.storeChecksum(sum, into: &frame, at: start)
    }
    guard wasSent else { return false }
    count(segment, of: index)
    let reportIsComplete = connections[index].reported.count == 0 || options.sackCount > 0
    connections[index].sent(
      segment, carriesReport: reportIsComplete, maximumRTO: configuration.maximumRTO, now: now)
    return true
  }

  /// Before `sendMax` moves.
  private mutating func count(_ segment: Transmission, of index: UInt32) {
    counters.increment(.framesSent)
    counters.increment(.segmentsSent)
    switch segment.kind {
    case .data where segment.sequence >= connections[index].sendMax:
      counters.add(segment.count, to: .bytesSent)
      connections[index].sentBytes += UInt64(segment.count)
    case .data:
      counters.increment(.segmentsRetransmitted)
      connections[index].retransmissions += 1
    case .repeated:
      counters.increment(.segmentsRetransmitted)
      counters.increment(.fastRetransmits)
      connections[index].retransmissions += 1
    case .probe: counters.increment(.windowProbesSent)
    case .keepalive: counters.increment(.keepaliveProbesSent)
    case .ack, .synACK: break
    }
  }

  /// Something waits and nothing in flight will free it: look again by timer, as a window
  /// probe (RFC 9293 §3.8.6.1) or when memory may be back.
  private mutating func armIfBlocked(_ index: UInt32, now: Instant) {
    guard connections[index].retransmitAt == .distantFuture else { return }
    if connections[index].sendMax > connections[index].unacknowledged
      || connections[index].hasUnsent
    {
      connections[index].retransmitAt =
        now + connections[index].roundTrip.current(maximum: configuration.maximumRTO)
    } else if connections[index].flags.contains(.starved) {
      connections[index].retransmitAt = now + TCPLimits.starvedRetry
    }
  }

  // MARK: Segments without a place in the stream

  func knownMAC(_ index: UInt32) -> MACAddress? {
    let handle = connections[index].neighbour
    return neighbours.contains(handle) ? neighbours[handle].mac : nil
  }

  /// Tells the peer that the connection is no more, when there is a way to tell it.
  mutating func sendReset(for index: UInt32) {
    sendLone([.rst, .ack], for: index)
  }

  /// A segment without data, at once instead of in the connection's turn.
  mutating func sendLone(_ flags: TCPFlags, for index: UInt32) {
    guard let mac = knownMAC(index) else { return }
    let flow = Flow(
      local: connections[index].local, remote: connections[index].remote, mac: mac, hash: 0)
    var options = TCPOptions()
    if connections[index].flags.contains(.usesTimestamps) {
      options.hasTimestamp = true
      options.timestampValue = connections[index].timestamp(now)
      options.timestampEcho = connections[index].recentTimestamp
    }
    sendBare(
      flags, flow, sequence: connections[index].sendMax,
      acknowledgment: connections[index].receiveNext, options: options)
  }

  mutating func sendBare(
    _ flags: TCPFlags, _ flow: Flow, sequence: SequenceNumber, acknowledgment: SequenceNumber,
    options: TCPOptions = TCPOptions(), window: UInt16 = 1
  ) {
    let tcpLength = TCPHeader.byteCount + options.byteCount
    let envelope = Envelope(
      to: flow.mac, from: configuration.mac, source: flow.local.ip, destination: flow.remote.ip,
      protocolNumber: IPProtocol.tcp)
    let start = envelope.byteCount
    let length = start + tcpLength
    guard let block = beginReply(length) else { return }
    let window = flags.contains(.rst) ? 0 : window
    var frame = pool.mutableBytes(block, 0..<length)
    envelope.write(into: &frame, payloadLength: tcpLength)
    TCPHeader(
      sourcePort: flow.local.port, destinationPort: flow.remote.port, sequence: sequence.value,
      acknowledgment: acknowledgment.value, flags: flags, window: window
    ).write(into: &frame, at: start, optionsLength: options.byteCount)
    options.write(into: &frame, at: start + TCPHeader.byteCount)
    var sum = InternetChecksum(
      from: flow.local.ip, to: flow.remote.ip, protocolNumber: IPProtocol.tcp)
    sum.add(UInt32(tcpLength))
    sum.add(frame.bytes.extracting(start..<length))
    TCPHeader.storeChecksum(sum, into: &frame, at: start)
    replies.append(block, byteCount: length)
    counters.increment(.segmentsSent)
    if flags.contains(.rst) { counters.increment(.resetsSent) }
  }
}

extension Connection {
  /// The options of a segment. SACK ranges are left out where they would not fit the packet.
  @inline(__always)
  func options(for segment: Transmission, mtu: Int, now: Instant) -> TCPOptions {
    var options = TCPOptions()
    if flags.contains(.usesTimestamps) {
      options.hasTimestamp = true
      options.timestampValue = timestamp(now)
      options.timestampEcho = recentTimestamp
    }
    let ipLength = local.ip.isIPv4 ? IPv4Header.byteCount : IPv6Header.byteCount
    if segment.kind == .synACK {
      options.maximumSegmentSize = UInt16(mtu - ipLength - TCPHeader.byteCount)
      options.windowShift = flags.contains(.scalesWindow) ? receiveShift : nil
      options.sackPermitted = flags.contains(.usesSACK)
    } else if reported.count > 0, flags.contains(.usesSACK) {
      let room = min(
        40 - options.byteCount,
        mtu - ipLength - TCPHeader.byteCount - options.byteCount - segment.count)
      let count = min(reported.count, (room - 4) / 8)
      if count > 0 {
        options.sackCount = count
        for i in 0..<count { options.sackBlocks[i] = reported.ranges[i] }
      }
    }
    return options
  }
}
