// One block under what is known: either to find what is known after it, or to rewrite it.

/// A walk through one block.
struct KnownRun {
  var state: KnownState
  var isRewriting: Bool
  var instructions: [Instruction] = []
  var marks: [PipelineCode.Mark] = []
  var mark = PipelineCode.Mark()
  /// The rest of the block cannot be reached.
  var isOver = false

  init(state: KnownState, isRewriting: Bool) {
    self.state = state
    self.isRewriting = isRewriting
  }

  mutating func keep(_ instruction: Instruction) {
    guard isRewriting else { return }
    instructions.append(instruction)
    marks.append(mark)
  }

  func lane(_ index: UInt32) -> UInt64? {
    index == Instruction.none ? nil : state.lanes[Int(index)]
  }
  func mask(_ index: UInt32) -> Bool? { state.masks[Int(index)] }
}

extension Compilation {
  func run(_ block: Int, _ run: inout KnownRun, _ flow: inout KnownFlow) {
    let section = blocks[block].section
    // Temporaries are followed within a block only: across blocks there are too many of them.
    for lane in stateLanes..<laneCount { run.state.lanes[lane] = nil }
    for mask in stateMasks..<maskCount { run.state.masks[mask] = nil }
    for (index, instruction) in blocks[block].instructions.enumerated() {
      run.mark = blocks[block].marks[index]
      if run.isRewriting { noteRead(instruction, run.state, section) }
      if instruction.opcode.isControl {
        control(instruction, block, index, &run, &flow)
        return
      }
      if instruction.opcode.canFail {
        var failed = run.state
        failed.lanes[cursorLane] = nil
        if let parserErrorLane { failed.lanes[parserErrorLane] = nil }
        // A failed extract may have made some of a run valid: the end of the parser meets many
        // states anyway, so that nothing is gained by being precise here.
        if !run.isRewriting { leave(section, failed, &flow) }
      }
      step(instruction, &run)
      if run.isOver {
        run.keep(Instruction(.finish))
        return
      }
    }
  }

  /// Headers that an instruction reads while they may be invalid.
  private func noteRead(
    _ instruction: Instruction, _ state: KnownState, _ section: SectionKind
  ) {
    if section == .parser, !instruction.opcode.canFail, let written = writtenBits(instruction) {
      noteStale(written, &parserStaleHeaders) { state.masks[$0] == true }
    }
    var bits: Range<Int>?
    switch instruction.opcode {
    case .copyBytes:
      let start = Int(instruction.a) * 8
      bits = start..<start + Int(instruction.b) * 8
    // Their plans leave out what is invalid, and what is compared is valid.
    case .hash, .matchValueSet, .headersEqual, .variableEqual: return
    default: bits = readBits(instruction)
    }
    guard let bits else { return }
    var found = BitSet(count: program.headers.count)
    noteStale(bits, &found) { state.masks[$0] == true }
    staleHeaders.formUnion(found)
    if section == .parser { parserStaleHeaders.formUnion(found) }
  }

  func noteStale(_ bits: Range<Int>, _ found: inout BitSet, _ isValid: (Int) -> Bool) {
    for header in program.headers.indices where !program.headers[header].isMetadata {
      let layout = code.headers[header]
      let start = Int(layout.offset) * 8
      if (start..<start + Int(layout.bytes) * 8).overlaps(bits), !isValid(header) {
        found.insert(header)
      }
    }
  }

  // MARK: Control

  private func control(
    _ instruction: Instruction, _ block: Int, _ index: Int, _ run: inout KnownRun,
    _ flow: inout KnownFlow
  ) {
    func go(_ target: UInt32, _ state: KnownState, _ flow: inout KnownFlow) {
      if !run.isRewriting { enter(block: Int(target), state, &flow) }
    }
    switch instruction.opcode {
    case .finish:
      if !run.isRewriting { leave(blocks[block].section, run.state, &flow) }
    case .jump: go(instruction.d, run.state, &flow)
    case .branch:
      if let value = run.mask(instruction.a) {
        let target = value ? instruction.b : instruction.c
        go(target, run.state, &flow)
        return run.keep(Instruction(.jump, d: Int(target)))
      }
      var whenSet = run.state
      assume(Int(instruction.a), true, block, before: index, &whenSet)
      go(instruction.b, whenSet, &flow)
      var whenClear = run.state
      assume(Int(instruction.a), false, block, before: index, &whenClear)
      go(instruction.c, whenClear, &flow)
    case .select:
      let cases = selectCases[Int(instruction.b)..<Int(instruction.b) + Int(instruction.c)]
      if let key = run.lane(instruction.a) {
        let found = cases.first { key & $0.mask == $0.value }
        let target = found?.block ?? instruction.d
        go(target, run.state, &flow)
        return run.keep(Instruction(.jump, d: Int(target)))
      }
      for one in cases {
        var state = run.state
        if one.mask == ~0, Int(instruction.a) < stateLanes {
          state.lanes[Int(instruction.a)] = one.value
        }
        go(one.block, state, &flow)
      }
      go(instruction.d, run.state, &flow)
    case .apply:
      visitRegisters(instruction, read: { _ in }, write: { forget($0, &run.state) })
      let table = code.tables[Int(instruction.a)]
      if run.isRewriting { dropGuards(table: Int(instruction.a), run.state) }
      for target in table.actionBlocks { go(target, run.state, &flow) }
      go(table.noActionBlock, run.state, &flow)
    default:
      visitSuccessors(block) { go(UInt32($0), run.state, &flow) }
    }
    run.keep(instruction)
  }

