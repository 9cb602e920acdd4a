import DPUCore

// Where a parser state leads. Keys of up to eight bytes are one number that is compared with the
// cases in order; longer ones are compared part by part.

extension Compilation {
  func lowerTransitions(
    of state: P4Program.ParserState, _ copies: inout StateCopies
  ) throws(CompileError) {
    // Only what stands before the first transition that matches everything can matter.
    var cases: [P4Program.Transition] = []
    var last = P4Program.Successor.accept
    for transition in state.transitions {
      if case .anything = transition.match {
        last = transition.next
        break
      }
      cases.append(transition)
    }
    let bytes = state.key.reduce(0) { $0 + ($1.width + 7) / 8 }
    guard !cases.isEmpty, bytes > 0 else { return leave(to: last, &copies) }
    // Position and stacks are the same for all successors, whatever is computed for the key.
    settleCursor()
    if bytes <= 8 {
      try selectNumber(state, cases, last, bytes: bytes, &copies)
    } else {
      try selectParts(state, cases, last, &copies)
    }
  }

  /// The block that goes on with a successor; the current block stays open.
  private func edge(
    to successor: P4Program.Successor, _ copies: inout StateCopies
  ) -> Int {
    let block = newBlock()
    let before = current
    current = block
    leave(to: successor, &copies)
    current = before
    return block
  }

  // MARK: Short keys

  private func selectNumber(
    _ state: P4Program.ParserState, _ cases: [P4Program.Transition],
    _ last: P4Program.Successor, bytes: Int, _ copies: inout StateCopies
  ) throws(CompileError) {
    let key = lane(try keyNumber(state.key))
    var index = 0
    while index < cases.count {
      if case .valueSet(let set) = cases[index].match {
        let found = try matchValueSet(set, state.key)
        let next = newBlock()
        branch(.mask(found), then: edge(to: cases[index].next, &copies), otherwise: next)
        current = next
        index += 1
        continue
      }
      var run: [PipelineCode.SelectCase] = []
      while index < cases.count, case .value(let value, let mask) = cases[index].match {
        let kept = mask.map { number($0) } ?? Self.ones(bytes * 8)
        run.append(
          PipelineCode.SelectCase(
            value: number(value) & kept, mask: kept,
            block: edge(to: cases[index].next, &copies)))
        index += 1
      }
      let next = index < cases.count ? newBlock() : edge(to: last, &copies)
      let first = selectCases.count
      selectCases += run
      emit(Instruction(.select, d: next, a: key, b: first, c: run.count))
      current = next
    }
    if case .valueSet = cases[cases.count - 1].match { leave(to: last, &copies) }
  }

  private func number(_ bytes: [UInt8]) -> UInt64 {
    bytes.reduce(0) { $0 << 8 | UInt64($1) }
  }

  private func keyNumber(_ parts: [P4Program.KeyPart]) throws(CompileError) -> Number {
    var key: Number?
    for part in parts {
      let value = try cut(part.value, to: part.width)
      if let before = key {
        let shift = (part.width + 7) / 8 * 8
        let joined = newLane()
        emit(
          Instruction(.shiftLeftOr, d: joined, a: lane(before), b: lane(value), shift: shift))
        key = .lane(joined)
      } else {
        key = value
      }
    }
    return key ?? .constant(0)
  }

  private func matchValueSet(
    _ set: Int, _ parts: [P4Program.KeyPart]
  ) throws(CompileError) -> Int {
    var plan = PipelineCode.GatherPlan()
    for part in parts {
      try append(
        part.value, bits: (part.width + 7) / 8 * 8, width: part.width, hasCode: true,
        to: &plan)
    }
    close(&plan)
    code.plans.append(plan)
    let found = newMask()
    emit(Instruction(.matchValueSet, d: found, a: set, b: code.plans.count - 1))
    return found
  }

  // MARK: Long keys

  /// A piece of the key of at most 64 bits, in a lane.
  private struct Piece {
    var value: Number
    var bytes: Int
  }

  private func selectParts(
    _ state: P4Program.ParserState, _ cases: [P4Program.Transition],
    _ last: P4Program.Successor, _ copies: inout StateCopies
  ) throws(CompileError) {
    var pieces: [Piece] = []
    for part in state.key { pieces += try self.pieces(of: part) }
    for transition in cases {
      let matches: Condition
      switch transition.match {
      case .anything: continue
      case .valueSet(let set): matches = .mask(try matchValueSet(set, state.key))
      case .value(let value, let mask): matches = match(pieces, value, mask)
      }
      let next = newBlock()
      branch(matches, then: edge(to: transition.next, &copies), otherwise: next)
      current = next
    }
    leave(to: last, &copies)
  }

  private func pieces(of part: P4Program.KeyPart) throws(CompileError) -> [Piece] {
    let bytes = (part.width + 7) / 8
    if part.width <= 64 {
      return [Piece(value: try cut(part.value, to: part.width), bytes: bytes)]
    }
    // From the highest bits down; the first piece takes what is over eight bytes.
    var pieces: [Piece] = []
    var left = part.width
    while left > 0 {
      let count = left % 64 == 0 ? 64 : left % 64
      let shift = WideInteger(left - count)
      pieces.append(
        Piece(
          value: try cut(
            .binary(.shiftRight, part.value, .constant(shift)), to: count),
          bytes: (count + 7) / 8))
      left -= count
    }
    return pieces
  }

  private func match(_ pieces: [Piece], _ value: [UInt8], _ mask: [UInt8]?) -> Condition {
    var all = Condition.constant(true)
    var at = 0
    for piece in pieces {
      let range = at..<at + piece.bytes
      at += piece.bytes
      let kept = mask.map { number([UInt8]($0[range])) } ?? Self.ones(piece.bytes * 8)
      let wanted = number([UInt8](value[range])) & kept
      guard kept != 0 else { continue }
      switch piece.value {
      case .constant(let value): all = and(all, .constant(value & kept == wanted))
      case .lane(let lane):
        let mask = newMask()
        emit(
          Instruction(.equalImmediate, d: mask, a: lane, immediate: wanted, mask: kept))
        all = and(all, .mask(mask))
      }
    }
    return all
  }
}
