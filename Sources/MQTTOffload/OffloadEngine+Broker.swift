import DPUCore
import HostLink
import MQTTWire

/// From broker to client: followed packet by packet, so that our own go in between only, and
/// those that answer us do not reach the client.
extension OffloadEngine where Transport: ~Copyable, Link: ~Copyable {
  /// Takes all of `bytes`. They may be memory that the broker can still write, so each packet
  /// is looked at once. Call `settle` afterwards.
  mutating func receiveFromBroker(
    _ i: UInt32, _ bytes: RawSpan, _ assembled: inout FixedArray<UInt8>, _ bench: inout Workbench,
    _ stack: inout Transport
  ) {
    let count = bytes.byteCount
    let ranDry = sessions[i].credit.receive(count)
    let wasBetweenPackets = sessions[i].isBetweenPackets
    var packets = 0
    // Bytes up to `at` were looked at, those from `start` on are still to be sent.
    var start = 0
    var at = 0
    while at < count {
      if sessions[i].isRawFromBroker {
        at = count
      } else if sessions[i].streamRemaining > 0 {
        let step = min(sessions[i].streamRemaining, count - at)
        sessions[i].streamRemaining -= step
        at += step
      } else if sessions[i].partial.count > 0 {
        at += complete(i, bytes.extracting(at..<count), &assembled, &bench, &stack)
        start = at
        packets += 1
      } else {
        switch PacketFraming.scan(bytes.extracting(at..<count)) {
        case .packet(let header):
          let end = at + header.totalLength
          packets += 1
          if !examine(i, header, bytes.extracting(at..<end), &bench) {
            forward(i, bytes.extracting(start..<at), &stack)
            start = end
          }
          at = end
        case .partial(let header) where header.totalLength > OffloadLimits.packetBytesMax:
          sessions[i].streamRemaining = header.totalLength
        case .incomplete, .partial:
          forward(i, bytes.extracting(start..<at), &stack)
          start = count
          keepPartial(i, bytes.extracting(at..<count))
          at = count
        case .malformed: becomeRawFromBroker(i, .rawBrokerFraming)
        }
      }
    }
    forward(i, bytes.extracting(start..<count), &stack)
    countFromBroker(i, packets: packets, bytes: count, ranDry: ranDry)
    // Somebody may wait for the end of a packet.
    if !wasBetweenPackets, sessions[i].isBetweenPackets { wakeHeld() }
  }

  /// Adds to the beginning of a packet that came earlier; returns how many bytes it took.
  private mutating func complete(
    _ i: UInt32, _ bytes: RawSpan, _ assembled: inout FixedArray<UInt8>, _ bench: inout Workbench,
    _ stack: inout Transport
  ) -> Int {
    var taken = 0
    var header: FixedHeader?
    while header == nil {
      // A kept beginning lies together as long as its header is not whole.
      switch PacketFraming.scan(kept.front(sessions[i].partial)) {
      case .partial(let found), .packet(let found): header = found
      case .incomplete:
        guard taken < bytes.byteCount else { return taken }
        keepPartial(i, bytes.extracting(taken..<taken + 1))
        guard !sessions[i].hasLostBytes else { return bytes.byteCount }
        taken += 1
      case .malformed:
        becomeRawFromBroker(i, .rawBrokerFraming)
        sendPartial(i, &assembled, &stack)
        return taken
      }
    }
    guard let header else { return taken }
    let total = header.totalLength
    if total > OffloadLimits.packetBytesMax {
      sessions[i].streamRemaining = total - sessions[i].partial.count
      sendPartial(i, &assembled, &stack)
      return taken
    }
    let step = min(total - sessions[i].partial.count, bytes.byteCount - taken)
    keepPartial(i, bytes.extracting(taken..<taken + step))
    guard !sessions[i].hasLostBytes else { return bytes.byteCount }
    if sessions[i].partial.count == total {
      kept.copy(sessions[i].partial, into: &assembled)
      kept.release(&sessions[i].partial)
      let packet = assembled.bytes(0..<total)
      if examine(i, header, packet, &bench) { forward(i, packet, &stack) }
    }
    return taken + step
  }

  private mutating func keepPartial(_ i: UInt32, _ bytes: RawSpan) {
    if !kept.append(bytes, to: &sessions[i].partial) { sessions[i].hasLostBytes = true }
  }

  /// Lets the beginning of a packet go as it is.
  private mutating func sendPartial(
    _ i: UInt32, _ assembled: inout FixedArray<UInt8>, _ stack: inout Transport
  ) {
    let count = sessions[i].partial.count
    kept.copy(sessions[i].partial, into: &assembled)
    kept.release(&sessions[i].partial)
    forward(i, assembled.bytes(0..<count), &stack)
  }

