import DPUCore

@testable import P4Pipelines

/// A program made by chance: fields of awkward widths, statements with deep expressions, branches.
/// Only what BMv2 defines: distances and divisors are natural and small.
struct RandomProgram {
  private(set) var program = P4Program()
  private var dice: SplitMix64
  private var parameters: [Int] = []

  static let metadata = 1
  static let input = 2
  static let output = 3
  static let stack = [4, 5, 6]

  private static let widths = [4, 12, 7, 9, 32, 48, 64, 57, 7, 100, 28, 128, 1, 3, 63, 13]

  init(seed: UInt64) {
    dice = SplitMix64(seed: seed)
    addHeaders()
    addParser()
    program.registers = [
      P4Program.RegisterArray(name: "r0", size: 8, width: 32),
      P4Program.RegisterArray(name: "r1", size: 6, width: 64),
      P4Program.RegisterArray(name: "r2", size: 4, width: 80),
    ]
    addControls()
    program.deparserOrder = [Self.input, Self.output] + Self.stack
  }

  // MARK: Headers

  private mutating func addHeader(
    _ name: String, _ fields: [(String, Int, Bool)], isMetadata: Bool = false
  ) {
    var offset = 0
    var made: [P4Program.Field] = []
    for (name, width, isSigned) in fields {
      var field = P4Program.Field(name: Text(name), width: width, offset: offset)
      field.isSigned = isSigned
      made.append(field)
      offset += width
    }
    var header = P4Program.Header(
      name: Text(name), typeName: Text(name), fields: made, width: offset)
    header.isMetadata = isMetadata
    program.headers.append(header)
  }

  private mutating func addHeaders() {
    addHeader(
      "standard_metadata",
      [
        ("ingress_port", 9, false), ("egress_spec", 9, false), ("egress_port", 9, false),
        ("instance_type", 32, false), ("packet_length", 32, false), ("mcast_grp", 16, false),
        ("parser_error", 32, false),
      ], isMetadata: true)
    addHeader(
      "m",
      [1, 5, 8, 16, 31, 32, 48, 63, 64, 65, 128].map { ("m\($0)", $0, false) }
        + [8, 32, 64, 70].map { ("s\($0)", $0, true) }, isMetadata: true)
    // Signed fields take the place of some, so that every load may have to extend.
    let signed = [3, 6, 9]
    for name in ["in", "out"] {
      addHeader(
        name,
        Self.widths.enumerated().map { ("f\($0.offset)", $0.element, signed.contains($0.offset)) })
    }
    for index in 0..<3 {
      addHeader("stack[\(index)]", [("a", 3, false), ("b", 13, false), ("c", 72, false)])
      program.headers[4 + index].stack = 0
      program.headers[4 + index].stackIndex = index
    }
    program.stacks = [P4Program.HeaderStack(name: "stack", elements: Self.stack)]
  }

  private mutating func addParser() {
    // Labels until one has `a` == 0, as often as fits.
    var start = P4Program.ParserState(
      name: "start", operations: [.extract(.header(Self.input))], key: [], transitions: [])
    start.transitions = [P4Program.Transition(match: .anything, next: .state(1))]
    let label = P4Program.ParserState(
      name: "label", operations: [.extract(.stackNext(0))],
      key: [P4Program.KeyPart(value: .indirectField(.stackLast(0), field: 0), width: 3)],
      transitions: [
        P4Program.Transition(match: .value([0], mask: nil), next: .accept),
        P4Program.Transition(match: .value([4], mask: [4]), next: .state(1)),
        P4Program.Transition(match: .anything, next: .accept),
      ])
    program.states = [start, label]
  }

  // MARK: Statements

