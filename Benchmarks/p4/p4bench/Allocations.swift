// Who calls the C library's allocator is counted: the linker sends the calls here (`--wrap` in
// Package.swift), and they go on to the library.

/// Calls of the allocator so far.
enum Allocations {
  nonisolated(unsafe) fileprivate(set) static var count: UInt64 = 0

  @inline(__always)
  fileprivate static func note() { unsafe count &+= 1 }
}

@c(__wrap_malloc)
func countedAllocate(_ size: Int) -> UnsafeMutableRawPointer? {
  Allocations.note()
  return unsafe allocate(size)
}

@c(__wrap_calloc)
func countedAllocateZeroes(_ count: Int, _ size: Int) -> UnsafeMutableRawPointer? {
  Allocations.note()
  return unsafe allocateZeroes(count, size)
}

@c(__wrap_realloc)
func countedReallocate(
  _ old: UnsafeMutableRawPointer?, _ size: Int
) -> UnsafeMutableRawPointer? {
  Allocations.note()
  return unsafe reallocate(old, size)
}

@c(__wrap_posix_memalign)
func countedAllocateAligned(
  _ result: UnsafeMutablePointer<UnsafeMutableRawPointer?>, _ alignment: Int, _ size: Int
) -> Int32 {
  Allocations.note()
  return unsafe allocateAligned(result, alignment, size)
}

@c(__wrap_aligned_alloc)
func countedAlignedAllocate(_ alignment: Int, _ size: Int) -> UnsafeMutableRawPointer? {
  Allocations.note()
  return unsafe alignedAllocate(alignment, size)
}

@_extern(c, "__real_malloc")
private func allocate(_ size: Int) -> UnsafeMutableRawPointer?

@_extern(c, "__real_calloc")
private func allocateZeroes(_ count: Int, _ size: Int) -> UnsafeMutableRawPointer?

@_extern(c, "__real_realloc")
private func reallocate(_ old: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer?

@_extern(c, "__real_posix_memalign")
private func allocateAligned(
  _ result: UnsafeMutablePointer<UnsafeMutableRawPointer?>, _ alignment: Int, _ size: Int
) -> Int32

@_extern(c, "__real_aligned_alloc")
private func alignedAllocate(_ alignment: Int, _ size: Int) -> UnsafeMutableRawPointer?
