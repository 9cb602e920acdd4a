import DPUCore

// The last step: blocks one after the other, the fastest form of each load and store, extracts in
// runs, and descriptors with their final block numbers.

extension Compilation {
  func finish() throws(CompileError) -> PipelineCode {
    code.wideLimbs = wideCount == 0 ? 0 : max(2, (wideBits + 63) / 64)
    for value in wideConstants {
      for limb in 0..<code.wideLimbs { code.wideConstants.append(value.word(limb)) }
    }
    var number = [Int](repeating: -1, count: blocks.count)
    for (position, block) in order.enumerated() { number[block] = position }
    let cases = selectCases
    selectCases = []
    for block in order { emitBlock(block, number, cases) }
    guard code.instructions.count <= CodeLimits.instructions else {
      throw CompileError(
        "", "\(code.instructions.count) instructions, more than \(CodeLimits.instructions)")
    }
    for table in code.tables.indices where !code.tables[table].isInlined {
      code.tables[table].actionBlocks = code.tables[table].actionBlocks.map {
        UInt32(max(0, number[Int($0)]))
      }
      code.tables[table].noActionBlock = UInt32(
        max(0, number[Int(code.tables[table].noActionBlock)]))
    }
    code.parser = section(.parser, number)
    code.verify = section(.verify, number)
    code.ingress = section(.ingress, number)
    code.egress = section(.egress, number)
    code.update = section(.update, number)
    for (index, region) in regions.enumerated() {
      for block in region.blocks { code.blocks[block].region = UInt32(index + 1) }
    }
    code.serialRegions = regions
    code.deparserOrder = program.deparserOrder.map { UInt32($0) }
    code.fieldPlaces = places
    noteWrites()
    return code
  }

  private func section(_ kind: SectionKind, _ number: [Int]) -> PipelineCode.Section {
    var result = PipelineCode.Section()
    let members = order.indices.filter { blocks[order[$0]].section == kind }
    let entry = number[entries[kind.rawValue]]
    result.entry = entry
    guard let first = members.first, let last = members.last else { return result }
    // Nothing but its end.
    let only = code.blocks[entry]
    if members.count == 1, only.count == 1,
      code.instructions[Int(only.first)].opcode == .finish
    {
      return result
    }
    result.blocks = first..<last + 1
    return result
  }

  // MARK: Blocks

  private func emitBlock(_ block: Int, _ number: [Int], _ cases: [PipelineCode.SelectCase]) {
    let first = code.instructions.count
    var index = 0
    let instructions = blocks[block].instructions
    while index < instructions.count {
      let mark = blocks[block].marks[index]
      let run = extractRun(instructions, at: index)
      if run > 1 {
        code.instructions.append(merged(instructions[index..<index + run]))
        code.marks.append(mark)
        index += run
        continue
      }
      var instruction = specialised(instructions[index])
      index += 1
      switch instruction.opcode {
      case .jump: instruction.d = UInt32(number[Int(instruction.d)])
      case .branch:
        instruction.b = UInt32(number[Int(instruction.b)])
        instruction.c = UInt32(number[Int(instruction.c)])
      case .select, .selectField:
        instruction.d = UInt32(number[Int(instruction.d)])
        let start = code.selectCases.count
        for at in Int(instruction.b)..<Int(instruction.b) + Int(instruction.c) {
          var one = cases[at]
          one.block = UInt32(number[Int(one.block)])
          code.selectCases.append(one)
        }
        instruction.b = UInt32(start)
      case .wideConstant: instruction.a *= UInt32(code.wideLimbs)
      default: break
      }
      code.instructions.append(instruction)
      code.marks.append(mark)
    }
    code.blocks.append(
      PipelineCode.Block(first: first, count: code.instructions.count - first))
  }

  // MARK: Runs of extracts

  /// How many extracts in a row make one copy.
  private func extractRun(_ instructions: [Instruction], at start: Int) -> Int {
    guard instructions[start].opcode == .extract else { return 1 }
    var count = 1
    while start + count < instructions.count {
      let before = instructions[start + count - 1]
      let next = instructions[start + count]
      let header = code.headers[Int(before.a)]
      guard next.opcode == .extract, next.c == before.c, next.e == before.e + header.bytes,
        code.headers[Int(next.a)].offset == header.offset + header.bytes
      else { break }
      count += 1
    }
    return count
  }

  private func merged(_ extracts: ArraySlice<Instruction>) -> Instruction {
    let start = code.runHeaders.count
    var bytes = 0
    for extract in extracts {
      code.runHeaders.append(extract.a)
      bytes += Int(code.headers[Int(extract.a)].bytes)
    }
    var result = extracts[extracts.startIndex]
    result.opcode = .extractRun
    result.d = code.headers[Int(result.a)].offset
    result.a = UInt32(start)
    result.b = UInt32(extracts.count)
    result.immediate = UInt64(bytes)
    return result
  }

  // MARK: Whole bytes

  private func specialised(_ instruction: Instruction) -> Instruction {
    let isLoad = instruction.opcode == .loadField
    guard isLoad || instruction.opcode == .storeField else { return instruction }
    let bits = 64 - instruction.mask.leadingZeroBitCount
    guard instruction.shift % 8 == 0, instruction.mask == Self.ones(bits) else {
      return instruction
    }
    let opcode: Opcode? =
      switch (bits, isLoad) {
      case (8, true): .load8
      case (16, true): .load16
      case (32, true): .load32
      case (64, true): .load64
      case (8, false): .store8
      case (16, false): .store16
      case (32, false): .store32
      case (64, false): .store64
      default: nil
      }
    guard let opcode else { return instruction }
    let byte = 8 - Int(instruction.shift) / 8 - bits / 8
    return isLoad
      ? Instruction(opcode, d: Int(instruction.d), a: Int(instruction.a) + byte)
      : Instruction(opcode, d: Int(instruction.d) + byte, a: Int(instruction.a))
  }

  // MARK: Writes

  private func noteWrites() {
    code.keepsPacket = true
    for instruction in code.instructions {
      switch instruction.opcode {
      case .extract, .extractRun, .extractVariable, .extractNext: continue
      case .setMask, .moveMask, .andMask, .orMask, .xorMask, .andNotMask, .setInvalid, .setValid,
        .copyHeader, .pushStack, .popStack:
        var changesHeader = false
        visitHeaderMasks(instruction) { changesHeader = true }
        if changesHeader { code.keepsPacket = false }
      default: break
      }
      guard let written = writtenBits(instruction) else { continue }
      for (header, layout) in code.headers.enumerated() where !layout.isMetadata {
        let start = Int(layout.offset) * 8
        if written.overlaps(start..<start + Int(layout.bytes) * 8) {
          code.headers[header].isWritten = true
          code.keepsPacket = false
        }
      }
    }
  }

  private func visitHeaderMasks(_ instruction: Instruction, _ body: () -> Void) {
    switch instruction.opcode {
    case .setInvalid, .setValid, .copyHeader, .pushStack, .popStack: body()
    default: if Int(instruction.d) < program.headers.count { body() }
    }
  }
}
