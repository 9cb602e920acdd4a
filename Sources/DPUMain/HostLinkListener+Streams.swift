import CLinux
import DPUCore
import HostLink

// A broker on another machine: one control connection, and one with the frames of each worker.

extension HostLinkListener {
  private static var streamEvents: UInt32 {
    UInt32(
      CLINUX_LINK_READABLE | CLINUX_LINK_WRITABLE | CLINUX_LINK_PEER_SHUT | CLINUX_LINK_EDGE)
  }

  // MARK: Visitors

  func acceptVisitor() {
    guard let streamListener else { return }
    var peer = clinux_link_address()
    let socket = unsafe clinux_link_tcp_accept(streamListener.descriptor, &peer)
    guard socket >= 0 else { return }
    guard streamListener.admits(peer) else { return refuse(socket, .refusedPeer) }
    for place in 0..<visitors.count where visitors[place].socket < 0 {
      visitors[place] = HostLinkVisitor(
        socket: socket,
        deadline: Self.now + .milliseconds(HostLinkStreamLimits.greetingMilliseconds))
      _ = clinux_link_epoll_add(
        epoll, socket, UInt32(CLINUX_LINK_READABLE), Tag.visitor + UInt64(place))
      return
    }
    refuse(socket, .refusedTooManyVisitors)
  }

  private func refuse(_ socket: Int32, _ reason: HostLinkCounter) {
    counters.increment(reason)
    clinux_link_close(socket)
  }

  func readVisitor(_ place: Int) {
    guard place < visitors.count, visitors[place].socket >= 0 else { return }
    let socket = visitors[place].socket
    let progress = visitors[place].opening.receive { HostLinkSocket.receive(socket, $0) }
    if progress == .partial { return }
    let record = visitors[place].opening
    visitors[place] = HostLinkVisitor()
    guard progress == .whole else { return refuse(socket, .refusedOpening) }
    do throws(LinkFailure) {
      let opening = try StreamOpening(record.content)
      switch opening.purpose {
      case .control: greet(socket)
      case .frames: join(socket, opening)
      }
    } catch {
      refuse(socket, .refusedOpening)
    }
  }

  func dismissVisitors() {
    for place in 0..<visitors.count where visitors[place].socket >= 0 {
      clinux_link_close(visitors[place].socket)
      visitors[place] = HostLinkVisitor()
    }
  }

  /// A broker comes: its rings are made, and it is told of them.
  private func greet(_ socket: Int32) {
    guard isIdle else { return refuse(socket, .refusedBusy) }
    generation &+= 1
    let size = UInt64(LinkMemory.byteCount(ringBytes: ringBytes))
    for worker in 0..<shares.count {
      guard makeShare(worker, address: clinux_link_memory_private(size)) else {
        return refuse(socket, .refusedOutOfMemory)
      }
      _ = clinux_link_epoll_add(
        epoll, shares[worker].doorbell, UInt32(CLINUX_LINK_READABLE),
        Tag.doorbell + UInt64(worker))
    }
    // A new connection takes these few bytes at once.
    var greeting = StreamRecord(greeting: greeting)
    let sent = greeting.send { HostLinkSocket.send(socket, $0) }
    guard sent == .whole else {
      freeShares()
      return refuse(socket, .refusedOpening)
    }
    connection = socket
    control = HostLinkControl(
      isStream: true, missing: shares.count,
      deadline: Self.now + .milliseconds(HostLinkStreamLimits.greetingMilliseconds))
    _ = clinux_link_epoll_modify(epoll, socket, Self.streamEvents, Tag.connection)
  }

