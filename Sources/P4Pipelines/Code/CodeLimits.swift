/// How large a compiled program may become; a larger one is refused with `CompileError`.
package enum CodeLimits {
  /// Lanes of a packet. 64 packets times 1,024 lanes are 512 KB: beyond that the second-level cache
  /// would no longer hold a batch.
  package static let lanes = 1_024
  /// Mask registers.
  package static let masks = 4_096
  /// Header bytes of a packet. A packet of 9 KB may consist of headers entirely, and stacks double it.
  package static let headerBytes = 16_384
  /// Bits of a value in wide arithmetic; longer ones are refused (shifts to the left by an unknown
  /// distance are cut to the width of where they are stored).
  package static let wideBits = 8_192
  package static let instructions = 1 << 20
  package static let blocks = 1 << 16
  /// Runs of parser blocks in one `parse`: a loop that never advances ends here, and its packets are
  /// dropped.
  package static let parserSteps = 4_096
  /// Copies of one parser state, and of all together, for different positions in the packet. Loops
  /// over the usual stacks of up to ten labels unroll whole.
  package static let copiesPerState = 16
  package static let stateCopies = 256
  /// Distinct actions of one table.
  package static let actionsPerTable = 255
}
