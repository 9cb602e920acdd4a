import DPUCore
import PacketWire

/// ARP, and finding out where a connection's frames go.
extension TCPStack {
  /// RFC 826: whoever asks us is remembered, others only when known already.
  mutating func receiveARP(
    _ bytes: RawSpan, ours: IPAddress, now: Instant
  ) -> FrameDisposition {
    let packet: ARPView
    do { packet = try ARPView(bytes) } catch { return drop(.droppedBadARP) }
    let sender = packet.senderIP
    let mac = packet.senderMAC
    if mac.isMulticast || mac == .zero || sender.isMulticast { return drop(.droppedBadARP) }
    if sender == ours { return drop(.addressConflicts) }
    let isForUs = packet.targetIP == ours
    switch packet.operation {
    case ARPPacket.request:
      if isForUs, !sender.isUnspecified {
        learn(sender, mac, now: now)
      } else if let handle = neighbours.find(sender), neighbours[handle].mac != nil {
        // Also how a station announces that its address has moved (RFC 5227 §3).
        confirm(handle, mac, now: now)
      }
      guard isForUs else { return notForUs() }
      sendARP(
        ARPPacket(
          operation: ARPPacket.reply, senderMAC: configuration.mac, senderIP: ours, targetMAC: mac,
          targetIP: sender), to: mac)
      counters.increment(.arpRepliesSent)
      return .consumed
    case ARPPacket.reply:
      guard isForUs else { return notForUs() }
      guard let handle = neighbours.find(sender), neighbours[handle].askedAt != nil else {
        return drop(.arpUnsolicitedIgnored)
      }
      confirm(handle, mac, now: now)
      return .consumed
    default: return drop(.droppedBadARP)
    }
  }

  /// Remembers a station that has spoken to us.
  mutating func learn(_ address: IPAddress, _ mac: MACAddress, now: Instant) {
    guard !mac.isMulticast, mac != .zero, isOnLink(address),
      let handle = neighbour(of: address, now: now)
    else { return }
    confirm(handle, mac, now: now)
  }

  /// Sets a hardware address and wakes those who waited for it.
  mutating func confirm(_ handle: SlabHandle, _ mac: MACAddress, now: Instant) {
    guard !mac.isMulticast, mac != .zero else { return }
    neighbours.confirm(handle, mac, now: now)
    while neighbours[handle].waiting.head != .max {
      let index = neighbours[handle].waiting.head
      neighbours[handle].waiting.remove(index, in: &connections)
      ready.append(index, as: .ready, in: &connections)
    }
  }

  private mutating func neighbour(of address: IPAddress, now: Instant) -> SlabHandle? {
    switch neighbours.findOrInsert(address, now: now) {
    case .found(let handle), .added(let handle): return handle
    case .replaced(let handle):
      counters.increment(.neighboursEvicted)
      return handle
    case .full:
      counters.increment(.droppedNeighboursFull)
      return nil
    }
  }

  private func isOnLink(_ address: IPAddress) -> Bool {
    if address.isLinkLocal { return true }
    guard let ours = address.isIPv4 ? configuration.ipv4 : configuration.ipv6 else { return false }
    let length =
      address.isIPv4 ? configuration.ipv4PrefixLength : configuration.ipv6PrefixLength
    return address.hasPrefix(ours, length: length)
  }

  /// The station that frames to `address` go to: itself, or the gateway.
  private func nextHop(_ address: IPAddress) -> IPAddress {
    if isOnLink(address) { return address }
    let gateway = address.isIPv4 ? configuration.ipv4Gateway : configuration.ipv6Gateway
    return gateway ?? address
  }

  /// Where a connection's frames go. When that is not known, asks and leaves the connection
  /// waiting for the answer, its timer running in case none comes.
  mutating func resolve(_ index: UInt32, now: Instant) -> MACAddress? {
    if !neighbours.contains(connections[index].neighbour) {
      guard let handle = neighbour(of: nextHop(connections[index].remote.ip), now: now) else {
        wait(index, now: now)
        return nil
      }
      connections[index].neighbour = handle
    }
    let handle = connections[index].neighbour
    let (resolution, ask) = neighbours.resolve(handle, now: now)
    if let ask { self.ask(neighbours[handle].address, mac: ask) }
    switch resolution {
    case .known(let mac): return mac
    case .unknown:
      if ask == nil { counters.increment(.arpRequestsSuppressed) }
      wait(index, now: now)
      neighbours[handle].waiting.append(index, as: .awaitingNeighbour, in: &connections)
      return nil
    }
  }

  /// Off the ready list, to be looked at again after a timeout at the latest.
  private mutating func wait(_ index: UInt32, now: Instant) {
    leaveList(index)
    if connections[index].retransmitAt == .distantFuture {
      let timeout = connections[index].roundTrip.current(maximum: configuration.maximumRTO)
      connections[index].retransmitAt = now + max(timeout, TCPLimits.neighbourAskInterval)
    }
    updateTimer(index)
  }

  private mutating func ask(_ address: IPAddress, mac: MACAddress) {
    guard address.isIPv4 else { return solicit(address, mac: mac) }
    guard let ours = configuration.ipv4 else { return }
    sendARP(
      ARPPacket(
        operation: ARPPacket.request, senderMAC: configuration.mac, senderIP: ours,
        targetMAC: mac == .broadcast ? .zero : mac, targetIP: address), to: mac)
    counters.increment(.arpRequestsSent)
  }

  private mutating func sendARP(_ packet: ARPPacket, to mac: MACAddress) {
    let length = EthernetHeader.byteCount + ARPPacket.byteCount
    guard let block = beginReply(length) else { return }
    let header = EthernetHeader(
      destination: mac, source: configuration.mac, type: EtherType.arp)
    var frame = pool.mutableBytes(block, 0..<length)
    header.write(into: &frame)
    packet.write(into: &frame, at: EthernetHeader.byteCount)
    replies.append(block, byteCount: length)
  }
}
