// Single instructions under what is known.

extension Compilation {
  /// Follows and, when rewriting, keeps an instruction in the simplest form.
  func step(_ instruction: Instruction, _ run: inout KnownRun) {
    switch instruction.opcode {
    case .loadImmediate: setLane(instruction, instruction.immediate, &run)
    case .move, .add, .subtract, .multiply, .and, .or, .xor, .shiftLeft, .shiftRight,
      .shiftRightSigned, .addImmediate, .multiplyImmediate, .andImmediate, .orImmediate,
      .xorImmediate, .reverseSubtractImmediate, .shiftLeftImmediate, .shiftRightImmediate,
      .shiftRightSignedImmediate, .divideImmediate, .moduloImmediate, .shiftLeftOr, .signExtend,
      .minimumUnsigned, .clampSigned:
      arithmetic(instruction, &run)
    case .choose:
      guard let chosen = run.mask(instruction.c) else { return other(instruction, &run) }
      step(
        Instruction(
          .move, d: Int(instruction.d), a: Int(chosen ? instruction.a : instruction.b)), &run)
    case .chooseImmediate:
      guard let chosen = run.mask(instruction.a) else { return other(instruction, &run) }
      setLane(instruction, chosen ? instruction.immediate : instruction.mask, &run)
    case .equal, .less, .lessSigned, .equalImmediate, .lessImmediate, .lessSignedImmediate:
      comparison(instruction, &run)
    case .setMask: setMask(instruction, instruction.immediate & 1 == 1, &run)
    case .moveMask, .andMask, .orMask, .xorMask, .andNotMask: logic(instruction, &run)
    case .storeField:
      guard let value = run.lane(instruction.a) else { return other(instruction, &run) }
      run.keep(
        Instruction(
          .storeFieldImmediate, d: Int(instruction.d), shift: Int(instruction.shift),
          immediate: value & instruction.mask, mask: instruction.mask))
    case .setValid:
      if run.mask(instruction.a) == true { return }
      run.keep(instruction)
      run.state.masks[Int(instruction.a)] = true
      forgetVariable(Int(instruction.a), &run)
    case .setInvalid:
      if run.mask(instruction.a) == false { return }
      run.keep(instruction)
      run.state.masks[Int(instruction.a)] = false
    case .copyHeader: copyHeader(instruction, &run)
    case .pushStack, .popStack: shiftStack(instruction, &run)
    case .extract, .extractVariable:
      run.keep(instruction)
      run.state.masks[Int(instruction.a)] = true
      if instruction.opcode == .extractVariable { forgetVariable(Int(instruction.a), &run) }
    case .failUnless: failUnless(instruction, &run)
    case .failUnlessLane:
      guard let error = run.lane(instruction.b) else { return failUnless(instruction, &run) }
      var simpler = instruction
      simpler.opcode = .failUnless
      simpler.b = 0
      simpler.immediate = error
      failUnless(simpler, &run)
    case .count:
      guard let index = run.lane(instruction.a) else { return other(instruction, &run) }
      run.keep(
        Instruction(.countImmediate, b: Int(instruction.b), immediate: index))
    case .assert:
      if run.mask(instruction.a) != true { run.keep(instruction) }
    case .hash:
      var simpler = instruction
      if run.isRewriting, let index = specialised(Int(instruction.c), run.state) {
        simpler.c = UInt32(index)
      }
      other(simpler, &run)
    default: other(instruction, &run)
    }
  }

  private func other(_ instruction: Instruction, _ run: inout KnownRun) {
    run.keep(instruction)
    visitRegisters(instruction, read: { _ in }) { register in
      if register < laneCount {
        run.state.lanes[register] = nil
      } else if register < laneCount + maskCount {
        run.state.masks[register - laneCount] = nil
      }
    }
  }

  private func forgetVariable(_ header: Int, _ run: inout KnownRun) {
    let lane = code.headers[header].lengthLane
    if lane != Instruction.none { run.state.lanes[Int(lane)] = nil }
  }

  // MARK: Lanes

  private func setLane(
    _ instruction: Instruction, _ value: UInt64, _ run: inout KnownRun
  ) {
    let lane = Int(instruction.d)
    // What holds the value already needs no writing.
    if run.state.lanes[lane] != value {
      run.keep(Instruction(.loadImmediate, d: lane, immediate: value))
    }
    run.state.lanes[lane] = value
  }

  private func arithmetic(_ instruction: Instruction, _ run: inout KnownRun) {
    let a = run.lane(instruction.a)
    let isPair = instruction.opcode.roles.b == .laneRead
    let b = isPair ? run.lane(instruction.b) : nil
    if let a, !isPair || b != nil {
      return setLane(instruction, compute(instruction, a, b ?? 0), &run)
    }
    var simpler = instruction
    if isPair, a != nil || b != nil, let found = withImmediate(instruction, a, b) {
      simpler = found
    }
    if let value = absorbed(simpler) { return setLane(simpler, value, &run) }
    if changesNothing(simpler) {
      simpler = Instruction(
        .move, d: Int(simpler.d), a: Int(simpler.a), mask: simpler.mask)
    }
    other(simpler, &run)
  }

