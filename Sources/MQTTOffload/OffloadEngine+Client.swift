import DPUCore
import HostLink
import MQTTWire

/// From client to broker: packet by packet as long as the stream can be followed.
extension OffloadEngine where Transport: ~Copyable, Link: ~Copyable {
  /// Handles what the client has sent, as far as the broker has room and nothing has to wait.
  /// Call again when there is more of either, or when `ready` says so.
  mutating func progress(
    _ i: UInt32, _ incoming: inout FixedArray<UInt8>, _ name: inout FixedArray<UInt8>,
    _ bench: inout Workbench,
    _ stack: inout Transport, _ link: inout Link, _ now: Instant
  ) {
    let connection = sessions[i].connection
    while sessions[i].hasChannel {
      if sessions[i].relayRemaining > 0 || sessions[i].isRaw {
        guard relay(i, &stack, &link, now) else { break }
        continue
      }
      injectPings(i, &link, now)
      guard copiesLeft > 0 else {
        ready.insert(i)
        break
      }
      guard nextPacket(i, &incoming, &name, &bench, &stack, &link, now) else { break }
    }
    if !sessions[i].hasChannel {
      // Nobody reads this any more; taking it keeps the client's side moving towards its FIN.
      stack.consume(connection, stack.readableCount(connection))
    } else if sessions[i].clientEnded, !sessions[i].shutSent, stack.readableCount(connection) == 0 {
      sessions[i].shutSent = true
      link.shut(connection)
    }
  }

  /// Passes bytes on as they are. False when there are none, or no room.
  private mutating func relay(
    _ i: UInt32, _ stack: inout Transport, _ link: inout Link, _ now: Instant
  ) -> Bool {
    let connection = sessions[i].connection
    let limit = sessions[i].isRaw ? .max : sessions[i].relayRemaining
    let taken = sendFront(of: connection, limit, stack, &link)
    guard taken > 0 else { return false }
    stack.consume(connection, taken)
    if !sessions[i].isRaw { sessions[i].relayRemaining -= taken }
    sentToBroker(i, taken, now)
    return true
  }

  private func sendFront(
    of connection: SlabHandle, _ limit: Int, _ stack: borrowing Transport, _ link: inout Link
  ) -> Int {
    let run = stack.peek(connection)
    let count = min(run.byteCount, limit, link.sendRoom(connection))
    return count > 0 ? link.send(connection, run.extracting(0..<count)) : 0
  }

  mutating func sentToBroker(_ i: UInt32, _ count: Int, _ now: Instant) {
    counters.add(count, to: .bytesToBroker)
    sessions[i].lastToBroker = now
    sessions[i].consumedSince = false
    sessions[i].wantsKeepAlive = false
  }

  /// Looks at the packet at the front. False when it is not whole or has to wait.
  private mutating func nextPacket(
    _ i: UInt32, _ incoming: inout FixedArray<UInt8>, _ name: inout FixedArray<UInt8>,
    _ bench: inout Workbench,
    _ stack: inout Transport, _ link: inout Link, _ now: Instant
  ) -> Bool {
    let connection = sessions[i].connection
    let readable = stack.readableCount(connection)
    guard readable > 0 else { return false }
    guard let header = frontHeader(i, readable, &incoming, stack) else {
      return !sessions[i].isRaw ? passFragment(i, readable) : true
    }
    // Other protocols on the port (WebSocket, TLS, PROXY) and garbage: no CONNECT, no MQTT.
    if sessions[i].phase == .connecting, header.type != .connect || header.flags != 0 {
      becomeRaw(i, .rawConnect)
      return true
    }
    let total = header.totalLength
    let isLate = sessions[i].rest == .late
    let isLarge = total > OffloadLimits.packetBytesMax || (isLate && total > readable)
    let needed = isLarge ? min(readable, OffloadLimits.packetBytesMax) : total
    // Of a packet that streams only the front is looked at; no window holds all of it.
    guard readable >= (isLarge ? min(total, OffloadLimits.largeFrontBytes) : total) || isLate else {
      awaitRest(i, readable, now)
      return passFragment(i, readable)
    }
    sessions[i].rest = .whole
    sessions[i].restBy = .distantFuture
    var target = incoming.mutableBytes(0..<needed)
    _ = stack.copyReadable(connection, at: 0, into: &target)
    if isLarge {
      return largePacket(i, header, needed, &incoming, &name, &bench, &stack, &link, now)
    }
    let packet = incoming.bytes(0..<total)
    switch header.type {
    case .publish: return publish(i, header, packet, &name, &bench, &stack, &link, now)
    case .connect: connect(i, packet)
    case .subscribe, .unsubscribe:
      guard keepRequest(i, header, packet) else { return false }
    case .pingreq:
      guard !sessions[i].pings.isFull else { return false }
      sessions[i].pings.sent(by: .client)
    case .disconnect: sessions[i].phase = .leaving
    case .auth:
      if sessions[i].phase == .connected { sessions[i].isReauthenticating = true }
    case .connack, .puback, .pubrec, .pubrel, .pubcomp, .suback, .unsuback, .pingresp: break
    }
    counters.increment(.packetsFromClients)
    sessions[i].relayRemaining = total
    return true
  }

