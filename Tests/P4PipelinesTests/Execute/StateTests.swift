import DPUCore
import Testing

@testable import P4Pipelines

@Suite("Machine: a packet's state")
struct StateTests {
  /// Two headers, one with a varbit (length in lane 8), metadata in lanes, a mask and wide bytes.
  private func program() -> SmallProgram {
    var small = SmallProgram()
    small.header(6)
    small.header(7, variableBit: 8, variableBits: 32, lengthLane: 8)
    small.code.deparserOrder = [1, 0]
    small.code.metadataMasks = 2..<4
    small.code.zeroedLanes = [0, 1]
    small.code.zeroedLanesOfClones = [0, 2]
    small.code.zeroedBytesOfClones = [PipelineCode.ByteRange(offset: 40, count: 5)]
    small.code.standard[StandardField.ingressPort.rawValue] = .lane(4, width: 9)
    small.code.standard[StandardField.packetLength.rawValue] = .lane(5, width: 32)
    small.code.standard[StandardField.egressSpec.rawValue] = .lane(6, width: 9)
    small.code.standard[StandardField.checksumError.rawValue] = .mask(3)
    small.code.lengthLane = 7
    var list = PipelineCode.FieldListCode(id: 1)
    list.fields = [
      .lane(0, width: 13), .mask(2), .bytes(bit: 331, width: 70), .nowhere(width: 9),
      .variable(header: 1), .lane(2, width: 64),
    ]
    small.code.fieldLists = [PipelineCode.FieldListCode(id: 4), list]
    var digest = PipelineCode.LearnListCode(id: 1)
    var lane = PipelineCode.Segment(.lane, source: 2, bits: 24)
    var mask = PipelineCode.Segment(.mask, source: 2, bits: 8)
    mask.at = 24
    var wide = PipelineCode.Segment(.bits, source: 325, bits: 72)
    wide.at = 32
    lane.at = 0
    digest.plan.segments = [lane, mask, wide]
    digest.plan.bytes = 13
    small.code.learnLists = [digest]
    small.block([
      Instruction(.resubmit, b: 1), Instruction(.cloneIngress, a: 0, b: 1), Instruction(.finish),
    ])
    small.section(\.ingress)
    return small
  }

  private func machine() -> Machine {
    var machine = program().machine()
    var dice = SplitMix64(seed: 21)
    machine.scramble(&dice)
    for number in 0..<2 {
      for packet in 0..<64 {
        machine.setLane(8, bank: number, packet: packet, to: 8 * (dice.next() % 5))
        machine.setBytes(
          bank: number, packet: packet, address: UInt(packet + 1000), count: packet)
      }
    }
    return machine
  }

