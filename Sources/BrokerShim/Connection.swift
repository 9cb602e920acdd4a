import CLinux
import DPUCore
import HostLink

/// Our end of the socket pair of one offloaded connection.
struct Connection: BitwiseCopyable {
  var descriptor: Int32 = -1
  /// The ring pair, and the channel in it; nil when the channel has ended and only the broker
  /// still has to read what came before.
  var worker: Int32?
  var channel = SlabHandle.none
  /// The broker may have written something that we have not read: the kernel tells only once.
  var isReadable = false
  /// Reading stopped for want of credit.
  var isStarved = false
  /// The broker writes no more; what it wrote may still be unread.
  var isPeerShut = false
  /// Both directions are closed at the broker's end.
  var isHungUp = false
  /// The broker's end of file was passed on.
  var sawEnd = false
  /// Shut our end when the backlog is written.
  var shutsAfterBacklog = false
  /// In the list of those that wait for room in a ring.
  var waitsForRing = false
  var nextWaiting = SlabHandle.none
  var backlog = Backlog()
}

/// Bytes that the broker's socket did not take: at most one window, since the firmware gets no
/// new credit for them. Its memory exists only while there are any.
@safe
struct Backlog: BitwiseCopyable {
  private var base: UnsafeMutableRawPointer?
  private var start = 0
  private(set) var count = 0

  init() { unsafe base = nil }

  var isEmpty: Bool { count == 0 }

  /// False when it would grow beyond a window.
  mutating func append(_ bytes: RawSpan) -> Bool {
    let capacity = HostLinkLimits.window
    guard bytes.byteCount <= capacity - count else { return false }
    if bytes.byteCount == 0 { return true }
    if unsafe base == nil {
      unsafe base = .allocate(byteCount: capacity, alignment: 16)
      start = 0
    }
    if start + count + bytes.byteCount > capacity {
      unsafe base!.copyMemory(from: base! + start, byteCount: count)
      start = 0
    }
    let target = unsafe base! + start + count
    unsafe bytes.withUnsafeBytes {
      unsafe target.copyMemory(from: $0.baseAddress!, byteCount: $0.count)
    }
    count += bytes.byteCount
    return true
  }

  /// Writes what the socket takes; the number of bytes, or a negative errno.
  mutating func write(to descriptor: Int32) -> Int {
    guard count > 0 else { return 0 }
    let written = unsafe Int(clinux_link_send(descriptor, base! + start, UInt64(count)))
    guard written > 0 else { return written }
    start += written
    count -= written
    if count == 0 { discard() }
    return written
  }

  mutating func discard() {
    unsafe base?.deallocate()
    unsafe base = nil
    start = 0
    count = 0
  }
}
