import DPUCore
import Synchronization

// Rings of frames between two processes, and the only unsafe code of this module.
//
// Either process can write all of the memory at any time, so nothing read from it is believed:
// an index is checked against the ring's size, a header is copied before its length is checked,
// and a reader's position is kept in its own memory.

/// The memory of one ring pair: a page of indices, the ring to the shim, the ring to the firmware.
package struct LinkMemory: BitwiseCopyable, Sendable {
  private enum Offset {
    static let toShim = 0, toFirmware = 512, certificate = 1024, rings = 4096
  }

  /// Where it is mapped; 0 for no memory.
  package let address: UInt
  /// Bytes of each ring.
  package let ringBytes: Int

  /// `byteCount(ringBytes:)` bytes at `address` must stay mapped, zeroed at first, and aligned
  /// to a page, as long as any copy of this value is used.
  package init(address: UInt, ringBytes: Int) {
    precondition(RingMemory.isValid(byteCount: ringBytes))
    self.address = address
    self.ringBytes = ringBytes
  }

  private init() {
    address = 0
    ringBytes = 0
  }

  /// Rings that take and give nothing.
  package static let none = LinkMemory()

  package static func byteCount(ringBytes: Int) -> Int { Offset.rings + 2 * ringBytes }

  var toShim: RingMemory {
    RingMemory(
      control: address + UInt(Offset.toShim), data: address + UInt(Offset.rings),
      byteCount: ringBytes)
  }

  var toFirmware: RingMemory {
    RingMemory(
      control: address + UInt(Offset.toFirmware),
      data: address + UInt(Offset.rings + ringBytes), byteCount: ringBytes)
  }

  /// The shim's statement, zero until it made one.
  package var certificate: CertificateFlags {
    get {
      guard address != 0 else { return [] }
      return unsafe CertificateFlags(rawValue: word.pointee.load(ordering: .acquiring))
    }
    nonmutating set {
      guard address != 0 else { return }
      // Sequentially consistent: it must be seen before anything the broker does next.
      unsafe word.pointee.store(newValue.rawValue, ordering: .sequentiallyConsistent)
    }
  }

  private var word: UnsafeMutablePointer<Atomic<UInt32>> {
    unsafe UnsafeMutablePointer(bitPattern: address + UInt(Offset.certificate))!
  }
}

/// One ring: where its indices and its bytes are.
@safe
struct RingMemory: BitwiseCopyable, Sendable {
  private enum Offset { static let tail = 0, head = 128, sleeping = 256 }

  private let control: UInt
  private let data: UInt
  let byteCount: Int

  init(control: UInt, data: UInt, byteCount: Int) {
    self.control = control
    self.data = data
    self.byteCount = byteCount
  }

  static func isValid(byteCount: Int) -> Bool {
    byteCount >= HostLinkLimits.ringBytesMin && byteCount <= HostLinkLimits.ringBytesMax
      && byteCount & (byteCount - 1) == 0
  }

  /// Bytes ever written; only the producer stores it.
  @inline(__always)
  var tail: UnsafeMutablePointer<Atomic<UInt64>> {
    unsafe UnsafeMutablePointer(bitPattern: control + UInt(Offset.tail))!
  }
  /// Bytes ever read; only the consumer stores it.
  @inline(__always)
  var head: UnsafeMutablePointer<Atomic<UInt64>> {
    unsafe UnsafeMutablePointer(bitPattern: control + UInt(Offset.head))!
  }
  /// 1 while the consumer waits for its doorbell.
  @inline(__always)
  var sleeping: UnsafeMutablePointer<Atomic<UInt32>> {
    unsafe UnsafeMutablePointer(bitPattern: control + UInt(Offset.sleeping))!
  }

  @inline(__always)
  func offset(_ position: UInt64) -> Int { Int(truncatingIfNeeded: position) & (byteCount - 1) }

  /// `count` bytes from `position` on. Traps when they would leave the ring.
  @inline(__always)
  func address(_ position: UInt64, _ count: Int) -> UInt {
    let offset = offset(position)
    precondition(count >= 0 && count <= byteCount - offset)
    return data + UInt(offset)
  }

