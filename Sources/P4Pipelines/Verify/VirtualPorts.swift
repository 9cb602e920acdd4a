import DPUCore

// Packet buffers here are slices of one allocation that lives as long as the pool; every address
// handed out points into a slice that is marked as used until it comes back.

/// Packet memory and ports of a switch that stands on a desk: a fixed number of buffers, and a
/// record of what left each port.
@safe
package struct VirtualPorts: ~Copyable, PacketSink {
  /// Bytes in front of an arriving packet, as DPDK leaves them.
  package static let headroom = 128

  private var memory: FixedArray<UInt8>
  private let stride: Int
  private var free: [UInt32]
  private var isUsed: [Bool]
  /// Overwrites what comes back, so that a late reader shows.
  package var poisons = true
  package private(set) var logs: [PortLog]

  /// What left one port, in order.
  package struct PortLog: Sendable, Equatable {
    private var bytes: [UInt8] = []
    private var ends: [Int] = []

    package init() {}
    package var count: Int { ends.count }
    package subscript(index: Int) -> ArraySlice<UInt8> {
      bytes[(index == 0 ? 0 : ends[index - 1])..<ends[index]]
    }
    mutating func append(_ packet: UnsafeRawBufferPointer) {
      unsafe bytes.append(contentsOf: packet)
      ends.append(bytes.count)
    }
  }

  /// Buffers take packets of up to `packetBytes`.
  package init(buffers: Int = 8_192, packetBytes: Int = 2_048) {
    stride = (Self.headroom + packetBytes + 63) / 64 * 64
    memory = FixedArray(repeating: 0, count: buffers * stride)
    free = []
    for index in (0..<buffers).reversed() { free.append(UInt32(index)) }
    isUsed = [Bool](repeating: false, count: buffers)
    logs = [PortLog](repeating: PortLog(), count: SwitchLimits.ports)
  }

  /// Buffers that are out.
  package var used: Int { isUsed.count - free.count }

  package mutating func forget() {
    for port in logs.indices where logs[port].count > 0 { logs[port] = PortLog() }
  }

  // MARK: PacketSink

  package mutating func allocate() -> PacketBuffer? {
    guard let index = free.popLast() else { return nil }
    isUsed[Int(index)] = true
    let start = memory.hostAddress + UInt(Int(index) * stride)
    return PacketBuffer(
      token: UInt(index), address: start + UInt(Self.headroom), length: 0,
      headroom: UInt16(Self.headroom), tailroom: UInt16(stride - Self.headroom))
  }

  package mutating func recycle(_ buffer: PacketBuffer) {
    let index = Int(buffer.token)
    invariant(isUsed[index], "a packet buffer comes back that is not out")
    isUsed[index] = false
    if poisons {
      memory.fill(index * stride..<(index + 1) * stride, with: 0xa5)
    }
    free.append(UInt32(index))
  }

  package mutating func send(_ buffer: PacketBuffer, to port: Int) {
    let start = memory.hostAddress + buffer.token * UInt(stride)
    invariant(
      buffer.address >= start && buffer.address + UInt(buffer.length) <= start + UInt(stride),
      "a packet leaves that does not lie in its buffer")
    let first = unsafe UnsafeRawPointer(bitPattern: buffer.address)
    let packet = unsafe UnsafeRawBufferPointer(start: first, count: Int(buffer.length))
    unsafe logs[port].append(packet)
    recycle(buffer)
  }

  /// A buffer with these bytes; nil when none is free or they do not fit.
  package mutating func buffer(holding bytes: some Collection<UInt8>) -> PacketBuffer? {
    guard bytes.count <= stride - Self.headroom, var buffer = allocate() else { return nil }
    let target = unsafe UnsafeMutableRawBufferPointer(
      start: UnsafeMutableRawPointer(bitPattern: buffer.address), count: bytes.count)
    unsafe target.copyBytes(from: bytes)
    buffer.length = UInt32(bytes.count)
    buffer.tailroom -= UInt16(bytes.count)
    return buffer
  }
}
