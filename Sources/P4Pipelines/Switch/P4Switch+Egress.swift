import DPUCore

// Lanes are read and written through the machine's pointers, as in ingress.

extension P4Switch {
  /// Sends what is staged in both banks through queues, egress and deparser, in order, and leaves
  /// bank 1 empty.
  mutating func flush<Sink: PacketSink & ~Copyable>(into sink: inout Sink) {
    defer {
      ordered = 0
      copies = 0
      staged0 = 0
      staged1 = 0
      unparsed = 0
      listed = 0
      voided = 0
    }
    if ordered == 0 { return }
    if staged1 != 0 { prepareCopies(&sink) }
    if staged0 != 0 { set(.instanceType, bank: 0, staged0, to: UInt64(InstanceType.normal)) }
    if queues.mayHold || isReleasing {
      enqueue(into: &sink)
    } else {
      passQueues(bank: 0, staged0)
      passQueues(bank: 1, staged1)
    }
    setPorts()
    var write0 = runEgress(bank: 0, staged0, &sink)
    var write1 = runEgress(bank: 1, staged1, &sink)
    if (machine.requested(.clone, bank: 0) & write0)
      | (machine.requested(.clone, bank: 1) & write1) != 0
    {
      cloneStaged(write0, write1, into: &sink)
    }
    write0 &= ~dropped(bank: 0, write0, &sink)
    write1 &= ~dropped(bank: 1, write1, &sink)
    if write0 != 0 { run(.update, bank: 0, write0, &sink) }
    if write1 != 0 { run(.update, bank: 1, write1, &sink) }
    finish(write0, write1, into: &sink)
  }

  /// Parses ingress clones and gives all copies the metadata that copies have.
  private mutating func prepareCopies<Sink: PacketSink & ~Copyable>(_ sink: inout Sink) {
    if unparsed != 0 {
      beginClones()
      parse(bank: 1, unparsed, &sink)
      let endless = machine.requested(.stepLimit, bank: 1) & unparsed
      if endless != 0 { loseCopies(endless, &sink) }
      machine.resetMetadata(bank: 1, unparsed)
      if listed != 0 { takeFields() }
    }
    if voided != 0 { machine.clearRequests(.all, bank: 1, voided) }
    let types = unsafe machine.lane(of: .instanceType, bank: 1)
    let replicas = unsafe machine.lane(of: .egressReplica, bank: 1)
    each(staged1) { place in
      let slot = slots[Machine.width + place]
      // What has waited in a queue has its own already.
      if slot.wasQueued { return }
      if unsafe types != nil { unsafe types![place] = UInt64(slot.instanceType) }
      if slot.replicationID >= 0, unsafe replicas != nil {
        unsafe replicas![place] = UInt64(slot.replicationID)
      }
    }
  }

  /// Takes copies that the parser could not come to an end with out of the batch.
  private mutating func loseCopies<Sink: PacketSink & ~Copyable>(
    _ endless: UInt64, _ sink: inout Sink
  ) {
    lose(endless, bank: 1, .droppedParserLimit, &sink)
    var kept = 0
    for index in 0..<ordered {
      let packet = Int(order[index]) - Machine.width
      if packet >= 0, endless >> UInt64(packet) & 1 != 0 {
        unstage(packet, bank: 1, into: &sink)
      } else {
        order[kept] = order[index]
        kept += 1
      }
    }
    ordered = kept
  }

  /// The parser sees where the packet came from outside, and no other metadata.
  private mutating func beginClones() {
    unsafe machine.beginClones(unparsed, of: sources.base)
    guard let ports = unsafe machine.lane(of: .ingressPort, bank: 1) else { return }
    each(unparsed) { unsafe ports[$0] = UInt64(slots[Machine.width + $0].origin) & 0x1ff }
  }

  /// Metadata for ingress clones, all with the same field list at once.
  private mutating func takeFields() {
    var rest = listed
    while rest != 0 {
      let list = slots[Machine.width + rest.trailingZeroBitCount].fieldList
      let same =
        commonList >= 0 ? rest : those(of: rest) { slots[Machine.width + $0].fieldList == list }
      unsafe machine.copyFields(Int(list), same, from: sources.base)
      rest &= ~same
    }
  }

