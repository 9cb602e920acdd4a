import DPUCore

// The parser. A state is lowered once for each position in the packet (and each filling of stacks)
// in which it is reached, so that positions are constants, elements of stacks are known and short
// loops are unrolled: a chain of masked compares and copies instead of an interpreter of states.
// Where a state would need too many copies, one general copy takes the position from the cursor
// lane.

extension Compilation {
  /// A state as it is reached, and its block.
  struct StateCopy {
    var state: Int
    var context: ParserContext
    var block: Int
  }

  /// Copies of states made so far and those still to be lowered.
  struct StateCopies {
    var all: [StateCopy] = []
    var lowered = 0
    /// Blocks that end parsing, by their constant position.
    var accepts: [(cursor: Int, block: Int)] = []
  }

  func lowerParser() throws(CompileError) {
    section = .parser
    let entry = newBlock()
    entries[SectionKind.parser.rawValue] = entry
    current = entry
    mark = PipelineCode.Mark()
    parser.cursor = 0
    parser.next = [Int?](repeating: 0, count: code.stacks.count)
    var copies = StateCopies()
    if program.states.isEmpty {
      accept(&copies)
    } else {
      leave(to: .state(program.startState), &copies)
    }
    while copies.lowered < copies.all.count {
      let copy = copies.all[copies.lowered]
      copies.lowered += 1
      current = copy.block
      parser = copy.context
      try lower(state: copy.state, &copies)
      try checkSize()
    }
    parser = ParserContext()
    parser.next = [Int?](repeating: nil, count: code.stacks.count)
  }

  /// Ends the current block with a jump to the block of a state, in the context that holds now.
  func leave(to successor: P4Program.Successor, _ copies: inout StateCopies) {
    guard case .state(let state) = successor else { return accept(&copies) }
    settleCursor()
    if let block = block(of: state, parser, copies) { return jump(to: block) }
    var context = parser
    let count = copies.all.count { $0.state == state }
    if count >= CodeLimits.copiesPerState || copies.all.count >= CodeLimits.stateCopies {
      // The general copy: everything is in the lanes.
      if let cursor = context.cursor {
        emit(Instruction(.loadImmediate, d: cursorLane, immediate: UInt64(cursor)))
        context.cursor = nil
      }
      context.next = [Int?](repeating: nil, count: code.stacks.count)
      if let block = block(of: state, context, copies) { return jump(to: block) }
    }
    let block = newBlock()
    copies.all.append(StateCopy(state: state, context: context, block: block))
    jump(to: block)
  }

  private func block(
    of state: Int, _ context: ParserContext, _ copies: StateCopies
  ) -> Int? {
    for copy in copies.all where copy.state == state && copy.context == context {
      return copy.block
    }
    return nil
  }

  /// Brings the cursor lane up when the position is counted from it.
  func settleCursor() {
    guard parser.cursor == nil, parser.ahead > 0 else { return }
    emit(
      Instruction(
        .addImmediate, d: cursorLane, a: cursorLane, immediate: UInt64(parser.ahead)))
    parser.ahead = 0
  }

  private func accept(_ copies: inout StateCopies) {
    settleCursor()
    let position = parser.cursor ?? -1
    for known in copies.accepts where known.cursor == position { return jump(to: known.block) }
    let block = newBlock()
    copies.accepts.append((position, block))
    jump(to: block)
    let before = current
    let mark = mark
    current = block
    self.mark = PipelineCode.Mark()
    if let cursor = parser.cursor {
      emit(Instruction(.loadImmediate, d: cursorLane, immediate: UInt64(cursor)))
    }
    finishBlock()
    current = before
    self.mark = mark
  }

  /// A parser instruction at the position of `context`.
  func at(_ context: ParserContext, _ instruction: Instruction) -> Instruction {
    var result = instruction
    result.c = context.cursor == nil ? UInt32(cursorLane) : Instruction.none
    result.e = UInt32(context.cursor ?? context.ahead)
    return result
  }

  private func move(by bytes: Int) {
    if let cursor = parser.cursor {
      parser.cursor = cursor + bytes
    } else {
      parser.ahead += bytes
    }
  }

  // MARK: States

  private func lower(state index: Int, _ copies: inout StateCopies) throws(CompileError) {
    mark = PipelineCode.Mark()
    mark.place = .state
    mark.index = UInt32(index)
    let state = program.states[index]
    for (number, operation) in state.operations.enumerated() {
      mark.statement = UInt32(number)
      try checkSize()
      // Beyond an error nothing runs.
      guard try lower(operation) else { return finishBlock() }
    }
    mark.statement = UInt32(state.operations.count)
    try lowerTransitions(of: state, &copies)
  }

