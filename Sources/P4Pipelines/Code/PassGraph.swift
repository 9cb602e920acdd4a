// The shape of the graph: what follows what, and blocks that need not be there.

extension Compilation {
  /// Blocks that a block leads to, in the order of its cases.
  func visitSuccessors(_ index: Int, _ body: (Int) -> Void) {
    guard let last = blocks[index].instructions.last else { return }
    switch last.opcode {
    case .jump: body(Int(last.d))
    case .branch:
      body(Int(last.b))
      body(Int(last.c))
    case .select, .selectField:
      for number in Int(last.b)..<Int(last.b) + Int(last.c) {
        body(Int(selectCases[number].block))
      }
      body(Int(last.d))
    case .apply:
      for block in code.tables[Int(last.a)].actionBlocks { body(Int(block)) }
      body(Int(code.tables[Int(last.a)].noActionBlock))
    default: break
    }
  }

  /// Puts another block in the place of every successor.
  func replaceSuccessors(_ index: Int, _ body: (Int) -> Int) {
    let at = blocks[index].instructions.count - 1
    guard at >= 0 else { return }
    func moved(_ block: UInt32) -> UInt32 { UInt32(body(Int(block))) }
    var last = blocks[index].instructions[at]
    switch last.opcode {
    case .jump: last.d = moved(last.d)
    case .branch:
      last.b = moved(last.b)
      last.c = moved(last.c)
    case .select, .selectField:
      for number in Int(last.b)..<Int(last.b) + Int(last.c) {
        selectCases[number].block = moved(selectCases[number].block)
      }
      last.d = moved(last.d)
    case .apply:
      let table = Int(last.a)
      for number in code.tables[table].actionBlocks.indices {
        code.tables[table].actionBlocks[number] = moved(code.tables[table].actionBlocks[number])
      }
      code.tables[table].noActionBlock = moved(code.tables[table].noActionBlock)
    default: break
    }
    blocks[index].instructions[at] = last
  }

  /// Blocks that can be reached, an entry's before what it leads to wherever there is no loop.
  func reachableOrder() -> [Int] {
    var order: [Int] = []
    var isSeen = BitSet(count: blocks.count)
    for section in SectionKind.allCases.reversed() {
      var postorder: [Int] = []
      // A frame per block: its successors and how many of them have been looked at.
      var stack: [(block: Int, successors: [Int], next: Int)] = []
      func enter(_ block: Int) {
        guard !isSeen.contains(block) else { return }
        isSeen.insert(block)
        var successors: [Int] = []
        visitSuccessors(block) { successors.append($0) }
        stack.append((block, successors.reversed(), 0))
      }
      enter(entries[section.rawValue])
      while let frame = stack.last {
        if frame.next < frame.successors.count {
          stack[stack.count - 1].next += 1
          enter(frame.successors[frame.next])
        } else {
          postorder.append(frame.block)
          stack.removeLast()
        }
      }
      order = postorder.reversed() + order
    }
    return order
  }

  /// Removes what cannot be reached, skips blocks that only jump, joins blocks that always follow
  /// each other.
  func simplifyGraph() {
    for index in blocks.indices { foldControl(index) }
    let order = reachableOrder()
    for block in order { replaceSuccessors(block, afterJumps) }
    for section in entries.indices { entries[section] = afterJumps(entries[section]) }

    var predecessors = [Int](repeating: 0, count: blocks.count)
    let reached = reachableOrder()
    for block in reached { visitSuccessors(block) { predecessors[$0] += 1 } }
    for entry in entries { predecessors[entry] += 2 }
    for block in reached {
      // Blocks that were joined to an earlier one are empty by now.
      while let last = blocks[block].instructions.last, last.opcode == .jump {
        let next = Int(last.d)
        if blocks[next].instructions.count == 1, blocks[next].instructions[0].opcode == .finish {
          blocks[block].instructions[blocks[block].instructions.count - 1] = Instruction(.finish)
          break
        }
        guard predecessors[next] == 1, next != block else { break }
        blocks[block].instructions.removeLast()
        blocks[block].marks.removeLast()
        blocks[block].instructions += blocks[next].instructions
        blocks[block].marks += blocks[next].marks
        blocks[next].instructions = []
        blocks[next].marks = []
      }
    }
    let kept = reachableOrder()
    var isKept = BitSet(count: blocks.count)
    for block in kept { isKept.insert(block) }
    for block in blocks.indices where !isKept.contains(block) {
      blocks[block].instructions = []
      blocks[block].marks = []
    }
  }

  /// Where a jump to a block ends up.
  func afterJumps(_ block: Int) -> Int {
    var at = block
    var steps = 0
    while let first = blocks[at].instructions.first, first.opcode == .jump, steps < blocks.count {
      at = Int(first.d)
      steps += 1
    }
    return at
  }

  /// Control instructions that always go to one block.
  private func foldControl(_ index: Int) {
    guard let last = blocks[index].instructions.last else { return }
    var only: Int?
    switch last.opcode {
    case .branch, .select, .selectField:
      var isSame = true
      visitSuccessors(index) {
        if only == nil { only = $0 }
        isSame = isSame && only == $0
      }
      if !isSame { only = nil }
    default: break
    }
    if let only {
      blocks[index].instructions[blocks[index].instructions.count - 1] = Instruction(
        .jump, d: only)
    }
  }
}
