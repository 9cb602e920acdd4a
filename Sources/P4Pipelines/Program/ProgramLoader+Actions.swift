import DPUCore
import JSONText

// Actions and their statements.

/// The statements by the names that compilers give them; several stand for the same.
private enum StatementName: ClosedWord {
  case assign, assignVariable, assignHeader, assignUnion, assignStack, assignUnionStack
  case push, pop, jump, jumpIfZero, exit, assume, assert, logMessage
  case modifyField, random, addToField, subtractFromField, add, subtract, bitXor, bitOr, bitAnd
  case shiftLeft, shiftRight, drop, markToDrop, digest, addHeader, removeHeader, copyHeader
  case cloneIngress, cloneEgress, resubmit, recirculate, hash, nothing, executeMeter, count
  case registerRead, registerWrite, truncate

  var word: StaticString {
    switch self {
    case .assign: "assign"
    case .assignVariable: "assign_VL"
    case .assignHeader: "assign_header"
    case .assignUnion: "assign_union"
    case .assignStack: "assign_header_stack"
    case .assignUnionStack: "assign_union_stack"
    case .push: "push"
    case .pop: "pop"
    case .jump: "_jump"
    case .jumpIfZero: "_jump_if_zero"
    case .exit: "exit"
    case .assume: "assume"
    case .assert: "assert"
    case .logMessage: "log_msg"
    case .modifyField: "modify_field"
    case .random: "modify_field_rng_uniform"
    case .addToField: "add_to_field"
    case .subtractFromField: "subtract_from_field"
    case .add: "add"
    case .subtract: "subtract"
    case .bitXor: "bit_xor"
    case .bitOr: "bit_or"
    case .bitAnd: "bit_and"
    case .shiftLeft: "shift_left"
    case .shiftRight: "shift_right"
    case .drop: "drop"
    case .markToDrop: "mark_to_drop"
    case .digest: "generate_digest"
    case .addHeader: "add_header"
    case .removeHeader: "remove_header"
    case .copyHeader: "copy_header"
    case .cloneIngress: "clone_ingress_pkt_to_egress"
    case .cloneEgress: "clone_egress_pkt_to_egress"
    case .resubmit: "resubmit"
    case .recirculate: "recirculate"
    case .hash: "modify_field_with_hash_based_offset"
    case .nothing: "no_op"
    case .executeMeter: "execute_meter"
    case .count: "count"
    case .registerRead: "register_read"
    case .registerWrite: "register_write"
    case .truncate: "truncate"
    }
  }

  var parameterCount: ClosedRange<Int> {
    switch self {
    case .exit, .drop, .nothing: 0...0
    // Older compilers give it no parameter, newer ones the standard metadata.
    case .markToDrop: 0...1
    case .addHeader, .removeHeader, .jump, .assume, .assert, .resubmit, .recirculate, .truncate:
      1...1
    case .assign, .assignVariable, .assignHeader, .assignUnion, .assignStack, .assignUnionStack,
      .push, .pop, .jumpIfZero, .logMessage, .modifyField, .addToField, .subtractFromField,
      .digest, .copyHeader, .cloneIngress, .cloneEgress, .count:
      2...2
    case .random, .add, .subtract, .bitXor, .bitOr, .bitAnd, .shiftLeft, .shiftRight,
      .executeMeter, .registerRead, .registerWrite:
      3...3
    case .hash: 4...4
    }
  }
}

private typealias Primitive = P4Program.Primitive

extension ProgramLoader {
  mutating func readActions(_ root: ProgramObject) throws(ProgramProblem) {
    for node in try root.required("actions").elements(0...ProgramLimits.actions) {
      let object = try node.object()
      let name = try object.required("name").name()
      let index = program.actions.count
      let id = try claim(id: object.required("id"), in: &actionIDs, index, "action")
      // Later actions of the same name are found by their id only.
      _ = actionNames.insert(name, index)
      var parameters: [P4Program.Parameter] = []
      for parameter in try object.list("runtime_data", 0...ProgramLimits.objects) {
        let parts = try parameter.object()
        parameters.append(
          P4Program.Parameter(
            name: try parts.required("name").name(),
            width: try parts.required("bitwidth").integer(1...ProgramLimits.fieldBits)))
      }
      let scope = Scope(parameters: parameters.count)
      let nodes = try object.required("primitives").elements(0...ProgramLimits.statements)
      var primitives: [P4Program.Primitive] = []
      for node in nodes {
        primitives.append(try statement(node, scope, jumps: 0...nodes.count))
      }
      program.actions.append(
        P4Program.Action(name: name, id: id, parameters: parameters, primitives: primitives))
    }
  }