  /// A result that does not depend on the lane.
  private func absorbed(_ instruction: Instruction) -> UInt64? {
    if instruction.opcode.cutsResult, instruction.mask == 0 { return 0 }
    switch instruction.opcode {
    case .andImmediate, .multiplyImmediate: return instruction.immediate == 0 ? 0 : nil
    case .orImmediate:
      return instruction.immediate == ~0 ? instruction.mask : nil
    default: return nil
    }
  }

  private func changesNothing(_ instruction: Instruction) -> Bool {
    switch instruction.opcode {
    case .addImmediate, .orImmediate, .xorImmediate: instruction.immediate == 0
    case .multiplyImmediate, .divideImmediate: instruction.immediate == 1
    case .andImmediate: instruction.immediate & instruction.mask == instruction.mask
    case .shiftLeftImmediate, .shiftRightImmediate, .shiftRightSignedImmediate:
      instruction.shift == 0
    default: false
    }
  }

  /// One of two lanes is known.
  private func withImmediate(
    _ instruction: Instruction, _ a: UInt64?, _ b: UInt64?
  ) -> Instruction? {
    var result = instruction
    func immediate(_ opcode: Opcode, _ lane: UInt32, _ value: UInt64) -> Instruction {
      result.opcode = opcode
      result.a = lane
      result.b = 0
      result.immediate = value
      return result
    }
    let known = a ?? b ?? 0
    let lane = a == nil ? instruction.a : instruction.b
    switch instruction.opcode {
    case .add: return immediate(.addImmediate, lane, known)
    case .multiply: return immediate(.multiplyImmediate, lane, known)
    case .and: return immediate(.andImmediate, lane, known)
    case .or: return immediate(.orImmediate, lane, known)
    case .xor: return immediate(.xorImmediate, lane, known)
    case .subtract:
      return a == nil
        ? immediate(.addImmediate, lane, 0 &- known)
        : immediate(.reverseSubtractImmediate, lane, known)
    case .shiftLeft, .shiftRight, .shiftRightSigned:
      guard a == nil else { return nil }
      guard known < 64 || instruction.opcode == .shiftRightSigned else {
        return Instruction(.loadImmediate, d: Int(instruction.d))
      }
      result = immediate(
        instruction.opcode == .shiftLeft
          ? .shiftLeftImmediate
          : instruction.opcode == .shiftRight ? .shiftRightImmediate : .shiftRightSignedImmediate,
        lane, 0)
      result.shift = UInt8(min(known, 63))
      return result
    case .shiftLeftOr:
      if a == nil { return nil }
      return immediate(.orImmediate, lane, known << UInt64(instruction.shift))
    default: return nil
    }
  }

  private func compute(_ instruction: Instruction, _ a: UInt64, _ b: UInt64) -> UInt64 {
    let shift = UInt64(instruction.shift)
    let value = instruction.immediate
    let result: UInt64 =
      switch instruction.opcode {
      case .move: a
      case .add: a &+ b
      case .subtract: a &- b
      case .multiply: a &* b
      case .and: a & b
      case .or: a | b
      case .xor: a ^ b
      case .shiftLeft: b < 64 ? a << b : 0
      case .shiftRight: b < 64 ? a >> b : 0
      case .shiftRightSigned: UInt64(bitPattern: Int64(bitPattern: a) >> Int64(min(b, 63)))
      case .addImmediate: a &+ value
      case .multiplyImmediate: a &* value
      case .andImmediate: a & value
      case .orImmediate: a | value
      case .xorImmediate: a ^ value
      case .reverseSubtractImmediate: value &- a
      case .shiftLeftImmediate: a << shift
      case .shiftRightImmediate: a >> shift
      case .shiftRightSignedImmediate: UInt64(bitPattern: Int64(bitPattern: a) >> Int64(shift))
      case .divideImmediate: a / value
      case .moduloImmediate: a % value
      case .shiftLeftOr: a << shift | b
      case .signExtend:
        UInt64(
          bitPattern: Int64(bitPattern: a << UInt64(64 - instruction.size))
            >> Int64(64 - instruction.size))
      case .minimumUnsigned: min(a, value)
      case .clampSigned:
        UInt64(
          bitPattern: min(
            max(Int64(bitPattern: a), Int64(bitPattern: value)),
            Int64(bitPattern: instruction.mask)))
      default: 0
      }
    return instruction.opcode.cutsResult ? result & instruction.mask : result
  }

  // MARK: Masks

  private func setMask(
    _ instruction: Instruction, _ value: Bool, _ run: inout KnownRun
  ) {
    let mask = Int(instruction.d)
    if run.state.masks[mask] != value {
      run.keep(Instruction(.setMask, d: mask, immediate: value ? 1 : 0))
    }
    run.state.masks[mask] = value
  }

