import DPUCore
import Testing

@testable import P4Pipelines

/// What happens to a packet between ports, shown by p4/paths.json.
struct P4SwitchTests {
  @Test(arguments: [1, 7, 64])
  func everyPathAtEveryBatchSize(batch: Int) throws {
    // Many packets of all kinds in turn: the order per port must not depend on the batch.
    var alone = try SwitchRig.paths(batch: 1)
    var together = try SwitchRig.paths(batch: batch)
    for index in 0..<400 {
      let mode = SwitchRig.Mode.allCases[(index * 7 + index / 17) % 17]
      // What goes round again overtakes what came with it, so that only copies are compared here.
      if [
        .resubmit, .cloneAndResubmit, .recirculate, .recirculateAndDrop,
        .cloneEgressAndRecirculate, .cloneEgress, .cloneEgressAndDrop,
      ].contains(mode) {
        continue
      }
      let packet = SwitchRig.packet(mode, tail: [UInt8(index & 255), UInt8(index >> 8)])
      alone.send(packet)
      together.send(packet)
    }
    same(alone.virtual.settle(), true)
    same(together.virtual.settle(), true)
    for port in 0..<8 { same(together.sent(port), alone.sent(port)) }
    same(alone.virtual.ports.used, 0)
    same(together.virtual.ports.used, 0)
  }

  @Test(arguments: [1, 5, 64])
  func everyPathLosesNoBuffer(batch: Int) throws {
    var rig = try SwitchRig.paths(batch: batch)
    for index in 0..<1700 {
      let mode = SwitchRig.Mode.allCases[index * 5 % 17]
      rig.send(
        SwitchRig.packet(mode, tail: Array(repeating: UInt8(index & 255), count: index % 99)))
    }
    same(rig.virtual.settle(), true)
    same(rig.virtual.ports.used, 0)
    same(rig.virtual.switch.isIdle, true)
    same(rig.count(.received), 1700)
    // Kinds of paths are equally frequent; see the program for what each yields.
    same(rig.count(.clonedAtIngress), 5 * 100)
    same(rig.count(.cloneSessionUnknown), 100)
    same(rig.count(.resubmitted), 200)
    same(rig.count(.recirculated), 200)
    same(rig.count(.clonedAtEgress), 300)
    same(rig.count(.multicastCopies), 4 * 300)
  }

  @Test func aClonesMetadataIsThatOfItsFieldList() throws {
    var rig = try SwitchRig.paths()
    rig.send(SwitchRig.packet(.cloneKeeping))
    same(rig.virtual.settle(), true)
    let clone = PathRecord.all(of: rig.sent(3)[0])
    // Only egress has seen it, and the packet as it came in.
    same(
      clone,
      [
        PathRecord(
          at: 2, instance: 1, ingressPort: 0, egressPort: 3, egressSpec: 0, length: 5, kept: 0xaa,
          lost: 0, rid: 0, timed: 0, group: 0)
      ])
  }

  @Test func aSessionWithGroupAndPort() throws {
    var rig = try SwitchRig.paths()
    try rig.control { try $0.setSession(5, CloneSession(port: 9, group: 1)) }
    rig.send(SwitchRig.packet(.clone))
    same(rig.virtual.settle(), true)
    // Copies first; the clone itself goes on with the replication id of the last of them.
    same(PathRecord.all(of: rig.sent(1)[0])[0].rid, 7)
    same(PathRecord.all(of: rig.sent(9)[0])[0].rid, 8)
    same(PathRecord.all(of: rig.sent(9)[0])[0].instance, 1)
    same(rig.sent(2).count, 2)
    same(rig.virtual.ports.used, 0)
  }

  @Test func aSessionMayCutItsClones() throws {
    var rig = try SwitchRig.paths()
    try rig.control { try $0.setSession(5, CloneSession(port: 3, truncation: 22)) }
    for mode in [SwitchRig.Mode.clone, .cloneEgress, .cloneAndDrop] {
      rig.send(SwitchRig.packet(mode, tail: Array(repeating: 7, count: 100)))
    }
    same(rig.virtual.settle(), true)
    same(rig.sent(3).map(\.count), [22, 22, 22])
    same(rig.sent(2).map(\.count), [138, 138])
    same(rig.count(.truncated), 3)
  }

  @Test func sessionsComeAndGo() throws {
    var rig = try SwitchRig.paths()
    try rig.control { try $0.deleteSession(5) }
    rig.send(SwitchRig.packet(.clone))
    same(rig.virtual.settle(), true)
    same(rig.sent(3).count, 0)
    same(rig.sent(2).count, 1)
    same(rig.count(.cloneSessionUnknown), 1)
  }

  @Test func anUnknownGroupSwallowsThePacket() throws {
    var rig = try SwitchRig.paths()
    try rig.control { try $0.destroyGroup(1) }
    rig.send(SwitchRig.packet(.multicast))
    rig.send(SwitchRig.packet(.cloneToGroup))
    same(rig.virtual.settle(), true)
    same(rig.count(.multicastGroupUnknown), 2)
    same(rig.sent(2).count, 1)
    same(rig.virtual.ports.used, 0)
  }

