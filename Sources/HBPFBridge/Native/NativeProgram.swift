import DPUCore

/// Memory that may hold machine code: written first, then made executable, never both at once.
package protocol CodeMemory: ~Copyable {
  /// Copies `code` to fresh memory and makes that executable and read-only. Nil when the system
  /// does not give any.
  mutating func install(_ code: Span<UInt8>) -> UInt?
  /// Gives back what `install` returned.
  mutating func remove(_ address: UInt, byteCount: Int)
}

/// Compiled code where it can run.
@safe @frozen
package struct NativeProgram: BitwiseCopyable {
  @usableFromInline
  typealias Entry = @convention(c) (UInt64, UInt64, UnsafeMutableRawPointer) -> UInt64

  package let address: UInt
  package let byteCount: Int
  @usableFromInline let canFault: Bool

  /// `code` must lie at `address`, executable, as long as the program is used.
  package init(_ code: NativeCode, at address: UInt) {
    self.address = address
    byteCount = code.bytes.count
    canFault = code.canFault
  }

  /// Whether this build has an emitter for the machine it runs on.
  package static func compile(
    _ program: [Instruction], _ mode: NativeMode
  ) throws(ProgramFault) -> NativeCode {
    #if arch(x86_64)
      return try X86Compiler.compile(program, mode)
    #elseif arch(arm64)
      return try Arm64Compiler.compile(program, mode)
    #endif
  }

  // Inlinable: a filter takes a few nanoseconds, and a call is one of them.
  /// Runs the code. In proved code the caller vouches for what the verifier took as given: the
  /// memory at r1, the range of r2, a stack.
  @inlinable
  package func run(_ context: inout NativeContext) -> Outcome {
    // The emitters write functions of just this kind.
    let entry = unsafe unsafeBitCast(address, to: Entry.self)
    let r1 = context.arguments[0]
    let r2 = context.arguments[1]
    if canFault {
      context.faultKind = 0
      context.ended = 0
    }
    let result = unsafe withUnsafeMutablePointer(to: &context) {
      unsafe entry(r1, r2, UnsafeMutableRawPointer($0))
    }
    if !canFault { return .exit(result) }
    guard context.faultKind == 0 else {
      let kind = RuntimeFault.Kind(rawValue: UInt8(truncatingIfNeeded: context.faultKind))
      return .fault(
        RuntimeFault(kind ?? .outOfBounds, instruction: Int(context.faultInstruction)))
    }
    return .exit(result)
  }
}