  private func comparison(_ instruction: Instruction, _ run: inout KnownRun) {
    let a = run.lane(instruction.a)
    let isPair = instruction.opcode.roles.b == .laneRead
    let b = isPair ? run.lane(instruction.b) : instruction.immediate
    if let a, let b {
      let isTrue: Bool =
        switch instruction.opcode {
        case .equal: a == b
        case .equalImmediate: a & instruction.mask == b
        case .less, .lessImmediate: a < b
        default: Int64(bitPattern: a) < Int64(bitPattern: b)
        }
      return setMask(instruction, isTrue != (instruction.size == 1), &run)
    }
    guard isPair, a != nil || b != nil else { return other(instruction, &run) }
    var simpler = instruction
    simpler.b = 0
    switch instruction.opcode {
    case .equal:
      simpler.opcode = .equalImmediate
      simpler.a = a == nil ? instruction.a : instruction.b
      simpler.immediate = a ?? b ?? 0
    case .less where b != nil:
      simpler.opcode = .lessImmediate
      simpler.immediate = b ?? 0
    case .lessSigned where b != nil:
      simpler.opcode = .lessSignedImmediate
      simpler.immediate = b ?? 0
    default: simpler = instruction
    }
    other(simpler, &run)
  }

  private func logic(_ instruction: Instruction, _ run: inout KnownRun) {
    let a = run.mask(instruction.a)
    let b = instruction.opcode == .moveMask ? nil : run.mask(instruction.b)
    func move(_ source: UInt32, isInverted: Bool) {
      if source == instruction.d, !isInverted { return }
      other(
        Instruction(
          .moveMask, d: Int(instruction.d), a: Int(source), size: isInverted ? 1 : 0), &run)
    }
    switch (instruction.opcode, a, b) {
    case (.moveMask, let a?, _): setMask(instruction, a != (instruction.size == 1), &run)
    case (.andMask, false?, _), (.andMask, _, false?): setMask(instruction, false, &run)
    case (.andMask, true?, true?): setMask(instruction, true, &run)
    case (.andMask, true?, nil): move(instruction.b, isInverted: false)
    case (.andMask, nil, true?): move(instruction.a, isInverted: false)
    case (.orMask, true?, _), (.orMask, _, true?): setMask(instruction, true, &run)
    case (.orMask, false?, false?): setMask(instruction, false, &run)
    case (.orMask, false?, nil): move(instruction.b, isInverted: false)
    case (.orMask, nil, false?): move(instruction.a, isInverted: false)
    case (.xorMask, let a?, let b?): setMask(instruction, a != b, &run)
    case (.xorMask, let a?, nil): move(instruction.b, isInverted: a)
    case (.xorMask, nil, let b?): move(instruction.a, isInverted: b)
    case (.andNotMask, false?, _), (.andNotMask, _, true?): setMask(instruction, false, &run)
    case (.andNotMask, true?, false?): setMask(instruction, true, &run)
    case (.andNotMask, true?, nil): move(instruction.b, isInverted: true)
    case (.andNotMask, nil, false?): move(instruction.a, isInverted: false)
    default: other(instruction, &run)
    }
  }

  // MARK: Headers and errors

  private func copyHeader(_ instruction: Instruction, _ run: inout KnownRun) {
    let source = run.mask(instruction.a)
    if source == false {
      return setMask(Instruction(.setMask, d: Int(instruction.d)), false, &run)
    }
    run.keep(instruction)
    run.state.masks[Int(instruction.d)] = source
    forgetVariable(Int(instruction.d), &run)
  }

  private func shiftStack(_ instruction: Instruction, _ run: inout KnownRun) {
    run.keep(instruction)
    let stack = code.stacks[Int(instruction.a)]
    let members = Int(stack.members)
    let count = Int(stack.count)
    let distance = Int(instruction.b)
    let before = run.state.masks
    let isPush = instruction.opcode == .pushStack
    for index in 0..<count {
      let source = isPush ? index - distance : index + distance
      for member in 0..<members {
        let header = Int(stack.headers[index * members + member])
        run.state.masks[header] =
          (0..<count).contains(source)
          ? before[Int(stack.headers[source * members + member])] : false
        forgetVariable(header, &run)
      }
    }
    let next = Int(stack.nextLane)
    if let known = run.state.lanes[next] {
      run.state.lanes[next] =
        isPush
        ? min(UInt64(count), known + UInt64(distance)) : known - min(known, UInt64(distance))
    }
  }

  private func failUnless(_ instruction: Instruction, _ run: inout KnownRun) {
    switch run.mask(instruction.a) {
    case true?: return
    case false?:
      run.keep(instruction)
      run.isOver = true
    case nil:
      run.keep(instruction)
      run.state.masks[Int(instruction.a)] = true
    }
  }
}
