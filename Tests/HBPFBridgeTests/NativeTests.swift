import DPUCore
import Glibc
import HBPFBridge
import HostPages
import Testing

@Suite struct NativeTests {
  /// What compiled code makes of `program` with `memory`.
  private func run(
    _ program: [Instruction], _ mode: NativeMode, memory: inout [UInt8], length: UInt64,
    helper: UInt64 = 0, budget: Int = 100_000
  ) throws -> Outcome {
    let code = try NativeProgram.compile(program, mode)
    var pages = CodePages()
    let address = pages.install(code.bytes.span)!
    defer { pages.remove(address, byteCount: code.bytes.count) }
    return NativeProgram(code, at: address).runOnce(
      over: &memory, length: length, helper: helper, jumpsMax: budget)
  }

  @Test(arguments: Vectors.conformance.filter { $0.kind == "run" })
  func conforms(_ row: Vectors.Row) throws {
    var memory = Vectors.bytes(row.mem)
    let outcome = try run(
      Vectors.program(row.prog), .checked, memory: &memory, length: UInt64(memory.count),
      helper: NativeContext.conformanceHelper())
    let expected = try #require(UInt64(row.r0!.dropFirst(2), radix: 16))
    #expect(outcome == .exit(expected))
    if let after = row.mem_after { #expect(memory == Vectors.bytes(after)) }
  }

  @Test(arguments: ["v2", "v3"])
  func filtersAnswerAsTheirSource(_ version: String) throws {
    for row in Vectors.filters {
      let program = try Vectors.filter("\(row.filter).\(version)")
      for mode in [NativeMode.proved, .checked] {
        var memory = Vectors.memory(packet: row.packet, state: row.state)
        let outcome = try run(
          program, mode, memory: &memory, length: UInt64(row.packet.count / 2))
        #expect(outcome == .exit(row.r0), "\(row.filter) \(row.n)")
        #expect(memory == Vectors.memory(packet: row.packet_after, state: row.state_after))
      }
    }
  }

  /// Random well-formed programs: both engines end alike, with the same memory.
  @Test func agreesWithTheInterpreter() throws {
    var random = SplitMix64(seed: 99)
    var interpreter = Interpreter()
    var helpers = NoHelpers()
    for round in 0..<3_000 {
      let program = RandomProgram.make(&random)
      let packet = (0..<64).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      var first = packet
      let software = try SoftwareProgram(program.span)
      // Both see the host's addresses, so that addresses in registers agree too.
      let expected: Outcome = first.withUnsafeMutableBytes { bytes in
        var guest = GuestMemory()
        let address = UInt(bitPattern: bytes.baseAddress!)
        guest.add(MemoryRegion(start: 0, count: 64, host: address, isWritable: true))
        return interpreter.run(
          software, r1: 0, r2: 64, memory: guest, helpers: &helpers, jumpsMax: 100_000)
      }
      var second = packet
      let code = try NativeProgram.compile(program, .checked)
      var pages = CodePages()
      let place = pages.install(code.bytes.span)!
      let native = NativeProgram(code, at: place)
      let got: Outcome = second.withUnsafeMutableBytes { bytes in
        var context = NativeContext()
        context.arguments[0] = UInt64(UInt(bitPattern: bytes.baseAddress!))
        context.arguments[1] = 64
        context.dataStart = context.arguments[0]
        context.dataBytes = 64
        context.budget = 100_000
        return native.run(&context)
      }
      pages.remove(place, byteCount: code.bytes.count)
      if case .exit = expected {
        // Nothing went wrong, so the form without checks must do the same.
        var third = packet
        let fused = try SoftwareProgram(program.span, isProved: true)
        let outcome: Outcome = third.withUnsafeMutableBytes { bytes in
          interpreter.runProved(
            fused, r1: UInt64(UInt(bitPattern: bytes.baseAddress!)), r2: 64, helpers: &helpers)
        }
        guard outcome == expected, third == first else {
          Issue.record("round \(round): checked \(expected), unchecked \(outcome)\n\(program)")
          return
        }
      }
      guard got == expected, first == second else {
        Issue.record("round \(round): interpreter \(expected), compiled \(got)\n\(program)")
        return
      }
    }
  }
}

/// Straight code with forward jumps over all arithmetic, loads and stores at r1, and an exit.
/// r1 stays the address and takes no part in arithmetic.
enum RandomProgram {
  static func make(_ random: inout SplitMix64) -> [Instruction] {
    var program: [Instruction] = []
    for register in [UInt8(0), 3, 4, 5, 6, 7, 8, 9] {
      program.append(
        Instruction(
          opcode: 0x18, destination: register, immediate: Int32(truncatingIfNeeded: random.next())))
      program.append(
        Instruction(opcode: 0, immediate: Int32(truncatingIfNeeded: random.next())))
    }
    let count = 40
    for index in 0..<count { program.append(one(&random, left: count - index)) }
    program.append(Instruction(opcode: 0x95))
    return program
  }

  private static func one(_ random: inout SplitMix64, left: Int) -> Instruction {
    let registers: [UInt8] = [0, 2, 3, 4, 5, 6, 7, 8, 9]
    while true {
      var instruction = Instruction(
        opcode: UInt8(truncatingIfNeeded: random.next()),
        destination: registers[Int(random.next() % 9)], source: registers[Int(random.next() % 9)])
      instruction.immediate = Int32(truncatingIfNeeded: random.next() >> (random.next() % 64))
      let usesRegister = instruction.usesRegister
      switch instruction.opcodeClass {
      case .load: continue
      case .loadRegister:
        instruction.source = 1
        instruction.offset = Int16(random.next() % 66)
        instruction.immediate = 0
      case .storeImmediate, .storeRegister:
        instruction.destination = 1
        instruction.offset = Int16(random.next() % 66)
        if instruction.opcodeClass == .storeImmediate { instruction.source = 0 }
        if instruction.mode == .atomic {
          let kinds: [Int32] = [0, 1, 0x40, 0x41, 0x50, 0x51, 0xa0, 0xa1, 0xe1, 0xf1]
          instruction.immediate = kinds[Int(random.next() % 10)]
        } else if instruction.opcodeClass == .storeRegister {
          instruction.immediate = 0
        }
      case .arithmetic32, .arithmetic64:
        if usesRegister { instruction.immediate = 0 } else { instruction.source = 0 }
        switch instruction.arithmetic {
        case .negate:
          instruction.source = 0
          instruction.immediate = 0
        case .byteSwap:
          instruction.source = 0
          instruction.immediate = [16, 32, 64][Int(random.next() % 3)]
        case .divide, .modulo:
          instruction.offset = Int16(random.next() % 2)
          if usesRegister, random.next() % 4 == 0 { instruction.source = instruction.destination }
        case .move: if usesRegister { instruction.offset = [0, 8, 16, 32][Int(random.next() % 4)] }
        default: break
        }
      case .jump32, .jump64:
        if instruction.isCall || instruction.isExit { continue }
        instruction.offset = Int16(random.next() % UInt64(min(left, 6)))
        if instruction.isUnconditionalJump {
          instruction.destination = 0
          instruction.source = 0
          if instruction.opcode == 0x06 {
            instruction.immediate = Int32(instruction.offset)
            instruction.offset = 0
          } else {
            instruction.immediate = 0
          }
        } else if usesRegister {
          instruction.immediate = 0
        } else {
          instruction.source = 0
        }
      }
      let probe =
        [instruction] + Array(repeating: Instruction(opcode: 0xb7), count: 8) + [
          Instruction(opcode: 0x95)
        ]
      if (try? WellFormed.check(probe.span)) != nil { return instruction }
    }
  }
}
