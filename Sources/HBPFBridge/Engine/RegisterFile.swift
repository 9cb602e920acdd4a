/// Eleven registers, in memory that the interpreter owns.
///
/// No index is checked: they come from instructions that `WellFormed` has accepted, and the file
/// has sixteen places, as many as four bits can name.
@safe
struct RegisterFile {
  private let base: UnsafeMutablePointer<UInt64>

  init() {
    unsafe base = .allocate(capacity: 16)
    unsafe base.initialize(repeating: 0, count: 16)
  }

  func free() { unsafe base.deallocate() }

  @inline(__always)
  func clear() { unsafe base.update(repeating: 0, count: 11) }

  @inline(__always)
  subscript(index: UInt8) -> UInt64 {
    get { unsafe base[Int(index & 15)] }
    nonmutating set { unsafe base[Int(index & 15)] = newValue }
  }

  /// The lower half.
  @inline(__always)
  func low(_ index: UInt8) -> UInt32 { UInt32(truncatingIfNeeded: self[index]) }
}

/// Loads and stores at addresses that `GuestMemory.find` has answered.
enum HostBytes {
  @inline(__always)
  static func load<Value: FixedWidthInteger & BitwiseCopyable>(
    _ address: UInt, as type: Value.Type
  ) -> Value {
    // A region holds these bytes, and whoever made the region vouches for its memory.
    unsafe UnsafeRawPointer(bitPattern: address)!.loadUnaligned(as: type)
  }

  @inline(__always)
  static func store<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at address: UInt) {
    unsafe UnsafeMutableRawPointer(bitPattern: address)!.storeBytes(of: value, as: Value.self)
  }
}