  /// A statement that may jump to the statements `jumps`, or may not when that is nil.
  mutating func statement(
    _ node: ProgramNode, _ scope: Scope, jumps: ClosedRange<Int>?
  ) throws(ProgramProblem) -> P4Program.Primitive {
    try countStatement(node)
    let object = try node.object()
    let nameNode = try object.required("op")
    let text = try nameNode.name()
    var found: StatementName?
    for name in StatementName.allCases where text.isWord(name.word) { found = name }
    guard let name = found else {
      throw nameNode.problem("unknown primitive \(quoted(text)); v1model has none of that name")
    }
    let parameters = try object.required("parameters").elements(name.parameterCount)
    switch name {
    case .jump, .jumpIfZero:
      guard let jumps else { throw nameNode.problem("jumps are possible only within actions") }
      let target = try constant(parameters[parameters.count - 1], jumps)
      return name == .jump
        ? .jump(target) : .jumpIfZero(try data(parameters[0], scope), target)
    case .assign, .modifyField, .addToField, .subtractFromField, .add, .subtract, .bitXor, .bitOr,
      .bitAnd, .shiftLeft, .shiftRight, .assignVariable, .random:
      return try fieldStatement(name, parameters, scope)
    case .assignHeader, .copyHeader, .addHeader, .removeHeader, .assignUnion, .assignStack,
      .assignUnionStack, .push, .pop:
      return try headerStatement(name, parameters, scope)
    case .hash, .executeMeter, .count, .registerRead, .registerWrite:
      return try externStatement(name, parameters, scope)
    default: return try packetStatement(name, parameters, scope)
    }
  }

  mutating func countStatement(_ node: ProgramNode) throws(ProgramProblem) {
    statementCount += 1
    guard statementCount <= ProgramLimits.statements else {
      throw node.problem(
        "all statements together may be \(ProgramLimits.statements) at most")
    }
  }

  // MARK: Fields

  private mutating func fieldStatement(
    _ name: StatementName, _ parameters: [ProgramNode], _ scope: Scope
  ) throws(ProgramProblem) -> Primitive {
    if name == .assignVariable {
      let target = try variableField(parameters[0], scope)
      return .assignVariable(target, from: try variableField(parameters[1], scope))
    }
    if name == .assign || name == .modifyField,
      let (register, index) = try registerTarget(parameters[0], scope)
    {
      return .registerWrite(
        register: register, index: index, try data(parameters[1], scope))
    }
    let target = try destination(parameters[0], scope)
    let first = try data(parameters[1], scope)
    switch name {
    case .assign, .modifyField: return .assign(target, first)
    case .addToField: return .assign(target, .binary(.add, Self.value(of: target), first))
    case .subtractFromField:
      return .assign(target, .binary(.subtract, Self.value(of: target), first))
    default: break
    }
    let second = try data(parameters[2], scope)
    switch name {
    case .add: return .assign(target, .binary(.add, first, second))
    case .subtract: return .assign(target, .binary(.subtract, first, second))
    case .bitXor: return .assign(target, .binary(.bitXor, first, second))
    case .bitOr: return .assign(target, .binary(.bitOr, first, second))
    case .bitAnd: return .assign(target, .binary(.bitAnd, first, second))
    case .shiftLeft: return .assign(target, .binary(.shiftLeft, first, second))
    case .shiftRight: return .assign(target, .binary(.shiftRight, first, second))
    default: return .random(target, low: first, high: second)
    }
  }

  private static func value(of destination: P4Program.Destination) -> P4Program.Expression {
    switch destination {
    case .field(let field): .field(field)
    case .indirect(let header, let field): .indirectField(header, field: field)
    }
  }

