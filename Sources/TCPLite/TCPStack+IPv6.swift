import DPUCore
import PacketWire

/// IPv6 without fragments, ICMPv6 echo and neighbour discovery.
extension TCPStack {
  mutating func receiveIPv6(
    _ bytes: RawSpan, from mac: MACAddress, isUnicast: Bool, now: Instant
  ) -> FrameDisposition {
    guard configuration.ipv6 != nil else { return notForUs() }
    let packet: IPv6View
    do { packet = try IPv6View(bytes) } catch { return drop(.droppedBadIPv6Header) }
    let destination = packet.destination
    let isGroup =
      destination == .allNodes || destination == linkLocal.solicitedNode
      || destination == configuration.ipv6?.solicitedNode
    guard isOurs(destination) || isGroup else { return notForUs() }
    let source = packet.source
    if source.isMulticast || isOurs(source) || source.isIPv4 { return drop(.droppedBadSource) }
    switch packet.upperLayer {
    case .fragment: return drop(.droppedFragment)
    case .malformed: return drop(.droppedBadIPv6Header)
    case .routed: return drop(.droppedRoutingHeader)
    case .found(let number, let offset):
      let origin = PacketOrigin(mac: mac, source: source, destination: destination)
      let payload = packet.payload(from: offset)
      if number == IPProtocol.icmpv6 {
        return receiveICMPv6(payload, origin, hopLimit: packet.hopLimit, now: now)
      }
      guard number == IPProtocol.tcp else { return drop(.droppedUnknownProtocol) }
      guard isUnicast, !isGroup, !source.isUnspecified else { return drop(.droppedBadSource) }
      return receiveTCP(payload, origin, now: now)
    }
  }

  private mutating func receiveICMPv6(
    _ bytes: RawSpan, _ origin: PacketOrigin, hopLimit: UInt8, now: Instant
  ) -> FrameDisposition {
    let message: ICMPv6View
    do {
      message = try ICMPv6View(bytes, source: origin.source, destination: origin.destination)
    } catch { return drop(.droppedBadICMP) }
    switch message.type {
    case ICMPv6View.echoRequest where message.code == 0 && !origin.source.isUnspecified:
      return replyToEcho(message.echoed, origin)
    case ICMPv6View.neighbourSolicitation, ICMPv6View.neighbourAdvertisement:
      // RFC 4861 §7.1: 255 proves that no router forwarded it.
      guard hopLimit == 255, message.code == 0, let neighbour = message.neighbour else {
        return drop(.droppedBadICMP)
      }
      if message.type == ICMPv6View.neighbourSolicitation {
        return solicited(neighbour, origin, now: now)
      }
      return advertised(neighbour, now: now)
    default: return drop(.droppedUnknownICMP)
    }
  }

  private mutating func replyToEcho(
    _ echoed: RawSpan, _ origin: PacketOrigin
  ) -> FrameDisposition {
    // An echo to a group is answered from an address of our own.
    let source = isOurs(origin.destination) ? origin.destination : sourceAddress(for: origin.source)
    let envelope = Envelope(
      to: origin.mac, from: configuration.mac, source: source, destination: origin.source,
      protocolNumber: IPProtocol.icmpv6)
    let start = envelope.byteCount
    let count = 4 + echoed.byteCount
    guard let block = beginReply(start + count) else { return .consumed }
    var frame = pool.mutableBytes(block, 0..<start + count)
    envelope.write(into: &frame, payloadLength: count)
    frame.storeEchoReply(type: ICMPv6View.echoReply, echoed: echoed, at: start)
    frame.storeICMPv6Checksum(at: start, count: count, from: source, to: origin.source)
    replies.append(block, byteCount: start + count)
    counters.increment(.echoRepliesSent)
    return .consumed
  }

  func sourceAddress(for destination: IPAddress) -> IPAddress {
    destination.isLinkLocal ? linkLocal : configuration.ipv6 ?? linkLocal
  }

  /// Somebody asks for a hardware address (RFC 4861 §7.2.3, §7.2.4).
  private mutating func solicited(
    _ message: NeighbourMessage, _ origin: PacketOrigin, now: Instant
  ) -> FrameDisposition {
    guard message.target == configuration.ipv6 || message.target == linkLocal else {
      return notForUs()
    }
    // From `::` somebody checks whether the address is free: tell everybody that it is not.
    let isProbe = origin.source.isUnspecified
    if isProbe {
      counters.increment(.addressConflicts)
    } else if let mac = message.linkAddress {
      learn(origin.source, mac, now: now)
    }
    let destination = isProbe ? IPAddress.allNodes : origin.source
    let answer = NeighbourMessage(
      target: message.target, linkAddress: configuration.mac, isSolicited: !isProbe,
      overrides: true)
    let mac = isProbe ? MACAddress(ipv6Multicast: .allNodes) : origin.mac
    sendNeighbour(
      answer, ICMPv6View.neighbourAdvertisement, from: message.target, to: destination, mac: mac)
    counters.increment(.neighbourAdvertisementsSent)
    return .consumed
  }

  private mutating func advertised(
    _ message: NeighbourMessage, now: Instant
  ) -> FrameDisposition {
    if isOurs(message.target) { return drop(.addressConflicts) }
    guard let handle = neighbours.find(message.target), let mac = message.linkAddress,
      neighbours[handle].askedAt != nil || (message.overrides && neighbours[handle].mac != nil)
    else { return drop(.arpUnsolicitedIgnored) }
    confirm(handle, mac, now: now)
    return .consumed
  }

  /// Asks for the hardware address of `target`: everybody, or `mac` whether it still is there.
  mutating func solicit(_ target: IPAddress, mac: MACAddress) {
    let source = sourceAddress(for: target)
    let isUnicast = mac != .broadcast
    let destination = isUnicast ? target : target.solicitedNode
    sendNeighbour(
      NeighbourMessage(target: target, linkAddress: configuration.mac),
      ICMPv6View.neighbourSolicitation, from: source, to: destination,
      mac: isUnicast ? mac : MACAddress(ipv6Multicast: destination))
    counters.increment(.neighbourSolicitationsSent)
  }

  private mutating func sendNeighbour(
    _ message: NeighbourMessage, _ type: UInt8, from source: IPAddress, to destination: IPAddress,
    mac: MACAddress
  ) {
    let envelope = Envelope(
      to: mac, from: configuration.mac, source: source, destination: destination,
      protocolNumber: IPProtocol.icmpv6, hopLimit: 255)
    let start = envelope.byteCount
    let length = start + message.byteCount
    guard let block = beginReply(length) else { return }
    var frame = pool.mutableBytes(block, 0..<length)
    envelope.write(into: &frame, payloadLength: message.byteCount)
    message.write(into: &frame, at: start, type: type, from: source, to: destination)
    replies.append(block, byteCount: length)
  }
}
