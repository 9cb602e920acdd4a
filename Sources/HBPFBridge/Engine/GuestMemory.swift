/// One stretch of memory that a program may touch.
package struct MemoryRegion: BitwiseCopyable, Sendable {
  /// The first address as the program sees it.
  package var start: UInt64
  package var count: UInt64
  /// Where the bytes really are.
  package var host: UInt
  package var isWritable: Bool

  package init(start: UInt64, count: Int, host: UInt, isWritable: Bool) {
    self.start = start
    self.count = UInt64(count)
    self.host = host
    self.isWritable = isWritable
  }
}

/// What a program sees as memory: packet and state, its stack, and the values of its maps. Every
/// access is checked against these; an address outside is a fault, never a wrapped one.
///
/// The caller vouches for the memory behind the regions while a program runs.
package struct GuestMemory: BitwiseCopyable, Sendable {
  package static let regionsMax = 8

  private var regions = InlineArray<8, MemoryRegion>(
    repeating: MemoryRegion(start: 0, count: 0, host: 0, isWritable: false))
  private var regionCount = 0

  package init() {}

  /// Traps above `regionsMax`. The region that is used most should be added first.
  package mutating func add(_ region: MemoryRegion) {
    regions[regionCount] = region
    regionCount += 1
  }

  package subscript(index: Int) -> MemoryRegion {
    get { regions[index] }
    set { regions[index] = newValue }
  }

  /// The host's address of `count` bytes at `address`, nil when no region holds them all.
  @inline(__always)
  package func find(_ address: UInt64, count: UInt64, writing: Bool) -> UInt? {
    let first = regions[0]
    let offset = address &- first.start
    if offset < first.count, first.count &- offset >= count, first.isWritable || !writing {
      return first.host &+ UInt(offset)
    }
    return findElsewhere(address, count: count, writing: writing)
  }

  @inline(never)
  private func findElsewhere(_ address: UInt64, count: UInt64, writing: Bool) -> UInt? {
    for index in 1..<max(1, regionCount) {
      let region = regions[index]
      let offset = address &- region.start
      if offset < region.count, region.count &- offset >= count, region.isWritable || !writing {
        return region.host &+ UInt(offset)
      }
    }
    return nil
  }
}