  @inline(__always)
  func header(at position: UInt64) -> FrameHeader {
    let words = unsafe UnsafePointer<UInt64>(
      bitPattern: address(position, FrameHeader.byteCount))!
    return unsafe FrameHeader(
      word0: UInt64(littleEndian: words[0]), word1: UInt64(littleEndian: words[1]))
  }

  @inline(__always)
  func store(_ header: FrameHeader, at position: UInt64) {
    let words = unsafe UnsafeMutablePointer<UInt64>(
      bitPattern: address(position, FrameHeader.byteCount))!
    unsafe words[0] = header.word0.littleEndian
    unsafe words[1] = header.channel.littleEndian
  }
}

/// The writing end of a ring. Nothing is seen by the reader before `publish`.
struct RingProducer: ~Copyable {
  private let ring: RingMemory
  /// Written up to here.
  private var tail: UInt64 = 0
  /// Seen by the reader up to here.
  private var published: UInt64 = 0

  /// On an unused ring.
  init(_ ring: RingMemory) { self.ring = ring }

  /// The reader's index was one that no honest reader stores. The ring takes nothing then.
  var isBroken: Bool { ring.byteCount > 0 && free == nil }

  /// Bytes free, nil when the reader's index is impossible.
  @inline(__always)
  private var free: Int? {
    guard ring.byteCount > 0 else { return 0 }
    let used = unsafe tail &- ring.head.pointee.load(ordering: .acquiring)
    guard used <= UInt64(ring.byteCount), used % UInt64(FrameHeader.alignment) == 0 else {
      return nil
    }
    return ring.byteCount - Int(used)
  }

  @inline(__always)
  private var untilEnd: Int { ring.byteCount - ring.offset(tail) }

  /// Body bytes that DATA frames can carry now, leaving the control frames their share.
  var dataRoom: Int {
    let usable = (free ?? 0) - ring.byteCount / HostLinkLimits.controlShare
    guard usable > 0 else { return 0 }
    let first = min(usable, untilEnd)
    return Self.bodies(in: first) + Self.bodies(in: usable - first)
  }

  /// The longest body that fits one DATA frame now.
  var longestData: Int {
    let usable = (free ?? 0) - ring.byteCount / HostLinkLimits.controlShare
    guard usable > 0 else { return 0 }
    let first = min(usable, untilEnd)
    // The end of the ring is filled as far as it goes; an end that holds no byte is skipped.
    let segment = first > FrameHeader.byteCount ? first : usable - first
    return min(max(0, segment - FrameHeader.byteCount), HostLinkLimits.payloadMax)
  }

  /// Body bytes in a run of `count` bytes, one header for each started payload.
  private static func bodies(in count: Int) -> Int {
    let largest = HostLinkLimits.payloadMax + FrameHeader.byteCount
    let headers = (count + largest - 1) / largest
    return max(0, count - headers * FrameHeader.byteCount)
  }

  /// Writes a frame without a body; false when there is no room for it.
  mutating func append(_ header: FrameHeader) -> Bool {
    guard prepare(0) else { return false }
    commit(header, 0)
    return true
  }

  /// Makes the next frame's place contiguous. False when there is no room for it.
  mutating func prepare(_ length: Int) -> Bool {
    let size = FrameHeader.footprint(length)
    guard let free else { return false }
    if size <= untilEnd { return size <= free }
    guard untilEnd + size <= free else { return false }
    ring.store(
      FrameHeader(.padding, length: untilEnd - FrameHeader.byteCount), at: tail)
    tail &+= UInt64(untilEnd)
    return true
  }

  /// Where the body of the next frame goes, after `prepare(length)`.
  @_lifetime(&self)
  mutating func body(_ length: Int) -> MutableRawSpan {
    // Only this process writes between the two indices, as far as an honest peer goes; what a
    // dishonest one writes there only reaches itself.
    let start = unsafe UnsafeMutableRawPointer(
      bitPattern: ring.address(tail, FrameHeader.byteCount + length)
        + UInt(FrameHeader.byteCount))!
    let span = unsafe MutableRawSpan(_unsafeStart: start, byteCount: length)
    return unsafe _overrideLifetime(span, mutating: &self)
  }

