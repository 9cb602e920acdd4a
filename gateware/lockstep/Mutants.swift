import DPUCore
import HBPFBridge

/// Filters with random changes: those that the verifier accepts for the FPGA.
enum Mutants {
  /// Reads programs as lines of hexadecimal digits and writes `count` changed ones, or as many as
  /// are accepted, in the same form.
  static func write(_ count: Int, seed: UInt64) {
    var sources: [[Instruction]] = []
    while let line = System.readLine() {
      sources.append(Digits.instructions(line.bytes[...]))
    }
    guard !sources.isEmpty else { return }
    var random = SplitMix64(seed: seed)
    var accepted = 0
    for _ in 0..<count {
      var program = sources[Int(random.next() % UInt64(sources.count))]
      for _ in 0..<1 + random.next() % 3 { mutate(&program, &random) }
      do throws(ProgramFault) {
        try Verifier.check(program, for: .fpga)
      } catch {
        continue
      }
      accepted += 1
      System.write(text(program), to: 1)
    }
    System.write("\(accepted) of \(count) changed filters are accepted for the FPGA\n", to: 2)
  }

  private static func mutate(_ program: inout [Instruction], _ random: inout SplitMix64) {
    let index = Int(random.next() % UInt64(program.count))
    switch random.next() % 6 {
    case 0: program[index].destination = UInt8(random.next() % 11)
    case 1: program[index].source = UInt8(random.next() % 11)
    case 2: program[index].offset = Int16(truncatingIfNeeded: Int(random.next() % 64) - 16)
    case 3:
      program[index].immediate = Int32(truncatingIfNeeded: random.next() >> (random.next() % 64))
    case 4: program[index].opcode = UInt8(truncatingIfNeeded: random.next())
    default: program[index] = program[Int(random.next() % UInt64(program.count))]
    }
  }

  private static func text(_ program: [Instruction]) -> Text {
    var text = Text()
    for instruction in program {
      text.append(instruction.row.byteSwapped, radix: 16, width: 16)
    }
    text.append(byte: UInt8(ascii: "\n"))
    return text
  }
}
