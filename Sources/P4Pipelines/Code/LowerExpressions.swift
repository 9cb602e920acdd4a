import DPUCore

// Numbers of up to 64 bits.
//
// An expression is computed modulo 2^64. That gives its exact value whenever its range fits a
// lane, unsigned or signed; and the operators that only carry upwards (+ - * & | ^ ~ <<) give the
// right low bits whatever they lose above. So a consumer that wants n low bits asks for those, and
// one that wants the exact value asks for the range first.

extension Compilation {
  static func ones(_ width: Int) -> UInt64 { width >= 64 ? ~0 : (1 << UInt64(width)) - 1 }

  /// An operand whose low `bits` bits are those of the expression; what stands above is anything.
  func low(
    _ expression: P4Program.Expression, bits: Int = 64
  ) throws(CompileError) -> Number {
    if let value = constant(expression) { return .constant(value.low64) }
    if isBoolean(expression) { return number(try condition(expression)) }
    switch expression {
    case .constant(let value): return .constant(value.low64)
    case .boolean(let value): return .constant(value ? 1 : 0)
    case .field(let reference): return try load(reference, bits: bits)
    case .indirectField(let reference, let index):
      return try loadIndirect(reference, index, bits: bits)
    case .parameter(let index): return try loadParameter(index)
    case .lastStackIndex(let stack): return lastIndex(stack)
    case .lastUnionStackIndex(let stack): return lastIndex(stackCode(union: stack))
    case .stackSize(let stack): return .lane(Int(code.stacks[stack].nextLane))
    case .unionStackSize(let stack):
      return .lane(Int(code.stacks[stackCode(union: stack)].nextLane))
    case .unary(let operation, let operand): return try low(operation, operand, bits: bits)
    case .binary(let operation, let left, let right):
      return try low(operation, left, right, bits: bits)
    case .conditional(let test, let then, let otherwise):
      return try lowChoice(test, then, otherwise, bits: bits)
    case .lookahead(let offset, let width): return try lookahead(offset, width)
    case .register(let register, let index): return try loadRegister(register, index)
    default: return number(try condition(expression))
    }
  }

  /// The exact value, which must fit a lane.
  func exact(_ expression: P4Program.Expression) throws(CompileError) -> Number {
    guard let range = range(expression), range.fitsLane else {
      throw failure("a number of more than 64 bits where only 64 can be")
    }
    return try low(expression)
  }

  /// The low `bits` bits, zero above.
  func cut(_ expression: P4Program.Expression, to bits: Int) throws(CompileError) -> Number {
    let value = try low(expression, bits: bits)
    return isClean(expression, bits) ? value : cut(value, to: bits)
  }

  /// `low` of that many bits gives zeros above them. Not the same as the value being that small:
  /// `low` leaves out the masks that make it small.
  private func isClean(_ expression: P4Program.Expression, _ bits: Int) -> Bool {
    guard let range = range(expression), range.isNatural else { return false }
    let isSmall = range.isWithin(bits: bits)
    switch expression {
    case .constant, .boolean, .parameter, .isValid, .isUnionValid, .isUnionElementValid,
      .lastStackIndex, .lastUnionStackIndex, .stackSize, .unionStackSize, .lookahead, .register,
      .headersEqual, .stacksEqual, .unionsEqual, .field, .indirectField:
      return isSmall
    case .unary(let operation, _):
      return operation != .complement && operation != .negate && isSmall
    case .conditional(_, let then, let otherwise):
      return isClean(then, bits) && isClean(otherwise, bits)
    case .binary(let operation, let left, let right):
      switch operation {
      case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .logicalAnd,
        .logicalOr, .divide, .modulo, .saturatingCast, .unsignedSaturatingCast:
        return isSmall
      case .bitAnd:
        if let mask = constant(right) ?? constant(left) {
          let operand = constant(right) == nil ? right : left
          let kept = mask.truncated(to: bits)
          // Masks that change nothing are left out by `lowAnd`.
          let isLeftOut =
            kept == .ones(bits)
            || kept == .ones(kept.bitWidth)
              && self.range(operand)?.isWithin(bits: kept.bitWidth) == true
          return !isLeftOut || isClean(operand, bits)
        }
        return isClean(left, bits) || isClean(right, bits)
      case .bitOr, .bitXor: return isClean(left, bits) && isClean(right, bits)
      case .add, .multiply: return isSmall && isClean(left, bits) && isClean(right, bits)
      case .shiftRight:
        if case .field = left { return isSmall }
        guard let distance = constant(right)?.exactInt, distance > 0 else { return false }
        return distance + bits <= 64 && isClean(left, distance + bits)
      case .subtract, .shiftLeft, .twosComplement: return false
      }
    }
  }

