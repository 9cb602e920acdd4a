import DPUCore
import FilterHost
import Frames
import PipelineHost
import PollLoop
import TCPLite

/// The P4 pipelines between ports, stack and control plane.
extension FirmwareStage {
  /// Brings packets that wait on their way; true when there were some.
  @inline(__always)
  mutating func runPipelines<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) -> Bool {
    unsafe withUnsafeMutablePointer(to: &stack) { stack in
      unsafe withUnsafePointer(to: entrance) { entrance in
        var door = unsafe StackDoor(stack: stack, entrance: entrance)
        return pipelines.run(through: &ports, to: &door, now: now)
      }
    }
  }

  var isAsked: Bool { mailbox.isAsked || pipelines.isAsked || filters.isAsked }

  mutating func attend<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) {
    if mailbox.isAsked { answer(mailbox, tap: &ports.tap, now: now) }
    if filters.isAsked { filters.attend(through: &ports, now: now) }
    guard pipelines.isAsked else { return }
    unsafe withUnsafeMutablePointer(to: &stack) { stack in
      unsafe withUnsafePointer(to: entrance) { entrance in
        var door = unsafe StackDoor(stack: stack, entrance: entrance)
        pipelines.attend(through: &ports, to: &door, now: now)
      }
    }
  }
}
