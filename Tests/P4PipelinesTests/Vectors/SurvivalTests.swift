import DPUCore
import P4Pipelines
import Testing

/// Every program of the corpus survives any packet, gives every buffer back, and does the same
/// whether packets come one by one or in batches.
///
/// `DPU_P4_PACKETS` sets the packets per program for a long run (300 without it), `DPU_P4_SEED`
/// what they are made of.
@Suite struct SurvivalTests {
  static let packets = VectorFiles.number("DPU_P4_PACKETS") ?? 300
  static let seed = UInt64(VectorFiles.number("DPU_P4_SEED") ?? 1)

  @Test(arguments: VectorFiles.all)
  func survivesAnyPacket(_ file: ProgramFile) throws {
    let compiled = try file.compiled()
    let alone = try Self.run(compiled, batch: 1)
    for batch in [64, 5 + Int(Self.seed % 50)] {
      let together = try Self.run(compiled, batch: batch)
      Self.compare(alone, together, compiled.program, "seed \(Self.seed), batch \(batch)")
    }
  }

  /// What a run has left behind.
  struct Outcome {
    var logs: [VirtualPorts.PortLog]
    var registers: [[WideInteger]]
    var counters: [[CounterValue]]
    /// Packets went round and round until they were taken out.
    var isRestless: Bool
  }

  private static func run(_ compiled: CompiledProgram, batch: Int) throws -> Outcome {
    var virtual = try compiled.virtual(batch: batch, ports: VirtualPorts(buffers: 4_096))
    virtual.patience = 50
    var packets = RandomPackets(seed: seed)
    for _ in 0..<Self.packets {
      // A program may send packets in circles: they are taken out after a while.
      if !virtual.send(packets.next(), port: packets.port()) { virtual.drain() }
    }
    if !virtual.settle() { virtual.drain() }
    virtual.drain()
    let used = virtual.ports.used
    #expect(used == 0, "seed \(seed), batch \(batch): buffers are missing")
    return try outcome(of: &virtual, compiled.program)
  }

  static func outcome(
    of virtual: inout VirtualSwitch, _ program: P4Program
  ) throws -> Outcome {
    let batch = ControlBatch(virtual.names)
    var registers: [Int] = []
    for (index, register) in program.registers.enumerated() {
      registers.append(try batch.readRegister(index, range: 0..<min(register.size, 256)))
    }
    var counters: [[Int]] = []
    for (index, counter) in program.counters.enumerated() where counter.directTable == nil {
      counters.append(
        try (0..<min(counter.size, 256)).map { try batch.readCounter(index, index: $0) })
    }
    virtual.apply(batch)
    return Outcome(
      logs: virtual.ports.logs, registers: registers.map { batch.values($0) },
      counters: counters.map { places in
        places.map { place in
          if case .counter(let value) = batch.result(place) { value } else { CounterValue() }
        }
      }, isRestless: virtual.isRestless)
  }

  private static func compare(
    _ alone: Outcome, _ together: Outcome, _ program: P4Program, _ what: String
  ) {
    // Packets that go round overtake each other differently when they come in batches, as they
    // do in BMv2; and random numbers are dealt in another order.
    let order = Order(program)
    if order.isRandom || order.sharesRegister { return }
    // Where packets were taken out in mid-circle, how far they had come depends on the batch.
    if alone.isRestless || together.isRestless { return }
    for port in alone.logs.indices {
      let first = alone.logs[port]
      let second = together.logs[port]
      if !order.isKept {
        let sorted = [first, second].map { log in
          (0..<log.count).map { Array(log[$0]) }.sorted { $0.lexicographicallyPrecedes($1) }
        }
        #expect(sorted[0] == sorted[1], "\(what), port \(port)")
        continue
      }
      #expect(first.count == second.count, "\(what), port \(port)")
      for index in 0..<min(first.count, second.count) where first[index] != second[index] {
        Issue.record("\(what), port \(port), packet \(index): \(first[index]) \(second[index])")
        break
      }
    }
    #expect(alone.registers == together.registers, "\(what): registers")
    #expect(alone.counters == together.counters, "\(what): counters")
  }

  /// Whether a program keeps the order of packets, and whether it draws random numbers.
  struct Order {
    var isKept = true
    var isRandom = false
    /// Ingress and egress use the same register: a whole batch passes ingress before the first
    /// packet reaches egress, as they may in BMv2, where each has a thread of its own.
    var sharesRegister = false

    init(_ program: P4Program) {
      let ingress = Self.registers(of: program, isIngress: true)
      sharesRegister = !ingress.isDisjoint(with: Self.registers(of: program, isIngress: false))
      for action in program.actions {
        for primitive in action.primitives {
          switch primitive {
          case .resubmit, .recirculate, .cloneIngress, .cloneEgress: isKept = false
          case .random: isRandom = true
          default: break
          }
        }
      }
    }

    private static func registers(of program: P4Program, isIngress: Bool) -> Set<Int> {
      var found: Set<Int> = []
      let tables = program.tables.filter { $0.isIngress == isIngress }
      let control = isIngress ? program.ingress : program.egress
      for action in tables.flatMap(\.actions) + control.calls.map(\.action) {
        for primitive in program.actions[action].primitives {
          switch primitive {
          case .registerRead(_, let register, _): found.insert(register)
          case .registerWrite(let register, _, _): found.insert(register)
          default: break
          }
        }
      }
      return found
    }
  }
}
