import DPUCore

/// Turns a well-formed program into AArch64 code, as `X86Compiler` does for the other machine: a C
/// function that takes r1, r2 and a `NativeContext`.
///
/// Division and shifts of this machine do what RFC 9669 asks for, so they need no help.
package struct Arm64Compiler: NativeCompiler {
  private typealias Offset = NativeContext.Offset

  /// Where r0 to r10 live.
  private static let map: [UInt8] = [7, 0, 1, 2, 3, 4, 19, 20, 21, 22, 25]
  private static let context: UInt8 = 26
  private static let a: UInt8 = 9, b: UInt8 = 10, c: UInt8 = 11, d: UInt8 = 12

  private var code = Arm64Assembler()
  private let mode: NativeMode
  package let program: [Instruction]
  package private(set) var jumps: [(place: Int, target: Int)] = []
  private var faults: [(place: Int, kind: RuntimeFault.Kind, instruction: Int)] = []
  private var leaving: [Int] = []

  package init(_ program: [Instruction], _ mode: NativeMode) {
    self.program = program
    self.mode = mode
  }

  package var bytes: [UInt8] { code.bytes }

  package mutating func load(_ register: UInt8, immediate: UInt64) {
    code.move(true, self.register(register), immediate: immediate)
  }

  package mutating func land(_ place: Int, at position: Int) { code.land(place, at: position) }

  private func register(_ number: UInt8) -> UInt8 { Self.map[Int(number)] }

  // MARK: In and out

  package mutating func enter() {
    if isLeaf { return enterLeaf() }
    code.push(29, Arm64Assembler.link)
    code.push(19, 20)
    code.push(21, 22)
    code.push(25, 26)
    code.move(true, Self.context, 2)
    code.readStackPointer(Self.a)
    code.storeWord(Self.a, Self.context, Offset.entryStackPointer)
    code.loadWord(25, Self.context, Offset.stackTop)
    for argument in 1...5 {
      code.loadWord(Self.map[argument], Self.context, Offset.arguments + 8 * (argument - 1))
    }
    for number in [0, 6, 7, 8, 9] { code.move(true, Self.map[number], Arm64Assembler.zero) }
    // The outermost function is called like any other, so that `exit` is a return everywhere.
    let call = code.call()
    leaving.append(code.jump())
    code.land(call, at: code.position)
  }

  /// Whether nothing is called and nothing can fault. Then `exit` leaves at once, only what the
  /// program uses is saved, and only what it was given is set: the verifier has proved that it
  /// reads nothing else.
  private var isLeaf: Bool { mode == .proved && !program.contains { $0.isCall } }

  /// Pairs of the C caller's registers of which the program changes one.
  private var savedByLeaf: [(UInt8, UInt8)] {
    let pairs: [(UInt8, UInt8)] = [(19, 20), (21, 22), (25, 26)]
    return pairs.filter { pair in
      program.contains {
        for register in [register($0.destination), register($0.source)]
        where register == pair.0 || register == pair.1 { return true }
        return false
      }
    }
  }

  private mutating func enterLeaf() {
    let saved = savedByLeaf
    for pair in saved { code.push(pair.0, pair.1) }
    // r1 and r2 are where the calling convention has them.
    if saved.contains(where: { $0.0 == 25 }) { code.loadWord(25, 2, Offset.stackTop) }
  }

  private mutating func exitLeaf() {
    code.move(true, 0, Self.map[0])
    for pair in savedByLeaf.reversed() { code.pop(pair.0, pair.1) }
    code.ret()
  }

  package mutating func leave() {
    if isLeaf { return }
    for fault in faults {
      code.land(fault.place, at: code.position)
      code.move(true, Self.a, immediate: UInt64(fault.kind.rawValue))
      code.storeWord(Self.a, Self.context, Offset.faultKind)
      code.move(true, Self.a, immediate: UInt64(fault.instruction))
      code.storeWord(Self.a, Self.context, Offset.faultInstruction)
      leaving.append(code.jump())
    }
    for place in leaving { code.land(place, at: code.position) }
    code.loadWord(Self.a, Self.context, Offset.entryStackPointer)
    code.writeStackPointer(Self.a)
    code.move(true, 0, Self.map[0])
    code.pop(25, 26)
    code.pop(21, 22)
    code.pop(19, 20)
    code.pop(29, Arm64Assembler.link)
    code.ret()
  }

  private mutating func fault(
    _ condition: Arm64Condition, _ kind: RuntimeFault.Kind, at index: Int
  ) {
    faults.append((code.jump(condition), kind, index))
  }

  // MARK: One instruction

  /// The register with the second operand: an immediate is brought into a scratch register.
  private mutating func second(_ instruction: Instruction, _ is64: Bool) -> UInt8 {
    if instruction.usesRegister { return register(instruction.source) }
    code.move(is64, Self.a, immediate: UInt64(bitPattern: Int64(instruction.immediate)))
    return Self.a
  }

  package mutating func arithmetic(_ instruction: Instruction) {
    let is64 = instruction.opcodeClass == .arithmetic64
    let target = register(instruction.destination)
    let isSigned = instruction.offset == 1
    let operation: Arm64Operation
    switch instruction.arithmetic! {
    case .add, .subtract:
      if !instruction.usesRegister, addImmediate(instruction, is64) { return }
      operation = instruction.arithmetic == .add ? .add : .subtract
    case .or: operation = .or
    case .and: operation = .and
    case .xor: operation = .xor
    case .multiply: operation = .multiply
    case .divide: operation = isSigned ? .divideSigned : .divide
    case .modulo:
      let divisor = second(instruction, is64)
      code.operation(isSigned ? .divideSigned : .divide, is64, Self.b, target, divisor)
      code.multiplySubtract(is64, target, Self.b, divisor, from: target)
      return
    case .shiftLeft, .shiftRight, .shiftRightSigned:
      guard instruction.usesRegister else { return shift(instruction, is64) }
      operation =
        instruction.arithmetic == .shiftLeft
        ? .shiftLeft : instruction.arithmetic == .shiftRight ? .shiftRight : .shiftRightSigned
    case .negate:
      code.operation(.subtract, is64, target, Arm64Assembler.zero, target)
      return
    case .move: return move(instruction, is64)
    case .byteSwap: return swap(instruction, is64)
    }
    let source = second(instruction, is64)
    code.operation(operation, is64, target, target, source)
  }

  /// Whether the sum could be written with an immediate of twelve bits.
  private mutating func addImmediate(_ instruction: Instruction, _ is64: Bool) -> Bool {
    let value = Int64(instruction.immediate)
    let change = instruction.arithmetic == .add ? value : -value
    let target = register(instruction.destination)
    if change >= 0, change < 4096 {
      code.add(is64, target, target, immediate: UInt32(change))
    } else if change < 0, change > -4096 {
      code.subtract(is64, target, target, immediate: UInt32(-change))
    } else {
      return false
    }
    return true
  }

  private mutating func shift(_ instruction: Instruction, _ is64: Bool) {
    let target = register(instruction.destination)
    let count = UInt32(bitPattern: instruction.immediate) & (is64 ? 63 : 31)
    switch instruction.arithmetic! {
    case .shiftLeft: code.shiftLeft(is64, target, by: count)
    case .shiftRight: code.shiftRight(is64, target, by: count)
    default: code.shiftRightSigned(is64, target, by: count)
    }
  }

  private mutating func move(_ instruction: Instruction, _ is64: Bool) {
    let target = register(instruction.destination)
    guard instruction.usesRegister else {
      let value = UInt64(bitPattern: Int64(instruction.immediate))
      return code.move(is64, target, immediate: value)
    }
    let source = register(instruction.source)
    if instruction.offset == 0 {
      code.move(is64, target, source)
    } else {
      code.signExtend(is64, target, source, bytes: Int(instruction.offset) / 8)
    }
  }

  private mutating func swap(_ instruction: Instruction, _ is64: Bool) {
    let target = register(instruction.destination)
    let bytes = Int(instruction.immediate) / 8
    if is64 || instruction.usesRegister {
      code.swapBytes(target, bytes: bytes)
      if bytes == 2 { code.zeroExtend(target, target, bytes: 2) }
    } else if bytes < 8 {
      code.zeroExtend(target, target, bytes: bytes)
    }
  }

  // MARK: Memory

  /// The register and displacement for an access; in checked code after a check.
  private mutating func address(
    _ base: UInt8, _ offset: Int16, bytes: Int, at index: Int
  ) -> (base: UInt8, displacement: Int32) {
    if mode == .proved, offset >= -256, offset < 256 { return (register(base), Int32(offset)) }
    let place = Self.c
    if offset >= 0, offset < 4096 {
      code.add(true, place, register(base), immediate: UInt32(offset))
    } else if offset < 0, offset > -4096 {
      code.subtract(true, place, register(base), immediate: UInt32(-Int32(offset)))
    } else {
      code.move(true, place, immediate: UInt64(bitPattern: Int64(offset)))
      code.operation(.add, true, place, register(base), place)
    }
    if mode == .proved { return (place, 0) }
    check(Offset.dataStart, Offset.dataBytes, bytes: bytes)
    let good = code.jump(.belowOrEqual)
    check(Offset.stackStart, Offset.stackBytes, bytes: bytes)
    fault(.above, .outOfBounds, at: index)
    code.land(good, at: code.position)
    return (place, 0)
  }

  /// Compares the end of the access at `c`, counted from the start of a region, with its size:
  /// "above" when it is outside.
  private mutating func check(_ start: Int, _ size: Int, bytes: Int) {
    code.loadWord(Self.a, Self.context, start)
    code.operation(.subtract, true, Self.a, Self.c, Self.a)
    code.loadWord(Self.b, Self.context, size)
    // A region smaller than the access holds nothing of it: then nothing is below zero bytes.
    code.move(true, Self.d, immediate: UInt64(bytes))
    code.operation(.subtractSettingFlags, true, Self.b, Self.b, Self.d)
    let fits = code.jump(.aboveOrEqual)
    code.move(true, Self.a, immediate: .max)
    code.move(true, Self.b, Arm64Assembler.zero)
    code.land(fits, at: code.position)
    code.operation(.subtractSettingFlags, true, Arm64Assembler.zero, Self.a, Self.b)
  }

  package mutating func load(_ instruction: Instruction, at index: Int) {
    let bytes = instruction.width.byteCount
    let place = address(instruction.source, instruction.offset, bytes: bytes, at: index)
    let target = register(instruction.destination)
    if instruction.mode == .memorySignExtended {
      code.loadSigned(target, place.base, place.displacement, bytes: bytes)
    } else {
      code.load(target, place.base, place.displacement, bytes: bytes)
    }
  }

  package mutating func store(_ instruction: Instruction, at index: Int) {
    let bytes = instruction.width.byteCount
    let place = address(instruction.destination, instruction.offset, bytes: bytes, at: index)
    if instruction.mode == .atomic {
      return atomic(instruction, place.base, place.displacement, bytes: bytes)
    }
    var source = Arm64Assembler.zero
    if instruction.opcodeClass == .storeRegister {
      source = register(instruction.source)
    } else if instruction.immediate != 0 {
      code.move(true, Self.a, immediate: UInt64(bitPattern: Int64(instruction.immediate)))
      source = Self.a
    }
    code.store(source, place.base, place.displacement, bytes: bytes)
  }

  private mutating func atomic(
    _ instruction: Instruction, _ base: UInt8, _ displacement: Int32, bytes: Int
  ) {
    let is64 = bytes == 8
    let source = register(instruction.source)
    let old = Self.a
    let new = Self.b
    code.load(old, base, displacement, bytes: bytes)
    switch instruction.immediate {
    case AtomicOperation.exchange:
      code.store(source, base, displacement, bytes: bytes)
      code.move(is64, source, old)
    case AtomicOperation.compareExchange:
      code.operation(.subtractSettingFlags, is64, Arm64Assembler.zero, old, Self.map[0])
      let different = code.jump(.notEqual)
      code.store(source, base, displacement, bytes: bytes)
      code.land(different, at: code.position)
      code.move(is64, Self.map[0], old)
    default:
      let operation: Arm64Operation =
        switch instruction.immediate & ~AtomicOperation.fetch {
        case AtomicOperation.or: .or
        case AtomicOperation.and: .and
        case AtomicOperation.xor: .xor
        default: .add
        }
      code.operation(operation, is64, new, old, source)
      code.store(new, base, displacement, bytes: bytes)
      if instruction.immediate & AtomicOperation.fetch != 0 { code.move(is64, source, old) }
    }
  }

  // MARK: Control

  package mutating func jump(_ instruction: Instruction, at index: Int) {
    if instruction.isExit { return isLeaf ? exitLeaf() : code.ret() }
    if instruction.isCall { return call(instruction, at: index) }
    let target = index + 1 + instruction.jumpDistance
    if instruction.isUnconditionalJump {
      spend(target <= index, at: index)
      jumps.append((code.jump(), target))
      return
    }
    let is64 = instruction.opcodeClass == .jump64
    let first = register(instruction.destination)
    let isSmall = instruction.immediate >= 0 && instruction.immediate < 4096
    if instruction.jump == .anyBitSet {
      let source = second(instruction, is64)
      code.operation(.andSettingFlags, is64, Arm64Assembler.zero, first, source)
    } else if !instruction.usesRegister, isSmall {
      code.subtractSettingFlags(
        is64, Arm64Assembler.zero, first, immediate: UInt32(instruction.immediate))
    } else {
      let source = second(instruction, is64)
      code.operation(.subtractSettingFlags, is64, Arm64Assembler.zero, first, source)
    }
    let condition = condition(instruction.jump!)
    if mode == .checked, target <= index {
      let not = code.jump(Arm64Condition(rawValue: condition.rawValue ^ 1)!)
      spend(true, at: index)
      jumps.append((code.jump(), target))
      code.land(not, at: code.position)
    } else {
      jumps.append((code.jump(condition), target))
    }
  }

  private func condition(_ operation: JumpOperation) -> Arm64Condition {
    switch operation {
    case .equal: .equal
    case .notEqual, .anyBitSet: .notEqual
    case .greater: .above
    case .greaterOrEqual: .aboveOrEqual
    case .less: .below
    case .lessOrEqual: .belowOrEqual
    case .greaterSigned: .greater
    case .greaterOrEqualSigned: .greaterOrEqual
    case .lessSigned: .less
    case .lessOrEqualSigned: .lessOrEqual
    case .always, .call, .exit: .equal
    }
  }

  /// In checked code a jump back costs one of the budget.
  private mutating func spend(_ isBackward: Bool, at index: Int) {
    guard mode == .checked, isBackward else { return }
    decrement(Offset.budget)
    fault(.negative, .tooLong, at: index)
  }

  private mutating func decrement(_ place: Int) {
    code.loadWord(Self.a, Self.context, place)
    code.subtractSettingFlags(true, Self.a, Self.a, immediate: 1)
    code.storeWord(Self.a, Self.context, place)
  }

  private mutating func call(_ instruction: Instruction, at index: Int) {
    if instruction.isLocalCall {
      spend(true, at: index)
      decrement(Offset.callsLeft)
      fault(.negative, .callTooDeep, at: index)
      code.push(19, 20)
      code.push(21, 22)
      code.push(29, Arm64Assembler.link)
      code.subtract(true, 25, 25, immediate: UInt32(HBPFLimits.stackBytes))
      jumps.append((code.call(), index + 1 + instruction.jumpDistance))
      code.add(true, 25, 25, immediate: UInt32(HBPFLimits.stackBytes))
      code.pop(29, Arm64Assembler.link)
      code.pop(21, 22)
      code.pop(19, 20)
      code.loadWord(Self.a, Self.context, Offset.callsLeft)
      code.add(true, Self.a, Self.a, immediate: 1)
      code.storeWord(Self.a, Self.context, Offset.callsLeft)
      return
    }
    // C: (context, number, r1...r5) in x0 to x6.
    if instruction.usesRegister {
      code.move(false, Self.a, register(instruction.destination))
    } else {
      code.move(false, Self.a, immediate: UInt64(UInt32(bitPattern: instruction.immediate)))
    }
    code.push(29, Arm64Assembler.link)
    code.push(0, 1)
    code.push(2, 3)
    code.push(4, 5)
    for number in stride(from: UInt8(4), through: 0, by: -1) {
      code.move(true, number + 2, number)
    }
    code.move(true, 0, Self.context)
    code.move(true, 1, Self.a)
    code.loadWord(Self.b, Self.context, Offset.helper)
    code.call(register: Self.b)
    code.move(true, Self.map[0], 0)
    code.pop(4, 5)
    code.pop(2, 3)
    code.pop(0, 1)
    code.pop(29, Arm64Assembler.link)
    code.loadWord(Self.a, Self.context, Offset.faultKind)
    code.loadWord(Self.b, Self.context, Offset.ended)
    code.operation(.or, true, Self.a, Self.a, Self.b)
    code.operation(.andSettingFlags, true, Arm64Assembler.zero, Self.a, Self.a)
    leaving.append(code.jump(.notEqual))
  }
}
