import DPUCore
import JSONText

// The parser, its value sets, and the deparser.

private enum OperationName: ClosedWord {
  case extract, extractVariable, set, verify, advance, shift, primitive

  var word: StaticString {
    switch self {
    case .extract: "extract"
    case .extractVariable: "extract_VL"
    case .set: "set"
    case .verify: "verify"
    case .advance: "advance"
    case .shift: "shift"
    case .primitive: "primitive"
    }
  }

  var parameterCount: Int {
    switch self {
    case .extract, .advance, .shift, .primitive: 1
    case .extractVariable, .set, .verify: 2
    }
  }
}

private enum TransitionType: ClosedWord {
  case `default`, hexstr, valueSet

  var word: StaticString {
    switch self {
    case .default: "default"
    case .hexstr: "hexstr"
    case .valueSet: "parse_vset"
    }
  }
}

private enum ExtractType: ClosedWord {
  case regular, stack, unionStack

  var word: StaticString {
    switch self {
    case .regular: "regular"
    case .stack: "stack"
    case .unionStack: "union_stack"
    }
  }
}

private enum KeyType: ClosedWord {
  case field, stackField, unionStackField, lookahead

  var word: StaticString {
    switch self {
    case .field: "field"
    case .stackField: "stack_field"
    case .unionStackField: "union_stack_field"
    case .lookahead: "lookahead"
    }
  }
}

extension ProgramLoader {
  mutating func readValueSets(_ root: ProgramObject) throws(ProgramProblem) {
    var values = 0
    for node in try root.list("parse_vsets", 0...ProgramLimits.objects) {
      let object = try node.object()
      let name = try object.required("name")
      let size = try object.required("max_size")
      let set = P4Program.ValueSet(
        name: try name.name(),
        width: try object.required("compressed_bitwidth").integer(1...ProgramLimits.keyBits),
        capacity: try size.integer(0...ProgramLimits.valueSetEntries))
      values += set.capacity
      guard values <= ProgramLimits.valueSetEntries else {
        throw size.problem(
          "all value sets together may have \(ProgramLimits.valueSetEntries) values")
      }
      try claim(set.name, in: &valueSetNames, program.valueSets.count, name, "value set")
      program.valueSets.append(set)
    }
  }

  mutating func readParser(_ root: ProgramObject) throws(ProgramProblem) {
    let parser = try root.required("parsers").elements(1...1)[0].object()
    let list = try parser.required("parse_states").elements(1...ProgramLimits.states)
    // States lead to each other, so all names come first.
    var names = NameTable()
    for (index, node) in list.enumerated() {
      let name = try node.object().required("name")
      try claim(name.name(), in: &names, index, name, "parser state")
    }
    for node in list { program.states.append(try state(node, names)) }
    program.startState = try find(parser.required("init_state"), in: names, "parser state")
  }

  private mutating func state(
    _ node: ProgramNode, _ names: borrowing NameTable
  ) throws(ProgramProblem) -> P4Program.ParserState {
    let object = try node.object()
    var state = P4Program.ParserState(
      name: try object.required("name").name(), operations: [], key: [], transitions: [])
    for operation in try object.required("parser_ops").elements(0...ProgramLimits.statements) {
      state.operations.append(try parserOperation(operation))
    }
    let keyNode = try object.required("transition_key")
    var keyBytes = 0
    var keyBits = 0
    for part in try keyNode.elements(0...ProgramLimits.objects) {
      let key = try keyPart(part)
      keyBits += key.width
      keyBytes += (key.width + 7) / 8
      state.key.append(key)
    }
    guard keyBytes * 8 <= ProgramLimits.keyBits else {
      throw keyNode.problem(
        "must have at most \(ProgramLimits.keyBits) bits with padding, has \(keyBytes * 8)")
    }
    var last: P4Program.Transition?
    for part in try object.required("transitions").elements(0...ProgramLimits.objects) {
      let transition = try transition(part, names, bytes: keyBytes, bits: keyBits)
      // The default is taken when nothing else matches, wherever it stands.
      if case .anything = transition.match {
        guard last == nil else { throw part.problem("there is another default transition") }
        last = transition
      } else {
        state.transitions.append(transition)
      }
    }
    if let last { state.transitions.append(last) }
    return state
  }

  private mutating func parserOperation(
    _ node: ProgramNode
  ) throws(ProgramProblem) -> P4Program.ParserOperation {
    try countStatement(node)
    let object = try node.object()
    let name = try object.required("op").word(OperationName.self, "parser operation")
    let count = name.parameterCount
    let parameters = try object.required("parameters").elements(count...count)
    switch name {
    case .extract: return try extraction(parameters[0], length: nil)
    case .extractVariable: return try extraction(parameters[0], length: parameters[1])
    case .set:
      let target = try destination(parameters[0], .parser)
      return .set(target, try data(parameters[1], .parser))
    case .verify:
      let condition = try boolean(parameters[0], .parser)
      if parameters[1].json.kind == .integer {
        let number = try parameters[1].integer(0...Int(Int32.max))
        return .verify(condition, error: .constant(WideInteger(number)))
      }
      return .verify(condition, error: try data(parameters[1], .parser))
    case .advance: return .advance(try data(parameters[0], .parser))
    case .shift: return .shift(try parameters[0].integer(0...ProgramLimits.headerBits / 8))
    case .primitive:
      return .primitive(try statement(parameters[0], .parser, jumps: nil))
    }
  }

