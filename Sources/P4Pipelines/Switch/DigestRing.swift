import DPUCore

/// What a digest is about; its bytes follow apart.
package struct DigestHeader: BitwiseCopyable, Equatable, Sendable {
  /// Index into `P4Program.learnLists`.
  package var list: Int
  /// Since the switch started.
  package var microseconds: UInt64
  package var byteCount: Int
}

/// Digests on their way to the control plane: a bounded ring, and a memory of what was told
/// lately.
///
/// A station that is not yet learned sends a digest with each packet until the control plane has
/// entered it. With a timeout set, equal digests are told once until they are acknowledged or the
/// timeout has passed. The memory is a direct-mapped cache of hashes: two digests in one place
/// forget each other, which costs a repetition, never a loss; two of equal hash (64 bits) hide each
/// other until the timeout.
struct DigestRing: ~Copyable {
  enum Outcome { case told, suppressed, full }

  struct Recent: BitwiseCopyable {
    var hash: UInt64 = 0
    var untilMicroseconds: UInt64 = 0
    var list: UInt32 = 0
    var generation: UInt32 = 0
  }

  private var headers: FixedArray<DigestHeader>
  private let bytes: RecordArea
  private var head = 0
  private(set) var count = 0
  private var recent: FixedArray<Recent>
  private var timeouts: FixedArray<UInt64>
  /// By list: what was remembered under an older number is forgotten.
  private var generations: FixedArray<UInt32>

  init(capacity: Int, bytes longest: Int, lists: Int) {
    headers = FixedArray(
      repeating: DigestHeader(list: 0, microseconds: 0, byteCount: 0), count: capacity)
    bytes = RecordArea(bytes: longest, count: capacity)
    recent = FixedArray(repeating: Recent(), count: 1024)
    timeouts = FixedArray(repeating: 0, count: lists)
    generations = FixedArray(repeating: 1, count: lists)
  }

  /// Where the bytes of the next digest go; nil when the ring is full.
  var next: UInt? {
    guard count < headers.count else { return nil }
    return bytes.address(of: place(count))
  }

  /// Takes what was written to `next`.
  mutating func commit(_ header: DigestHeader) -> Outcome {
    let timeout = timeouts[header.list]
    if timeout > 0 {
      let hash = hash(place(count), header)
      let at = Int(hash & 1023)
      let generation = generations[header.list]
      if recent[at].hash == hash, recent[at].list == UInt32(header.list),
        recent[at].generation == generation,
        recent[at].untilMicroseconds > header.microseconds
      {
        return .suppressed
      }
      recent[at] = Recent(
        hash: hash, untilMicroseconds: header.microseconds + timeout,
        list: UInt32(header.list), generation: generation)
    }
    headers[place(count)] = header
    count += 1
    return .told
  }

  /// Shows the oldest digest and drops it; false when there is none.
  mutating func take(_ body: (DigestHeader, RawSpan) -> Void) -> Bool {
    guard count > 0 else { return false }
    let header = headers[head]
    // The record was written up to its byte count before it was committed.
    let start = unsafe UnsafeRawPointer(bitPattern: bytes.address(of: head))!
    let span = unsafe RawSpan(_unsafeStart: start, byteCount: header.byteCount)
    body(header, span)
    head = head + 1 == headers.count ? 0 : head + 1
    count -= 1
    return true
  }

  mutating func setTimeout(list: Int, milliseconds: Int) {
    timeouts[list] = UInt64(milliseconds) * 1000
  }

  mutating func acknowledge(list: Int) { generations[list] &+= 1 }

  private func place(_ index: Int) -> Int {
    let place = head + index
    return place >= headers.count ? place - headers.count : place
  }

  /// Multiply and fold, word by word: decides only whether a repetition is told.
  private func hash(_ record: Int, _ header: DigestHeader) -> UInt64 {
    let start = unsafe UnsafeRawPointer(bitPattern: bytes.address(of: record))!
    let span = unsafe RawSpan(_unsafeStart: start, byteCount: header.byteCount)
    var hash = UInt64(header.list) &+ 0x9e37_79b9_7f4a_7c15
    var offset = 0
    while offset + 8 <= header.byteCount {
      hash = (hash ^ span.leUInt64(at: offset)) &* 0xff51_afd7_ed55_8ccd
      hash ^= hash >> 32
      offset += 8
    }
    while offset < header.byteCount {
      hash = (hash ^ UInt64(span.byte(at: offset))) &* 0xff51_afd7_ed55_8ccd
      hash ^= hash >> 32
      offset += 1
    }
    return hash
  }
}
