import Frames
import P4Pipelines

// A frame and a packet buffer are two views of the same memory. The frame's room counts from its
// first byte, the buffer's tailroom from behind its last one.

extension PacketBuffer {
  @inline(__always)
  init(_ frame: FrameHandle) {
    self.init(
      token: frame.token, address: frame.address, length: frame.length, headroom: frame.headroom,
      tailroom: UInt16(truncatingIfNeeded: UInt32(frame.room) - frame.length))
  }
}

extension FrameHandle {
  @inline(__always)
  init(_ buffer: PacketBuffer) {
    self.init(
      token: buffer.token, address: buffer.address, length: buffer.length,
      room: UInt16(truncatingIfNeeded: buffer.length + UInt32(buffer.tailroom)),
      headroom: buffer.headroom)
  }
}
