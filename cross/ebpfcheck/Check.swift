import CLinux
import DPUCore
import HBPFBridge
import HostPages

/// Runs programs through both engines of this processor and compares: the check of an emitter on a
/// machine that has no tests. Each line of standard input is one run, hexadecimal, `-` for nothing:
///
///     NAME PROGRAM MEMORY R2 R0 MEMORY-AFTER MODE
///
/// MODE is `checked` for any well-formed program, with the conformance tests' helpers, or `proved`
/// for what the verifier accepts. Ends with status 1 when something differs.
@main
struct Check {
  private static let jumpsMax = 1_000_000

  static func main() {
    var runs = 0
    var failures = 0
    while let line = Input.line() {
      let words = Input.words(line)
      if words.count != 7 { break }
      runs += 1
      if let failure = check(words) {
        failures += 1
        write("\(words[0]): \(failure)\n", to: 2)
      }
    }
    #if arch(arm64)
      let machine: StaticString = "arm64"
    #else
      let machine: StaticString = "x86-64"
    #endif
    write("\(machine)\n\(runs - failures) passed, \(failures) failed\n", to: 1)
    clinux_exit(failures == 0 && runs > 0 ? 0 : 1)
  }

  /// What is wrong; nil for nothing.
  private static func check(_ words: [Text]) -> Text? {
    let bytes = Input.bytes(words[1])
    let program = instructions(bytes)
    let memory = Input.bytes(words[2])
    let length = Input.number(words[3])
    let expected = Input.number(words[4])
    let after = words[5] == "-" ? nil : Input.bytes(words[5])
    let isProved = words[6] == "proved"
    do throws(ProgramFault) {
      if isProved { try Verifier.check(program, for: .software) }
      for engine in 0..<2 {
        var copy = memory
        let outcome =
          engine == 0
          ? try interpret(program, &copy, length)
          : try runCompiled(program, &copy, length, isProved)
        let name: StaticString = engine == 0 ? "interpreter" : "machine code"
        switch outcome {
        case .exit(let r0):
          if r0 != expected {
            var text: Text = "\(name): r0 is 0x"
            text.append(r0, radix: 16, width: 1)
            return text
          }
        case .fault(let fault):
          return "\(name): instruction \(fault.instruction): \(fault.kind.name)"
        }
        if let after, copy != after { return "\(name): the memory differs" }
      }
    } catch {
      return error.text
    }
    return nil
  }

  private static func instructions(_ bytes: [UInt8]) -> [Instruction] {
    var result: [Instruction] = []
    let text = Text(bytes: bytes)
    for at in stride(from: 0, to: bytes.count & ~7, by: 8) {
      result.append(Instruction(text.span, at: at))
    }
    return result
  }

  private static func interpret(
    _ program: [Instruction], _ memory: inout [UInt8], _ length: UInt64
  ) throws(ProgramFault) -> Outcome {
    let software = try SoftwareProgram(program.span)
    var interpreter = Interpreter()
    var helpers = ConformanceHelpers()
    let count = memory.count
    return unsafe memory.withUnsafeMutableBytes { bytes in
      var guest = GuestMemory()
      let start = count > 0 ? UInt(bitPattern: bytes.baseAddress!) : 0
      if count > 0 {
        guest.add(
          MemoryRegion(start: UInt64(start), count: count, host: start, isWritable: true))
      }
      return interpreter.run(
        software, r1: UInt64(start), r2: length, memory: guest, helpers: &helpers,
        jumpsMax: jumpsMax)
    }
  }

  private static func runCompiled(
    _ program: [Instruction], _ memory: inout [UInt8], _ length: UInt64, _ isProved: Bool
  ) throws(ProgramFault) -> Outcome {
    let code = try NativeProgram.compile(program, isProved ? .proved : .checked)
    var pages = CodePages()
    guard let address = pages.install(code.bytes.span) else {
      throw ProgramFault(at: 0, "no executable memory")
    }
    let outcome = NativeProgram(code, at: address).runOnce(
      over: &memory, length: length, helper: NativeContext.conformanceHelper(), jumpsMax: jumpsMax)
    pages.remove(address, byteCount: code.bytes.count)
    return outcome
  }

  private static func write(_ text: Text, to descriptor: Int32) {
    unsafe text.bytes.withUnsafeBytes {
      unsafe clinux_write(descriptor, $0.baseAddress, UInt32($0.count))
    }
  }
}
