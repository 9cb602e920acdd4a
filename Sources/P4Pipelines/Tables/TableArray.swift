// Elements lie in memory that only the array allocates and frees; the number of those that were
// appended is checked before each use. Not arrays of Swift, whose elements can be copied, nor one
// generic type, which Embedded Swift would have to see the inside of wherever it is destroyed.

/// The tables of a set, in memory that never moves.
@safe @usableFromInline
struct TableArray: ~Copyable {
  @usableFromInline let memory: UnsafeMutableRawPointer
  private let capacity: Int
  @usableFromInline var count = 0

  private var base: UnsafeMutablePointer<MatchTable> {
    @inline(__always) get { unsafe memory.assumingMemoryBound(to: MatchTable.self) }
  }

  init(capacity: Int) {
    let tables = UnsafeMutablePointer<MatchTable>.allocate(capacity: max(1, capacity))
    self.capacity = capacity
    unsafe memory = UnsafeMutableRawPointer(tables)
  }

  // Inlinable, as Embedded Swift must see it in every module that owns a switch; what it calls is
  // not, as those modules cannot see the elements.
  @inlinable deinit { unsafe freeTables(memory, count) }

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
@safe @usableFromInline
struct ProfileArray: ~Copyable {
  @usableFromInline let memory: UnsafeMutableRawPointer
  private let capacity: Int
  @usableFromInline var count = 0

  private var base: UnsafeMutablePointer<ProfileStore> {
    @inline(__always) get { unsafe memory.assumingMemoryBound(to: ProfileStore.self) }
  }

  init(capacity: Int) {
    let profiles = UnsafeMutablePointer<ProfileStore>.allocate(capacity: max(1, capacity))
    self.capacity = capacity
    unsafe memory = UnsafeMutableRawPointer(profiles)
  }

  // Inlinable, as Embedded Swift must see it in every module that owns a switch; what it calls is
  // not, as those modules cannot see the elements.
  @inlinable deinit { unsafe freeProfiles(memory, count) }

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

/// Destroys `count` tables and frees their memory.
@usableFromInline
func freeTables(_ memory: UnsafeMutableRawPointer, _ count: Int) {
  let tables = unsafe memory.assumingMemoryBound(to: MatchTable.self)
  unsafe tables.deinitialize(count: count)
  unsafe tables.deallocate()
}

/// Destroys `count` profiles and frees their memory.
@usableFromInline
func freeProfiles(_ memory: UnsafeMutableRawPointer, _ count: Int) {
  let profiles = unsafe memory.assumingMemoryBound(to: ProfileStore.self)
  unsafe profiles.deinitialize(count: count)
  unsafe profiles.deallocate()
}

// The memory is owned by exactly one array, so handing the array on hands the memory on.
extension TableArray: @unchecked Sendable {}
extension ProfileArray: @unchecked Sendable {}
