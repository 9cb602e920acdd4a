// Blocks and instructions; see CodeCheck.swift.

extension CodeFlaw: Error {}

extension PipelineCode {
  /// Where packets may go from a block.
  func successors(of block: Int) -> [Int] {
    let code = blocks[block]
    let op = instructions[Int(code.first) + Int(code.count) - 1]
    switch op.opcode {
    case .jump: return [Int(op.d)]
    case .branch: return [Int(op.b), Int(op.c)]
    case .select, .selectField:
      let cases = selectCases[Int(op.b)..<Int(op.b) + Int(op.c)]
      return cases.map { Int($0.block) } + [Int(op.d)]
    case .apply:
      let table = tables[Int(op.a)]
      return table.actionBlocks.map { Int($0) } + [Int(table.noActionBlock)]
    default: return []
    }
  }

  func checkBlocks(_ program: P4Program) throws(CodeFlaw) {
    for index in blocks.indices {
      let block = blocks[index]
      let end = Int(block.first) + Int(block.count)
      if block.count == 0 || end > instructions.count || Int(block.region) > serialRegions.count {
        throw CodeFlaw(part: .block, index: index)
      }
      for place in Int(block.first)..<end {
        let op = instructions[place]
        if isControl(op.opcode) != (place == end - 1) || !isSound(op) || !hasExtern(op, program) {
          throw CodeFlaw(part: .instruction, index: place)
        }
      }
    }
    let sections = [parser, verify, ingress, egress, update]
    for index in sections.indices {
      let section = sections[index]
      if section.blocks.isEmpty { continue }
      if section.blocks.lowerBound < 0 || section.blocks.upperBound > blocks.count
        || !section.blocks.contains(section.entry)
      {
        throw CodeFlaw(part: .section, index: index)
      }
      // Packets stay in their section.
      for block in section.blocks {
        if !successors(of: block).allSatisfy({ section.blocks.contains($0) }) {
          throw CodeFlaw(part: .block, index: block)
        }
      }
    }
    for index in serialRegions.indices {
      let region = serialRegions[index]
      let isInSection = sections.contains {
        $0.blocks.lowerBound <= region.blocks.lowerBound
          && region.blocks.upperBound <= $0.blocks.upperBound
      }
      if region.blocks.isEmpty || !isInSection
        || region.conflictLane != Instruction.none && !has(lane: region.conflictLane)
        || !region.blocks.allSatisfy({ Int(blocks[$0].region) == index + 1 })
      {
        throw CodeFlaw(part: .region, index: index)
      }
    }
    for index in blocks.indices where blocks[index].region != 0 {
      if !serialRegions[Int(blocks[index].region) - 1].blocks.contains(index) {
        throw CodeFlaw(part: .block, index: index)
      }
    }
  }

  private func isControl(_ opcode: Opcode) -> Bool {
    switch opcode {
    case .jump, .branch, .select, .selectField, .apply, .finish: true
    default: false
    }
  }

  /// `c` names the lane of the position, or nothing.
  private func hasPosition(_ op: Instruction) -> Bool {
    op.c == Instruction.none || has(lane: op.c)
  }

  private func has(block: UInt32) -> Bool { Int(block) < blocks.count }

  /// `a`, `b` and `d` are lanes.
  private func areLanes(_ lanes: UInt32...) -> Bool { lanes.allSatisfy { has(lane: $0) } }

  private func areMasks(_ masks: UInt32...) -> Bool { masks.allSatisfy { has(mask: $0) } }

  private func areWide(_ slots: UInt32...) -> Bool { slots.allSatisfy { has(wide: $0) } }

  private func isList(_ list: UInt32, _ count: Int) -> Bool {
    list == Instruction.none || Int(list) < count
  }

