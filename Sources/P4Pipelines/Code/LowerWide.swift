import DPUCore

// Numbers of more than 64 bits. The same two ways as for lanes: the low n bits, or the exact
// value. All wide numbers of a program have the limbs that its widest computation needs.

extension Compilation {
  /// A computation needs numbers of so many bits.
  func note(bits: Int) { wideBits = max(wideBits, bits) }

  /// A wide number whose low `bits` bits are those of the expression; exact when `bits` is nil.
  func wideNumber(
    _ expression: P4Program.Expression, bits: Int?
  ) throws(CompileError) -> Int {
    let range = range(expression)
    // A shift to the left by an unknown distance: p4c always cuts those, so an exact one is rare;
    // bits beyond a thousand are given up.
    let needed = bits ?? range?.signedBits ?? 1_024
    guard needed <= CodeLimits.wideBits else {
      throw failure("a number of \(needed) bits, more than \(CodeLimits.wideBits)")
    }
    note(bits: needed)
    if let constant = range?.constant { return wideConstant(constant) }
    if let range, range.fitsLane {
      let result = newWide()
      let value = lane(try low(expression))
      emit(Instruction(.wideFromLane, d: result, a: value, size: range.isNatural ? 0 : 1))
      return result
    }
    switch expression {
    case .field(let reference):
      return try wideField(place(of: reference), isSigned: field(reference).isSigned)
    case .indirectField(let reference, let index):
      return try wideIndirect(reference, index)
    case .parameter(let index): return try wideParameter(index)
    case .unary(let operation, let operand):
      return try wideUnary(operation, operand, bits: bits, whole: expression)
    case .binary(let operation, let left, let right):
      return try wideBinary(operation, left, right, bits: bits)
    case .conditional(let test, let then, let otherwise):
      switch try condition(test) {
      case .constant(let value): return try wideNumber(value ? then : otherwise, bits: bits)
      case .mask(let mask):
        let a = try wideNumber(then, bits: bits)
        let b = try wideNumber(otherwise, bits: bits)
        let result = newWide()
        emit(Instruction(.wideChoose, d: result, a: a, b: b, c: mask))
        return result
      }
    case .lookahead(let offset, let width):
      let result = newWide()
      note(bits: width)
      emit(
        at(
          parser,
          Instruction(.lookaheadWide, d: result, b: width, immediate: UInt64(offset))))
      return result
    case .register(let register, let index):
      let result = wideConstant(.zero)
      let at = lane(try exact(index))
      let width = program.registers[register].width
      note(bits: width)
      emit(Instruction(.registerReadWide, d: result, a: at, b: register, e: width))
      return result
    default: throw failure("an expression of more than 64 bits that cannot be computed")
    }
  }

  func wideConstant(_ value: WideInteger) -> Int {
    let result = newWide()
    note(bits: min(value.bitWidth + 1, CodeLimits.wideBits))
    wideConstants.append(value)
    emit(Instruction(.wideConstant, d: result, a: wideConstants.count - 1))
    return result
  }

  func wideField(
    _ place: PipelineCode.FieldPlace, isSigned: Bool
  ) throws(CompileError) -> Int {
    guard case .bytes(let bit, let width) = place else {
      throw failure("a varbit field in an expression")
    }
    let result = newWide()
    note(bits: width)
    emit(Instruction(.wideLoad, d: result, a: bit + width, b: width))
    if isSigned { emit(Instruction(.wideExtend, d: result, a: result, b: width, size: 1)) }
    return result
  }

  private func wideParameter(_ index: Int) throws(CompileError) -> Int {
    switch parameters {
    case .constants(let values): return wideConstant(values[index])
    case .record(let record, let table, let words, let widths):
      let result = newWide()
      note(bits: widths[index])
      emit(
        Instruction(
          .loadParameterWide, d: result, a: record, b: table, c: words[index],
          e: (widths[index] + 63) / 64))
      return result
    case .none: throw failure("a parameter outside an action")
    }
  }

  private func wideUnary(
    _ operation: P4Program.UnaryOperator, _ operand: P4Program.Expression, bits: Int?,
    whole: P4Program.Expression
  ) throws(CompileError) -> Int {
    let value = try wideNumber(operand, bits: bits)
    switch operation {
    case .complement:
      return wide(.wideXor, value, wideConstant(-WideInteger(1)))
    case .negate: return wide(.wideSubtract, wideConstant(.zero), value)
    default: throw failure("a condition of more than 64 bits")
    }
  }

  private func wide(_ opcode: Opcode, _ a: Int, _ b: Int) -> Int {
    let result = newWide()
    emit(Instruction(opcode, d: result, a: a, b: b))
    return result
  }

