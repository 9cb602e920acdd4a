import DPUCore
import Testing

@testable import P4Pipelines

/// What the loader makes of a text.
@Suite struct LoaderTests {
  /// The base program with these statements in the action `test`.
  static func program(_ statements: String = "") throws -> P4Program {
    let text = Text(baseProgram.replacing("STATEMENTS", with: statements))
    do {
      return try ProgramLoader.load(text.span)
    } catch {
      Issue.record("\(error.text.string)")
      throw error
    }
  }

  @Test func headers() throws {
    let program = try Self.program()
    #expect(program.headers.count == 19 && program.standardMetadata == 1)
    let option = program.headers[4]
    #expect(option.fields.map(\.width) == [8, 136, 16] && option.width == 160)
    #expect(option.fields.map(\.offset) == [0, 8, 144] && option.variableField == 1)
    #expect(option.fields.map(\.isVariable) == [false, true, false] && !option.isMetadata)
    #expect(program.headers[0].fields.map(\.isSigned) == [false, false, true, false, false, false])
    #expect(program.headers[0].isMetadata && program.headers[0].width == 240)
    #expect(program.stacks.map(\.elements) == [[6, 7], [8, 9]])
    #expect(program.headers[9].stack == 1 && program.headers[9].stackIndex == 1)
    #expect(program.unions.map(\.members) == [[10, 11], [12, 13], [14, 15], [16, 17]])
    #expect(program.headers[13].union == 1 && program.headers[13].unionIndex == 1)
    #expect(program.unionStacks.map(\.elements) == [[2, 3]])
    #expect(program.unions[3].stack == 0 && program.unions[3].stackIndex == 1)
    #expect(program.errors.map(\.name) == ["NoError", "PacketTooShort", "Wrong"])
    #expect(program.errors.map(\.value) == [0, 1, 9])
    #expect(program.enums[0].entries.map(\.value) == [0, 2])
    #expect(program.aliases.count == 1 && program.aliases[0].alias == "intrinsic_metadata.port")
  }

