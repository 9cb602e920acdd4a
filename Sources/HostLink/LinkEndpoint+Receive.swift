import DPUCore

extension LinkEndpoint {
  /// The next thing that the other side said; nil when there is nothing now. Hands the bytes of
  /// the last `.data` event back.
  package mutating func nextEvent() -> Event? {
    hasEventBytes = false
    if let event = announced {
      announced = nil
      return .link(event)
    }
    while state == .greeting || state == .up {
      do {
        guard let header = try consumer.next() else {
          if isDraining { return fail(.peerGone).map(Event.link) }
          return producer.isBroken ? fail(.badRingIndex).map(Event.link) : nil
        }
        liveness.heard = true
        counters.increment(.framesReceived)
        if let event = try receive(header) { return event }
      } catch {
        return fail(error).map(Event.link)
      }
    }
    return nil
  }

  /// The bytes of the `.data` event that `nextEvent` returned last.
  package var eventBytes: RawSpan {
    @_lifetime(borrow self)
    borrowing get {
      if hasEventBytes { return consumer.body }
      return RawSpan()
    }
  }

  private mutating func receive(_ header: FrameHeader) throws(LinkFailure) -> Event? {
    guard let kind = FrameKind(rawValue: header.kind) else { throw .badKind }
    if state == .greeting {
      guard kind == .hello else { throw .badKind }
      return try receiveHello()
    }
    let channel = SlabHandle(rawValue: header.channel)
    switch kind {
    case .padding, .hello: throw .badKind
    case .ping: pongPending = !append(FrameHeader(.pong))
    case .pong: break
    case .data: return try receiveData(channel, Int(header.length))
    case .credit: return try receiveCredit(channel, header.argument)
    case .shut: return isKnown(channel) ? .link(.shut(channel)) : nil
    case .close:
      guard let reason = CloseReason(rawValue: UInt8(truncatingIfNeeded: header.argument)) else {
        throw .badBody
      }
      guard isKnown(channel) else { return nil }
      channels.remove(channel.index)
      return .link(.closed(channel, reason))
    case .open, .flush:
      guard role == .shim else { throw .badKind }
      return kind == .open ? try receiveOpen(channel) : .flush(token: header.argument)
    case .listen, .unlisten, .accepted, .certificate, .flushed:
      guard role == .firmware else { throw .badKind }
      return try receiveFromShim(kind, header)
    }
    return nil
  }

  private mutating func receiveHello() throws(LinkFailure) -> Event? {
    let hello = try Hello(consumer.body)
    guard hello.role != role, hello.generation == generation,
      Int(hello.ringBytes) == memory.ringBytes
    else { throw .incompatible }
    peerWindow = hello.window
    state = .up
    return .link(.up)
  }

  private mutating func receiveFromShim(
    _ kind: FrameKind, _ header: FrameHeader
  ) throws(LinkFailure) -> Event? {
    let channel = SlabHandle(rawValue: header.channel)
    switch kind {
    case .listen, .unlisten:
      guard Int(header.length) >= AddressBody.byteCount else { throw .badBody }
      let address = AddressBody.read(consumer.body, at: 0)
      return .link(kind == .listen ? .listen(address) : .unlisten(address))
    case .accepted: return isKnown(channel) ? .link(.accepted(channel)) : nil
    case .certificate:
      return .link(.certificate(CertificateFlags(rawValue: header.argument)))
    default: return .link(.flushed(token: header.argument, complete: header.flags & 1 == 1))
    }
  }

  private mutating func receiveOpen(_ channel: SlabHandle) throws(LinkFailure) -> Event? {
    guard consumer.body.byteCount >= 2 * AddressBody.byteCount else { throw .badBody }
    let local = AddressBody.read(consumer.body, at: 0)
    let peer = AddressBody.read(consumer.body, at: AddressBody.byteCount)
    guard
      channels.insert(
        channel, sendCredit: peerWindow, receiveCredit: UInt32(HostLinkLimits.window))
    else {
      // The slot is taken only while our own CLOSE of its last life still waits for room.
      guard Int(channel.index) < channels.capacity,
        channels[channel.index].pending.contains(.close)
      else { throw .badBody }
      counters.increment(.refusedOpen)
      channels[channel.index].generation = channel.generation
      channels[channel.index].closeReason = .refused
      return nil
    }
    counters.increment(.channelsOpened)
    return .open(channel, local: local, peer: peer)
  }

  private mutating func receiveData(
    _ channel: SlabHandle, _ count: Int
  ) throws(LinkFailure) -> Event? {
    guard count > 0 else { throw .badLength }
    guard isKnown(channel) else { return nil }
    guard count <= Int(channels[channel.index].receiveCredit) else { throw .badCredit }
    channels[channel.index].receiveCredit -= UInt32(count)
    counters.add(count, to: .bytesReceived)
    hasEventBytes = true
    return .link(.data(channel, count: count))
  }

  private mutating func receiveCredit(
    _ channel: SlabHandle, _ count: UInt32
  ) throws(LinkFailure) -> Event? {
    guard isKnown(channel) else { return nil }
    guard count <= peerWindow - min(peerWindow, channels[channel.index].sendCredit) else {
      throw .badCredit
    }
    channels[channel.index].sendCredit += count
    return .link(.credit(channel))
  }

  private func isKnown(_ channel: SlabHandle) -> Bool {
    if channels.isOpen(channel) { return true }
    counters.increment(.droppedStaleFrame)
    return false
  }
}
