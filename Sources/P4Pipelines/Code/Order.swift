import DPUCore

// The order of blocks, and the regions in which packets must not overtake each other.
//
// Registers and meters that more than one instruction of a control touches carry values from packet
// to packet, so a packet must be through all of those instructions before the next one comes to the
// first. To find the smallest regions, blocks are cut around such instructions, and for every
// register the blocks that touch it are tied into a ring of extra edges: what is then strongly
// connected is one region, blocks in between and entangled registers included.

extension Compilation {
  /// A place in the code that touches shared state.
  private struct Touch {
    var block: Int
    var index: Int
    var resource: Int
    var writes: Bool
  }

  func orderBlocks() throws(CompileError) {
    let conflicts = conflictingResources()
    for block in reachableOrder() { cut(block, conflicts) }
    let touches = touches().filter { conflicts[blocks[$0.block].section.rawValue][$0.resource] }
    let live = touches.isEmpty ? nil : liveness()
    for section in SectionKind.allCases { order(section, touches, live) }
    guard !regions.isEmpty else { return }
    removeDead()
    // Blocks that have lost everything stay where they are, and nobody goes there.
    for block in order { replaceSuccessors(block, afterJumps) }
  }

  // MARK: Shared state

  /// Register arrays, then meter arrays.
  func resource(_ instruction: Instruction) -> (resource: Int, writes: Bool)? {
    let array = Int(instruction.b)
    switch instruction.opcode {
    case .registerRead, .registerReadWide: return (array, false)
    case .registerWrite, .registerWriteImmediate, .registerWriteWide: return (array, true)
    case .meter: return (program.registers.count + array, true)
    default: return nil
    }
  }

  private func touches() -> [Touch] {
    var result: [Touch] = []
    for block in reachableOrder() {
      for (index, instruction) in blocks[block].instructions.enumerated() {
        guard let (resource, writes) = resource(instruction) else { continue }
        result.append(Touch(block: block, index: index, resource: resource, writes: writes))
      }
    }
    return result
  }

  /// By section: touched by several instructions of which one writes.
  private func conflictingResources() -> [[Bool]] {
    let count = program.registers.count + program.meters.count
    let touches = touches()
    return SectionKind.allCases.map { section in
      var uses = [Int](repeating: 0, count: count)
      var isWritten = [Bool](repeating: false, count: count)
      for touch in touches where blocks[touch.block].section == section {
        uses[touch.resource] += 1
        isWritten[touch.resource] = isWritten[touch.resource] || touch.writes
      }
      return (0..<count).map { uses[$0] > 1 && isWritten[$0] }
    }
  }

  /// Into what comes before the first touch, what lies between, and the rest.
  private func cut(_ block: Int, _ conflicts: [[Bool]]) {
    let section = blocks[block].section
    let instructions = blocks[block].instructions
    let marks = blocks[block].marks
    var first: Int?
    var last = 0
    for (index, instruction) in instructions.enumerated() {
      guard let (resource, _) = resource(instruction), conflicts[section.rawValue][resource]
      else { continue }
      if first == nil { first = index }
      last = index
    }
    guard let first else { return }
    self.section = section
    // The rest may be no more than where to go.
    if last + 2 < instructions.count {
      let rest = newBlock()
      blocks[rest].instructions = [Instruction](instructions[(last + 1)...])
      blocks[rest].marks = [PipelineCode.Mark](marks[(last + 1)...])
      blocks[block].instructions = instructions[...last] + [Instruction(.jump, d: rest)]
      blocks[block].marks = marks[...last] + [marks[last]]
    }
    guard first > 0 else { return }
    let middle = newBlock()
    blocks[middle].instructions = [Instruction](blocks[block].instructions[first...])
    blocks[middle].marks = [PipelineCode.Mark](blocks[block].marks[first...])
    blocks[block].instructions = instructions[..<first] + [Instruction(.jump, d: middle)]
    blocks[block].marks = marks[..<first] + [marks[first]]
  }

  // MARK: Order

  private func order(_ section: SectionKind, _ touches: [Touch], _ live: Liveness?) {
    let members = reachableOrder().filter { blocks[$0].section == section }
    var position = [Int](repeating: -1, count: blocks.count)
    for (index, block) in members.enumerated() { position[block] = index }
    var edges = [[Int]](repeating: [], count: members.count)
    for (index, block) in members.enumerated() {
      visitSuccessors(block) { edges[index].append(position[$0]) }
    }
    let own = touches.filter { blocks[$0.block].section == section }
    var rings = edges
    for resource in 0..<program.registers.count + program.meters.count {
      let ring = own.filter { $0.resource == resource }.map { position[$0.block] }
      guard let first = ring.first, let last = ring.last else { continue }
      for (one, next) in zip(ring, ring.dropFirst()) { rings[one].append(next) }
      rings[last].append(first)
    }
    let components = stronglyConnected(rings)
    var isSerial = [Bool](repeating: false, count: members.count)
    for touch in own { isSerial[components[position[touch.block]]] = true }

    // Components in topological order; among those that are ready the one met first, so that an
    // order without regions is the plain one.
    let count = (components.max() ?? -1) + 1
    var waits = [Int](repeating: 0, count: count)
    var contents = [[Int]](repeating: [], count: count)
    for index in members.indices {
      contents[components[index]].append(index)
      for next in edges[index] where components[next] != components[index] {
        waits[components[next]] += 1
      }
    }
    var ready = contents.indices.filter { waits[$0] == 0 }
    while !ready.isEmpty {
      var best = 0
      for candidate in ready.indices
      where contents[ready[candidate]][0] < contents[ready[best]][0] { best = candidate }
      let component = ready.remove(at: best)
      let start = order.count
      for index in contents[component] { order.append(members[index]) }
      if isSerial[component] {
        var region = PipelineCode.SerialRegion(blocks: start..<order.count)
        if let live {
          region.conflictLane = conflictLane(
            contents[component].map { members[$0] }, section, live)
        }
        regions.append(region)
      }
      for index in contents[component] {
        for next in edges[index] where components[next] != component {
          waits[components[next]] -= 1
          if waits[components[next]] == 0 { ready.append(components[next]) }
        }
      }
    }
  }

  /// Tarjan's components; the numbers are of no particular order.
  private func stronglyConnected(_ edges: [[Int]]) -> [Int] {
    let count = edges.count
    var number = [Int](repeating: -1, count: count)
    var lowest = [Int](repeating: 0, count: count)
    var component = [Int](repeating: -1, count: count)
    var isWaiting = [Bool](repeating: false, count: count)
    var waiting: [Int] = []
    var frames: [(node: Int, next: Int)] = []
    var numbers = 0
    var components = 0
    func enter(_ node: Int) {
      number[node] = numbers
      lowest[node] = numbers
      numbers += 1
      waiting.append(node)
      isWaiting[node] = true
      frames.append((node, 0))
    }
    for root in 0..<count where number[root] < 0 {
      enter(root)
      while let frame = frames.last {
        let node = frame.node
        if frame.next < edges[node].count {
          frames[frames.count - 1].next += 1
          let next = edges[node][frame.next]
          if number[next] < 0 {
            enter(next)
          } else if isWaiting[next] {
            lowest[node] = min(lowest[node], number[next])
          }
          continue
        }
        frames.removeLast()
        if let parent = frames.last { lowest[parent.node] = min(lowest[parent.node], lowest[node]) }
        guard lowest[node] == number[node] else { continue }
        while let member = waiting.popLast() {
          isWaiting[member] = false
          component[member] = components
          if member == node { break }
        }
        components += 1
      }
    }
    return component
  }
}
