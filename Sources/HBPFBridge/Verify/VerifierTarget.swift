package import DPUCore

/// What a program may count on where it is to run.
package struct VerifierTarget: Sendable {
  package var name: Text
  package var instructionsMax: Int
  /// Bytes of the memory that r1 points to.
  package var dataBytes: Int
  /// r2 lies between zero and this.
  package var packetBytesMax: Int
  package var hasStack: Bool
  /// Jumps that compare 32 bits.
  package var hasJump32: Bool
  package var hasAtomics: Bool
  /// Sign-extending moves and loads, signed division, unconditional swaps, long jumps.
  package var hasVersion4: Bool
  package var hasLocalCalls: Bool
  /// Numbers of the helpers that may be called.
  package var helpers: [UInt32]
  /// Whether maps must lie in the state behind the packet.
  package var mapsInStateOnly: Bool

  package init(
    name: Text, instructionsMax: Int, dataBytes: Int = HBPFLimits.dataBytes,
    packetBytesMax: Int = HBPFLimits.stateOffset, hasStack: Bool, hasJump32: Bool,
    hasAtomics: Bool, hasVersion4: Bool, hasLocalCalls: Bool, helpers: [UInt32],
    mapsInStateOnly: Bool = true
  ) {
    self.name = name
    self.instructionsMax = instructionsMax
    self.dataBytes = dataBytes
    self.packetBytesMax = packetBytesMax
    self.hasStack = hasStack
    self.hasJump32 = hasJump32
    self.hasAtomics = hasAtomics
    self.hasVersion4 = hasVersion4
    self.hasLocalCalls = hasLocalCalls
    self.helpers = helpers
    self.mapsInStateOnly = mapsInStateOnly
  }

  /// The interpreter and the compiled form.
  package static let software = VerifierTarget(
    name: "software", instructionsMax: HBPFLimits.instructions, hasStack: true, hasJump32: true,
    hasAtomics: true, hasVersion4: true, hasLocalCalls: true, helpers: Helper.numbers,
    mapsInStateOnly: false)

  /// Our own core in gateware. A lookup in an array is written out as instructions for it.
  package static let fpga = VerifierTarget(
    name: "fpga", instructionsMax: HBPFLimits.instructions, hasStack: true, hasJump32: true,
    hasAtomics: true, hasVersion4: true, hasLocalCalls: true, helpers: [Helper.lookup.rawValue])

  /// The published hBPF core: 512 instructions, no stack, 64-bit jumps only.
  package static let hBPF = VerifierTarget(
    name: "hbpf", instructionsMax: 512, hasStack: false, hasJump32: false, hasAtomics: false,
    hasVersion4: false, hasLocalCalls: false, helpers: [])
}
