import DPUCore

// Controls: conditionals become masks and branches, tables an `apply` that leads to a block per
// action, and tables without keys whose action is known nothing but that action's statements.

extension Compilation {
  /// Blocks of the nodes of a control, made when first named and lowered later.
  struct NodeBlocks {
    var tables: [Int?]
    var conditionals: [Int?]
    var calls: [Int?]
    var end: Int
    var waiting: [P4Program.Node] = []
  }

  func lowerControl(isIngress: Bool) throws(CompileError) {
    section = isIngress ? .ingress : .egress
    let control = isIngress ? program.ingress : program.egress
    mark = PipelineCode.Mark()
    mark.isIngress = isIngress
    if isIngress {
      code.tables = [PipelineCode.TableCode](
        repeating: PipelineCode.TableCode(), count: program.tables.count)
      for index in program.tables.indices { try describe(table: index) }
    }
    let end = newBlock()
    current = end
    finishBlock()
    var nodes = NodeBlocks(
      tables: [Int?](repeating: nil, count: program.tables.count),
      conditionals: [Int?](repeating: nil, count: control.conditionals.count),
      calls: [Int?](repeating: nil, count: control.calls.count), end: end)
    entries[section.rawValue] = block(of: control.first, &nodes)
    while let node = nodes.waiting.popLast() {
      current = block(of: node, &nodes)
      mark = PipelineCode.Mark()
      mark.isIngress = isIngress
      switch node {
      case .table(let index): try lower(table: index, &nodes)
      case .conditional(let index):
        mark.place = .conditional
        mark.index = UInt32(index)
        let conditional = control.conditionals[index]
        let whenTrue = block(of: conditional.whenTrue, &nodes)
        let whenFalse = block(of: conditional.whenFalse, &nodes)
        try branch(conditional.condition, then: whenTrue, otherwise: whenFalse)
      case .call(let index):
        let call = control.calls[index]
        try lower(
          action: call.action, .constants([]),
          then: block(of: call.next, &nodes), end: nodes.end)
      case .end: continue
      }
      try checkSize()
    }
  }

  private func block(of node: P4Program.Node, _ nodes: inout NodeBlocks) -> Int {
    let known: Int? =
      switch node {
      case .end: nodes.end
      case .table(let index): nodes.tables[index]
      case .conditional(let index): nodes.conditionals[index]
      case .call(let index): nodes.calls[index]
      }
    if let known { return known }
    let block = newBlock()
    switch node {
    case .table(let index): nodes.tables[index] = block
    case .conditional(let index): nodes.conditionals[index] = block
    case .call(let index): nodes.calls[index] = block
    case .end: break
    }
    nodes.waiting.append(node)
    return block
  }

  // MARK: Tables

  /// What the control plane must know of a table, used or not.
  private func describe(table index: Int) throws(CompileError) {
    let table = program.tables[index]
    var layout = PipelineCode.TableCode()
    var offset = 0
    for key in table.keys {
      layout.keys.append(PipelineCode.KeyCode(kind: key.kind, offset: offset, width: key.width))
      offset += (key.width + 7) / 8
    }
    layout.keyBytes = (offset + 7) / 8 * 8
    layout.storage = table.storage
    layout.actionIndex = [UInt8](repeating: 255, count: program.actions.count)
    for action in table.actions {
      let words = program.actions[action].parameters.reduce(0) { $0 + max(1, ($1.width + 63) / 64) }
      layout.argumentWords = max(layout.argumentWords, words)
    }
    if let meter = table.directMeter, let result = program.meters[meter].result {
      layout.meterResult = place(of: result)
    }
    switch table.storage {
    case .selector(let profile):
      if let selector = program.profiles[profile].selector {
        layout.selector = try lower(
          selector, function: program.calculations.count + profile)
      }
    case .direct, .profile: break
    }
    layout.isInlined = true
    code.tables[index] = layout
  }

  /// The action that a table without keys always runs, when no control plane can change it.
  private func onlyAction(_ table: P4Program.Table) -> P4Program.ActionEntry? {
    guard table.keys.isEmpty, table.storage == .direct, let entry = table.defaultEntry else {
      return nil
    }
    if table.isDefaultConstant { return entry }
    // The only action there is, and nothing to tell it.
    if table.actions == [entry.action], program.actions[entry.action].parameters.isEmpty {
      return entry
    }
    return nil
  }