  private func forget(_ register: Int, _ state: inout KnownState) {
    if register < laneCount {
      state.lanes[register] = nil
    } else if register < laneCount + maskCount {
      state.masks[register - laneCount] = nil
    }
  }

  /// A mask is known on one side of a branch; so is what it was made of.
  private func assume(
    _ mask: Int, _ value: Bool, _ block: Int, before: Int, _ state: inout KnownState
  ) {
    state.masks[mask] = value
    guard mask >= stateMasks else { return }
    // The instruction that made it, with nothing written since to what it read.
    var at = before - 1
    let all = blocks[block].instructions
    while at >= 0, all[at].opcode.roles.d != .maskWrite || all[at].d != UInt32(mask) { at -= 1 }
    guard at >= 0 else { return }
    let maker = all[at]
    var isStale = false
    visitRegisters(
      maker,
      read: { register in
        for later in at + 1..<before {
          visitRegisters(
            all[later], read: { _ in }, write: { if $0 == register { isStale = true } })
        }
      }, write: { _ in })
    guard !isStale else { return }
    let a = Int(maker.a)
    let b = Int(maker.b)
    switch maker.opcode {
    case .moveMask: assume(a, value != (maker.size == 1), block, before: at, &state)
    case .andMask:
      if value {
        assume(a, true, block, before: at, &state)
        assume(b, true, block, before: at, &state)
      } else if state.masks[a] == true {
        assume(b, false, block, before: at, &state)
      } else if state.masks[b] == true {
        assume(a, false, block, before: at, &state)
      }
    case .orMask:
      if !value {
        assume(a, false, block, before: at, &state)
        assume(b, false, block, before: at, &state)
      }
    case .andNotMask:
      if value {
        assume(a, true, block, before: at, &state)
        assume(b, false, block, before: at, &state)
      }
    case .equalImmediate:
      // Equal on this side: `size` 1 turns the mask round.
      if value != (maker.size == 1), maker.mask == ~0, a < stateLanes {
        state.lanes[a] = maker.immediate
      }
    default: break
    }
  }

  // MARK: Descriptors

  /// Fields of headers that are known to be valid, or not, need no guard in a key.
  private func dropGuards(table: Int, _ state: KnownState) {
    var key = code.tables[table].key
    guard dropGuards(&key, state) else { return }
    close(&key)
    code.tables[table].key = key
  }

  private func dropGuards(
    _ plan: inout PipelineCode.GatherPlan, _ state: KnownState
  ) -> Bool {
    var isChanged = false
    for index in plan.segments.indices {
      let guardMask = plan.segments[index].guardMask
      guard guardMask != Instruction.none, let value = state.masks[Int(guardMask)] else {
        continue
      }
      if value { plan.segments[index].guardMask = Instruction.none }
      // Known to be invalid is rare: the guard stays and gives zeros.
      isChanged = isChanged || value
    }
    return isChanged
  }

  /// A calculation with less guards, for one instruction; nil: there is nothing to drop.
  func specialised(_ index: Int, _ state: KnownState) -> Int? {
    var calculation = code.calculations[index]
    var isChanged = false
    var segments: [PipelineCode.Segment] = []
    for segment in calculation.plan.segments {
      guard segment.guardMask != Instruction.none,
        let value = state.masks[Int(segment.guardMask)]
      else {
        segments.append(segment)
        continue
      }
      isChanged = true
      guard value else { continue }
      var kept = segment
      kept.guardMask = Instruction.none
      segments.append(kept)
    }
    guard isChanged else { return nil }
    calculation.plan.segments = segments
    calculation.plan.isFixed = segments.allSatisfy {
      $0.guardMask == Instruction.none && $0.kind != .payload && $0.kind != .variable
        && $0.kind != .header
    }
    close(&calculation.plan)
    code.calculations.append(calculation)
    return code.calculations.count - 1
  }
}
