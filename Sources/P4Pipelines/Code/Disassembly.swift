package import DPUCore

// Code as text: for tests, and for people who want to know what became of their program.
//
//     ingress:
//      b4:
//        p0 = ip4.ttl < 2, not
//        branch p1 ? b5 : b7

extension PipelineCode {
  /// All sections, block by block.
  package func disassembly(_ program: P4Program) -> Text {
    var text = Text()
    let sections: [(StaticString, Section)] = [
      ("parser", parser), ("verify", verify), ("ingress", ingress), ("egress", egress),
      ("update", update),
    ]
    for (name, section) in sections where !section.blocks.isEmpty {
      text.append("\(name): b\(section.entry)\n")
      for index in section.blocks { append(block: index, program, to: &text) }
    }
    return text
  }

  private func append(block index: Int, _ program: P4Program, to text: inout Text) {
    let block = blocks[index]
    text.append(" b\(index):" as Text)
    if block.region > 0 {
      let region = serialRegions[Int(block.region) - 1]
      text.append("  serial \(block.region)" as Text)
      if region.conflictLane != Instruction.none {
        text.append(" by \(lane(region.conflictLane))" as Text)
      }
    }
    text.append("\n" as Text)
    for at in Int(block.first)..<Int(block.first) + Int(block.count) {
      text.append("   \(line(instructions[at], program))\n")
    }
  }

  // MARK: Operands

  func lane(_ index: UInt32) -> Text {
    index == Instruction.none ? "-" : index < laneNames.count ? laneNames[Int(index)] : "L\(index)"
  }

  func mask(_ index: UInt32) -> Text {
    index == Instruction.none ? "-" : index < maskNames.count ? maskNames[Int(index)] : "M\(index)"
  }

  private func number(_ value: UInt64) -> Text {
    if value < 10 { return "\(value)" }
    if value == ~0 { return "-1" }
    var text = Text("0x")
    text.append(value, radix: 16, width: 1)
    return text
  }

  private func cut(_ instruction: Instruction) -> Text {
    instruction.mask == ~0 ? "" : " & \(number(instruction.mask))"
  }

  /// The field that eight bytes, a shift and a mask pick, by name where it is one.
  private func field(
    _ byte: UInt32, _ instruction: Instruction, _ program: P4Program
  ) -> Text {
    let width = 64 - instruction.mask.leadingZeroBitCount
    let bit = Int(byte) * 8 + 64 - Int(instruction.shift) - width
    return bits(bit, width, program)
  }

  private func bits(_ bit: Int, _ width: Int, _ program: P4Program) -> Text {
    for (header, fields) in fieldPlaces.enumerated() {
      for (index, place) in fields.enumerated() {
        guard case .bytes(let start, let count) = place, start <= bit, bit + width <= start + count
        else { continue }
        let description = program.headers[header]
        let name: Text = "\(description.name).\(description.fields[index].name)"
        if start == bit, count == width { return name }
        let low = start + count - bit - width
        return "\(name)[\(low + width - 1):\(low)]"
      }
    }
    return "H[\(bit / 8).\(bit % 8)+\(width)]"
  }

  private func position(_ instruction: Instruction) -> Text {
    instruction.c == Instruction.none
      ? "\(instruction.e)"
      : instruction.e == 0
        ? lane(instruction.c) : "\(lane(instruction.c))+\(instruction.e)"
  }

  // MARK: Instructions

