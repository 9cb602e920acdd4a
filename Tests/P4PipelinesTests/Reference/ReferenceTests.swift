import DPUCore
import P4Pipelines
import Testing

/// The compiled switch against the plain one, with entries in all tables, packet by packet.
///
/// `DPU_P4_PACKETS` and `DPU_P4_SEED` as in `SurvivalTests`.
@Suite struct ReferenceTests {
  static let packets = VectorFiles.number("DPU_P4_PACKETS") ?? 100

  @Test(arguments: VectorFiles.all)
  func doesWhatTheReferenceDoes(_ file: ProgramFile) throws {
    let compiled = try file.compiled()
    let program = compiled.program
    if SurvivalTests.Order(program).isRandom { return }
    let reference = ReferenceSwitch(program)
    let seed = SurvivalTests.seed
    var virtual = try compiled.virtual(batch: 1, ports: VirtualPorts(buffers: 2_048))
    try connect(&virtual, reference)
    try fill(&virtual, reference, seed: seed)
    var packets = RandomPackets(seed: seed &+ 1)
    var compared = 0
    for number in 0..<Self.packets {
      let bytes = packets.next()
      let port = packets.port()
      reference.microseconds = Int((virtual.now + VirtualSwitch.step).nanoseconds / 1_000)
      let expected: [(port: Int, bytes: [UInt8])]
      do throws(Unspecified) {
        expected = try reference.inject(bytes, port: port)
      } catch { continue }
      virtual.ports.forget()
      let isTaken = virtual.send(bytes, port: port)
      #expect(isTaken)
      let got = sorted(virtual.ports)
      let wanted = expected.map { ($0.port, $0.bytes) }.sorted(by: Self.precedes)
      compared += 1
      guard got.count == wanted.count, zip(got, wanted).allSatisfy({ $0 == $1 }) else {
        Issue.record(
          """
          seed \(seed), packet \(number) on port \(port): \(Text.hexadecimal(bytes).string)
          expected \(wanted.map { "\($0.0): \(Text.hexadecimal($0.1).string)" })
          got      \(got.map { "\($0.0): \(Text.hexadecimal($0.1).string)" })
          """)
        return
      }
    }
    try compareState(&virtual, reference)
  }

  private static func precedes(_ a: (Int, [UInt8]), _ b: (Int, [UInt8])) -> Bool {
    a.0 != b.0 ? a.0 < b.0 : a.1.lexicographicallyPrecedes(b.1)
  }

  private func sorted(_ ports: borrowing VirtualPorts) -> [(Int, [UInt8])] {
    var packets: [(Int, [UInt8])] = []
    for port in ports.logs.indices {
      for index in 0..<ports.logs[port].count {
        packets.append((port, Array(ports.logs[port][index])))
      }
    }
    return packets.sorted(by: Self.precedes)
  }

  /// Sessions and groups that programs of the corpus may ask for.
  private func connect(
    _ virtual: inout VirtualSwitch, _ reference: ReferenceSwitch
  ) throws {
    let batch = ControlBatch(virtual.names)
    for session in 0..<8 {
      let target = CloneSession(port: UInt16(3 + session % 2))
      try batch.setSession(session, target)
      reference.sessions[session] = target
    }
    try batch.createGroup(1)
    try batch.createNode(rid: 7, ports: [1, 4])
    try batch.createNode(rid: 9, ports: [2])
    try batch.associate(group: 1, node: 0)
    try batch.associate(group: 1, node: 1)
    reference.groups[1] = [(7, 1), (7, 4), (9, 2)]
    virtual.apply(batch)
    #expect(batch.failure == nil)
  }

  /// Looks what keys the packets make and enters some of them, with random actions.
  private func fill(
    _ virtual: inout VirtualSwitch, _ reference: ReferenceSwitch, seed: UInt64
  ) throws {
    let program = reference.program
    let scout = ReferenceSwitch(program)
    var packets = RandomPackets(seed: seed &+ 1)
    for _ in 0..<40 { _ = try? scout.inject(packets.next(), port: packets.port()) }
    var dice = SplitMix64(seed: seed &+ 2)
    for (index, table) in program.tables.enumerated()
    where !table.keys.isEmpty && table.storage == .direct && !table.areEntriesConstant {
      for priority in 1...8 {
        guard let seen = scout.seenKeys[index].randomElement(using: &dice) else { break }
        let keys = zip(table.keys, seen).map { match($0, $1, &dice) }
        let action = table.actions[dice.below(table.actions.count)]
        let arguments = program.actions[action].parameters.map {
          WideInteger(dice.below(3) == 0 ? dice.next() : UInt64(dice.below(8))).truncated(
            to: $0.width)
        }
        let batch = ControlBatch(virtual.names)
        try batch.addEntry(
          table: index, keys: keys, priority: priority, .action(action, arguments))
        virtual.apply(batch)
        if batch.failure?.reason == .exists || batch.failure?.reason == .full { continue }
        #expect(batch.failure == nil, "\(table.name.string): \(batch.failure?.reason.name ?? "")")
        reference.add(
          ReferenceSwitch.Entry(
            keys: keys, priority: priority,
            action: P4Program.ActionEntry(action: action, arguments: arguments)), to: index)
      }
    }
  }

  private func match(
    _ key: P4Program.TableKey, _ value: WideInteger, _ dice: inout SplitMix64
  ) -> P4Program.KeyMatch {
    switch key.kind {
    case .exact: return .exact(value)
    case .valid: return .valid(value != .zero)
    case .lpm:
      let length = dice.below(key.width + 1)
      return .lpm(value & (.ones(length) << (key.width - length)), length: length)
    case .ternary:
      let mask = WideInteger(magnitude: [dice.next(), dice.next()]).truncated(to: key.width)
      let wide = dice.below(2) == 0 ? mask : .ones(key.width)
      return .ternary(value & wide, mask: wide)
    case .range:
      let low = value >> dice.below(4)
      return .range(
        low,
        (value + WideInteger(dice.below(16))).truncated(to: key.width) < low
          ? value : (value + WideInteger(dice.below(16))).truncated(to: key.width))
    case .optional: return .optional(dice.below(3) == 0 ? nil : value)
    }
  }

  private func compareState(
    _ virtual: inout VirtualSwitch, _ reference: ReferenceSwitch
  ) throws {
    let outcome = try SurvivalTests.outcome(of: &virtual, reference.program)
    for (index, values) in outcome.registers.enumerated() {
      #expect(
        values == Array(reference.registers[index].prefix(values.count)),
        "register \(reference.program.registers[index].name.string)")
    }
    var counters = outcome.counters.makeIterator()
    for (index, counter) in reference.program.counters.enumerated() where counter.directTable == nil
    {
      let values = counters.next() ?? []
      #expect(
        values == Array(reference.counters[index].prefix(values.count)),
        "counter \(counter.name.string)")
    }
  }
}
