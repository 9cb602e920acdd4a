package import DPUCore

/// Why a program is refused, and at which instruction.
package struct ProgramFault: Error, Equatable, Sendable {
  /// Counted in eight-byte slots from zero, as jump offsets and disassemblers count.
  package var instruction: Int
  package var reason: Text

  package init(at instruction: Int, _ reason: Text) {
    self.instruction = instruction
    self.reason = reason
  }

  package var text: Text { "instruction \(instruction): \(reason)" }
}
