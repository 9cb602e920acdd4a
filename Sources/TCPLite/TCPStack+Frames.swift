package import DPUCore
import PacketWire

/// What became of a frame.
package enum FrameDisposition: Equatable, BitwiseCopyable, Sendable {
  /// Taken, or dropped and counted.
  case consumed
  /// Not addressed to this host: the caller may pass it on.
  case notForUs
}

/// Where a packet came from, and where an answer goes.
struct PacketOrigin: BitwiseCopyable {
  var mac: MACAddress
  var source: IPAddress
  var destination: IPAddress
}

/// From the Ethernet header to the transport protocols.
extension TCPStack {
  /// Takes one frame. Any bytes are allowed; what is wrong is counted.
  package mutating func receive(_ frame: RawSpan, now: Instant) -> FrameDisposition {
    self.now = now
    counters.increment(.framesReceived)
    let ethernet: EthernetView
    do { ethernet = try EthernetView(frame) } catch { return drop(.droppedShortFrame) }
    let destination = ethernet.destination
    guard destination == configuration.mac || isOurGroup(destination),
      ethernet.source != configuration.mac
    else { return notForUs() }
    // No station has a group for its address (IEEE 802.3 §3.2.3); what is sent there, every
    // station hears.
    if ethernet.source.isMulticast { return drop(.droppedGroupSourceMAC) }
    switch ethernet.type {
    case EtherType.ipv4:
      guard let address = configuration.ipv4 else { return notForUs() }
      return receiveIPv4(
        ethernet.payload, from: ethernet.source, to: address,
        isUnicast: destination == configuration.mac, now: now)
    case EtherType.ipv6:
      return receiveIPv6(
        ethernet.payload, from: ethernet.source, isUnicast: destination == configuration.mac,
        now: now)
    case EtherType.arp:
      guard let address = configuration.ipv4 else { return notForUs() }
      return receiveARP(ethernet.payload, ours: address, now: now)
    default:
      if destination != configuration.mac { return notForUs() }
      counters.increment(.droppedUnknownEtherType)
      return .notForUs
    }
  }

  /// Whether `receive` may have use for a frame, by its hardware addresses alone.
  @inline(__always)
  package func mayConcern(_ frame: RawSpan) -> Bool {
    // What is too short for them is dropped and counted there.
    guard let ethernet = try? EthernetView(frame) else { return true }
    let destination = ethernet.destination
    return (destination == configuration.mac || isOurGroup(destination))
      && ethernet.source != configuration.mac
  }

  /// Broadcast, all IPv6 nodes, or the solicited-node groups of our addresses.
  private func isOurGroup(_ mac: MACAddress) -> Bool {
    if mac == .broadcast { return true }
    guard mac.isMulticast, mac.value >> 32 == 0x3333 else { return false }
    return mac == MACAddress(ipv6Multicast: .allNodes)
      || mac == MACAddress(ipv6Multicast: linkLocal.solicitedNode)
      || configuration.ipv6.map { mac == MACAddress(ipv6Multicast: $0.solicitedNode) } ?? false
  }

  func isOurs(_ address: IPAddress) -> Bool {
    address == configuration.ipv4 || address == configuration.ipv6 || address == linkLocal
  }

  func drop(_ reason: TCPCounter) -> FrameDisposition {
    counters.increment(reason)
    return .consumed
  }

  func notForUs() -> FrameDisposition {
    counters.increment(.framesNotForUs)
    return .notForUs
  }

  private mutating func receiveIPv4(
    _ bytes: RawSpan, from mac: MACAddress, to address: IPAddress, isUnicast: Bool, now: Instant
  ) -> FrameDisposition {
    let packet: IPv4View
    do { packet = try IPv4View(bytes) } catch {
      return drop(error == .badChecksum ? .droppedBadIPv4Checksum : .droppedBadIPv4Header)
    }
    // RFC 1122 §4.2.3.10: no connection with a broadcast address.
    guard packet.destination == address, isUnicast else { return notForUs() }
    let source = packet.source
    if source.isMulticast || source.isUnspecified || source == address {
      return drop(.droppedBadSource)
    }
    if packet.isFragment { return drop(.droppedFragment) }
    let origin = PacketOrigin(mac: mac, source: source, destination: address)
    switch packet.protocolNumber {
    case IPProtocol.tcp: return receiveTCP(packet.payload, origin, now: now)
    case IPProtocol.icmp: return receiveICMP(packet.payload, origin)
    default: return drop(.droppedUnknownProtocol)
    }
  }

  private mutating func receiveICMP(
    _ bytes: RawSpan, _ origin: PacketOrigin
  ) -> FrameDisposition {
    let message: ICMPView
    do { message = try ICMPView(bytes) } catch { return drop(.droppedBadICMP) }
    guard message.type == ICMPView.echoRequest, message.code == 0 else {
      return drop(.droppedUnknownICMP)
    }
    let envelope = Envelope(
      to: origin.mac, from: configuration.mac, source: origin.destination,
      destination: origin.source, protocolNumber: IPProtocol.icmp)
    let start = envelope.byteCount
    let count = bytes.byteCount
    guard let block = beginReply(start + count) else { return .consumed }
    var frame = pool.mutableBytes(block, 0..<start + count)
    envelope.write(into: &frame, payloadLength: count)
    frame.storeEchoReply(type: ICMPView.echoReply, echoed: message.echoed, at: start)
    frame.storeICMPChecksum(at: start, count: count)
    replies.append(block, byteCount: start + count)
    counters.increment(.echoRepliesSent)
    return .consumed
  }

  // MARK: Answers

  /// A block for an answer of `byteCount` bytes, which the caller fills and queues; nil, and
  /// counted, when there is no room.
  mutating func beginReply(_ byteCount: Int) -> Block? {
    if replies.isFull {
      counters.increment(.droppedReplyQueueFull)
    } else if byteCount > pool.blockSize {
      counters.increment(.droppedReplyTooLong)
    } else if let block = pool.allocate() {
      return block
    } else {
      counters.increment(.droppedReplyNoBlock)
    }
    return nil
  }
}

/// Ethernet and IP headers of a packet of ours, of either family.
struct Envelope: BitwiseCopyable {
  var to: MACAddress
  var from: MACAddress
  var source: IPAddress
  var destination: IPAddress
  var protocolNumber: UInt8
  var hopLimit: UInt8 = 64

  /// Bytes in front of the payload.
  @inline(__always)
  var byteCount: Int {
    EthernetHeader.byteCount + (source.isIPv4 ? IPv4Header.byteCount : IPv6Header.byteCount)
  }

  /// Writes the headers at the start of `frame`.
  @inline(__always)
  @_lifetime(frame: copy frame)
  func write(into frame: inout MutableRawSpan, payloadLength: Int) {
    let type = source.isIPv4 ? EtherType.ipv4 : EtherType.ipv6
    EthernetHeader(destination: to, source: from, type: type).write(into: &frame)
    if source.isIPv4 {
      var header = IPv4Header(
        source: source, destination: destination, protocolNumber: protocolNumber,
        payloadLength: payloadLength)
      header.timeToLive = hopLimit
      header.write(into: &frame, at: EthernetHeader.byteCount)
    } else {
      var header = IPv6Header(
        source: source, destination: destination, nextHeader: protocolNumber,
        payloadLength: payloadLength)
      header.hopLimit = hopLimit
      header.write(into: &frame, at: EthernetHeader.byteCount)
    }
  }
}
