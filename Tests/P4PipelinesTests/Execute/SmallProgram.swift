import DPUCore

@testable import P4Pipelines

/// A compiled program made by hand, for tests of single instructions.
struct SmallProgram {
  var code = PipelineCode()
  var program = P4Program()

  init(lanes: Int = 16, masks: Int = 16, bytes: Int = 80, limbs: Int = 0, slots: Int = 0) {
    code.laneCount = lanes
    code.packetLanes = lanes
    code.maskCount = masks
    code.packetMasks = masks
    code.headerBytes = bytes
    code.usedHeaderBytes = bytes - 16
    code.wideLimbs = limbs
    code.wideCount = slots
    code.cursorLane = UInt32(lanes - 1)
    code.standard = [PipelineCode.FieldPlace?](repeating: nil, count: 16)
    code.standard[StandardField.parserError.rawValue] = .lane(UInt32(lanes - 2), width: 32)
  }

  var errorLane: UInt32 { UInt32(code.laneCount - 2) }

  /// Appends a block and returns its number.
  @discardableResult
  mutating func block(_ instructions: [Instruction]) -> Int {
    code.blocks.append(
      PipelineCode.Block(first: code.instructions.count, count: instructions.count))
    code.instructions += instructions
    return code.blocks.count - 1
  }

  /// A header of so many bytes, placed after those that there are.
  @discardableResult
  mutating func header(
    _ bytes: Int, variableBit: Int = 0, variableBits: Int = 0, lengthLane: UInt32? = nil
  ) -> Int {
    var header = PipelineCode.HeaderCode()
    header.offset = code.headers.reduce(0) { $0 + $1.bytes }
    header.bytes = UInt32(bytes)
    header.variableBit = UInt32(variableBit)
    header.variableBits = UInt32(variableBits)
    if let lengthLane { header.lengthLane = lengthLane }
    code.headers.append(header)
    return code.headers.count - 1
  }

  /// All blocks so far that are in no section become the section `path`.
  mutating func section(_ path: WritableKeyPath<PipelineCode, PipelineCode.Section>) {
    let used = [code.parser, code.verify, code.ingress, code.egress, code.update]
      .map(\.blocks.upperBound).max()!
    code[keyPath: path].entry = used
    code[keyPath: path].blocks = used..<code.blocks.count
  }

  /// One straight line of instructions as ingress.
  static func line(
    _ instructions: [Instruction], lanes: Int = 16, masks: Int = 16, limbs: Int = 0,
    slots: Int = 0
  ) -> SmallProgram {
    var small = SmallProgram(lanes: lanes, masks: masks, limbs: limbs, slots: slots)
    small.block(instructions + [Instruction(.finish)])
    small.section(\.ingress)
    return small
  }

  func machine() -> Machine {
    try! Machine(code, program: program, secret: 7, seed: 11)
  }
}

/// Masks that take the different ways through the packet loops.
let someMasks: [UInt64] = [~0, 1, 0x1f, 1 << 63, 0x8000_0000_0000_0001, 0xaaaa_5555_0f0f_3c01]

extension SplitMix64 {
  /// A number as programs meet them: often small, often at an edge.
  mutating func value() -> UInt64 {
    switch next() % 8 {
    case 0: 0
    case 1: ~0
    case 2: 1 << (next() % 64)
    case 3: (1 << (next() % 64)) &- 1
    case 4: next() % 70
    default: next() >> (next() % 64)
    }
  }
}

extension Machine {
  /// Fills lanes, masks, header bytes and wide slots of both banks with numbers.
  mutating func scramble(_ dice: inout SplitMix64) {
    for number in 0..<2 {
      let bank = memory.bank(number)
      for packet in 0..<64 {
        for lane in 0..<UInt32(code.laneCount) { bank.lane(lane)[packet] = dice.value() }
        for byte in stride(from: 0, to: code.headerBytes - 7, by: 8) {
          bank.setWord(packet, UInt32(byte), dice.next())
        }
        for slot in 0..<UInt32(code.wideCount) {
          for limb in 0..<code.wideLimbs {
            bank.wideSlot(packet, slot)[limb] = dice.value()
          }
        }
      }
      for mask in 0..<UInt32(code.maskCount) { bank.setMask(mask, ~0, to: dice.next()) }
    }
  }

  func lanes(bank number: Int, packet: Int) -> [UInt64] {
    let bank = memory.bank(number)
    return (0..<UInt32(code.laneCount)).map { bank.lane($0)[packet] }
  }

  func masks(bank number: Int, packet: Int) -> [Bool] {
    let bank = memory.bank(number)
    return (0..<UInt32(code.maskCount)).map { bank.mask($0) >> UInt64(packet) & 1 == 1 }
  }

  func bytes(bank: Int, packet: Int) -> [UInt8] {
    unsafe Array(
      UnsafeBufferPointer(
        start: memory.bank(bank).headerBytes(packet, 0), count: code.headerBytes))
  }

  func wide(_ slot: UInt32, bank: Int, packet: Int) -> [UInt64] {
    (0..<code.wideLimbs).map { observedLimb($0, ofWide: slot, bank: bank, packet: packet) }
  }

  mutating func setLane(_ lane: UInt32, bank: Int, packet: Int, to value: UInt64) {
    memory.bank(bank).lane(lane)[packet] = value
  }
}

/// Everything that instructions may change of one packet.
struct PacketState: Equatable {
  var lanes: [UInt64]
  var masks: [Bool]
  var bytes: [UInt8]
  var wide: [[UInt64]]

  init(_ machine: borrowing Machine, bank: Int, packet: Int) {
    lanes = machine.lanes(bank: bank, packet: packet)
    masks = machine.masks(bank: bank, packet: packet)
    bytes = machine.bytes(bank: bank, packet: packet)
    wide = []
    for slot in 0..<UInt32(machine.code.wideCount) {
      wide.append(machine.wide(slot, bank: bank, packet: packet))
    }
  }
}

/// Runs an instruction for several masks in both banks and compares each packet with a model: the
/// packets of the mask must become what the model says, all others must stay.
func check(
  _ op: Instruction, lanes: Int = 16, limbs: Int = 0, slots: Int = 0, seed: UInt64 = 1,
  _ model: (inout PacketState) -> Void
) -> Bool {
  var dice = SplitMix64(seed: seed)
  let small = SmallProgram.line([op], lanes: lanes, limbs: limbs, slots: slots)
  var machine = small.machine()
  for (turn, mask) in someMasks.enumerated() {
    let bank = turn & 1
    machine.scramble(&dice)
    // All packets of the bank, and some of the other one.
    let packets = (0..<64).map { (bank, $0) } + [0, 1, 63].map { (1 - bank, $0) }
    let expected = packets.map { number, packet in
      var state = PacketState(machine, bank: number, packet: packet)
      if number == bank && mask >> UInt64(packet) & 1 == 1 { model(&state) }
      return state
    }
    machine.ingress(bank: bank, mask)
    for (index, (number, packet)) in packets.enumerated() {
      let got = PacketState(machine, bank: number, packet: packet)
      if got != expected[index] {
        print("mask \(String(mask, radix: 16)) bank \(bank): packet \(packet) of \(number)")
        print("  got \(got)")
        print("  not \(expected[index])")
        return false
      }
    }
  }
  return true
}
