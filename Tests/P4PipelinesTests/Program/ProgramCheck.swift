import DPUCore
import P4Pipelines

/// What the loader promises of a program: every index lies in its array. Stops at the first that
/// does not.
struct ProgramCheck {
  let program: P4Program

  static func check(_ program: P4Program) {
    let check = ProgramCheck(program: program)
    check.headers()
    check.parser()
    check.statements()
    check.externs()
    check.tables()
  }

  private func require(_ condition: Bool, _ line: Int = #line) {
    precondition(condition, "the program is inconsistent (line \(line))")
  }

  private func headers() {
    let names = Set(program.headers.map { String(decoding: $0.name.bytes, as: UTF8.self) })
    require(names.count == program.headers.count)
    require(program.headers.indices.contains(program.standardMetadata))
    for header in program.headers {
      require(header.isMetadata || header.width % 8 == 0)
      var offset = 0
      for (index, field) in header.fields.enumerated() {
        require(field.offset == offset && field.isVariable == (header.variableField == index))
        require(field.isVariable ? field.width >= 0 && field.offset % 8 == 0 : field.width > 0)
        offset += field.width
      }
      require(offset == header.width)
    }
    for (index, stack) in program.stacks.enumerated() {
      for (place, element) in stack.elements.enumerated() {
        require(program.headers[element].stack == index)
        require(program.headers[element].stackIndex == place)
      }
      require(!stack.elements.isEmpty)
    }
    for (index, union) in program.unions.enumerated() {
      for (place, member) in union.members.enumerated() {
        require(program.headers[member].union == index)
        require(program.headers[member].unionIndex == place)
      }
      require(!union.members.isEmpty)
    }
    for (index, stack) in program.unionStacks.enumerated() {
      for (place, element) in stack.elements.enumerated() {
        require(program.unions[element].stack == index)
        require(program.unions[element].stackIndex == place)
      }
      require(!stack.elements.isEmpty)
    }
    for alias in program.aliases { field(alias.field) }
  }

  private func field(_ reference: P4Program.FieldReference) {
    require(program.headers.indices.contains(reference.header))
    require(program.headers[reference.header].fields.indices.contains(reference.field))
  }

  /// Number of fields of the header that `reference` finds.
  @discardableResult
  private func header(
    _ reference: P4Program.HeaderReference, parameters: Int, isParsing: Bool
  ) -> Int {
    switch reference {
    case .header(let index): return program.headers[index].fields.count
    case .stackNext(let stack), .stackLast(let stack):
      return program.headers[program.stacks[stack].elements[0]].fields.count
    case .stackElement(let stack, let index):
      expression(index, parameters: parameters, isParsing: isParsing)
      return program.headers[program.stacks[stack].elements[0]].fields.count
    case .unionStackNext(let stack, let member), .unionStackLast(let stack, let member):
      return fields(ofMember: member, stack)
    case .unionStackElement(let stack, let index, let member):
      expression(index, parameters: parameters, isParsing: isParsing)
      return fields(ofMember: member, stack)
    }
  }

  private func fields(ofMember member: Int, _ stack: Int) -> Int {
    let union = program.unions[program.unionStacks[stack].elements[0]]
    return program.headers[union.members[member]].fields.count
  }

  private func destination(
    _ destination: P4Program.Destination, parameters: Int, isParsing: Bool
  ) {
    switch destination {
    case .field(let reference): field(reference)
    case .indirect(let reference, let index):
      let count = header(reference, parameters: parameters, isParsing: isParsing)
      require((0..<count).contains(index))
    }
  }

