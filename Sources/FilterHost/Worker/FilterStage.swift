import ControlPlane
package import DPUCore
package import Frames
import HBPFBridge
package import PollLoop

/// A worker's eBPF filters, in front of everything else that frames from its ports meet.
///
/// In software a burst is filtered where it stands. With the FPGA, frames wait here until their
/// verdict is there (`collect`, once per turn). Programs are swapped between two turns (`attend`).
package struct FilterStage: ~Copyable {
  private var slots = PerPort<FilterHandle?>(repeating: nil)
  private var counters: PerPort<CounterWriter<FilterCounter>>
  package let mailbox: FilterMailbox
  var held: HeldFrames
  let device: FilterDevice?
  /// The port whose filter runs in the device, -1 for none.
  var devicePort = -1
  var isDeviceDead = false

  /// `device`: of the first worker only.
  package init(device: FilterDevice?) {
    counters = PerPort { _ in Counters<FilterCounter>().writer }
    mailbox = FilterMailbox(FilterExchange())
    held = HeldFrames()
    self.device = device
  }

  /// Of each port, for statistics; may be kept by another thread.
  package var readers: [CounterReader] { counters.indices.map { counters[$0].reader } }

  /// Whether frames from this port go through a filter.
  @inline(__always)
  package func takes(from port: Int) -> Bool { slots[port] != nil }

  /// Whether frames wait for the device.
  @inline(__always)
  package var isHolding: Bool { !held.isEmpty }

  /// At the start, before the worker runs.
  package mutating func place(_ new: FilterHandle?, at port: Int) { slots[port] = new }

  /// The filter of the port runs in the device, which has its program. At the start, as `place`.
  package mutating func useDevice(for port: Int) { devicePort = port }

  func handle(_ port: Int) -> FilterHandle? { slots[port] }
  func count(_ key: FilterCounter, at port: Int) { counters[port].increment(key) }

  // MARK: Frames

  /// Filters all frames of `burst`; those that may go on stay in it. Only when `takes(from: port)`.
  package mutating func filter<Device: FrameDevice & ~Copyable>(
    _ burst: inout Burst, from port: Int, through ports: inout Ports<Device>, now: Instant
  ) {
    guard let handle = slots[port] else { return }
    counters[port].add(burst.count, to: .framesIn)
    if unsafe handle.pointer.pointee.usesDevice {
      hold(&burst, port, through: &ports, now: now)
      return
    }
    var passed = Burst()
    while let frame = burst.takeFirst() {
      run(frame, handle, port, into: &passed, through: &ports, now: now)
    }
    // One by one, because a burst is a kibibyte and mostly empty.
    while let frame = passed.takeFirst() { burst.append(frame) }
  }

  /// Lets software decide about a frame.
  mutating func run<Device: FrameDevice & ~Copyable>(
    _ given: consuming Frame, _ handle: FilterHandle, _ port: Int, into passed: inout Burst,
    through ports: inout Ports<Device>, now: Instant
  ) {
    var frame = given
    let length = frame.count
    guard length <= HBPFLimits.stateOffset else {
      count(.tooLong, at: port)
      return unanswered(frame, handle, port, into: &passed, through: &ports)
    }
    unsafe handle.pointer.pointee.machine.load(frame.bytes)
    let answer = unsafe handle.pointer.pointee.machine.run(length: length, now: now.nanoseconds)
    if unsafe handle.pointer.pointee.machine.writesPacket {
      var room = frame.room
      unsafe handle.pointer.pointee.machine.store(length, into: &room)
    }
    if answer.fault != nil { count(.faulted, at: port) }
    finish(
      frame, answer.verdict, to: answer.port, handle, port, into: &passed, through: &ports,
      isCounted: answer.fault != nil)
  }

  /// Does what a verdict says. `isCounted`: why there is none has been counted.
  func finish<Device: FrameDevice & ~Copyable>(
    _ frame: consuming Frame, _ verdict: Verdict, to target: UInt32?, _ handle: FilterHandle,
    _ port: Int, into passed: inout Burst, through ports: inout Ports<Device>, isCounted: Bool
  ) {
    switch verdict {
    case .pass:
      count(.passed, at: port)
      passed.append(frame)
    case .drop:
      count(.droppedByVerdict, at: port)
      ports.drop(frame)
    case .transmit:
      count(.transmitted, at: port)
      ports.send(frame, to: port)
    case .redirect:
      guard let target, target < UInt32(ports.count) else {
        count(.droppedNoPort, at: port)
        return ports.drop(frame)
      }
      count(.redirected, at: port)
      ports.send(frame, to: Int(target))
    case .aborted:
      if !isCounted { count(.aborted, at: port) }
      unanswered(frame, handle, port, into: &passed, through: &ports)
    }
  }

  /// By the port's policy for packets about which the filter has nothing to say.
  func unanswered<Device: FrameDevice & ~Copyable>(
    _ frame: consuming Frame, _ handle: FilterHandle, _ port: Int, into passed: inout Burst,
    through ports: inout Ports<Device>
  ) {
    if unsafe handle.pointer.pointee.policy.aborted == .pass {
      count(.passedUnanswered, at: port)
      passed.append(frame)
    } else {
      count(.droppedUnanswered, at: port)
      ports.drop(frame)
    }
  }

  /// The place of a port's filter takes another one.
  mutating func replace(_ new: FilterHandle?, at port: Int) -> FilterHandle? {
    let old = slots[port]
    slots[port] = new
    return old
  }
}
