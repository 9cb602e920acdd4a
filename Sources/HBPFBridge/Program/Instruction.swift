import DPUCore

/// One eBPF instruction of eight bytes (RFC 9669, section 3.1), little-endian as object files of
/// the `bpf` target hold it.
package struct Instruction: Equatable, BitwiseCopyable, Sendable {
  package static let byteCount = 8

  package var opcode: UInt8
  package var destination: UInt8
  package var source: UInt8
  package var offset: Int16
  package var immediate: Int32

  package init(
    opcode: UInt8, destination: UInt8 = 0, source: UInt8 = 0, offset: Int16 = 0,
    immediate: Int32 = 0
  ) {
    self.opcode = opcode
    self.destination = destination
    self.source = source
    self.offset = offset
    self.immediate = immediate
  }

  /// The instruction at `offset` of `bytes`, which must hold eight bytes there.
  package init(_ bytes: RawSpan, at offset: Int) {
    opcode = bytes.byte(at: offset)
    destination = bytes.byte(at: offset + 1) & 0x0f
    source = bytes.byte(at: offset + 1) >> 4
    self.offset = Int16(bitPattern: bytes.leUInt16(at: offset + 2))
    immediate = Int32(bitPattern: bytes.leUInt32(at: offset + 4))
  }

  package var opcodeClass: OpcodeClass { OpcodeClass(rawValue: opcode & 7)! }

  /// Whether the second operand of an arithmetic or jump instruction is a register.
  package var usesRegister: Bool { opcode & 0x08 != 0 }

  package var arithmetic: ArithmeticOperation? { ArithmeticOperation(rawValue: opcode >> 4) }
  package var jump: JumpOperation? { JumpOperation(rawValue: opcode >> 4) }
  package var width: AccessWidth { AccessWidth(rawValue: opcode >> 3 & 3)! }
  package var mode: AccessMode? { AccessMode(rawValue: opcode >> 5) }

  /// The load of 64 bits that takes two instructions (section 5.4).
  package var isWideLoad: Bool { opcode == 0x18 }
  package var isExit: Bool { opcode == 0x95 }
  /// A call of a helper, a local function, or a helper named by a register.
  package var isCall: Bool { opcode == 0x85 || opcode == 0x8d }
  package var isLocalCall: Bool { opcode == 0x85 && source == CallKind.local }
  /// `ja` with 16 bits of offset, or `gotol` with 32.
  package var isUnconditionalJump: Bool { opcode == 0x05 || opcode == 0x06 }

  /// Instructions between the next one and the target of a jump or local call.
  package var jumpDistance: Int {
    opcode == 0x06 || isCall ? Int(immediate) : Int(offset)
  }
}

/// What the source field of a call means (section 4.3.1).
package enum CallKind {
  package static let helper: UInt8 = 0
  package static let local: UInt8 = 1
  package static let helperByType: UInt8 = 2
}

/// What the source field of a wide load means (section 5.4).
package enum WideLoadKind {
  package static let value: UInt8 = 0
  package static let mapDescriptor: UInt8 = 1
  package static let mapValue: UInt8 = 2
  package static let variable: UInt8 = 3
  package static let code: UInt8 = 4
  package static let mapByIndex: UInt8 = 5
  package static let mapValueByIndex: UInt8 = 6
}
