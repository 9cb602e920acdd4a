import CLinux
import DPUCore
import HostLink

// Bytes between the broker's sockets and the rings.

extension Helper {
  func connection(_ channel: SlabHandle, of worker: Int) -> SlabHandle? {
    guard let index = attachment[worker].tag(channel),
      let handle = connections.handle(at: index),
      connections[handle].channel == channel, connections[handle].worker == Int32(worker)
    else { return nil }
    return handle
  }

  // MARK: From the firmware

  mutating func open(
    _ channel: SlabHandle, of worker: Int, local: LinkAddress, peer: LinkAddress
  ) {
    guard let handle = makeConnection(channel, of: worker, local: local, peer: peer) else {
      attachment[worker].close(channel, reason: .refused)
      return
    }
    attachment[worker].setTag(channel, handle.index)
    attachment[worker].accepted(channel)
  }

  private mutating func makeConnection(
    _ channel: SlabHandle, of worker: Int, local: LinkAddress, peer: LinkAddress
  ) -> SlabHandle? {
    let table = broker.descriptors
    var pair = InlineArray<2, Int32>(repeating: -1)
    var span = pair.mutableSpan
    let made = unsafe span.withUnsafeMutableBufferPointer {
      unsafe clinux_link_socketpair($0.baseAddress!)
    }
    guard made == 0 else {
      broker.log("no descriptor for a connection, errno", Int64(-made))
      return nil
    }
    let (ours, brokers) = (pair[0], pair[1])
    table.set(ours, .hidden)
    table.set(brokers, .hidden)
    let isQueued: Bool
    let handle = connections.insert(
      Connection(descriptor: ours, worker: Int32(worker), channel: channel))
    if let handle, table.canHold(ours), table.canHold(brokers),
      watch(ours, Self.readEvents, handle.rawValue)
    {
      isQueued = broker.locked { state in
        guard let listener = state.listener(for: local) else { return false }
        let connection = WaitingConnection(descriptor: brokers, local: local, peer: peer)
        return state.enqueue(connection, at: listener)
      }
    } else {
      isQueued = false
    }
    guard let handle, isQueued else {
      broker.log("connection refused: no listener, queue full or too many; port", Int64(local.port))
      if let handle { connections.remove(handle) }
      table.closeHidden(ours)
      table.closeHidden(brokers)
      return nil
    }
    return handle
  }

  private static var readEvents: UInt32 {
    Readiness.readable | Readiness.peerShut | Readiness.edge
  }

  /// The bytes of the event in hand go to the broker, or wait for it in the backlog.
  mutating func deliver(to channel: SlabHandle, of worker: Int) {
    let count = attachment[worker].eventBytes.byteCount
    guard let handle = connection(channel, of: worker) else { return }
    var done = 0
    if connections[handle].backlog.isEmpty {
      let descriptor = connections[handle].descriptor
      let sent = unsafe attachment[worker].eventBytes.withUnsafeBytes {
        unsafe clinux_link_send(descriptor, $0.baseAddress!, UInt64($0.count))
      }
      // An error other than a full socket: the broker closed, which is reported by itself.
      done = sent >= 0 ? Int(sent) : sent == -Int64(System.errorAgain) ? 0 : count
    }
    if done < count {
      let wasEmpty = connections[handle].backlog.isEmpty
      let rest = attachment[worker].eventBytes.extracting(done..<count)
      // Within the window by the endpoint's check of credit.
      let kept = connections[handle].backlog.append(rest)
      invariant(kept, "more than a window came without credit")
      if wasEmpty { watchWritable(handle, true) }
    }
    if done > 0 { attachment[worker].grant(channel, done) }
  }

  private func watchWritable(_ handle: SlabHandle, _ wanted: Bool) {
    let events = Self.readEvents | (wanted ? Readiness.writable : 0)
    _ = clinux_link_epoll_modify(
      epoll, connections[handle].descriptor, events, handle.rawValue)
  }

  private mutating func writeBacklog(_ handle: SlabHandle) {
    guard !connections[handle].backlog.isEmpty else { return }
    let descriptor = connections[handle].descriptor
    let written = connections[handle].backlog.write(to: descriptor)
    if written < 0, written != -Int(System.errorAgain) { connections[handle].backlog.discard() }
    let connection = connections[handle]
    if written > 0, let worker = connection.worker {
      attachment[Int(worker)].grant(connection.channel, written)
    }
    guard connection.backlog.isEmpty else { return }
    if connection.worker == nil { return destroy(handle) }
    watchWritable(handle, false)
    if connection.shutsAfterBacklog { clinux_link_shutdown_write(descriptor) }
  }

  mutating func shut(_ channel: SlabHandle, of worker: Int) {
    guard let handle = connection(channel, of: worker) else { return }
    if connections[handle].backlog.isEmpty {
      clinux_link_shutdown_write(connections[handle].descriptor)
    } else {
      connections[handle].shutsAfterBacklog = true
    }
  }

