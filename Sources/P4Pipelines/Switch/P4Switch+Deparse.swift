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
    let special0 = recirculated0 | cut0, special1 = recirculated1 | cut1
    machine.layOut(bank: 0, write0)
    machine.layOut(bank: 1, write1)
    var sent = 0
    var sentBytes = 0
    for index in 0..<ordered {
      let place = Int(order[index])
      let isFirst = place < Machine.width
      let bit: UInt64 = 1 &<< UInt64(truncatingIfNeeded: place)
      guard (isFirst ? write0 : write1) & bit != 0 else {
        giveBack(place, into: &sink)
        continue
      }
      guard deparse(place, into: &sink) else { continue }
      if (isFirst ? special0 : special1) & bit != 0 || slots[place].truncation != 0 {
        let isCut = (isFirst ? cut0 : cut1) & bit != 0
        if isCut || slots[place].truncation != 0 { truncate(place, isCut: isCut) }
        if (isFirst ? recirculated0 : recirculated1) & bit != 0 {
          recirculate(place, into: &sink)
          continue
        }
      }
      let length = Int(slots[place].buffer.length)
      sent &+= 1
      sentBytes &+= length
      let port = Int(slots[place].port)
      if Sink.isObserving {
        sink.note(
          .sent(port: port, length: length), bank: place / Machine.width,
          packet: place % Machine.width)
      }
      sink.send(slots[place].buffer, to: port)
    }
    counters.add(sent, to: .sent)
    counters.add(sentBytes, to: .sentBytes)
  }

  @inline(__always)
  mutating func giveBack<Sink: PacketSink & ~Copyable>(_ place: Int, into sink: inout Sink) {
    if slots[place].ownsBuffer { sink.recycle(slots[place].buffer) }
  }

  /// Gives a packet its headers as egress left them, in its slot; a copy gets a buffer of its own.
  /// False: it did not fit or there was no buffer; that is counted and its buffer given back.
  @inline(never)
  private mutating func deparse<Sink: PacketSink & ~Copyable>(
    _ place: Int, into sink: inout Sink
  ) -> Bool {
    let layout = machine.layouts[place]
    let headers = layout.map { Int($0.length) } ?? headerLength(place)
    let payloadStart = machine.layouts.payloadOffset(place)
    if slots[place].ownsBuffer {
      let delta = headers &- payloadStart
      if delta != 0 {
        let headroom = Int(slots[place].buffer.headroom)
        if delta <= headroom {
          // Taken from the headroom.
          slots[place].buffer.address =
            UInt(bitPattern: Int(bitPattern: slots[place].buffer.address) &- delta)
          slots[place].buffer.headroom = UInt16(clamping: headroom &- delta)
          slots[place].buffer.length =
            UInt32(truncatingIfNeeded: Int(slots[place].buffer.length) &+ delta)
        } else if !Self.moveBack(&slots[place].buffer, by: delta, payloadStart: payloadStart) {
          lose(place, .droppedTooLarge, &sink)
          sink.recycle(slots[place].buffer)
          return false
        }
      }
    } else {
      // Its bytes are still another packet's.
      let payload = max(0, Int(slots[place].buffer.length) &- payloadStart)
      let from = slots[place].buffer.address &+ UInt(bitPattern: payloadStart)
      guard let own = allocate(headers &+ payload, for: place, into: &sink) else { return false }
      slots[place].buffer = own
      if payload > 0 {
        copyMemory(to: own.address &+ UInt(bitPattern: headers), from: from, count: payload)
      }
    }
    let address = slots[place].buffer.address
    if let layout {
      machine.layouts.write(layout, place, to: address)
    } else {
      writeHeaders(place, to: address)
    }
    return true
  }

  /// Headers with a varbit, or one of very many sets of headers in the batch.
  @inline(never)
  private mutating func headerLength(_ place: Int) -> Int {
    machine.headerLength(bank: place / Machine.width, packet: place % Machine.width)
  }

  @inline(never)
  private mutating func writeHeaders(_ place: Int, to address: UInt) {
    machine.writeHeaders(
      bank: place / Machine.width, packet: place % Machine.width, to: address)
  }

  private mutating func lose<Sink: PacketSink & ~Copyable>(
    _ place: Int, _ reason: SwitchCounter, _ sink: inout Sink
  ) {
    lose(place % Machine.width, bank: place / Machine.width, reason, &sink)
  }

  /// Makes room for headers that are `delta` bytes longer than before where the headroom does not
  /// suffice: the payload moves back. False: there is no room for that either.
  @inline(never)
  private static func moveBack(
    _ buffer: inout PacketBuffer, by delta: Int, payloadStart: Int
  ) -> Bool {
    let headroom = Int(buffer.headroom)
    let shift = delta - headroom
    guard shift <= Int(buffer.tailroom) else { return false }
    let payload = Int(buffer.length) - payloadStart
    let from = buffer.address + UInt(payloadStart)
    if payload > 0 { copyMemory(to: from + UInt(shift), from: from, count: payload) }
    buffer.address -= UInt(headroom)
    buffer.headroom = 0
    buffer.tailroom -= UInt16(shift)
    buffer.length = UInt32(Int(buffer.length) + delta)
    return true
  }

  /// A new buffer for `count` bytes; nil, and counted, when there is none or it is too small.
  @inline(__always)
  private mutating func allocate<Sink: PacketSink & ~Copyable>(
    _ count: Int, for place: Int, into sink: inout Sink
  ) -> PacketBuffer? {
    guard var buffer = sink.allocate() else {
      lose(place, .droppedNoBuffer, &sink)
      return nil
    }
    let missing = count - Int(buffer.tailroom)
    if missing > 0 {
      guard missing <= Int(buffer.headroom) else {
        lose(place, .droppedTooLarge, &sink)
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
    let place = bank * Machine.width + packet
    let original = slots[place].buffer
    guard let buffer = allocate(Int(original.length), for: place, into: &sink) else { return nil }
    if original.length > 0 {
      copyMemory(to: buffer.address, from: original.address, count: Int(original.length))
    }
    return buffer
  }

  /// Cuts a packet to what the program or its clone session lets through, whichever is shorter.
  @inline(never)
  private mutating func truncate(_ place: Int, isCut: Bool) {
    var limit = UInt32.max
    if isCut {
      let asked = machine.requestValue(
        .truncate, bank: place / Machine.width, packet: place % Machine.width)
      limit = UInt32(clamping: asked)
    }
    let session = slots[place].truncation
    if session != 0 { limit = min(limit, session) }
    let buffer = slots[place].buffer
    guard limit < buffer.length else { return }
    slots[place].buffer.tailroom = UInt16(
      clamping: Int(buffer.tailroom) + Int(buffer.length - limit))
    slots[place].buffer.length = limit
    counters.increment(.truncated)
  }

  /// The packet as it leaves the deparser begins ingress again.
  @inline(__always)
  private mutating func recirculate<Sink: PacketSink & ~Copyable>(
    _ place: Int, into sink: inout Sink
  ) {
    let bank = place / Machine.width
    let packet = place % Machine.width
    guard again.room > 0 else {
      lose(place, .droppedRecirculationFull, &sink)
      sink.recycle(slots[place].buffer)
      return
    }
    let list = machine.fieldList(.recirculate, bank: bank, packet: packet)
    if list >= 0 { machine.saveFields(list, bank: bank, packet: packet, to: again.nextFields) }
    again.push(
      WaitingPacket(
        buffer: slots[place].buffer, port: slots[place].origin,
        instanceType: InstanceType.recirculated,
        fieldList: Int16(truncatingIfNeeded: list)))
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
