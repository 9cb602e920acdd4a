// What an expression can be, from the widths of what it is made of.

extension Compilation {
  /// nil: nothing is known but that it may be longer than anything that can be computed with.
  func range(_ expression: P4Program.Expression) -> ValueRange? {
    switch expression {
    case .constant(let value): ValueRange(constant: value)
    case .boolean(let value): ValueRange(constant: WideInteger(value ? 1 : 0))
    case .field(let reference): range(of: field(reference))
    case .indirectField(let reference, let index): range(of: elementField(reference, index))
    case .parameter(let index): parameterRange(index)
    case .isValid, .isUnionValid, .isUnionElementValid, .headersEqual, .stacksEqual, .unionsEqual:
      .bit
    case .lastStackIndex(let stack): lastIndexRange(stack)
    case .lastUnionStackIndex(let stack): lastIndexRange(stackCode(union: stack))
    case .stackSize(let stack): sizeRange(stack)
    case .unionStackSize(let stack): sizeRange(stackCode(union: stack))
    case .unary(let operation, let operand): range(operation, operand)
    case .binary(let operation, let left, let right): range(operation, left, right)
    case .conditional(_, let then, let otherwise):
      if let left = range(then), let right = range(otherwise) { left.union(right) } else { nil }
    case .lookahead(_, let width): ValueRange(unsigned: width)
    case .register(let register, _): ValueRange(unsigned: program.registers[register].width)
    }
  }

  private func range(of field: P4Program.Field) -> ValueRange {
    field.isSigned ? ValueRange(signed: field.width) : ValueRange(unsigned: field.width)
  }

  private func parameterRange(_ index: Int) -> ValueRange? {
    switch parameters {
    case .none: nil
    case .record(_, _, _, let widths): ValueRange(unsigned: widths[index])
    case .constants(let values): ValueRange(constant: values[index])
    }
  }

  private func sizeRange(_ stack: Int) -> ValueRange {
    if let next = parser.next[stack] { return ValueRange(constant: WideInteger(next)) }
    return ValueRange(.zero, WideInteger(Int(code.stacks[stack].count)))
  }

  /// An empty stack has the last index 2^64 - 1 in BMv2, which computes it as an unsigned size.
  private func lastIndexRange(_ stack: Int) -> ValueRange {
    if let next = parser.next[stack], next > 0 {
      return ValueRange(constant: WideInteger(next - 1))
    }
    return ValueRange(unsigned: 64)
  }

  private func range(
    _ operation: P4Program.UnaryOperator, _ operand: P4Program.Expression
  ) -> ValueRange? {
    switch operation {
    case .not, .dataToBool, .boolToData: return .bit
    case .complement:
      guard let value = range(operand) else { return nil }
      return ~value
    case .negate:
      guard let value = range(operand) else { return nil }
      return ValueRange(constant: .zero) - value
    }
  }

  private func range(
    _ operation: P4Program.BinaryOperator, _ left: P4Program.Expression,
    _ right: P4Program.Expression
  ) -> ValueRange? {
    switch operation {
    case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .logicalAnd,
      .logicalOr:
      return .bit
    case .twosComplement:
      guard let width = constantWidth(right) else { return nil }
      let whole = ValueRange(signed: width)
      if let value = range(left), value.isWithin(whole) { return value }
      return whole
    case .saturatingCast, .unsignedSaturatingCast:
      guard let width = constantWidth(right) else { return nil }
      let whole =
        operation == .saturatingCast ? ValueRange(signed: width) : ValueRange(unsigned: width)
      return range(left)?.clamped(to: whole) ?? whole
    case .bitAnd:
      // One natural side bounds the result whatever the other is.
      let a = range(left)
      let b = range(right)
      if let a, let b { return a & b }
      if let one = a ?? b, one.isNatural { return ValueRange(.zero, one.upper) }
      return nil
    default: break
    }
    guard let a = range(left), let b = range(right) else { return nil }
    switch operation {
    case .add: return a + b
    case .subtract: return a - b
    case .multiply: return a * b
    case .divide: return a.divided(by: b)
    case .modulo: return a.remainder(by: b)
    case .shiftLeft: return a.shiftedLeft(by: b)
    case .shiftRight: return a.shiftedRight(by: b)
    default: return ValueRange.combined(a, b)
    }
  }

  /// The width that a cast names.
  func constantWidth(_ expression: P4Program.Expression) -> Int? {
    guard let value = constant(expression)?.exactInt, value > 0, value <= CodeLimits.wideBits
    else { return nil }
    return value
  }

  /// The value of an expression that is a constant as written.
  func constant(_ expression: P4Program.Expression) -> WideInteger? {
    range(expression)?.constant
  }

  /// A condition rather than a number.
  func isBoolean(_ expression: P4Program.Expression) -> Bool {
    switch expression {
    case .boolean, .isValid, .isUnionValid, .isUnionElementValid, .headersEqual, .stacksEqual,
      .unionsEqual:
      return true
    case .unary(let operation, _): return operation == .not || operation == .dataToBool
    case .binary(let operation, _, _):
      switch operation {
      case .equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual, .logicalAnd,
        .logicalOr:
        return true
      default: return false
      }
    case .conditional(_, let then, _): return isBoolean(then)
    default: return false
    }
  }
}
