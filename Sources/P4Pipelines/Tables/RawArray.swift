import DPUCore

/// An array of a fixed size, zero at the start, for the tables and externs of a program.
///
/// Differs from `FixedArray` in two ways. Its memory is not touched when it is made: a trie that
/// may grow to 60 MB costs address space until nodes are in use. And it shows its address: the
/// inner loops of lookups run on raw pointers, because a bounds check per load would cost them a
/// third of their time. Whoever takes `base` answers for the indices; everybody else subscripts.
///
/// An `init` that sets such arrays must not use `self` before it has set all of them, not even in
/// the right side of `&&`: compiler 6.3.1 then takes first values for second ones and frees what
/// has never been there.
@safe @usableFromInline
package struct RawArray<Element: BitwiseCopyable>: ~Copyable {
  /// Aligned to a cache line. Valid as long as the array lives; never moves.
  @usableFromInline package let base: UnsafeMutablePointer<Element>
  @usableFromInline let allocation: UnsafeMutableRawPointer?
  package let count: Int

  /// For elements whose value with all bits zero is a valid one.
  package init(zeroes count: Int) {
    self.count = max(0, count)
    if count <= 0 {
      // Never dereferenced: every index is out of range.
      unsafe base = UnsafeMutablePointer(bitPattern: 64).unsafelyUnwrapped
      unsafe allocation = nil
      return
    }
    guard let memory = unsafe systemAllocate(count * MemoryLayout<Element>.stride + 64, 1) else {
      fail("no memory for tables")
    }
    unsafe allocation = memory
    unsafe base = memory.alignedUp(toMultipleOf: 64).bindMemory(to: Element.self, capacity: count)
  }

  package init(_ elements: [Element]) {
    self.init(zeroes: elements.count)
    for index in elements.indices { self[index] = elements[index] }
  }

  // Inlinable: Embedded Swift must see it in every module that owns an array.
  @inlinable deinit { unsafe allocation?.deallocate() }

  package subscript(index: Int) -> Element {
    @inline(__always)
    unsafeAddress {
      precondition(index >= 0 && index < count)
      return unsafe UnsafePointer(base + index)
    }
    @inline(__always)
    unsafeMutableAddress {
      precondition(index >= 0 && index < count)
      return unsafe base + index
    }
  }
}

// The memory is owned by exactly one array, so handing the array on hands the memory on.
extension RawArray: @unchecked Sendable {}

// Given back by `deallocate`, which is `free` for memory without an alignment of its own.
@_extern(c, "calloc")
private func systemAllocate(_ count: Int, _ size: Int) -> UnsafeMutableRawPointer?
