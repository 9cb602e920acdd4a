import DPUCore

/// Whether each instruction is one that RFC 9669 defines, with every unused field zero, every
/// register in range, and every jump inside the program. Says nothing of what the program does.
package enum WellFormed {
  /// Refuses with the first fault from the front.
  package static func check(_ program: Span<Instruction>) throws(ProgramFault) {
    guard program.count > 0 else { throw ProgramFault(at: 0, "the program is empty") }
    guard program.count <= HBPFLimits.instructions else {
      throw ProgramFault(
        at: HBPFLimits.instructions,
        "the program is longer than \(HBPFLimits.instructions) instructions")
    }
    var isSecondHalf = [Bool](repeating: false, count: program.count)
    var index = 0
    while index < program.count {
      if program[index].isWideLoad, index + 1 < program.count { isSecondHalf[index + 1] = true }
      index += program[index].isWideLoad ? 2 : 1
    }
    index = 0
    while index < program.count {
      let instruction = program[index]
      try check(instruction, at: index)
      if instruction.isWideLoad {
        try checkWideLoad(program, at: index)
        index += 1
      } else if let target = target(of: instruction, at: index) {
        guard target >= 0, target < program.count else {
          throw ProgramFault(at: index, "jumps to instruction \(target), outside the program")
        }
        guard !isSecondHalf[target] else {
          throw ProgramFault(at: index, "jumps into the middle of the wide load before \(target)")
        }
      }
      index += 1
    }
    let last = program[program.count - 1]
    guard isSecondHalf[program.count - 1] == false, last.isExit || last.isUnconditionalJump else {
      throw ProgramFault(
        at: program.count - 1, "the program runs on past its last instruction")
    }
  }

  private static func target(of instruction: Instruction, at index: Int) -> Int? {
    switch instruction.opcodeClass {
    case .jump64, .jump32:
      if instruction.isExit || (instruction.isCall && !instruction.isLocalCall) { return nil }
      return index + 1 + instruction.jumpDistance
    default: return nil
    }
  }

  private static func checkWideLoad(
    _ program: Span<Instruction>, at index: Int
  ) throws(ProgramFault) {
    guard index + 1 < program.count else {
      throw ProgramFault(at: index, "the second half of the wide load is missing")
    }
    let second = program[index + 1]
    guard second.opcode == 0, second.destination == 0, second.source == 0, second.offset == 0
    else {
      throw ProgramFault(at: index + 1, "the second half of a wide load must be zero but for imm")
    }
  }

  // MARK: One instruction

  /// One instruction by itself: nothing of where it jumps to, nothing of the second half of a wide
  /// load. `index` is for the report.
  package static func check(_ instruction: Instruction, at index: Int) throws(ProgramFault) {
    guard instruction.destination <= 10 else {
      throw ProgramFault(at: index, "there is no register r\(instruction.destination)")
    }
    switch instruction.opcodeClass {
    case .arithmetic32, .arithmetic64: try checkArithmetic(instruction, at: index)
    case .jump64, .jump32: try checkJump(instruction, at: index)
    case .load: try checkLoad(instruction, at: index)
    case .loadRegister, .storeImmediate, .storeRegister: try checkMemory(instruction, at: index)
    }
  }

  private static func checkArithmetic(
    _ instruction: Instruction, at index: Int
  ) throws(ProgramFault) {
    guard let operation = instruction.arithmetic else { throw undefined(instruction, at: index) }
    try checkWritable(instruction.destination, at: index)
    let is64 = instruction.opcodeClass == .arithmetic64
    switch operation {
    case .negate:
      guard !instruction.usesRegister else { throw undefined(instruction, at: index) }
      try unused(instruction, source: true, offset: true, immediate: true, at: index)
    case .byteSwap:
      // The source bit chooses the order; with 64 bits it is an unconditional swap, without it.
      guard !(is64 && instruction.usesRegister) else { throw undefined(instruction, at: index) }
      try unused(instruction, source: true, offset: true, at: index)
      guard
        instruction.immediate == 16 || instruction.immediate == 32
          || instruction.immediate == 64
      else {
        throw ProgramFault(at: index, "swaps \(instruction.immediate) bits, not 16, 32 or 64")
      }
    default:
      if instruction.usesRegister {
        try checkSource(instruction, at: index)
        try unused(instruction, immediate: true, at: index)
      } else {
        try unused(instruction, source: true, at: index)
      }
      switch operation {
      case .divide, .modulo:
        guard instruction.offset == 0 || instruction.offset == 1 else {
          throw ProgramFault(at: index, "offset \(instruction.offset) of a division: 0 or 1")
        }
      case .move where instruction.usesRegister:
        let offset = instruction.offset
        guard offset == 0 || offset == 8 || offset == 16 || (offset == 32 && is64) else {
          throw ProgramFault(at: index, "moves with sign from \(offset) bits")
        }
      default: try unused(instruction, offset: true, at: index)
      }
    }
  }

  private static func checkJump(_ instruction: Instruction, at index: Int) throws(ProgramFault) {
    guard let operation = instruction.jump else { throw undefined(instruction, at: index) }
    let is64 = instruction.opcodeClass == .jump64
    switch operation {
    case .always:
      guard !instruction.usesRegister else { throw undefined(instruction, at: index) }
      try unused(
        instruction, destination: true, source: true, offset: !is64, immediate: is64, at: index)
    case .call:
      guard is64 else { throw undefined(instruction, at: index) }
      if instruction.usesRegister {
        try unused(instruction, source: true, offset: true, immediate: true, at: index)
      } else {
        try unused(instruction, destination: true, offset: true, at: index)
        guard instruction.source <= CallKind.helperByType else {
          throw ProgramFault(at: index, "there is no call of kind \(instruction.source)")
        }
      }
    case .exit:
      guard is64, !instruction.usesRegister else { throw undefined(instruction, at: index) }
      try unused(
        instruction, destination: true, source: true, offset: true, immediate: true, at: index)
    default:
      if instruction.usesRegister {
        try checkSource(instruction, at: index)
        try unused(instruction, immediate: true, at: index)
      } else {
        try unused(instruction, source: true, at: index)
      }
    }
  }

  private static func checkLoad(_ instruction: Instruction, at index: Int) throws(ProgramFault) {
    guard instruction.isWideLoad else { throw undefined(instruction, at: index) }
    try checkWritable(instruction.destination, at: index)
    try unused(instruction, offset: true, at: index)
    guard instruction.source <= WideLoadKind.mapValueByIndex else {
      throw ProgramFault(at: index, "there is no wide load of kind \(instruction.source)")
    }
  }

  private static func checkMemory(_ instruction: Instruction, at index: Int) throws(ProgramFault) {
    guard let mode = instruction.mode else { throw undefined(instruction, at: index) }
    switch (instruction.opcodeClass, mode) {
    case (.loadRegister, .memory):
      try checkWritable(instruction.destination, at: index)
      try checkSource(instruction, at: index)
      try unused(instruction, immediate: true, at: index)
    case (.loadRegister, .memorySignExtended):
      guard instruction.width != .doubleWord else { throw undefined(instruction, at: index) }
      try checkWritable(instruction.destination, at: index)
      try checkSource(instruction, at: index)
      try unused(instruction, immediate: true, at: index)
    case (.storeImmediate, .memory):
      try unused(instruction, source: true, at: index)
    case (.storeRegister, .memory):
      try checkSource(instruction, at: index)
      try unused(instruction, immediate: true, at: index)
    case (.storeRegister, .atomic):
      guard instruction.width == .word || instruction.width == .doubleWord else {
        throw undefined(instruction, at: index)
      }
      try checkSource(instruction, at: index)
      try checkAtomic(instruction, at: index)
    default: throw undefined(instruction, at: index)
    }
  }

  private static func checkAtomic(_ instruction: Instruction, at index: Int) throws(ProgramFault) {
    let operation = instruction.immediate
    switch operation {
    case AtomicOperation.add, AtomicOperation.or, AtomicOperation.and, AtomicOperation.xor,
      AtomicOperation.compareExchange:
      break
    case AtomicOperation.add | AtomicOperation.fetch, AtomicOperation.or | AtomicOperation.fetch,
      AtomicOperation.and | AtomicOperation.fetch, AtomicOperation.xor | AtomicOperation.fetch,
      AtomicOperation.exchange:
      try checkWritable(instruction.source, at: index)
    default: throw ProgramFault(at: index, "there is no atomic operation \(operation)")
    }
  }

  // MARK: Pieces

  private static func checkWritable(_ register: UInt8, at index: Int) throws(ProgramFault) {
    guard register < 10 else { throw ProgramFault(at: index, "r10 is read-only") }
  }

  private static func checkSource(
    _ instruction: Instruction, at index: Int
  ) throws(ProgramFault) {
    guard instruction.source <= 10 else {
      throw ProgramFault(at: index, "there is no register r\(instruction.source)")
    }
  }

  /// RFC 9669, section 3.2: unused fields must be zero.
  private static func unused(
    _ instruction: Instruction, destination: Bool = false, source: Bool = false,
    offset: Bool = false, immediate: Bool = false, at index: Int
  ) throws(ProgramFault) {
    guard !destination || instruction.destination == 0 else {
      throw ProgramFault(at: index, "the destination register is not used and must be 0")
    }
    guard !source || instruction.source == 0 else {
      throw ProgramFault(at: index, "the source register is not used and must be 0")
    }
    guard !offset || instruction.offset == 0 else {
      throw ProgramFault(at: index, "the offset is not used and must be 0")
    }
    guard !immediate || instruction.immediate == 0 else {
      throw ProgramFault(at: index, "the immediate is not used and must be 0")
    }
  }

  private static func undefined(_ instruction: Instruction, at index: Int) -> ProgramFault {
    var text: Text = "there is no opcode 0x"
    text.append(UInt64(instruction.opcode), radix: 16, width: 2)
    return ProgramFault(at: index, text)
  }
}
