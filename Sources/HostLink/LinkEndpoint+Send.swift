package import DPUCore

extension LinkEndpoint {
  // MARK: Channels

  /// Firmware: a new channel, with one window of credit each way.
  package mutating func open(
    _ channel: SlabHandle, local: LinkAddress, peer: LinkAddress
  ) -> Bool {
    precondition(role == .firmware)
    guard state == .up, !isDraining else { return false }
    guard
      channels.insert(
        channel, sendCredit: peerWindow, receiveCredit: UInt32(HostLinkLimits.window))
    else {
      counters.increment(.refusedOpen)
      return false
    }
    let length = 2 * AddressBody.byteCount
    guard producer.prepare(length) else {
      channels.remove(channel.index)
      counters.increment(.refusedOpen)
      return false
    }
    var body = producer.body(length)
    AddressBody.write(local, to: &body, at: 0)
    AddressBody.write(peer, to: &body, at: AddressBody.byteCount)
    commit(FrameHeader(.open, channel: channel.rawValue), length)
    counters.increment(.channelsOpened)
    return true
  }

  /// Shim: the broker has a descriptor for the channel. For information only, so it is left out
  /// when the ring is full.
  package mutating func accepted(_ channel: SlabHandle) {
    precondition(role == .shim)
    guard canSend(on: channel) else { return }
    _ = append(FrameHeader(.accepted, channel: channel.rawValue))
  }

  package func sendRoom(_ channel: SlabHandle) -> Int {
    guard canSend(on: channel) else { return 0 }
    return min(Int(channels[channel.index].sendCredit), producer.dataRoom)
  }

  package mutating func send(_ channel: SlabHandle, _ bytes: RawSpan) -> Int {
    guard canSend(on: channel) else { return 0 }
    var sent = 0
    while sent < bytes.byteCount {
      let count = min(
        bytes.byteCount - sent, Int(channels[channel.index].sendCredit), producer.longestData)
      guard count > 0, producer.prepare(count) else { break }
      var body = producer.body(count)
      body.copy(bytes.extracting(sent..<sent + count), at: 0)
      commitData(channel, count)
      sent += count
    }
    return sent
  }

  /// Bytes that the next DATA frame of the channel can hold; 0 without credit or room.
  package func frameRoom(_ channel: SlabHandle) -> Int {
    guard canSend(on: channel) else { return 0 }
    return min(Int(channels[channel.index].sendCredit), producer.longestData)
  }

  /// No credit is left, however much room the ring has.
  package func isOutOfCredit(_ channel: SlabHandle) -> Bool {
    channels.isOpen(channel) && channels[channel.index].sendCredit == 0
  }

  /// The body of the next DATA frame, for reading into it without a copy. Not more than
  /// `frameRoom`; end with `commitData` before anything else is sent.
  @_lifetime(&self)
  package mutating func prepareData(_ count: Int) -> MutableRawSpan {
    let ready = producer.prepare(count)
    invariant(ready, "more than the ring's room was asked for")
    return producer.body(count)
  }

  /// Ends the DATA frame with the first `count` bytes of what was prepared; none for 0.
  package mutating func commitData(_ channel: SlabHandle, _ count: Int) {
    guard count > 0 else { return }
    commit(FrameHeader(.data, channel: channel.rawValue), count)
    channels[channel.index].sendCredit -= UInt32(count)
    counters.add(count, to: .bytesSent)
  }

  /// `count` received bytes are used up. Told to the other side in quarters of a window, so that
  /// small messages do not cost a frame each; it never waits for the rest.
  package mutating func grant(_ channel: SlabHandle, _ count: Int) {
    guard channels.isOpen(channel), state == .up else { return }
    let window = HostLinkLimits.window
    let state = channels[channel.index]
    invariant(
      count >= 0 && Int(state.receiveCredit) + Int(state.grantable) + count <= window,
      "more credit granted than was used")
    channels[channel.index].grantable += UInt32(count)
    if Int(channels[channel.index].grantable) >= window / 4 {
      say(channel, .credit)
    }
  }

  package mutating func shut(_ channel: SlabHandle) {
    guard canSend(on: channel) else { return }
    say(channel, .shut)
  }