  @Test func aGroupLargerThanABank() throws {
    var rig = try SwitchRig.paths()
    try rig.control { try $0.updateNode(0, ports: Array(0..<500)) }
    rig.send(SwitchRig.packet(.forward))
    rig.send(SwitchRig.packet(.multicast, tail: [1, 2, 3]))
    rig.send(SwitchRig.packet(.forward))
    same(rig.virtual.settle(), true)
    same(rig.count(.multicastCopies), 501)
    for port in 0..<500 where port != 2 {
      same(rig.sent(port).count, 1)
      same(PathRecord.all(of: rig.sent(port)[0])[0].egressPort, port)
      same(Array(rig.sent(port)[0].suffix(3)), [1, 2, 3])
    }
    same(rig.sent(2).map { $0[0] }, [0, 4, 4, 0])
    same(rig.virtual.ports.used, 0)
  }

  @Test func portsThatDoNotExist() throws {
    var options = SwitchOptions()
    options.portCount = 2
    var rig = try SwitchRig.paths(options: options)
    rig.send(SwitchRig.packet(.forward))
    rig.send(SwitchRig.packet(.multicast))
    rig.send(SwitchRig.packet(.clone))
    rig.send(SwitchRig.packet(.cloneEgress))
    same(rig.virtual.settle(), true)
    same(rig.sent(1).count, 1)
    same(rig.count(.droppedNoSuchPort), 1 + 2 + 2 + 1)
    same(rig.virtual.ports.used, 0)
  }

  @Test func whatWaitsIsBounded() throws {
    var options = SwitchOptions()
    options.recirculating = 4
    var rig = try SwitchRig.paths(options: options)
    for _ in 0..<10 { rig.send(SwitchRig.packet(.resubmit)) }
    for _ in 0..<10 { rig.send(SwitchRig.packet(.recirculate)) }
    same(rig.virtual.settle(), true)
    same(rig.count(.droppedRecirculationFull), 16)
    same(rig.sent(2).count, 4)
    same(rig.virtual.ports.used, 0)
  }

  @Test func egressClonesThatFindNoPlace() throws {
    var options = SwitchOptions()
    options.held = 3
    var rig = try SwitchRig.paths(options: options)
    for _ in 0..<10 { rig.send(SwitchRig.packet(.cloneEgress)) }
    for _ in 0..<10 { rig.send(SwitchRig.packet(.cloneEgressAndDrop)) }
    same(rig.virtual.settle(), true)
    same(rig.sent(2).count, 10)
    same(rig.sent(3).count, 3)
    same(rig.count(.droppedHeldFull), 17)
    same(rig.virtual.ports.used, 0)
  }

  @Test func withoutBuffersCopiesAreLost() throws {
    var rig = try SwitchRig.paths(buffers: 3)
    rig.send(SwitchRig.packet(.multicast))
    rig.send(SwitchRig.packet(.multicast))
    rig.send(SwitchRig.packet(.multicast))
    same(rig.virtual.settle(), true)
    // The first copy finds no buffer; then originals come home and serve for others.
    same(rig.count(.droppedNoBuffer) > 0, true)
    same(rig.count(.sent) + rig.count(.droppedNoBuffer), 9)
    same(rig.virtual.ports.used, 0)
    rig.send(SwitchRig.packet(.forward))
    same(rig.virtual.settle(), true)
    same(rig.virtual.ports.used, 0)
  }

  @Test func copiesUseTheRoomBeforeThem() throws {
    // Buffers hold 64 bytes after their start; headers grow by 18 bytes in ingress and egress of
    // each of up to two passes.
    var rig = try SwitchRig.paths(buffers: 64, packetBytes: 64)
    let tail = Array(repeating: UInt8(9), count: 62)
    rig.send(SwitchRig.packet(.forward, tail: tail))
    rig.send(SwitchRig.packet(.recirculate, tail: tail))
    rig.send(SwitchRig.packet(.clone, tail: tail))
    same(rig.virtual.settle(), true)
    same(rig.sent(2).map(\.count), [100, 100, 136])
    same(rig.sent(3).map(\.count), [82])
    for packet in rig.sent(2) + rig.sent(3) { same(Array(packet.suffix(62)), tail) }
    same(rig.virtual.ports.used, 0)
  }

  @Test(arguments: [(0, 0), (17, 18), (18, 18), (36, 0), (0, 36), (35, 0)])
  func aPacketThatOutgrowsItsBuffer(headroom: Int, tailroom: Int) throws {
    let program = try Corpus.load("p4/paths.json")
    var pipeline = try P4Switch(try Compiler.compile(program), program: program)
    let packet = SwitchRig.packet(.forward, tail: Array(0..<50))
    var memory = SingleBuffer(packet, headroom: headroom, tailroom: tailroom)
    same(pipeline.receive(memory.allocate()!, port: 1, now: .zero), true)
    same(pipeline.run(into: &memory, now: .zero), false)
    let fits = headroom + tailroom >= 36
    same(memory.sent.count, fits ? 1 : 0)
    same(pipeline.counters[.droppedTooLarge], fits ? 0 : 1)
    same(memory.isHome, true)
    for sent in memory.sent {
      same(sent.count, 88)
      same(Array(sent.suffix(50)), Array(0..<50))
    }
  }