  func cut(_ operand: Number, to bits: Int) -> Number {
    guard bits < 64 else { return operand }
    return and(operand, Self.ones(bits))
  }

  // MARK: Operands

  func lane(_ operand: Number) -> Int {
    switch operand {
    case .lane(let lane): return lane
    case .constant(let value):
      let lane = newLane()
      emit(Instruction(.loadImmediate, d: lane, immediate: value))
      return lane
    }
  }

  /// 0 or 1.
  func number(_ condition: Condition) -> Number {
    switch condition {
    case .constant(let value): return .constant(value ? 1 : 0)
    case .mask(let mask):
      let lane = newLane()
      emit(Instruction(.chooseImmediate, d: lane, a: mask, immediate: 1, mask: 0))
      return .lane(lane)
    }
  }

  /// A fresh lane with `L[a] op immediate`.
  func apply(
    _ opcode: Opcode, _ a: Int, shift: Int = 0, size: Int = 0, immediate: UInt64 = 0,
    mask: UInt64 = ~0
  ) -> Number {
    let lane = newLane()
    emit(
      Instruction(
        opcode, d: lane, a: a, shift: shift, size: size, immediate: immediate, mask: mask))
    return .lane(lane)
  }

  func apply(_ opcode: Opcode, _ a: Int, _ b: Int) -> Number {
    let lane = newLane()
    emit(Instruction(opcode, d: lane, a: a, b: b))
    return .lane(lane)
  }

  /// Cuts a value just made in the instruction that makes it.
  func and(_ operand: Number, _ mask: UInt64) -> Number {
    switch operand {
    case .constant(let value): return .constant(value & mask)
    case .lane(let lane):
      if mask == ~0 { return operand }
      if lane >= stateLanes, let last = blocks[current].instructions.indices.last {
        let instruction = blocks[current].instructions[last]
        if instruction.opcode.cutsResult, instruction.d == UInt32(lane) {
          blocks[current].instructions[last].mask &= mask
          return operand
        }
      }
      return apply(.andImmediate, lane, immediate: mask)
    }
  }

  // MARK: Operators

  private func low(
    _ operation: P4Program.UnaryOperator, _ operand: P4Program.Expression, bits: Int
  ) throws(CompileError) -> Number {
    switch operation {
    case .complement:
      return apply(.xorImmediate, lane(try low(operand, bits: bits)), immediate: ~0)
    case .negate:
      return apply(.reverseSubtractImmediate, lane(try low(operand, bits: bits)), immediate: 0)
    case .not, .dataToBool, .boolToData: return number(try condition(operand))
    }
  }

  private func low(
    _ operation: P4Program.BinaryOperator, _ left: P4Program.Expression,
    _ right: P4Program.Expression, bits: Int
  ) throws(CompileError) -> Number {
    switch operation {
    case .add: return add(try low(left, bits: bits), try low(right, bits: bits))
    case .subtract:
      return subtract(try low(left, bits: bits), try low(right, bits: bits))
    case .multiply:
      return multiply(try low(left, bits: bits), try low(right, bits: bits))
    case .bitAnd: return try lowAnd(left, right, bits: bits)
    case .bitOr: return combine(.or, try low(left, bits: bits), try low(right, bits: bits))
    case .bitXor: return combine(.xor, try low(left, bits: bits), try low(right, bits: bits))
    case .shiftLeft: return try lowShiftLeft(left, right, bits: bits)
    case .shiftRight: return try lowShiftRight(left, right, bits: bits)
    case .divide, .modulo: return try lowDivision(operation, left, right)
    case .saturatingCast, .unsignedSaturatingCast:
      return try lowSaturation(operation, left, right)
    case .twosComplement:
      guard let width = constantWidth(right) else { throw failure("a cast to no known width") }
      let value = try low(left, bits: min(bits, width))
      guard bits > width, width < 64 else { return value }
      if let range = range(left), range.isWithin(ValueRange(signed: width)) { return value }
      return apply(.signExtend, lane(value), size: width)
    default: return number(try condition(.binary(operation, left, right)))
    }
  }

