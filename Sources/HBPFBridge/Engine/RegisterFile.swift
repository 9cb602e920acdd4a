/// Eleven registers, zero at the start. Indices are those of well-formed instructions, so none lies
/// outside and none is checked: that would cost a fifth of the interpreter's time.
@safe
package struct RegisterFile: BitwiseCopyable {
  private var values = InlineArray<12, UInt64>(repeating: 0)

  @inline(__always)
  package internal(set) subscript(index: UInt8) -> UInt64 {
    get { unsafe values[unchecked: Int(index)] }
    set { unsafe values[unchecked: Int(index)] = newValue }
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
    unsafe UnsafeRawPointer(bitPattern: address).unsafelyUnwrapped.loadUnaligned(as: type)
  }

  @inline(__always)
  static func store<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at address: UInt) {
    unsafe UnsafeMutableRawPointer(bitPattern: address).unsafelyUnwrapped.storeBytes(
      of: value, as: Value.self)
  }
}

extension GuestMemory {
  /// The number at `address`; nil when it does not lie in the memory.
  @inline(__always)
  func load<Value: FixedWidthInteger & BitwiseCopyable>(
    _ address: UInt64, as type: Value.Type
  ) -> Value? {
    guard
      let host = find(address, count: UInt64(MemoryLayout<Value>.size), writing: false)
    else { return nil }
    return HostBytes.load(host, as: type)
  }

  /// False when there is nothing to write to.
  @inline(__always)
  func store<Value: FixedWidthInteger & BitwiseCopyable>(
    _ value: Value, at address: UInt64
  ) -> Bool {
    guard let host = find(address, count: UInt64(MemoryLayout<Value>.size), writing: true) else {
      return false
    }
    HostBytes.store(value, at: host)
    return true
  }

  /// Puts `change` of the number at `address` in its place. Returns what was there.
  @inline(__always)
  func update<Value: FixedWidthInteger & BitwiseCopyable>(
    _ address: UInt64, as type: Value.Type, _ change: (Value) -> Value
  ) -> Value? {
    guard let host = find(address, count: UInt64(MemoryLayout<Value>.size), writing: true) else {
      return nil
    }
    let old = HostBytes.load(host, as: type)
    HostBytes.store(change(old), at: host)
    return old
  }
}