  mutating func firmwareClosed(_ channel: SlabHandle, of worker: Int) {
    if let handle = connection(channel, of: worker) { endChannel(of: handle) }
  }

  /// The broker still gets what came before; then its end of file.
  mutating func endChannel(of handle: SlabHandle) {
    connections[handle].worker = nil
    setStarved(handle, false)
    if connections[handle].backlog.isEmpty { destroy(handle) }
  }

  private mutating func destroy(_ handle: SlabHandle) {
    setStarved(handle, false)
    if connections[handle].waitsForRing { forgetWaiting(handle) }
    connections[handle].backlog.discard()
    broker.descriptors.closeHidden(connections[handle].descriptor)
    connections.remove(handle)
  }

  // MARK: From the broker

  mutating func connectionEvent(_ handle: SlabHandle, _ events: UInt32) {
    guard connections.contains(handle) else { return }
    if events & Readiness.hungUp != 0 { connections[handle].isHungUp = true }
    if events & Readiness.peerShut != 0 { connections[handle].isPeerShut = true }
    if events & Readiness.writable != 0 { writeBacklog(handle) }
    guard connections.contains(handle) else { return }
    if connections[handle].worker == nil {
      // Only the backlog is left, and nobody will read it any more.
      if connections[handle].isHungUp { destroy(handle) }
      return
    }
    forward(handle)
  }

  /// Moves what the broker wrote into the ring, as far as credit and room go.
  mutating func forward(_ handle: SlabHandle) {
    let connection = connections[handle]
    guard let worker = connection.worker.map(Int.init) else { return }
    connections[handle].isReadable = true
    setStarved(handle, false)
    // A short read empties the socket, but an end of file behind it must be read as well.
    let endFollows = connection.isHungUp || (connection.isPeerShut && !connection.sawEnd)
    while true {
      let room = attachment[worker].frameRoom(connection.channel)
      guard room > 0 else {
        if attachment[worker].isOutOfCredit(connection.channel) {
          setStarved(handle, true)
        } else {
          waitForRing(handle)
        }
        return
      }
      var target = attachment[worker].prepareData(room)
      let count = unsafe Int(
        target.withUnsafeMutableBytes {
          unsafe clinux_link_receive(connection.descriptor, $0.baseAddress!, UInt64($0.count))
        })
      attachment[worker].commitData(connection.channel, max(0, count))
      if count == room || (count > 0 && endFollows) { continue }
      if count > 0 || count == -Int(System.errorAgain) {
        connections[handle].isReadable = false
        return
      }
      return brokerEnded(handle, reset: count < 0)
    }
  }

  private mutating func brokerEnded(_ handle: SlabHandle, reset: Bool) {
    let connection = connections[handle]
    guard let worker = connection.worker.map(Int.init) else { return }
    connections[handle].isReadable = false
    if reset || connection.isHungUp {
      attachment[worker].close(connection.channel, reason: reset ? .reset : .finished)
      return destroy(handle)
    }
    guard !connection.sawEnd else { return }
    connections[handle].sawEnd = true
    attachment[worker].shut(connection.channel)
  }

  // MARK: A full ring

  private mutating func waitForRing(_ handle: SlabHandle) {
    guard !connections[handle].waitsForRing else { return }
    connections[handle].waitsForRing = true
    connections[handle].nextWaiting = firstWaiting
    firstWaiting = handle
  }

  private mutating func forgetWaiting(_ handle: SlabHandle) {
    if firstWaiting == handle {
      firstWaiting = connections[handle].nextWaiting
      return
    }
    var previous = firstWaiting
    while previous != .none, connections[previous].nextWaiting != handle {
      previous = connections[previous].nextWaiting
    }
    if previous != .none { connections[previous].nextWaiting = connections[handle].nextWaiting }
  }

  private mutating func setStarved(_ handle: SlabHandle, _ isStarved: Bool) {
    guard connections[handle].isStarved != isStarved else { return }
    connections[handle].isStarved = isStarved
    starvedCount += isStarved ? 1 : -1
  }

  mutating func serveWaiting() {
    var handle = firstWaiting
    firstWaiting = .none
    while handle != .none {
      let next = connections[handle].nextWaiting
      connections[handle].waitsForRing = false
      forward(handle)
      handle = next
    }
  }

  /// Whether a channel without credit still has bytes of the broker to forward.
  func holdsBytesBack() -> Bool {
    guard starvedCount > 0 else { return false }
    for index in 0..<UInt32(connections.capacity) {
      guard let handle = connections.handle(at: index) else { continue }
      let connection = connections[handle]
      if connection.isStarved, clinux_link_unread(connection.descriptor) > 0 { return true }
    }
    return false
  }
}
