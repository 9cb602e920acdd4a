import DPUCore

/// Turns a well-formed program into x86-64 code: one pass, each instruction by itself, r0 to r10 in
/// registers of the machine.
///
/// The code is a C function that takes r1, r2 and a `NativeContext`. Atomic operations are plain ones: the
/// memory belongs to one core.
package struct X86Compiler: NativeCompiler {
  private typealias R = X86Register
  private typealias Offset = NativeContext.Offset

  /// Where r0 to r10 live: the first six as the C calling convention wants arguments, so that a
  /// helper needs few moves; the others where a call leaves them alone.
  private static let map: [UInt8] = [
    R.rax, R.rdi, R.rsi, R.rdx, R.rcx, R.r8, R.rbx, R.r13, R.r14, R.r15, R.rbp,
  ]
  private static let saved: [UInt8] = [R.rbx, R.rbp, R.r12, R.r13, R.r14, R.r15]
  private static let context = R.r12

  private var code = X86Assembler()
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
    for register in Self.saved { code.push(register) }
    // Six pushes and the return address: one more word keeps the stack aligned to sixteen.
    code.arithmetic(.subtract, true, R.rsp, immediate: 8)
    code.move(true, Self.context, R.rdx)
    code.store(R.rsp, Self.context, Int32(Offset.entryStackPointer), bytes: 8)
    code.load(R.rbp, Self.context, Int32(Offset.stackTop), bytes: 8)
    for argument in stride(from: 5, through: 1, by: -1) {
      code.load(
        Self.map[argument], Self.context, Int32(Offset.arguments + 8 * (argument - 1)), bytes: 8)
    }
    for number in [0, 6, 7, 8, 9] { code.move(false, Self.map[number], immediate: 0) }
    // The outermost function is called like any other, so that `exit` is a return everywhere.
    let call = code.call()
    leaving.append(code.jump())
    code.land(call, at: code.position)
  }

  /// Whether nothing is called and nothing can fault. Then `exit` leaves at once, only what the
  /// program uses is saved, and only what it was given is set: the verifier has proved that it
  /// reads nothing else.
  private var isLeaf: Bool { mode == .proved && !program.contains { $0.isCall } }

  /// Those of the C caller's registers that the program changes.
  private var savedByLeaf: [UInt8] {
    Self.saved.filter { saved in
      program.contains {
        Self.map[Int($0.destination)] == saved || Self.map[Int($0.source)] == saved
      }
    }
  }

  private mutating func enterLeaf() {
    let saved = savedByLeaf
    for register in saved { code.push(register) }
    // r1 and r2 are where the calling convention has them.
    if saved.contains(R.rbp) { code.load(R.rbp, R.rdx, Int32(Offset.stackTop), bytes: 8) }
  }

  private mutating func exitLeaf() {
    for register in savedByLeaf.reversed() { code.pop(register) }
    code.ret()
  }

  package mutating func leave() {
    if isLeaf { return }
    for fault in faults {
      code.land(fault.place, at: code.position)
      code.move(false, R.r11, immediate: UInt64(fault.kind.rawValue))
      code.store(R.r11, Self.context, Int32(Offset.faultKind), bytes: 8)
      code.move(false, R.r11, immediate: UInt64(fault.instruction))
      code.store(R.r11, Self.context, Int32(Offset.faultInstruction), bytes: 8)
      leaving.append(code.jump())
    }
    for place in leaving { code.land(place, at: code.position) }
    code.load(R.rsp, Self.context, Int32(Offset.entryStackPointer), bytes: 8)
    code.arithmetic(.add, true, R.rsp, immediate: 8)
    for register in Self.saved.reversed() { code.pop(register) }
    code.ret()
  }

  private mutating func fault(
    _ condition: X86Condition, _ kind: RuntimeFault.Kind, at index: Int
  ) {
    faults.append((code.jump(condition), kind, index))
  }

  // MARK: One instruction

  package mutating func arithmetic(_ instruction: Instruction) {
    let is64 = instruction.opcodeClass == .arithmetic64
    let target = register(instruction.destination)
    switch instruction.arithmetic! {
    case .add: simple(.add, instruction, is64)
    case .subtract: simple(.subtract, instruction, is64)
    case .or: simple(.or, instruction, is64)
    case .and: simple(.and, instruction, is64)
    case .xor: simple(.xor, instruction, is64)
    case .multiply:
      if instruction.usesRegister {
        code.multiply(is64, target, register(instruction.source))
      } else {
        code.multiply(is64, target, immediate: instruction.immediate)
      }
    case .divide, .modulo: divide(instruction, is64)
    case .shiftLeft: shift(4, instruction, is64)
    case .shiftRight: shift(5, instruction, is64)
    case .shiftRightSigned: shift(7, instruction, is64)
    case .negate: code.unary(3, is64, target)
    case .move: move(instruction, is64)
    case .byteSwap: swap(instruction, is64)
    }
  }

  private mutating func simple(
    _ operation: X86Arithmetic, _ instruction: Instruction, _ is64: Bool
  ) {
    let target = register(instruction.destination)
    if instruction.usesRegister {
      code.arithmetic(operation, is64, target, register(instruction.source))
    } else {
      code.arithmetic(operation, is64, target, immediate: instruction.immediate)
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
    if !is64, !instruction.usesRegister {
      if bytes < 8 { code.zeroExtend(target, target, bytes: bytes) }
      return
    }
    if bytes == 2 {
      code.swapHalf(target)
      code.zeroExtend(target, target, bytes: 2)
    } else {
      code.swapBytes(bytes == 8, target)
    }
  }

  private mutating func shift(_ number: UInt8, _ instruction: Instruction, _ is64: Bool) {
    let target = register(instruction.destination)
    guard instruction.usesRegister else {
      let count = UInt8(truncatingIfNeeded: instruction.immediate) & (is64 ? 63 : 31)
      code.shift(number, is64, target, by: count)
      // A 32-bit shift by zero still cuts the register to 32 bits.
      if !is64, count == 0 { code.move(false, target, target) }
      return
    }
    let source = register(instruction.source)
    if source == R.rcx, target != R.rcx {
      code.shiftByRCX(number, is64, target)
      if !is64 { code.move(false, target, target) }
      return
    }
    code.move(true, R.r11, target)
    code.move(true, R.r9, R.rcx)
    code.move(true, R.rcx, source)
    code.shiftByRCX(number, is64, R.r11)
    code.move(true, R.rcx, R.r9)
    code.move(is64, target, R.r11)
  }

  /// rax and rdx are what the machine divides; they are put aside.
  private mutating func divide(_ instruction: Instruction, _ is64: Bool) {
    let target = register(instruction.destination)
    let isModulo = instruction.arithmetic == .modulo
    let isSigned = instruction.offset == 1
    if instruction.usesRegister {
      code.move(is64, R.r11, register(instruction.source))
    } else {
      code.move(is64, R.r11, immediate: UInt64(bitPattern: Int64(instruction.immediate)))
    }
    code.test(is64, R.r11, R.r11)
    let byZero = code.jump(.equal)
    var byMinusOne: Int?
    if isSigned {
      code.arithmetic(.compare, is64, R.r11, immediate: -1)
      byMinusOne = code.jump(.equal)
    }
    code.move(true, R.r9, R.rax)
    code.move(true, R.r10, R.rdx)
    if target != R.rax { code.move(is64, R.rax, target) }
    if isSigned {
      code.signToRDX(is64)
      code.unary(7, is64, R.r11)
    } else {
      code.arithmetic(.xor, false, R.rdx, R.rdx)
      code.unary(6, is64, R.r11)
    }
    code.move(is64, R.r11, isModulo ? R.rdx : R.rax)
    code.move(true, R.rax, R.r9)
    code.move(true, R.rdx, R.r10)
    code.move(is64, target, R.r11)
    let done = code.jump()
    code.land(byZero, at: code.position)
    if isModulo { code.move(is64, target, target) } else { code.move(false, target, immediate: 0) }
    var alsoDone: Int?
    if let byMinusOne {
      alsoDone = code.jump()
      code.land(byMinusOne, at: code.position)
      if isModulo { code.move(false, target, immediate: 0) } else { code.unary(3, is64, target) }
    }
    code.land(done, at: code.position)
    if let alsoDone { code.land(alsoDone, at: code.position) }
  }

  // MARK: Memory

  /// The register and displacement for an access; in checked code after a check.
  private mutating func address(
    _ base: UInt8, _ offset: Int16, bytes: Int, at index: Int
  ) -> (base: UInt8, displacement: Int32) {
    guard mode == .checked else { return (register(base), Int32(offset)) }
    code.address(R.r11, register(base), Int32(offset))
    // Distance from the start of the data, then of the stack; unsigned, so that lower is far.
    code.move(true, R.r9, R.r11)
    code.arithmetic(.subtract, true, R.r9, memory: Self.context, Offset.dataStart)
    code.address(R.r10, R.r9, Int32(bytes))
    // A distance near the top would wrap to a small end.
    code.arithmetic(.compare, true, R.r10, R.r9)
    let wraps = code.jump(.below)
    code.arithmetic(.compare, true, R.r10, memory: Self.context, Offset.dataBytes)
    let good = code.jump(.belowOrEqual)
    code.land(wraps, at: code.position)
    code.move(true, R.r9, R.r11)
    code.arithmetic(.subtract, true, R.r9, memory: Self.context, Offset.stackStart)
    code.address(R.r10, R.r9, Int32(bytes))
    code.arithmetic(.compare, true, R.r10, R.r9)
    fault(.below, .outOfBounds, at: index)
    code.arithmetic(.compare, true, R.r10, memory: Self.context, Offset.stackBytes)
    fault(.above, .outOfBounds, at: index)
    code.land(good, at: code.position)
    return (R.r11, 0)
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
      atomic(instruction, place.base, place.displacement, bytes: bytes)
    } else if instruction.opcodeClass == .storeRegister {
      code.store(register(instruction.source), place.base, place.displacement, bytes: bytes)
    } else {
      code.store(
        immediate: instruction.immediate, place.base, place.displacement, bytes: bytes)
    }
  }

  private mutating func atomic(
    _ instruction: Instruction, _ base: UInt8, _ displacement: Int32, bytes: Int
  ) {
    let is64 = bytes == 8
    let source = register(instruction.source)
    // r9: the old value, r10: the new one.
    code.load(R.r9, base, displacement, bytes: bytes)
    switch instruction.immediate {
    case AtomicOperation.exchange:
      code.store(source, base, displacement, bytes: bytes)
      code.move(is64, source, R.r9)
    case AtomicOperation.compareExchange:
      code.arithmetic(.compare, is64, R.r9, R.rax)
      let different = code.jump(.notEqual)
      code.store(source, base, displacement, bytes: bytes)
      code.land(different, at: code.position)
      code.move(is64, R.rax, R.r9)
    default:
      code.move(is64, R.r10, R.r9)
      let operation: X86Arithmetic =
        switch instruction.immediate & ~AtomicOperation.fetch {
        case AtomicOperation.or: .or
        case AtomicOperation.and: .and
        case AtomicOperation.xor: .xor
        default: .add
        }
      code.arithmetic(operation, is64, R.r10, source)
      code.store(R.r10, base, displacement, bytes: bytes)
      if instruction.immediate & AtomicOperation.fetch != 0 { code.move(is64, source, R.r9) }
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
    if instruction.jump == .anyBitSet {
      if instruction.usesRegister {
        code.test(is64, first, register(instruction.source))
      } else {
        code.test(is64, first, immediate: instruction.immediate)
      }
    } else if instruction.usesRegister {
      code.arithmetic(.compare, is64, first, register(instruction.source))
    } else {
      code.arithmetic(.compare, is64, first, immediate: instruction.immediate)
    }
    let condition = condition(instruction.jump!)
    if mode == .checked, target <= index {
      let not = code.jump(X86Condition(rawValue: condition.rawValue ^ 1)!)
      spend(true, at: index)
      jumps.append((code.jump(), target))
      code.land(not, at: code.position)
    } else {
      jumps.append((code.jump(condition), target))
    }
  }

  private func condition(_ operation: JumpOperation) -> X86Condition {
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
    code.decrement(Self.context, Offset.budget)
    fault(.negative, .tooLong, at: index)
  }

  private mutating func call(_ instruction: Instruction, at index: Int) {
    if instruction.isLocalCall {
      spend(true, at: index)
      code.decrement(Self.context, Offset.callsLeft)
      fault(.negative, .callTooDeep, at: index)
      for number in [6, 7, 8, 9] { code.push(Self.map[number]) }
      code.arithmetic(.subtract, true, R.rbp, immediate: Int32(HBPFLimits.stackBytes))
      // Four words and the return address: a fifth keeps helpers' stacks aligned.
      code.arithmetic(.subtract, true, R.rsp, immediate: 8)
      jumps.append((code.call(), index + 1 + instruction.jumpDistance))
      code.arithmetic(.add, true, R.rsp, immediate: 8)
      code.arithmetic(.add, true, R.rbp, immediate: Int32(HBPFLimits.stackBytes))
      for number in [9, 8, 7, 6] { code.pop(Self.map[number]) }
      code.increment(Self.context, Offset.callsLeft)
      return
    }
    // C: (context, number, r1, r2, r3, r4) in registers, r5 on the stack.
    if instruction.usesRegister {
      code.move(false, R.r11, register(instruction.destination))
    } else {
      code.move(false, R.r11, immediate: UInt64(UInt32(bitPattern: instruction.immediate)))
    }
    for number in [1, 2, 3, 4, 5] { code.push(Self.map[number]) }
    // Inside a function the stack is eight off; five words of arguments, one more for r5.
    code.push(R.r8)
    code.move(true, R.r9, R.rcx)
    code.move(true, R.r8, R.rdx)
    code.move(true, R.rcx, R.rsi)
    code.move(true, R.rdx, R.rdi)
    code.move(true, R.rsi, R.r11)
    code.move(true, R.rdi, Self.context)
    code.move(true, R.r10, R.rsp)
    // The seventh argument lies on top of an aligned stack.
    code.arithmetic(.and, true, R.rsp, immediate: -16)
    code.push(R.r10)
    code.push(R.r10)
    code.load(R.r11, R.r10, 0, bytes: 8)
    code.arithmetic(.subtract, true, R.rsp, immediate: 8)
    code.push(R.r11)
    code.call(memory: Self.context, Offset.helper)
    code.load(R.rsp, R.rsp, 16, bytes: 8)
    code.arithmetic(.add, true, R.rsp, immediate: 8)
    for number in [5, 4, 3, 2, 1] { code.pop(Self.map[number]) }
    code.load(R.r11, Self.context, Int32(Offset.faultKind), bytes: 8)
    code.arithmetic(.or, true, R.r11, memory: Self.context, Offset.ended)
    code.test(true, R.r11, R.r11)
    leaving.append(code.jump(.notEqual))
  }
}
