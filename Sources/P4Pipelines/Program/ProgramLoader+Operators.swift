import DPUCore
import JSONText

private enum Operator: ClosedWord {
  case add, subtract, multiply, divide, modulo, shiftLeft, shiftRight, bitAnd, bitOr, bitXor
  case complement, equal, notEqual, less, lessOrEqual, greater, greaterOrEqual, and, or, not
  case dataToBool, boolToData, twosComplement, saturate, saturateUnsigned, choose, valid
  case validUnion, accessField, dereferenceStack, dereferenceHeaderStack, dereferenceUnionStack
  case accessUnionHeader, lastStackIndex, sizeStack

  var word: StaticString {
    switch self {
    case .add: "+"
    case .subtract: "-"
    case .multiply: "*"
    case .divide: "/"
    case .modulo: "%"
    case .shiftLeft: "<<"
    case .shiftRight: ">>"
    case .bitAnd: "&"
    case .bitOr: "|"
    case .bitXor: "^"
    case .complement: "~"
    case .equal: "=="
    case .notEqual: "!="
    case .less: "<"
    case .lessOrEqual: "<="
    case .greater: ">"
    case .greaterOrEqual: ">="
    case .and: "and"
    case .or: "or"
    case .not: "not"
    case .dataToBool: "d2b"
    case .boolToData: "b2d"
    case .twosComplement: "two_comp_mod"
    case .saturate: "sat_cast"
    case .saturateUnsigned: "usat_cast"
    case .choose: "?"
    case .valid: "valid"
    case .validUnion: "valid_union"
    case .accessField: "access_field"
    case .dereferenceStack: "dereference_stack"
    case .dereferenceHeaderStack: "dereference_header_stack"
    case .dereferenceUnionStack: "dereference_union_stack"
    case .accessUnionHeader: "access_union_header"
    case .lastStackIndex: "last_stack_index"
    case .sizeStack: "size_stack"
    }
  }

  /// Of two numbers, to a number.
  var arithmetic: P4Program.BinaryOperator? {
    switch self {
    case .add: .add
    case .subtract: .subtract
    case .multiply: .multiply
    case .divide: .divide
    case .modulo: .modulo
    case .shiftLeft: .shiftLeft
    case .shiftRight: .shiftRight
    case .bitAnd: .bitAnd
    case .bitOr: .bitOr
    case .bitXor: .bitXor
    default: nil
    }
  }

  /// Of two numbers, to a truth value.
  var comparison: P4Program.BinaryOperator? {
    switch self {
    case .less: .less
    case .lessOrEqual: .lessOrEqual
    case .greater: .greater
    case .greaterOrEqual: .greaterOrEqual
    default: nil
    }
  }

  /// Of a number and a width.
  var cast: P4Program.BinaryOperator? {
    switch self {
    case .twosComplement: .twosComplement
    case .saturate: .saturatingCast
    case .saturateUnsigned: .unsignedSaturatingCast
    default: nil
    }
  }
}

extension ProgramLoader {
  /// An object with the key `op`.
  mutating func operation(
    _ object: ProgramObject, _ scope: Scope, depth: Int
  ) throws(ProgramProblem) -> Operand {
    let name = try object.required("op").word(Operator.self, "operator")
    if let arithmetic = name.arithmetic {
      return .data(try self.arithmetic(arithmetic, object, scope, depth: depth))
    }
    if let comparison = name.comparison {
      let left = try side("left", object, scope, depth: depth)
      return .boolean(.binary(comparison, left, try side("right", object, scope, depth: depth)))
    }
    if let cast = name.cast {
      let value = try side("left", object, scope, depth: depth)
      let node = try object.required("right")
      let width = try side("right", object, scope, depth: depth)
      guard case .constant(let bits) = width, let bits = bits.exactInt,
        1...ProgramLimits.fieldBits ~= bits
      else {
        throw node.problem(
          "must be a constant width between 1 and \(ProgramLimits.fieldBits)")
      }
      return .data(.binary(cast, value, width))
    }
    switch name {
    case .complement:
      return .data(.unary(.complement, try side("right", object, scope, depth: depth)))
    case .and, .or:
      let left = try condition("left", object, scope, depth: depth)
      let right = try condition("right", object, scope, depth: depth)
      return .boolean(.binary(name == .and ? .logicalAnd : .logicalOr, left, right))
    case .not:
      return .boolean(.unary(.not, try condition("right", object, scope, depth: depth)))
    case .dataToBool:
      return .boolean(try condition("right", object, scope, depth: depth))
    case .boolToData:
      return .data(.unary(.boolToData, try condition("right", object, scope, depth: depth)))
    case .equal, .notEqual:
      return .boolean(
        try equality(object, scope, isEqual: name == .equal, depth: depth))
    case .choose: return try choice(object, scope, depth: depth)
    case .valid, .accessField: return try ofHeader(name, object, scope, depth: depth)
    case .validUnion, .accessUnionHeader: return try ofUnion(name, object, scope, depth: depth)
    default: return try ofStack(name, object, scope, depth: depth)
    }
  }

