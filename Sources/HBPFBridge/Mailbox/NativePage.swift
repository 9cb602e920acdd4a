import DPUCore

/// The layout of our own gateware (docs/ebpf-registers.md): registers of 64 bits, two rings, packet
/// slots.
enum NativePage {
  /// `DPUEBPF1`
  static let magicWord: UInt64 = 0x3146_5042_4555_5044
  static let majorVersion = 1

  enum Register {
    static let magic = 0x000, version = 0x008, capabilities = 0x010, control = 0x018
    static let status = 0x020, capabilities2 = 0x028, programLength = 0x030
    static let programChecksum = 0x038, programGeneration = 0x040, activeGeneration = 0x048
    static let submitTail = 0x050, submitHead = 0x058, completionHead = 0x060
    static let completionTail = 0x068, instructionLimit = 0x070, coreEnable = 0x078
    static let coreReset = 0x080, coreHBPF = 0x088, refused = 0x098, clock = 0x0a0
    static let core = 0x100, coreBytes = 0x40
  }

  enum Control {
    static let run: UInt64 = 1, reset: UInt64 = 2, inOrder: UInt64 = 4
  }

  enum Status {
    static let idle: UInt64 = 1
    static func program(_ status: UInt64) -> UInt64 { status >> 2 & 3 }
    static func refusal(_ status: UInt64) -> Int { Int(status >> 8 & 0xff) }
    static let checking: UInt64 = 1, active: UInt64 = 2, refused: UInt64 = 3
  }

  enum Ring {
    static let submit = 0x1000, completion = 0x2000, entries = 256, entryBytes = 16
  }

  static let programMemory = 0x8000
  /// Where the second of two programs of at most so many rows begins.
  static let halfRows = 2_048
  static let slots = 0x10000, slotBytes = 0x800, slotsMax = 32
  static let byteCount = 0x40000
}

/// What a device says of itself.
package struct NativeCapabilities: Equatable, BitwiseCopyable, Sendable {
  package var major = 0
  package var minor = 0
  package var cores = 0
  package var slotsPerCore = 0
  package var programRows = 0
  /// Bits as in the register: 0 base32 ... 8 local calls.
  package var instructionSet: UInt16 = 0

  /// Of a device that was not asked yet.
  init() {}

  init(version: UInt64, word: UInt64) throws(DeviceFault) {
    major = Int(version >> 16 & 0xffff)
    minor = Int(version & 0xffff)
    cores = Int(word & 0xff)
    slotsPerCore = Int(word >> 8 & 0xff)
    programRows = Int(word >> 16 & 0xffff)
    instructionSet = UInt16(truncatingIfNeeded: word >> 48)
    guard major == NativePage.majorVersion else {
      throw .unknownVersion(major: major, minor: minor)
    }
    guard (1...8).contains(cores), slotsPerCore > 0,
      cores * slotsPerCore <= NativePage.slotsMax, programRows >= NativePage.halfRows,
      word >> 32 & 0xff == 8
    else { throw .badCapabilities(word) }
  }

  /// What programs may do there.
  package var target: VerifierTarget {
    var target = VerifierTarget.fpga
    target.instructionsMax = min(HBPFLimits.instructions, programRows)
    target.hasAtomics = instructionSet & 0x30 == 0x30
    target.hasVersion4 = instructionSet & 0x40 != 0
    target.hasJump32 = instructionSet & 0x80 != 0
    target.hasLocalCalls = instructionSet & 0x100 != 0
    return target
  }
}
