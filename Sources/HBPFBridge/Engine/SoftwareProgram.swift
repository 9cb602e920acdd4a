import DPUCore

/// A well-formed program made ready for the interpreter. Made once, run often.
package struct SoftwareProgram: ~Copyable {
  private var instructions: FixedArray<DecodedInstruction>

  /// Refuses what RFC 9669 does not define. `isProved`: the verifier has accepted it, and it is only
  /// for `Interpreter.runProved`.
  package init(_ program: Span<Instruction>, isProved: Bool = false) throws(ProgramFault) {
    var decoded = try Decoder.decode(program)
    if isProved { decoded = Fusion.fuse(decoded) }
    // A well-formed program has a first instruction.
    instructions = FixedArray(repeating: decoded[0], count: decoded.count)
    for index in decoded.indices { instructions[index] = decoded[index] }
  }

  /// All instructions. Every jump was seen to land among them, and the last one does not go on.
  var code: Span<DecodedInstruction> {
    @_lifetime(borrow self)
    borrowing get { instructions.span }
  }
}
