internal import CDPDK
internal import DPUCore
package import Frames

/// A worker's queue on every port, with its buffers: the device the poll loop runs on.
package struct DPDKDevice: FrameDevice, ~Copyable {
  package let portCount: Int
  private let numbers: InlineArray<4, UInt16>
  private let queue: UInt16
  private let pool: DPDKPool

  /// `ports` in the order the worker numbers them; all opened with `pool` for `queue`.
  package init(ports: [DPDKPort], queue: Int, pool: DPDKPool) {
    precondition(ports.count > 0 && ports.count <= 4)
    portCount = ports.count
    var numbers = InlineArray<4, UInt16>(repeating: 0)
    for i in 0..<ports.count { numbers[i] = ports[i].number }
    self.numbers = numbers
    self.queue = UInt16(queue)
    self.pool = pool
  }

  @inline(__always)
  package mutating func receive(port: Int, into burst: inout Burst) {
    let number = numbers[port]
    let queue = queue
    burst.fill { slots in
      unsafe slots.withUnsafeMutableBufferPointer { handles in
        let frames = unsafe UnsafeMutableRawPointer(handles.baseAddress!)
          .assumingMemoryBound(to: cdpdk_frame.self)
        return unsafe Int(cdpdk_receive(number, queue, frames, UInt32(handles.count)))
      }
    }
  }

  @inline(__always)
  package mutating func transmit(port: Int, _ burst: inout Burst) -> TransmitOutcome {
    let number = numbers[port]
    let queue = queue
    return burst.drain { span in
      unsafe span.withUnsafeBufferPointer { handles in
        var outcome = TransmitOutcome()
        guard let start = handles.baseAddress, handles.count > 0 else { return outcome }
        let frames = unsafe UnsafeRawPointer(start).assumingMemoryBound(to: cdpdk_frame.self)
        let sent = unsafe cdpdk_transmit(number, queue, frames, UInt32(handles.count))
        outcome.sentFrames = Int(sent)
        outcome.unsentFrames = handles.count - Int(sent)
        for i in 0..<Int(sent) { unsafe outcome.sentBytes += Int(handles[i].length) }
        return outcome
      }
    }
  }

  @inline(__always)
  package mutating func allocate() -> Frame? {
    var frame = cdpdk_frame()
    guard unsafe cdpdk_allocate(pool.token, &frame) == 1 else { return nil }
    return Frame(
      handle: FrameHandle(
        token: frame.token, address: frame.address, length: frame.length, room: frame.room,
        headroom: frame.headroom))
  }

  @inline(__always)
  package mutating func recycle(_ frame: consuming Frame) { cdpdk_free(frame.release().token) }
}