  package func line(_ i: Instruction, _ program: P4Program) -> Text {
    func header(_ index: UInt32) -> Text { program.headers[Int(index)].name }
    func stack(_ index: UInt32) -> Text {
      Int(index) < program.stacks.count
        ? program.stacks[Int(index)].name
        : program.unionStacks[Int(index) - program.stacks.count].name
    }
    let inverted: Text = i.size == 1 ? ", not" : ""
    let signed: Text = i.size == 1 ? "signed " : ""
    switch i.opcode {
    case .jump: return "jump b\(i.d)"
    case .branch: return "branch \(mask(i.a)) ? b\(i.b) : b\(i.c)"
    case .select: return "select \(lane(i.a))\(cases(i))"
    case .selectField: return "select \(field(i.a, i, program))\(cases(i))"
    case .apply: return apply(Int(i.a), program)
    case .finish: return "finish"

    case .loadImmediate: return "\(lane(i.d)) = \(number(i.immediate))"
    case .move: return "\(lane(i.d)) = \(lane(i.a))\(cut(i))"
    case .choose: return "\(lane(i.d)) = \(mask(i.c)) ? \(lane(i.a)) : \(lane(i.b))"
    case .chooseImmediate:
      return "\(lane(i.d)) = \(mask(i.a)) ? \(number(i.immediate)) : \(number(i.mask))"
    case .shiftLeftOr:
      return "\(lane(i.d)) = \(lane(i.a)) << \(i.shift) | \(lane(i.b))\(cut(i))"
    case .signExtend: return "\(lane(i.d)) = signed \(i.size) \(lane(i.a))\(cut(i))"
    case .clampSigned:
      return "\(lane(i.d)) = clamp \(lane(i.a)) \(number(i.immediate)) \(number(i.mask))"
    case .minimumUnsigned: return "\(lane(i.d)) = min \(lane(i.a)) \(number(i.immediate))"
    case .reverseSubtractImmediate:
      return "\(lane(i.d)) = \(number(i.immediate)) - \(lane(i.a))\(cut(i))"
    case .add, .subtract, .multiply, .and, .or, .xor, .shiftLeft, .shiftRight, .shiftRightSigned,
      .divide, .modulo, .divideSigned, .moduloSigned:
      return "\(lane(i.d)) = \(lane(i.a)) \(i.opcode.sign) \(lane(i.b))\(cut(i))"
    case .addImmediate, .multiplyImmediate, .andImmediate, .orImmediate, .xorImmediate,
      .divideImmediate, .moduloImmediate:
      return "\(lane(i.d)) = \(lane(i.a)) \(i.opcode.sign) \(number(i.immediate))\(cut(i))"
    case .shiftLeftImmediate, .shiftRightImmediate, .shiftRightSignedImmediate:
      return "\(lane(i.d)) = \(lane(i.a)) \(i.opcode.sign) \(i.shift)\(cut(i))"

    case .equal, .less, .lessSigned:
      return "\(mask(i.d)) = \(lane(i.a)) \(i.opcode.sign) \(lane(i.b))\(inverted)"
    case .equalImmediate:
      return "\(mask(i.d)) = \(lane(i.a))\(cut(i)) == \(number(i.immediate))\(inverted)"
    case .lessImmediate, .lessSignedImmediate:
      return "\(mask(i.d)) = \(lane(i.a)) \(i.opcode.sign) \(number(i.immediate))\(inverted)"
    case .equalField, .lessField:
      return
        "\(mask(i.d)) = \(field(i.a, i, program)) \(i.opcode.sign) \(number(i.immediate))\(inverted)"
    case .setMask: return "\(mask(i.d)) = \(i.immediate & 1)"
    case .moveMask: return "\(mask(i.d)) = \(mask(i.a))\(inverted)"
    case .andMask, .orMask, .xorMask, .andNotMask:
      return "\(mask(i.d)) = \(mask(i.a)) \(i.opcode.sign) \(mask(i.b))"
    case .maskAtIndex:
      return "\(mask(i.d)) = \(mask(i.b)) at \(lane(i.a)) of \(i.e) by \(i.c)"

    case .loadField: return "\(lane(i.d)) = \(field(i.a, i, program))"
    case .load8: return "\(lane(i.d)) = \(bits(Int(i.a) * 8, 8, program))"
    case .load16: return "\(lane(i.d)) = \(bits(Int(i.a) * 8, 16, program))"
    case .load32: return "\(lane(i.d)) = \(bits(Int(i.a) * 8, 32, program))"
    case .load64: return "\(lane(i.d)) = \(bits(Int(i.a) * 8, 64, program))"
    case .loadField9:
      let bit = Int(i.a) * 8 + 72 - Int(i.shift) - Int(i.size)
      return "\(lane(i.d)) = \(bits(bit, Int(i.size), program))"
    case .storeField: return "\(field(i.d, i, program)) = \(lane(i.a))"
    case .store8: return "\(bits(Int(i.d) * 8, 8, program)) = \(lane(i.a))"
    case .store16: return "\(bits(Int(i.d) * 8, 16, program)) = \(lane(i.a))"
    case .store32: return "\(bits(Int(i.d) * 8, 32, program)) = \(lane(i.a))"
    case .store64: return "\(bits(Int(i.d) * 8, 64, program)) = \(lane(i.a))"
    case .storeField9:
      let bit = Int(i.d) * 8 + 72 - Int(i.shift) - Int(i.size)
      return "\(bits(bit, Int(i.size), program)) = \(lane(i.a))"
    case .storeFieldImmediate: return "\(field(i.d, i, program)) = \(number(i.immediate))"
    case .addField: return "\(field(i.d, i, program)) += \(number(i.immediate))"
    case .storeParameter:
      return "\(field(i.d, i, program)) = \(program.tables[Int(i.b)].name)(\(i.c))"
    case .copyBytes:
      let count = Int(i.b) * 8
      return "\(bits(Int(i.d) * 8, count, program)) = \(bits(Int(i.a) * 8, count, program))"
    case .zeroBytes: return "\(bits(Int(i.d) * 8, Int(i.b) * 8, program)) = 0"
    case .loadFieldAtIndex:
      return "\(lane(i.d)) = \(field(i.a, i, program)) at \(lane(i.b)) of \(i.c) by \(i.e)"
    case .storeFieldAtIndex:
      return "\(field(i.d, i, program)) at \(lane(i.b)) of \(i.c) by \(i.e) = \(lane(i.a))"
    case .loadParameter:
      return "\(lane(i.d)) = \(program.tables[Int(i.b)].name)(\(i.c))\(cut(i))"
    case .loadParameterWide: return "w\(i.d) = \(program.tables[Int(i.b)].name)(\(i.c)..+\(i.e))"

    case .wideConstant: return "w\(i.d) = constant \(i.a)"
    case .wideMove: return "w\(i.d) = w\(i.a)"
    case .wideFromLane: return "w\(i.d) = \(signed)\(lane(i.a))"
    case .laneFromWide: return "\(lane(i.d)) = w\(i.a)\(cut(i))"
    case .wideLoad: return "w\(i.d) = \(bits(Int(i.a) - Int(i.b), Int(i.b), program))"
    case .wideStore: return "\(bits(Int(i.a) - Int(i.b), Int(i.b), program)) = w\(i.d)"
    case .wideAdd, .wideSubtract, .wideMultiply, .wideAnd, .wideOr, .wideXor, .wideShiftLeft,
      .wideShiftRight, .wideDivide, .wideModulo:
      return "w\(i.d) = w\(i.a) \(i.opcode.sign) w\(i.b)"
    case .wideShiftLeftImmediate, .wideShiftRightImmediate:
      return "w\(i.d) = w\(i.a) \(i.opcode.sign) \(i.b)"
    case .wideExtend: return "w\(i.d) = \(signed)\(i.b) of w\(i.a)"
    case .wideSaturate: return "w\(i.d) = \(signed)saturate \(i.b) w\(i.a)"
    case .wideChoose: return "w\(i.d) = \(mask(i.c)) ? w\(i.a) : w\(i.b)"
    case .wideEqual, .wideLess:
      return "\(mask(i.d)) = w\(i.a) \(i.opcode.sign) w\(i.b)\(inverted)"

    case .setValid: return "setValid \(header(i.a))"
    case .setInvalid: return "setInvalid \(header(i.a))"
    case .copyHeader: return "\(header(i.d)) = \(header(i.a))"
    case .pushStack: return "push \(stack(i.a)) \(i.b)"
    case .popStack: return "pop \(stack(i.a)) \(i.b)"
    case .variableEqual:
      return "\(mask(i.d)) = varbit of \(header(i.a)) == \(header(i.b))\(inverted)"
    case .headersEqual: return "\(mask(i.d)) = \(header(i.a)) == \(header(i.b))\(inverted)"
    case .copyVariable: return "\(header(i.d)).varbit = \(header(i.a)).varbit"

    case .extract: return "extract \(header(i.a)) at \(position(i))"
    case .extractRun: return "\(run(i, program)) at \(position(i))"
    case .extractVariable:
      return "extract \(header(i.a)) at \(position(i)) varbit \(lane(i.b))"
    case .extractNext: return "extract \(stack(i.a)).next at \(position(i))"
    case .failUnless: return "fail \(i.immediate) unless \(mask(i.a)) at \(position(i))"
    case .failUnlessLane: return "fail \(lane(i.b)) unless \(mask(i.a)) at \(position(i))"
    case .require: return "require \(i.immediate) at \(position(i))"
    case .advance: return "advance \(lane(i.a)) at \(position(i))"
    case .lookahead:
      return "\(lane(i.d)) = lookahead \(i.size) bits \(i.immediate) after \(position(i))"
    case .lookaheadWide:
      return "w\(i.d) = lookahead \(i.b) bits \(i.immediate) after \(position(i))"
    case .headerLength: return "\(lane(i.d)) = length \(header(i.a))"
    case .matchValueSet: return "\(mask(i.d)) = in \(program.valueSets[Int(i.a)].name)"

    case .count: return "count \(program.counters[Int(i.b)].name)[\(lane(i.a))]"
    case .countImmediate: return "count \(program.counters[Int(i.b)].name)[\(i.immediate)]"
    case .registerRead:
      return "\(lane(i.d)) = \(program.registers[Int(i.b)].name)[\(lane(i.a))]"
    case .registerWrite:
      return "\(program.registers[Int(i.b)].name)[\(lane(i.a))] = \(lane(i.c))\(cut(i))"
    case .registerWriteImmediate:
      return "\(program.registers[Int(i.b)].name)[\(lane(i.a))] = \(number(i.immediate))"
    case .registerReadWide:
      return "w\(i.d) = \(program.registers[Int(i.b)].name)[\(lane(i.a))]"
    case .registerWriteWide:
      return "\(program.registers[Int(i.b)].name)[\(lane(i.a))] = w\(i.c)"
    case .meter: return "\(lane(i.d)) = meter \(program.meters[Int(i.b)].name)[\(lane(i.a))]"
    case .hash:
      let function = calculations[Int(i.c)].function
      return "\(lane(i.d)) = hash \(program.calculations[function].name)\(cut(i))"
    case .checksumBytes: return "\(lane(i.d)) = checksum \(summed(i))"
    case .updateChecksumBytes:
      return "\(bits(Int(i.d) * 8, 16, program)) = checksum \(summed(i))"
    case .random: return "\(lane(i.d)) = random \(lane(i.a)) \(lane(i.b))"
    case .digest: return "digest \(program.learnLists[Int(i.a)].name)"
    case .cloneIngress: return "clone \(lane(i.a))\(list(i, program))"
    case .cloneEgress: return "clone \(lane(i.a))\(list(i, program))"
    case .resubmit: return "resubmit\(list(i, program))"
    case .recirculate: return "recirculate\(list(i, program))"
    case .truncate: return "truncate \(lane(i.a))"
    case .log: return "log \(logs[Int(i.a)].format)"
    case .assert: return "assert \(mask(i.a))"
    }
  }

