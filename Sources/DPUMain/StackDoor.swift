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
  private let neighbours: UnsafePointer<NeighbourExchange>

  /// Both pointers must outlive the door, and nobody else may use what they point at meanwhile.
  @unsafe
  init(
    stack: UnsafeMutablePointer<TCPStack>, neighbours: UnsafePointer<NeighbourExchange>
  ) {
    unsafe self.stack = unsafe stack
    unsafe self.neighbours = unsafe neighbours
  }

  mutating func receive(_ frame: borrowing Frame, now: Instant) {
    let bytes = frame.bytes
    unsafe neighbours.pointee.share(bytes)
    // What is not for the DPU after all ends here; the stack counts it.
    _ = unsafe stack.pointee.receive(bytes, now: now)
  }
}