  /// Puts bytes behind all that the client is to get from the broker.
  private mutating func forward(_ i: UInt32, _ bytes: RawSpan, _ stack: inout Transport) {
    guard bytes.byteCount > 0, !sessions[i].finSent, !sessions[i].hasLostBytes else { return }
    counters.add(bytes.byteCount, to: .bytesToClients)
    var taken = 0
    if sessions[i].backlog.count == 0 {
      taken = stack.send(sessions[i].connection, copying: bytes)
    }
    let rest = bytes.extracting(taken..<bytes.byteCount)
    if rest.byteCount > 0, !kept.append(rest, to: &sessions[i].backlog) {
      sessions[i].hasLostBytes = true
    }
  }

  /// Brings the client's side up to date: what is kept, credit, FIN. Call when there is room, or
  /// after anything was queued.
  mutating func settle(_ i: UInt32, _ stack: inout Transport, _ link: inout Link) {
    guard !sessions[i].finSent else { return }
    if sessions[i].hasLostBytes { return abort(i, .abortedNoMemory, &stack, &link) }
    let connection = sessions[i].connection
    while sessions[i].backlog.count > 0 {
      let taken = stack.send(connection, copying: kept.front(sessions[i].backlog))
      if taken == 0 { return }
      kept.dropFirst(taken, of: &sessions[i].backlog)
    }
    if sessions[i].brokerEnded {
      // A packet without an end: the client gets as much of it as the broker wrote.
      while sessions[i].partial.count > 0 {
        let taken = stack.send(connection, copying: kept.front(sessions[i].partial))
        if taken == 0 { return }
        kept.dropFirst(taken, of: &sessions[i].partial)
      }
      sessions[i].finSent = true
      stack.close(connection)
      return
    }
    // All that may come must fit the send queue: nothing of the broker's is ever refused.
    let room = stack.sendRoom(connection) - sessions[i].partial.count
    let due = min(HostLinkLimits.window, room) - sessions[i].credit.outstanding
    if due >= OffloadLimits.grantStep, sessions[i].hasChannel {
      sessions[i].credit.grant(due)
      link.grant(connection, due)
    }
  }

  // MARK: Packets

  /// Looks at a whole packet. False when it is not for the client.
  private mutating func examine(
    _ i: UInt32, _ header: FixedHeader, _ packet: RawSpan, _ bench: inout Workbench
  ) -> Bool {
    counters.increment(.packetsFromBroker)
    let version = sessions[i].version
    do {
      switch header.type {
      case .publish:
        if learningCount > 0 { observe(i, packet) }
      case .connack: connack(i, try ConnackView(packet, version: version))
      case .suback, .unsuback:
        applyAnswer(i, try SubscriptionAnswerView(packet, header.type, version: version), &bench)
      case .pingresp: return pingAnswered(i)
      case .disconnect: sessions[i].phase = .leaving
      case .auth:
        let view = try ReasonView(packet, .auth, version: version, from: .server)
        if view.reasonCode == .success { sessions[i].isReauthenticating = false }
      default: break
      }
    } catch {
      becomeRawFromBroker(i, .rawBrokerPacket)
    }
    return true
  }

  private mutating func connack(_ i: UInt32, _ view: borrowing ConnackView) {
    guard sessions[i].phase == .requested, view.isAccepted else { return }
    sessions[i].phase = .connected
    if sessions[i].version == .v5 {
      if let seconds = view.properties.integer(.serverKeepAlive) {
        sessions[i].keepAliveSeconds = UInt16(truncatingIfNeeded: seconds)
      }
      if let seconds = view.properties.integer(.sessionExpiryInterval) {
        sessions[i].isPersistent = seconds > 0
      }
      sessions[i].topicAliasMaximum = UInt16(
        truncatingIfNeeded: view.properties.integer(.topicAliasMaximum) ?? 0)
      if let name = view.properties.value(.assignedClientIdentifier) {
        sessions[i].clientHash = hash(name)
        names[i] = ClientName(name)
      }
    }
    // MQTT 3.1 does not say whether there is a session; without a clean start there may be.
    let mayBePresent = sessions[i].version == .v31 && sessions[i].isPersistent
    if !sessions[i].isRaw {
      beginSubscriptions(i, sessionPresent: view.sessionPresent || mayBePresent)
    }
  }

  /// The broker's stream cannot be followed: no packet boundaries in either direction any more.
  private mutating func becomeRawFromBroker(_ i: UInt32, _ reason: MQTTCounter) {
    sessions[i].isRawFromBroker = true
    if sessions[i].isRaw { return }
    becomeRaw(i, reason)
  }
}
