import DPUCore
import JSONText

// The two pipelines: which table or condition follows on which.

extension ProgramLoader {
  /// The nodes of one pipeline by name.
  struct NodeTable {
    private var names = NameTable()
    private var nodes: [P4Program.Node] = []

    /// False when the name is taken.
    mutating func insert(_ name: Text, _ node: P4Program.Node) -> Bool {
      guard names.insert(name, nodes.count) else { return false }
      nodes.append(node)
      return true
    }

    /// What `node` names; null is the end of the pipeline.
    func node(_ node: ProgramNode) throws(ProgramProblem) -> P4Program.Node {
      if node.isNull { return .end }
      let name = try node.name()
      guard let index = names.find(name) else {
        throw node.problem("unknown table, conditional or action call \(quoted(name))")
      }
      return nodes[index]
    }
  }
}

extension ProgramLoader {
  mutating func readPipelines(_ root: ProgramObject) throws(ProgramProblem) {
    let list = try root.required("pipelines")
    var ingress: ProgramObject?
    var egress: ProgramObject?
    for node in try list.elements(2...2) {
      let object = try node.object()
      let name = try object.required("name")
      if try name.name().isWord("ingress"), ingress == nil {
        ingress = object
      } else if try name.name().isWord("egress"), egress == nil {
        egress = object
      } else {
        throw name.problem("must be one \"ingress\" and one \"egress\"")
      }
    }
    guard let ingress, let egress else {
      throw list.problem("must be one \"ingress\" and one \"egress\"")
    }
    // Profiles may be shared by tables of both.
    try readProfiles(ingress)
    try readProfiles(egress)
    program.ingress = try control(ingress, isIngress: true)
    program.egress = try control(egress, isIngress: false)
  }

  private mutating func control(
    _ pipeline: ProgramObject, isIngress: Bool
  ) throws(ProgramProblem) -> P4Program.Control {
    var control = P4Program.Control()
    let firstTable = program.tables.count
    let tables = try pipeline.list("tables", 0...ProgramLimits.tables)
    let conditionals = try pipeline.list("conditionals", 0...ProgramLimits.conditionals)
    let calls = try pipeline.list("action_calls", 0...ProgramLimits.conditionals)

    // Nodes lead to each other, so all names come first.
    var nodes = NodeTable()
    var places: [ProgramNode] = []
    for (index, node) in tables.enumerated() {
      let name = try node.object().required("name")
      try claim(name.name(), in: &tableNames, firstTable + index, name, "table")
      try claim(name, in: &nodes, .table(firstTable + index))
      places.append(name)
    }
    for (index, node) in conditionals.enumerated() {
      let name = try node.object().required("name")
      try claim(name, in: &nodes, .conditional(index))
      places.append(name)
    }
    for (index, node) in calls.enumerated() {
      let name = try node.object().required("name")
      try claim(name, in: &nodes, .call(index))
      places.append(name)
    }

    for node in tables {
      program.tables.append(try readTable(node, isIngress: isIngress, nodes: nodes))
    }
    guard program.tables.count <= ProgramLimits.tables else {
      throw pipeline.node.problem("there may be \(ProgramLimits.tables) tables at most")
    }
    for node in conditionals { control.conditionals.append(try conditional(node, nodes)) }
    for node in calls { control.calls.append(try call(node, nodes)) }
    let first = try pipeline.required("init_table")
    control.first = try nodes.node(first)
    try refuseCircles(control, firstTable: firstTable, places)
    return control
  }

  private func claim(
    _ name: ProgramNode, in nodes: inout NodeTable, _ node: P4Program.Node
  ) throws(ProgramProblem) {
    guard nodes.insert(try name.name(), node) else {
      throw name.problem(
        "there is another table, conditional or action call \(quoted(try name.name()))")
    }
  }

  private mutating func conditional(
    _ node: ProgramNode, _ nodes: borrowing NodeTable
  ) throws(ProgramProblem) -> P4Program.Conditional {
    let object = try node.object()
    return P4Program.Conditional(
      name: try object.required("name").name(),
      condition: try boolean(object.required("expression"), .control),
      whenTrue: try nodes.node(object.required("true_next")),
      whenFalse: try nodes.node(object.required("false_next")))
  }

  private func call(
    _ node: ProgramNode, _ nodes: borrowing NodeTable
  ) throws(ProgramProblem) -> P4Program.ActionCall {
    let object = try node.object()
    let id = try object.required("action_id")
    let action = try action(id: id)
    guard program.actions[action].parameters.isEmpty else {
      throw id.problem(
        "action \(quoted(program.actions[action].name)) has parameters, so only a table can run it")
    }
    return P4Program.ActionCall(
      name: try object.required("name").name(), action: action,
      next: try nodes.node(object.required("next_node")))
  }

  // MARK: Circles

  /// A packet that came by the same table twice could go round for ever.
  private func refuseCircles(
    _ control: P4Program.Control, firstTable: Int, _ places: [ProgramNode]
  ) throws(ProgramProblem) {
    let tableCount = program.tables.count - firstTable
    var successors: [[Int]] = []
    func number(_ node: P4Program.Node) -> Int? {
      switch node {
      case .table(let index): index - firstTable
      case .conditional(let index): tableCount + index
      case .call(let index): tableCount + control.conditionals.count + index
      case .end: nil
      }
    }
    for table in program.tables[firstTable...] {
      var next = table.nextByAction.compactMap(number)
      if let node = table.nextOnHit.flatMap(number) { next.append(node) }
      if let node = table.nextOnMiss.flatMap(number) { next.append(node) }
      if let node = number(table.nextByDefault) { next.append(node) }
      successors.append(next)
    }
    for conditional in control.conditionals {
      successors.append([conditional.whenTrue, conditional.whenFalse].compactMap(number))
    }
    for call in control.calls { successors.append([call.next].compactMap(number)) }

    // Depth first without recursion: a pipeline may be as long as there are tables.
    var isDone = [Bool](repeating: false, count: successors.count)
    var isOpen = isDone
    for start in successors.indices where !isDone[start] {
      var path = [(node: start, edge: 0)]
      isOpen[start] = true
      while let (node, edge) = path.last {
        guard edge < successors[node].count else {
          isOpen[node] = false
          isDone[node] = true
          path.removeLast()
          continue
        }
        path[path.count - 1].edge += 1
        let next = successors[node][edge]
        if isOpen[next] {
          throw places[next].problem(
            "control flow comes back to \(quoted(try places[next].name()))")
        }
        if !isDone[next] {
          isOpen[next] = true
          path.append((next, 0))
        }
      }
    }
  }
}
