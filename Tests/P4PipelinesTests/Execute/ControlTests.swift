import DPUCore
import Testing

@testable import P4Pipelines

@Suite("Machine: blocks and regions")
struct ControlTests {
  @Test("Branches part and meet again; packets outside the mask take no part")
  func branches() {
    var small = SmallProgram()
    small.block([
      Instruction(.equalImmediate, d: 0, a: 0, immediate: 1, mask: 1),
      Instruction(.branch, a: 0, b: 1, c: 2),
    ])
    small.block([Instruction(.addImmediate, d: 1, a: 1, immediate: 10), Instruction(.jump, d: 3)])
    small.block([Instruction(.addImmediate, d: 1, a: 1, immediate: 20), Instruction(.jump, d: 3)])
    small.block([Instruction(.addImmediate, d: 1, a: 1, immediate: 1), Instruction(.finish)])
    small.section(\.ingress)
    var machine = small.machine()
    for packet in 0..<64 { machine.setLane(0, bank: 0, packet: packet, to: UInt64(packet)) }
    let mask: UInt64 = 0xffff_0000_ffff_1234
    machine.ingress(bank: 0, mask)
    for packet in 0..<64 {
      let expected = mask >> UInt64(packet) & 1 == 0 ? 0 : packet % 2 == 1 ? 11 : 21
      #expect(machine.observedLane(1, bank: 0, packet: packet) == UInt64(expected))
    }
  }

  @Test("The first case that fits is taken", arguments: [Opcode.select, .selectField])
  func select(opcode: Opcode) {
    var small = SmallProgram()
    small.code.selectCases = [
      PipelineCode.SelectCase(value: 3, mask: ~0, block: 1),
      PipelineCode.SelectCase(value: 4, mask: 12, block: 2),
      PipelineCode.SelectCase(value: 5, mask: ~0, block: 1),
      PipelineCode.SelectCase(value: 1, mask: 1, block: 3),
    ]
    small.block([
      Instruction(.store8, d: 7, a: 0),
      Instruction(opcode, d: 4, a: opcode == .select ? 0 : 7, b: 0, c: 4, shift: 56, mask: 0xff),
    ])
    for number in 1...4 {
      small.block([
        Instruction(.loadImmediate, d: 1, immediate: UInt64(number)), Instruction(.finish),
      ])
    }
    small.section(\.ingress)
    var machine = small.machine()
    for packet in 0..<64 { machine.setLane(0, bank: 1, packet: packet, to: UInt64(packet % 20)) }
    machine.ingress(bank: 1, ~0)
    for packet in 0..<64 {
      let key = packet % 20
      let expected = key == 3 ? 1 : key & 12 == 4 ? 2 : key & 1 == 1 ? 3 : 4
      #expect(machine.observedLane(1, bank: 1, packet: packet) == UInt64(expected), "\(key)")
    }
  }

  /// Adds lane 1 to register cell `lane 0`, over two blocks, and keeps the sum in lane 3.
  private func adder(conflictLane: UInt32) -> SmallProgram {
    var small = SmallProgram()
    small.program.registers = [P4Program.RegisterArray(name: "r", size: 8, width: 64)]
    small.block([
      Instruction(.equalImmediate, d: 0, a: 1, immediate: 0, mask: 4),
      Instruction(.branch, a: 0, b: 1, c: 2),
    ])
    small.block([
      Instruction(.registerRead, d: 2, a: 0, b: 0), Instruction(.add, d: 3, a: 2, b: 1),
      Instruction(.jump, d: 3),
    ])
    small.block([
      Instruction(.registerRead, d: 2, a: 0, b: 0), Instruction(.subtract, d: 3, a: 2, b: 1),
      Instruction(.jump, d: 3),
    ])
    small.block([Instruction(.registerWrite, a: 0, b: 0, c: 3), Instruction(.jump, d: 4)])
    small.block([Instruction(.addImmediate, d: 4, a: 3, immediate: 1), Instruction(.finish)])
    small.section(\.ingress)
    var region = PipelineCode.SerialRegion(blocks: 1..<4)
    region.conflictLane = conflictLane
    small.code.serialRegions = [region]
    for block in 1..<4 { small.code.blocks[block].region = 1 }
    return small
  }

  @Test("In a region packets pass in order", arguments: [Instruction.none, 0])
  func region(conflictLane: UInt32) {
    let small = adder(conflictLane: conflictLane)
    var machine = small.machine()
    var dice = SplitMix64(seed: 4)
    var cells = [UInt64](repeating: 0, count: 8)
    for mask in someMasks {
      for packet in 0..<64 {
        machine.setLane(0, bank: 0, packet: packet, to: dice.next() % 8)
        machine.setLane(1, bank: 0, packet: packet, to: dice.next() % 100)
      }
      machine.ingress(bank: 0, mask)
      for packet in 0..<64 where mask >> UInt64(packet) & 1 == 1 {
        let index = Int(machine.observedLane(0, bank: 0, packet: packet))
        let amount = machine.observedLane(1, bank: 0, packet: packet)
        cells[index] = amount & 4 == 0 ? cells[index] &+ amount : cells[index] &- amount
        #expect(machine.observedLane(3, bank: 0, packet: packet) == cells[index])
        #expect(machine.observedLane(4, bank: 0, packet: packet) == cells[index] &+ 1)
      }
    }
    for index in 0..<8 {
      #expect((try? machine.externs.register(0, index)) == WideInteger(cells[index]))
    }
  }

