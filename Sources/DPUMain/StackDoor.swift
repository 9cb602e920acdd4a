import DPUCore
import Frames
import PipelineHost
import TCPLite

/// The stack's way in for frames that a pipeline sends to the stack's port.
///
/// Made for one run of the pipelines, because it points at the stage's stack.
@safe
struct StackDoor: StackInlet, ~Copyable {
  private let stack: UnsafeMutablePointer<TCPStack>
  private let entrance: UnsafePointer<StackEntrance>

  /// The pointers must outlive the door, and nobody else may use what they point at meanwhile.
  @unsafe
  init(stack: UnsafeMutablePointer<TCPStack>, entrance: UnsafePointer<StackEntrance>) {
    unsafe self.stack = unsafe stack
    unsafe self.entrance = unsafe entrance
  }

  mutating func receive(_ frame: borrowing Frame, now: Instant) {
    let bytes = frame.bytes
    if unsafe entrance.pointee.handOver.isNeeded {
      unsafe entrance.pointee.handOver.send(bytes, from: nil)
      return
    }
    unsafe entrance.pointee.neighbours.share(bytes)
    // What is not for the DPU after all ends here; the stack counts it.
    _ = unsafe stack.pointee.receive(bytes, now: now)
  }
}
