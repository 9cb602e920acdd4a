// Conditions: each is one bit per packet, so that whole batches are combined by one operation.
// Nothing has side effects here, so both sides of `and` and `or` are computed.

extension Compilation {
  func condition(_ expression: P4Program.Expression) throws(CompileError) -> Condition {
    switch expression {
    case .boolean(let value): return .constant(value)
    case .isValid(let reference): return try validity(reference)
    case .isUnionValid(let union): return anyValid(program.unions[union].members)
    case .isUnionElementValid(let stack, let index):
      return try unionElementValidity(stack, index)
    case .headersEqual(let left, let right): return try headersEqual(left, right)
    case .stacksEqual(let left, let right):
      return try membersEqual(program.stacks[left].elements, program.stacks[right].elements)
    case .unionsEqual(let left, let right): return try unionsEqual(left, right)
    case .unary(.not, let operand): return not(try condition(operand))
    case .unary(.dataToBool, let operand): return try nonZero(operand)
    case .binary(let operation, let left, let right):
      return try condition(operation, left, right, whole: expression)
    case .conditional(let test, let then, let otherwise) where isBoolean(then):
      let test = try condition(test)
      if case .constant(let value) = test { return try condition(value ? then : otherwise) }
      let a = and(test, try condition(then))
      return or(a, and(not(test), try condition(otherwise)))
    default: return try nonZero(expression)
    }
  }

  // MARK: Branches

  /// Branches on a condition. What is made of validity and flags alone costs nothing and goes
  /// first, so that fields are looked at only where their header is valid.
  func branch(
    _ expression: P4Program.Expression, then: Int, otherwise: Int
  ) throws(CompileError) {
    switch expression {
    case .unary(.not, let operand):
      return try branch(operand, then: otherwise, otherwise: then)
    case .binary(.logicalAnd, .binary(.logicalAnd, let first, let second), let third)
    where isCheap(first):
      return try branch(
        .binary(.logicalAnd, first, .binary(.logicalAnd, second, third)), then: then,
        otherwise: otherwise)
    case .binary(.logicalOr, .binary(.logicalOr, let first, let second), let third)
    where isCheap(first):
      return try branch(
        .binary(.logicalOr, first, .binary(.logicalOr, second, third)), then: then,
        otherwise: otherwise)
    case .binary(.logicalAnd, let left, let right) where isCheap(left) && !isCheap(right):
      let next = newBlock()
      branch(try condition(left), then: next, otherwise: otherwise)
      current = next
      return try branch(right, then: then, otherwise: otherwise)
    case .binary(.logicalOr, let left, let right) where isCheap(left) && !isCheap(right):
      let next = newBlock()
      branch(try condition(left), then: then, otherwise: next)
      current = next
      return try branch(right, then: then, otherwise: otherwise)
    default: branch(try condition(expression), then: then, otherwise: otherwise)
    }
  }

  /// Operations on masks only.
  private func isCheap(_ expression: P4Program.Expression) -> Bool {
    switch expression {
    case .boolean, .isUnionValid: return true
    case .isValid(.header): return true
    case .unary(.not, let operand), .unary(.dataToBool, let operand),
      .unary(.boolToData, let operand):
      return isCheap(operand)
    case .field(let reference):
      if case .mask = place(of: reference) { return true }
      return false
    case .constant(let value): return value == .zero || value == WideInteger(1)
    case .binary(let operation, let left, let right):
      switch operation {
      case .logicalAnd, .logicalOr, .equal, .notEqual: return isCheap(left) && isCheap(right)
      default: return false
      }
    default: return false
    }
  }

