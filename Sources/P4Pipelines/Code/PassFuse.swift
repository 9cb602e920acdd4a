// Two or three instructions of which the first only feeds the next become one: a load and a
// comparison, a load, an addition and a store, a parameter and a store.

extension Compilation {
  /// Readers of each register, descriptors included.
  private func useCounts() -> [Int] {
    var counts = [Int](repeating: 0, count: registerCount)
    for block in reachableOrder() {
      for instruction in blocks[block].instructions {
        visitRegisters(instruction, read: { counts[$0] += 1 }, write: { _ in })
      }
    }
    return counts
  }

  func fuse() {
    let counts = useCounts()
    for block in reachableOrder() { fuse(block, counts) }
  }

  private func fuse(_ block: Int, _ counts: [Int]) {
    var instructions = blocks[block].instructions
    var isGone = [Bool](repeating: false, count: instructions.count)

    /// The maker of a temporary that nobody else reads, as good at `index` as where it stands.
    func maker(_ register: Int, before index: Int) -> Int? {
      let isState =
        register < laneCount ? register < stateLanes : register - laneCount < stateMasks
      guard !isState, counts[register] == 1 else { return nil }
      var at = index - 1
      var writes: [Int] = []
      var bits: [Range<Int>] = []
      while at >= 0 {
        if !isGone[at] {
          var isMaker = false
          visitRegisters(instructions[at], read: { _ in }) {
            if $0 == register { isMaker = true }
          }
          if isMaker { break }
          visitRegisters(instructions[at], read: { _ in }) { writes.append($0) }
          if let written = writtenBits(instructions[at]) { bits.append(written) }
          if instructions[at].opcode.canFail { return nil }
        }
        at -= 1
      }
      guard at >= 0, instructions[at].opcode.isPure else { return nil }
      var isStale = false
      visitRegisters(
        instructions[at], read: { if writes.contains($0) { isStale = true } }, write: { _ in })
      if let read = readBits(instructions[at]) {
        isStale = isStale || bits.contains { $0.overlaps(read) }
      }
      return isStale ? nil : at
    }
    func lane(_ value: UInt32, before index: Int) -> Int? {
      value == Instruction.none ? nil : maker(register(lane: Int(value)), before: index)
    }
    func mask(_ value: UInt32, before index: Int) -> Int? {
      maker(register(mask: Int(value)), before: index)
    }

    for index in instructions.indices {
      let instruction = instructions[index]
      switch instruction.opcode {
      case .equalImmediate, .lessImmediate:
        if let shifted = shiftedTest(instruction, lane(instruction.a, before: index), instructions)
        {
          instructions[index] = shifted.instruction
          isGone[shifted.maker] = true
          continue
        }
        guard let at = lane(instruction.a, before: index),
          instructions[at].opcode == .loadField
        else { continue }
        var fused = instruction
        fused.opcode = instruction.opcode == .equalImmediate ? .equalField : .lessField
        fused.a = instructions[at].a
        fused.shift = instructions[at].shift
        fused.mask = instructions[at].mask
        if instruction.opcode == .equalImmediate { fused.mask &= instruction.mask }
        instructions[index] = fused
        isGone[at] = true
      case .select:
        guard let at = lane(instruction.a, before: index),
          instructions[at].opcode == .loadField
        else { continue }
        var fused = instruction
        fused.opcode = .selectField
        fused.a = instructions[at].a
        fused.shift = instructions[at].shift
        fused.mask = instructions[at].mask
        instructions[index] = fused
        isGone[at] = true
      case .storeField:
        if let sum = checksumStore(instruction, lane(instruction.a, before: index), instructions) {
          instructions[index] = sum.instruction
          isGone[sum.maker] = true
          continue
        }
        guard let at = lane(instruction.a, before: index) else { continue }
        let made = instructions[at]
        switch made.opcode {
        case .loadParameter where made.mask & instruction.mask == instruction.mask:
          var fused = instruction
          fused.opcode = .storeParameter
          fused.a = made.a
          fused.b = made.b
          fused.c = made.c
          instructions[index] = fused
          isGone[at] = true
        case .loadField:
          guard let copy = byteCopy(from: made, to: instruction) else { continue }
          instructions[index] = copy
          isGone[at] = true
        case .addImmediate where made.mask & instruction.mask == instruction.mask:
          guard let load = lane(made.a, before: at), instructions[load].opcode == .loadField,
            instructions[load].a == instruction.d, instructions[load].shift == instruction.shift,
            instructions[load].mask == instruction.mask,
            !isWritten(instructions[load], between: load, and: index, instructions, isGone)
          else { continue }
          instructions[index] = Instruction(
            .addField, d: Int(instruction.d), shift: Int(instruction.shift),
            immediate: made.immediate & instruction.mask, mask: instruction.mask)
          isGone[at] = true
          isGone[load] = true
        default: continue
        }
      case .or:
        for (one, other) in [(instruction.a, instruction.b), (instruction.b, instruction.a)] {
          guard let at = lane(one, before: index),
            instructions[at].opcode == .shiftLeftImmediate, instructions[at].mask == ~0
          else { continue }
          var fused = instruction
          fused.opcode = .shiftLeftOr
          fused.a = instructions[at].a
          fused.b = other
          fused.shift = instructions[at].shift
          instructions[index] = fused
          isGone[at] = true
          break
        }
      case .move:
        guard let at = lane(instruction.a, before: index), instructions[at].opcode.cutsResult,
          instructions[at].opcode.roles.d == .laneWrite
        else { continue }
        var fused = instructions[at]
        fused.d = instruction.d
        fused.mask &= instruction.mask
        instructions[index] = fused
        isGone[at] = true
      case .moveMask:
        guard let at = mask(instruction.a, before: index), instructions[at].opcode.canInvert
        else { continue }
        var fused = instructions[at]
        fused.d = instruction.d
        fused.size ^= instruction.size
        instructions[index] = fused
        isGone[at] = true
      case .andMask:
        for (one, other) in [(instruction.b, instruction.a), (instruction.a, instruction.b)] {
          guard let at = mask(one, before: index), instructions[at].opcode == .moveMask,
            instructions[at].size == 1
          else { continue }
          instructions[index] = Instruction(
            .andNotMask, d: Int(instruction.d), a: Int(other), b: Int(instructions[at].a))
          isGone[at] = true
          break
        }
      case .branch:
        guard let at = mask(instruction.a, before: index), instructions[at].opcode == .moveMask
        else { continue }
        var fused = instruction
        fused.a = instructions[at].a
        if instructions[at].size == 1 {
          fused.b = instruction.c
          fused.c = instruction.b
        }
        instructions[index] = fused
        isGone[at] = true
      default: continue
      }
    }
    guard isGone.contains(true) else { return }
    var kept: [Instruction] = []
    var marks: [PipelineCode.Mark] = []
    for index in instructions.indices where !isGone[index] {
      kept.append(instructions[index])
      marks.append(blocks[block].marks[index])
    }
    blocks[block].instructions = kept
    blocks[block].marks = marks
  }

