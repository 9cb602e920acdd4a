import DPUCore

/// What the interpreter does, one case for each combination of operation, width and operand kind,
/// so that running it asks nothing twice.
enum Operation: UInt8 {
  // Second operand: immediate, register.
  case add64I, add64R, sub64I, sub64R, mul64I, mul64R, div64I, div64R, or64I, or64R
  case and64I, and64R, lsh64I, lsh64R, rsh64I, rsh64R, mod64I, mod64R, xor64I, xor64R
  case mov64I, mov64R, arsh64I, arsh64R, sdiv64I, sdiv64R, smod64I, smod64R
  case add32I, add32R, sub32I, sub32R, mul32I, mul32R, div32I, div32R, or32I, or32R
  case and32I, and32R, lsh32I, lsh32R, rsh32I, rsh32R, mod32I, mod32R, xor32I, xor32R
  case mov32I, mov32R, arsh32I, arsh32R, sdiv32I, sdiv32R, smod32I, smod32R
  case neg64, neg32
  case movsx8To64, movsx16To64, movsx32To64, movsx8To32, movsx16To32
  case le16, le32, be16, be32, be64, swap16, swap32, swap64
  /// `le64` and other things that change nothing.
  case nothing
  case load8, load16, load32, load64, load8S, load16S, load32S
  case store8I, store16I, store32I, store64I, store8R, store16R, store32R, store64R
  case atomicAdd32, atomicOr32, atomicAnd32, atomicXor32
  case atomicAdd64, atomicOr64, atomicAnd64, atomicXor64
  case atomicFetchAdd32, atomicFetchOr32, atomicFetchAnd32, atomicFetchXor32
  case atomicFetchAdd64, atomicFetchOr64, atomicFetchAnd64, atomicFetchXor64
  case exchange32, exchange64, compareExchange32, compareExchange64
  case jump
  case jeq64I, jeq64R, jne64I, jne64R, jgt64I, jgt64R, jge64I, jge64R, jlt64I, jlt64R
  case jle64I, jle64R, jset64I, jset64R, jsgt64I, jsgt64R, jsge64I, jsge64R, jslt64I, jslt64R
  case jsle64I, jsle64R
  case jeq32I, jeq32R, jne32I, jne32R, jgt32I, jgt32R, jge32I, jge32R, jlt32I, jlt32R
  case jle32I, jle32R, jset32I, jset32R, jsgt32I, jsgt32R, jsge32I, jsge32R, jslt32I, jslt32R
  case jsle32I, jsle32R
  case callHelper, callHelperRegister, callLocal, exit
  // Pairs, only in fused programs. A load and a jump that compares what was loaded with the
  // immediate, or with the register that the immediate names.
  case load8AndJne, load16AndJne, load32AndJne, load8AndJeq, load16AndJeq, load32AndJeq
  case load32AndJlt, load16AndJeqR, load16AndJneR, load32AndJeqR, load32AndJneR
  /// The offset goes to the destination, and a jump compares the source with the immediate.
  case movAndJne, movAndJeq, movAndJlt
  /// The destination is masked with the immediate, and a jump compares it with the offset.
  case andAndJne, andAndJeq
  /// The destination becomes the source and the immediate, or the register it names, together.
  case movAndAddI, movAndAddR, movAndAndI
}

/// One instruction made ready to run: sixteen bytes.
struct DecodedInstruction: BitwiseCopyable, Sendable {
  var operation: Operation
  var destination: UInt8
  var source: UInt8
  /// Offset of a memory access, or the index of the instruction that a jump goes to: a program has
  /// few enough.
  var offset: Int16
  /// Slot in the original program, for reports. Of a fused pair, which reports nothing, where its
  /// jump goes.
  var slot: UInt16 = 0
  /// Sign-extended; of a wide load all 64 bits.
  var immediate: UInt64

  init(
    _ operation: Operation, destination: UInt8 = 0, source: UInt8 = 0, offset: Int16 = 0,
    immediate: UInt64 = 0
  ) {
    self.operation = operation
    self.destination = destination
    self.source = source
    self.offset = offset
    self.immediate = immediate
  }

  /// What a memory access goes to when its register holds `base`.
  @inline(__always)
  func address(from base: UInt64) -> UInt64 { base &+ UInt64(bitPattern: Int64(offset)) }

  /// The end of a run at this instruction.
  func fault(_ kind: RuntimeFault.Kind) -> Outcome {
    .fault(RuntimeFault(kind, instruction: Int(slot)))
  }
}