  private mutating func addControls() {
    for index in 0..<4 {
      parameters = (0..<dice.below(4)).map { _ in [1, 9, 32, 48, 64, 80][dice.below(6)] }
      var statements: [P4Program.Primitive] = []
      for _ in 0..<2 + dice.below(4) { statements += statement() }
      if index == 0 {
        statements.insert(.setValid(.header(Self.output)), at: 0)
        statements.append(.assign(standard(1), .constant(WideInteger(1))))
      }
      if dice.below(3) == 0 {
        statements.insert(.jumpIfZero(condition(3), 1 + dice.below(statements.count)), at: 0)
      }
      program.actions.append(
        P4Program.Action(
          name: Text("action\(index)"), id: index,
          parameters: parameters.enumerated().map {
            P4Program.Parameter(name: Text("p\($0.offset)"), width: $0.element)
          }, primitives: statements))
      // A table without keys hands the arguments over.
      var table = P4Program.Table(name: Text("table\(index)"))
      table.actions = [index]
      table.nextByAction = [.end]
      table.defaultEntry = P4Program.ActionEntry(
        action: index, arguments: parameters.map { number($0) })
      table.isDefaultConstant = dice.below(2) == 0
      program.tables.append(table)
    }
    parameters = []
    program.tables[0].nextByAction = [.conditional(0)]
    program.tables[1].nextByAction = [.conditional(1)]
    program.tables[2].nextByAction = [.conditional(1)]
    program.ingress.first = .table(0)
    program.ingress.conditionals = [
      P4Program.Conditional(
        name: "c0", condition: condition(4), whenTrue: .table(1), whenFalse: .table(2)),
      P4Program.Conditional(
        name: "c1", condition: condition(4), whenTrue: .table(3), whenFalse: .end),
    ]
  }

  private func standard(_ field: Int) -> P4Program.Destination {
    .field(P4Program.FieldReference(header: 0, field: field))
  }

  private mutating func anyField() -> P4Program.FieldReference {
    let header = [Self.metadata, Self.metadata, Self.input, Self.output][dice.below(4)]
    return P4Program.FieldReference(
      header: header, field: dice.below(program.headers[header].fields.count))
  }

  /// What pushing and popping leave in invalid elements is nobody's business: they are made valid,
  /// and with that zero, at once.
  private mutating func statement() -> [P4Program.Primitive] {
    let count = 1 + dice.below(3)
    let all = Self.stack.map { P4Program.Primitive.setValid(.header($0)) }
    switch dice.below(12) {
    case 0: return [.pushFront(stack: 0, count: count)] + all
    case 1: return [.popFront(stack: 0, count: count)] + all
    default: return [simpleStatement()]
    }
  }

  private mutating func simpleStatement() -> P4Program.Primitive {
    switch dice.below(13) {
    case 0: return .registerRead(.field(Self.wide()), register: 2, index: index())
    case 1:
      let target = anyField()
      let isShort = program.headers[target.header].fields[target.field].width <= 64
      let isSigned = program.headers[target.header].fields[target.field].isSigned
      return .registerRead(
        .field(isShort && !isSigned ? target : P4Program.FieldReference(header: 1, field: 8)),
        register: dice.below(2), index: index())
    case 5, 6:
      return .registerWrite(register: dice.below(3), index: index(), expression(3))
    case 2: return .assignHeader(.header(Self.output), from: .header(Self.input))
    case 3:
      return .assign(
        .indirect(.stackElement(0, element()), field: dice.below(3)), expression(3))
    case 4:
      return dice.below(2) == 0
        ? .setValid(.stackElement(0, element())) : .setInvalid(.stackElement(0, element()))
    default:
      let target = anyField()
      let field = program.headers[target.header].fields[target.field]
      var value = expression(4)
      // p4c wraps what it gives to a signed field.
      if field.isSigned {
        value = .binary(.twosComplement, value, .constant(WideInteger(field.width)))
      }
      return .assign(.field(target), value)
    }
  }

  /// A place for 80 bits.
  private static func wide() -> P4Program.FieldReference {
    P4Program.FieldReference(header: output, field: 9)
  }

  /// Of a register, sometimes beyond it; often the same.
  private mutating func index() -> P4Program.Expression {
    switch dice.below(4) {
    case 0: .constant(WideInteger(dice.below(9)))
    case 1: masked(natural(), 3)
    default: masked(.field(P4Program.FieldReference(header: Self.input, field: 0)), 2)
    }
  }

  /// An index within the stack.
  private mutating func element() -> P4Program.Expression {
    if dice.below(2) == 0 { return .constant(WideInteger(dice.below(3))) }
    return .binary(.modulo, masked(natural(), 8), .constant(WideInteger(3)))
  }

  // MARK: Expressions

  private mutating func number(_ width: Int) -> WideInteger {
    var words: [UInt64] = []
    for _ in 0...width / 64 {
      words.append(dice.below(3) == 0 ? dice.next() : UInt64(dice.below(9)))
    }
    return WideInteger(magnitude: words).truncated(to: width)
  }

