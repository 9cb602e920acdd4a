import ControlPlane
package import DPUCore
package import Frames
import HBPFBridge
package import PollLoop

/// Frames on their way through the FPGA. It keeps their order, so the oldest is always the next to
/// come back.
extension FilterStage {
  /// Takes the frames of a burst in, and gives the device what it has room for.
  mutating func hold<Device: FrameDevice & ~Copyable>(
    _ burst: inout Burst, _ port: Int, through ports: inout Ports<Device>, now: Instant
  ) {
    var passed = Burst()
    while let frame = burst.takeFirst() {
      if frame.count > HBPFLimits.stateOffset, let handle = handle(port) {
        count(.tooLong, at: port)
        unanswered(frame, handle, port, into: &passed, through: &ports)
      } else if held.isFull {
        count(.droppedDeviceFull, at: port)
        ports.drop(frame)
      } else {
        held.append(frame)
      }
    }
    // Whether passed or dropped for its length, such a frame waits for nobody.
    while let frame = passed.takeFirst() { burst.append(frame) }
    submit(now: now)
  }

  private mutating func submit(now: Instant) {
    guard let device, !isDeviceDead else { return }
    while held.waits,
      unsafe device.driver.pointee.submit(
        held.nextBytes, tag: UInt64(held.submitted), now: now.nanoseconds)
    {
      held.noteSubmitted()
      count(.framesToDevice, at: devicePort)
    }
    unsafe device.driver.pointee.ring()
  }

  /// Takes frames whose verdict is there, as many as fit an empty `burst`: those that may go on.
  /// Returns the port they came from; nil when nothing was done. Once per turn, and again as long
  /// as the burst comes back full.
  package mutating func collect<Device: FrameDevice & ~Copyable>(
    _ burst: inout Burst, through ports: inout Ports<Device>, now: Instant
  ) -> Int? {
    guard !held.isEmpty, let device, let handle = handle(devicePort) else { return nil }
    if isDeviceDead { return collectDead(handle, &burst, through: &ports, now: now) }
    var found = 0
    while !burst.isFull, held.inDevice > 0, let completion = unsafe device.driver.pointee.poll() {
      found += 1
      guard var frame = held.takeFirst() else { break }
      count(.framesFromDevice, at: devicePort)
      if unsafe handle.pointer.pointee.machine.writesPacket {
        var room = frame.room
        var bytes = room._mutatingExtracting(0..<completion.byteCount)
        unsafe device.driver.pointee.read(completion, into: &bytes)
      }
      unsafe device.driver.pointee.release(completion)
      if completion.verdict == nil { count(.faulted, at: devicePort) }
      finish(
        frame, completion.verdict ?? .aborted, to: nil, handle, devicePort, into: &burst,
        through: &ports, isCounted: completion.verdict == nil)
    }
    if found > 0 {
      unsafe device.driver.pointee.acknowledge()
      submit(now: now)
    } else if unsafe device.driver.pointee.isOverdue(
      now: now.nanoseconds, limit: device.timeoutNanoseconds)
    {
      count(.deviceTimeouts, at: devicePort)
      isDeviceDead = true
      held.takeBack()
    }
    return devicePort
  }

  /// Frames that the device had, or would have had, by the port's policy.
  private mutating func collectDead<Device: FrameDevice & ~Copyable>(
    _ handle: FilterHandle, _ burst: inout Burst, through ports: inout Ports<Device>,
    now: Instant
  ) -> Int {
    while !burst.isFull, let frame = held.takeFirst() {
      switch unsafe handle.pointer.pointee.policy.deadDevice {
      case .software:
        count(.softwareDeadDevice, at: devicePort)
        run(frame, handle, devicePort, into: &burst, through: &ports, now: now)
      case .pass:
        count(.passedDeadDevice, at: devicePort)
        burst.append(frame)
      case .drop:
        count(.droppedDeadDevice, at: devicePort)
        ports.drop(frame)
      }
    }
    return devicePort
  }

  /// Gives all held frames back, at the end of the worker or of a filter.
  package mutating func dropHeld<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>
  ) {
    while let frame = held.takeFirst() {
      count(.droppedUnloaded, at: devicePort)
      ports.drop(frame)
    }
  }
}
