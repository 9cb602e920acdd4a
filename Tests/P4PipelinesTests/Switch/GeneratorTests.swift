import DPUCore
import Testing

@testable import P4Pipelines

/// p4/pktgen.json: packets that go round inside the switch.
struct GeneratorTests {
  /// Asks for `count` packets to port 2.
  private func start(stream: UInt8, count: UInt32) -> [UInt8] {
    var bytes: [UInt8] = [2, 0, 0, 0, 0, 0xaa, 2, 0, 0, 0, 0, 0xbb, 0x88, 0xb5]
    bytes += [1, stream, 0, 2] + [UInt8](repeating: 0, count: 12)
    for word in [count, 0, 0, 0] {
      for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: word >> UInt32(shift))) }
    }
    return bytes + (0..<32)
  }

  private func generator(_ options: SwitchOptions = SwitchOptions()) throws -> SwitchRig {
    var rig = try SwitchRig("p4/pktgen.json", options: options, buffers: 600)
    let table = rig.names.table("control_port")!
    let trust = rig.names.action("trust", of: table)!
    try rig.control {
      try $0.addEntry(
        table: table, keys: [.exact(WideInteger(1)), .ternary(.zero, mask: .zero)], priority: 1,
        .action(trust, []))
      try $0.setSession(100, CloneSession(port: 0))
    }
    return rig
  }

  @Test func aPacketThatGoesRoundForEverDoesNotKeepTheCaller() throws {
    var rig = try generator()
    let now = rig.virtual.now
    let buffer = rig.virtual.ports.buffer(holding: start(stream: 1, count: .max))!
    same(rig.virtual.switch.receive(buffer, port: 1, now: now), true)
    for step in 0..<100 {
      let before = rig.count(.recirculated)
      let isMore = rig.virtual.switch.run(
        into: &rig.virtual.ports, now: now + .microseconds(UInt64(step)), budget: 64)
      same(isMore, true)
      let passes = rig.count(.recirculated) - before
      same(passes > 0 && passes <= 64, true)
      // The seed and nothing else is out.
      same(rig.virtual.ports.used, 1)
    }
    // One packet for each pass, and a last pass still to come.
    same(rig.sent(2).count, Int(rig.count(.recirculated)) - 1)
    rig.virtual.switch.drain(into: &rig.virtual.ports, now: now)
    same(rig.count(.droppedAtSwap), 1)
    same(rig.virtual.ports.used, 0)
    same(rig.virtual.switch.isIdle, true)
  }

  private func word(_ packet: [UInt8], _ place: Int) -> UInt64 {
    packet[place..<place + 4].reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// A seed waits in the queue of its session's port, and packets are stamped as they leave.
  @Test func theRateOfTheSeedsQueuePacesTheData() throws {
    var rig = try generator()
    try rig.control {
      try $0.setSession(100, CloneSession(port: 510))
      try $0.setQueueRate(port: 510, priority: nil, packetsPerSecond: 1000)
    }
    let begin = rig.virtual.now
    let buffer = rig.virtual.ports.buffer(holding: start(stream: 1, count: 20))!
    same(rig.virtual.switch.receive(buffer, port: 1, now: begin), true)
    for step in 0..<300 {
      let now = begin + .microseconds(UInt64(100 * step))
      while rig.virtual.switch.run(into: &rig.virtual.ports, now: now) {}
    }
    let packets = rig.sent(2)
    same(packets.map { word($0, 18) }, Array(0..<20))
    let stamps = packets.map { word($0, 22) }
    same(stamps[0], (begin - .zero).microseconds)
    // The first seed finds the queue at rest, so the first two go together.
    same(zip(stamps, stamps.dropFirst()).map { $1 - $0 }, [0] + Array(repeating: 1000, count: 18))
    same(rig.virtual.ports.used, 0)
    same(rig.virtual.switch.isIdle, true)
  }

  @Test func theReceiverCountsTheTimeOnTheWay() throws {
    var rig = try generator()
    rig.send(start(stream: 3, count: 16))
    same(rig.virtual.settle(), true)
    let packets = rig.sent(2)
    same(packets.count, 16)
    let latency = rig.names.counter("latency")!
    let delays: [UInt64] = [0, 1, 2, 3, 4, 100, 127, 128, 8191, 8192, 16383, 16384, 1_000_000]
    for (packet, delay) in zip(packets, delays) {
      let arrival = Instant.zero + .microseconds(word(packet, 22) + delay)
      let buffer = rig.virtual.ports.buffer(holding: packet)!
      same(rig.virtual.switch.receive(buffer, port: 2, now: arrival), true)
      while rig.virtual.switch.run(into: &rig.virtual.ports, now: arrival) {}
    }
    let batch = try rig.control {
      for cell in 0..<16 { try $0.readCounter(latency, index: 3 * 16 + cell) }
    }
    let counts = (0..<16).map { cell -> UInt64 in
      guard case .counter(let value) = batch.result(cell) else { return .max }
      return value.packets
    }
    // 0; 1; 2-3; 4-7; ...; 64-127; 128-255; ...; 4096-8191; 8192-16383; more.
    same(counts, [1, 1, 2, 1, 0, 0, 0, 2, 1, 0, 0, 0, 0, 1, 2, 2])
  }

  @Test func streamsKeepTheirOrder() throws {
    var rig = try generator()
    let start0 = rig.virtual.now
    for stream in 0..<100 {
      let packet = start(stream: UInt8(stream), count: 20)
      let buffer = rig.virtual.ports.buffer(holding: packet)!
      same(rig.virtual.switch.receive(buffer, port: 1, now: start0), true)
    }
    var now = start0
    while rig.virtual.switch.run(into: &rig.virtual.ports, now: now) {
      now = now + .microseconds(1)
    }
    let packets = rig.sent(2)
    same(packets.count, 2000)
    var next = [Int](repeating: 0, count: 100)
    for packet in packets {
      let stream = Int(packet[15])
      same(packet.count, 62)
      same(Int(packet[20]) << 8 | Int(packet[21]), next[stream])
      next[stream] += 1
    }
    same(next, [Int](repeating: 20, count: 100))
    same(rig.virtual.ports.used, 0)
  }

  @Test func seedsForWhichThereIsNoRoomAreLostAndCounted() throws {
    var options = SwitchOptions()
    options.recirculating = 16
    var rig = try generator(options)
    for stream in 0..<64 {
      let buffer = rig.virtual.ports.buffer(
        holding: start(stream: UInt8(stream), count: 3))!
      _ = rig.virtual.switch.receive(buffer, port: 1, now: rig.virtual.now)
    }
    same(rig.virtual.settle(), true)
    same(rig.count(.droppedRecirculationFull), 48)
    same(rig.sent(2).count, 48)
    same(rig.virtual.ports.used, 0)
  }
}
