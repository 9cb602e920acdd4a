import DPUCore
import HBPFBridge
import Testing

/// Pairs of instructions that the form for proved programs makes one of, in all combinations of
/// registers and small numbers, so that every comparison meets its border.
@Suite struct FusionTests {
  /// The first instruction of a pair, then the second, by opcode.
  static let firsts: [UInt8] = [0x71, 0x69, 0x61, 0xb7, 0x57, 0xbf]
  static let seconds: [UInt8] = [
    0x55, 0x15, 0xa5, 0x56, 0x16, 0x1d, 0x5d, 0x07, 0x0f, 0x57, 0x25, 0x2d,
  ]

  private func instruction(_ opcode: UInt8, _ random: inout SplitMix64) -> Instruction {
    let registers: [UInt8] = [0, 3, 4]
    var result = Instruction(
      opcode: opcode, destination: registers[Int(random.next() % 3)],
      source: registers[Int(random.next() % 3)])
    switch result.opcodeClass {
    case .loadRegister:
      result.source = 1
      result.offset = Int16(random.next() % 8)
    case .jump64, .jump32:
      result.offset = 1
      fallthrough
    default:
      if result.usesRegister { break }
      result.source = 0
      result.immediate = [0, 1, 2, 3, -1, 0x0100, 0x10000][Int(random.next() % 7)]
    }
    return result
  }

  /// Registers that are small, the pair, an instruction that a jump leaves out, and all registers
  /// in r0.
  private func program(_ first: Instruction, _ second: Instruction, _ random: inout SplitMix64)
    -> [Instruction]
  {
    var program = [UInt8(0), 3, 4].map {
      Instruction(opcode: 0xb7, destination: $0, immediate: Int32(random.next() % 4))
    }
    program += [first, second, Instruction(opcode: 0x07, immediate: 1_000)]
    for register in [UInt8(3), 4] {
      program.append(Instruction(opcode: 0x27, immediate: 31))
      program.append(Instruction(opcode: 0x0f, source: register))
    }
    program.append(Instruction(opcode: 0x95))
    return program
  }

  @Test func pairsDoWhatTheirHalvesDo() throws {
    var random = SplitMix64(seed: 5)
    var interpreter = Interpreter()
    var helpers = NoHelpers()
    for first in Self.firsts {
      for second in Self.seconds {
        for _ in 0..<300 {
          let code = program(instruction(first, &random), instruction(second, &random), &random)
          var memory = (0..<16).map { _ in UInt8(random.next() % 4 == 0 ? random.next() % 4 : 0) }
          let (expected, got): (Outcome, Outcome) = try memory.withUnsafeMutableBytes { bytes in
            let address = UInt(bitPattern: bytes.baseAddress!)
            var guest = GuestMemory()
            guest.add(
              MemoryRegion(start: UInt64(address), count: 16, host: address, isWritable: true))
            let halves = try SoftwareProgram(code.span)
            let pairs = try SoftwareProgram(code.span, isProved: true)
            return (
              interpreter.run(
                halves, r1: UInt64(address), r2: 16, memory: guest, helpers: &helpers,
                jumpsMax: 100),
              interpreter.runProved(pairs, r1: UInt64(address), r2: 16, helpers: &helpers)
            )
          }
          guard expected == got else {
            let listing = Disassembler.listing(code.span)
            Issue.record(
              "\(expected) became \(got)\n\(String(decoding: listing.bytes, as: UTF8.self))")
            return
          }
        }
      }
    }
  }
}
