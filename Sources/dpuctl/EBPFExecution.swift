import DPUCore
import HBPFBridge
import HostPages

/// One run of any well-formed program, with the helpers of the public conformance tests.
struct EBPFExecution {
  /// Taken jumps and calls before a run counts as endless.
  static let jumpsMax = 100_000_000
  /// Where the interpreter shows the memory to the program.
  private static let memoryStart: UInt64 = 0x10_0000

  let program: [Instruction]
  var memory: [UInt8]

  mutating func run(_ engine: EBPFGroup.Engine) throws -> Outcome {
    do {
      return switch engine {
      case .interpreter: try interpret()
      case .jit: try runCompiled()
      case .rtl: try simulate()
      }
    } catch let fault as ProgramFault {
      throw Failure.refused(fault.text.string)
    }
  }

  private mutating func interpret() throws -> Outcome {
    let software = try SoftwareProgram(program.span)
    var interpreter = Interpreter()
    var helpers = ConformanceHelpers()
    let count = memory.count
    return memory.withUnsafeMutableBytes { bytes in
      var guest = GuestMemory()
      if let base = bytes.baseAddress, count > 0 {
        guest.add(
          MemoryRegion(
            start: Self.memoryStart, count: count, host: UInt(bitPattern: base), isWritable: true))
      }
      return interpreter.run(
        software, r1: count > 0 ? Self.memoryStart : 0, r2: UInt64(count), memory: guest,
        helpers: &helpers, jumpsMax: Self.jumpsMax)
    }
  }

  /// As machine code that checks every access.
  private mutating func runCompiled() throws -> Outcome {
    let code = try NativeProgram.compile(program, .checked)
    var pages = CodePages()
    guard let address = pages.install(code.bytes.span) else {
      throw Failure.refused("the system gives no executable memory")
    }
    defer { pages.remove(address, byteCount: code.bytes.count) }
    return NativeProgram(code, at: address).runOnce(
      over: &memory, length: UInt64(memory.count), helper: NativeContext.conformanceHelper(),
      jumpsMax: Self.jumpsMax)
  }
}
