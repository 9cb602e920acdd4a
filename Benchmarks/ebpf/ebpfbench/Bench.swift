import CLinux
import DPUCore
import HBPFBridge
import HostPages

/// One filter over memory images, run on command: the counterpart of dpdk/rtebpf.c, which takes the
/// same lines and answers in the same way.
///
///     ebpfbench interpreter|jit PROGRAM.bin IMAGES.bin
///
/// IMAGES holds data memories of 2,048 bytes, each with its packet's length at byte 2,044. Prints
/// "ready", then answers each line `MILLISECONDS` with one line of JSON: what it did in so long on
/// this thread's CPU clock. Nothing is copied: the filter runs on the images where they lie.
@main
struct Bench {
  /// Packets between two looks at the clock.
  private static let packetsBetweenClocks = 4_096

  static func main() {
    do {
      try run()
      clinux_exit(0)
    } catch {
      System.write("ebpfbench: \(error.text)\n", to: 2)
      clinux_exit(1)
    }
  }

  private static func run() throws(BenchFailure) {
    var words: [Text] = []
    for index in 1..<max(1, Int(clinux_argument_count())) { words.append(System.argument(index)) }
    guard words.count == 3, words[0] == "interpreter" || words[0] == "jit" else {
      throw BenchFailure("usage: ebpfbench interpreter|jit PROGRAM.bin IMAGES.bin")
    }
    let program = try Bench.program(try System.read(words[1]))
    let images = try System.read(words[2])
    var memory = FixedArray<UInt8>(repeating: 0, count: images.bytes.count)
    for (index, byte) in images.bytes.enumerated() { memory[index] = byte }
    do throws(ProgramFault) {
      try Verifier.check(program, for: .software)
      if words[0] == "jit" {
        try runCompiled(program, memory)
      } else {
        try interpret(program, memory)
      }
    } catch {
      throw BenchFailure(error.text)
    }
  }

  private static func program(_ text: Text) throws(BenchFailure) -> [Instruction] {
    do throws(ObjectFault) {
      return try ProgramObject(text.span, name: "program").programs[0].instructions
    } catch {
      throw BenchFailure(error.text)
    }
  }

  /// Answers lines with what `engine` does to one image after the other.
  private static func answer<Side: Engine & ~Copyable>(
    _ memory: borrowing FixedArray<UInt8>, _ engine: inout Side
  ) {
    let first = memory.hostAddress
    let end = first + UInt(memory.count)
    System.write("ready\n", to: 1)
    while let line = System.readLine(), let milliseconds = line.number {
      var verdicts = InlineArray<8, UInt64>(repeating: 0)
      var packets = 0
      var address = first
      let start = System.cpuNanoseconds
      var spent: UInt64 = 0
      while spent < UInt64(milliseconds) * 1_000_000 {
        for _ in 0..<packetsBetweenClocks {
          let r0 = engine.run(address)
          verdicts[Int(r0 & 7)] &+= 1
          address &+= UInt(HBPFLimits.dataBytes)
          if address == end { address = first }
        }
        packets += packetsBetweenClocks
        spent = System.cpuNanoseconds - start
      }
      var text: Text = "{\"packets\":\(packets),\"cpuNanoseconds\":\(spent),\"verdicts\":["
      for index in 0..<5 {
        text.append("\(index > 0 ? "," : "" as Text)\(verdicts[index])" as Text)
      }
      text.append("]}\n" as StaticString)
      System.write(text, to: 1)
    }
  }

  private static func interpret(
    _ program: [Instruction], _ memory: borrowing FixedArray<UInt8>
  ) throws(ProgramFault) {
    var engine = Interpreted(program: try SoftwareProgram(program.span, isProved: true))
    answer(memory, &engine)
  }

  private static func runCompiled(
    _ program: [Instruction], _ memory: borrowing FixedArray<UInt8>
  ) throws(ProgramFault) {
    let code = try NativeProgram.compile(program, .proved)
    var pages = CodePages()
    guard let address = pages.install(code.bytes.span) else {
      throw ProgramFault(at: 0, "no executable memory")
    }
    let stack = FixedArray<UInt8>(repeating: 0, count: HBPFLimits.stackBytes)
    var engine = Compiled(program: NativeProgram(code, at: address))
    engine.context.stackTop = UInt64(stack.hostAddress) + UInt64(stack.count)
    answer(memory, &engine)
  }
}

/// Runs a filter on the memory at an address: one argument, as on the other side.
private protocol Engine: ~Copyable {
  mutating func run(_ address: UInt) -> UInt64
}

private struct Interpreted: Engine, ~Copyable {
  let program: SoftwareProgram
  var interpreter = Interpreter()
  var helpers = NoHelpers()

  init(program: consuming SoftwareProgram) { self.program = program }

  @inline(__always)
  mutating func run(_ address: UInt) -> UInt64 {
    let outcome = interpreter.runProved(
      program, r1: UInt64(address), r2: 0, helpers: &helpers)
    if case .exit(let r0) = outcome { return r0 }
    return 0
  }
}

private struct Compiled: Engine, ~Copyable {
  let program: NativeProgram
  var context = NativeContext()

  init(program: NativeProgram) { self.program = program }

  @inline(__always)
  mutating func run(_ address: UInt) -> UInt64 {
    context.arguments[0] = UInt64(address)
    if case .exit(let r0) = program.run(&context) { return r0 }
    return 0
  }
}