  /// The connection of one worker comes; with the last, the workers are attached.
  private func join(_ socket: Int32, _ opening: StreamOpening) {
    let worker = Int(opening.worker)
    guard connection >= 0, control.isStream, !control.isClosing,
      opening.generation == generation, worker < shares.count,
      shares[worker].stream.pump == nil
    else { return refuse(socket, .refusedStream) }
    shares[worker].stream = HostLinkStream(
      socket: socket, pump: StreamPump(shares[worker].memory, role: .firmware),
      isReadable: true, isWritable: true)
    _ = clinux_link_epoll_modify(
      epoll, socket, Self.streamEvents, Tag.stream + UInt64(worker))
    control.missing -= 1
    guard control.missing == 0 else { return }
    control.deadline = .distantFuture
    counters.increment(.attachedRemotely)
    attachWorkers()
  }

  // MARK: Control

  /// Statements about the certificate, each stored before it is acknowledged.
  func readControl() {
    let socket = connection
    control.hasMore = false
    for _ in 0..<HostLinkStreamLimits.recordsPerTurn {
      let progress = control.incoming.receive { HostLinkSocket.receive(socket, $0) }
      switch progress {
      case .partial: return acknowledge()
      case .ended: return beginClosing()
      case .whole: break
      }
      guard let record = try? CertificateRecord(control.incoming.content),
        record.kind == .statement
      else {
        counters.increment(.endedBadControl)
        return detach()
      }
      control.incoming = StreamRecord(wanted: CertificateRecord.byteCount)
      counters.increment(.certificateStatements)
      storeCertificate(control.isClosing ? [] : record.flags)
      control.toAcknowledge = record.number
    }
    control.hasMore = true
    acknowledge()
  }

  /// Where the workers read it.
  private func storeCertificate(_ flags: CertificateFlags) {
    for worker in 0..<shares.count { shares[worker].memory.certificate = flags }
  }

  /// Sends the latest number; one that does not fit goes with the event that there is room.
  private func acknowledge() {
    let socket = connection
    while true {
      if control.outgoing == nil {
        guard let number = control.toAcknowledge else { return }
        control.toAcknowledge = nil
        control.outgoing = CertificateRecord(.acknowledgement, number: number).record
      }
      let progress = control.outgoing!.send { HostLinkSocket.send(socket, $0) }
      guard progress == .whole else { return }
      control.outgoing = nil
    }
  }

  /// The broker's process ends or is gone. From here on nobody is certified; what it had sent is
  /// taken until its connections end.
  private func beginClosing() {
    guard !control.isClosing else { return }
    storeCertificate([])
    control.isClosing = true
    control.deadline = Self.now + .milliseconds(HostLinkStreamLimits.closingMilliseconds)
  }

  /// Of the attachment that ends; the memory stays with the workers until they release it.
  func closeStreams() {
    let socket = connection
    storeCertificate([])
    if control.outgoing == nil {
      // If it does not arrive, the shim waits until no certificate can be believed any more.
      var farewell = CertificateRecord(.farewell).record
      _ = farewell.send { HostLinkSocket.send(socket, $0) }
    }
    for worker in 0..<shares.count { closeStream(worker) }
    control = HostLinkControl()
  }

  private func closeStream(_ worker: Int) {
    guard shares[worker].stream.socket >= 0 else { return }
    clinux_link_close(shares[worker].stream.socket)
    shares[worker].stream.socket = -1
  }

  // MARK: Frames

  func noteStream(_ worker: Int, events: UInt32) {
    guard worker < shares.count, shares[worker].stream.socket >= 0 else { return }
    let ends = UInt32(CLINUX_LINK_PEER_SHUT | CLINUX_LINK_HUNG_UP)
    if events & UInt32(CLINUX_LINK_WRITABLE) != 0 { shares[worker].stream.isWritable = true }
    if events & ends != 0 { shares[worker].stream.isPeerShut = true }
    if events & (UInt32(CLINUX_LINK_READABLE) | ends) != 0 {
      shares[worker].stream.isReadable = true
    }
  }

