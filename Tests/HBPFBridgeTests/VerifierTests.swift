import DPUCore
import Foundation
import HBPFBridge
import HostPages
import Testing

@Suite struct VerifierTests {
  private static let filters = ["drop_dport", "mqtt_allow", "tuple_drop", "count_proto", "icmp_tx"]

  @Test(arguments: filters)
  func ourFiltersAreAccepted(_ name: String) throws {
    for version in ["v2", "v3"] {
      try Verifier.check(Vectors.filter("\(name).\(version)"), for: .software)
    }
    try Verifier.check(Vectors.filter("\(name).v2"), for: .hBPF)
  }

  /// Program as hex, instruction that is refused, and a part of the reason.
  @Test(arguments: [
    ("9500000000000000", 0, "r0 is read before it is written"),
    ("bf000000000000009500000000000000", 0, "r0 is read before it is written"),
    // r0 = *(u8 *)(r1 + 2048)
    ("71100008000000009500000000000000", 0, "accesses 1 bytes at 2048"),
    // r0 = *(u64 *)(r1 + 2041)
    ("7910f907000000009500000000000000", 0, "accesses 8 bytes at 2041"),
    // r0 = *(u8 *)(r1 - 1)
    ("7110ffff000000009500000000000000", 0, "accesses 1 bytes at -1"),
    // r1 += r2; r1 += r2; r0 = *(u8 *)(r1 + 0)
    ("0f210000000000000f2100000000000071100000000000009500000000000000", 2, "at 0 to 3072"),
    // r0 = *(u64 *)(r10 - 8)
    ("79a0f8ff000000009500000000000000", 0, "stack that were not written"),
    // *(u64 *)(r10 + 0) = 0
    ("7a0a0000000000009500000000000000", 0, "at 512 to 512 of the stack"),
    // r0 = 0; goto -2
    ("b7000000000000000500feff00000000", 0, "need not end"),
    // r0 = r1; exit
    ("bf100000000000009500000000000000", 1, "ends with an address"),
    // call 777
    ("850000004d0000009500000000000000", 0, "has no helper 77"),
    // *(u64 *)(r1 + 0) = r1
    ("7b110000000000009500000000000000", 0, "writes an address"),
    // r0 = 0; if r1 == 0 goto +0; the packet lies at 0 in an FPGA
    ("b70000000000000015010000000000009500000000000000", 1, "compares an address"),
    // r0 = 0; if w1 < w2 goto +0
    ("b700000000000000ae210000000000009500000000000000", 1, "compares an address"),
    // r0 = 0; if r1 < r10 goto +0
    ("b700000000000000ada10000000000009500000000000000", 1, "compares an address"),
    // r0 = 0; r3 = r1; r3 -= 1; if r3 < r1 goto +0: below 0 it wraps
    (
      "b700000000000000" + "bf13000000000000" + "1703000001000000" + "ad13000000000000"
        + "9500000000000000", 3,
      "compares an address"
    ),
    // goto +5
    ("05000500000000009500000000000000", 0, "outside the program"),
    ("b700000000000000", 0, "runs on past"),
    ("", 0, "empty"),
  ])
  func refusals(_ hex: String, instruction: Int, reason: String) {
    let program = Vectors.program(hex)
    let fault = #expect(throws: ProgramFault.self) {
      try Verifier.check(program, for: .software)
    }
    #expect(fault?.instruction == instruction)
    let text = fault.map { String(decoding: $0.reason.bytes, as: UTF8.self) } ?? ""
    #expect(text.contains(reason), "says: \(text)")
  }

  /// How two addresses in the packet lie to each other is the same in every engine.
  @Test func addressesInOneRegionMayBeCompared() throws {
    // r0 = 0; r3 = r1; r3 += r2; if r1 >= r3 goto +0; if r3 == r1 goto +0; if r10 != 0 goto +0; exit
    let program = Vectors.program(
      "b700000000000000" + "bf13000000000000" + "0f23000000000000" + "3d31000000000000"
        + "1d13000000000000" + "550a000000000000" + "9500000000000000")
    try Verifier.check(program, for: .fpga)
  }

  @Test func aCountedLoopEnds() throws {
    // r0 = 0; r3 = 0; L: r0 += r3; r3 += 1; if r3 < 100 goto L; exit
    let program = Vectors.program(
      "b700000000000000" + "b703000000000000" + "0f30000000000000" + "0703000001000000"
        + "a503fdff64000000" + "9500000000000000")
    let report = try Verifier.check(program, for: .software)
    #expect(report.steps > 300)
  }

  /// Found by the fuzzer: a loop without end whose turns all look new took minutes to refuse.
  @Test func manyTurnsAreRefusedSoon() {
    // r0 = 0; L: r3 = *(u8 *)(r1 + 0); r0 += 1; if r3 != 7 goto L; exit
    let program = Vectors.program(
      "b700000000000000" + "7113000000000000" + "0700000001000000" + "5503fdff07000000"
        + "9500000000000000")
    let start = ContinuousClock.now
    let fault = #expect(throws: ProgramFault.self) {
      try Verifier.check(program, for: .software)
    }
    let text = fault.map { String(decoding: $0.reason.bytes, as: UTF8.self) } ?? ""
    #expect(text == "too complex: more than 200000 instructions on all paths")
    #expect(start.duration(to: .now) < .seconds(20))
  }

  /// 10,000 filters with random changes: the verifier answers each time, and what it accepts runs on
  /// random packets without a fault, and alike with checks, without them and as machine code. The
  /// gateware runs those that are accepted for it in gateware/lockstep.sh.
  @Test func whatIsAcceptedDoesNotFault() throws {
    var random = SplitMix64(seed: 7)
    let rounds =
      ProcessInfo.processInfo.environment["DPU_EBPF_MUTANTS"].flatMap { Int($0) } ?? 10_000
    var accepted = 0
    let sources = try Self.filters.flatMap {
      [try Vectors.filter("\($0).v2"), try Vectors.filter("\($0).v3")]
    }
    for _ in 0..<rounds {
      var program = sources[Int(random.next() % UInt64(sources.count))]
      for _ in 0..<1 + random.next() % 3 { mutate(&program, &random) }
      guard (try? Verifier.check(program, for: .software)) != nil else { continue }
      accepted += 1
      let engines = try Engines(program)
      for _ in 0..<8 {
        let memory = (0..<HBPFLimits.dataBytes).map { _ in
          UInt8(truncatingIfNeeded: random.next())
        }
        let length = random.next() % UInt64(HBPFLimits.stateOffset + 1)
        let runs = engines.run(memory, length)
        guard case .exit = runs[0].outcome, runs.allSatisfy({ $0 == runs[0] }) else {
          Issue.record("an accepted program ends as \(runs.map(\.outcome)): \(program)")
          return
        }
      }
    }
    #expect(accepted > rounds / 20)
  }

  private func mutate(_ program: inout [Instruction], _ random: inout SplitMix64) {
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
}