  private func isSound(_ op: Instruction) -> Bool {
    switch op.opcode {
    case .jump: return has(block: op.d)
    case .branch: return has(mask: op.a) && has(block: op.b) && has(block: op.c)
    case .select, .selectField:
      let end = Int(op.b) + Int(op.c)
      return end <= selectCases.count && has(block: op.d)
        && selectCases[Int(op.b)..<end].allSatisfy { has(block: $0.block) }
        && (op.opcode == .select ? has(lane: op.a) : has(fieldAt: op.a, shift: op.shift))
    case .apply:
      guard Int(op.a) < tables.count else { return false }
      let table = tables[Int(op.a)]
      return !table.isInlined && has(block: table.noActionBlock)
        && table.actionBlocks.allSatisfy { has(block: $0) }
    case .finish: return true

    case .loadImmediate: return has(lane: op.d)
    case .move, .addImmediate, .multiplyImmediate, .andImmediate, .orImmediate, .xorImmediate,
      .reverseSubtractImmediate, .divideImmediate, .moduloImmediate, .clampSigned,
      .minimumUnsigned:
      return areLanes(op.d, op.a)
    case .signExtend: return areLanes(op.d, op.a) && op.size > 0 && op.size < 64
    case .shiftLeftImmediate, .shiftRightImmediate, .shiftRightSignedImmediate:
      return areLanes(op.d, op.a) && op.shift < 64
    case .add, .subtract, .multiply, .and, .or, .xor, .shiftLeft, .shiftRight,
      .shiftRightSigned, .divide, .modulo, .divideSigned, .moduloSigned, .random:
      return areLanes(op.d, op.a, op.b)
    case .shiftLeftOr: return areLanes(op.d, op.a, op.b) && op.shift < 64
    case .choose: return areLanes(op.d, op.a, op.b) && has(mask: op.c)
    case .chooseImmediate: return has(lane: op.d) && has(mask: op.a)

    case .equal, .less, .lessSigned: return has(mask: op.d) && areLanes(op.a, op.b)
    case .equalImmediate, .lessImmediate, .lessSignedImmediate:
      return has(mask: op.d) && has(lane: op.a)
    case .equalField, .lessField: return has(mask: op.d) && has(fieldAt: op.a, shift: op.shift)
    case .setMask: return has(mask: op.d)
    case .moveMask: return areMasks(op.d, op.a)
    case .andMask, .orMask, .xorMask, .andNotMask: return areMasks(op.d, op.a, op.b)
    case .maskAtIndex:
      return has(mask: op.d) && has(lane: op.a)
        && (op.e == 0 || Int(op.b) + (Int(op.e) - 1) * Int(op.c) < maskCount)

    case .loadField: return has(lane: op.d) && has(fieldAt: op.a, shift: op.shift)
    case .load8, .load16, .load32, .load64: return has(lane: op.d) && has(bytes: 8, at: op.a)
    case .loadField9, .storeField9:
      let offset = op.opcode == .loadField9 ? op.a : op.d
      return has(lane: op.opcode == .loadField9 ? op.d : op.a) && has(bytes: 9, at: offset)
        && op.size > 0 && op.size <= 64 && op.shift < 8 && Int(op.size) + Int(op.shift) <= 72
    case .storeField: return has(lane: op.a) && has(fieldAt: op.d, shift: op.shift)
    case .store8, .store16, .store32, .store64: return has(lane: op.a) && has(bytes: 8, at: op.d)
    case .storeFieldImmediate, .addField: return has(fieldAt: op.d, shift: op.shift)
    case .storeParameter:
      return has(fieldAt: op.d, shift: op.shift) && isParameter(op, words: 1)
    case .copyBytes: return has(bytes: op.b, at: op.d) && has(bytes: op.b, at: op.a)
    case .zeroBytes: return has(bytes: op.b, at: op.d)
    case .loadFieldAtIndex, .storeFieldAtIndex:
      let offset = op.opcode == .loadFieldAtIndex ? op.a : op.d
      let other = op.opcode == .loadFieldAtIndex ? op.d : op.a
      return areLanes(op.b, other) && op.shift < 64
        && (op.c == 0 || Int(offset) + (Int(op.c) - 1) * Int(op.e) + 8 <= headerBytes)
    case .loadParameter: return has(lane: op.d) && isParameter(op, words: 1)
    case .loadParameterWide: return has(wide: op.d) && isParameter(op, words: Int(op.e))

    case .wideConstant: return has(wide: op.d) && Int(op.a) + wideLimbs <= wideConstants.count
    case .wideMove, .wideExtend, .wideSaturate, .wideShiftLeftImmediate, .wideShiftRightImmediate:
      return areWide(op.d, op.a)
    case .wideFromLane: return has(wide: op.d) && has(lane: op.a)
    case .laneFromWide: return has(lane: op.d) && has(wide: op.a)
    case .wideLoad, .wideStore:
      return has(wide: op.d) && op.b <= op.a && Int(op.a) <= headerBytes * 8
        && Int(op.b) <= wideLimbs * 64
    case .wideAdd, .wideSubtract, .wideMultiply, .wideAnd, .wideOr, .wideXor, .wideShiftLeft,
      .wideShiftRight, .wideDivide, .wideModulo:
      return areWide(op.d, op.a, op.b)
    case .wideChoose: return areWide(op.d, op.a, op.b) && has(mask: op.c)
    case .wideEqual, .wideLess: return has(mask: op.d) && areWide(op.a, op.b)

    case .setValid, .setInvalid:
      return has(header: op.a) && (op.c == Instruction.none || has(lane: op.c))
    case .copyHeader: return areAlike(op.d, op.a)
    case .headersEqual: return has(mask: op.d) && areAlike(op.a, op.b)
    case .variableEqual: return has(mask: op.d) && has(varbit: op.a) && has(varbit: op.b)
    case .pushStack, .popStack: return Int(op.a) < stacks.count
    case .copyVariable:
      return has(varbit: op.d) && has(varbit: op.a)

    case .extract: return has(header: op.a) && hasPosition(op)
    case .extractRun:
      let end = Int(op.a) + Int(op.b)
      guard end <= runHeaders.count, hasPosition(op) else { return false }
      // The headers lie one after the other from `d` on.
      var offset = op.d
      for number in runHeaders[Int(op.a)..<end] {
        guard has(header: number), headers[Int(number)].offset == offset else { return false }
        offset += headers[Int(number)].bytes
      }
      return UInt64(offset - op.d) == op.immediate
    case .extractVariable: return has(varbit: op.a) && has(lane: op.b) && hasPosition(op)
    case .extractNext: return Int(op.a) < stacks.count && hasPosition(op)
    case .failUnless: return has(mask: op.a) && hasPosition(op)
    case .failUnlessLane: return has(mask: op.a) && has(lane: op.b) && hasPosition(op)
    case .require: return hasPosition(op)
    case .advance: return has(lane: op.a) && hasPosition(op)
    case .lookahead:
      return has(lane: op.d) && hasPosition(op) && op.size > 0 && op.size <= 64
        && op.immediate < 1 << 32
    case .lookaheadWide: return has(wide: op.d) && hasPosition(op) && op.immediate < 1 << 32
    case .headerLength: return has(lane: op.d) && has(header: op.a)
    case .matchValueSet:
      return has(mask: op.d) && Int(op.b) < plans.count && plans[Int(op.b)].isFixed

    case .count: return has(lane: op.a)
    case .countImmediate: return true
    case .registerRead: return areLanes(op.d, op.a)
    case .registerWrite: return areLanes(op.a, op.c)
    case .registerWriteImmediate: return has(lane: op.a)
    case .registerReadWide: return has(wide: op.d) && has(lane: op.a)
    case .registerWriteWide: return has(wide: op.c) && has(lane: op.a)
    case .meter: return areLanes(op.d, op.a)
    case .hash: return has(lane: op.d) && Int(op.c) < calculations.count
    case .checksumBytes, .updateChecksumBytes:
      let isInside =
        op.e == Instruction.none
        || op.e >= op.a && op.e + 2 <= op.a + op.b && (op.e - op.a) & 1 == 0
      return has(bytes: op.b, at: op.a) && op.b & 1 == 0 && isInside
        && (op.opcode == .checksumBytes ? has(lane: op.d) : has(bytes: 2, at: op.d))
    case .digest: return Int(op.a) < learnLists.count
    case .cloneIngress, .cloneEgress: return has(lane: op.a) && isList(op.b, fieldLists.count)
    case .resubmit, .recirculate: return isList(op.b, fieldLists.count)
    case .truncate: return has(lane: op.a)
    case .log: return Int(op.a) < logs.count
    case .assert: return has(mask: op.a)
    }
  }

  /// The counter, register, meter or value set that the instruction names.
  private func hasExtern(_ op: Instruction, _ program: P4Program) -> Bool {
    switch op.opcode {
    case .count, .countImmediate: Int(op.b) < program.counters.count
    case .registerRead, .registerWrite, .registerWriteImmediate, .registerReadWide,
      .registerWriteWide:
      Int(op.b) < program.registers.count
    case .meter: Int(op.b) < program.meters.count
    case .matchValueSet: Int(op.a) < program.valueSets.count
    default: true
    }
  }

  /// Words of a record that some action of the table has, reached through the table's own lane:
  /// only a lookup writes that, so it always names a record.
  private func isParameter(_ op: Instruction, words: Int) -> Bool {
    Int(op.b) < tables.count && op.a == tables[Int(op.b)].recordLane
      && Int(op.c) + words <= tables[Int(op.b)].argumentWords
  }

  /// Headers of one type.
  private func areAlike(_ one: UInt32, _ other: UInt32) -> Bool {
    guard has(header: one), has(header: other) else { return false }
    let one = headers[Int(one)], other = headers[Int(other)]
    return one.bytes == other.bytes && one.variableBit == other.variableBit
      && one.variableBits == other.variableBits
  }
}