  mutating func destination(
    _ node: ProgramNode, _ scope: Scope
  ) throws(ProgramProblem) -> P4Program.Destination {
    switch try operand(node, scope, depth: 0) {
    case .data(.field(let field)): return .field(field)
    case .data(.indirectField(let header, let field)): return .indirect(header, field: field)
    default: throw node.problem("must be a field that can be written")
    }
  }

  private mutating func registerTarget(
    _ node: ProgramNode, _ scope: Scope
  ) throws(ProgramProblem) -> (register: Int, index: P4Program.Expression)? {
    let object = try node.object()
    guard let type = object.present("type"), try type.name().isWord("register") else { return nil }
    return try registerElement(object.required("value"), scope, depth: 0)
  }

  private mutating func variableField(
    _ node: ProgramNode, _ scope: Scope
  ) throws(ProgramProblem) -> P4Program.Destination {
    let target = try destination(node, scope)
    let (header, field) =
      switch target {
      case .field(let field): (field.header, field.field)
      case .indirect(let reference, let field): (sample(of: reference), field)
      }
    guard program.headers[header].fields[field].isVariable else {
      throw node.problem("must be a field of variable length")
    }
    return target
  }

  // MARK: Headers

  private mutating func headerStatement(
    _ name: StatementName, _ parameters: [ProgramNode], _ scope: Scope
  ) throws(ProgramProblem) -> Primitive {
    let target = try operand(parameters[0], scope, depth: 0)
    switch name {
    case .push, .pop:
      let count = try constant(parameters[1], 0...Int(Int32.max))
      // More than there are elements is as many as there are.
      switch target {
      case .stack(let stack):
        let count = min(count, program.stacks[stack].elements.count)
        return name == .push
          ? .pushFront(stack: stack, count: count) : .popFront(stack: stack, count: count)
      case .unionStack(let stack):
        let count = min(count, program.unionStacks[stack].elements.count)
        return name == .push
          ? .pushFrontUnions(stack: stack, count: count)
          : .popFrontUnions(stack: stack, count: count)
      default: throw parameters[0].problem("must be a stack, is \(target.noun)")
      }
    case .addHeader: return .setValid(try header(target, parameters[0]))
    case .removeHeader: return .setInvalid(try header(target, parameters[0]))
    default: break
    }
    let source = try operand(parameters[1], scope, depth: 0)
    switch (name, target, source) {
    case (.assignStack, .stack(let to), .stack(let from)):
      try checkSameStacks(to, from, parameters[1])
      return .assignStack(to, from: from)
    case (.assignUnion, .union(let to), .union(let from)):
      try checkSameUnions(to, from, parameters[1])
      return .assignUnion(to, from: from)
    case (.assignUnionStack, .unionStack(let to), .unionStack(let from)):
      let (left, right) = (program.unionStacks[to].elements, program.unionStacks[from].elements)
      guard left.count == right.count else {
        throw parameters[1].problem("must be a stack of \(left.count) unions")
      }
      try checkSameUnions(left[0], right[0], parameters[1])
      return .assignUnionStack(to, from: from)
    case (.assignHeader, _, _), (.copyHeader, _, _):
      let to = try header(target, parameters[0])
      let from = try header(source, parameters[1])
      guard typeOfHeader[sample(of: to)] == typeOfHeader[sample(of: from)] else {
        throw parameters[1].problem(
          "must be a header of type \(quoted(program.headers[sample(of: to)].typeName))")
      }
      return .assignHeader(to, from: from)
    default:
      throw parameters[1].problem("\(source.noun) cannot be assigned to \(target.noun) here")
    }
  }

  private func header(
    _ operand: Operand, _ node: ProgramNode
  ) throws(ProgramProblem) -> P4Program.HeaderReference {
    guard case .header(let reference) = operand else {
      throw node.problem("must be a header, is \(operand.noun)")
    }
    return reference
  }

  // MARK: Externs

