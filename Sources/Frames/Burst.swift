import DPUCore

/// Up to 32 frames on their way together; first in, first out.
///
/// Owns its frames: whoever has a burst empties it (`takeFirst`, or a device's `transmit`)
/// before letting it go. It has no `deinit` to check that, because compiler 6.3.1 cannot see one
/// across modules in Embedded mode; the poll loop checks after each stage instead.
package struct Burst: ~Copyable {
  private var handles = BurstOf<FrameHandle>(repeating: .none)
  private var head = 0
  private var tail = 0

  package init() {
    precondition(handles.count == FramesLimits.framesPerBurst)
  }

  package var count: Int { tail - head }
  package var isEmpty: Bool { head == tail }
  /// Whether `append` would trap. An empty burst always has room for 32.
  package var isFull: Bool { tail == FramesLimits.framesPerBurst }

  /// Bytes of all its frames together.
  package var byteCount: Int {
    var sum = 0
    for i in head..<tail { sum += Int(handles[i].length) }
    return sum
  }

  /// The bytes of the frame at `place`, the oldest at 0.
  @_lifetime(borrow self)
  package borrowing func bytes(_ place: Int) -> RawSpan {
    let handle = handles[head + place]
    // The device guarantees `length` readable bytes at `address` while the burst has the frame.
    let start = unsafe UnsafeRawPointer(bitPattern: handle.address)!
    let span = unsafe RawSpan(_unsafeStart: start, byteCount: Int(handle.length))
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// Takes the oldest frame, nil when there is none.
  @inline(__always)
  package mutating func takeFirst() -> Frame? {
    guard head < tail else { return nil }
    let handle = handles[head]
    head += 1
    if head == tail {
      head = 0
      tail = 0
    }
    return Frame(handle: handle)
  }

  /// Adds a frame. Traps when the burst is full.
  @inline(__always)
  package mutating func append(_ frame: consuming Frame) {
    invariant(!isFull, "a frame was added to a full burst")
    handles[tail] = frame.release()
    tail += 1
  }
}

// For devices, which know frames by their handles.
extension Burst {
  /// Lets a device write handles into the burst, which must be empty. `body` returns how many
  /// it wrote; the burst owns those frames from then on.
  @inline(__always)
  package mutating func fill(_ body: (inout MutableSpan<FrameHandle>) -> Int) {
    invariant(isEmpty, "a burst was filled before it was emptied")
    var slots = handles.mutableSpan
    let written = body(&slots)
    invariant(written >= 0 && written <= FramesLimits.framesPerBurst, "a device overfilled a burst")
    head = 0
    tail = written
  }

  /// Hands every frame of the burst to a device, which answers for them from then on.
  @inline(__always)
  package mutating func drain<Result>(_ body: (Span<FrameHandle>) -> Result) -> Result {
    let result = body(handles.span.extracting(head..<tail))
    head = 0
    tail = 0
    return result
  }
}
