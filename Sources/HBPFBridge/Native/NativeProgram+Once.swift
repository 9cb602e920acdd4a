import DPUCore

extension NativeProgram {
  /// Runs the code once, with a stack of its own: r1 is where `memory` begins, r2 is `length`. For
  /// tools and tests; filters keep their memory in a `FilterMachine`.
  package func runOnce(
    over memory: inout [UInt8], length: UInt64, helper: UInt64 = 0, jumpsMax: Int
  ) -> Outcome {
    let stack = FixedArray<UInt8>(
      repeating: 0, count: HBPFLimits.stackBytes * HBPFLimits.callDepth)
    let count = memory.count
    return unsafe memory.withUnsafeMutableBytes { bytes in
      var context = NativeContext()
      let start = count > 0 ? UInt64(UInt(bitPattern: bytes.baseAddress!)) : 0
      context.arguments[0] = start
      context.arguments[1] = length
      context.dataStart = start
      context.dataBytes = UInt64(count)
      context.stackStart = UInt64(stack.hostAddress)
      context.stackBytes = UInt64(stack.count)
      context.stackTop = context.stackStart + context.stackBytes
      context.budget = Int64(jumpsMax)
      context.callsLeft = Int64(HBPFLimits.callDepth - 1)
      context.helper = helper
      return run(&context)
    }
  }
}
