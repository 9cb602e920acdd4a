import DPUCore

// Lanes are read and written through the machine's pointers: one decision per packet and field
// through a checked accessor would cost more than the decision.

extension P4Switch {
  /// Fills bank 0 with waiting packets, those on another pass first; returns how many.
  mutating func takeBatch() -> Int {
    var count = 0
    let repeated = min(again.count, Machine.width)
    var listed: UInt64 = 0
    while count < repeated {
      let packet = again.pop()
      begin(packet, at: count, ingressPort: 0)
      if packet.fieldList >= 0 {
        slots[count].fieldList = packet.fieldList
        restores[count] = again.fieldsOfLast
        listed |= 1 << UInt64(count)
      }
      count += 1
    }
    let fresh = min(arrivals.count, Machine.width - count)
    if fresh > 0 {
      counters.add(fresh, to: .received)
      for _ in 0..<fresh {
        let packet = arrivals.pop()
        begin(packet, at: count, ingressPort: Int(packet.port))
        count += 1
      }
    }
    // Afterwards: the machine clears metadata for all packets of a batch at once.
    while listed != 0 {
      let packet = listed.trailingZeroBitCount
      listed &= listed &- 1
      machine.restoreFields(
        Int(slots[packet].fieldList), bank: 0, packet: packet, from: restores[packet])
    }
    return count
  }

  @inline(__always)
  private mutating func begin(_ packet: WaitingPacket, at place: Int, ingressPort: Int) {
    let count = Int(packet.buffer.length)
    machine.begin(
      bank: 0, packet: place, bytes: packet.buffer.address, count: count,
      ingressPort: ingressPort, instanceType: Int(packet.instanceType), packetLength: count,
      ingressTimestamp: packet.microseconds)
    slots[place] = PacketSlot(buffer: packet.buffer, origin: packet.port, ownsBuffer: true)
  }

  /// Everything that happens to the first `count` packets of bank 0, and to their copies.
  mutating func runIngress<Sink: PacketSink & ~Copyable>(_ count: Int, into sink: inout Sink) {
    let all: UInt64 = count == Machine.width ? ~0 : (1 << UInt64(count)) &- 1
    if Sink.isObserving { noteArrivals(all, &sink) }
    parse(bank: 0, all, &sink)
    let errors = machine.parserErrors(bank: 0, all)
    if errors != 0 { countErrors(errors, &sink) }
    let endless = machine.requested(.stepLimit, bank: 0) & all
    if endless != 0 { lose(endless, bank: 0, .droppedParserLimit, &sink) }
    var alive = all & ~endless
    run(.verify, bank: 0, alive, &sink)
    let wrong = machine.checksumErrors(bank: 0, alive)
    if wrong != 0 { counters.add(wrong.nonzeroBitCount, to: .checksumErrors) }
    run(.ingress, bank: 0, alive, &sink)

    let lost = endless | lostPackets(alive, bank: 0, &sink)
    finished0 = lost
    alive = all & ~lost
    let asked =
      machine.requested(.clone, bank: 0) | machine.requested(.digest, bank: 0)
      | machine.requested(.resubmit, bank: 0)
    let groups = groupMask(alive)
    if asked & alive == 0 && groups == 0 {
      stageUnicast(alive, &sink)
    } else {
      decide(alive, groups: groups, into: &sink)
    }
    flush(into: &sink)
    recycleFinished(into: &sink)
  }

  private mutating func noteArrivals<Sink: PacketSink & ~Copyable>(
    _ mask: UInt64, _ sink: inout Sink
  ) {
    for packet in 0..<mask.nonzeroBitCount {
      let type = Int(machine.standard(.instanceType, bank: 0, packet: packet))
      let port = Int(slots[packet].origin)
      sink.note(.ingress(instanceType: type, port: port), bank: 0, packet: packet)
    }
  }

  private mutating func countErrors<Sink: PacketSink & ~Copyable>(
    _ errors: UInt64, _ sink: inout Sink
  ) {
    counters.add(errors.nonzeroBitCount, to: .parserErrors)
    if !Sink.isObserving { return }
    for packet in 0..<Machine.width where errors >> UInt64(packet) & 1 != 0 {
      let error = Int(machine.standard(.parserError, bank: 0, packet: packet))
      sink.note(.parserError(error), bank: 0, packet: packet)
    }
  }

  /// Packets that a loop or a failed assertion has stopped, counted. (BMv2 ends altogether when an
  /// assertion fails.)
  mutating func lostPackets<Sink: PacketSink & ~Copyable>(
    _ mask: UInt64, bank: Int, _ sink: inout Sink
  ) -> UInt64 {
    let endless = machine.requested(.stepLimit, bank: bank) & mask
    let failed = machine.requested(.failedAssertion, bank: bank) & mask & ~endless
    if endless | failed == 0 { return 0 }
    lose(endless, bank: bank, .droppedStepLimit, &sink)
    lose(failed, bank: bank, .droppedAssertion, &sink)
    return endless | failed
  }

  /// The packets that ask for multicast.
  private mutating func groupMask(_ mask: UInt64) -> UInt64 {
    guard let lane = unsafe machine.lane(of: .multicastGroup, bank: 0) else { return 0 }
    return those(of: mask) { unsafe lane[$0] != 0 }
  }