  private func lower(table index: Int, _ nodes: inout NodeBlocks) throws(CompileError) {
    let table = program.tables[index]
    if let entry = onlyAction(table) {
      mark.table = UInt32(index + 1)
      return try lower(
        action: entry.action, .constants(entry.arguments),
        then: block(of: next(table, entry.action, isHit: false), &nodes), end: nodes.end)
    }
    mark.place = .table
    mark.index = UInt32(index)
    var layout = code.tables[index]
    layout.isInlined = false
    for key in table.keys {
      try append(
        key.value, bits: (key.width + 7) / 8 * 8, width: key.width, guarded: true,
        hasCode: true, mask: key.mask, to: &layout.key)
    }
    close(&layout.key)
    let record = newLane()
    layout.recordLane = UInt32(record)
    let hit = newMask()
    layout.hitMask = UInt32(hit)
    emit(Instruction(.apply, a: index))

    var actions = table.actions
    if let entry = table.defaultEntry, !actions.contains(entry.action) {
      actions.append(entry.action)
    }
    guard actions.count <= CodeLimits.actionsPerTable else {
      throw failure("\(actions.count) actions, more than \(CodeLimits.actionsPerTable)")
    }
    for action in actions where layout.actionIndex[action] == 255 {
      layout.actionIndex[action] = UInt8(layout.actionBlocks.count)
      let start = newBlock()
      layout.actionBlocks.append(UInt32(start))
      current = start
      let whenHit = block(of: next(table, action, isHit: true), &nodes)
      let whenMissed = block(of: next(table, action, isHit: false), &nodes)
      var after = whenHit
      if whenHit != whenMissed {
        after = newBlock()
        current = after
        branch(.mask(hit), then: whenHit, otherwise: whenMissed)
        current = start
      }
      let before = mark
      mark.table = UInt32(index + 1)
      try lower(
        action: action, argument(of: action, record: record, table: index), then: after,
        end: nodes.end)
      mark = before
    }
    if table.defaultEntry != nil, table.storage == .direct, !layout.actionBlocks.isEmpty {
      // Every record has an action; the way without one would only spoil what is known.
      layout.noActionBlock = layout.actionBlocks[0]
    } else {
      let otherwise = table.nextOnMiss ?? table.nextByDefault
      layout.noActionBlock = UInt32(block(of: otherwise, &nodes))
    }
    code.tables[index] = layout
  }

  private func argument(of action: Int, record lane: Int, table: Int) -> ParameterSource {
    var words: [Int] = []
    var widths: [Int] = []
    var next = 0
    for parameter in program.actions[action].parameters {
      words.append(next)
      widths.append(parameter.width)
      next += max(1, (parameter.width + 63) / 64)
    }
    return .record(lane: lane, table: table, words: words, widths: widths)
  }

  /// Where control goes after an action, as BMv2 decides it: hit and miss have the first word.
  private func next(
    _ table: P4Program.Table, _ action: Int, isHit: Bool
  ) -> P4Program.Node {
    if let node = isHit ? table.nextOnHit : table.nextOnMiss { return node }
    for (index, candidate) in table.actions.enumerated()
    where candidate == action && index < table.nextByAction.count {
      return table.nextByAction[index]
    }
    return table.nextByDefault
  }

  // MARK: Actions

  private func truth(of expression: P4Program.Expression) -> P4Program.Expression {
    if case .unary(.boolToData, let operand) = expression { return operand }
    return isBoolean(expression) ? expression : .unary(.dataToBool, expression)
  }

  /// The statements of an action into the current block and what follows it.
  func lower(
    action index: Int, _ source: ParameterSource, then next: Int, end: Int
  ) throws(CompileError) {
    mark.place = .action
    mark.index = UInt32(index)
    parameters = source
    defer { parameters = .none }
    try lower(program.actions[index].primitives, then: next, end: end)
  }

  /// A list of statements with jumps inside, then a jump to `next`, or to `end` after `exit`,
  /// which lets the rest of the list run.
  func lower(
    _ primitives: [P4Program.Primitive], then next: Int, end: Int
  ) throws(CompileError) {
    var isTarget = [Bool](repeating: false, count: primitives.count + 1)
    var hasJumps = false
    var hasExit = false
    for primitive in primitives {
      switch primitive {
      case .jump(let target), .jumpIfZero(_, let target):
        isTarget[target] = true
        hasJumps = true
      case .exit: hasExit = true
      default: break
      }
    }
    guard hasJumps else {
      for (number, primitive) in primitives.enumerated() {
        mark.statement = UInt32(number)
        try lower(primitive)
        try checkSize()
      }
      return jump(to: hasExit ? end : next)
    }
    let exited = newMask()
    if hasExit { emit(Instruction(.setMask, d: exited)) }
    // Blocks of the statements that are jumped to, and of the end of the list.
    var starts = [Int?](repeating: nil, count: primitives.count + 1)
    for index in isTarget.indices where isTarget[index] { starts[index] = newBlock() }
    let last = starts[primitives.count] ?? newBlock()
    starts[primitives.count] = last
    var isOpen = true
    for (number, primitive) in primitives.enumerated() {
      try checkSize()
      mark.statement = UInt32(number)
      if let start = starts[number] {
        if isOpen { jump(to: start) }
        current = start
        isOpen = true
      } else if !isOpen {
        // Behind a jump and nobody's target.
        continue
      }
      switch primitive {
      case .jump(let target):
        jump(to: starts[target] ?? last)
        isOpen = false
      case .jumpIfZero(let expression, let target):
        let following = starts[number + 1] ?? newBlock()
        try branch(truth(of: expression), then: following, otherwise: starts[target] ?? last)
        current = following
        isOpen = starts[number + 1] == nil
      case .exit: emit(Instruction(.setMask, d: exited, immediate: 1))
      default: try lower(primitive)
      }
    }
    if isOpen { jump(to: last) }
    current = last
    branch(hasExit ? .mask(exited) : .constant(false), then: end, otherwise: next)
  }
}
