// Elements lie in memory that only the array allocates and frees; the number of those that were
// appended is checked before each use. Not arrays of Swift, whose elements can be copied, nor one
// generic type, which Embedded Swift would have to see the inside of wherever it is destroyed.

/// The tables of a set, in memory that never moves.
@safe
struct TableArray: ~Copyable {
  private let base: UnsafeMutablePointer<MatchTable>
  private let capacity: Int
  private var count = 0

  init(capacity: Int) {
    self.capacity = capacity
    unsafe base = .allocate(capacity: max(1, capacity))
  }

  deinit {
    unsafe base.deinitialize(count: count)
    unsafe base.deallocate()
  }

  mutating func append(_ table: consuming MatchTable) {
    precondition(count < capacity)
    unsafe (base + count).initialize(to: table)
    count += 1
  }

  subscript(number: Int) -> MatchTable {
    @inline(__always)
    unsafeAddress {
      precondition(number >= 0 && number < count)
      return unsafe UnsafePointer(base + number)
    }
    @inline(__always)
    unsafeMutableAddress {
      precondition(number >= 0 && number < count)
      return unsafe base + number
    }
  }
}

/// The profiles of a set, in memory that never moves.
@safe
struct ProfileArray: ~Copyable {
  private let base: UnsafeMutablePointer<ProfileStore>
  private let capacity: Int
  private var count = 0

  init(capacity: Int) {
    self.capacity = capacity
    unsafe base = .allocate(capacity: max(1, capacity))
  }

  deinit {
    unsafe base.deinitialize(count: count)
    unsafe base.deallocate()
  }

  mutating func append(_ profile: consuming ProfileStore) {
    precondition(count < capacity)
    unsafe (base + count).initialize(to: profile)
    count += 1
  }

  subscript(number: Int) -> ProfileStore {
    @inline(__always)
    unsafeAddress {
      precondition(number >= 0 && number < count)
      return unsafe UnsafePointer(base + number)
    }
    @inline(__always)
    unsafeMutableAddress {
      precondition(number >= 0 && number < count)
      return unsafe base + number
    }
  }
}

// The memory is owned by exactly one array, so handing the array on hands the memory on.
extension TableArray: @unchecked Sendable {}
extension ProfileArray: @unchecked Sendable {}