  /// Moves what can be moved, and ends what took too long.
  func serveStreams(now: Instant) {
    for place in 0..<visitors.count
    where visitors[place].socket >= 0 && now >= visitors[place].deadline {
      refuse(visitors[place].socket, .refusedLate)
      visitors[place] = HostLinkVisitor()
    }
    guard connection >= 0, control.isStream else { return }
    if control.hasMore { readControl() }
    var running = 0
    for worker in 0..<shares.count {
      guard connection >= 0 else { return }
      if shares[worker].stream.socket >= 0 { pump(worker) }
      if shares[worker].stream.socket >= 0 { running += 1 }
    }
    guard connection >= 0 else { return }
    if control.isClosing {
      if running == 0 || now >= control.deadline { detach() }
    } else if now >= control.deadline {
      counters.increment(.endedIncomplete)
      detach()
    }
  }

  private func pump(_ worker: Int) {
    do throws(LinkFailure) {
      shares[worker].stream.hasMore = false
      if shares[worker].stream.isReadable { try receive(worker) }
      if shares[worker].stream.socket >= 0, shares[worker].stream.isWritable {
        try send(worker)
      }
    } catch {
      counters.increment(.endedBadFrame)
      detach()
    }
  }

  private func receive(_ worker: Int) throws(LinkFailure) {
    let socket = shares[worker].stream.socket
    let untilEnd = shares[worker].stream.isPeerShut
    let result = try shares[worker].stream.pump!.receive(untilEnd: untilEnd) {
      HostLinkSocket.receive(socket, $0)
    }
    if shares[worker].stream.pump!.takeBell() {
      clinux_link_eventfd_ring(mailboxes[worker].workerBell)
    }
    let wasFull = shares[worker].stream.isFull
    shares[worker].stream.isFull = result == .full
    switch result {
    case .drained: shares[worker].stream.isReadable = false
    case .full: if !wasFull { counters.increment(.blockedRingFull) }
    case .more: shares[worker].stream.hasMore = true
    case .ended:
      closeStream(worker)
      beginClosing()
    }
  }

  private func send(_ worker: Int) throws(LinkFailure) {
    let socket = shares[worker].stream.socket
    let result = try shares[worker].stream.pump!.send { HostLinkSocket.send(socket, $0) }
    switch result {
    case .all: break
    case .blocked:
      counters.increment(.blockedSocketFull)
      shares[worker].stream.isWritable = false
    case .more: shares[worker].stream.hasMore = true
    case .ended:
      // What still stands in the stream is taken first; reading meets the end as well.
      shares[worker].stream.isWritable = false
      shares[worker].stream.isReadable = true
      shares[worker].stream.isPeerShut = true
      shares[worker].stream.hasMore = true
      beginClosing()
    }
  }

  // MARK: Sleep

  /// How long the thread may wait, in milliseconds, -1 for ever.
  func prepareStreamsToSleep(now: Instant) -> Int32 {
    var deadline = Instant.distantFuture
    for place in 0..<visitors.count where visitors[place].socket >= 0 {
      deadline = min(deadline, visitors[place].deadline)
    }
    var longest = Int32.max
    if connection >= 0, control.isStream {
      if control.hasMore { return 0 }
      deadline = min(deadline, control.deadline)
      for worker in 0..<shares.count where shares[worker].stream.socket >= 0 {
        let stream = shares[worker].stream
        if stream.hasMore { return 0 }
        if stream.isFull { longest = HostLinkStreamLimits.fullRingMilliseconds }
        if stream.isWritable, !stream.pump!.prepareToSleep() { return 0 }
      }
    }
    if deadline == .distantFuture { return longest == .max ? -1 : longest }
    guard deadline > now else { return 0 }
    let milliseconds = ((deadline - now).nanoseconds + 999_999) / 1_000_000
    return min(longest, Int32(min(milliseconds, 60_000)))
  }

  func awakeStreams() {
    guard connection >= 0, control.isStream else { return }
    for worker in 0..<shares.count where shares[worker].stream.socket >= 0 {
      shares[worker].stream.pump!.awake()
    }
  }
}
