package import DPUCore
package import Frames
import P4Pipelines
package import PollLoop

/// A worker's P4 pipelines, between its ports, the stack and the control plane.
///
/// Frames are taken in (`receive`, `take`), and what waits is run once per turn (`run`): so the
/// frames of all ports of a turn make one batch. What the control thread asks is done between two
/// turns (`attend`), because it counts references and may allocate.
package struct PipelineStage: ~Copyable {
  private var slots = PerSlot<PipelineHandle?>(repeating: nil)
  /// By port of the device, and for the stack: the slot of its pipeline, -1 for none.
  private var slotOfPort = InlineArray<4, Int8>(repeating: -1)
  private var slotOfStack: Int8 = -1
  /// Packets have come in since the last run.
  private var hasArrivals = false
  private let counters: PerSlot<CounterWriter<PipelineCounter>>
  package let mailbox: PipelineMailbox
  package let packetsIn: PacketInRing

  package init() {
    PipelineLimits.check()
    mailbox = PipelineMailbox(PipelineExchange())
    packetsIn = PacketInRing()
    counters = PerSlot { _ in Counters<PipelineCounter>().writer }
  }

  /// Of each slot, for statistics; may be kept by another thread.
  package var readers: [CounterReader] { counters.indices.map { counters[$0].reader } }

  // MARK: Packets in

  /// Whether frames from this port of the device go through a pipeline.
  @inline(__always)
  package func takes(from port: Int) -> Bool { slotOfPort[port] >= 0 }

  /// Whether what the stack sends goes through a pipeline.
  @inline(__always)
  package var takesFromStack: Bool { slotOfStack >= 0 }

  /// Whether `takeFromStack` has room for a frame; when not, the stack shall try again later.
  @inline(__always)
  package var hasRoomForStack: Bool {
    guard let handle = slots[Int(slotOfStack)] else { return false }
    return unsafe handle.pointer.pointee.p4.arrivalRoom > 0
  }

  /// Takes all frames of `burst`. Only when `takes(from: port)`.
  package mutating func receive<Device: FrameDevice & ~Copyable>(
    _ burst: inout Burst, from port: Int, through ports: inout Ports<Device>, now: Instant
  ) {
    let slot = Int(slotOfPort[port])
    guard let handle = slots[slot],
      let number = unsafe handle.pointer.pointee.ports.number(ofDevice: port)
    else { return }
    counters[slot].add(burst.count, to: .framesIn)
    hasArrivals = true
    while let frame = burst.takeFirst() {
      let buffer = PacketBuffer(frame.release())
      if unsafe !handle.pointer.pointee.p4.receive(buffer, port: number, now: now) {
        counters[slot].increment(.droppedArrivalsFull)
        ports.drop(Frame(handle: FrameHandle(buffer)))
      }
    }
  }

  /// Takes a frame that the stack sends. Only when `takesFromStack` and `hasRoomForStack`.
  package mutating func takeFromStack(_ frame: consuming Frame, now: Instant) {
    let buffer = PacketBuffer(frame.release())
    var isTaken = false
    if let handle = slots[Int(slotOfStack)],
      let number = unsafe handle.pointer.pointee.ports.stack
    {
      isTaken = unsafe handle.pointer.pointee.p4.receive(buffer, port: number, now: now)
    }
    invariant(isTaken, "the stack sent to a pipeline that had no room")
    counters[Int(slotOfStack)].increment(.framesFromStack)
    hasArrivals = true
  }

  // MARK: Packets out

  /// Runs what waits; true when there was something.
  package mutating func run<Device: FrameDevice & ~Copyable, Inlet: StackInlet & ~Copyable>(
    through ports: inout Ports<Device>, to inlet: inout Inlet, now: Instant
  ) -> Bool {
    var worked = hasArrivals
    hasArrivals = false
    unsafe withUnsafeMutablePointer(to: &ports) { ports in
      unsafe withUnsafeMutablePointer(to: &inlet) { inlet in
        for slot in slots.indices {
          guard let handle = slots[slot] else { continue }
          var sink = unsafe sink(handle, slot, ports, inlet, now)
          if unsafe handle.pointer.pointee.p4.run(into: &sink, now: now) { worked = true }
        }
      }
    }
    return worked
  }

  /// When `run` has something to do even if no frame arrives; nil when nothing waits for time.
  package var nextDeadline: Instant? {
    var next: Instant?
    for slot in slots.indices {
      guard let handle = slots[slot],
        let deadline = unsafe handle.pointer.pointee.p4.nextDeadline
      else { continue }
      next = next.map { min($0, deadline) } ?? deadline
    }
    return next
  }

  /// Both pointers are valid while the sink lives, and used by nobody else.
  @unsafe @inline(__always)
  private func sink<Device: FrameDevice & ~Copyable, Inlet: StackInlet & ~Copyable>(
    _ handle: PipelineHandle, _ slot: Int, _ ports: UnsafeMutablePointer<Ports<Device>>,
    _ inlet: UnsafeMutablePointer<Inlet>, _ now: Instant
  ) -> PipelineSink<Device, Inlet> {
    unsafe PipelineSink(
      ports: ports, inlet: inlet, map: &handle.pointer.pointee.ports, packetsIn: packetsIn,
      counters: counters[slot], slot: slot, now: now)
  }

  // MARK: Programs

  /// Takes `new` in place of what is in the slot. What still waits in the old program is brought on
  /// its way through it first, so no packet is lost or sees two programs.
  package mutating func install<Device: FrameDevice & ~Copyable, Inlet: StackInlet & ~Copyable>(
    _ new: PipelineHandle?, in slot: Int, through ports: inout Ports<Device>,
    to inlet: inout Inlet, now: Instant
  ) -> PipelineHandle? {
    let old = slots[slot]
    if let old {
      unsafe withUnsafeMutablePointer(to: &ports) { ports in
        unsafe withUnsafeMutablePointer(to: &inlet) { inlet in
          var sink = unsafe sink(old, slot, ports, inlet, now)
          unsafe old.pointer.pointee.p4.drain(into: &sink, now: now)
        }
      }
    }
    place(new, in: slot)
    return old
  }

  /// At the start, before the worker runs.
  package mutating func place(_ new: PipelineHandle?, in slot: Int) {
    slots[slot] = new
    for port in slotOfPort.indices where slotOfPort[port] == slot { slotOfPort[port] = -1 }
    if slotOfStack == slot { slotOfStack = -1 }
    guard let new else { return }
    for port in slotOfPort.indices
    where unsafe new.pointer.pointee.ports.number(ofDevice: port) != nil {
      slotOfPort[port] = Int8(slot)
    }
    if unsafe new.pointer.pointee.ports.stack != nil { slotOfStack = Int8(slot) }
  }

  func handle(_ slot: Int) -> PipelineHandle? { slots[slot] }
  mutating func noteArrivals() { hasArrivals = true }
  func count(_ key: PipelineCounter, in slot: Int) { counters[slot].increment(key) }
}
