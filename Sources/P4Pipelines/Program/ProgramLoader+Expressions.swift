import DPUCore
import JSONText

// Expressions. In the text every value is an object with a `type` and a `value`; operators are
// values of type `expression`. What comes out is typed: a number, a truth value, a header, a
// stack or a union.

extension ProgramLoader {
  /// What an expression stands for.
  enum Operand {
    case data(P4Program.Expression)
    case boolean(P4Program.Expression)
    case header(P4Program.HeaderReference)
    case stack(Int)
    case union(Int)
    /// Element of a stack of unions, found at run time.
    case unionElement(Int, P4Program.Expression)
    case unionStack(Int)

    var noun: StaticString {
      switch self {
      case .data: "a number"
      case .boolean: "a truth value"
      case .header: "a header"
      case .stack: "a header stack"
      case .union, .unionElement: "a union"
      case .unionStack: "a stack of unions"
      }
    }
  }

  /// What may be named where an expression stands.
  struct Scope {
    /// Parameters of the action around it.
    var parameters = 0
    /// The packet can be looked ahead only while it is parsed.
    var isParsing = false
    /// The header type whose `length_exp` it is: there `local` means a field of the header.
    var lengthOf: Int?

    static let control = Scope()
    static let parser = Scope(isParsing: true)
  }
}

private enum ValueType: ClosedWord {
  case expression, field, hexstr, bool, local, runtimeData, header, headerStack, headerUnion
  case headerUnionStack, stackField, unionStackField, register, lookahead

  var word: StaticString {
    switch self {
    case .expression: "expression"
    case .field: "field"
    case .hexstr: "hexstr"
    case .bool: "bool"
    case .local: "local"
    case .runtimeData: "runtime_data"
    case .header: "header"
    case .headerStack: "header_stack"
    case .headerUnion: "header_union"
    case .headerUnionStack: "header_union_stack"
    case .stackField: "stack_field"
    case .unionStackField: "union_stack_field"
    case .register: "register"
    case .lookahead: "lookahead"
    }
  }
}

extension ProgramLoader {
  mutating func data(
    _ node: ProgramNode, _ scope: Scope
  ) throws(ProgramProblem) -> P4Program.Expression {
    try number(operand(node, scope, depth: 0), node)
  }

  mutating func boolean(
    _ node: ProgramNode, _ scope: Scope
  ) throws(ProgramProblem) -> P4Program.Expression {
    try truth(operand(node, scope, depth: 0), node)
  }

  /// A truth value counts as 0 or 1 where a number is wanted.
  func number(
    _ operand: Operand, _ node: ProgramNode
  ) throws(ProgramProblem) -> P4Program.Expression {
    switch operand {
    case .data(let value): return value
    case .boolean(let value): return .unary(.boolToData, value)
    default: throw node.problem("must be a number, is \(operand.noun)")
    }
  }

  /// A number counts as whether it is not zero where a truth value is wanted.
  func truth(
    _ operand: Operand, _ node: ProgramNode
  ) throws(ProgramProblem) -> P4Program.Expression {
    switch operand {
    case .boolean(let value): return value
    case .data(.unary(.boolToData, let value)): return value
    case .data(let value): return .unary(.dataToBool, value)
    default: throw node.problem("must be a truth value, is \(operand.noun)")
    }
  }

  /// A number that is known already.
  mutating func constant(_ node: ProgramNode) throws(ProgramProblem) -> WideInteger {
    guard case .constant(let value) = try data(node, .control) else {
      throw node.problem("must be a constant")
    }
    return value
  }

  mutating func constant(
    _ node: ProgramNode, _ range: ClosedRange<Int>
  ) throws(ProgramProblem) -> Int {
    let value = try constant(node)
    guard let number = value.exactInt, range.contains(number) else {
      throw node.problem(
        """
        must lie between \(range.lowerBound) and \(range.upperBound), is \
        \(quoted(value.hexadecimal))
        """)
    }
    return number
  }

