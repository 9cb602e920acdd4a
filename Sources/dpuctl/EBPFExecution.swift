import DPUCore
import HBPFBridge

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
    var stack = [UInt8](repeating: 0, count: HBPFLimits.stackBytes * HBPFLimits.callDepth)
    let native = NativeProgram(code, at: address)
    let count = memory.count
    return memory.withUnsafeMutableBytes { bytes in
      stack.withUnsafeMutableBytes { stack in
        var context = NativeContext()
        let start = count > 0 ? UInt64(UInt(bitPattern: bytes.baseAddress!)) : 0
        context.arguments[0] = start
        context.arguments[1] = UInt64(count)
        context.dataStart = start
        context.dataBytes = UInt64(count)
        context.stackStart = UInt64(UInt(bitPattern: stack.baseAddress!))
        context.stackBytes = UInt64(stack.count)
        context.stackTop = context.stackStart + context.stackBytes
        context.budget = Int64(Self.jumpsMax)
        context.callsLeft = Int64(HBPFLimits.callDepth - 1)
        context.helper = Self.helper
        return native.run(&context)
      }
    }
  }

  /// The address of a C function that compiled code calls for helpers.
  private static var helper: UInt64 {
    let function:
      @convention(c) (
        UnsafeMutableRawPointer, UInt32, UInt64, UInt64, UInt64, UInt64, UInt64
      ) -> UInt64 = { context, number, r1, r2, r3, r4, r5 in
        let context = context.assumingMemoryBound(to: NativeContext.self)
        // Addresses of the program are those of the process.
        var memory = GuestMemory()
        for (start, count) in [
          (context.pointee.dataStart, context.pointee.dataBytes),
          (context.pointee.stackStart, context.pointee.stackBytes),
        ] {
          memory.add(
            MemoryRegion(start: start, count: Int(count), host: UInt(start), isWritable: true))
        }
        var helpers = ConformanceHelpers()
        switch helpers.call(number, r1, r2, r3, r4, r5, memory: memory) {
        case .value(let value): return value
        case .end(let value):
          context.pointee.ended = 1
          return value
        case .unknown:
          context.pointee.faultKind = UInt64(RuntimeFault.Kind.unknownHelper.rawValue)
          return 0
        }
      }
    return UInt64(UInt(bitPattern: unsafeBitCast(function, to: Int.self)))
  }
}
