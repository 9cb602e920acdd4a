import CLinux
import DPUCore
import HostLink

// Reaching the firmware, and losing it.

extension Helper {
  /// Connects when it is time, and gives a firmware up that does not greet.
  mutating func keepLink(now: Instant) {
    if attachment.isOpen, now >= streamControl.endsAt { return drop() }
    guard !attachment.isOpen, now >= retryAt else { return }
    if attachment.socket >= 0 {
      broker.log("the firmware did not greet")
      return drop()
    }
    let began = if let address = broker.remote { connect(to: address) } else { connectLocally() }
    guard began else { return retryLater(now) }
    retryAt = now + .milliseconds(ShimLimits.greetingMilliseconds)
  }

  private mutating func connectLocally() -> Bool {
    let socket = broker.connectLocally()
    guard socket >= 0 else { return false }
    broker.descriptors.set(socket, .hidden)
    attachment.socket = socket
    return watch(socket, Readiness.readable, Tag.socket)
  }

  private mutating func retryLater(_ now: Instant) {
    retryAt = now + .milliseconds(retryMilliseconds)
    retryMilliseconds = min(2 * retryMilliseconds, ShimLimits.retryLastMilliseconds)
  }

  /// The socket carries the greeting, then nothing until it closes.
  mutating func readSocket() {
    guard attachment.socket >= 0 else { return }
    var descriptors = InlineArray<96, Int32>(repeating: -1)
    var descriptorCount: UInt32 = 0
    var bytes = InlineArray<64, UInt8>(repeating: 0)
    var descriptorSpan = descriptors.mutableSpan
    var byteSpan = bytes.mutableSpan
    let socket = attachment.socket
    let count = unsafe descriptorSpan.withUnsafeMutableBufferPointer { descriptors in
      unsafe byteSpan.withUnsafeMutableBufferPointer { bytes in
        unsafe clinux_link_receive_descriptors(
          socket, bytes.baseAddress!, UInt32(bytes.count), descriptors.baseAddress!,
          &descriptorCount)
      }
    }
    if count == -Int64(System.errorAgain) { return }
    guard count > 0, !attachment.isOpen else {
      for i in 0..<Int(descriptorCount) { clinux_link_close(descriptors[i]) }
      broker.log(count > 0 ? "bytes after the greeting" : "the firmware closed the link")
      return drop()
    }
    do throws(LinkFailure) {
      let hello = unsafe try Hello(frame: bytes.span.bytes)
      guard hello.role == .firmware, Int(descriptorCount) == 3 * Int(hello.workers) else {
        throw .badBody
      }
      try open(hello, descriptors)
    } catch {
      for i in 0..<Int(descriptorCount) { clinux_link_close(descriptors[i]) }
      broker.log("greeting refused, reason", Int64(error.rawValue))
      drop()
    }
  }

  /// Maps the rings and starts on them. Takes the descriptors when it succeeds.
  private mutating func open(
    _ hello: Hello, _ descriptors: InlineArray<96, Int32>
  ) throws(LinkFailure) {
    let size = UInt64(LinkMemory.byteCount(ringBytes: Int(hello.ringBytes)))
    var rings = FixedArray(repeating: Attachment.Ring(), count: HostLinkLimits.workersMax)
    for worker in 0..<Int(hello.workers) {
      let address = clinux_link_memory_map(descriptors[3 * worker], size)
      guard address != 0 else {
        for mapped in 0..<worker { unmap(rings[mapped].memory) }
        throw .badBody
      }
      rings[worker] = Attachment.Ring(
        memory: LinkMemory(address: address, ringBytes: Int(hello.ringBytes)),
        ours: descriptors[3 * worker + 1], theirs: descriptors[3 * worker + 2])
    }
    attachment.open(rings, hello, now: Self.now)
    for worker in 0..<attachment.count {
      let ring = attachment.ring(worker)
      clinux_link_close(descriptors[3 * worker])  // the mapping stays
      broker.descriptors.set(ring.ours, .hidden)
      broker.descriptors.set(ring.theirs, .hidden)
      let events = Readiness.readable | Readiness.edge
      _ = watch(ring.ours, events, Tag.doorbell + UInt64(worker))
    }
    broker.locked { state in
      for worker in 0..<attachment.count {
        state.memories[worker] = attachment.ring(worker).memory
      }
      state.publishCertificate()
    }
    didAttach(hello)
  }

  /// Every worker will be told what there is.
  mutating func didAttach(_ hello: Hello) {
    retryMilliseconds = ShimLimits.retryFirstMilliseconds
    isNotified = true
    broker.log("attached, generation", Int64(hello.generation))
  }

  func unmap(_ memory: LinkMemory) {
    let size = LinkMemory.byteCount(ringBytes: memory.ringBytes)
    clinux_link_memory_unmap(memory.address, UInt64(size))
  }

  /// Every channel ends, the broker reads end of file on each, and we begin anew.
  mutating func drop() {
    // First nobody writes the certificate any more, then the memory goes.
    broker.locked { state in
      for worker in 0..<state.memories.count { state.memories[worker] = .none }
      for index in 0..<state.listeners.count { state.listeners[index].announcedTo = 0 }
      state.claim.detach(farewell: streamControl.saidFarewell, now: Self.now)
      state.mustDrop = false
    }
    if broker.remote != nil { closeStreams() }
    for index in 0..<UInt32(connections.capacity) {
      if let handle = connections.handle(at: index), connections[handle].worker != nil {
        endChannel(of: handle)
      }
    }
    for worker in 0..<attachment.count {
      let ring = attachment.ring(worker)
      broker.descriptors.closeHidden(ring.ours)
      broker.descriptors.closeHidden(ring.theirs)
      flushes[worker] = nil
    }
    let count = attachment.count
    attachment.closeRings()
    for worker in 0..<count { unmap(attachment.ring(worker).memory) }
    flushesPending = 0
    isNotified = true
    broker.descriptors.closeHidden(attachment.socket)
    attachment.socket = -1
    streamControl = StreamControl()
    retryLater(Self.now)
  }
}
