import DPUCore
import Synchronization

// The rings of one worker over a byte stream, for a broker on another machine. Each side has rings
// of its own, and what one side writes into its ring is copied as it is into the same place of the
// other's. Frames say how long they are, so nothing is put around them.
//
// Like SharedRing.swift this touches the memory of rings, and what came over the stream is believed
// as little as what another process wrote.

/// Memory as one call of the kernel reads or fills it: two runs for a part of a ring that goes past
/// the end, else one.
package struct StreamParts: BitwiseCopyable {
  package var first: UInt
  package var firstCount: Int
  package var second: UInt
  package var secondCount: Int

  package init(_ first: UInt, _ firstCount: Int, _ second: UInt = 0, _ secondCount: Int = 0) {
    self.first = first
    self.firstCount = firstCount
    self.second = second
    self.secondCount = secondCount
  }

  package var count: Int { firstCount + secondCount }
}

/// Moves bytes between a ring pair and a stream. It makes no call of its own: `send` and `receive`
/// are handed one that writes or reads.
///
/// It is the other reader and the other writer of the rings, so each end of the link works as if
/// the other process had them mapped. A value that is kept in one place; a copy is of no use.
package struct StreamPump: BitwiseCopyable {
  /// What a `send` came to.
  package enum Sent: BitwiseCopyable, Sendable {
    /// Nothing is left in the ring.
    case all
    /// The stream takes no more now.
    case blocked
    /// There is more, after others had their turn.
    case more
    /// The stream is broken.
    case ended
  }

  /// What a `receive` came to.
  package enum Received: BitwiseCopyable, Sendable {
    /// Nothing is left in the stream.
    case drained
    /// The ring has no room. Nobody tells when it has: look again soon.
    case full
    /// There is more, after others had their turn.
    case more
    /// The stream is at its end, or broken.
    case ended
  }

  /// Calls of one `send` or `receive`, each of at most a ring.
  private static let roundsMax = 8
  /// EAGAIN, the same on x86-64 and arm64.
  private static let wouldBlock = -11

  private let outgoing: RingMemory
  private let incoming: RingMemory
  /// Taken by the stream up to here; may lie within a frame.
  private var sent: UInt64 = 0
  /// Came from the stream up to here; may lie within a frame.
  private var received: UInt64 = 0
  /// Whole frames up to here, shown to the reader.
  private var published: UInt64 = 0
  private var mustRing = false

  /// For the side that `role` says, on unused rings.
  package init(_ memory: LinkMemory, role: LinkRole) {
    outgoing = role == .firmware ? memory.toShim : memory.toFirmware
    incoming = role == .firmware ? memory.toFirmware : memory.toShim
  }

  // MARK: Ring to stream

  /// Hands what stands in the ring to `write`, which returns how much it took, or a negative errno.
  package mutating func send(_ write: (StreamParts) -> Int) throws(LinkFailure) -> Sent {
    for _ in 0..<Self.roundsMax {
      let tail = unsafe outgoing.tail.pointee.load(ordering: .acquiring)
      let waiting = tail &- sent
      guard waiting <= UInt64(outgoing.byteCount), tail % UInt64(FrameHeader.alignment) == 0
      else { throw .badRingIndex }
      if waiting == 0 { return .all }
      let count = write(outgoing.parts(sent, Int(waiting)))
      if count == Self.wouldBlock { return .blocked }
      guard count > 0, count <= Int(waiting) else { return .ended }
      sent &+= UInt64(count)
      // A writer expects a reader that takes whole units.
      let taken = sent & ~UInt64(FrameHeader.alignment - 1)
      unsafe outgoing.head.pointee.store(taken, ordering: .releasing)
    }
    return .more
  }

  /// Something waits to be sent.
  package var hasUnsent: Bool {
    unsafe outgoing.tail.pointee.load(ordering: .acquiring) != sent
  }

  /// Announces that the owner will wait for the doorbell, after `.all`. False when there is
  /// something to send after all.
  package func prepareToSleep() -> Bool {
    unsafe outgoing.sleeping.pointee.store(1, ordering: .relaxed)
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    if !hasUnsent { return true }
    awake()
    return false
  }

  /// Ends the sleep, whatever ended it.
  package func awake() { unsafe outgoing.sleeping.pointee.store(0, ordering: .relaxed) }

  // MARK: Stream to ring

  /// Lets `read` fill the free part of the ring; it returns how much came, 0 at the stream's end,
  /// or a negative errno. A read that does not fill it ends the turn, except `untilEnd`: then the
  /// other side is known to have ended the stream, and no event will tell so again.
  package mutating func receive(
    untilEnd: Bool = false, _ read: (StreamParts) -> Int
  ) throws(LinkFailure) -> Received {
    for _ in 0..<Self.roundsMax {
      let room = try room()
      if room == 0 { return .full }
      let count = read(incoming.parts(received, room))
      if count == Self.wouldBlock { return .drained }
      guard count > 0, count <= room else { return .ended }
      received &+= UInt64(count)
      try publish()
      if count < room, !untilEnd { return .drained }
    }
    return .more
  }

  /// The reader slept when frames were shown to it: ring its doorbell. Asked once.
  package mutating func takeBell() -> Bool {
    defer { mustRing = false }
    return mustRing
  }

  private func room() throws(LinkFailure) -> Int {
    let head = unsafe incoming.head.pointee.load(ordering: .acquiring)
    let unread = published &- head
    let used = received &- head
    guard unread % UInt64(FrameHeader.alignment) == 0, unread <= used,
      used <= UInt64(incoming.byteCount)
    else { throw .badRingIndex }
    return incoming.byteCount - Int(used)
  }

  /// Shows the reader the frames that are whole now.
  private mutating func publish() throws(LinkFailure) {
    let before = published
    while received &- published >= UInt64(FrameHeader.byteCount) {
      let length = Int(incoming.header(at: published).length)
      let size = FrameHeader.footprint(length)
      // A frame that could never become whole would hold up all that follow.
      guard length <= HostLinkLimits.payloadMax,
        size <= incoming.byteCount - incoming.offset(published)
      else { throw .badLength }
      guard received &- published >= UInt64(size) else { break }
      published &+= UInt64(size)
    }
    guard published != before else { return }
    unsafe incoming.tail.pointee.store(published, ordering: .releasing)
    // As in RingProducer: one of the two sees what the other stored.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    guard unsafe incoming.sleeping.pointee.load(ordering: .relaxed) != 0 else { return }
    if unsafe incoming.sleeping.pointee.exchange(0, ordering: .relaxed) != 0 { mustRing = true }
  }
}

extension RingMemory {
  /// `count` bytes from `position` on, at most the whole ring.
  fileprivate func parts(_ position: UInt64, _ count: Int) -> StreamParts {
    let first = min(count, byteCount - offset(position))
    let rest = count - first
    return StreamParts(
      address(position, first), first, address(position &+ UInt64(first), rest), rest)
  }
}
