package import DPUCore
package import Frames
import P4Pipelines
package import PollLoop

// What the control thread asks for, done between two turns of the poll loop.
extension PipelineStage {
  /// Whether the control thread waits for `attend`. Once per turn.
  @inline(__always)
  package var isAsked: Bool { mailbox.isAsked }

  /// Does what was asked. Not part of a turn: batches of writes count references, and reading
  /// entries allocates.
  @inline(never)
  package mutating func attend<Device: FrameDevice & ~Copyable, Inlet: StackInlet & ~Copyable>(
    through ports: inout Ports<Device>, to inlet: inout Inlet, now: Instant
  ) {
    guard mailbox.isAsked else { return }
    mailbox.answer { exchange in
      exchange.count = 0
      exchange.previous = nil
      switch exchange.question {
      case .nothing: break
      case .install(let slot, let new):
        exchange.previous = install(new, in: slot, through: &ports, to: &inlet, now: now)
        exchange.isLoaded = new != nil
      case .apply(let slot, let batches): apply(slot, batches, &exchange, now: now)
      case .packetsOut(let slot, let port, let count):
        letIn(slot, port, count, &exchange, through: &ports, now: now)
      case .digests(let slot, let limit): takeDigests(slot, limit, &exchange)
      case .idle(let slot, let limit): takeIdle(slot, limit, &exchange, now: now)
      case .logs(let slot, let limit): takeLogs(slot, limit, &exchange)
      case .tableStatistics(let slot, let table):
        guard let handle = loaded(slot, &exchange) else { break }
        (exchange.hits, exchange.misses) =
          unsafe handle.pointer.pointee.p4.statistics(table: table)
      }
    }
  }

  private func loaded(_ slot: Int, _ exchange: inout PipelineExchange) -> PipelineHandle? {
    let handle = handle(slot)
    exchange.isLoaded = handle != nil
    return handle
  }

  private func apply(
    _ slot: Int, _ batches: UInt, _ exchange: inout PipelineExchange, now: Instant
  ) {
    guard let handle = loaded(slot, &exchange),
      let address = unsafe UnsafeRawPointer(bitPattern: batches)
    else { return }
    // The control thread holds the list until it has the answer.
    let list = unsafe Unmanaged<BatchList>.fromOpaque(address).takeUnretainedValue()
    for batch in list.batches { unsafe handle.pointer.pointee.p4.apply(batch, now: now) }
  }

  private mutating func letIn<Device: FrameDevice & ~Copyable>(
    _ slot: Int, _ port: Int, _ packets: Int, _ exchange: inout PipelineExchange,
    through ports: inout Ports<Device>, now: Instant
  ) {
    guard let handle = loaded(slot, &exchange) else { return }
    var start = 0
    var taken = 0
    for packet in 0..<packets {
      let length = exchange.lengths[packet]
      let bytes = exchange.bytes.bytes(start..<start + length)
      start += length
      guard var frame = ports.device.allocate() else {
        count(.droppedPacketOutNoBuffer, in: slot)
        continue
      }
      guard length <= Int(frame.handle.room) else {
        count(.droppedPacketOutTooLong, in: slot)
        ports.drop(frame)
        continue
      }
      var room = frame.room
      room.copy(bytes, at: 0)
      frame.resize(to: length)
      let buffer = PacketBuffer(frame.release())
      if unsafe handle.pointer.pointee.p4.receive(buffer, port: port, now: now) {
        count(.packetsOut, in: slot)
        taken += 1
        noteArrivals()
      } else {
        count(.droppedPacketOutFull, in: slot)
        ports.drop(Frame(handle: FrameHandle(buffer)))
      }
    }
    exchange.count = taken
  }

  private func takeDigests(_ slot: Int, _ limit: Int, _ exchange: inout PipelineExchange) {
    guard let handle = loaded(slot, &exchange) else { return }
    var used = 0
    var count = 0
    // One more must fit whatever its length: digests are shorter than packets.
    while count < min(limit, PipelineLimits.recordsPerAnswer),
      used + PipelineLimits.packetBytes <= exchange.bytes.count
    {
      let isTaken = unsafe handle.pointer.pointee.p4.takeDigest { header, bytes in
        var target = exchange.bytes.mutableBytes(used..<used + bytes.byteCount)
        target.copy(bytes, at: 0)
        exchange.digests[count] = header
        used += bytes.byteCount
      }
      if !isTaken { break }
      count += 1
    }
    exchange.count = count
  }

  private func takeIdle(
    _ slot: Int, _ limit: Int, _ exchange: inout PipelineExchange, now: Instant
  ) {
    guard let handle = loaded(slot, &exchange) else { return }
    while exchange.count < min(limit, PipelineLimits.recordsPerAnswer),
      let record = unsafe handle.pointer.pointee.p4.takeIdle(now: now)
    {
      exchange.idle[exchange.count] = record
      exchange.count += 1
    }
  }

  private func takeLogs(_ slot: Int, _ limit: Int, _ exchange: inout PipelineExchange) {
    guard let handle = loaded(slot, &exchange) else { return }
    while exchange.count < min(limit, PipelineLimits.recordsPerAnswer),
      let record = unsafe handle.pointer.pointee.p4.takeLog()
    {
      exchange.logs[exchange.count] = record
      exchange.count += 1
    }
  }
}
