import DPUCore

/// What a device knows of one packet buffer: trivial, so that bursts can be inline arrays.
package struct FrameHandle: BitwiseCopyable, Sendable {
  /// The device's own name of the buffer (an mbuf address for DPDK).
  package var token: UInt
  /// Address of the first byte of the frame.
  package var address: UInt
  /// Bytes in the frame.
  package var length: UInt32
  /// Bytes the buffer can hold from `address` on.
  package var room: UInt16
  /// Bytes of the buffer before `address`: a header may grow into them. A device sends from
  /// `address`, wherever that is now.
  package var headroom: UInt16

  package init(token: UInt, address: UInt, length: UInt32, room: UInt16, headroom: UInt16) {
    self.token = token
    self.address = address
    self.length = length
    self.room = room
    self.headroom = headroom
  }

  package static let none = FrameHandle(token: 0, address: 0, length: 0, room: 0, headroom: 0)
}

/// One packet buffer with one owner.
///
/// Hand it on (`consuming`), look at it (`borrowing`), or give it back to its device; dropping
/// it silently stops the program, because the buffer would be lost to its pool.
@frozen
package struct Frame: ~Copyable {
  package var handle: FrameHandle

  @inline(__always)
  package init(handle: FrameHandle) { self.handle = handle }

  deinit { invariant(handle.token == 0, "a frame was dropped without going back to its device") }

  /// Ends the ownership: whoever takes the handle answers for the buffer.
  @inline(__always)
  package consuming func release() -> FrameHandle {
    let handle = self.handle
    discard self
    return handle
  }

  package var count: Int { Int(handle.length) }

  /// The bytes of the frame, from the Ethernet header on.
  package var bytes: RawSpan {
    @_lifetime(borrow self) @inline(__always)
    borrowing get {
      // The device guarantees `length` readable bytes at `address` while the frame is owned.
      let start = unsafe UnsafeRawPointer(bitPattern: handle.address)!
      let span = unsafe RawSpan(_unsafeStart: start, byteCount: Int(handle.length))
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// The whole room of the buffer, for writing; set `count` afterwards with `resize(to:)`.
  package var room: MutableRawSpan {
    @_lifetime(&self) @inline(__always)
    mutating get {
      let start = unsafe UnsafeMutableRawPointer(bitPattern: handle.address)!
      let span = unsafe MutableRawSpan(_unsafeStart: start, byteCount: Int(handle.room))
      return unsafe _overrideLifetime(span, mutating: &self)
    }
  }

  /// Sets the number of bytes in the frame. Traps above the buffer's room.
  @inline(__always)
  package mutating func resize(to count: Int) {
    precondition(count >= 0 && count <= Int(handle.room))
    handle.length = UInt32(count)
  }

  /// Moves the start of the frame by `count` bytes: into the headroom when negative, into the frame
  /// when positive. New first bytes hold whatever was there. Traps beyond headroom and length.
  @inline(__always)
  package mutating func advance(by count: Int) {
    precondition(-count <= Int(handle.headroom) && count <= Int(handle.length))
    handle.address = UInt(Int(handle.address) + count)
    handle.headroom = UInt16(Int(handle.headroom) + count)
    handle.room = UInt16(Int(handle.room) - count)
    handle.length = UInt32(Int(handle.length) - count)
  }
}