  private mutating func extraction(
    _ node: ProgramNode, length: ProgramNode?
  ) throws(ProgramProblem) -> P4Program.ParserOperation {
    let object = try node.object()
    let value = try object.required("value")
    let reference: P4Program.HeaderReference
    switch try object.required("type").word(ExtractType.self, "type of extraction") {
    case .regular: reference = .header(try find(value, in: headerNames, "header"))
    case .stack: reference = .stackNext(try find(value, in: stackNames, "header stack"))
    case .unionStack:
      let parts = try value.elements(2...2)
      let (stack, member) = try unionStackMember(parts[0], parts[1])
      reference = .unionStackNext(stack, member: member)
    }
    let sample = sample(of: reference)
    guard !program.headers[sample].isMetadata else {
      throw value.problem("metadata cannot be extracted")
    }
    let type = typeOfHeader[sample]
    let isVariable = types[type].variableField != nil
    if let length {
      guard isVariable else {
        throw value.problem("must be a header with a field of variable length")
      }
      return .extractVariable(reference, bits: try data(length, .parser))
    }
    guard isVariable else { return .extract(reference) }
    guard let expression = types[type].length else {
      throw value.problem(
        "header type \(quoted(types[type].name)) has a field of variable length but no length")
    }
    return .extractVariable(
      reference, bits: try data(expression, Scope(isParsing: true, lengthOf: type)))
  }

  // MARK: Transitions

  private mutating func keyPart(_ node: ProgramNode) throws(ProgramProblem) -> P4Program.KeyPart {
    let object = try node.object()
    let value = try object.required("value")
    let width: Int
    switch try object.required("type").word(KeyType.self, "type of key") {
    case .field:
      if case .field(let field) = try fieldPlace(value) {
        width = self.width(of: field)
      } else {
        width = 1
      }
    case .stackField: width = try self.width(of: stackPlace(value), value)
    case .unionStackField: width = try self.width(of: unionStackPlace(value), value)
    case .lookahead: width = try lookahead(value, .parser).width
    }
    return P4Program.KeyPart(value: try data(node, .parser), width: width)
  }

  private func width(of place: StackPlace, _ node: ProgramNode) throws(ProgramProblem) -> Int {
    switch place {
    case .field(let header, let field):
      return program.headers[sample(of: header)].fields[field].width
    case .validity: return 1
    case .header: throw node.problem("must be a field")
    }
  }

  private func transition(
    _ node: ProgramNode, _ names: borrowing NameTable, bytes: Int, bits: Int
  ) throws(ProgramProblem) -> P4Program.Transition {
    let object = try node.object()
    var next = P4Program.Successor.accept
    let nextNode = try object.required("next_state")
    if !nextNode.isNull { next = .state(try find(nextNode, in: names, "parser state")) }
    let typeNode = object.present("type")
    var type = try typeNode?.word(TransitionType.self, "type of transition") ?? .hexstr
    // An older way to write the default.
    if type == .hexstr, let value = object.present("value"), try value.name().isWord("default") {
      type = .default
    }
    if type == .default { return P4Program.Transition(match: .anything, next: next) }
    guard bytes > 0 else {
      throw node.problem("a transition by value needs a \"transition_key\"")
    }
    let value = try object.required("value")
    if type == .valueSet {
      let set = try find(value, in: valueSetNames, "value set")
      guard program.valueSets[set].width == bits else {
        throw value.problem(
          """
          value set \(quoted(program.valueSets[set].name)) has \
          \(program.valueSets[set].width) bits, the key \(bits)
          """)
      }
      if let mask = object.present("mask") {
        throw mask.problem("masks are not supported with value sets")
      }
      return P4Program.Transition(match: .valueSet(set), next: next)
    }
    let number = try value.number(width: bytes * 8)
    let mask = try object.present("mask")?.number(width: bytes * 8)
    return P4Program.Transition(
      match: .value(
        number.bigEndianBytes(width: bytes * 8),
        mask: mask?.bigEndianBytes(width: bytes * 8)),
      next: next)
  }

  // MARK: Deparser

  mutating func readDeparser(_ root: ProgramObject) throws(ProgramProblem) {
    let deparser = try root.required("deparsers").elements(1...1)[0].object()
    for node in try deparser.required("order").elements(0...ProgramLimits.emitted) {
      let header = try find(node, in: headerNames, "header")
      guard !program.headers[header].isMetadata else {
        throw node.problem("metadata cannot be emitted")
      }
      program.deparserOrder.append(header)
    }
    for node in try deparser.list("primitives", 0...ProgramLimits.statements) {
      program.deparserPrimitives.append(try statement(node, .control, jumps: nil))
    }
  }
}