  private func expression(
    _ expression: P4Program.Expression, parameters: Int = 0, isParsing: Bool = false, depth: Int = 0
  ) {
    // Operators may be nested that deep, and each may come with a conversion.
    require(depth <= 3 * ProgramLimits.expressionDepth)
    func inner(_ value: P4Program.Expression) {
      self.expression(value, parameters: parameters, isParsing: isParsing, depth: depth + 1)
    }
    func header(_ reference: P4Program.HeaderReference) -> Int {
      self.header(reference, parameters: parameters, isParsing: isParsing)
    }
    switch expression {
    case .constant(let value): require(value.bitWidth <= ProgramLimits.constantBits)
    case .boolean: break
    case .field(let reference): field(reference)
    case .indirectField(let reference, let index):
      require((0..<header(reference)).contains(index))
    case .parameter(let index): require((0..<parameters).contains(index))
    case .isValid(let reference): _ = header(reference)
    case .isUnionValid(let union): require(program.unions.indices.contains(union))
    case .isUnionElementValid(let stack, let index):
      require(program.unionStacks.indices.contains(stack))
      inner(index)
    case .lastStackIndex(let stack), .stackSize(let stack):
      require(program.stacks.indices.contains(stack))
    case .lastUnionStackIndex(let stack), .unionStackSize(let stack):
      require(program.unionStacks.indices.contains(stack))
    case .unary(_, let value): inner(value)
    case .binary(let name, let left, let right):
      inner(left)
      inner(right)
      switch name {
      case .saturatingCast, .unsignedSaturatingCast, .twosComplement:
        guard case .constant(let width) = right, let bits = width.exactInt else {
          return require(false)
        }
        require((1...ProgramLimits.fieldBits).contains(bits))
      default: break
      }
    case .conditional(let condition, let then, let otherwise):
      inner(condition)
      inner(then)
      inner(otherwise)
    case .lookahead(let offset, let width): require(isParsing && offset >= 0 && width > 0)
    case .register(let register, let index):
      require(program.registers.indices.contains(register))
      inner(index)
    case .headersEqual(let a, let b): require(header(a) == header(b))
    case .stacksEqual(let a, let b):
      require(program.stacks[a].elements.count == program.stacks[b].elements.count)
    case .unionsEqual(let a, let b):
      require(program.unions[a].members.count == program.unions[b].members.count)
    }
  }

  private func parser() {
    require(program.states.indices.contains(program.startState))
    for state in program.states {
      var bytes = 0
      for key in state.key {
        expression(key.value, isParsing: true)
        require(key.width > 0)
        bytes += (key.width + 7) / 8
      }
      for (index, transition) in state.transitions.enumerated() {
        if case .state(let next) = transition.next {
          require(program.states.indices.contains(next))
        }
        switch transition.match {
        case .anything: require(index == state.transitions.count - 1)
        case .value(let value, let mask):
          require(value.count == bytes && mask.map { $0.count == bytes } != false)
        case .valueSet(let set): require(program.valueSets.indices.contains(set))
        }
      }
      for operation in state.operations {
        switch operation {
        case .extract(let reference): header(reference, parameters: 0, isParsing: true)
        case .extractVariable(let reference, let bits):
          header(reference, parameters: 0, isParsing: true)
          expression(bits, isParsing: true)
        case .set(let target, let value):
          destination(target, parameters: 0, isParsing: true)
          expression(value, isParsing: true)
        case .verify(let condition, let error):
          expression(condition, isParsing: true)
          expression(error, isParsing: true)
        case .advance(let bits): expression(bits, isParsing: true)
        case .shift(let bytes): require(bytes >= 0)
        case .primitive(let statement): self.statement(statement, isParsing: true)
        }
      }
    }
    for header in program.deparserOrder { require(!program.headers[header].isMetadata) }
  }

  private func statements() {
    for action in program.actions {
      for statement in action.primitives {
        self.statement(
          statement, parameters: action.parameters.count, jumps: 0...action.primitives.count)
      }
    }
    for statement in program.deparserPrimitives { self.statement(statement) }
  }