  /// One side of an operator, as a number.
  private mutating func side(
    _ key: StaticString, _ object: ProgramObject, _ scope: Scope, depth: Int
  ) throws(ProgramProblem) -> P4Program.Expression {
    let node = try object.required(key)
    return try number(operand(node, scope, depth: depth + 1), node)
  }

  private mutating func condition(
    _ key: StaticString, _ object: ProgramObject, _ scope: Scope, depth: Int
  ) throws(ProgramProblem) -> P4Program.Expression {
    let node = try object.required(key)
    return try truth(operand(node, scope, depth: depth + 1), node)
  }

  private mutating func arithmetic(
    _ name: P4Program.BinaryOperator, _ object: ProgramObject, _ scope: Scope, depth: Int
  ) throws(ProgramProblem) -> P4Program.Expression {
    // Signs are written as operators without a left side.
    if object.present("left") == nil, name == .add || name == .subtract {
      let value = try side("right", object, scope, depth: depth)
      return name == .add ? value : .unary(.negate, value)
    }
    let left = try side("left", object, scope, depth: depth)
    var right = try side("right", object, scope, depth: depth)
    if name == .shiftLeft || name == .shiftRight, case .constant(let count) = right {
      guard !count.isNegative else {
        throw try object.required("right").problem("must not be negative")
      }
      let longest = WideInteger(ProgramLimits.constantBits)
      if count > longest { right = .constant(longest) }
    }
    return .binary(name, left, right)
  }

  private mutating func equality(
    _ object: ProgramObject, _ scope: Scope, isEqual: Bool, depth: Int
  ) throws(ProgramProblem) -> P4Program.Expression {
    let leftNode = try object.required("left")
    let rightNode = try object.required("right")
    let left = try operand(leftNode, scope, depth: depth + 1)
    let right = try operand(rightNode, scope, depth: depth + 1)
    let isSame: P4Program.Expression
    switch (left, right) {
    case (.boolean(let a), .boolean(let b)), (.data(let a), .data(let b)):
      return .binary(isEqual ? .equal : .notEqual, a, b)
    case (.header(let a), .header(let b)):
      guard typeOfHeader[sample(of: a)] == typeOfHeader[sample(of: b)] else {
        throw rightNode.problem(
          "must be a header of type \(quoted(program.headers[sample(of: a)].typeName))")
      }
      isSame = .headersEqual(a, b)
    case (.stack(let a), .stack(let b)):
      try checkSameStacks(a, b, rightNode)
      isSame = .stacksEqual(a, b)
    case (.union(let a), .union(let b)):
      try checkSameUnions(a, b, rightNode)
      isSame = .unionsEqual(a, b)
    case (.data, .boolean), (.boolean, .data):
      return .binary(
        isEqual ? .equal : .notEqual, try number(left, leftNode), try number(right, rightNode))
    default:
      throw rightNode.problem("\(left.noun) and \(right.noun) cannot be compared")
    }
    return isEqual ? isSame : .unary(.not, isSame)
  }

  private mutating func choice(
    _ object: ProgramObject, _ scope: Scope, depth: Int
  ) throws(ProgramProblem) -> Operand {
    let condition = try condition("cond", object, scope, depth: depth)
    let leftNode = try object.required("left")
    let rightNode = try object.required("right")
    let left = try operand(leftNode, scope, depth: depth + 1)
    let right = try operand(rightNode, scope, depth: depth + 1)
    if case .boolean(let then) = left, case .boolean(let otherwise) = right {
      return .boolean(.conditional(condition, then: then, otherwise: otherwise))
    }
    let then = try number(left, leftNode)
    return .data(
      .conditional(condition, then: then, otherwise: try number(right, rightNode)))
  }

