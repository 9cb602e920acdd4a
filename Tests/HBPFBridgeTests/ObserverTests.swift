import DPUCore
import HBPFBridge
import Testing

/// What an observer of the interpreter is told.
@Suite struct ObserverTests {
  /// Writes down what it is told, as one line for each instruction.
  private struct Recorder: RunObserver {
    static var looks: Bool { true }

    var lines: [String] = []
    /// The instruction before which it ends the run.
    var stopsAt = Int.max

    mutating func next(_ slot: Int, _ registers: RegisterFile, stored: MemoryStore?) -> Bool {
      var line = "\(slot): r0=\(registers[0]) r3=\(registers[3])"
      if let stored {
        line += " stored \(stored.value) in \(stored.byteCount) bytes at \(stored.address)"
      }
      lines.append(line)
      return slot != stopsAt
    }
  }

  // r3 = 7 (wide); *(u16 *)(r1 + 4) = 259; lock *(u32 *)(r1 + 4) += w3; call 5
  // exit; 5: r0 = 1; exit
  private static let program =
    "18030000" + "07000000" + "0000000000000000" + "6a01040003010000" + "c331040000000000"
    + "8510000001000000" + "9500000000000000" + "b700000001000000" + "9500000000000000"

  private func run(_ recorder: inout Recorder) throws -> Outcome {
    let program = try SoftwareProgram(Vectors.program(Self.program).span)
    var interpreter = Interpreter()
    var helpers = NoHelpers()
    var memory = [UInt8](repeating: 0, count: 64)
    return memory.withUnsafeMutableBytes { bytes in
      var guest = GuestMemory()
      guest.add(
        MemoryRegion(
          start: 0, count: 64, host: UInt(bitPattern: bytes.baseAddress!), isWritable: true))
      return interpreter.run(
        program, r1: 0, r2: 64, r3: 3, r4: 0, r5: 0, memory: guest, helpers: &helpers,
        observer: &recorder)
    }
  }

  @Test func everyInstructionIsSeenInTurn() throws {
    var recorder = Recorder()
    #expect(try run(&recorder) == .exit(1))
    #expect(
      recorder.lines == [
        "0: r0=0 r3=3",
        "2: r0=0 r3=7",
        "3: r0=0 r3=7 stored 259 in 2 bytes at 4",
        "4: r0=0 r3=7 stored 266 in 4 bytes at 4",
        "6: r0=0 r3=7",
        "7: r0=1 r3=7",
        "5: r0=1 r3=7",
      ])
  }

  @Test func anObserverEndsTheRun() throws {
    var recorder = Recorder(stopsAt: 4)
    #expect(try run(&recorder) == .fault(RuntimeFault(.stopped, instruction: 4)))
    #expect(recorder.lines.count == 4)
  }
}

/// The stack of a program that nobody verified holds nothing of an earlier one.
@Suite struct StackTests {
  @Test func nothingIsLeftOnTheStack() throws {
    // r3 = 0x7fff00000008 (deep in the stack, without r10); the value there to r0; 5 to there; exit
    let program = try SoftwareProgram(
      Vectors.program(
        "1803000008000000" + "00000000ff7f0000" + "7930000000000000" + "7a03000005000000"
          + "9500000000000000"
      ).span)
    var interpreter = Interpreter()
    var helpers = NoHelpers()
    for _ in 0..<2 {
      let outcome = interpreter.run(
        program, r1: 0, r2: 0, memory: GuestMemory(), helpers: &helpers, jumpsMax: 10)
      #expect(outcome == .exit(0))
    }
  }
}