  private func masked(_ value: P4Program.Expression, _ width: Int) -> P4Program.Expression {
    .binary(.bitAnd, value, .constant(.ones(width)))
  }

  private mutating func natural() -> P4Program.Expression {
    let field = anyField()
    let description = program.headers[field.header].fields[field.field]
    return description.isSigned
      ? masked(.field(field), description.width) : .field(field)
  }

  mutating func expression(_ depth: Int) -> P4Program.Expression {
    if depth == 0 || dice.below(6) == 0 {
      switch dice.below(8) {
      case 0: return .constant(number([3, 8, 32, 64, 100][dice.below(5)]))
      case 1: return .constant(-number(20))
      case 2 where !parameters.isEmpty: return .parameter(dice.below(parameters.count))
      case 3: return .indirectField(.stackElement(0, element()), field: dice.below(3))
      case 4: return .stackSize(0)
      default: return .field(anyField())
      }
    }
    let below = depth - 1
    switch dice.below(18) {
    case 0: return .unary(.complement, expression(below))
    case 1: return .unary(.negate, expression(below))
    case 2: return .unary(.boolToData, condition(below))
    case 3:
      return .conditional(condition(below), then: expression(below), otherwise: expression(below))
    case 4: return .binary(.add, expression(below), expression(below))
    case 5: return .binary(.subtract, expression(below), expression(below))
    case 6: return .binary(.multiply, expression(below), expression(below))
    case 7: return .binary(.bitOr, expression(below), expression(below))
    case 8: return .binary(.bitXor, expression(below), expression(below))
    case 9: return .binary(.bitAnd, expression(below), expression(below))
    case 10, 11: return masked(expression(below), [1, 4, 8, 16, 32, 33, 64, 80][dice.below(8)])
    case 12:
      return .binary(
        .shiftLeft, expression(below),
        dice.below(2) == 0
          ? .constant(WideInteger(dice.below(70))) : masked(natural(), 1 + dice.below(6)))
    case 13:
      return .binary(
        .shiftRight, expression(below),
        dice.below(2) == 0
          ? .constant(WideInteger(dice.below(70))) : masked(natural(), 1 + dice.below(7)))
    case 14:
      return .binary(
        dice.below(2) == 0 ? .divide : .modulo, masked(expression(below), 1 + dice.below(90)),
        dice.below(2) == 0
          ? .constant(WideInteger(1 + dice.below(20)))
          : .binary(.add, masked(natural(), 1 + dice.below(70)), .constant(WideInteger(1))))
    case 15:
      return .binary(
        .twosComplement, expression(below), .constant(WideInteger(1 + dice.below(90))))
    case 16:
      return .binary(
        .saturatingCast, expression(below), .constant(WideInteger(1 + dice.below(90))))
    default:
      return .binary(
        .unsignedSaturatingCast, expression(below), .constant(WideInteger(1 + dice.below(90))))
    }
  }

  mutating func condition(_ depth: Int) -> P4Program.Expression {
    if depth == 0 {
      return dice.below(3) == 0
        ? .boolean(dice.below(2) == 0) : .isValid(.stackElement(0, element()))
    }
    let below = depth - 1
    switch dice.below(12) {
    case 0: return .unary(.not, condition(below))
    case 1: return .unary(.dataToBool, expression(below))
    case 2: return .binary(.logicalAnd, condition(below), condition(below))
    case 3: return .binary(.logicalOr, condition(below), condition(below))
    case 4: return .isValid(.header(dice.below(2) == 0 ? Self.input : Self.output))
    case 5: return .binary(.equal, expression(below), expression(below))
    case 6: return .binary(.notEqual, expression(below), expression(below))
    case 7: return .binary(.less, expression(below), expression(below))
    case 8: return .binary(.lessOrEqual, expression(below), expression(below))
    case 9: return .binary(.greater, natural(), expression(below))
    case 10: return .binary(.greaterOrEqual, expression(below), expression(below))
    default: return .headersEqual(.header(Self.input), .header(Self.output))
    }
  }

  /// A packet that has everything, or nearly.
  mutating func packet() -> [UInt8] {
    let count = Self.widths.reduce(0, +) / 8 + 11 * dice.below(5) + dice.below(3)
    return (0..<count).map { _ in
      switch dice.below(4) {
      case 0: 0
      case 1: 0xff
      default: dice.byte()
      }
    }
  }
}