  @Test func arrivalsAreBoundedAndTheCallerKeepsTheBuffer() throws {
    var rig = try SwitchRig.paths()
    var taken = 0
    while let buffer = rig.virtual.ports.buffer(holding: SwitchRig.packet(.forward)) {
      guard rig.virtual.switch.receive(buffer, port: 1, now: rig.virtual.now) else {
        rig.virtual.ports.recycle(buffer)
        break
      }
      taken += 1
    }
    same(taken, SwitchLimits.arrivals)
    same(rig.virtual.switch.arrivalRoom, 0)
    same(rig.count(.droppedArrivalsFull), 1)
    same(rig.virtual.settle(), true)
    same(rig.sent(2).count, taken)
    same(rig.virtual.ports.used, 0)
  }

  @Test func drainingFinishesWhatItCan() throws {
    var rig = try SwitchRig.paths()
    try rig.control { try $0.setQueueRate(port: 2, packetsPerSecond: 1) }
    let now = rig.virtual.now
    for mode in SwitchRig.Mode.allCases {
      let buffer = rig.virtual.ports.buffer(holding: SwitchRig.packet(mode))!
      same(rig.virtual.switch.receive(buffer, port: 1, now: now), true)
    }
    rig.virtual.switch.drain(into: &rig.virtual.ports, now: now)
    same(rig.virtual.switch.isIdle, true)
    same(rig.virtual.ports.used, 0)
    same(rig.count(.droppedAtSwap), 0)
    var normal = try SwitchRig.paths()
    for mode in SwitchRig.Mode.allCases { normal.send(SwitchRig.packet(mode)) }
    same(normal.virtual.settle(), true)
    same(rig.sent(2).count, normal.sent(2).count)
    same(rig.sent(3).count, normal.sent(3).count)
  }
}

/// Queues with a rate, in virtual time.
struct SwitchQueueTests {
  @Test(arguments: [1, 64])
  func packetsLeaveAtTheRateAndKnowThatTheyWaited(batch: Int) throws {
    var rig = try SwitchRig.paths(batch: batch)
    try rig.control { try $0.setQueueRate(port: 2, packetsPerSecond: 1000) }
    let start = rig.virtual.now
    for index in 0..<10 {
      let buffer = rig.virtual.ports.buffer(
        holding: SwitchRig.packet(.forward, tail: [UInt8(index)]))!
      _ = rig.virtual.switch.receive(buffer, port: 1, now: start)
    }
    _ = rig.virtual.switch.run(into: &rig.virtual.ports, now: start)
    same(rig.sent(2).count, 1)
    for step in 1..<10 {
      let at = start + .milliseconds(UInt64(step))
      same(rig.virtual.switch.nextDeadline, at)
      _ = rig.virtual.switch.run(into: &rig.virtual.ports, now: at + .nanoseconds(1))
      same(rig.sent(2).count, step + 1)
    }
    same(rig.virtual.switch.nextDeadline, nil)
    same(rig.sent(2).map { $0.last! }, Array(0..<10))
    same(rig.virtual.ports.used, 0)
  }

  @Test func aFullQueueDropsItsTail() throws {
    var rig = try SwitchRig.paths()
    try rig.control {
      try $0.setQueueRate(port: 2, packetsPerSecond: 1000)
      try $0.setQueueDepth(port: 2, 3)
    }
    for index in 0..<10 { rig.send(SwitchRig.packet(.multicast, tail: [UInt8(index)])) }
    same(rig.virtual.settle(), true)
    // One passes, three wait; other ports do not care.
    same(rig.sent(2).map { $0.last! }, [0, 1, 2, 3])
    same(rig.sent(1).count, 10)
    same(rig.sent(3).count, 10)
    same(rig.count(.droppedQueueFull), 6)
    same(rig.virtual.switch.queueDrops(port: 2), 6)
    same(rig.virtual.ports.used, 0)
  }

  @Test func allKindsOfPacketsMayWait() throws {
    var limited = try SwitchRig.paths()
    try limited.control { try $0.setQueueRate(port: nil, packetsPerSecond: 1000) }
    var free = try SwitchRig.paths()
    for round in 0..<3 {
      for mode in SwitchRig.Mode.allCases {
        limited.send(SwitchRig.packet(mode, tail: [UInt8(round)]))
        free.send(SwitchRig.packet(mode, tail: [UInt8(round)]))
      }
    }
    same(limited.virtual.settle(), true)
    same(free.virtual.settle(), true)
    func sorted(_ packets: [[UInt8]]) -> [[UInt8]] {
      packets.sorted { $0.lexicographicallyPrecedes($1) }
    }
    for port in 0..<4 { same(sorted(limited.sent(port)), sorted(free.sent(port))) }
    same(limited.virtual.ports.used, 0)
  }
}
