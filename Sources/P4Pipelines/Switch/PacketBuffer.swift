/// One packet in memory that is not ours: where its bytes are and how far they may grow.
///
/// A plain value, so that it can wait in rings. Exactly one holder answers for a buffer; it ends
/// in `PacketSink.send` or in `PacketMemory.recycle`.
package struct PacketBuffer: BitwiseCopyable, Sendable {
  /// The memory's own name of the buffer, never changed here (an mbuf address for DPDK).
  package var token: UInt
  /// Address of the first byte of the packet.
  package var address: UInt
  /// Bytes in the packet.
  package var length: UInt32
  /// Bytes that may be written before `address`.
  package var headroom: UInt16
  /// Bytes that may be written after the last byte of the packet.
  package var tailroom: UInt16

  package init(token: UInt, address: UInt, length: UInt32, headroom: UInt16, tailroom: UInt16) {
    self.token = token
    self.address = address
    self.length = length
    self.headroom = headroom
    self.tailroom = tailroom
  }

  /// No buffer at all.
  package static let none = PacketBuffer(token: 0, address: 0, length: 0, headroom: 0, tailroom: 0)
}

/// Where packets come from and go back to.
package protocol PacketMemory: ~Copyable {
  /// An empty buffer (`length` 0, its room in `headroom` and `tailroom`); nil when all are in use.
  mutating func allocate() -> PacketBuffer?

  /// Gives a buffer back, whatever its address and length are now.
  mutating func recycle(_ buffer: PacketBuffer)
}

/// What takes the packets that leave the switch. It may watch them too, see `SwitchObserver`.
package protocol PacketSink: PacketMemory, SwitchObserver, ~Copyable {
  /// Takes a packet that leaves on `port`. The sink owns it from then on, also when it has to
  /// drop it.
  mutating func send(_ buffer: PacketBuffer, to port: Int)
}