  @Test("A copy has everything, and touches no neighbour")
  func copy() {
    var machine = machine()
    machine.ingress(bank: 0, 1 << 7)
    let source = PacketState(machine, bank: 0, packet: 7)
    let neighbour = PacketState(machine, bank: 1, packet: 8)
    machine.copyState(fromBank: 0, packet: 7, toBank: 1, packet: 9)
    var copy = PacketState(machine, bank: 1, packet: 9)
    // What is beyond the used bytes is not part of the state.
    copy.bytes.replaceSubrange(64..., with: source.bytes[64...])
    #expect(copy == source)
    #expect(PacketState(machine, bank: 1, packet: 8) == neighbour)
    #expect(machine.requested(.resubmit, bank: 1) == 1 << 9)
    #expect(machine.requestList(.clone, bank: 1, packet: 9) == 1)
    #expect(
      machine.requestValue(.clone, bank: 1, packet: 9)
        == machine.requestValue(.clone, bank: 0, packet: 7))
  }

  @Test("A state that was saved comes back")
  func saved() {
    var machine = machine()
    machine.ingress(bank: 0, 1 << 7)
    let source = PacketState(machine, bank: 0, packet: 7)
    let count = machine.stateBytes / 8
    let memory = UnsafeMutablePointer<UInt64>.allocate(capacity: count + 1)
    memory.initialize(repeating: 0xdead, count: count + 1)
    machine.saveState(bank: 0, packet: 7, to: UInt(bitPattern: memory))
    #expect(memory[count] == 0xdead)
    machine.restoreState(bank: 1, packet: 60, from: UInt(bitPattern: memory))
    memory.deallocate()
    var copy = PacketState(machine, bank: 1, packet: 60)
    copy.bytes.replaceSubrange(64..., with: source.bytes[64...])
    #expect(copy == source)
    #expect(machine.requested(.resubmit, bank: 1) == 1 << 60)
    #expect(machine.requested(.clone, bank: 1) == 1 << 60)
    #expect(machine.requested(.recirculate, bank: 1) == 0)
    #expect(machine.payloadOffset(bank: 1, packet: 60) <= 7)
  }

  @Test("Clones lose their metadata and keep their headers")
  func reset() {
    var machine = machine()
    let before = PacketState(machine, bank: 0, packet: 3)
    let other = PacketState(machine, bank: 0, packet: 4)
    machine.resetMetadata(bank: 0, 1 << 3)
    var expected = before
    expected.lanes[0] = 0
    expected.lanes[2] = 0
    expected.masks[2] = false
    expected.masks[3] = false
    expected.bytes.replaceSubrange(40..<45, with: [0, 0, 0, 0, 0])
    #expect(PacketState(machine, bank: 0, packet: 3) == expected)
    #expect(PacketState(machine, bank: 0, packet: 4) == other)
  }

  @Test("Field lists are carried over")
  func fieldLists() {
    var machine = machine()
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: machine.fieldListBytes + 1)
    memory.initialize(repeating: 0xee, count: machine.fieldListBytes + 1)
    for packet in 0..<20 {
      // Values that fit their fields, as programs leave them.
      let lane = machine.observedLane(0, bank: 0, packet: packet) & 0x1fff
      machine.setLane(0, bank: 0, packet: packet, to: lane)
      let source = PacketState(machine, bank: 0, packet: packet)
      let target = PacketState(machine, bank: 1, packet: packet)
      machine.saveFields(1, bank: 0, packet: packet, to: UInt(bitPattern: memory))
      #expect(memory[machine.fieldListBytes] == 0xee)
      machine.restoreFields(1, bank: 1, packet: packet, from: UInt(bitPattern: memory))
      var expected = target
      expected.lanes[0] = source.lanes[0]
      expected.lanes[2] = source.lanes[2]
      expected.lanes[8] = source.lanes[8]
      expected.masks[2] = source.masks[2]
      for bit in 331..<401 {
        let mask = UInt8(1) << UInt8(7 - bit % 8)
        expected.bytes[bit / 8] = expected.bytes[bit / 8] & ~mask | source.bytes[bit / 8] & mask
      }
      // The varbit: all of its room.
      expected.bytes.replaceSubrange(7..<11, with: source.bytes[7..<11])
      #expect(PacketState(machine, bank: 1, packet: packet) == expected)
    }
    memory.deallocate()
  }

  @Test("Clones take fields over as if these had been saved and put back")
  func copiedFields() {
    var copied = machine()
    var restored = machine()
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: copied.fieldListBytes)
    let sources = (0..<64).map { UInt8($0 * 7 % 64) }
    let mask: UInt64 = 0xf0f0_ffff_0000_0001
    sources.withUnsafeBufferPointer { copied.copyFields(1, mask, from: $0.baseAddress!) }
    for packet in 0..<64 where mask >> UInt64(packet) & 1 == 1 {
      let address = UInt(bitPattern: memory)
      restored.saveFields(1, bank: 0, packet: Int(sources[packet]), to: address)
      restored.restoreFields(1, bank: 1, packet: packet, from: address)
    }
    for packet in 0..<64 {
      #expect(
        PacketState(copied, bank: 1, packet: packet)
          == PacketState(restored, bank: 1, packet: packet))
    }
    memory.deallocate()
  }

  @Test("Digests: elements padded to bytes, one after the other")
  func digest() {
    var machine = machine()
    #expect(machine.digestBytes(0) == 13)
    for packet in [0, 5, 63] {
      let state = PacketState(machine, bank: 1, packet: packet)
      var bytes = [UInt8](repeating: 0xee, count: 14)
      bytes.withUnsafeMutableBufferPointer {
        machine.readDigest(0, bank: 1, packet: packet, to: UInt(bitPattern: $0.baseAddress!))
      }
      let lane = state.lanes[2]
      #expect(
        bytes[0..<3] == [UInt8(lane >> 16 & 0xff), UInt8(lane >> 8 & 0xff), UInt8(lane & 0xff)])
      #expect(bytes[3] == (state.masks[2] ? 1 : 0))
      for bit in 0..<72 {
        let from = 325 + bit
        #expect(
          bytes[4 + bit / 8] >> UInt8(7 - bit % 8) & 1
            == state.bytes[from / 8] >> UInt8(7 - from % 8) & 1)
      }
      #expect(bytes[13] == 0xee)
    }
  }

  @Test("Standard metadata, and what egress starts with")
  func standard() {
    var machine = machine()
    machine.begin(PacketBytes()) { $0 + 50 }
    #expect(machine.standard(.ingressPort, bank: 0, packet: 33) == 33)
    machine.setStandard(.egressSpec, bank: 0, packet: 33, to: 0xfff)
    #expect(machine.standard(.egressSpec, bank: 0, packet: 33) == 0x1ff)
    machine.setStandard(.checksumError, bank: 0, packet: 33, to: 1)
    #expect(machine.checksumErrors(bank: 0, ~0) == 1 << 33)
    machine.setStandard(.priority, bank: 0, packet: 33, to: 3)
    #expect(machine.standard(.priority, bank: 0, packet: 33) == 0)
    machine.setLane(7, bank: 0, packet: 33, to: 1234)
    machine.beginEgress(bank: 0, ~0, timestamp: 9)
    #expect(machine.standard(.egressSpec, bank: 0, packet: 33) == 0)
    #expect(machine.standard(.packetLength, bank: 0, packet: 33) == 1234)
    #expect(machine.standard(.packetLength, bank: 0, packet: 32) == 82)
    // Lanes that begin at zero, and those that need not.
    #expect(machine.observedLane(0, bank: 0, packet: 1) == 0)
    #expect(machine.observedMask(0, bank: 0) == 0)
  }

  @Test("Headers go out in the deparser's order, one packet at a time or as a batch")
  func deparse() {
    var machine = machine()
    for packet in 0..<64 {
      let state = PacketState(machine, bank: 0, packet: packet)
      let variable = state.masks[1] ? 3 + Int(state.lanes[8] / 8) : 0
      let length = variable + (state.masks[0] ? 6 : 0)
      let headerLength = machine.headerLength(bank: 0, packet: packet)
      #expect(headerLength == length)
      var bytes = [UInt8](repeating: 0xee, count: length + 1)
      bytes.withUnsafeMutableBufferPointer {
        machine.writeHeaders(bank: 0, packet: packet, to: UInt(bitPattern: $0.baseAddress!))
      }
      var expected: [UInt8] = []
      if state.masks[1] {
        expected += state.bytes[6..<7 + Int(state.lanes[8] / 8)]
        expected += state.bytes[11..<13]
      }
      if state.masks[0] { expected += state.bytes[0..<6] }
      #expect(bytes == expected + [0xee])
    }
    machine.layOut(bank: 0, ~0)
    for packet in 0..<64 {
      let state = PacketState(machine, bank: 0, packet: packet)
      let layout = machine.layouts[packet]
      // With its varbit the second header has no layout.
      #expect((layout == nil) == state.masks[1])
      guard let layout else { continue }
      let expected = state.masks[0] ? [UInt8](state.bytes[0..<6]) : []
      #expect(Int(layout.length) == expected.count)
      var bytes = [UInt8](repeating: 0xee, count: expected.count + 1)
      bytes.withUnsafeMutableBufferPointer {
        machine.layouts.write(layout, packet, to: UInt(bitPattern: $0.baseAddress!))
      }
      #expect(bytes == expected + [0xee])
    }
  }

  @Test("Sets of headers beyond the layouts go header by header")
  func manyLayouts() {
    var small = SmallProgram.line([])
    for _ in 0..<5 { small.header(2) }
    small.code.deparserOrder = [3, 0, 4, 1, 2]
    var machine = small.machine()
    var dice = SplitMix64(seed: 5)
    machine.scramble(&dice)
    // Packet p has header h when bit h of p is set: 32 sets, each of two packets.
    let bank = machine.memory.bank(1)
    let valid: [UInt64] = [
      0xaaaa_aaaa_aaaa_aaaa, 0xcccc_cccc_cccc_cccc, 0xf0f0_f0f0_f0f0_f0f0, 0xff00_ff00_ff00_ff00,
      0xffff_0000_ffff_0000,
    ]
    for (header, packets) in valid.enumerated() {
      bank.setMask(UInt32(header), ~0, to: packets)
    }
    machine.layOut(bank: 1, ~0)
    var found = 0
    for packet in 0..<64 {
      let place = Machine.width + packet
      guard let layout = machine.layouts[place] else { continue }
      found += 1
      let length = machine.headerLength(bank: 1, packet: packet)
      #expect(Int(layout.length) == length)
      var one = [UInt8](repeating: 0xee, count: length + 1)
      var other = one
      one.withUnsafeMutableBufferPointer {
        machine.writeHeaders(bank: 1, packet: packet, to: UInt(bitPattern: $0.baseAddress!))
      }
      other.withUnsafeMutableBufferPointer {
        machine.layouts.write(layout, place, to: UInt(bitPattern: $0.baseAddress!))
      }
      #expect(one == other)
    }
    #expect(found == 2 * HeaderLayout.perBank)
  }
}

