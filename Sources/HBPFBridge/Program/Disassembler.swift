package import DPUCore

/// Writes instructions as LLVM's and the kernel's tools do: `r0 = *(u8 *)(r1 + 14)`,
/// `if w2 != 5 goto +3`. Numbers are decimal, jump distances counted in slots from the next one.
package enum Disassembler {
  /// One line for each instruction: its slot, its text, and a symbol's name before the slot it
  /// stands for. What RFC 9669 does not define is written as its bytes.
  package static func listing(
    _ program: Span<Instruction>, symbol: (Int) -> Text? = { _ in nil }
  ) -> Text {
    var result = Text()
    var index = 0
    while index < program.count {
      if let name = symbol(index) { result.append("\(name):\n" as Text) }
      var number = Text()
      number.append(index)
      for _ in number.bytes.count..<max(8, number.bytes.count) { result.append(byte: 0x20) }
      let second = index + 1 < program.count ? program[index + 1] : nil
      result.append("\(number): \(text(program[index], second: second))\n" as Text)
      index += program[index].isWideLoad && second != nil ? 2 : 1
    }
    return result
  }

  /// One instruction; `second` is the slot behind it, which a wide load needs.
  package static func text(_ instruction: Instruction, second: Instruction? = nil) -> Text {
    written(instruction, second: second) ?? unknown(instruction)
  }

  private static func written(_ instruction: Instruction, second: Instruction?) -> Text? {
    switch instruction.opcodeClass {
    case .arithmetic64, .arithmetic32: arithmetic(instruction)
    case .jump64, .jump32: jump(instruction)
    case .load: wideLoad(instruction, second: second)
    case .loadRegister: load(instruction)
    case .storeImmediate, .storeRegister: store(instruction)
    }
  }

  private static func unknown(_ instruction: Instruction) -> Text {
    var text: Text = ".byte"
    let offset = UInt16(bitPattern: instruction.offset)
    let immediate = UInt32(bitPattern: instruction.immediate)
    let bytes: [UInt8] = [
      instruction.opcode, instruction.source << 4 | instruction.destination & 0xf,
      UInt8(truncatingIfNeeded: offset), UInt8(truncatingIfNeeded: offset >> 8),
      UInt8(truncatingIfNeeded: immediate), UInt8(truncatingIfNeeded: immediate >> 8),
      UInt8(truncatingIfNeeded: immediate >> 16), UInt8(truncatingIfNeeded: immediate >> 24),
    ]
    for byte in bytes {
      text.append(" 0x" as StaticString)
      text.append(UInt64(byte), radix: 16, width: 2)
    }
    return text
  }

  // MARK: Operands

  private static func register(_ number: UInt8, _ is64: Bool) -> Text {
    is64 ? "r\(number)" : "w\(number)"
  }

  /// `r1 + 14`, `r10 - 8`.
  private static func place(_ base: UInt8, _ offset: Int16) -> Text {
    offset < 0 ? "r\(base) - \(Int(offset).magnitude)" : "r\(base) + \(offset)"
  }

  private static func distance(_ value: Int) -> Text { value < 0 ? "\(value)" : "+\(value)" }

  /// The second operand of an arithmetic or conditional jump instruction.
  private static func operand(_ instruction: Instruction, _ is64: Bool) -> Text {
    instruction.usesRegister
      ? register(instruction.source, is64) : "\(instruction.immediate)"
  }

  // MARK: Instructions

  private static func arithmetic(_ instruction: Instruction) -> Text? {
    let is64 = instruction.opcodeClass == .arithmetic64
    let target = register(instruction.destination, is64)
    let isSigned = instruction.offset == 1
    let sign: StaticString
    switch instruction.arithmetic {
    case .add: sign = "+="
    case .subtract: sign = "-="
    case .multiply: sign = "*="
    case .divide: sign = isSigned ? "s/=" : "/="
    case .modulo: sign = isSigned ? "s%=" : "%="
    case .or: sign = "|="
    case .and: sign = "&="
    case .xor: sign = "^="
    case .shiftLeft: sign = "<<="
    case .shiftRight: sign = ">>="
    case .shiftRightSigned: sign = "s>>="
    case .negate: return "\(target) = -\(target)"
    case .move:
      if instruction.usesRegister, instruction.offset != 0 {
        return "\(target) = (s\(instruction.offset))\(register(instruction.source, is64))"
      }
      sign = "="
    case .byteSwap:
      let whole = register(instruction.destination, true)
      let order: StaticString = is64 ? "bswap" : instruction.usesRegister ? "be" : "le"
      return "\(whole) = \(order)\(instruction.immediate) \(whole)"
    case nil: return nil
    }
    return "\(target) \(sign) \(operand(instruction, is64))"
  }

  private static func jump(_ instruction: Instruction) -> Text? {
    let is64 = instruction.opcodeClass == .jump64
    let sign: StaticString
    switch instruction.jump {
    case .always:
      return is64
        ? "goto \(distance(instruction.jumpDistance))"
        : "gotol \(distance(instruction.jumpDistance))"
    case .call: return is64 ? call(instruction) : nil
    case .exit: return is64 ? "exit" : nil
    case .equal: sign = "=="
    case .notEqual: sign = "!="
    case .greater: sign = ">"
    case .greaterOrEqual: sign = ">="
    case .less: sign = "<"
    case .lessOrEqual: sign = "<="
    case .anyBitSet: sign = "&"
    case .greaterSigned: sign = "s>"
    case .greaterOrEqualSigned: sign = "s>="
    case .lessSigned: sign = "s<"
    case .lessOrEqualSigned: sign = "s<="
    case nil: return nil
    }
    let target = register(instruction.destination, is64)
    let goal = distance(instruction.jumpDistance)
    return "if \(target) \(sign) \(operand(instruction, is64)) goto \(goal)"
  }

  /// A local call names its distance, a helper its number.
  private static func call(_ instruction: Instruction) -> Text {
    if instruction.usesRegister { return "callx r\(instruction.destination)" }
    return instruction.source == CallKind.local
      ? "call pc\(distance(instruction.jumpDistance))"
      : "call \(instruction.immediate)"
  }

  private static func wideLoad(_ instruction: Instruction, second: Instruction?) -> Text? {
    guard instruction.isWideLoad, let second else { return nil }
    let target = register(instruction.destination, true)
    let low = instruction.immediate
    switch instruction.source {
    case WideLoadKind.mapDescriptor, WideLoadKind.mapByIndex: return "\(target) = map[\(low)]"
    case WideLoadKind.mapValue, WideLoadKind.mapValueByIndex:
      return "\(target) = map[\(low)][0]+\(second.immediate)"
    default:
      let high = UInt64(UInt32(bitPattern: second.immediate)) << 32
      let value = Int64(bitPattern: high | UInt64(UInt32(bitPattern: low)))
      return "\(target) = \(value) ll"
    }
  }

  private static func width(_ instruction: Instruction, signed: Bool = false) -> Text {
    let bits = instruction.width.byteCount * 8
    return signed ? "s\(bits)" : "u\(bits)"
  }

  private static func load(_ instruction: Instruction) -> Text? {
    let isSigned = instruction.mode == .memorySignExtended
    guard instruction.mode == .memory || isSigned else { return nil }
    let target = register(instruction.destination, true)
    let source = place(instruction.source, instruction.offset)
    return "\(target) = *(\(width(instruction, signed: isSigned)) *)(\(source))"
  }

  private static func store(_ instruction: Instruction) -> Text? {
    let target = place(instruction.destination, instruction.offset)
    switch (instruction.opcodeClass, instruction.mode) {
    case (.storeImmediate, .memory):
      return "*(\(width(instruction)) *)(\(target)) = \(instruction.immediate)"
    case (.storeRegister, .memory):
      return "*(\(width(instruction)) *)(\(target)) = r\(instruction.source)"
    case (.storeRegister, .atomic): return atomic(instruction, target)
    default: return nil
    }
  }

  private static func atomic(_ instruction: Instruction, _ target: Text) -> Text? {
    let is64 = instruction.width == .doubleWord
    let source = register(instruction.source, is64)
    let memory = width(instruction)
    let name: StaticString
    let sign: StaticString
    switch instruction.immediate & ~AtomicOperation.fetch {
    case AtomicOperation.add: (name, sign) = ("add", "+=")
    case AtomicOperation.or: (name, sign) = ("or", "|=")
    case AtomicOperation.and: (name, sign) = ("and", "&=")
    case AtomicOperation.xor: (name, sign) = ("xor", "^=")
    case AtomicOperation.exchange & ~AtomicOperation.fetch:
      return is64
        ? "\(source) = xchg_64(\(target), \(source))"
        : "\(source) = xchg32_32(\(target), \(source))"
    case AtomicOperation.compareExchange & ~AtomicOperation.fetch:
      return is64
        ? "r0 = cmpxchg_64(\(target), r0, \(source))"
        : "w0 = cmpxchg32_32(\(target), w0, \(source))"
    default: return nil
    }
    if instruction.immediate & AtomicOperation.fetch != 0 {
      return "\(source) = atomic_fetch_\(name)((\(memory) *)(\(target)), \(source))"
    }
    return "lock *(\(memory) *)(\(target)) \(sign) \(source)"
  }
}