  private mutating func externStatement(
    _ name: StatementName, _ parameters: [ProgramNode], _ scope: Scope
  ) throws(ProgramProblem) -> Primitive {
    switch name {
    case .hash:
      let target = try destination(parameters[0], scope)
      let base = try data(parameters[1], scope)
      let calculation = try named(
        parameters[2], type: "calculation", in: calculationNames, "calculation")
      return .hash(
        target, base: base, calculation: calculation, max: try data(parameters[3], scope))
    case .executeMeter:
      let meter = try named(parameters[0], type: "meter_array", in: meterNames, "meter")
      guard meterBindings.allSatisfy({ $0.meter != meter }) else {
        throw parameters[0].problem("is a direct meter, which its table executes")
      }
      let index = try data(parameters[1], scope)
      return .executeMeter(meter: meter, index: index, try destination(parameters[2], scope))
    case .count:
      let counter = try named(parameters[0], type: "counter_array", in: counterNames, "counter")
      guard counterBindings.allSatisfy({ $0.counter != counter }) else {
        throw parameters[0].problem("is a direct counter, which its table counts")
      }
      return .count(counter: counter, index: try data(parameters[1], scope))
    case .registerRead:
      let target = try destination(parameters[0], scope)
      let register = try named(
        parameters[1], type: "register_array", in: registerNames, "register")
      return .registerRead(target, register: register, index: try data(parameters[2], scope))
    default:
      let register = try named(
        parameters[0], type: "register_array", in: registerNames, "register")
      let index = try data(parameters[1], scope)
      return .registerWrite(register: register, index: index, try data(parameters[2], scope))
    }
  }

  /// A parameter of that type, whose value is a name.
  private func named(
    _ node: ProgramNode, type: StaticString, in table: borrowing NameTable, _ noun: StaticString
  ) throws(ProgramProblem) -> Int {
    let object = try node.object()
    let typeNode = try object.required("type")
    guard try typeNode.name().isWord(type) else {
      throw typeNode.problem("must be \"\(type)\", is \(quoted(try typeNode.name()))")
    }
    return try find(object.required("value"), in: table, noun)
  }

  // MARK: The packet

  private mutating func packetStatement(
    _ name: StatementName, _ parameters: [ProgramNode], _ scope: Scope
  ) throws(ProgramProblem) -> Primitive {
    switch name {
    case .drop, .markToDrop: return .markToDrop
    case .exit: return .exit
    case .truncate: return .truncate(try data(parameters[0], scope))
    case .assert: return .assert(try data(parameters[0], scope))
    case .assume: return .assume(try data(parameters[0], scope))
    case .cloneIngress:
      let session = try data(parameters[0], scope)
      return .cloneIngress(session: session, fieldList: try fieldList(parameters[1]))
    case .cloneEgress:
      let session = try data(parameters[0], scope)
      return .cloneEgress(session: session, fieldList: try fieldList(parameters[1]))
    case .resubmit:
      // The number of the list is also the flag, so list 0 asks for nothing.
      guard let list = try fieldList(parameters[0]) else { return .nothing }
      return .resubmit(fieldList: list)
    case .recirculate:
      guard let list = try fieldList(parameters[0]) else { return .nothing }
      return .recirculate(fieldList: list)
    case .digest:
      let receiver = try data(parameters[0], scope)
      let id = try constant(parameters[1], 0...Int(Int32.max))
      guard let list = learnListIDs.find(id: id) else {
        throw parameters[1].problem("there is no learn list with id \(id)")
      }
      return .digest(receiver: receiver, learnList: list)
    case .logMessage: return try logMessage(parameters, scope)
    default: return .nothing
    }
  }

  /// Nil for number 0, which stands for none.
  private mutating func fieldList(_ node: ProgramNode) throws(ProgramProblem) -> Int? {
    let id = try constant(node, 0...Int(Int32.max))
    if id == 0 { return nil }
    guard let list = fieldListIDs.find(id: id) else {
      throw node.problem("there is no field list with id \(id)")
    }
    return list
  }

  private mutating func logMessage(
    _ parameters: [ProgramNode], _ scope: Scope
  ) throws(ProgramProblem) -> Primitive {
    let format = try parameters[0].object().required("value").string()
    let vector = try parameters[1].object().required("value")
    var arguments: [P4Program.Expression] = []
    // p4c writes an empty object when there are none.
    if vector.json.kind != .object || vector.json.count > 0 {
      for node in try vector.elements(0...ProgramLimits.objects) {
        arguments.append(try data(node, scope))
      }
    }
    return .log(format: format, arguments: arguments)
  }
}
