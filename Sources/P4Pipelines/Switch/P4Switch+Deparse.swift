import DPUCore

// Bytes of packets are moved through raw addresses: the buffers belong to the sink's memory, which
// guarantees `headroom` bytes before and `tailroom` bytes after each packet, and the switch owns
// the buffers it writes to.

extension P4Switch {
  /// Sends, recirculates or gives back everything in the order, `write` naming those that egress
  /// has not dropped.
  mutating func finish<Sink: PacketSink & ~Copyable>(
    _ write0: UInt64, _ write1: UInt64, into sink: inout Sink
  ) {
    let recirculated0 = machine.requested(.recirculate, bank: 0)
    let recirculated1 = machine.requested(.recirculate, bank: 1)
    let cut0 = machine.requested(.truncate, bank: 0)
    let cut1 = machine.requested(.truncate, bank: 1)
    var sent = 0
    var sentBytes = 0
    for index in 0..<ordered {
      let place = Int(order[index])
      let packet = place & (Machine.width - 1)
      let bank = place / Machine.width
      let bit: UInt64 = 1 << UInt64(packet)
      guard (bank == 0 ? write0 : write1) & bit != 0 else {
        giveBack(place, into: &sink)
        continue
      }
      guard var buffer = deparse(packet, bank: bank, into: &sink) else { continue }
      let isCut = (bank == 0 ? cut0 : cut1) & bit != 0
      if isCut || slots[place].truncation != 0 {
        truncate(&buffer, packet, bank: bank, isCut: isCut)
      }
      if (bank == 0 ? recirculated0 : recirculated1) & bit != 0 {
        recirculate(buffer, packet, bank: bank, into: &sink)
      } else {
        sent += 1
        sentBytes += Int(buffer.length)
        if Sink.isObserving {
          let event = SwitchEvent.sent(port: Int(slots[place].port), length: Int(buffer.length))
          sink.note(event, bank: bank, packet: packet)
        }
        sink.send(buffer, to: Int(slots[place].port))
      }
    }
    counters.add(sent, to: .sent)
    counters.add(sentBytes, to: .sentBytes)
  }

  @inline(__always)
  mutating func giveBack<Sink: PacketSink & ~Copyable>(_ place: Int, into sink: inout Sink) {
    if slots[place].ownsBuffer { sink.recycle(slots[place].buffer) }
  }

  /// The packet with its headers as egress left them. nil: it did not fit or there was no buffer;
  /// that is counted and its buffer given back.
  @inline(__always)
  private mutating func deparse<Sink: PacketSink & ~Copyable>(
    _ packet: Int, bank: Int, into sink: inout Sink
  ) -> PacketBuffer? {
    let place = bank &* Machine.width &+ packet
    let headers = machine.headerLength(bank: bank, packet: packet)
    let payloadStart = machine.payloadOffset(bank: bank, packet: packet)
    let slot = slots[place]
    if slot.ownsBuffer {
      var buffer = slot.buffer
      if headers != payloadStart {
        guard resize(&buffer, by: headers - payloadStart, payloadStart: payloadStart) else {
          lose(packet, bank: bank, .droppedTooLarge, &sink)
          sink.recycle(slot.buffer)
          return nil
        }
      }
      machine.writeHeaders(bank: bank, packet: packet, to: buffer.address)
      return buffer
    }
    // A copy: its bytes are still another packet's.
    let payload = max(0, Int(slot.buffer.length) - payloadStart)
    guard let buffer = allocate(headers + payload, for: packet, bank: bank, into: &sink) else {
      return nil
    }
    machine.writeHeaders(bank: bank, packet: packet, to: buffer.address)
    if payload > 0 {
      copyMemory(
        to: buffer.address + UInt(headers), from: slot.buffer.address + UInt(payloadStart),
        count: payload)
    }
    return buffer
  }