/// Turns a well-formed program into the interpreter's form.
enum Decoder {
  static func decode(_ program: Span<Instruction>) throws(ProgramFault) -> [DecodedInstruction] {
    try WellFormed.check(program)
    // A wide load becomes one instruction, so jumps are counted anew.
    var place = [Int](repeating: 0, count: program.count)
    var count = 0
    var index = 0
    while index < program.count {
      place[index] = count
      count += 1
      index += program[index].isWideLoad ? 2 : 1
    }
    var result: [DecodedInstruction] = []
    result.reserveCapacity(count)
    index = 0
    while index < program.count {
      let instruction = program[index]
      var decoded: DecodedInstruction
      if instruction.isWideLoad {
        decoded = wideLoad(instruction, second: program[index + 1])
      } else {
        decoded = try operation(of: instruction, at: index)
        switch instruction.opcodeClass {
        case .jump64, .jump32:
          if !instruction.isExit && (!instruction.isCall || instruction.isLocalCall) {
            decoded.offset = Int16(place[index + 1 + instruction.jumpDistance])
          }
        default: break
        }
      }
      decoded.slot = UInt16(index)
      result.append(decoded)
      index += instruction.isWideLoad ? 2 : 1
    }
    return result
  }

  private static func wideLoad(
    _ first: Instruction, second: Instruction
  ) -> DecodedInstruction {
    let low = UInt64(UInt32(bitPattern: first.immediate))
    let high = UInt64(UInt32(bitPattern: second.immediate))
    return DecodedInstruction(
      .mov64I, destination: first.destination, immediate: high << 32 | low)
  }

  private static func operation(
    of instruction: Instruction, at index: Int
  ) throws(ProgramFault) -> DecodedInstruction {
    let operation: Operation?
    switch instruction.opcodeClass {
    case .arithmetic64: operation = arithmetic64(instruction)
    case .arithmetic32: operation = arithmetic32(instruction)
    case .jump64: operation = jump64(instruction)
    case .jump32: operation = jump32(instruction)
    case .load: operation = nil
    case .loadRegister: operation = load(instruction)
    case .storeImmediate, .storeRegister: operation = store(instruction)
    }
    guard let operation else { throw ProgramFault(at: index, "cannot be run in software") }
    return DecodedInstruction(
      operation, destination: instruction.destination, source: instruction.source,
      offset: instruction.offset,
      immediate: UInt64(bitPattern: Int64(instruction.immediate)))
  }

  private static func arithmetic64(_ i: Instruction) -> Operation? {
    let r = i.usesRegister
    switch i.arithmetic {
    case .add: return r ? .add64R : .add64I
    case .subtract: return r ? .sub64R : .sub64I
    case .multiply: return r ? .mul64R : .mul64I
    case .divide: return i.offset == 1 ? (r ? .sdiv64R : .sdiv64I) : (r ? .div64R : .div64I)
    case .or: return r ? .or64R : .or64I
    case .and: return r ? .and64R : .and64I
    case .shiftLeft: return r ? .lsh64R : .lsh64I
    case .shiftRight: return r ? .rsh64R : .rsh64I
    case .negate: return .neg64
    case .modulo: return i.offset == 1 ? (r ? .smod64R : .smod64I) : (r ? .mod64R : .mod64I)
    case .xor: return r ? .xor64R : .xor64I
    case .move:
      switch i.offset {
      case 8: return .movsx8To64
      case 16: return .movsx16To64
      case 32: return .movsx32To64
      default: return r ? .mov64R : .mov64I
      }
    case .shiftRightSigned: return r ? .arsh64R : .arsh64I
    case .byteSwap: return i.immediate == 16 ? .swap16 : i.immediate == 32 ? .swap32 : .swap64
    case nil: return nil
    }
  }

  private static func arithmetic32(_ i: Instruction) -> Operation? {
    let r = i.usesRegister
    switch i.arithmetic {
    case .add: return r ? .add32R : .add32I
    case .subtract: return r ? .sub32R : .sub32I
    case .multiply: return r ? .mul32R : .mul32I
    case .divide: return i.offset == 1 ? (r ? .sdiv32R : .sdiv32I) : (r ? .div32R : .div32I)
    case .or: return r ? .or32R : .or32I
    case .and: return r ? .and32R : .and32I
    case .shiftLeft: return r ? .lsh32R : .lsh32I
    case .shiftRight: return r ? .rsh32R : .rsh32I
    case .negate: return .neg32
    case .modulo: return i.offset == 1 ? (r ? .smod32R : .smod32I) : (r ? .mod32R : .mod32I)
    case .xor: return r ? .xor32R : .xor32I
    case .move:
      switch i.offset {
      case 8: return .movsx8To32
      case 16: return .movsx16To32
      default: return r ? .mov32R : .mov32I
      }
    case .shiftRightSigned: return r ? .arsh32R : .arsh32I
    case .byteSwap:
      if r { return i.immediate == 16 ? .be16 : i.immediate == 32 ? .be32 : .be64 }
      return i.immediate == 16 ? .le16 : i.immediate == 32 ? .le32 : .nothing
    case nil: return nil
    }
  }