  private func cases(_ i: Instruction) -> Text {
    var text = Text()
    for one in selectCases[Int(i.b)..<Int(i.b) + Int(i.c)] {
      text.append(" \(number(one.value))" as Text)
      let isWhole = one.mask == ~0 || one.mask & (one.mask &+ 1) == 0
      if !isWhole { text.append("/\(number(one.mask))" as Text) }
      text.append(":b\(one.block)" as Text)
    }
    text.append(" else:b\(i.d)" as Text)
    return text
  }

  private func apply(_ index: Int, _ program: P4Program) -> Text {
    let table = tables[index]
    var text: Text = "apply \(program.tables[index].name)"
    var seen: [UInt8] = []
    for (action, number) in table.actionIndex.enumerated() where number != 255 {
      if seen.contains(number) { continue }
      seen.append(number)
      text.append(" \(program.actions[action].name):b\(table.actionBlocks[Int(number)])" as Text)
    }
    if program.tables[index].defaultEntry == nil {
      text.append(" else:b\(table.noActionBlock)" as Text)
    }
    return text
  }

  private func run(_ i: Instruction, _ program: P4Program) -> Text {
    var text = Text("extract")
    for header in runHeaders[Int(i.a)..<Int(i.a) + Int(i.b)] {
      text.append(" \(program.headers[Int(header)].name)" as Text)
    }
    return text
  }