  /// The channel ends here at once; the other side learns it after all that was sent.
  package mutating func close(_ channel: SlabHandle, reason: CloseReason) {
    guard channels.isOpen(channel) else { return }
    channels[channel.index].closeReason = reason
    say(channel, .close)
  }

  /// What the owner keeps with a channel, until another takes its slot.
  package func tag(_ channel: SlabHandle) -> UInt32? {
    guard Int(channel.index) < channels.capacity,
      channels[channel.index].generation == channel.generation
    else { return nil }
    return channels[channel.index].tag
  }

  package mutating func setTag(_ channel: SlabHandle, _ tag: UInt32) {
    guard channels.isOpen(channel) else { return }
    channels[channel.index].tag = tag
  }

  // MARK: The link as a whole

  /// Firmware: asks for `.flushed`.
  package mutating func flush(token: UInt32) -> Bool {
    precondition(role == .firmware)
    return state == .up && !isDraining && append(FrameHeader(.flush, argument: token))
  }

  /// Shim: answers `.flush`. False when there is no room: try again.
  package mutating func flushed(token: UInt32, complete: Bool) -> Bool {
    precondition(role == .shim)
    return append(FrameHeader(.flushed, argument: token, flags: complete ? 1 : 0))
  }

  /// Shim: the broker listens at `address`, or no longer. False: try again.
  package mutating func announce(_ address: LinkAddress, listening: Bool) -> Bool {
    precondition(role == .shim)
    guard producer.prepare(AddressBody.byteCount) else { return false }
    var body = producer.body(AddressBody.byteCount)
    AddressBody.write(address, to: &body, at: 0)
    commit(FrameHeader(listening ? .listen : .unlisten), AddressBody.byteCount)
    return true
  }

  /// Shim: reports the certificate's flags; what counts is the word in `memory`. False: try again.
  package mutating func report(_ flags: CertificateFlags) -> Bool {
    precondition(role == .shim)
    return append(FrameHeader(.certificate, argument: flags.rawValue))
  }

  /// Ends the link from our side; the other end learns it from its socket.
  package mutating func shutDown() {
    guard state == .up || state == .greeting else { return }
    if let event = fail(.shutDown) { announced = event }
  }

  // MARK: Frames

  private func canSend(on channel: SlabHandle) -> Bool {
    state == .up && !isDraining && channels.isOpen(channel)
      && !channels[channel.index].pending.contains(.shut)
  }

  mutating func append(_ header: FrameHeader) -> Bool {
    guard producer.append(header) else { return false }
    counters.increment(.framesSent)
    return true
  }

  /// Ends a frame whose body was prepared.
  mutating func commit(_ header: FrameHeader, _ length: Int) {
    producer.commit(header, length)
    counters.increment(.framesSent)
  }

  /// Says it now, or as soon as there is room.
  private mutating func say(_ channel: SlabHandle, _ what: LinkChannel.Pending) {
    channels[channel.index].pending.insert(what)
    guard !sayPending(channel.index) else { return }
    counters.increment(.controlDelayed)
    channels.addPending(channel.index, what)
  }

  /// Sends what the channel has pending, in order. False when the ring filled up.
  private mutating func sayPending(_ index: UInt32) -> Bool {
    let state = channels[index]
    let channel = SlabHandle(index: index, generation: state.generation).rawValue
    // Nobody reads credit for a channel that ends.
    if state.pending.contains(.credit), !state.pending.contains(.close) {
      guard append(FrameHeader(.credit, channel: channel, argument: state.grantable)) else {
        return false
      }
      channels[index].receiveCredit += state.grantable
      channels[index].grantable = 0
      channels[index].pending.remove(.credit)
    }
    if state.pending.contains(.shut) {
      guard append(FrameHeader(.shut, channel: channel)) else { return false }
      channels[index].pending.remove(.shut)
    }
    if state.pending.contains(.close) {
      let reason = UInt32(state.closeReason.rawValue)
      guard append(FrameHeader(.close, channel: channel, argument: reason)) else { return false }
      channels.remove(index)
    }
    return true
  }

  /// What had no room before.
  mutating func sendPending() {
    if pongPending { pongPending = !append(FrameHeader(.pong)) }
    while let index = channels.nextPending {
      guard sayPending(index) else { return }
      channels.dropFirstPending()
    }
  }
}
