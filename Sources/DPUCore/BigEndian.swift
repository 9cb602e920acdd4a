// The only place that loads or stores unaligned integers. Every call is bounds-checked by the
// span; one `byteCount` check before a run of calls lets the compiler drop the later ones.

extension RawSpan {
  @inline(__always)
  package func byte(at offset: Int) -> UInt8 {
    unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt8.self)
  }
  /// Network byte order.
  @inline(__always)
  package func beUInt16(at offset: Int) -> UInt16 {
    unsafe UInt16(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
  }
  @inline(__always)
  package func beUInt32(at offset: Int) -> UInt32 {
    unsafe UInt32(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }
  @inline(__always)
  package func beUInt64(at offset: Int) -> UInt64 {
    unsafe UInt64(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
  /// Little-endian, for HostLink and shared memory.
  @inline(__always)
  package func leUInt16(at offset: Int) -> UInt16 {
    unsafe UInt16(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
  }
  @inline(__always)
  package func leUInt32(at offset: Int) -> UInt32 {
    unsafe UInt32(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }
  @inline(__always)
  package func leUInt64(at offset: Int) -> UInt64 {
    unsafe UInt64(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  /// Whether both hold the same bytes.
  @inline(__always)
  package func sameBytes(as other: RawSpan) -> Bool {
    guard byteCount == other.byteCount else { return false }
    return unsafe withUnsafeBytes { a in
      unsafe other.withUnsafeBytes { b in
        unsafe a.count == 0 || compareBytes(a.baseAddress!, b.baseAddress!, a.count) == 0
      }
    }
  }
}

extension MutableRawSpan {
  @inline(__always)
  package func byte(at offset: Int) -> UInt8 {
    unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt8.self)
  }
  @_lifetime(self: copy self)
  @inline(__always)
  package mutating func storeByte(_ value: UInt8, at offset: Int) {
    storeBytes(of: value, toByteOffset: offset, as: UInt8.self)
  }
  @_lifetime(self: copy self)
  @inline(__always)
  package mutating func storeBE(_ value: UInt16, at offset: Int) {
    storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self)
  }
  @_lifetime(self: copy self)
  @inline(__always)
  package mutating func storeBE(_ value: UInt32, at offset: Int) {
    storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self)
  }
  @_lifetime(self: copy self)
  @inline(__always)
  package mutating func storeBE(_ value: UInt64, at offset: Int) {
    storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt64.self)
  }
  @_lifetime(self: copy self)
  @inline(__always)
  package mutating func storeLE(_ value: UInt16, at offset: Int) {
    storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt16.self)
  }
  @_lifetime(self: copy self)
  @inline(__always)
  package mutating func storeLE(_ value: UInt32, at offset: Int) {
    storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt32.self)
  }
  @_lifetime(self: copy self)
  @inline(__always)
  package mutating func storeLE(_ value: UInt64, at offset: Int) {
    storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt64.self)
  }
  /// Copies all of `source` to `offset`. Traps when it does not fit.
  @_lifetime(self: copy self)
  @inline(__always)
  package mutating func copy(_ source: RawSpan, at offset: Int) {
    let count = source.byteCount
    precondition(offset >= 0 && count <= byteCount - offset)
    if count == 0 { return }
    unsafe withUnsafeMutableBytes { target in
      unsafe source.withUnsafeBytes { from in
        unsafe copyBytes(target.baseAddress! + offset, from.baseAddress!, count)
      }
    }
  }
}

@_extern(c, "memcpy")
@discardableResult
private func systemCopy(
  _ to: UnsafeMutableRawPointer, _ from: UnsafeRawPointer, _ count: Int
) -> UnsafeMutableRawPointer

@_extern(c, "memcmp")
private func systemCompare(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ count: Int) -> Int32

@inline(__always)
private func copyBytes(_ to: UnsafeMutableRawPointer, _ from: UnsafeRawPointer, _ count: Int) {
  unsafe systemCopy(to, from, count)
}

@inline(__always)
private func compareBytes(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ count: Int) -> Int32 {
  unsafe systemCompare(a, b, count)
}
