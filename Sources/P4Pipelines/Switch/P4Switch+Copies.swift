import DPUCore

// Making copies in bank 1. A copy looks at the bytes of the packet it was made from until it
// leaves; it gets a buffer of its own when it is written. So a copy that egress drops costs no
// buffer, and what it looks at must be given back after it: `finished0`.

extension P4Switch {
  /// Puts a packet that is ready for egress at the end of the order.
  @inline(__always)
  mutating func stage(_ packet: Int, bank: Int) {
    order[ordered] = UInt8(truncatingIfNeeded: bank &* Machine.width &+ packet)
    ordered &+= 1
    let bit: UInt64 = 1 &<< UInt64(truncatingIfNeeded: packet)
    if bank == 0 { staged0 |= bit } else { staged1 |= bit }
  }

  /// A free place in bank 1, after running what stands there when it is full.
  mutating func place<Sink: PacketSink & ~Copyable>(into sink: inout Sink) -> Int {
    if copies == Machine.width { flush(into: &sink) }
    copies &+= 1
    return copies &- 1
  }

  /// Copies of egress clones wait in held places. When those run out in the middle of a batch,
  /// bank 1 serves the clones first.
  mutating func makeRoomForClones<Sink: PacketSink & ~Copyable>(into sink: inout Sink) {
    if late.count == 0 || held.freeCount >= 2 * Machine.width { return }
    if copies > 0 { flush(into: &sink) }
    _ = releaseLate(into: &sink)
  }

  // MARK: Originals

  /// Moves a packet of bank 0 to bank 1, for egress programs that must see all packets in order.
  mutating func stageMoved<Sink: PacketSink & ~Copyable>(
    _ packet: Int, port: Int, into sink: inout Sink
  ) {
    let place = place(into: &sink)
    machine.copyState(fromBank: 0, packet: packet, toBank: 1, packet: place)
    slots[Machine.width + place] = slots[packet]
    slots[Machine.width + place].port = UInt16(truncatingIfNeeded: port)
    stage(place, bank: 1)
  }

  // MARK: Multicast

  /// One copy for each port of each node of the packet's group. The packet itself ends.
  mutating func replicate<Sink: PacketSink & ~Copyable>(_ packet: Int, into sink: inout Sink) {
    let group = Int(truncatingIfNeeded: machine.standard(.multicastGroup, bank: 0, packet: packet))
    finished0 |= 1 << UInt64(packet)
    if Sink.isObserving { sink.note(.multicast(group: group), bank: 0, packet: packet) }
    guard var cursor = multicast.start(group) else {
      counters.increment(.multicastGroupUnknown)
      return
    }
    var next = multicast.next(&cursor)
    while let replica = next {
      next = multicast.next(&cursor)
      counters.increment(.multicastCopies)
      guard replica.port < options.portCount else {
        lose(packet, bank: 0, .droppedNoSuchPort, &sink)
        continue
      }
      makeRoomForClones(into: &sink)
      let place = place(into: &sink)
      machine.copyState(fromBank: 0, packet: packet, toBank: 1, packet: place)
      var slot = slots[packet]
      slot.port = UInt16(truncatingIfNeeded: replica.port)
      slot.replicationID = Int32(replica.replicationID)
      slot.instanceType = InstanceType.replicated
      // The last one may have the packet's bytes: nobody looks at them after it.
      slot.ownsBuffer = next == nil && slots[packet].ownsBuffer
      if slot.ownsBuffer { slots[packet].ownsBuffer = false }
      slots[Machine.width + place] = slot
      voided |= 1 << UInt64(place)
      stage(place, bank: 1)
    }
  }

  // MARK: Clones made by ingress

  /// The packet as it came in, parsed again, with the metadata of its field list as it is now.
  @inline(__always)
  mutating func cloneIngress<Sink: PacketSink & ~Copyable>(
    _ packet: Int, mayTakeBuffer: Bool, into sink: inout Sink
  ) {
    let number = machine.requestValue(.clone, bank: 0, packet: packet)
    guard let session = sessions[number] else {
      counters.increment(.cloneSessionUnknown)
      return
    }
    let list = machine.fieldList(.clone, bank: 0, packet: packet)
    counters.increment(.clonedAtIngress)
    if Sink.isObserving { sink.note(.cloned(session: number), bank: 0, packet: packet) }
    var replicationID: Int32 = -1
    if session.group != nil {
      replicationID = cloneToGroup(packet, list: list, session, into: &sink)
    }
    if let port = session.port {
      // BMv2 sends the same packet on after the copies: the last replication id stays.
      cloneIngress(
        packet, list: list, to: Int(port), replicationID: replicationID,
        truncation: session.truncation, takesBuffer: mayTakeBuffer, into: &sink)
    }
  }

  /// One clone for each port of the session's group; returns the last one's replication id.
  @inline(never)
  private mutating func cloneToGroup<Sink: PacketSink & ~Copyable>(
    _ packet: Int, list: Int, _ session: CloneSession, into sink: inout Sink
  ) -> Int32 {
    guard let group = session.group, var cursor = multicast.start(Int(group)) else {
      counters.increment(.multicastGroupUnknown)
      return -1
    }
    var replicationID: Int32 = -1
    while let replica = multicast.next(&cursor) {
      counters.increment(.multicastCopies)
      replicationID = Int32(replica.replicationID)
      cloneIngress(
        packet, list: list, to: replica.port, replicationID: replicationID,
        truncation: session.truncation, takesBuffer: false, into: &sink)
    }
    return replicationID
  }

