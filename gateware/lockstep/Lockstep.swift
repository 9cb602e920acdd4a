import CLinux
import DPUCore
import HBPFBridge
import HostPages

/// Holds the interpreter against a core of the gateware, instruction by instruction. The core's
/// trace, with programs and memory, comes on standard input (docs/gateware.md); gateware/lockstep.sh
/// brings both together.
///
///     ebpflockstep [all]            `all`: every instruction there is must occur
///     ebpflockstep mutants COUNT    filters with random changes that the verifier accepts
///
/// What the verifier accepts runs in the form without checks and as machine code too, which must
/// end alike. Ends with a line `N passed, N failed`, and with status 1 when something differs.
@main
struct Lockstep: ~Copyable {
  /// Then the rest is not looked at any more.
  private static let failuresMax = 5

  private var follower = Follower()
  private var interpreter = Interpreter()
  private var loaded = Loaded()
  private var memory: [UInt8] = []
  private var programs = 0
  private var packets = 0
  private var verifiedRuns = 0
  private var failures = 0

  /// A program with what its packets run under.
  private struct Loaded {
    var name = Text()
    var limit = 0
    var dividesFault = false
    var program = CoreProgram([])
    /// Whether the verifier accepts it for a core.
    var isProved = false
  }

  static func main() {
    let arguments = System.arguments
    if arguments.count == 2, arguments[0] == "mutants" {
      Mutants.write(Int(arguments[1].bytes.reduce(0) { $0 * 10 + Int($1 & 15) }), seed: 7)
      clinux_exit(0)
    }
    var lockstep = Lockstep()
    lockstep.followTrace()
    lockstep.report(wantsAll: arguments.count == 1 && arguments[0] == "all")
  }

  private mutating func followTrace() {
    while failures < Self.failuresMax, let line = follower.trace.read() {
      switch line {
      case .name(let name): loaded = Loaded(name: name)
      case .limit(let limit): loaded.limit = limit
      case .divides: loaded.dividesFault = true
      case .program(let rows):
        programs += 1
        loaded.program = CoreProgram(rows)
        loaded.isProved = Self.isAccepted(rows)
      case .memory(let bytes): memory = bytes
      case .start(let arguments):
        packets += 1
        run(arguments)
      case .after(let bytes):
        let differed = follower.difference != nil
        follower.after(bytes, interpreter: memory)
        if !differed, let difference = follower.difference { fail(difference) }
      case .retired, .end:
        // What is left of a packet that differs.
        if follower.difference == nil { fail("the trace goes on behind the end of a packet") }
      case .unknown(let text): fail("no line of a trace: \(text)")
      }
    }
  }

  private mutating func run(_ arguments: InlineArray<5, UInt64>) {
    let start = memory
    follower.begin(
      loaded.program, arguments: arguments, limit: loaded.limit,
      dividesFault: loaded.dividesFault)
    do throws(ProgramFault) {
      let software = try SoftwareProgram(loaded.program.wellFormed.span)
      let outcome = interpret(software, arguments)
      follower.end(outcome)
      if let difference = follower.difference { return fail(difference) }
      if loaded.isProved, arguments[0] == 0 {
        try runProved(from: start, length: arguments[1], outcome)
      }
    } catch {
      fail(error.text)
    }
  }

  private mutating func interpret(
    _ program: borrowing SoftwareProgram, _ arguments: InlineArray<5, UInt64>
  ) -> Outcome {
    var helpers = CoreHelpers()
    let count = memory.count
    return unsafe memory.withUnsafeMutableBytes { bytes in
      var guest = GuestMemory()
      guest.add(
        MemoryRegion(
          start: 0, count: count, host: UInt(bitPattern: bytes.baseAddress!), isWritable: true))
      return interpreter.run(
        program, r1: arguments[0], r2: arguments[1], r3: arguments[2], r4: arguments[3],
        r5: arguments[4], memory: guest, helpers: &helpers, observer: &follower)
    }
  }

  /// The two engines of the packet path, which are only for what was proved.
  private mutating func runProved(
    from start: [UInt8], length: UInt64, _ expected: Outcome
  ) throws(ProgramFault) {
    verifiedRuns += 1
    var copy = start
    let fused = try SoftwareProgram(loaded.program.rows.span, isProved: true)
    var helpers = NoHelpers()
    var outcome = unsafe copy.withUnsafeMutableBytes { bytes in
      interpreter.runProved(
        fused, r1: UInt64(UInt(bitPattern: bytes.baseAddress!)), r2: length, helpers: &helpers)
    }
    if outcome != expected || copy != memory {
      return fail("ends otherwise in the form without checks")
    }
    copy = start
    let code = try NativeProgram.compile(loaded.program.rows, .proved)
    var pages = CodePages()
    guard let address = pages.install(code.bytes.span) else {
      return fail("no executable memory")
    }
    outcome = NativeProgram(code, at: address).runOnce(over: &copy, length: length, jumpsMax: .max)
    pages.remove(address, byteCount: code.bytes.count)
    if outcome != expected || copy != memory { fail("ends otherwise as machine code") }
  }

  private static func isAccepted(_ program: [Instruction]) -> Bool {
    do throws(ProgramFault) {
      try Verifier.check(program, for: .fpga)
      return true
    } catch {
      return false
    }
  }

  // MARK: Reports

  private mutating func fail(_ what: Text) {
    failures += 1
    System.write("FAILED \(loaded.name), packet \(packets), \(what)\n", to: 1)
  }

  private consuming func report(wantsAll: Bool) {
    System.write(
      """
      lock-step with the interpreter: \(follower.retiredAll) instructions of \(programs) programs \
      on \(packets) packets; \(verifiedRuns) of them also without checks and as machine code

      """, to: 1)
    if wantsAll {
      for instruction in follower.coverage.missing {
        failures += 1
        System.write("FAILED never seen: \(Disassembler.text(instruction))\n", to: 1)
      }
      System.write("\(Coverage.all.count) kinds of instructions\n", to: 1)
    }
    if packets == 0 { failures += 1 }
    System.write("\(failures == 0 ? 1 : 0) passed, \(failures) failed\n", to: 1)
    clinux_exit(failures == 0 ? 0 : 1)
  }
}

/// Those that a core has: 0 and 5 of the conformance tests.
private struct CoreHelpers: HelperTable {
  private var conformance = ConformanceHelpers()

  mutating func call(
    _ helper: UInt32, _ r1: UInt64, _ r2: UInt64, _ r3: UInt64, _ r4: UInt64, _ r5: UInt64,
    memory: GuestMemory
  ) -> HelperResult {
    guard helper == 0 || helper == 5 else { return .unknown }
    return conformance.call(helper, r1, r2, r3, r4, r5, memory: memory)
  }
}