  /// A batch in which nobody asks for a copy: each packet goes to its port or nowhere.
  private mutating func stageUnicast<Sink: PacketSink & ~Copyable>(
    _ mask: UInt64, _ sink: inout Sink
  ) {
    let spec = unsafe machine.lane(of: .egressSpec, bank: 0)
    var dropped: UInt64 = 0
    var unknown: UInt64 = 0
    var bits = mask
    while bits != 0 {
      let packet = bits.trailingZeroBitCount
      let bit = bits & (0 &- bits)
      bits &= bits &- 1
      let port = unsafe spec == nil ? 0 : Int(truncatingIfNeeded: spec![packet])
      if port == SwitchLimits.dropPort {
        dropped |= bit
      } else if port >= options.portCount {
        unknown |= bit
      } else {
        slots[packet].port = UInt16(truncatingIfNeeded: port)
        order[ordered] = UInt8(truncatingIfNeeded: packet)
        ordered += 1
      }
    }
    staged0 = mask & ~dropped & ~unknown
    lose(dropped, bank: 0, .droppedByIngress, &sink)
    lose(unknown, bank: 0, .droppedNoSuchPort, &sink)
    finished0 |= dropped | unknown
  }

  /// The end of ingress, packet by packet, in BMv2's order: clone, digest, resubmit, multicast,
  /// drop, unicast.
  private mutating func decide<Sink: PacketSink & ~Copyable>(
    _ mask: UInt64, groups: UInt64, into sink: inout Sink
  ) {
    let cloned = machine.requested(.clone, bank: 0)
    machine.clearRequests(.clone, bank: 0, mask)
    let learned = machine.requested(.digest, bank: 0)
    let resubmitted = machine.requested(.resubmit, bank: 0)
    let spec = unsafe machine.lane(of: .egressSpec, bank: 0)
    var bits = mask
    while bits != 0 {
      let packet = bits.trailingZeroBitCount
      let bit = bits & (0 &- bits)
      bits &= bits &- 1
      let port = unsafe spec == nil ? 0 : Int(truncatingIfNeeded: spec![packet])
      let isDropped = port == SwitchLimits.dropPort
      if cloned & bit != 0 {
        // A dropped packet has no more use for its bytes: its clone may have them.
        let goesOn = !isDropped || (resubmitted | groups) & bit != 0
        cloneIngress(packet, mayTakeBuffer: !goesOn, into: &sink)
      }
      if learned & bit != 0 { learn(packet, &sink) }
      if resubmitted & bit != 0 {
        resubmit(packet, &sink)
      } else if groups & bit != 0 {
        replicate(packet, into: &sink)
      } else if isDropped {
        lose(packet, bank: 0, .droppedByIngress, &sink)
        finished0 |= bit
      } else if port >= options.portCount {
        lose(packet, bank: 0, .droppedNoSuchPort, &sink)
        finished0 |= bit
      } else if egressKeepsOrder {
        stageMoved(packet, port: port, into: &sink)
      } else {
        slots[packet].port = UInt16(truncatingIfNeeded: port)
        stage(packet, bank: 0)
      }
    }
  }

  private mutating func learn<Sink: PacketSink & ~Copyable>(_ packet: Int, _ sink: inout Sink) {
    guard let list = machine.requestList(.digest, bank: 0, packet: packet) else { return }
    if Sink.isObserving { sink.note(.digest(list: list), bank: 0, packet: packet) }
    guard let address = digests.next else {
      counters.increment(.digestsLost)
      return
    }
    machine.readDigest(list, bank: 0, packet: packet, to: address)
    let header = DigestHeader(
      list: list, microseconds: microseconds, byteCount: machine.digestBytes(list))
    switch digests.commit(header) {
    case .told: counters.increment(.digests)
    case .suppressed: counters.increment(.digestsSuppressed)
    case .full: counters.increment(.digestsLost)
    }
  }

  /// The packet as it came in begins ingress again, with the metadata of its field list.
  private mutating func resubmit<Sink: PacketSink & ~Copyable>(
    _ packet: Int, _ sink: inout Sink
  ) {
    guard again.room > 0 else {
      lose(packet, bank: 0, .droppedRecirculationFull, &sink)
      finished0 |= 1 << UInt64(packet)
      return
    }
    let list = machine.fieldList(.resubmit, bank: 0, packet: packet)
    if list >= 0 { machine.saveFields(list, bank: 0, packet: packet, to: again.nextFields) }
    again.push(
      WaitingPacket(
        buffer: slots[packet].buffer, port: slots[packet].origin,
        instanceType: InstanceType.resubmitted, fieldList: Int16(list)))
    counters.increment(.resubmitted)
    if Sink.isObserving { sink.note(.resubmitted, bank: 0, packet: packet) }
  }

  mutating func recycleFinished<Sink: PacketSink & ~Copyable>(into sink: inout Sink) {
    var bits = finished0
    finished0 = 0
    while bits != 0 {
      let packet = bits.trailingZeroBitCount
      bits &= bits &- 1
      if slots[packet].ownsBuffer { sink.recycle(slots[packet].buffer) }
    }
  }
}
