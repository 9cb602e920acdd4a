import CLinux
import DPUCore
import HostLink

// A firmware on another machine: one control connection, and one with the frames of each worker.

extension Helper {
  private static var streamEvents: UInt32 {
    Readiness.readable | Readiness.writable | Readiness.peerShut | Readiness.edge
  }

  /// Begins to connect. What comes of it is told by events.
  mutating func connect(to address: clinux_link_address) -> Bool {
    let socket = clinux_link_tcp_connect(address)
    guard socket >= 0 else { return false }
    broker.descriptors.set(socket, .hidden)
    attachment.socket = socket
    streamControl = StreamControl()
    return watch(socket, Self.streamEvents, Tag.socket)
  }

  mutating func controlEvent() {
    guard attachment.socket >= 0 else { return }
    sendControl()
    readControl()
  }

  /// Sends the opening, later the certificate whenever it has changed.
  mutating func sendControl() {
    let socket = attachment.socket
    guard socket >= 0 else { return }
    while true {
      if streamControl.outgoing == nil {
        guard let statement = broker.locked({ $0.claim.nextStatement() }) else { return }
        streamControl.outgoing = statement.record
      }
      let progress = streamControl.outgoing!.send { StreamSocket.send(socket, $0) }
      switch progress {
      case .whole: streamControl.outgoing = nil
      case .partial: return
      case .ended: return drop()  // also when there is no firmware yet
      }
    }
  }

  private mutating func readControl() {
    while attachment.socket >= 0 {
      let socket = attachment.socket
      let progress = streamControl.incoming.receive { StreamSocket.receive(socket, $0) }
      switch progress {
      case .partial: return
      case .ended:
        broker.log("the firmware closed the link")
        return drop()
      case .whole:
        let record = streamControl.incoming
        streamControl.incoming = StreamRecord(wanted: CertificateRecord.byteCount)
        do throws(LinkFailure) {
          if streamControl.isGreeted {
            try take(CertificateRecord(record.content))
          } else {
            try open(Hello(frame: record.content))
          }
        } catch {
          broker.log("greeting or record refused, reason", Int64(error.rawValue))
          return drop()
        }
      }
    }
  }

  private mutating func take(_ record: CertificateRecord) throws(LinkFailure) {
    switch record.kind {
    case .statement: throw .badKind
    case .farewell: streamControl.saidFarewell = true
    case .acknowledgement:
      guard broker.locked({ $0.claim.acknowledge(record.number) }) else { throw .badBody }
      clinux_link_news_announce()
    }
  }

  /// Makes the rings and connects for each worker.
  private mutating func open(_ hello: Hello) throws(LinkFailure) {
    guard hello.role == .firmware, let address = broker.remote else { throw .badBody }
    streamControl.isGreeted = true
    let size = UInt64(LinkMemory.byteCount(ringBytes: Int(hello.ringBytes)))
    var rings = FixedArray(repeating: Attachment.Ring(), count: HostLinkLimits.workersMax)
    for worker in 0..<Int(hello.workers) {
      let place = clinux_link_memory_private(size)
      guard place != 0 else {
        for made in 0..<worker { free(rings[made]) }
        throw .shutDown
      }
      let memory = LinkMemory(address: place, ringBytes: Int(hello.ringBytes))
      let opening = StreamOpening(
        .frames, worker: UInt8(worker), generation: hello.generation)
      rings[worker].memory = memory
      rings[worker].stream = Stream(
        socket: clinux_link_tcp_connect(address), pump: StreamPump(memory, role: .shim),
        opening: opening.record)
    }
    // From here on `drop` frees them.
    attachment.open(rings, hello, now: Self.now)
    for worker in 0..<attachment.count {
      let socket = attachment.rings[worker].stream!.socket
      broker.descriptors.set(socket, .hidden)
      // Also when it could not be made.
      guard watch(socket, Self.streamEvents, Tag.stream + UInt64(worker)) else {
        throw .shutDown
      }
    }
    broker.locked { state in
      state.claim.attach()
      state.publishCertificate()
    }
    didAttach(hello)
  }

  private func free(_ ring: Attachment.Ring) {
    unmap(ring.memory)
    if let stream = ring.stream, stream.socket >= 0 { clinux_link_close(stream.socket) }
  }

