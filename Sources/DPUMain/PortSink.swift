import DPUCore
import Frames
import PacketWire
import PipelineHost
import PollLoop
import TCPLite

/// The stack's way out: into its P4 pipeline, if it has one; else frames for a station seen on a
/// port leave there, others on every port.
///
/// Made for one call of `TCPStack.transmit`, because it points at the loop's ports.
@safe
struct PortSink<Device: FrameDevice & ~Copyable>: FrameSink, ~Copyable {
  private let ports: UnsafeMutablePointer<Ports<Device>>
  private let stations: UnsafePointer<StationTable>
  private let pipelines: UnsafeMutablePointer<PipelineStage>
  private let now: Instant
  /// Frames emitted.
  private(set) var count = 0

  /// The pointers must outlive the sink, and nobody else may use what they point at meanwhile.
  @unsafe
  init(
    ports: UnsafeMutablePointer<Ports<Device>>, stations: UnsafePointer<StationTable>,
    pipelines: UnsafeMutablePointer<PipelineStage>, now: Instant
  ) {
    unsafe self.ports = unsafe ports
    unsafe self.stations = unsafe stations
    unsafe self.pipelines = unsafe pipelines
    self.now = now
  }

  mutating func emit(byteCount: Int, _ write: (inout MutableRawSpan) -> Void) -> Bool {
    let isForPipeline = unsafe pipelines.pointee.takesFromStack
    if isForPipeline, unsafe !pipelines.pointee.hasRoomForStack { return false }
    guard var frame = unsafe ports.pointee.allocate(for: 0) else { return false }
    frame.resize(to: byteCount)
    var room = frame.room
    var bytes = room._mutatingExtracting(0..<byteCount)
    write(&bytes)
    count += 1
    if isForPipeline {
      unsafe pipelines.pointee.takeFromStack(frame, now: now)
      return true
    }
    if unsafe ports.pointee.count == 1 {
      unsafe ports.pointee.send(frame, to: 0)
      return true
    }
    if let port = unsafe stations.pointee.port(of: frame.bytes.macAddress(at: 0)) {
      unsafe ports.pointee.send(frame, to: port)
    } else {
      flood(frame)
    }
    return true
  }

  private func flood(_ frame: consuming Frame) {
    for port in unsafe 1..<ports.pointee.count {
      unsafe ports.pointee.send(copying: frame.bytes, to: port)
    }
    unsafe ports.pointee.send(frame, to: 0)
  }
}