  /// Makes room for headers that are `delta` bytes longer than before. False: there is none.
  private mutating func resize(_ buffer: inout PacketBuffer, by delta: Int, payloadStart: Int)
    -> Bool
  {
    let headroom = Int(buffer.headroom)
    if delta > headroom {
      // Not enough before the packet: the payload moves back.
      let shift = delta - headroom
      guard shift <= Int(buffer.tailroom) else { return false }
      let payload = Int(buffer.length) - payloadStart
      let from = buffer.address + UInt(payloadStart)
      if payload > 0 { copyMemory(to: from + UInt(shift), from: from, count: payload) }
      buffer.address -= UInt(headroom)
      buffer.headroom = 0
      buffer.tailroom -= UInt16(shift)
    } else {
      buffer.address = UInt(bitPattern: Int(bitPattern: buffer.address) - delta)
      buffer.headroom = UInt16(clamping: headroom - delta)
    }
    buffer.length = UInt32(Int(buffer.length) + delta)
    return true
  }

  /// A new buffer for `count` bytes; nil, and counted, when there is none or it is too small.
  private mutating func allocate<Sink: PacketSink & ~Copyable>(
    _ count: Int, for packet: Int, bank: Int, into sink: inout Sink
  ) -> PacketBuffer? {
    guard var buffer = sink.allocate() else {
      lose(packet, bank: bank, .droppedNoBuffer, &sink)
      return nil
    }
    let missing = count - Int(buffer.tailroom)
    if missing > 0 {
      guard missing <= Int(buffer.headroom) else {
        lose(packet, bank: bank, .droppedTooLarge, &sink)
        sink.recycle(buffer)
        return nil
      }
      buffer.address -= UInt(missing)
      buffer.headroom -= UInt16(missing)
      buffer.tailroom = 0
    } else {
      buffer.tailroom -= UInt16(count)
    }
    buffer.length = UInt32(count)
    return buffer
  }

  /// The bytes of a packet in a buffer of their own; nil, and counted, when there is none.
  mutating func copyBytes<Sink: PacketSink & ~Copyable>(
    of packet: Int, bank: Int, into sink: inout Sink
  ) -> PacketBuffer? {
    let original = slots[bank * Machine.width + packet].buffer
    guard let buffer = allocate(Int(original.length), for: packet, bank: bank, into: &sink)
    else { return nil }
    if original.length > 0 {
      copyMemory(to: buffer.address, from: original.address, count: Int(original.length))
    }
    return buffer
  }

  /// Cuts a packet to what the program or its clone session lets through, whichever is shorter.
  private mutating func truncate(
    _ buffer: inout PacketBuffer, _ packet: Int, bank: Int, isCut: Bool
  ) {
    var limit = UInt32.max
    if isCut {
      let asked = machine.requestValue(.truncate, bank: bank, packet: packet)
      limit = UInt32(clamping: asked)
    }
    let session = slots[bank * Machine.width + packet].truncation
    if session != 0 { limit = min(limit, session) }
    guard limit < buffer.length else { return }
    buffer.tailroom = UInt16(clamping: Int(buffer.tailroom) + Int(buffer.length - limit))
    buffer.length = limit
    counters.increment(.truncated)
  }

  /// The packet as it leaves the deparser begins ingress again.
  private mutating func recirculate<Sink: PacketSink & ~Copyable>(
    _ buffer: PacketBuffer, _ packet: Int, bank: Int, into sink: inout Sink
  ) {
    guard again.room > 0 else {
      lose(packet, bank: bank, .droppedRecirculationFull, &sink)
      sink.recycle(buffer)
      return
    }
    let list = machine.requestList(.recirculate, bank: bank, packet: packet) ?? -1
    if list >= 0 { machine.saveFields(list, bank: bank, packet: packet, to: again.nextFields) }
    again.push(
      WaitingPacket(
        buffer: buffer, port: slots[bank * Machine.width + packet].origin,
        instanceType: InstanceType.recirculated, fieldList: Int16(list)))
    counters.increment(.recirculated)
    if Sink.isObserving { sink.note(.recirculated, bank: bank, packet: packet) }
  }
}

/// Overlapping regions are fine. Most packets are short, so the call's own cost counts: nothing
/// but the library's copy.
@inline(__always)
private func copyMemory(to target: UInt, from source: UInt, count: Int) {
  unsafe UnsafeMutableRawPointer(bitPattern: target)!.copyMemory(
    from: UnsafeRawPointer(bitPattern: source)!, byteCount: count)
}