  /// `valid` and `access_field`.
  private mutating func ofHeader(
    _ name: Operator, _ object: ProgramObject, _ scope: Scope, depth: Int
  ) throws(ProgramProblem) -> Operand {
    let node = try object.required(name == .valid ? "right" : "left")
    let value = try operand(node, scope, depth: depth + 1)
    guard case .header(let reference) = value else {
      throw node.problem("must be a header, is \(value.noun)")
    }
    if name == .valid { return .boolean(validity(reference)) }
    let fields = program.headers[sample(of: reference)].fields.count
    // The validity stands behind the fields.
    let field = try object.required("right").integer(0...fields)
    if field == fields { return .data(.unary(.boolToData, validity(reference))) }
    if case .header(let header) = reference {
      return .data(.field(P4Program.FieldReference(header: header, field: field)))
    }
    return .data(.indirectField(reference, field: field))
  }

  /// `valid_union` and `access_union_header`.
  private mutating func ofUnion(
    _ name: Operator, _ object: ProgramObject, _ scope: Scope, depth: Int
  ) throws(ProgramProblem) -> Operand {
    let node = try object.required(name == .validUnion ? "right" : "left")
    let value = try operand(node, scope, depth: depth + 1)
    switch value {
    case .union(let union):
      if name == .validUnion { return .boolean(.isUnionValid(union)) }
      let members = program.unions[union].members
      let member = try object.required("right").integer(0...members.count - 1)
      return .header(.header(members[member]))
    case .unionElement(let stack, let index):
      if name == .validUnion { return .boolean(.isUnionElementValid(stack, index)) }
      let members = program.unions[program.unionStacks[stack].elements[0]].members
      let member = try object.required("right").integer(0...members.count - 1)
      return .header(.unionStackElement(stack, index, member: member))
    default: throw node.problem("must be a union, is \(value.noun)")
    }
  }

  /// `dereference_…_stack`, `last_stack_index`, `size_stack`.
  private mutating func ofStack(
    _ name: Operator, _ object: ProgramObject, _ scope: Scope, depth: Int
  ) throws(ProgramProblem) -> Operand {
    let isUnary = name == .lastStackIndex || name == .sizeStack
    let node = try object.required(isUnary ? "right" : "left")
    let value = try operand(node, scope, depth: depth + 1)
    switch (name, value) {
    case (.lastStackIndex, .stack(let stack)): return .data(.lastStackIndex(stack))
    case (.lastStackIndex, .unionStack(let stack)): return .data(.lastUnionStackIndex(stack))
    case (.sizeStack, .stack(let stack)): return .data(.stackSize(stack))
    case (.sizeStack, .unionStack(let stack)): return .data(.unionStackSize(stack))
    case (.dereferenceStack, .stack(let stack)), (.dereferenceHeaderStack, .stack(let stack)):
      let index = try side("right", object, scope, depth: depth)
      let elements = program.stacks[stack].elements
      if let known = known(index, elements.count) { return .header(.header(elements[known])) }
      return .header(.stackElement(stack, index))
    case (.dereferenceUnionStack, .unionStack(let stack)):
      let index = try side("right", object, scope, depth: depth)
      let elements = program.unionStacks[stack].elements
      if let known = known(index, elements.count) { return .union(elements[known]) }
      return .unionElement(stack, index)
    default: throw node.problem("must be a stack, is \(value.noun)")
    }
  }

  /// An index that is a constant within a stack.
  private func known(_ index: P4Program.Expression, _ count: Int) -> Int? {
    guard case .constant(let value) = index, let number = value.exactInt, 0..<count ~= number
    else { return nil }
    return number
  }

  func checkSameStacks(_ a: Int, _ b: Int, _ node: ProgramNode) throws(ProgramProblem) {
    let (left, right) = (program.stacks[a].elements, program.stacks[b].elements)
    guard left.count == right.count, typeOfHeader[left[0]] == typeOfHeader[right[0]] else {
      throw node.problem(
        """
        must be a stack of \(left.count) headers of type \
        \(quoted(program.headers[left[0]].typeName))
        """)
    }
  }

  func checkSameUnions(_ a: Int, _ b: Int, _ node: ProgramNode) throws(ProgramProblem) {
    guard typeOfUnion[a] == typeOfUnion[b] else {
      throw node.problem("must be a union of type \(quoted(unionTypes[typeOfUnion[a]].name))")
    }
  }
}
