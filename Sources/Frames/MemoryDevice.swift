import DPUCore

/// A device without a network: what a test injects is received, what is sent can be looked at.
///
/// Buffers are real ones from a fixed pool, so that exhaustion and leaks show as they would on a
/// card: `freeBuffers` returns to its first value when every frame came home.
@safe
package struct MemoryDevice: FrameDevice, ~Copyable {
  /// Bytes a buffer holds: an Ethernet frame of 1,518 bytes with room to spare.
  package static let bufferSize = 2048
  /// Bytes before the first one of a new frame, as DPDK leaves them.
  package static let headroom = 128

  private static let bytesPerBuffer = headroom + bufferSize

  package let portCount: Int
  /// Frames that leave at once per port and call of `transmit`; the rest finds the queue full.
  package var transmitRoom = FramesLimits.framesPerBurst

  private let buffers: UnsafeMutableRawPointer
  private var free: [UInt]
  private var inbound: [[[UInt8]]]
  private var outbound: [[[UInt8]]]

  package init(portCount: Int, bufferCount: Int = 256) {
    precondition(portCount > 0 && bufferCount > 0)
    self.portCount = portCount
    unsafe buffers = .allocate(byteCount: bufferCount * Self.bytesPerBuffer, alignment: 64)
    // Token 0 means "no frame", so tokens start at one.
    free = (1...UInt(bufferCount)).reversed()
    inbound = Array(repeating: [], count: portCount)
    outbound = Array(repeating: [], count: portCount)
  }

  deinit { unsafe buffers.deallocate() }

  package var freeBuffers: Int { free.count }

  /// Makes a frame arrive on `port`.
  package mutating func inject(_ bytes: [UInt8], port: Int) {
    precondition(bytes.count <= Self.bufferSize)
    inbound[port].append(bytes)
  }

  /// What was sent on `port` since the last call, oldest first.
  package mutating func takeSent(port: Int) -> [[UInt8]] {
    let sent = outbound[port]
    outbound[port] = []
    return sent
  }

  package mutating func receive(port: Int, into burst: inout Burst) {
    invariant(burst.isEmpty, "a burst was received into before it was emptied")
    while !burst.isFull, let bytes = inbound[port].first {
      guard var frame = allocate() else { return }
      inbound[port].removeFirst()
      var room = frame.room
      unsafe room.copy(bytes.span.bytes, at: 0)
      frame.resize(to: bytes.count)
      burst.append(frame)
    }
  }

  package mutating func transmit(port: Int, _ burst: inout Burst) -> TransmitOutcome {
    var outcome = TransmitOutcome()
    while let frame = burst.takeFirst() {
      if outcome.sentFrames < transmitRoom {
        outbound[port].append(copy(frame))
        outcome.sentFrames += 1
        outcome.sentBytes += frame.count
      } else {
        outcome.unsentFrames += 1
      }
      recycle(frame)
    }
    return outcome
  }

  package mutating func allocate() -> Frame? {
    guard let token = free.popLast() else { return nil }
    let start = unsafe buffers + Int(token - 1) * Self.bytesPerBuffer + Self.headroom
    return Frame(
      handle: FrameHandle(
        token: token, address: UInt(bitPattern: start), length: 0,
        room: UInt16(Self.bufferSize), headroom: UInt16(Self.headroom)))
  }

  package mutating func recycle(_ frame: consuming Frame) {
    let handle = frame.release()
    precondition(!free.contains(handle.token), "a frame was recycled twice")
    free.append(handle.token)
  }

  private func copy(_ frame: borrowing Frame) -> [UInt8] {
    let bytes = frame.bytes
    var result: [UInt8] = []
    result.reserveCapacity(bytes.byteCount)
    for i in 0..<bytes.byteCount { result.append(bytes.byte(at: i)) }
    return result
  }
}
