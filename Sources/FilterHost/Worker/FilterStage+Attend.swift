package import DPUCore
package import Frames
import HBPFBridge
package import PollLoop

// What the control thread asks for, done between two turns of the poll loop.
extension FilterStage {
  /// Whether the control thread waits for `attend`. Once per turn.
  @inline(__always)
  package var isAsked: Bool { mailbox.isAsked }

  /// Does what was asked. Not part of a turn: a program for the device takes milliseconds.
  @inline(never)
  package mutating func attend<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) {
    guard mailbox.isAsked else { return }
    mailbox.answer { exchange in
      exchange.count = 0
      exchange.previous = nil
      exchange.fault = nil
      exchange.next = nil
      switch exchange.question {
      case .nothing: break
      case .install(let port, let new, let count):
        install(new, at: port, count, &exchange, through: &ports)
      case .entries(let port, let map, let start, let limit, let core):
        readEntries(port, map, start, limit, core, &exchange)
      case .device: describe(&exchange)
      case .resetDevice:
        resetDevice(&exchange)
        describe(&exchange)
      }
    }
  }

  private mutating func install<Device: FrameDevice & ~Copyable>(
    _ new: FilterHandle?, at port: Int, _ count: Int, _ exchange: inout FilterExchange,
    through ports: inout Ports<Device>
  ) {
    if let new, unsafe new.pointer.pointee.usesDevice {
      guard let device else {
        exchange.fault = .notAnswering
        exchange.previous = new
        return
      }
      do throws(DeviceFault) {
        // Packets that run now end with the old program; those that wait meet the new one.
        try unsafe device.driver.pointee.load(exchange.program.span.extracting(0..<count))
        for core in 0..<device.capabilities.cores {
          try unsafe device.driver.pointee.writeState(core, exchange.state.span)
        }
        isDeviceDead = false
      } catch {
        exchange.fault = error
        exchange.previous = new
        return
      }
      devicePort = port
    } else if devicePort == port {
      // What the device has of this port has no filter to come back to.
      dropHeld(through: &ports)
      try? unsafe device?.driver.pointee.reset()
      devicePort = -1
    }
    exchange.previous = replace(new, at: port)
    exchange.isLoaded = new != nil
  }

  // MARK: Maps

  private func readEntries(
    _ port: Int, _ map: Int, _ start: Int, _ limit: Int, _ core: Int,
    _ exchange: inout FilterExchange
  ) {
    exchange.isLoaded = handle(port) != nil
    guard let handle = handle(port) else { return }
    if unsafe handle.pointer.pointee.usesDevice, !isDeviceDead, !fetchState(core, &exchange) {
      return
    }
    let usesState = unsafe handle.pointer.pointee.usesDevice && !isDeviceDead
    var used = 0
    var from = start
    while exchange.count < min(limit, FilterLimits.entriesPerAnswer),
      used + FilterLimits.entryBytes <= exchange.bytes.count,
      let entry = unsafe handle.pointer.pointee.machine.mapStore.next(map, from: from)
    {
      exchange.numbers[exchange.count] = entry.number
      for byte in entry.key {
        exchange.bytes[used] = byte
        used += 1
      }
      let place = unsafe handle.pointer.pointee.machine.stateOffset(of: map, entry.number)
      for (index, byte) in entry.value.enumerated() {
        if usesState, let place {
          let at = place + index
          exchange.bytes[used] = UInt8(
            truncatingIfNeeded: exchange.state[at >> 3] >> UInt64(8 * (at & 7)))
        } else {
          exchange.bytes[used] = byte
        }
        used += 1
      }
      exchange.count += 1
      from = entry.number + 1
    }
    exchange.next = unsafe handle.pointer.pointee.machine.mapStore.next(map, from: from)?.number
  }

  /// The state of a core of the device; false when it does not answer.
  private func fetchState(_ core: Int, _ exchange: inout FilterExchange) -> Bool {
    guard let device, core < device.capabilities.cores else { return false }
    do throws(DeviceFault) {
      var words = exchange.state.mutableSpan
      try unsafe device.driver.pointee.readState(core, into: &words)
      return true
    } catch {
      exchange.fault = error
      return false
    }
  }

  // MARK: The device

  private func describe(_ exchange: inout FilterExchange) {
    exchange.isDead = isDeviceDead
    exchange.deviceCores = 0
    guard let device else { return }
    exchange.inFlight = unsafe device.driver.pointee.inFlight
    let canRun = unsafe device.driver.pointee.canRun
    exchange.isReset = isDeviceDead && !canRun
    // What has let a packet wait may let a register wait as well, and packets with it.
    guard !isDeviceDead || exchange.isReset else { return }
    do throws(DeviceFault) {
      for core in 0..<device.capabilities.cores {
        exchange.counters[core] = try unsafe device.driver.pointee.counters(core)
      }
      let refusals = try unsafe device.driver.pointee.refusals()
      exchange.refusedDescriptors = refusals.descriptors
      exchange.ignoredDoorbells = refusals.doorbells
      exchange.deviceCores = device.capabilities.cores
    } catch {
      exchange.fault = error
    }
  }

  /// A filter that uses the device must be loaded again afterwards: state and program are gone.
  private mutating func resetDevice(_ exchange: inout FilterExchange) {
    guard let device else { return }
    do throws(DeviceFault) {
      try unsafe device.driver.pointee.reset()
      try unsafe device.driver.pointee.setInstructionLimit(FilterLimits.deviceInstructions)
      held.takeBack()
      // Without a program it can do nothing: until the next load packets go by the policy.
      isDeviceDead = true
    } catch {
      exchange.fault = error
    }
  }
}