  /// The lowest bit of a number.
  func bit(_ expression: P4Program.Expression) throws(CompileError) -> Condition {
    if let value = constant(expression) { return .constant(value.low64 & 1 == 1) }
    if isBoolean(expression) { return try condition(expression) }
    switch expression {
    case .unary(.boolToData, let operand): return try condition(operand)
    case .unary(.complement, let operand): return not(try bit(operand))
    case .unary(.negate, let operand): return try bit(operand)
    case .field(let reference):
      if case .mask(let mask) = place(of: reference) { return .mask(Int(mask)) }
    case .binary(.bitAnd, let left, let right): return and(try bit(left), try bit(right))
    case .binary(.bitOr, let left, let right): return or(try bit(left), try bit(right))
    case .binary(.bitXor, let left, let right), .binary(.add, let left, let right),
      .binary(.subtract, let left, let right):
      return xor(try bit(left), try bit(right))
    case .conditional(let test, let then, let otherwise):
      let test = try condition(test)
      if case .constant(let value) = test { return try bit(value ? then : otherwise) }
      return or(and(test, try bit(then)), and(not(test), try bit(otherwise)))
    default: break
    }
    return bit(try low(expression, bits: 1))
  }

  func bit(_ operand: Number) -> Condition {
    switch operand {
    case .constant(let value): return .constant(value & 1 == 1)
    case .lane(let lane):
      let mask = newMask()
      emit(Instruction(.equalImmediate, d: mask, a: lane, immediate: 1, mask: 1))
      return .mask(mask)
    }
  }

  private func nonZero(_ expression: P4Program.Expression) throws(CompileError) -> Condition {
    guard !isBoolean(expression) else { return try condition(expression) }
    if let range = range(expression), range.isWithin(.bit) { return try bit(expression) }
    return try condition(
      .notEqual, expression, .constant(.zero),
      whole: .binary(.notEqual, expression, .constant(.zero)))
  }

  // MARK: Comparisons

  private func condition(
    _ operation: P4Program.BinaryOperator, _ left: P4Program.Expression,
    _ right: P4Program.Expression, whole: P4Program.Expression
  ) throws(CompileError) -> Condition {
    switch operation {
    case .logicalAnd: return and(try condition(left), try condition(right))
    case .logicalOr: return or(try condition(left), try condition(right))
    case .equal: return try equal(left, right, isInverted: false)
    case .notEqual: return try equal(left, right, isInverted: true)
    case .less: return try less(left, right, isInverted: false)
    case .greaterOrEqual: return try less(left, right, isInverted: true)
    case .greater: return try less(right, left, isInverted: false)
    case .lessOrEqual: return try less(right, left, isInverted: true)
    default: return try nonZero(whole)
    }
  }

  private func equal(
    _ left: P4Program.Expression, _ right: P4Program.Expression, isInverted: Bool
  ) throws(CompileError) -> Condition {
    if isBoolean(left) || isBoolean(right) {
      let difference = xor(try truth(left), try truth(right))
      return isInverted ? difference : not(difference)
    }
    if let a = varbit(left), let b = varbit(right) {
      let result = newMask()
      emit(Instruction(.variableEqual, d: result, a: a, b: b, size: isInverted ? 1 : 0))
      return .mask(result)
    }
    if let a = range(left), let b = range(right) {
      if let x = a.constant, let y = b.constant { return .constant((x == y) != isInverted) }
      if a.upper < b.lower || b.upper < a.lower { return .constant(isInverted) }
      if a.isWithin(.bit), b.isWithin(.bit) {
        let difference = xor(try bit(left), try bit(right))
        return isInverted ? difference : not(difference)
      }
      if shareLane(a, b) {
        return compare(
          .equal, .equalImmediate, try low(left), try low(right), isInverted: isInverted)
      }
    }
    let result = newMask()
    let a = try wideNumber(left, bits: nil)
    let b = try wideNumber(right, bits: nil)
    emit(Instruction(.wideEqual, d: result, a: a, b: b, size: isInverted ? 1 : 0))
    return .mask(result)
  }

  /// The header whose varbit an expression is.
  private func varbit(_ expression: P4Program.Expression) -> Int? {
    guard case .field(let reference) = expression, field(reference).isVariable else { return nil }
    return reference.header
  }

  /// As a condition, for `==` between a condition and a number.
  private func truth(_ expression: P4Program.Expression) throws(CompileError) -> Condition {
    isBoolean(expression) ? try condition(expression) : try nonZero(expression)
  }

