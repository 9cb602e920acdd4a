import DPUCore
import PacketWire

/// Handshakes without a record of them, when there are too many with one (RFC 4987 §3.6).
extension TCPStack {
  private var cookie: SYNCookie {
    SYNCookie(key0: configuration.sequenceKey0, key1: configuration.sequenceKey1)
  }

  /// Whether a SYN that comes now is answered by a cookie.
  var isFlooded: Bool { halfOpenCount >= configuration.halfOpenMax }

  /// Answers a SYN and forgets it.
  mutating func answerWithCookie(_ syn: SegmentHeader, _ flow: Flow, now: Instant) {
    let hash = sequenceHash(flow)
    var options = TCPOptions()
    options.maximumSegmentSize = UInt16(largestSegment(flow))
    if syn.options.hasTimestamp {
      let offered = StampedOptions(syn.options)
      options.hasTimestamp = true
      options.timestampValue = offered.put(
        into: UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000) &+ timestampOffset(flow))
      options.timestampEcho = syn.options.timestampValue
      options.windowShift = offered.windowShift == nil ? nil : configuration.windowShift
      options.sackPermitted = offered.sackPermitted
    }
    cookiesSentAt = now
    counters.increment(.cookiesSent)
    sendBare(
      [.syn, .ack], flow,
      sequence: cookie.value(
        flow: hash, initial: syn.sequence,
        size: syn.segmentSize(overIPv4: flow.local.ip.isIPv4), now: now),
      acknowledgment: syn.sequence + 1, options: options, window: firstWindow)
  }

  /// The connection that a segment opens by bringing a cookie back; nil when it brings none.
  mutating func connection(
    openedBy header: SegmentHeader, _ flow: Flow, now: Instant
  ) -> UInt32? {
    guard let sentAt = cookiesSentAt, now - sentAt <= SYNCookie.lifetime,
      header.flags.contains(.ack), !header.flags.contains(.syn), !header.flags.contains(.rst),
      let tag = listenerTag(flow.local.port)
    else { return nil }
    let initial = header.sequence - 1
    let ours = header.acknowledgment - 1
    guard let size = cookie.size(of: ours, flow: sequenceHash(flow), initial: initial, now: now)
    else {
      counters.increment(.cookiesRefused)
      return nil
    }
    // The SYN as it was, as far as anybody knows.
    var syn = header
    syn.sequence = initial
    syn.options.maximumSegmentSize = UInt16(size)
    if header.options.hasTimestamp {
      let offered = StampedOptions(from: header.options.timestampEcho)
      syn.options.windowShift = offered.windowShift
      syn.options.sackPermitted = offered.sackPermitted
    }
    var connection = Connection(
      local: flow.local, remote: flow.remote, tag: tag,
      hash: UInt32(truncatingIfNeeded: flow.hash), initialSend: ours,
      timestampOffset: timestampOffset(flow), syn: syn, configuration: configuration, now: now)
    connection.handshakeWasAnswered(window: Int(firstWindow))
    // Should this not complete the handshake after all, it ends as any other.
    connection.retransmitAt = now + configuration.initialRTO
    guard let handle = connections.insert(connection) else {
      counters.increment(.droppedConnectionsFull)
      return nil
    }
    counters.increment(.cookiesAccepted)
    halfOpenCount += 1
    table.insert(handle.index, into: &connections)
    updateTimer(handle.index)
    return handle.index
  }

  /// Of a SYN-ACK, never scaled (RFC 7323 §2.2).
  private var firstWindow: UInt16 { UInt16(min(65_535, configuration.receiveLimit)) }

  private func largestSegment(_ flow: Flow) -> Int {
    configuration.mtu - (flow.local.ip.isIPv4 ? IPv4Header.byteCount : IPv6Header.byteCount)
      - TCPHeader.byteCount
  }
}

extension Connection {
  /// The SYN-ACK has been sent, and announced `window`.
  fileprivate mutating func handshakeWasAnswered(window: Int) {
    flags.remove(.needsSYN)
    sendNext = initialSend + 1
    sendMax = sendNext
    windowEdge = receiveNext + window
  }
}
