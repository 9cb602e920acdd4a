/// Records with bytes on their way from one thread to one other.
///
/// A handle; rings are made at start-up and live as long as the process. There is one place more
/// than the queue of headers has, so that the record that the consumer has taken out and still looks
/// at is not written over.
@safe
package struct RecordRing<Header: BitwiseCopyable & Sendable>: BitwiseCopyable, @unchecked Sendable
{
  private struct Entry: BitwiseCopyable {
    var header: Header
    var length: Int
  }

  private let headers: SPSCRing<Entry>
  private let bytes: UnsafeMutableRawPointer
  private let places: Int
  private let placeBytes: Int
  /// How many records each side has handled; each looks at its own count only. Behind that of the
  /// consumer stands the length of the record it has taken out.
  private let produced: UnsafeMutablePointer<Int>
  private let consumed: UnsafeMutablePointer<Int>

  /// For `capacity` records of at most `placeBytes` each. `empty` is never seen.
  package init(_ empty: Header, capacity: Int, placeBytes: Int) {
    headers = SPSCRing(repeating: Entry(header: empty, length: 0), capacity: capacity)
    places = headers.capacity + 1
    self.placeBytes = placeBytes
    unsafe bytes = .allocate(byteCount: places * placeBytes, alignment: 64)
    // On cache lines of their own.
    let counts = UnsafeMutablePointer<Int>.allocate(capacity: 32)
    unsafe counts.initialize(repeating: 0, count: 32)
    unsafe produced = unsafe counts
    unsafe consumed = counts + 16
  }

  /// Producer only. False when the ring is full or the record is longer than a place.
  package func push(_ record: RawSpan, _ header: Header) -> Bool {
    guard record.byteCount <= placeBytes, headers.count < headers.capacity else { return false }
    var place = unsafe place(produced.pointee)
    place.copy(record, at: 0)
    unsafe produced.pointee += 1
    return headers.push(Entry(header: header, length: record.byteCount))
  }

  /// Consumer only: takes the oldest record out; nil when there is none. Its bytes are `taken` until
  /// the next is taken out.
  @inline(__always)
  package func next() -> Header? {
    guard let entry = headers.pop() else { return nil }
    unsafe consumed.pointee += 1
    unsafe consumed[1] = entry.length
    return entry.header
  }

  /// Consumer only: the bytes of the record that `next` has taken out.
  package var taken: RawSpan {
    @_lifetime(immortal)
    get {
      // Made here and not cut out of a place: that allocates something in Embedded Swift 6.3.1.
      let start = unsafe bytes + (consumed.pointee - 1) % places * placeBytes
      let span = unsafe RawSpan(_unsafeStart: start, byteCount: consumed[1])
      return unsafe _overrideLifetime(span, copying: ())
    }
  }

  /// Consumer only: shows the oldest record and drops it; false when there is none.
  package func take(_ body: (Header, RawSpan) -> Void) -> Bool {
    guard let header = next() else { return false }
    body(header, taken)
    return true
  }

  /// Memory that belongs to whoever's turn it is, and outlives everybody.
  @_lifetime(immortal)
  private func place(_ count: Int) -> MutableRawSpan {
    let start = unsafe bytes + count % places * placeBytes
    let span = unsafe MutableRawSpan(_unsafeStart: start, byteCount: placeBytes)
    return unsafe _overrideLifetime(span, copying: ())
  }
}
