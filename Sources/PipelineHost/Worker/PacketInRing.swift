package import DPUCore

/// A packet on its way to the control plane.
package struct PacketInHeader: BitwiseCopyable, Sendable {
  /// The pipeline.
  package var slot: Int
  package var length: Int
  /// When it left the pipeline.
  package var at: Instant
}

/// Packets that left through a CPU port, from one worker to the control thread.
///
/// A handle; rings are made at start-up and live as long as the process. There is one place more
/// than the queue of headers has, so that the packet that the control thread has taken out and
/// still looks at is not written over.
@safe
package struct PacketInRing: BitwiseCopyable, @unchecked Sendable {
  private let headers: SPSCRing<PacketInHeader>
  private let bytes: UnsafeMutableRawPointer
  private let places: Int
  /// How many packets each side has handled; each looks at its own count only.
  private let produced: UnsafeMutablePointer<Int>
  private let consumed: UnsafeMutablePointer<Int>

  package init(capacity: Int = PipelineLimits.packetsIn) {
    headers = SPSCRing(
      repeating: PacketInHeader(slot: 0, length: 0, at: .zero), capacity: capacity)
    places = headers.capacity + 1
    unsafe bytes = .allocate(byteCount: places * PipelineLimits.packetBytes, alignment: 64)
    // On cache lines of their own.
    let counts = UnsafeMutablePointer<Int>.allocate(capacity: 32)
    unsafe counts.initialize(repeating: 0, count: 32)
    unsafe produced = unsafe counts
    unsafe consumed = counts + 16
  }

  /// Worker only. False when the ring is full or the packet is longer than a place.
  func push(_ packet: RawSpan, slot: Int, now: Instant) -> Bool {
    guard packet.byteCount <= PipelineLimits.packetBytes, headers.count < headers.capacity else {
      return false
    }
    var place = unsafe place(produced.pointee)
    place.copy(packet, at: 0)
    unsafe produced.pointee += 1
    return headers.push(PacketInHeader(slot: slot, length: packet.byteCount, at: now))
  }

  /// Control thread only: shows the oldest packet and drops it; false when there is none.
  package func take(_ body: (PacketInHeader, RawSpan) -> Void) -> Bool {
    guard let header = headers.pop() else { return false }
    let place = unsafe place(consumed.pointee)
    unsafe consumed.pointee += 1
    body(header, place.bytes.extracting(0..<header.length))
    return true
  }

  /// Memory that belongs to whoever's turn it is, and outlives everybody.
  @_lifetime(immortal)
  private func place(_ count: Int) -> MutableRawSpan {
    let start = unsafe bytes + count % places * PipelineLimits.packetBytes
    let span = unsafe MutableRawSpan(
      _unsafeStart: start, byteCount: PipelineLimits.packetBytes)
    return unsafe _overrideLifetime(span, copying: ())
  }
}
