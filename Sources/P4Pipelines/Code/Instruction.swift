/// One step of a compiled program, run over all packets of a mask before the next one is looked
/// at. Plain memory of forty bytes; which operand means what stands with each `Opcode`.
package struct Instruction: BitwiseCopyable, Sendable {
  package var opcode: Opcode
  package var shift: UInt8 = 0
  package var size: UInt8 = 0
  package var d: UInt32 = 0
  package var a: UInt32 = 0
  package var b: UInt32 = 0
  package var c: UInt32 = 0
  package var e: UInt32 = 0
  package var immediate: UInt64 = 0
  package var mask: UInt64 = ~0

  /// An operand that names nothing.
  package static let none = UInt32.max

  package init(
    _ opcode: Opcode, d: Int = 0, a: Int = 0, b: Int = 0, c: Int = 0, e: Int = 0, shift: Int = 0,
    size: Int = 0, immediate: UInt64 = 0, mask: UInt64 = ~0
  ) {
    self.opcode = opcode
    self.shift = UInt8(truncatingIfNeeded: shift)
    self.size = UInt8(truncatingIfNeeded: size)
    self.d = UInt32(truncatingIfNeeded: d)
    self.a = UInt32(truncatingIfNeeded: a)
    self.b = UInt32(truncatingIfNeeded: b)
    self.c = UInt32(truncatingIfNeeded: c)
    self.e = UInt32(truncatingIfNeeded: e)
    self.immediate = immediate
    self.mask = mask
  }
}