@Suite("Machine: what is unsound is refused")
struct CodeCheckTests {
  private func flaw(_ op: Instruction, _ change: (inout SmallProgram) -> Void = { _ in })
    -> CodeFlaw?
  {
    var small = SmallProgram.line([op], limbs: 2, slots: 2)
    small.header(4)
    change(&small)
    return small.code.firstFlaw(small.program)
  }

  @Test("Operands beyond what there is")
  func operands() {
    #expect(flaw(Instruction(.add, d: 0, a: 1, b: 15)) == nil)
    let bad = [
      Instruction(.add, d: 16, a: 0, b: 1), Instruction(.add, d: 0, a: 16, b: 1),
      Instruction(.add, d: 0, a: 0, b: -1), Instruction(.equal, d: 16, a: 0, b: 0),
      Instruction(.loadField, d: 0, a: 73), Instruction(.storeField, d: 0, a: 16),
      Instruction(.loadField, d: 0, a: 0, shift: 64),
      Instruction(.loadField9, d: 0, a: 72, size: 60),
      Instruction(.load8, d: 0, a: 80), Instruction(.copyBytes, d: 70, a: 0, b: 11),
      Instruction(.zeroBytes, d: 0, b: 81), Instruction(.shiftLeftImmediate, d: 0, a: 0, shift: 64),
      Instruction(.signExtend, d: 0, a: 0, size: 0), Instruction(.wideAdd, d: 2, a: 0, b: 0),
      Instruction(.wideLoad, d: 0, a: 641, b: 4), Instruction(.wideLoad, d: 0, a: 3, b: 4),
      Instruction(.wideConstant, d: 0, a: 0), Instruction(.extract, a: 1),
      Instruction(.setValid, a: 1),
      Instruction(.extractVariable, a: 0), Instruction(.pushStack, a: 0),
      Instruction(.maskAtIndex, d: 0, a: 0, b: 4, c: 6, e: 3),
      Instruction(.loadFieldAtIndex, d: 0, a: 60, b: 0, c: 3, e: 8),
      Instruction(.count, a: 0, b: 0),
      Instruction(.registerRead, d: 0, a: 0, b: 0), Instruction(.meter, d: 0, a: 0, b: 0),
      Instruction(.hash, d: 0, c: 0), Instruction(.digest, a: 0), Instruction(.resubmit, b: 0),
      Instruction(.log, a: 0), Instruction(.matchValueSet, d: 0, a: 0, b: 0),
      Instruction(.loadParameter, d: 0, a: 0, b: 0), Instruction(.lookahead, d: 0, size: 65),
      Instruction(.checksumBytes, d: 0, a: 0, b: 5, e: Int(Instruction.none)),
      Instruction(.checksumBytes, d: 0, a: 10, b: 10, e: 8), Instruction(.jump, d: 0),
    ]
    for op in bad {
      #expect(flaw(op) == CodeFlaw(part: .instruction, index: 0), "\(op.opcode)")
    }
  }