  private func statement(
    _ statement: P4Program.Primitive, parameters: Int = 0, jumps: ClosedRange<Int>? = nil,
    isParsing: Bool = false
  ) {
    func value(_ expression: P4Program.Expression) {
      self.expression(expression, parameters: parameters, isParsing: isParsing)
    }
    func target(_ destination: P4Program.Destination) {
      self.destination(destination, parameters: parameters, isParsing: isParsing)
    }
    func header(_ reference: P4Program.HeaderReference) -> Int {
      self.header(reference, parameters: parameters, isParsing: isParsing)
    }
    func list(_ index: Int?) {
      if let index { require(program.fieldLists.indices.contains(index)) }
    }
    switch statement {
    case .assign(let to, let from):
      target(to)
      value(from)
    case .assignVariable(let to, let from):
      target(to)
      target(from)
    case .assignHeader(let to, let from): require(header(to) == header(from))
    case .assignStack(let to, let from):
      require(program.stacks[to].elements.count == program.stacks[from].elements.count)
    case .assignUnion(let to, let from):
      require(program.unions[to].members.count == program.unions[from].members.count)
    case .assignUnionStack(let to, let from):
      require(program.unionStacks[to].elements.count == program.unionStacks[from].elements.count)
    case .setValid(let reference), .setInvalid(let reference): _ = header(reference)
    case .pushFront(let stack, let count), .popFront(let stack, let count):
      require((0...program.stacks[stack].elements.count).contains(count))
    case .pushFrontUnions(let stack, let count), .popFrontUnions(let stack, let count):
      require((0...program.unionStacks[stack].elements.count).contains(count))
    case .hash(let to, let base, let calculation, let max):
      target(to)
      value(base)
      value(max)
      require(program.calculations.indices.contains(calculation))
    case .count(let counter, let index):
      require(program.counters[counter].directTable == nil)
      value(index)
    case .executeMeter(let meter, let index, let to):
      require(program.meters[meter].directTable == nil)
      value(index)
      target(to)
    case .registerRead(let to, let register, let index):
      target(to)
      require(program.registers.indices.contains(register))
      value(index)
    case .registerWrite(let register, let index, let from):
      require(program.registers.indices.contains(register))
      value(index)
      value(from)
    case .random(let to, let low, let high):
      target(to)
      value(low)
      value(high)
    case .digest(let receiver, let list):
      value(receiver)
      require(program.learnLists.indices.contains(list))
    case .cloneIngress(let session, let fields), .cloneEgress(let session, let fields):
      value(session)
      list(fields)
    case .resubmit(let fields), .recirculate(let fields): list(fields)
    case .truncate(let length): value(length)
    case .jump(let place): require(jumps?.contains(place) == true)
    case .jumpIfZero(let condition, let place):
      value(condition)
      require(jumps?.contains(place) == true)
    case .log(_, let arguments): for argument in arguments { value(argument) }
    case .assert(let condition), .assume(let condition): value(condition)
    case .markToDrop, .exit, .nothing: break
    }
  }

  private func externs() {
    for calculation in program.calculations + program.profiles.compactMap(\.selector) {
      for input in calculation.inputs {
        switch input {
        case .field(let reference): field(reference)
        case .indirectField(let reference, let index):
          require((0..<header(reference, parameters: 0, isParsing: false)).contains(index))
        case .header(let header): require(program.headers.indices.contains(header))
        case .constant(let value, let width):
          require(width > 0 && !value.isNegative && value.bitWidth <= width)
        case .payload: break
        }
      }
    }
    for checksum in program.checksums {
      field(checksum.target)
      require(program.calculations.indices.contains(checksum.calculation))
      if let condition = checksum.condition { expression(condition) }
    }
    for list in program.fieldLists { for reference in list.fields { field(reference) } }
    for list in program.learnLists { for element in list.elements { expression(element.value) } }
    for meter in program.meters { if let result = meter.result { field(result) } }
  }

  private func tables() {
    for control in [program.ingress, program.egress] {
      func node(_ node: P4Program.Node) {
        switch node {
        case .table(let index): require(program.tables.indices.contains(index))
        case .conditional(let index): require(control.conditionals.indices.contains(index))
        case .call(let index): require(control.calls.indices.contains(index))
        case .end: break
        }
      }
      node(control.first)
      for conditional in control.conditionals {
        expression(conditional.condition)
        node(conditional.whenTrue)
        node(conditional.whenFalse)
      }
      for call in control.calls {
        require(program.actions[call.action].parameters.isEmpty)
        node(call.next)
      }
    }
    for table in program.tables {
      require(table.actions.count == table.nextByAction.count && table.capacity >= 0)
      for key in table.keys {
        expression(key.value)
        require(key.width > 0)
      }
      for action in table.actions { require(program.actions.indices.contains(action)) }
      switch table.storage {
      case .direct: break
      case .profile(let profile): require(program.profiles.indices.contains(profile))
      case .selector(let profile): require(program.profiles[profile].selector != nil)
      }
      if let counter = table.directCounter {
        require(program.counters[counter].size == table.capacity)
      }
      if let meter = table.directMeter { require(program.meters[meter].size == table.capacity) }
      if let entry = table.defaultEntry { self.entry(entry, table) }
      for entry in table.entries {
        require(entry.keys.count == table.keys.count)
        self.entry(entry.action, table)
      }
    }
  }

  private func entry(_ entry: P4Program.ActionEntry, _ table: P4Program.Table) {
    require(table.actions.contains(entry.action))
    let parameters = program.actions[entry.action].parameters
    require(parameters.count == entry.arguments.count)
    for (parameter, argument) in zip(parameters, entry.arguments) {
      require(!argument.isNegative && argument.bitWidth <= parameter.width)
    }
  }
}