  @Test func parser() throws {
    let program = try Self.program()
    let describe = Description(program: program)
    #expect(program.states.map(\.name) == ["start", "labels", "options"])
    #expect(
      program.states.map { $0.operations.map { describe.text($0) } } == [
        ["extract eth", "scalars.a = lookahead(4, 8)", "verify true 0x9"],
        ["extract labels.next", "advance 0x10", "shift 2"],
        [
          "extract option scalars.b", "extract us.next.1",
          "extract old multiply(lookahead(0, 8), 0x8)", "eth2.setValid",
        ],
      ])
    #expect(
      program.states.map { $0.key.map { "\(describe.text($0.value)) \($0.width)" } } == [
        ["eth.type 16", "lookahead(0, 4) 4"], ["labels.last.last 1"], ["us.last.1.y 32"],
      ])
    let start = program.states[0].transitions
    #expect(start.map(\.next) == [.state(1), .state(2), .accept])
    guard case .value(let value, let mask) = start[0].match else {
      Issue.record("\(start[0].match)")
      return
    }
    #expect(value == [8, 0, 1] && mask == [0xff, 0xff, 0x0f])
    guard case .valueSet(0) = start[1].match, case .anything = start[2].match else {
      Issue.record("\(start)")
      return
    }
    #expect(program.states[1].transitions.map(\.next) == [.state(1), .state(2)])
    #expect(program.valueSets[0].width == 20 && program.valueSets[0].capacity == 4)
    #expect(program.deparserOrder == [2, 6, 7, 4])
    #expect(program.deparserPrimitives.map { describe.text($0) } == ["nothing"])
  }

  @Test func externs() throws {
    let program = try Self.program()
    #expect(program.calculations[0].algorithm == .crc16)
    #expect(program.calculations[0].inputs.count == 4)
    guard case .constant(let value, 8) = program.calculations[0].inputs[1],
      case .header(2) = program.calculations[0].inputs[2],
      case .payload = program.calculations[0].inputs[3]
    else {
      Issue.record("\(program.calculations[0].inputs)")
      return
    }
    #expect(value == WideInteger(5))
    #expect(program.checksums[0].target == .init(header: 2, field: 2))
    #expect(!program.checksums[0].verify && program.checksums[0].update)
    #expect(
      program.counters.map(\.size) == [8, 64] && program.counters.map(\.directTable) == [nil, 0])
    #expect(
      program.meters.map(\.size) == [4, 64] && program.meters.map(\.directTable) == [nil, 0])
    #expect(program.meters.map(\.countsBytes) == [true, false])
    #expect(program.meters[1].result == .init(header: 0, field: 0))
    #expect(program.registers[0].size == 16 && program.registers[0].width == 48)
    #expect(program.fieldLists[0].id == 1 && program.fieldLists[0].fields.count == 1)
    #expect(program.learnLists[0].elements.map(\.width) == [48])
  }

  @Test func tables() throws {
    let program = try Self.program()
    let describe = Description(program: program)
    #expect(program.tables.map(\.name) == ["t", "rules", "chosen"])
    #expect(program.tables.map(\.kind) == [.lpm, .ternary, .range])
    #expect(program.tables.map(\.storage) == [.direct, .direct, .selector(0)])
    #expect(program.tables.map(\.capacity) == [64, 2, 32])
    #expect(program.tables.map(\.nextByAction) == [[.table(1), .end], [.end], [.call(0)]])
    #expect(program.tables.map(\.nextOnHit) == [nil, .table(2), nil])
    #expect(program.tables.map(\.nextOnMiss) == [nil, .end, nil])
    #expect(program.tables.map(\.nextByDefault) == [.table(1), .end, .end])
    #expect(
      program.tables.map {
        $0.keys.map { "\($0.name.string) \($0.kind) \(describe.text($0.value)) \($0.width)" }
      } == [
        ["hdr.eth.dst exact eth.dst 48", "eth.src lpm eth.src 48"],
        [
          "type ternary eth.type 16",
          "port optional standard_metadata.ingress_port 9",
          "valid exact boolToData(option.isValid) 1",
        ],
        ["scalars.b range scalars.b 16", "eth valid eth.isValid 1"],
      ])
    #expect(program.tables[0].keys[1].mask == WideInteger(0xffff_ffff_0000 as UInt64))

    let table = program.tables[0]
    #expect(table.directCounter == 1 && table.directMeter == 1 && table.supportsTimeout)
    #expect(table.isIngress && table.actions == [1, 0] && !table.areEntriesConstant)
    #expect(table.defaultEntry?.arguments == [WideInteger(1), WideInteger(2)])
    #expect(!table.isDefaultConstant && table.isDefaultActionConstant)

    let rules = program.tables[1]
    #expect(rules.areEntriesConstant && rules.entries.map(\.priority) == [7, 2])
    #expect(
      rules.entries[0].keys == [
        .ternary(WideInteger(0x800), mask: WideInteger(0xff00)), .optional(WideInteger(1)),
        .exact(WideInteger(1)),
      ])
    #expect(rules.entries[1].keys[1] == .optional(nil))
    #expect(program.profiles[0].capacity == 16)
    #expect(program.profiles[0].selector?.algorithm == .crc32)
    #expect(program.ingress.first == .conditional(0) && program.egress.first == .end)
    #expect(describe.text(program.ingress.conditionals[0].condition) == "eth.isValid")
    #expect(program.ingress.conditionals[0].whenTrue == .table(0))
    #expect(program.ingress.calls[0].action == 0)
  }

  /// A field, a number, a header as they stand in the text.
  static let a = #"{"type": "field", "value": ["scalars", "a"]}"#
  static let b = #"{"type": "field", "value": ["scalars", "b"]}"#
  static let one = #"{"type": "hexstr", "value": "0x1"}"#
  static let eth = #"{"type": "header", "value": "eth"}"#
  static let eth2 = #"{"type": "header", "value": "eth2"}"#
  static let labels = #"{"type": "header_stack", "value": "labels"}"#
  static let us = #"{"type": "header_union_stack", "value": "us"}"#
  static let yes = #"{"type": "bool", "value": true}"#
  static func op(_ name: String, _ left: String, _ right: String) -> String {
    #"{"type": "expression", "value": {"op": "\#(name)", "left": \#(left), "right": \#(right)}}"#
  }

  @Test(arguments: [
    ("+", "add(scalars.a, scalars.b)"), ("-", "subtract(scalars.a, scalars.b)"),
    ("*", "multiply(scalars.a, scalars.b)"), ("/", "divide(scalars.a, scalars.b)"),
    ("%", "modulo(scalars.a, scalars.b)"), ("<<", "shiftLeft(scalars.a, scalars.b)"),
    (">>", "shiftRight(scalars.a, scalars.b)"), ("&", "bitAnd(scalars.a, scalars.b)"),
    ("|", "bitOr(scalars.a, scalars.b)"), ("^", "bitXor(scalars.a, scalars.b)"),
    ("==", "boolToData(equal(scalars.a, scalars.b))"),
    ("!=", "boolToData(notEqual(scalars.a, scalars.b))"),
    ("<", "boolToData(less(scalars.a, scalars.b))"),
    ("<=", "boolToData(lessOrEqual(scalars.a, scalars.b))"),
    (">", "boolToData(greater(scalars.a, scalars.b))"),
    (">=", "boolToData(greaterOrEqual(scalars.a, scalars.b))"),
    ("and", "boolToData(logicalAnd(dataToBool(scalars.a), dataToBool(scalars.b)))"),
    ("or", "boolToData(logicalOr(dataToBool(scalars.a), dataToBool(scalars.b)))"),
  ])
  func operators(name: String, expected: String) throws {
    try Self.expect(Self.op(name, Self.a, Self.b), expected)
  }

  static func expect(
    _ expression: String, _ expected: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let program = try program(#"{"op": "assign", "parameters": [\#(b), \#(expression)]}"#)
    let statement = Description(program: program).text(program.actions[2].primitives[0])
    #expect(statement == "scalars.b = \(expected)", sourceLocation: sourceLocation)
  }

  @Test func expressions() throws {
    try Self.expect(Self.op("~", "null", Self.a), "complement(scalars.a)")
    try Self.expect(Self.op("-", "null", Self.a), "negate(scalars.a)")
    try Self.expect(Self.op("+", "null", Self.a), "scalars.a")
    try Self.expect(Self.op("not", "null", Self.a), "boolToData(not(dataToBool(scalars.a)))")
    try Self.expect(Self.op("d2b", "null", Self.a), "boolToData(dataToBool(scalars.a))")
    try Self.expect(
      Self.op("d2b", "null", Self.op("b2d", "null", Self.yes)), "boolToData(true)")
    try Self.expect(Self.op("two_comp_mod", Self.a, Self.one), "twosComplement(scalars.a, 0x1)")
    try Self.expect(Self.op("sat_cast", Self.a, Self.one), "saturatingCast(scalars.a, 0x1)")
    try Self.expect(
      Self.op("usat_cast", Self.a, Self.one), "unsignedSaturatingCast(scalars.a, 0x1)")
    try Self.expect(
      #"{"type": "expression", "value": {"op": "?", "cond": \#(Self.yes), "left": \#(Self.a), "right": \#(Self.one)}}"#,
      "(true ? scalars.a : 0x1)")
    try Self.expect(
      Self.op("<<", Self.a, #"{"type": "hexstr", "value": "0xffffffffffffffffff"}"#),
      "shiftLeft(scalars.a, 0x1000)")
    try Self.expect(#"{"type": "hexstr", "value": "-0xff"}"#, "-0xff")
    try Self.expect(#"{"type": "local", "value": 0}"#, "$0")
    try Self.expect(#"{"type": "register", "value": ["r", \#(Self.a)]}"#, "r[scalars.a]")
    try Self.expect(#"{"type": "stack_field", "value": ["labels", "label"]}"#, "labels.last.label")
    try Self.expect(
      #"{"type": "union_stack_field", "value": ["us", "x", "x"]}"#, "us.last.0.x")
    try Self.expect(
      #"{"type": "field", "value": ["intrinsic_metadata", "port"]}"#,
      "standard_metadata.ingress_port")
    try Self.expect(
      #"{"type": "field", "value": ["scalars", "$valid$"]}"#, "boolToData(true)")
    // A value within values of type `expression` is the value.
    try Self.expect(
      #"{"type": "expression", "value": {"type": "expression", "value": \#(Self.a)}}"#, "scalars.a")
  }

  @Test func expressionsOfHeaders() throws {
    try Self.expect(Self.op("valid", "null", Self.eth), "boolToData(eth.isValid)")
    try Self.expect(Self.op("==", Self.eth, Self.eth2), "boolToData(eth == eth2)")
    try Self.expect(Self.op("!=", Self.eth, Self.eth2), "boolToData(not(eth == eth2))")
    try Self.expect(
      Self.op("==", Self.labels, #"{"type": "header_stack", "value": "copies"}"#),
      "boolToData(labels == copies)")
    try Self.expect(
      Self.op(
        "==", #"{"type": "header_union", "value": "u"}"#, #"{"type": "header_union", "value": "v"}"#
      ), "boolToData(u == v)")
    try Self.expect(Self.op("==", Self.yes, Self.yes), "boolToData(equal(true, true))")
    try Self.expect(
      Self.op("==", Self.yes, Self.a), "boolToData(equal(boolToData(true), scalars.a))")
    try Self.expect(Self.op("last_stack_index", "null", Self.labels), "labels.lastIndex")
    try Self.expect(Self.op("size_stack", "null", Self.labels), "labels.size")
    try Self.expect(Self.op("last_stack_index", "null", Self.us), "us.lastIndex")
    try Self.expect(Self.op("size_stack", "null", Self.us), "us.size")
    try Self.expect(
      Self.op("valid_union", "null", #"{"type": "header_union", "value": "u"}"#),
      "boolToData(u.isValid)")

    let element = Self.op("dereference_header_stack", Self.labels, Self.a)
    try Self.expect(Self.op("access_field", element, "0"), "labels[scalars.a].label")
    try Self.expect(
      Self.op("access_field", element, "3"), "boolToData(labels[scalars.a].isValid)")
    let first = Self.op("dereference_stack", Self.labels, Self.one)
    try Self.expect(Self.op("access_field", first, "0"), "labels[1].label")
    try Self.expect(
      Self.op("access_field", Self.op("dereference_header_stack", Self.labels, Self.two), "0"),
      "labels[0x2].label")
    try Self.expect(
      #"{"type": "field", "value": [\#(element), "$valid$"]}"#,
      "boolToData(labels[scalars.a].isValid)")
    try Self.expect(
      #"{"type": "field", "value": [\#(element), "rest"]}"#, "labels[scalars.a].rest")
    let union = Self.op("dereference_union_stack", Self.us, Self.a)
    try Self.expect(
      Self.op("valid_union", "null", union), "boolToData(us[scalars.a].isValid)")
    try Self.expect(
      Self.op("access_field", Self.op("access_union_header", union, "1"), "0"), "us[scalars.a].1.y")
    let known = Self.op("dereference_union_stack", Self.us, Self.one)
    try Self.expect(
      Self.op("access_field", Self.op("access_union_header", known, "1"), "0"), "us[1].y.y")
  }

  static let two = #"{"type": "hexstr", "value": "0x2"}"#

  @Test(arguments: [
    ("assign", "A B", "scalars.a = scalars.b"), ("modify_field", "A ONE", "scalars.a = 0x1"),
    ("add_to_field", "A B", "scalars.a = add(scalars.a, scalars.b)"),
    ("subtract_from_field", "A B", "scalars.a = subtract(scalars.a, scalars.b)"),
    ("add", "A B ONE", "scalars.a = add(scalars.b, 0x1)"),
    ("subtract", "A B ONE", "scalars.a = subtract(scalars.b, 0x1)"),
    ("bit_xor", "A B ONE", "scalars.a = bitXor(scalars.b, 0x1)"),
    ("bit_or", "A B ONE", "scalars.a = bitOr(scalars.b, 0x1)"),
    ("bit_and", "A B ONE", "scalars.a = bitAnd(scalars.b, 0x1)"),
    ("shift_left", "A B ONE", "scalars.a = shiftLeft(scalars.b, 0x1)"),
    ("shift_right", "A B ONE", "scalars.a = shiftRight(scalars.b, 0x1)"),
    ("modify_field_rng_uniform", "A ONE B", "scalars.a = random 0x1 scalars.b"),
    ("assign_VL", "BYTES BYTES2", "option.bytes =* option2.bytes"),
    ("assign", "CELL A", "register 0 0x1 = scalars.a"),
    ("assign_header", "ETH ETH2", "eth = eth2"), ("copy_header", "ETH2 ETH", "eth2 = eth"),
    ("assign_header", "NEXT COPY", "labels.next = copies[0]"),
    ("assign_header_stack", "LABELS COPIES", "stack 0 = 1"),
    ("assign_union", "U V", "union 0 = 1"), ("assign_union_stack", "US US", "unions 0 = 0"),
    ("add_header", "ETH", "eth.setValid"), ("remove_header", "ETH", "eth.setInvalid"),
    ("push", "LABELS ONE", "push 0 1"), ("pop", "LABELS SEVEN", "pop 0 2"),
    ("push", "US ONE", "push unions 0 1"), ("pop", "US SEVEN", "pop unions 0 2"),
    (
      "modify_field_with_hash_based_offset", "A ONE H B", "scalars.a = hash 0 0x1 scalars.b"
    ),
    ("count", "C A", "count 0 scalars.a"), ("execute_meter", "M ONE A", "scalars.a = meter 0 0x1"),
    ("register_read", "A R ONE", "scalars.a = register 0 0x1"),
    ("register_write", "R ONE A", "register 0 0x1 = scalars.a"),
    ("generate_digest", "ONE ONE", "digest 0x1 0"), ("drop", "", "drop"),
    ("mark_to_drop", "", "drop"),
    ("clone_ingress_pkt_to_egress", "A ONE", "clone ingress scalars.a 0"),
    ("clone_egress_pkt_to_egress", "A ZERO", "clone egress scalars.a none"),
    ("resubmit", "ONE", "resubmit 0"), ("recirculate", "ONE", "recirculate 0"),
    ("resubmit", "ZERO", "nothing"), ("truncate", "SEVEN", "truncate 0x7"), ("exit", "", "exit"),
    ("_jump", "ONE", "jump 1"), ("_jump_if_zero", "A ONE", "unless scalars.a jump 1"),
    ("assert", "YES", "assert boolToData(true)"), ("assume", "A", "assume scalars.a"),
    ("no_op", "", "nothing"), ("log_msg", "FORMAT VECTOR", "log a {} scalars.a, 0x1"),
    ("log_msg", "EMPTY NOTHING", "log  "),
  ])
  func statements(name: String, parameters: String, expected: String) throws {
    let program = try Self.program(Self.statement(name, parameters))
    #expect(
      program.actions[2].primitives.map { Description(program: program).text($0) } == [expected])
  }

  /// The words of the table above, as they stand in the text.
  static let words = [
    "A": a, "B": b, "ONE": one, "ETH": eth, "ETH2": eth2, "LABELS": labels, "US": us, "YES": yes,
    "ZERO": value("hexstr", #""0x0""#), "SEVEN": value("hexstr", #""0x7""#),
    "COPIES": value("header_stack", #""copies""#), "U": value("header_union", #""u""#),
    "V": value("header_union", #""v""#), "H": value("calculation", #""h""#),
    "COPY": value("header", #""copies[0]""#),
    "NEXT": value("stack_field", #"["labels", "next"]"#),
    "BYTES": value("field", #"["option", "bytes"]"#),
    "BYTES2": value("field", #"["option2", "bytes"]"#),
    "C": value("counter_array", #""c""#), "M": value("meter_array", #""m""#),
    "R": value("register_array", #""r""#), "CELL": value("register", #"["r", \#(one)]"#),
    "FORMAT": value("string", #""a {}""#), "EMPTY": value("string", #""""#),
    "VECTOR": value("parameters_vector", "[\(a), \(one)]"),
    "NOTHING": value("parameters_vector", "{}"),
  ]

  static func value(_ type: String, _ value: String) -> String {
    #"{"type": "\#(type)", "value": \#(value)}"#
  }

  static func statement(_ name: String, _ parameters: String) -> String {
    let parameters = parameters.split(separator: " ").map { words[String($0)]! }
    return #"{"op": "\#(name)", "parameters": [\#(parameters.joined(separator: ", "))]}"#
  }

  @Test func jumpsMayGoBehindTheLastStatement() throws {
    let program = try Self.program()
    let describe = Description(program: program)
    #expect(
      program.actions[1].primitives.map { describe.text($0) } == [
        "standard_metadata.egress_spec = $0", "unless scalars.flag jump 3", "drop", "exit",
      ])
    #expect(program.actions[1].id == 5 && program.actions[1].parameters.map(\.width) == [9, 16])
  }

  @Test func countsOfPrograms() throws {
    func counts(_ path: String) throws -> [Int] {
      let program = try Corpus.load(path)
      return [
        program.headers.count, program.states.count, program.actions.count, program.tables.count,
        program.ingress.conditionals.count + program.egress.conditionals.count,
        program.registers.count, program.counters.count,
      ]
    }
    try #expect(counts("p4/l3switch.json") == [6, 4, 24, 14, 8, 0, 4])
    try #expect(counts("p4/firewall.json") == [12, 10, 26, 19, 12, 2, 4])
    try #expect(counts("p4/pktgen.json") == [7, 4, 37, 35, 16, 11, 7])
    try #expect(counts("p4/paths.json") == [13, 3, 19, 19, 16, 0, 0])
  }
}
