/// The fields of an opcode byte (RFC 9669, section 3).
package enum OpcodeClass: UInt8, Sendable {
  case load = 0
  case loadRegister = 1
  case storeImmediate = 2
  case storeRegister = 3
  case arithmetic32 = 4
  case jump64 = 5
  case jump32 = 6
  case arithmetic64 = 7
}

/// Operations of the two arithmetic classes: the upper four bits of the opcode (section 4.1).
package enum ArithmeticOperation: UInt8, Sendable {
  case add = 0x0
  case subtract = 0x1
  case multiply = 0x2
  case divide = 0x3
  case or = 0x4
  case and = 0x5
  case shiftLeft = 0x6
  case shiftRight = 0x7
  case negate = 0x8
  case modulo = 0x9
  case xor = 0xa
  case move = 0xb
  case shiftRightSigned = 0xc
  case byteSwap = 0xd
}

/// Operations of the two jump classes (section 4.3).
package enum JumpOperation: UInt8, Sendable {
  case always = 0x0
  case equal = 0x1
  case greater = 0x2
  case greaterOrEqual = 0x3
  case anyBitSet = 0x4
  case notEqual = 0x5
  case greaterSigned = 0x6
  case greaterOrEqualSigned = 0x7
  case call = 0x8
  case exit = 0x9
  case less = 0xa
  case lessOrEqual = 0xb
  case lessSigned = 0xc
  case lessOrEqualSigned = 0xd
}

/// How wide a load or store is: bits 3 and 4 of the opcode (section 5).
package enum AccessWidth: UInt8, Sendable {
  case word = 0
  case halfWord = 1
  case byte = 2
  case doubleWord = 3

  package var byteCount: Int {
    switch self {
    case .byte: 1
    case .halfWord: 2
    case .word: 4
    case .doubleWord: 8
    }
  }
}

/// How a load or store finds its address: the upper three bits of the opcode (section 5).
package enum AccessMode: UInt8, Sendable {
  case immediate = 0
  /// Legacy packet access, not offered (section 5.5).
  case absolute = 1, indirect = 2
  case memory = 3
  case memorySignExtended = 4
  case atomic = 6
}

/// Atomic operations, in the immediate (section 5.3).
package enum AtomicOperation {
  package static let add: Int32 = 0x00
  package static let or: Int32 = 0x40
  package static let and: Int32 = 0x50
  package static let xor: Int32 = 0xa0
  /// The old value comes back in the source register.
  package static let fetch: Int32 = 0x01
  package static let exchange: Int32 = 0xe1
  package static let compareExchange: Int32 = 0xf1
}