  func wideBinary(
    _ operation: P4Program.BinaryOperator, _ left: P4Program.Expression,
    _ right: P4Program.Expression, bits: Int?
  ) throws(CompileError) -> Int {
    switch operation {
    case .add: return try pair(.wideAdd, left, right, bits: bits)
    case .subtract: return try pair(.wideSubtract, left, right, bits: bits)
    case .multiply: return try pair(.wideMultiply, left, right, bits: bits)
    case .bitOr: return try pair(.wideOr, left, right, bits: bits)
    case .bitXor: return try pair(.wideXor, left, right, bits: bits)
    case .bitAnd:
      // A mask that keeps all wanted bits, and one that keeps few of an endless number.
      if let mask = constant(right) ?? constant(left), !mask.isNegative {
        let operand = constant(right) == nil ? right : left
        let kept = min(mask.bitWidth, bits ?? Int.max)
        let value = try wideNumber(operand, bits: kept)
        if let bits, mask.truncated(to: bits) == .ones(bits) { return value }
        if mask == .ones(mask.bitWidth) {
          let result = newWide()
          emit(Instruction(.wideExtend, d: result, a: value, b: mask.bitWidth))
          return result
        }
        return wide(.wideAnd, value, wideConstant(mask))
      }
      return try pair(.wideAnd, left, right, bits: bits)
    case .divide: return try pair(.wideDivide, left, right, bits: nil)
    case .modulo: return try pair(.wideModulo, left, right, bits: nil)
    case .shiftLeft:
      if let distance = constant(right)?.exactInt {
        let shifted = max(0, min(distance, CodeLimits.wideBits))
        let value = try wideNumber(left, bits: bits.map { max(1, $0 - shifted) })
        let result = newWide()
        emit(Instruction(.wideShiftLeftImmediate, d: result, a: value, b: shifted))
        return result
      }
      let value = try wideNumber(left, bits: bits)
      return wide(.wideShiftLeft, value, try wideNumber(right, bits: nil))
    case .shiftRight:
      if let distance = constant(right)?.exactInt {
        let value = try wideNumber(left, bits: nil)
        let result = newWide()
        emit(
          Instruction(
            .wideShiftRightImmediate, d: result, a: value,
            b: max(0, min(distance, CodeLimits.wideBits))))
        return result
      }
      return try pair(.wideShiftRight, left, right, bits: nil)
    case .saturatingCast, .unsignedSaturatingCast:
      guard let width = constantWidth(right) else { throw failure("a cast to no known width") }
      let value = try wideNumber(left, bits: nil)
      note(bits: width + 1)
      let result = newWide()
      emit(
        Instruction(
          .wideSaturate, d: result, a: value, b: width,
          size: operation == .saturatingCast ? 1 : 0))
      return result
    case .twosComplement:
      guard let width = constantWidth(right) else { throw failure("a cast to no known width") }
      let value = try wideNumber(left, bits: min(width, bits ?? width))
      note(bits: width)
      let result = newWide()
      emit(Instruction(.wideExtend, d: result, a: value, b: width, size: 1))
      return result
    default: throw failure("a condition of more than 64 bits")
    }
  }

  private func pair(
    _ opcode: Opcode, _ left: P4Program.Expression, _ right: P4Program.Expression, bits: Int?
  ) throws(CompileError) -> Int {
    let a = try wideNumber(left, bits: bits)
    let b = try wideNumber(right, bits: bits)
    return wide(opcode, a, b)
  }

  // MARK: Assignments

  /// To `width` (> 64) bits from `bit` of the header bytes.
  func assignWide(
    _ bit: Int, _ width: Int, _ expression: P4Program.Expression
  ) throws(CompileError) {
    let isAligned = bit % 8 == 0 && width % 8 == 0
    if isAligned, constant(expression) == .zero {
      return emit(Instruction(.zeroBytes, d: bit / 8, b: width / 8))
    }
    if isAligned, case .field(let reference) = stripped(expression, bits: width),
      case .bytes(let from, let count) = place(of: reference), count >= width, count % 8 == 0,
      from % 8 == 0
    {
      return emit(
        Instruction(.copyBytes, d: bit / 8, a: (from + count - width) / 8, b: width / 8))
    }
    let value = try wideNumber(expression, bits: width)
    emit(Instruction(.wideStore, d: value, a: bit + width, b: width))
  }

  /// Without a mask that keeps at least the wanted bits.
  private func stripped(_ expression: P4Program.Expression, bits: Int) -> P4Program.Expression {
    if case .binary(.bitAnd, let left, let right) = expression, let mask = constant(right),
      mask.truncated(to: bits) == .ones(bits)
    {
      return stripped(left, bits: bits)
    }
    return expression
  }
}