  /// The same reading of 64 bits, unsigned or signed, is exact for both.
  private func shareLane(_ a: ValueRange, _ b: ValueRange) -> Bool {
    (a.fitsUnsigned && b.fitsUnsigned) || (a.fitsSigned && b.fitsSigned)
  }

  private func less(
    _ left: P4Program.Expression, _ right: P4Program.Expression, isInverted: Bool
  ) throws(CompileError) -> Condition {
    if let a = range(left), let b = range(right) {
      if a.upper < b.lower { return .constant(!isInverted) }
      if a.lower >= b.upper { return .constant(isInverted) }
      if a.fitsUnsigned, b.fitsUnsigned {
        return order(
          .less, .lessImmediate, try low(left), try low(right), most: ~0, isInverted: isInverted)
      }
      if a.fitsSigned, b.fitsSigned {
        return order(
          .lessSigned, .lessSignedImmediate, try low(left), try low(right), most: ~0 >> 1,
          isInverted: isInverted)
      }
    }
    let result = newMask()
    let a = try wideNumber(left, bits: nil)
    let b = try wideNumber(right, bits: nil)
    emit(Instruction(.wideLess, d: result, a: a, b: b, size: isInverted ? 1 : 0))
    return .mask(result)
  }

  private func compare(
    _ opcode: Opcode, _ immediate: Opcode, _ a: Number, _ b: Number, isInverted: Bool
  ) -> Condition {
    let result = newMask()
    let size = isInverted ? 1 : 0
    switch (a, b) {
    case (.lane(let lane), .constant(let value)), (.constant(let value), .lane(let lane)):
      emit(Instruction(immediate, d: result, a: lane, size: size, immediate: value))
    default:
      emit(Instruction(opcode, d: result, a: lane(a), b: lane(b), size: size))
    }
    return .mask(result)
  }

  /// `a < b`; `most` is the largest value of the order, after which there is no `+ 1`.
  private func order(
    _ opcode: Opcode, _ immediate: Opcode, _ a: Number, _ b: Number, most: UInt64,
    isInverted: Bool
  ) -> Condition {
    let result = newMask()
    let size = isInverted ? 1 : 0
    switch (a, b) {
    case (.lane(let lane), .constant(let value)):
      emit(Instruction(immediate, d: result, a: lane, size: size, immediate: value))
    case (.constant(let value), .lane(let lane)):
      // c < x is not x < c + 1.
      if value == most { return .constant(isInverted) }
      emit(Instruction(immediate, d: result, a: lane, size: 1 - size, immediate: value &+ 1))
    default:
      emit(Instruction(opcode, d: result, a: lane(a), b: lane(b), size: size))
    }
    return .mask(result)
  }

  // MARK: Masks

  func not(_ condition: Condition) -> Condition {
    switch condition {
    case .constant(let value): return .constant(!value)
    case .mask(let mask):
      let result = newMask()
      emit(Instruction(.moveMask, d: result, a: mask, size: 1))
      return .mask(result)
    }
  }

  func and(_ a: Condition, _ b: Condition) -> Condition {
    switch (a, b) {
    case (.constant(let value), let other), (let other, .constant(let value)):
      value ? other : .constant(false)
    case (.mask(let x), .mask(let y)): x == y ? a : combine(.andMask, x, y)
    }
  }

  func or(_ a: Condition, _ b: Condition) -> Condition {
    switch (a, b) {
    case (.constant(let value), let other), (let other, .constant(let value)):
      value ? .constant(true) : other
    case (.mask(let x), .mask(let y)): x == y ? a : combine(.orMask, x, y)
    }
  }

  func xor(_ a: Condition, _ b: Condition) -> Condition {
    switch (a, b) {
    case (.constant(let value), let other), (let other, .constant(let value)):
      value ? not(other) : other
    case (.mask(let x), .mask(let y)):
      x == y ? .constant(false) : combine(.xorMask, x, y)
    }
  }

  private func combine(_ opcode: Opcode, _ a: Int, _ b: Int) -> Condition {
    let result = newMask()
    emit(Instruction(opcode, d: result, a: a, b: b))
    return .mask(result)
  }
}