  @Test("Indices that meet modulo 512 are kept apart, not mixed up")
  func farIndices() {
    var small = adder(conflictLane: 0)
    small.program.registers[0].size = 2000
    var machine = small.machine()
    for packet in 0..<64 {
      machine.setLane(0, bank: 0, packet: packet, to: UInt64(packet % 3) * 512)
      machine.setLane(1, bank: 0, packet: packet, to: 1)
    }
    machine.ingress(bank: 0, ~0)
    for packet in 0..<64 {
      #expect(machine.observedLane(3, bank: 0, packet: packet) == UInt64(packet / 3 + 1))
    }
  }

  @Test("Requests are kept per packet, the last of a kind counts")
  func requests() {
    var small = SmallProgram()
    small.code.fieldLists = [PipelineCode.FieldListCode(id: 4), PipelineCode.FieldListCode(id: 9)]
    small.code.learnLists = [PipelineCode.LearnListCode(id: 1)]
    small.block([
      Instruction(.cloneIngress, a: 0, b: 1),
      Instruction(.cloneEgress, a: 1, b: Int(Instruction.none)),
      Instruction(.branch, a: 0, b: 1, c: 2),
    ])
    small.block([
      Instruction(.resubmit, b: 0), Instruction(.recirculate, b: 1), Instruction(.digest, a: 0),
      Instruction(.truncate, a: 2), Instruction(.assert, a: 1), Instruction(.jump, d: 2),
    ])
    small.block([Instruction(.finish)])
    small.section(\.ingress)
    var machine = small.machine()
    for packet in 0..<64 {
      machine.setLane(1, bank: 0, packet: packet, to: 0x1_8000 + UInt64(packet))
      machine.setLane(2, bank: 0, packet: packet, to: UInt64(packet) << 30)
    }
    machine.memory.bank(0).setMask(0, ~0, to: 0xf0)
    machine.memory.bank(0).setMask(1, ~0, to: 0x3f)
    machine.ingress(bank: 0, 0xff)
    #expect(machine.requested(.clone, bank: 0) == 0xff)
    #expect(machine.requestValue(.clone, bank: 0, packet: 6) == 6)
    #expect(machine.requestList(.clone, bank: 0, packet: 6) == nil)
    for kind in [RequestKind.resubmit, .recirculate, .digest, .truncate] {
      #expect(machine.requested(kind, bank: 0) == 0xf0)
      #expect(machine.requested(kind, bank: 1) == 0)
    }
    #expect(machine.requestList(.resubmit, bank: 0, packet: 5) == 0)
    #expect(machine.requestList(.recirculate, bank: 0, packet: 5) == 1)
    #expect(machine.requestValue(.truncate, bank: 0, packet: 5) == 0xffff_ffff)
    #expect(machine.requested(.failedAssertion, bank: 0) == 0xc0)
    machine.clearRequests([.clone, .digest], bank: 0, 0x1f)
    #expect(machine.requested(.clone, bank: 0) == 0xe0)
    #expect(machine.requested(.digest, bank: 0) == 0xe0)
    #expect(machine.requested(.resubmit, bank: 0) == 0xf0)
    machine.begin(PacketBytes())
    #expect(machine.requested(.resubmit, bank: 0) == 0)
  }

  @Test("The log keeps the latest")
  func log() {
    var small = SmallProgram()
    small.code.logs = [PipelineCode.LogCode(format: "x {}", arguments: [2, 0])]
    small.block([Instruction(.log, a: 0), Instruction(.finish)])
    small.section(\.ingress)
    var machine = small.machine()
    #expect(machine.takeLog()?.log == nil)
    for packet in 0..<64 { machine.setLane(2, bank: 0, packet: packet, to: UInt64(packet)) }
    machine.ingress(bank: 0, 0b111)
    machine.ingress(bank: 0, ~0)
    #expect(machine.takeLog()?.arguments[0] == 0)
    for packet in 1..<64 { #expect(machine.takeLog()?.arguments[0] == UInt64(packet)) }
    #expect(machine.takeLog()?.log == nil)
  }

  @Test("Watched, a program does the same, and tells its steps")
  func observed() {
    struct Steps: PipelineObserver {
      static var isObserving: Bool { true }
      var steps: [String] = []
      mutating func ran(
        _ instruction: Int, packets: UInt64, _ machine: borrowing Machine, bank: Int
      ) {
        steps.append("\(machine.code.instructions[instruction].opcode) \(packets)")
      }
      mutating func applied(
        _ table: Int, packets: UInt64, hits: UInt64, _ machine: borrowing Machine, bank: Int
      ) {}
    }
    let small = adder(conflictLane: Instruction.none)
    var machine = small.machine()
    for packet in 0..<64 { machine.setLane(1, bank: 0, packet: packet, to: 2 + UInt64(packet)) }
    var steps = Steps()
    machine.observe(.ingress, bank: 0, 0b101, &steps)
    #expect(
      steps.steps == [
        "equalImmediate 5", "branch 5", "registerRead 1", "add 1", "jump 1", "registerWrite 1",
        "jump 1", "registerRead 4", "subtract 4", "jump 4", "registerWrite 4", "jump 4",
        "addImmediate 5", "finish 5",
      ])
    #expect(machine.observedLane(3, bank: 0, packet: 2) == UInt64(bitPattern: -2))
  }
}