  private func summed(_ i: Instruction) -> Text {
    i.e == Instruction.none
      ? "H[\(i.a)+\(i.b)]" : "H[\(i.a)+\(i.b)] without H[\(i.e)+2]"
  }

  private func list(_ i: Instruction, _ program: P4Program) -> Text {
    i.b == Instruction.none ? "" : " with \(program.fieldLists[Int(i.b)].name)"
  }
}

extension Opcode {
  /// An operator as it is written between two operands.
  fileprivate var sign: StaticString {
    switch self {
    case .add, .addImmediate, .wideAdd: "+"
    case .subtract, .wideSubtract: "-"
    case .multiply, .multiplyImmediate, .wideMultiply: "*"
    case .and, .andImmediate, .wideAnd, .andMask: "&"
    case .or, .orImmediate, .wideOr, .orMask: "|"
    case .xor, .xorImmediate, .wideXor, .xorMask: "^"
    case .andNotMask: "& not"
    case .shiftLeft, .shiftLeftImmediate, .wideShiftLeft, .wideShiftLeftImmediate: "<<"
    case .shiftRight, .shiftRightImmediate: ">>"
    case .shiftRightSigned, .shiftRightSignedImmediate, .wideShiftRight,
      .wideShiftRightImmediate:
      ">>s"
    case .divide, .divideImmediate, .divideSigned, .wideDivide: "/"
    case .modulo, .moduloImmediate, .moduloSigned, .wideModulo: "%"
    case .equal, .equalImmediate, .equalField, .wideEqual: "=="
    case .less, .lessImmediate, .lessField: "<"
    case .lessSigned, .lessSignedImmediate, .wideLess: "<s"
    default: "?"
    }
  }
}