  /// Ends the frame that `prepare` began, with a body of `length`, not longer than prepared.
  mutating func commit(_ header: FrameHeader, _ length: Int) {
    var header = header
    header.length = UInt16(length)
    ring.store(header, at: tail)
    tail &+= UInt64(FrameHeader.footprint(length))
  }

  /// Shows the reader what was written. True when the reader sleeps: ring its doorbell.
  mutating func publish() -> Bool {
    guard tail != published else { return false }
    unsafe ring.tail.pointee.store(tail, ordering: .releasing)
    published = tail
    // The reader says that it sleeps, then looks at the tail again; we store the tail, then look
    // whether it sleeps. With a full fence in both, one of the two sees the other.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    guard unsafe ring.sleeping.pointee.load(ordering: .relaxed) != 0 else { return false }
    return unsafe ring.sleeping.pointee.exchange(0, ordering: .relaxed) != 0
  }
}

/// The reading end of a ring.
struct RingConsumer: ~Copyable {
  private let ring: RingMemory
  /// Read up to here; the frame in hand starts here.
  private var head: UInt64 = 0
  /// The writer's index when last looked at, checked.
  private var tail: UInt64 = 0
  private var published: UInt64 = 0
  /// Bytes of the frame in hand.
  private var inHand = 0
  private var bodyLength = 0

  /// On an unused ring.
  init(_ ring: RingMemory) { self.ring = ring }

  /// Gives the frame in hand back and takes the next, nil when there is none.
  mutating func next() throws(LinkFailure) -> FrameHeader? {
    head &+= UInt64(inHand)
    inHand = 0
    bodyLength = 0
    while true {
      if head == tail {
        guard try look() else { return nil }
      }
      let header = ring.header(at: head)
      let length = Int(header.length)
      let size = FrameHeader.footprint(length)
      guard size <= Int(tail &- head), size <= ring.byteCount - ring.offset(head),
        length <= HostLinkLimits.payloadMax
      else { throw .badLength }
      if header.kind == FrameKind.padding.rawValue {
        head &+= UInt64(size)
        continue
      }
      inHand = size
      bodyLength = length
      return header
    }
  }

  /// Reads the writer's index. False when there is nothing new.
  private mutating func look() throws(LinkFailure) -> Bool {
    guard ring.byteCount > 0 else { return false }
    // All that was seen is used up: room for the writer before looking for more.
    release()
    let seen = unsafe ring.tail.pointee.load(ordering: .acquiring)
    let available = seen &- head
    guard available <= UInt64(ring.byteCount), available % UInt64(FrameHeader.alignment) == 0
    else { throw .badRingIndex }
    tail = seen
    return available != 0
  }

  /// The body of the frame in hand.
  var body: RawSpan {
    @_lifetime(borrow self)
    borrowing get {
      guard bodyLength > 0 else { return RawSpan() }
      // The writer may change these bytes meanwhile; spans are bounds-checked at each access, so
      // that it can only confuse what it sent.
      let start = unsafe UnsafeRawPointer(
        bitPattern: ring.address(head, FrameHeader.byteCount + bodyLength)
          + UInt(FrameHeader.byteCount))!
      let span = unsafe RawSpan(_unsafeStart: start, byteCount: bodyLength)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// Tells the writer how far the reading went.
  mutating func release() {
    guard head != published, ring.byteCount > 0 else { return }
    unsafe ring.head.pointee.store(head, ordering: .releasing)
    published = head
  }

  /// Announces that the reader will wait for its doorbell. False when there is something to read
  /// after all; then it does not count as sleeping.
  mutating func prepareToSleep() -> Bool {
    guard ring.byteCount > 0 else { return true }
    unsafe ring.sleeping.pointee.store(1, ordering: .relaxed)
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    let position = head &+ UInt64(inHand)
    if unsafe ring.tail.pointee.load(ordering: .acquiring) == position { return true }
    awake()
    return false
  }

  /// Ends the sleep, whatever ended it.
  mutating func awake() {
    guard ring.byteCount > 0 else { return }
    unsafe ring.sleeping.pointee.store(0, ordering: .relaxed)
  }
}