  @Test("Blocks, regions and layouts that do not fit")
  func structure() {
    let fine = Instruction(.move, d: 0, a: 1)
    #expect(flaw(fine) { $0.code.instructions[1] = fine }?.part == .instruction)
    #expect(flaw(fine) { $0.code.instructions[1] = Instruction(.jump, d: 1) }?.part == .instruction)
    #expect(flaw(fine) { $0.code.blocks[0].count = 3 }?.part == .block)
    #expect(flaw(fine) { $0.code.ingress.entry = 1 }?.part == .section)
    #expect(flaw(fine) { $0.code.ingress.blocks = 0..<2 }?.part == .section)
    #expect(
      flaw(fine) { $0.code.serialRegions = [PipelineCode.SerialRegion(blocks: 0..<1)] }?.part
        == .region)
    #expect(flaw(fine) { $0.code.blocks[0].region = 1 }?.part == .block)
    #expect(flaw(fine) { $0.code.cursorLane = 16 }?.part == .layout)
    #expect(flaw(fine) { $0.code.zeroedLanes = [16] }?.part == .layout)
    #expect(flaw(fine) { $0.code.headers[0].bytes = 81 }?.part == .header)
    #expect(flaw(fine) { $0.code.deparserOrder = [1] }?.part == .deparser)
    #expect(flaw(fine) { $0.code.standard[0] = .mask(0) }?.part == .standardField)
    // Into another section.
    #expect(
      flaw(fine) {
        $0.block([Instruction(.finish)])
        $0.code.instructions[1] = Instruction(.jump, d: 1)
      }?.part == .block)
  }
}
