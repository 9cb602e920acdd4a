import DPUCore

/// A well-formed program made ready for the interpreter. Made once, run often.
@safe
package struct SoftwareProgram: ~Copyable {
  private let instructions: UnsafeMutablePointer<DecodedInstruction>
  package let count: Int
  /// Bytes of stack that it may touch, from the top.
  let stackBytes: Int

  /// Refuses what RFC 9669 does not define.
  package init(_ program: Span<Instruction>) throws(ProgramFault) {
    let decoded = try Decoder.decode(program)
    count = decoded.count
    var usesStack = false
    var callsLocally = false
    for index in program.indices {
      let instruction = program[index]
      if instruction.isLocalCall { callsLocally = true }
      if instruction.destination == 10 || instruction.source == 10 { usesStack = true }
    }
    stackBytes =
      callsLocally
      ? HBPFLimits.stackBytes * HBPFLimits.callDepth : usesStack ? HBPFLimits.stackBytes : 0
    unsafe instructions = .allocate(capacity: decoded.count)
    for index in decoded.indices {
      unsafe (instructions + index).initialize(to: decoded[index])
    }
  }

  deinit { unsafe instructions.deallocate() }

  /// Not checked: control stays in the program, because every jump of a well-formed one lands in
  /// it and its last instruction is no other than an exit or a jump.
  @inline(__always)
  borrowing func instruction(_ index: Int) -> DecodedInstruction {
    assert(index >= 0 && index < count)
    return unsafe instructions[index]
  }
}