  func add(_ a: Number, _ b: Number) -> Number {
    switch (a, b) {
    case (.constant(let x), .constant(let y)): .constant(x &+ y)
    case (.lane(let lane), .constant(let value)), (.constant(let value), .lane(let lane)):
      value == 0 ? .lane(lane) : apply(.addImmediate, lane, immediate: value)
    case (.lane(let x), .lane(let y)): apply(.add, x, y)
    }
  }

  private func subtract(_ a: Number, _ b: Number) -> Number {
    switch (a, b) {
    case (_, .constant(let value)): add(a, .constant(0 &- value))
    case (.constant(let value), .lane(let lane)):
      apply(.reverseSubtractImmediate, lane, immediate: value)
    case (.lane(let x), .lane(let y)): apply(.subtract, x, y)
    }
  }

  private func multiply(_ a: Number, _ b: Number) -> Number {
    switch (a, b) {
    case (.constant(let x), .constant(let y)): return .constant(x &* y)
    case (.lane(let lane), .constant(let value)), (.constant(let value), .lane(let lane)):
      if value == 0 { return .constant(0) }
      if value & (value - 1) == 0 {
        return apply(.shiftLeftImmediate, lane, shift: value.trailingZeroBitCount)
      }
      return apply(.multiplyImmediate, lane, immediate: value)
    case (.lane(let x), .lane(let y)): return apply(.multiply, x, y)
    }
  }

  /// `or` or `xor`.
  private func combine(_ opcode: Opcode, _ a: Number, _ b: Number) -> Number {
    switch (a, b) {
    case (.constant(let x), .constant(let y)): return .constant(opcode == .or ? x | y : x ^ y)
    case (.lane(let lane), .constant(let value)), (.constant(let value), .lane(let lane)):
      if value == 0 { return .lane(lane) }
      return apply(opcode == .or ? .orImmediate : .xorImmediate, lane, immediate: value)
    case (.lane(let x), .lane(let y)): return apply(opcode, x, y)
    }
  }

  /// p4c puts a mask around nearly everything; most say what the destination's width says anyway.
  private func lowAnd(
    _ left: P4Program.Expression, _ right: P4Program.Expression, bits: Int
  ) throws(CompileError) -> Number {
    guard let mask = constant(right) ?? constant(left) else {
      let a = try low(left, bits: bits)
      let b = try low(right, bits: bits)
      switch (a, b) {
      case (.constant(let value), _): return and(b, value)
      case (_, .constant(let value)): return and(a, value)
      case (.lane(let x), .lane(let y)): return apply(.and, x, y)
      }
    }
    let operand = constant(right) == nil ? right : left
    let wanted = mask.low64 & Self.ones(bits)
    if wanted == Self.ones(bits) { return try low(operand, bits: bits) }
    // Nothing above the highest bit of the mask matters below.
    let needed = 64 - wanted.leadingZeroBitCount
    if needed == 0 { return .constant(0) }
    if let range = range(operand), wanted == Self.ones(needed), range.isWithin(bits: needed) {
      return try low(operand, bits: bits)
    }
    return and(try low(operand, bits: needed), wanted)
  }

  private func lowShiftLeft(
    _ left: P4Program.Expression, _ right: P4Program.Expression, bits: Int
  ) throws(CompileError) -> Number {
    if let distance = constant(right) {
      guard let distance = distance.exactInt, distance < bits else { return .constant(0) }
      let value = try low(left, bits: bits - max(0, distance))
      if distance <= 0 { return value }
      if case .constant(let value) = value { return .constant(value << UInt64(distance)) }
      return apply(.shiftLeftImmediate, lane(value), shift: distance)
    }
    let value = try low(left, bits: bits)
    return apply(.shiftLeft, lane(value), lane(try distance(right)))
  }

  /// A distance as a lane, huge ones as a large number.
  private func distance(_ expression: P4Program.Expression) throws(CompileError) -> Number {
    if let range = range(expression), range.fitsUnsigned { return try low(expression) }
    let wide = newWide()
    emit(
      Instruction(.wideSaturate, d: wide, a: try wideNumber(expression, bits: nil), b: 63))
    let lane = newLane()
    emit(Instruction(.laneFromWide, d: lane, a: wide))
    return .lane(lane)
  }

