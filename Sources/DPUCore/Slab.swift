/// Names a slot of a `Slab` and one of its lives: a handle kept after its slot was freed and
/// taken again no longer matches.
package struct SlabHandle: Equatable, Hashable, BitwiseCopyable, Sendable {
  package var index: UInt32
  package var generation: UInt32

  package init(index: UInt32, generation: UInt32) {
    self.index = index
    self.generation = generation
  }

  /// Matches no slot, ever.
  package static let none = SlabHandle(index: .max, generation: 0)

  /// One word, for keys and wire formats.
  package var rawValue: UInt64 { UInt64(generation) << 32 | UInt64(index) }
  package init(rawValue: UInt64) {
    self.init(
      index: UInt32(truncatingIfNeeded: rawValue),
      generation: UInt32(truncatingIfNeeded: rawValue >> 32))
  }
}

/// A fixed number of slots, taken and given back in constant time, named by `SlabHandle`.
package struct Slab<Element: BitwiseCopyable>: ~Copyable {
  private var elements: FixedArray<Element>
  /// Odd while the slot is taken.
  private var generations: FixedArray<UInt32>
  private var nextFree: FixedArray<UInt32>
  private var firstFree: UInt32
  package private(set) var count = 0
  package var capacity: Int { elements.count }
  package var isFull: Bool { count == capacity }

  package init(repeating value: Element, capacity: Int) {
    precondition(capacity > 0 && capacity < Int(UInt32.max))
    elements = FixedArray(repeating: value, count: capacity)
    generations = FixedArray(repeating: 0, count: capacity)
    nextFree = FixedArray(repeating: 0, count: capacity)
    for i in 0..<capacity {
      nextFree[i] = i + 1 < capacity ? UInt32(i + 1) : .max
    }
    firstFree = 0
  }

  /// Takes a slot; nil when all are taken.
  package mutating func insert(_ value: Element) -> SlabHandle? {
    let index = firstFree
    guard index != .max else { return nil }
    firstFree = nextFree[index]
    generations[index] &+= 1
    elements[index] = value
    count += 1
    return SlabHandle(index: index, generation: generations[index])
  }

  @inline(__always)
  package func contains(_ handle: SlabHandle) -> Bool {
    Int(handle.index) < capacity && handle.generation & 1 == 1
      && generations[handle.index] == handle.generation
  }

  /// Gives a slot back. Traps when the handle is stale.
  package mutating func remove(_ handle: SlabHandle) {
    precondition(contains(handle))
    generations[handle.index] &+= 1
    nextFree[handle.index] = firstFree
    firstFree = handle.index
    count -= 1
  }

  /// The handle of a slot that is taken, nil when it is free.
  package func handle(at index: UInt32) -> SlabHandle? {
    guard Int(index) < capacity, generations[index] & 1 == 1 else { return nil }
    return SlabHandle(index: index, generation: generations[index])
  }

  package subscript(handle: SlabHandle) -> Element {
    @inline(__always)
    unsafeAddress {
      precondition(contains(handle))
      return unsafe elements.address(handle.index)
    }
    @inline(__always)
    unsafeMutableAddress {
      precondition(contains(handle))
      return unsafe UnsafeMutablePointer(mutating: elements.address(handle.index))
    }
  }

  /// By index, without a generation: for lists that thread through the slots.
  package subscript(index: UInt32) -> Element {
    @inline(__always)
    unsafeAddress { unsafe elements.address(index) }
    @inline(__always)
    unsafeMutableAddress { unsafe UnsafeMutablePointer(mutating: elements.address(index)) }
  }
}