  private mutating func set(_ field: StandardField, bank: Int, _ mask: UInt64, to value: UInt64) {
    guard let lane = unsafe machine.lane(of: field, bank: bank) else { return }
    each(mask) { unsafe lane[$0] = value }
  }

  private mutating func setPorts() {
    let ports0 = unsafe machine.lane(of: .egressPort, bank: 0)
    let ports1 = unsafe machine.lane(of: .egressPort, bank: 1)
    guard let ports0 = unsafe ports0, let ports1 = unsafe ports1 else { return }
    each(staged0) { unsafe ports0[$0] = UInt64(slots[$0].port) }
    each(staged1) { unsafe ports1[$0] = UInt64(slots[Machine.width + $0].port) }
  }

  /// Returns the packets that are still there afterwards.
  private mutating func runEgress<Sink: PacketSink & ~Copyable>(
    bank: Int, _ mask: UInt64, _ sink: inout Sink
  ) -> UInt64 {
    if mask == 0 { return 0 }
    if Sink.isObserving { noteEgress(bank: bank, mask, &sink) }
    machine.beginEgress(bank: bank, mask, timestamp: microseconds)
    run(.egress, bank: bank, mask, &sink)
    return mask & ~lostPackets(mask, bank: bank, &sink)
  }

  private mutating func noteEgress<Sink: PacketSink & ~Copyable>(
    bank: Int, _ mask: UInt64, _ sink: inout Sink
  ) {
    for packet in 0..<Machine.width where mask >> UInt64(packet) & 1 != 0 {
      let slot = slots[bank * Machine.width + packet]
      sink.note(
        .egress(port: Int(slot.port), instanceType: Int(slot.instanceType)), bank: bank,
        packet: packet)
    }
  }

  /// Clones for everybody who asked, in the order in which packets leave.
  private mutating func cloneStaged<Sink: PacketSink & ~Copyable>(
    _ alive0: UInt64, _ alive1: UInt64, into sink: inout Sink
  ) {
    let asked0 = machine.requested(.clone, bank: 0) & alive0
    let asked1 = machine.requested(.clone, bank: 1) & alive1
    let dropped0 = dropMask(bank: 0, asked0)
    let dropped1 = dropMask(bank: 1, asked1)
    for index in 0..<ordered {
      let place = Int(order[index])
      let packet = place & (Machine.width - 1)
      let bank = place / Machine.width
      let bit: UInt64 = 1 << UInt64(packet)
      if (bank == 0 ? asked0 : asked1) & bit == 0 { continue }
      cloneEgress(
        packet, bank: bank, mayTakeBuffer: (bank == 0 ? dropped0 : dropped1) & bit != 0,
        into: &sink)
    }
    machine.clearRequests(.clone, bank: 0, asked0)
    machine.clearRequests(.clone, bank: 1, asked1)
  }

  private mutating func dropMask(bank: Int, _ mask: UInt64) -> UInt64 {
    guard mask != 0, let spec = unsafe machine.lane(of: .egressSpec, bank: bank) else { return 0 }
    return those(of: mask) { unsafe spec[$0] == UInt64(SwitchLimits.dropPort) }
  }

  private mutating func dropped<Sink: PacketSink & ~Copyable>(
    bank: Int, _ mask: UInt64, _ sink: inout Sink
  ) -> UInt64 {
    let found = dropMask(bank: bank, mask)
    lose(found, bank: bank, .droppedByEgress, &sink)
    return found
  }
}

// MARK: Queues

extension P4Switch {
  /// No port has a rate: nobody waits, and everybody sees an empty queue.
  private mutating func passQueues(bank: Int, _ mask: UInt64) {
    if mask == 0 { return }
    set(.enqueueTimestamp, bank: bank, mask, to: microseconds)
    set(.enqueueDepth, bank: bank, mask, to: 0)
    set(.dequeueDelta, bank: bank, mask, to: 0)
    set(.dequeueDepth, bank: bank, mask, to: 0)
  }

