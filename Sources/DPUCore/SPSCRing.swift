import Synchronization

/// A bounded queue between exactly one producer and one consumer, on different cores.
///
/// A handle: copies name the same queue. Queues are made at start-up and live as long as the
/// process, so the handle costs no reference counting on the packet path.
@safe
package struct SPSCRing<Element: BitwiseCopyable>: BitwiseCopyable, @unchecked Sendable {
  private let mask: Int
  private let slots: UnsafeMutablePointer<Element>
  // Head and tail on cache lines of their own: each side polls the other's.
  private let indices: UnsafeMutablePointer<UInt64>

  /// `capacity` is rounded up to a power of two.
  package init(repeating value: Element, capacity: Int) {
    var size = 1
    while size < capacity { size *= 2 }
    mask = size - 1
    unsafe slots = .allocate(capacity: size)
    unsafe slots.initialize(repeating: value, count: size)
    let raw = UnsafeMutableRawPointer.allocate(byteCount: 256, alignment: 128)
    unsafe indices = raw.bindMemory(to: UInt64.self, capacity: 32)
    unsafe indices.initialize(repeating: 0, count: 32)
  }

  package var capacity: Int { mask + 1 }

  @inline(__always)
  private var head: UnsafeMutablePointer<Atomic<UInt64>> {
    unsafe UnsafeMutableRawPointer(indices).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  @inline(__always)
  private var tail: UnsafeMutablePointer<Atomic<UInt64>> {
    unsafe UnsafeMutableRawPointer(indices + 16).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  /// Producer only. False when full: count it and drop.
  @inline(__always)
  package func push(_ value: Element) -> Bool {
    let t = unsafe tail.pointee.load(ordering: .relaxed)
    let h = unsafe head.pointee.load(ordering: .acquiring)
    if t &- h > UInt64(mask) { return false }
    unsafe slots[Int(truncatingIfNeeded: t) & mask] = value
    unsafe tail.pointee.store(t &+ 1, ordering: .releasing)
    return true
  }

  /// Consumer only.
  @inline(__always)
  package func pop() -> Element? {
    let h = unsafe head.pointee.load(ordering: .relaxed)
    if unsafe h == tail.pointee.load(ordering: .acquiring) { return nil }
    let value = unsafe slots[Int(truncatingIfNeeded: h) & mask]
    unsafe head.pointee.store(h &+ 1, ordering: .releasing)
    return value
  }

  /// A snapshot; a lower bound for the consumer, an upper bound for the producer.
  package var count: Int {
    let t = unsafe tail.pointee.load(ordering: .acquiring)
    let h = unsafe head.pointee.load(ordering: .acquiring)
    return Int(truncatingIfNeeded: t &- h)
  }
}