  @inline(__always)
  private mutating func cloneIngress<Sink: PacketSink & ~Copyable>(
    _ packet: Int, list: Int, to port: Int, replicationID: Int32, truncation: UInt32,
    takesBuffer: Bool, into sink: inout Sink
  ) {
    guard port < options.portCount else {
      lose(packet, bank: 0, .droppedNoSuchPort, &sink)
      return
    }
    makeRoomForClones(into: &sink)
    let place = place(into: &sink)
    let bit: UInt64 = 1 &<< UInt64(truncatingIfNeeded: place)
    // What it takes from there is taken when all clones are parsed: bank 0 stays as it is until
    // then.
    unsafe sources.base[place] = UInt8(truncatingIfNeeded: packet)
    if list >= 0 {
      if listed == 0 { commonList = list } else if list != commonList { commonList = -1 }
      listed |= bit
    }
    slots[Machine.width &+ place] = PacketSlot(
      buffer: slots[packet].buffer, port: UInt16(truncatingIfNeeded: port),
      origin: slots[packet].origin,
      replicationID: replicationID, instanceType: InstanceType.ingressClone,
      ownsBuffer: takesBuffer, fieldList: Int16(truncatingIfNeeded: list),
      truncation: truncation)
    if takesBuffer { slots[packet].ownsBuffer = false }
    unparsed |= bit
    voided |= bit
    stage(place, bank: 1)
  }

  // MARK: Clones made by egress

  /// Headers as they are at the end of egress, metadata of the field list only. The clone waits
  /// until the batch at hand is through, as if it stood at the end of a queue.
  mutating func cloneEgress<Sink: PacketSink & ~Copyable>(
    _ packet: Int, bank: Int, mayTakeBuffer: Bool, into sink: inout Sink
  ) {
    let number = machine.requestValue(.clone, bank: bank, packet: packet)
    guard let session = sessions[number] else {
      counters.increment(.cloneSessionUnknown)
      return
    }
    let slot = slots[bank * Machine.width + packet]
    let list = machine.fieldList(.clone, bank: bank, packet: packet)
    counters.increment(.clonedAtEgress)
    if Sink.isObserving { sink.note(.cloned(session: number), bank: bank, packet: packet) }
    guard held.freeCount > 0 else {
      lose(packet, bank: bank, .droppedHeldFull, &sink)
      return
    }
    var buffer = slot.buffer
    if mayTakeBuffer && slot.ownsBuffer {
      slots[bank * Machine.width + packet].ownsBuffer = false
    } else {
      guard let copy = copyBytes(of: packet, bank: bank, into: &sink) else { return }
      buffer = copy
    }
    let place = held.take(
      HeldPacket(
        buffer: buffer, origin: slot.origin, fieldList: Int16(list),
        truncation: session.truncation, session: session))!
    if list >= 0 {
      machine.saveFields(list, bank: bank, packet: packet, to: held.fields(of: place))
    }
    machine.saveState(bank: bank, packet: packet, to: held.state(of: place))
    late.push(place)
  }

  /// Lets the clones that egress has made so far go through egress themselves; those that they
  /// make wait for the next call. Returns how many copies there were.
  mutating func releaseLate<Sink: PacketSink & ~Copyable>(into sink: inout Sink) -> Int {
    let waiting = late.count
    var count = 0
    for _ in 0..<waiting {
      guard let place = late.pop() else { break }
      let packet = held[place]
      var replicationID: Int32 = -1
      var isTaken = false
      if let group = packet.session.group {
        if var cursor = multicast.start(Int(group)) {
          while let replica = multicast.next(&cursor) {
            counters.increment(.multicastCopies)
            count += 1
            replicationID = Int32(replica.replicationID)
            stageHeld(
              place, port: replica.port, replicationID: replicationID, takesBuffer: false,
              into: &sink)
          }
        } else {
          counters.increment(.multicastGroupUnknown)
        }
      }
      if let port = packet.session.port {
        count += 1
        isTaken = stageHeld(
          place, port: Int(port), replicationID: replicationID, takesBuffer: true, into: &sink)
      }
      if isTaken {
        held.give(place)
      } else {
        // Copies may still look at the bytes.
        flush(into: &sink)
        sink.recycle(packet.buffer)
        held.give(place)
      }
    }
    flush(into: &sink)
    return count
  }

  /// One copy of a clone made by egress. True when it has taken the clone's buffer.
  @discardableResult
  private mutating func stageHeld<Sink: PacketSink & ~Copyable>(
    _ heldPlace: Int, port: Int, replicationID: Int32, takesBuffer: Bool,
    into sink: inout Sink
  ) -> Bool {
    guard port < options.portCount else {
      counters.increment(.droppedNoSuchPort)
      return false
    }
    let packet = held[heldPlace]
    let place = place(into: &sink)
    let bit: UInt64 = 1 << UInt64(place)
    machine.restoreState(bank: 1, packet: place, from: held.state(of: heldPlace))
    machine.setBytes(
      bank: 1, packet: place, address: packet.buffer.address, count: Int(packet.buffer.length))
    machine.resetMetadata(bank: 1, bit)
    if packet.fieldList >= 0 {
      machine.restoreFields(
        Int(packet.fieldList), bank: 1, packet: place, from: held.fields(of: heldPlace))
    }
    slots[Machine.width + place] = PacketSlot(
      buffer: packet.buffer, port: UInt16(truncatingIfNeeded: port), origin: packet.origin,
      replicationID: replicationID, instanceType: InstanceType.egressClone,
      ownsBuffer: takesBuffer, truncation: packet.truncation)
    voided |= bit
    stage(place, bank: 1)
    return takesBuffer
  }
}