  /// The connections of a link that is dropped. Nothing is left on its way: the firmware must not
  /// hear from us when others were let in meanwhile.
  mutating func closeStreams() {
    for worker in 0..<attachment.count {
      guard let stream = attachment.rings[worker].stream else { continue }
      broker.descriptors.resetHidden(stream.socket)
      attachment.rings[worker].stream = nil
    }
    broker.descriptors.resetHidden(attachment.socket)
    attachment.socket = -1
    clinux_link_news_announce()
  }

  // MARK: Frames

  mutating func noteStream(_ worker: Int, _ events: UInt32) {
    guard worker < attachment.count else { return }
    attachment.rings[worker].stream?.note(events)
  }

  /// Before the frames of this turn are taken.
  mutating func receiveStreams() {
    for worker in 0..<attachment.count where attachment.rings[worker].stream != nil {
      guard move(worker, { stream throws(LinkFailure) in try stream.receive() }) else { return }
    }
  }

  /// After they are answered.
  mutating func sendStreams() {
    for worker in 0..<attachment.count where attachment.rings[worker].stream != nil {
      guard move(worker, { stream throws(LinkFailure) in try stream.send() }) else { return }
      // There may be room for those who wait for it.
      if firstWaiting != .none, attachment.rings[worker].stream!.isWritable { hasMore = true }
    }
  }

  /// False when the link was dropped.
  private mutating func move(
    _ worker: Int, _ body: (inout Stream) throws(LinkFailure) -> Bool
  ) -> Bool {
    do throws(LinkFailure) {
      if try body(&attachment.rings[worker].stream!) { return true }
    } catch {
      broker.log("frames refused, reason", Int64(error.rawValue))
      drop()
      return false
    }
    endStream(worker)
    return true
  }

  /// The firmware closed it. That is the end, but nothing says which of its connections is seen to
  /// end first, and the other may still bring the farewell.
  private mutating func endStream(_ worker: Int) {
    broker.log("the firmware closed the connection of worker", Int64(worker))
    let stream = attachment.rings[worker].stream!
    broker.descriptors.resetHidden(stream.socket)
    attachment.rings[worker].stream!.socket = -1
    attachment.rings[worker].stream!.isReadable = false
    attachment.rings[worker].stream!.isWritable = false
    attachment.rings[worker].stream!.hasMore = false
    let end = Self.now + .milliseconds(ShimLimits.farewellMilliseconds)
    streamControl.endsAt = min(streamControl.endsAt, end)
  }

  /// Some connection can go on without an event.
  var streamsHaveMore: Bool {
    for worker in 0..<attachment.count {
      guard let stream = attachment.rings[worker].stream else { continue }
      if stream.hasMore || stream.isReadable { return true }
    }
    return false
  }

  var streamsHaveUnsent: Bool {
    for worker in 0..<attachment.count {
      guard let stream = attachment.rings[worker].stream else { continue }
      if stream.socket >= 0, stream.opening != nil || stream.pump.hasUnsent { return true }
    }
    return false
  }

  // MARK: The end

  /// The process ends: says so, and stays until the firmware has taken what was sent. A socket that
  /// is closed with unread bytes would throw away what it has not sent.
  mutating func lingerStreams(until deadline: Instant) {
    for worker in 0..<attachment.count {
      if let stream = attachment.rings[worker].stream {
        clinux_link_shutdown_write(stream.socket)
      }
    }
    while discardStreams(), Self.now < deadline {
      takeKernelEvents(timeout: ShimLimits.fullRingMilliseconds)
    }
    broker.locked { $0.claim.detach(farewell: true, now: Self.now) }
    clinux_link_news_announce()
  }

  /// Reads what nobody needs any more. False when all connections have ended.
  private mutating func discardStreams() -> Bool {
    var bytes = InlineArray<4096, UInt8>(repeating: 0)
    var isOpen = false
    for worker in 0..<attachment.count {
      guard let stream = attachment.rings[worker].stream, stream.socket >= 0 else { continue }
      var count: Int64 = 0
      repeat {
        var span = bytes.mutableSpan
        count = unsafe span.withUnsafeMutableBytes {
          unsafe clinux_link_receive(stream.socket, $0.baseAddress!, UInt64($0.count))
        }
      } while count > 0
      if count == -Int64(System.errorAgain) { isOpen = true }
    }
    return isOpen
  }
}