  /// Lets each staged packet pass its queue, wait in it, or find it full.
  private mutating func enqueue<Sink: PacketSink & ~Copyable>(into sink: inout Sink) {
    var kept = 0
    for index in 0..<ordered {
      let place = Int(order[index])
      let packet = place & (Machine.width - 1)
      let bank = place / Machine.width
      let slot = slots[place]
      if slot.wasQueued {
        machine.setStandard(
          .dequeueDelta, bank: bank, packet: packet, to: microseconds &- slot.enqueued)
        machine.setStandard(
          .dequeueDepth, bank: bank, packet: packet,
          to: UInt64(queues.depth(port: Int(slot.port))))
      } else {
        let priority = machine.standard(.priority, bank: bank, packet: packet)
        guard priority < UInt64(SwitchLimits.priorities) else {
          lose(packet, bank: bank, .droppedBadPriority, &sink)
          unstage(packet, bank: bank, into: &sink)
          continue
        }
        let port = Int(slot.port)
        machine.setStandard(.enqueueTimestamp, bank: bank, packet: packet, to: microseconds)
        machine.setStandard(
          .enqueueDepth, bank: bank, packet: packet, to: UInt64(queues.depth(port: port)))
        machine.setStandard(.dequeueDelta, bank: bank, packet: packet, to: 0)
        machine.setStandard(.dequeueDepth, bank: bank, packet: packet, to: 0)
        switch queues.admit(port: port, priority: Int(priority), now: now) {
        case .pass: break
        case .full:
          lose(packet, bank: bank, .droppedQueueFull, &sink)
          unstage(packet, bank: bank, into: &sink)
          continue
        case .hold:
          hold(packet, bank: bank, priority: Int(priority), into: &sink)
          continue
        }
      }
      order[kept] = order[index]
      kept += 1
    }
    ordered = kept
  }

  /// Takes a staged packet out of the batch and ends it.
  private mutating func unstage<Sink: PacketSink & ~Copyable>(
    _ packet: Int, bank: Int, into sink: inout Sink
  ) {
    remove(packet, bank: bank)
    giveBack(bank * Machine.width + packet, into: &sink)
  }

  private mutating func remove(_ packet: Int, bank: Int) {
    let bit: UInt64 = 1 << UInt64(packet)
    if bank == 0 { staged0 &= ~bit } else { staged1 &= ~bit }
  }

  /// Takes a staged packet out of the batch and lets it wait in its queue.
  private mutating func hold<Sink: PacketSink & ~Copyable>(
    _ packet: Int, bank: Int, priority: Int, into sink: inout Sink
  ) {
    remove(packet, bank: bank)
    let place = bank * Machine.width + packet
    let slot = slots[place]
    guard held.freeCount > 0 else {
      lose(packet, bank: bank, .droppedHeldFull, &sink)
      giveBack(place, into: &sink)
      return
    }
    var buffer = slot.buffer
    if !slot.ownsBuffer {
      guard let copy = copyBytes(of: packet, bank: bank, into: &sink) else { return }
      buffer = copy
      machine.setBytes(
        bank: bank, packet: packet, address: buffer.address, count: Int(buffer.length))
    }
    let waiting = held.take(
      HeldPacket(
        buffer: buffer, port: slot.port, origin: slot.origin, instanceType: slot.instanceType,
        truncation: slot.truncation, enqueued: microseconds))!
    machine.saveState(bank: bank, packet: packet, to: held.state(of: waiting))
    queues.push(waiting, port: Int(slot.port), priority: priority)
    if Sink.isObserving { sink.note(.queued(port: Int(slot.port)), bank: bank, packet: packet) }
  }

  /// Sends on what may leave its queue by now; returns how many.
  mutating func releaseQueued<Sink: PacketSink & ~Copyable>(
    into sink: inout Sink, regardless: Bool = false
  ) -> Int {
    var count = 0
    isReleasing = true
    defer { isReleasing = false }
    while let (waiting, port) = regardless ? queues.popAny() : queues.pop(now: now) {
      let packet = held[waiting]
      let place = place(into: &sink)
      machine.restoreState(bank: 1, packet: place, from: held.state(of: waiting))
      held.give(waiting)
      slots[Machine.width + place] = PacketSlot(
        buffer: packet.buffer, port: UInt16(truncatingIfNeeded: port), origin: packet.origin,
        instanceType: packet.instanceType, ownsBuffer: true, wasQueued: true,
        truncation: packet.truncation, enqueued: packet.enqueued)
      stage(place, bank: 1)
      count += 1
    }
    flush(into: &sink)
    return count
  }
}
