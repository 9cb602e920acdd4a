import DPUCore
import HBPFBridge
import Testing

@Suite struct InterpreterTests {
  @Test(arguments: Vectors.conformance.filter { $0.kind == "run" })
  func conforms(_ row: Vectors.Row) throws {
    let program = Vectors.program(row.prog)
    let software = try SoftwareProgram(program.span)
    var interpreter = Interpreter()
    var memory = Vectors.bytes(row.mem)
    let count = memory.count
    var helpers = ConformanceHelpers()
    let outcome = memory.withUnsafeMutableBytes { bytes in
      var guest = GuestMemory()
      if count > 0 {
        guest.add(
          MemoryRegion(
            start: 0x10_0000, count: count, host: UInt(bitPattern: bytes.baseAddress!),
            isWritable: true))
      }
      return interpreter.run(
        software, r1: count > 0 ? 0x10_0000 : 0, r2: UInt64(count), memory: guest,
        helpers: &helpers, jumpsMax: 100_000)
    }
    let expected = try #require(UInt64(row.r0!.dropFirst(2), radix: 16))
    #expect(outcome == .exit(expected))
    if let after = row.mem_after { #expect(memory == Vectors.bytes(after)) }
  }

  @Test(arguments: Vectors.conformance.filter { $0.kind == "reject" })
  func refuses(_ row: Vectors.Row) {
    let program = Vectors.program(row.prog)
    #expect(throws: ProgramFault.self) { try WellFormed.check(program.span) }
  }

  /// r0 and all 2,048 bytes of each of the vectors of our own filters.
  @Test(arguments: ["v2", "v3"])
  func filtersAnswerAsTheirSource(_ version: String) throws {
    var interpreter = Interpreter()
    var helpers = NoHelpers()
    for row in Vectors.filters {
      let program = try Vectors.filter("\(row.filter).\(version)")
      let software = try SoftwareProgram(program.span)
      var memory = Vectors.memory(packet: row.packet, state: row.state)
      let length = UInt64(row.packet.count / 2)
      let outcome = memory.withUnsafeMutableBytes { bytes in
        var guest = GuestMemory()
        guest.add(
          MemoryRegion(
            start: 0, count: 2048, host: UInt(bitPattern: bytes.baseAddress!), isWritable: true))
        return interpreter.run(
          software, r1: 0, r2: length, memory: guest, helpers: &helpers, jumpsMax: 1_000)
      }
      #expect(outcome == .exit(row.r0), "\(row.filter) \(row.n)")
      #expect(memory == Vectors.memory(packet: row.packet_after, state: row.state_after))
      // The verifier accepts them, so the form without checks must do the same.
      let proved = try SoftwareProgram(program.span, isProved: true)
      memory = Vectors.memory(packet: row.packet, state: row.state)
      let unchecked = memory.withUnsafeMutableBytes { bytes in
        interpreter.runProved(
          proved, r1: UInt64(UInt(bitPattern: bytes.baseAddress!)), r2: length, helpers: &helpers)
      }
      #expect(unchecked == .exit(row.r0), "\(row.filter) \(row.n)")
      #expect(memory == Vectors.memory(packet: row.packet_after, state: row.state_after))
    }
    #expect(Vectors.filters.count == 320)
  }
}
