import DPUCore
import P4Pipelines

// The buffers are slices of one allocation that is never given back; a buffer is either in the
// stack of free ones or with the switch.

/// Memory and ports for measuring: the source copies a packet into a fresh buffer, the sink puts
/// the buffer back, as the source and sink of DPDK's SWX do on the other side.
@safe
struct BenchPorts: ~Copyable, PacketSink {
  static let ports = 8
  private static let headroom = 128
  private static let stride = 2_048 + 128

  private let free: UnsafeMutablePointer<UInt>
  private(set) var freeCount: Int
  private(set) var sent = InlineArray<8, UInt64>(repeating: 0)

  init(buffers: Int) {
    let memory = UnsafeMutableRawPointer.allocate(
      byteCount: buffers * Self.stride, alignment: 64)
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: buffers * Self.stride)
    unsafe free = .allocate(capacity: buffers)
    for index in 0..<buffers {
      unsafe free[index] = UInt(bitPattern: memory) + UInt(index * Self.stride)
    }
    freeCount = buffers
  }

  var sentInAll: UInt64 {
    var sum: UInt64 = 0
    for port in 0..<Self.ports { sum += sent[port] }
    return sum
  }

  @inline(__always)
  mutating func allocate() -> PacketBuffer? {
    guard freeCount > 0 else { return nil }
    freeCount -= 1
    let start = unsafe free[freeCount]
    return PacketBuffer(
      token: start, address: start + UInt(Self.headroom), length: 0,
      headroom: UInt16(Self.headroom), tailroom: UInt16(Self.stride - Self.headroom))
  }

  @inline(__always)
  mutating func recycle(_ buffer: PacketBuffer) {
    unsafe free[freeCount] = buffer.token
    freeCount += 1
  }

  @inline(__always)
  mutating func send(_ buffer: PacketBuffer, to port: Int) {
    sent[port & (Self.ports - 1)] += 1
    recycle(buffer)
  }

  /// A buffer with `count` bytes from `source`.
  @inline(__always)
  mutating func packet(_ source: UnsafeRawPointer, _ count: Int) -> PacketBuffer? {
    guard var buffer = allocate() else { return nil }
    let target = unsafe UnsafeMutableRawPointer(bitPattern: buffer.address)
    unsafe target!.copyMemory(from: source, byteCount: count)
    buffer.length = UInt32(truncatingIfNeeded: count)
    buffer.tailroom &-= UInt16(truncatingIfNeeded: count)
    return buffer
  }
}