  /// False: parsing ends here for everybody.
  private func lower(_ operation: P4Program.ParserOperation) throws(CompileError) -> Bool {
    switch operation {
    case .extract(let reference): return try extract(reference)
    case .extractVariable(let reference, let bits):
      return try extract(reference, variable: bits)
    case .set(let destination, let expression): try assign(destination, expression)
    case .verify(let test, let error): return try verify(test, error)
    case .advance(let bits): return try advance(bits)
    case .shift(let bytes): advance(bytes: bytes)
    case .primitive(let primitive): try lower(primitive)
    }
    return true
  }

  private func extract(
    _ reference: P4Program.HeaderReference, variable: P4Program.Expression? = nil
  ) throws(CompileError) -> Bool {
    let stack: Int? =
      switch reference {
      case .stackNext(let stack): stack
      case .unionStackNext(let stack, _): stackCode(union: stack)
      default: nil
      }
    switch try target(reference) {
    case .outside:
      fail(with: ParserError.stackOutOfBounds)
      return false
    case .header(let header):
      try extract(header: header, variable: variable)
      if let stack, let next = parser.next[stack] {
        parser.next[stack] = next + 1
        emit(
          Instruction(
            .loadImmediate, d: Int(code.stacks[stack].nextLane), immediate: UInt64(next + 1)))
      }
    case .element(let headers, let index):
      guard let stack else { throw failure("an extract to an element found at run time") }
      try extractNext(stack, headers, index, variable: variable)
    }
    return true
  }

  private func extract(
    header: Int, variable: P4Program.Expression?
  ) throws(CompileError) {
    if let variable {
      let bits = lane(try low(variable))
      emit(at(parser, Instruction(.extractVariable, a: header, b: bits)))
      invalidateOthers(than: header)
      let bytes = newLane()
      emit(Instruction(.headerLength, d: bytes, a: header))
      if let cursor = parser.cursor {
        emit(
          Instruction(.addImmediate, d: cursorLane, a: bytes, immediate: UInt64(cursor)))
      } else {
        settleCursor()
        emit(Instruction(.add, d: cursorLane, a: cursorLane, b: bytes))
      }
      parser.cursor = nil
      parser.ahead = 0
      return
    }
    guard code.headers[header].variableBits == 0 else {
      throw failure("an extract of a header with a varbit without its length")
    }
    emit(at(parser, Instruction(.extract, a: header)))
    invalidateOthers(than: header)
    move(by: Int(code.headers[header].bytes))
  }

  /// An extract to `next` where the parser's history does not say which element that is.
  private func extractNext(
    _ stack: Int, _ headers: [Int], _ index: Int, variable: P4Program.Expression?
  ) throws(CompileError) {
    let next = Int(code.stacks[stack].nextLane)
    if code.stacks[stack].members == 1, variable == nil {
      emit(at(parser, Instruction(.extractNext, a: stack)))
      move(by: Int(code.headers[headers[0]].bytes))
      return
    }
    let isFree = newMask()
    emit(
      Instruction(.lessImmediate, d: isFree, a: next, immediate: UInt64(headers.count)))
    emit(
      at(
        parser, Instruction(.failUnless, a: isFree, immediate: ParserError.stackOutOfBounds)))
    let before = parser
    try forEach(headers, index) { (header) throws(CompileError) in
      parser = before
      try extract(header: header, variable: variable)
    }
    emit(Instruction(.addImmediate, d: next, a: next, immediate: 1))
  }

  private func fail(with error: UInt64) {
    let never = newMask()
    emit(Instruction(.setMask, d: never))
    emit(at(parser, Instruction(.failUnless, a: never, immediate: error)))
  }

  private func verify(
    _ test: P4Program.Expression, _ error: P4Program.Expression
  ) throws(CompileError) -> Bool {
    let holds = try condition(test)
    let code = try low(error)
    switch (holds, code) {
    case (.constant(true), _): return true
    case (.constant(false), .constant(let value)):
      fail(with: value)
      return false
    case (.mask(let mask), .constant(let value)):
      emit(at(parser, Instruction(.failUnless, a: mask, immediate: value)))
    case (_, .lane(let lane)):
      let mask = newMask()
      set(mask, holds)
      emit(at(parser, Instruction(.failUnlessLane, a: mask, b: lane)))
    }
    return true
  }

  private func advance(bytes: Int) {
    emit(at(parser, Instruction(.require, immediate: UInt64(bytes))))
    move(by: bytes)
  }

  private func advance(_ bits: P4Program.Expression) throws(CompileError) -> Bool {
    if let value = constant(bits) {
      guard let value = value.exactInt, value >= 0, value % 8 == 0 else {
        fail(with: ParserError.parserInvalidArgument)
        return false
      }
      advance(bytes: value / 8)
      return true
    }
    let distance = lane(try low(bits))
    emit(at(parser, Instruction(.advance, a: distance)))
    parser.cursor = nil
    parser.ahead = 0
    return true
  }
}
