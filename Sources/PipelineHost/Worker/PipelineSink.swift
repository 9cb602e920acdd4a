package import DPUCore
package import Frames
import P4Pipelines
import PollLoop

/// Where the frames for the DPU's own addresses go.
package protocol StackInlet: ~Copyable {
  /// Looks at a frame that a pipeline has sent to the stack's port.
  mutating func receive(_ frame: borrowing Frame, now: Instant)
}

/// The way out of a pipeline, and its memory: the device, the stack and the control plane.
///
/// Made for one `run` of a switch, because it points at the loop's ports and the stage's stack.
@safe
struct PipelineSink<Device: FrameDevice & ~Copyable, Inlet: StackInlet & ~Copyable>: PacketSink,
  ~Copyable
{
  private let ports: UnsafeMutablePointer<Ports<Device>>
  private let inlet: UnsafeMutablePointer<Inlet>
  private let map: UnsafePointer<PortMap>
  private let packetsIn: PacketInRing
  private let counters: CounterWriter<PipelineCounter>
  private let slot: Int
  private let now: Instant

  /// The pointers must outlive the sink, and nobody else may use what they point at meanwhile.
  @unsafe
  init(
    ports: UnsafeMutablePointer<Ports<Device>>, inlet: UnsafeMutablePointer<Inlet>,
    map: UnsafePointer<PortMap>, packetsIn: PacketInRing, counters: CounterWriter<PipelineCounter>,
    slot: Int, now: Instant
  ) {
    unsafe self.ports = unsafe ports
    unsafe self.inlet = unsafe inlet
    unsafe self.map = unsafe map
    self.packetsIn = packetsIn
    self.counters = counters
    self.slot = slot
    self.now = now
  }

  /// The switch counts when there is none.
  @inline(__always)
  mutating func allocate() -> PacketBuffer? {
    guard let frame = unsafe ports.pointee.device.allocate() else { return nil }
    return PacketBuffer(frame.release())
  }

  @inline(__always)
  mutating func recycle(_ buffer: PacketBuffer) {
    unsafe ports.pointee.drop(Frame(handle: FrameHandle(buffer)))
  }

  @inline(__always)
  mutating func send(_ buffer: PacketBuffer, to port: Int) {
    let frame = Frame(handle: FrameHandle(buffer))
    switch unsafe map.pointee.end(of: port) {
    case .device(let device):
      counters.increment(.framesToPorts)
      unsafe ports.pointee.send(frame, to: device)
    case .stack:
      counters.increment(.framesToStack)
      unsafe inlet.pointee.receive(frame, now: now)
      unsafe ports.pointee.drop(frame)
    case .cpu:
      punt(frame)
    case .nowhere:
      counters.increment(.droppedPortNotMapped)
      unsafe ports.pointee.drop(frame)
    }
  }

  @inline(never)
  private func punt(_ frame: consuming Frame) {
    let isTaken = packetsIn.push(frame.bytes, PacketInHeader(slot: slot, at: now))
    counters.increment(isTaken ? .packetsIn : .droppedPacketInFull)
    unsafe ports.pointee.drop(frame)
  }
}