  /// A packet that is not whole is waited for, but not for ever: the transport may be short of
  /// memory, or its peer of window, and give no room for the rest until the beginning is read.
  private mutating func awaitRest(_ i: UInt32, _ readable: Int, _ now: Instant) {
    guard sessions[i].rest == .whole, readable >= OffloadLimits.restBytesMin else { return }
    sessions[i].rest = .awaited
    sessions[i].restBy = now + OffloadLimits.restTime
    reschedule(i)
  }

  /// The fixed header at the front; nil when it is not whole, or when none can start like that.
  private mutating func frontHeader(
    _ i: UInt32, _ readable: Int, _ incoming: inout FixedArray<UInt8>, _ stack: borrowing Transport
  ) -> FixedHeader? {
    let connection = sessions[i].connection
    let run = stack.peek(connection)
    var scan = PacketFraming.scan(run)
    if case .incomplete = scan, readable > run.byteCount {
      let count = min(readable, MQTTLimits.fixedHeaderMax)
      var target = incoming.mutableBytes(0..<count)
      _ = stack.copyReadable(connection, at: 0, into: &target)
      scan = PacketFraming.scan(incoming.bytes(0..<count))
    }
    switch scan {
    case .incomplete: return nil
    case .partial(let header), .packet(let header): return header
    case .malformed:
      becomeRaw(i, sessions[i].phase == .connecting ? .rawConnect : .rawFraming)
      return nil
    }
  }

  /// A packet that is not whole waits for its rest; when none will come, the broker gets what
  /// there is.
  private mutating func passFragment(_ i: UInt32, _ readable: Int) -> Bool {
    guard sessions[i].clientEnded else { return false }
    sessions[i].relayRemaining = readable
    return true
  }

  /// A packet that streams through. Its first `available` bytes stand in `incoming`.
  private mutating func largePacket(
    _ i: UInt32, _ header: FixedHeader, _ available: Int,
    _ incoming: inout FixedArray<UInt8>,
    _ name: inout FixedArray<UInt8>, _ bench: inout Workbench, _ stack: inout Transport,
    _ link: inout Link, _ now: Instant
  ) -> Bool {
    switch header.type {
    case .publish:
      return publishLarge(i, header, available, &incoming, &name, &bench, &stack, &link, now)
    case .connect: becomeRaw(i, .rawConnect)
    case .subscribe, .unsubscribe: becomeOpaque(i, .opaqueRequestLost)
    default: break
    }
    counters.increment(.packetsFromClients)
    sessions[i].relayRemaining = header.totalLength
    return true
  }

  private mutating func connect(_ i: UInt32, _ packet: RawSpan) {
    // A second CONNECT is an error that the broker answers.
    guard sessions[i].phase == .connecting else { return }
    do {
      let view = try ConnectView(packet)
      sessions[i].phase = .requested
      sessions[i].version = view.version
      sessions[i].keepAliveSeconds = view.keepAliveSeconds
      let name = view.clientIdentifier
      sessions[i].clientHash = name.byteCount == 0 ? 0 : hash(name)
      names[i] = ClientName(name)
      if view.version == .v5 {
        sessions[i].isPersistent = view.properties.integer(.sessionExpiryInterval) ?? 0 > 0
        sessions[i].maximumPacketSize = view.properties.integer(.maximumPacketSize) ?? .max
      } else {
        sessions[i].isPersistent = !view.cleanStart
      }
    } catch {
      becomeRaw(i, .rawConnect)
    }
  }
}