  /// Bits of a shifted lane, tested where they are.
  private func shiftedTest(
    _ test: Instruction, _ maker: Int?, _ instructions: [Instruction]
  ) -> (instruction: Instruction, maker: Int)? {
    guard test.opcode == .equalImmediate, let maker,
      instructions[maker].opcode == .shiftRightImmediate
    else { return nil }
    let shift = UInt64(instructions[maker].shift)
    // What the shift brings in from above is zero, so that no bit of the test may ask for it.
    let tested = test.mask & instructions[maker].mask & (~0 >> shift)
    guard test.immediate & ~tested == 0 else { return nil }
    var result = test
    result.a = instructions[maker].a
    result.mask = tested << shift
    result.immediate = test.immediate << shift
    return (result, maker)
  }

  /// The sum of header bytes, put where it belongs.
  private func checksumStore(
    _ store: Instruction, _ maker: Int?, _ instructions: [Instruction]
  ) -> (instruction: Instruction, maker: Int)? {
    guard let maker, instructions[maker].opcode == .checksumBytes, store.mask == 0xffff,
      store.shift % 8 == 0
    else { return nil }
    var sum = instructions[maker]
    sum.opcode = .updateChecksumBytes
    sum.d = store.d + 6 - UInt32(store.shift) / 8
    return (sum, maker)
  }

  private func isWritten(
    _ load: Instruction, between first: Int, and last: Int, _ instructions: [Instruction],
    _ isGone: [Bool]
  ) -> Bool {
    guard let read = readBits(load) else { return true }
    for index in first + 1..<last where !isGone[index] {
      if let written = writtenBits(instructions[index]), written.overlaps(read) { return true }
    }
    return false
  }

  /// A load and a store of the same number of whole bytes.
  private func byteCopy(from load: Instruction, to store: Instruction) -> Instruction? {
    let bits = 64 - store.mask.leadingZeroBitCount
    guard load.mask & store.mask == store.mask, store.mask == Self.ones(bits), bits % 8 == 0,
      load.shift % 8 == 0, store.shift % 8 == 0
    else { return nil }
    let from = Int(load.a) + 8 - Int(load.shift) / 8 - bits / 8
    let to = Int(store.d) + 8 - Int(store.shift) / 8 - bits / 8
    return Instruction(.copyBytes, d: to, a: from, b: bits / 8)
  }
}

extension Opcode {
  /// `size` 1 turns its mask round.
  fileprivate var canInvert: Bool {
    switch self {
    case .equal, .less, .lessSigned, .equalImmediate, .lessImmediate, .lessSignedImmediate,
      .equalField, .lessField, .wideEqual, .wideLess, .headersEqual, .variableEqual,
      .moveMask:
      true
    default: false
    }
  }
}
