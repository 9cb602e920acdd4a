import DPUCore
import JSONText

// What a statement or an expression names: fields, headers, members of stacks and unions.

extension ProgramLoader {
  /// A name of the form `["header", "field"]`.
  enum FieldPlace {
    case field(P4Program.FieldReference)
    /// The hidden field `$valid$` of that header.
    case validity(Int)
  }

  /// A name of the form `["stack", "field"]`: it means the last element of the stack.
  enum StackPlace {
    case field(P4Program.HeaderReference, field: Int)
    case validity(P4Program.HeaderReference)
    /// The element as a whole.
    case header(P4Program.HeaderReference)
  }

  func fieldPlace(_ node: ProgramNode) throws(ProgramProblem) -> FieldPlace {
    let parts = try node.elements(2...2)
    let headerName = try parts[0].name()
    let fieldName = try parts[1].name()
    let header = headerNames.find(headerName)
    if let header {
      if let field = field(fieldName, of: header) {
        return .field(P4Program.FieldReference(header: header, field: field))
      }
      if fieldName.isWord("$valid$") { return .validity(header) }
    }
    if let alias = aliasNames.find("\(headerName).\(fieldName)") {
      return .field(program.aliases[alias].field)
    }
    guard let header else {
      throw parts[0].problem("unknown header \(quoted(headerName))")
    }
    throw try unknownField(parts[1], of: header)
  }

  func field(_ name: Text, of header: Int) -> Int? {
    types[typeOfHeader[header]].fieldNames.find(name)
  }

  func unknownField(_ node: ProgramNode, of header: Int) throws(ProgramProblem) -> ProgramProblem {
    node.problem(
      """
      header type \(quoted(program.headers[header].typeName)) has no field \
      \(quoted(try node.name()))
      """)
  }

  /// A field with a place of its own: something to write, to list or to feed a calculation.
  func plainField(_ node: ProgramNode) throws(ProgramProblem) -> P4Program.FieldReference {
    switch try fieldPlace(node) {
    case .field(let field): return field
    case .validity: throw node.problem("must be a field, not the validity of a header")
    }
  }

  func width(of field: P4Program.FieldReference) -> Int {
    program.headers[field.header].fields[field.field].width
  }

  /// A header that has the type of all that `reference` may turn out to be.
  func sample(of reference: P4Program.HeaderReference) -> Int {
    switch reference {
    case .header(let header): header
    case .stackNext(let stack), .stackLast(let stack), .stackElement(let stack, _):
      program.stacks[stack].elements[0]
    case .unionStackNext(let stack, let member), .unionStackLast(let stack, let member),
      .unionStackElement(let stack, _, let member):
      program.unions[program.unionStacks[stack].elements[0]].members[member]
    }
  }

  func stackPlace(_ node: ProgramNode) throws(ProgramProblem) -> StackPlace {
    let parts = try node.elements(2...2)
    let stack = try find(parts[0], in: stackNames, "header stack")
    let name = try parts[1].name()
    let header = program.stacks[stack].elements[0]
    if let field = field(name, of: header) { return .field(.stackLast(stack), field: field) }
    if name.isWord("$valid$") { return .validity(.stackLast(stack)) }
    // p4c writes whole elements as if they were fields.
    if name.isWord("last") { return .header(.stackLast(stack)) }
    if name.isWord("next") { return .header(.stackNext(stack)) }
    throw try unknownField(parts[1], of: header)
  }

  /// `["union stack", "member", "field"]`: of the last element.
  func unionStackPlace(_ node: ProgramNode) throws(ProgramProblem) -> StackPlace {
    let parts = try node.elements(3...3)
    let (stack, member) = try unionStackMember(parts[0], parts[1])
    let reference = P4Program.HeaderReference.unionStackLast(stack, member: member)
    let name = try parts[2].name()
    if let field = field(name, of: sample(of: reference)) {
      return .field(reference, field: field)
    }
    if name.isWord("$valid$") { return .validity(reference) }
    throw try unknownField(parts[2], of: sample(of: reference))
  }

  func unionStackMember(
    _ stackNode: ProgramNode, _ memberNode: ProgramNode
  ) throws(ProgramProblem) -> (stack: Int, member: Int) {
    let stack = try find(stackNode, in: unionStackNames, "stack of unions")
    let type = typeOfUnion[program.unionStacks[stack].elements[0]]
    let name = try memberNode.name()
    guard let member = unionTypes[type].memberNames.find(name) else {
      throw memberNode.problem(
        "union type \(quoted(unionTypes[type].name)) has no member \(quoted(name))")
    }
    return (stack, member)
  }
}