  mutating func operand(
    _ node: ProgramNode, _ scope: Scope, depth: Int
  ) throws(ProgramProblem) -> Operand {
    guard depth < ProgramLimits.expressionDepth else {
      throw node.problem(
        "expressions may be nested \(ProgramLimits.expressionDepth) deep at most")
    }
    expressionNodeCount += 1
    guard expressionNodeCount <= ProgramLimits.expressionNodes else {
      throw node.problem(
        "all expressions together may have \(ProgramLimits.expressionNodes) parts at most")
    }
    let object = try node.object()
    if object["op"] != nil { return try operation(object, scope, depth: depth) }
    let type = try object.required("type").word(ValueType.self, "type of value")
    let value = try object.required("value")
    switch type {
    case .expression:
      let inner = try value.object()
      return inner["op"] != nil
        ? try operation(inner, scope, depth: depth)
        : try operand(value, scope, depth: depth + 1)
    case .hexstr: return .data(.constant(try value.number()))
    case .bool: return .boolean(.boolean(try value.boolean()))
    case .field:
      if let field = try computedField(value, scope, depth: depth) { return field }
      switch try fieldPlace(value) {
      case .field(let field): return .data(.field(field))
      case .validity(let header): return .data(.unary(.boolToData, validity(.header(header))))
      }
    case .stackField: return operand(try stackPlace(value))
    case .unionStackField: return operand(try unionStackPlace(value))
    case .local, .runtimeData: return try local(value, scope)
    case .header: return .header(.header(try find(value, in: headerNames, "header")))
    case .headerStack: return .stack(try find(value, in: stackNames, "header stack"))
    case .headerUnion: return .union(try find(value, in: unionNames, "union"))
    case .headerUnionStack:
      return .unionStack(try find(value, in: unionStackNames, "stack of unions"))
    case .register:
      let (register, index) = try registerElement(value, scope, depth: depth)
      return .data(.register(register, index: index))
    case .lookahead:
      let (offset, width) = try lookahead(value, scope)
      return .data(.lookahead(offset: offset, width: width))
    }
  }

  private func operand(_ place: StackPlace) -> Operand {
    switch place {
    case .field(let header, let field): .data(.indirectField(header, field: field))
    case .validity(let header): .data(.unary(.boolToData, validity(header)))
    case .header(let header): .header(header)
    }
  }

  /// A field of a header that is itself an expression; p4c writes so for elements of stacks.
  private mutating func computedField(
    _ node: ProgramNode, _ scope: Scope, depth: Int
  ) throws(ProgramProblem) -> Operand? {
    guard let first = node.json.elements.first, first.kind == .object else { return nil }
    let parts = try node.elements(2...2)
    let value = try operand(parts[0], scope, depth: depth + 1)
    guard case .header(let reference) = value else {
      throw parts[0].problem("must be a header, is \(value.noun)")
    }
    let name = try parts[1].name()
    if let field = field(name, of: sample(of: reference)) {
      if case .header(let header) = reference {
        return .data(.field(P4Program.FieldReference(header: header, field: field)))
      }
      return .data(.indirectField(reference, field: field))
    }
    guard name.isWord("$valid$") else {
      throw try unknownField(parts[1], of: sample(of: reference))
    }
    return .data(.unary(.boolToData, validity(reference)))
  }

  /// Metadata is always valid.
  func validity(_ reference: P4Program.HeaderReference) -> P4Program.Expression {
    if case .header(let header) = reference, program.headers[header].isMetadata {
      return .boolean(true)
    }
    return .isValid(reference)
  }

  private func local(_ node: ProgramNode, _ scope: Scope) throws(ProgramProblem) -> Operand {
    if let type = scope.lengthOf {
      // The header has not been extracted when its length is computed, so its fields are looked
      // up in the packet. Those before the varbit have fixed places.
      let variable = types[type].variableField ?? 0
      guard variable > 0 else { throw node.problem("there is no field before the varbit") }
      let field = types[type].fields[try node.integer(0...variable - 1)]
      return .data(.lookahead(offset: field.offset, width: field.width))
    }
    guard scope.parameters > 0 else { throw node.problem("there are no parameters here") }
    return .data(.parameter(try node.integer(0...scope.parameters - 1)))
  }

  mutating func registerElement(
    _ node: ProgramNode, _ scope: Scope, depth: Int
  ) throws(ProgramProblem) -> (register: Int, index: P4Program.Expression) {
    let parts = try node.elements(2...2)
    let register = try find(parts[0], in: registerNames, "register")
    let index = try operand(parts[1], scope, depth: depth + 1)
    return (register, try number(index, parts[1]))
  }

  func lookahead(
    _ node: ProgramNode, _ scope: Scope
  ) throws(ProgramProblem) -> (offset: Int, width: Int) {
    guard scope.isParsing else {
      throw node.problem("the packet can be looked ahead only in the parser")
    }
    let parts = try node.elements(2...2)
    return (
      try parts[0].integer(0...ProgramLimits.headerBits),
      try parts[1].integer(1...ProgramLimits.fieldBits)
    )
  }
}