/// One program in all engines of this processor.
private struct Engines {
  /// What became of a packet.
  struct Run: Equatable {
    var outcome: Outcome
    var memory: [UInt8]
  }

  private let program: [Instruction]
  private let code: NativeCode

  init(_ program: [Instruction]) throws {
    self.program = program
    code = try NativeProgram.compile(program, .proved)
  }

  /// With checks of every access, without, and as machine code.
  func run(_ memory: [UInt8], _ length: UInt64) -> [Run] {
    var interpreter = Interpreter()
    var helpers = NoHelpers()
    var copies = [memory, memory, memory]
    let checked = copies[0].withUnsafeMutableBytes { bytes in
      var guest = GuestMemory()
      guest.add(
        MemoryRegion(
          start: 0, count: bytes.count, host: UInt(bitPattern: bytes.baseAddress!),
          isWritable: true))
      return interpreter.run(
        try! SoftwareProgram(program.span), r1: 0, r2: length, memory: guest, helpers: &helpers,
        jumpsMax: Verifier.stepsMax)
    }
    let proved = copies[1].withUnsafeMutableBytes { bytes in
      interpreter.runProved(
        try! SoftwareProgram(program.span, isProved: true),
        r1: UInt64(UInt(bitPattern: bytes.baseAddress!)), r2: length, helpers: &helpers)
    }
    var pages = CodePages()
    let address = pages.install(code.bytes.span)!
    let compiled = NativeProgram(code, at: address).runOnce(
      over: &copies[2], length: length, jumpsMax: Verifier.stepsMax)
    pages.remove(address, byteCount: code.bytes.count)
    return [
      Run(outcome: checked, memory: copies[0]), Run(outcome: proved, memory: copies[1]),
      Run(outcome: compiled, memory: copies[2]),
    ]
  }
}
