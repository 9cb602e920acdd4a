import DPUCore
import Frames

/// Frames on their way through the device, oldest first. Their numbers are the tags of the
/// device's completions.
struct HeldFrames: ~Copyable {
  struct Held: BitwiseCopyable {
    var frame = FrameHandle.none
  }

  private var ring: FixedArray<Held>
  /// The oldest, the first that the device does not have yet, and where the next one goes.
  private(set) var head = 0
  private(set) var submitted = 0
  private(set) var tail = 0

  init() { ring = FixedArray(repeating: Held(), count: FilterLimits.held) }

  var isEmpty: Bool { head == tail }
  var isFull: Bool { tail - head == FilterLimits.held }
  var waits: Bool { submitted < tail }
  var inDevice: Int { submitted - head }

  private func index(_ number: Int) -> Int { number % FilterLimits.held }

  mutating func append(_ frame: consuming Frame) {
    ring[index(tail)].frame = frame.release()
    tail += 1
  }

  /// The bytes of the frame that goes to the device next. Only when `waits`.
  var nextBytes: RawSpan {
    @_lifetime(borrow self)
    borrowing get {
      let handle = ring[index(submitted)].frame
      // The frame is owned by this ring.
      let start = unsafe UnsafeRawPointer(bitPattern: handle.address)!
      let span = unsafe RawSpan(_unsafeStart: start, byteCount: Int(handle.length))
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  mutating func noteSubmitted() { submitted += 1 }

  /// Nothing is in the device any more.
  mutating func takeBack() { submitted = head }

  /// The oldest frame.
  mutating func takeFirst() -> Frame? {
    guard head < tail else { return nil }
    let frame = Frame(handle: ring[index(head)].frame)
    head += 1
    submitted = max(submitted, head)
    return frame
  }
}