  private static func jump64(_ i: Instruction) -> Operation? {
    let r = i.usesRegister
    switch i.jump {
    case .always: return .jump
    case .equal: return r ? .jeq64R : .jeq64I
    case .greater: return r ? .jgt64R : .jgt64I
    case .greaterOrEqual: return r ? .jge64R : .jge64I
    case .anyBitSet: return r ? .jset64R : .jset64I
    case .notEqual: return r ? .jne64R : .jne64I
    case .greaterSigned: return r ? .jsgt64R : .jsgt64I
    case .greaterOrEqualSigned: return r ? .jsge64R : .jsge64I
    case .less: return r ? .jlt64R : .jlt64I
    case .lessOrEqual: return r ? .jle64R : .jle64I
    case .lessSigned: return r ? .jslt64R : .jslt64I
    case .lessOrEqualSigned: return r ? .jsle64R : .jsle64I
    case .call:
      if r { return .callHelperRegister }
      return i.source == CallKind.local ? .callLocal : .callHelper
    case .exit: return .exit
    case nil: return nil
    }
  }

  private static func jump32(_ i: Instruction) -> Operation? {
    let r = i.usesRegister
    switch i.jump {
    case .always: return .jump
    case .equal: return r ? .jeq32R : .jeq32I
    case .greater: return r ? .jgt32R : .jgt32I
    case .greaterOrEqual: return r ? .jge32R : .jge32I
    case .anyBitSet: return r ? .jset32R : .jset32I
    case .notEqual: return r ? .jne32R : .jne32I
    case .greaterSigned: return r ? .jsgt32R : .jsgt32I
    case .greaterOrEqualSigned: return r ? .jsge32R : .jsge32I
    case .less: return r ? .jlt32R : .jlt32I
    case .lessOrEqual: return r ? .jle32R : .jle32I
    case .lessSigned: return r ? .jslt32R : .jslt32I
    case .lessOrEqualSigned: return r ? .jsle32R : .jsle32I
    case .call, .exit, nil: return nil
    }
  }

  private static func load(_ i: Instruction) -> Operation {
    let signed = i.mode == .memorySignExtended
    switch i.width {
    case .byte: return signed ? .load8S : .load8
    case .halfWord: return signed ? .load16S : .load16
    case .word: return signed ? .load32S : .load32
    case .doubleWord: return .load64
    }
  }

  private static func store(_ i: Instruction) -> Operation? {
    if i.mode == .atomic { return atomic(i) }
    let r = i.opcodeClass == .storeRegister
    switch i.width {
    case .byte: return r ? .store8R : .store8I
    case .halfWord: return r ? .store16R : .store16I
    case .word: return r ? .store32R : .store32I
    case .doubleWord: return r ? .store64R : .store64I
    }
  }

  private static func atomic(_ i: Instruction) -> Operation? {
    let is64 = i.width == .doubleWord
    switch i.immediate {
    case AtomicOperation.add: return is64 ? .atomicAdd64 : .atomicAdd32
    case AtomicOperation.or: return is64 ? .atomicOr64 : .atomicOr32
    case AtomicOperation.and: return is64 ? .atomicAnd64 : .atomicAnd32
    case AtomicOperation.xor: return is64 ? .atomicXor64 : .atomicXor32
    case AtomicOperation.add | AtomicOperation.fetch:
      return is64 ? .atomicFetchAdd64 : .atomicFetchAdd32
    case AtomicOperation.or | AtomicOperation.fetch:
      return is64 ? .atomicFetchOr64 : .atomicFetchOr32
    case AtomicOperation.and | AtomicOperation.fetch:
      return is64 ? .atomicFetchAnd64 : .atomicFetchAnd32
    case AtomicOperation.xor | AtomicOperation.fetch:
      return is64 ? .atomicFetchXor64 : .atomicFetchXor32
    case AtomicOperation.exchange: return is64 ? .exchange64 : .exchange32
    case AtomicOperation.compareExchange: return is64 ? .compareExchange64 : .compareExchange32
    default: return nil
    }
  }
}