  private func lowShiftRight(
    _ left: P4Program.Expression, _ right: P4Program.Expression, bits: Int
  ) throws(CompileError) -> Number {
    let range = range(left)
    if let distance = constant(right)?.exactInt {
      if distance <= 0 { return try low(left, bits: bits) }
      // A slice of a field is a load from another place.
      if case .field(let reference) = left, !field(reference).isSigned,
        case .bytes(let bit, let width) = place(of: reference)
      {
        guard distance < width else { return .constant(0) }
        return loadBits(
          from: bit + max(0, width - distance - 64), count: min(64, width - distance))
      }
      if let range, range.isNatural, range.upper.bitWidth <= distance { return .constant(0) }
      if distance + bits <= 64 {
        return apply(
          .shiftRightImmediate, lane(try low(left, bits: distance + bits)), shift: distance)
      }
      if let range, range.fitsLane {
        let isSigned = !range.isNatural
        let value = try low(left)
        return apply(
          isSigned ? .shiftRightSignedImmediate : .shiftRightImmediate, lane(value),
          shift: min(distance, 63))
      }
    } else if let range, range.fitsLane {
      let value = try low(left)
      return apply(
        range.isNatural ? .shiftRight : .shiftRightSigned, lane(value),
        lane(try distance(right)))
    }
    return try wideThenLow(.shiftRight, left, right)
  }

  /// Computed wide although the result may be short.
  private func wideThenLow(
    _ operation: P4Program.BinaryOperator, _ left: P4Program.Expression,
    _ right: P4Program.Expression
  ) throws(CompileError) -> Number {
    laneOf(try wideBinary(operation, left, right, bits: 64))
  }

  private func lowDivision(
    _ operation: P4Program.BinaryOperator, _ left: P4Program.Expression,
    _ right: P4Program.Expression
  ) throws(CompileError) -> Number {
    guard let a = range(left), let b = range(right) else {
      return try wideThenLow(operation, left, right)
    }
    let isUnsigned = a.fitsUnsigned && b.fitsUnsigned
    guard isUnsigned || (a.fitsSigned && b.fitsSigned) else {
      return try wideThenLow(operation, left, right)
    }
    let dividend = try low(left)
    let divisor = try low(right)
    let isQuotient = operation == .divide
    if isUnsigned, case .constant(let value) = divisor {
      if value == 0 { return .constant(0) }
      if value & (value - 1) == 0 {
        return isQuotient
          ? apply(
            .shiftRightImmediate, lane(dividend), shift: value.trailingZeroBitCount)
          : and(dividend, value - 1)
      }
      return apply(
        isQuotient ? .divideImmediate : .moduloImmediate, lane(dividend), immediate: value)
    }
    let opcode: Opcode =
      switch (isUnsigned, isQuotient) {
      case (true, true): .divide
      case (true, false): .modulo
      case (false, true): .divideSigned
      case (false, false): .moduloSigned
      }
    return apply(opcode, lane(dividend), lane(divisor))
  }

  private func lowSaturation(
    _ operation: P4Program.BinaryOperator, _ left: P4Program.Expression,
    _ right: P4Program.Expression
  ) throws(CompileError) -> Number {
    guard let width = constantWidth(right) else { throw failure("a cast to no known width") }
    let whole =
      operation == .saturatingCast ? ValueRange(signed: width) : ValueRange(unsigned: width)
    guard let range = range(left) else {
      return try wideThenLow(operation, left, right)
    }
    if range.isWithin(whole) { return try low(left) }
    if range.fitsUnsigned, whole.upper.bitWidth <= 64 {
      return apply(.minimumUnsigned, lane(try low(left)), immediate: whole.upper.low64)
    }
    if range.fitsSigned, whole.fitsSigned {
      return apply(
        .clampSigned, lane(try low(left)), immediate: whole.lower.low64, mask: whole.upper.low64)
    }
    return try wideThenLow(operation, left, right)
  }

  private func lowChoice(
    _ test: P4Program.Expression, _ then: P4Program.Expression,
    _ otherwise: P4Program.Expression, bits: Int
  ) throws(CompileError) -> Number {
    switch try condition(test) {
    case .constant(let value): return try low(value ? then : otherwise, bits: bits)
    case .mask(let mask):
      let a = try low(then, bits: bits)
      let b = try low(otherwise, bits: bits)
      let result = newLane()
      if case .constant(let x) = a, case .constant(let y) = b {
        emit(Instruction(.chooseImmediate, d: result, a: mask, immediate: x, mask: y))
      } else {
        emit(Instruction(.choose, d: result, a: lane(a), b: lane(b), c: mask))
      }
      return .lane(result)
    }
  }

  private func lastIndex(_ stack: Int) -> Number {
    add(.lane(Int(code.stacks[stack].nextLane)), .constant(~0))
  }
}
