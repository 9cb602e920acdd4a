import DPUCore

// From virtual registers to the few that are needed at once. State that nobody touches disappears;
// temporaries whose lives do not overlap share a lane, so that a batch's lanes stay in the
// first-level cache.

/// New numbers of all registers; -1: gone.
struct RegisterMap {
  var lanes: [Int]
  var masks: [Int]
  var wides: [Int]
}

extension Compilation {
  func allocateRegisters() throws(CompileError) {
    let live = liveness()
    var map = RegisterMap(
      lanes: [Int](repeating: -1, count: laneCount), masks: [Int](repeating: -1, count: maskCount),
      wides: [Int](repeating: -1, count: wideCount))
    keepState(live, &map)
    let lives = lives(live)
    code.laneCount = share(
      lives, first: stateLanes, count: laneCount - stateLanes, offset: 0,
      from: code.packetLanes, isStrict: false, &map.lanes)
    code.maskCount = share(
      lives, first: stateMasks, count: maskCount - stateMasks, offset: laneCount,
      from: code.packetMasks, isStrict: false, &map.masks)
    code.wideCount = share(
      lives, first: 0, count: wideCount, offset: laneCount + maskCount, from: 0, isStrict: true,
      &map.wides)
    guard code.laneCount <= CodeLimits.lanes else {
      throw CompileError("", "\(code.laneCount) lanes, more than \(CodeLimits.lanes)")
    }
    guard code.maskCount <= CodeLimits.masks else {
      throw CompileError("", "\(code.maskCount) masks, more than \(CodeLimits.masks)")
    }
    noteZeroed(live, map)
    rename(map)
    nameRegisters(map)
  }

  // MARK: State

  private func keepState(_ live: Liveness, _ map: inout RegisterMap) {
    var isUsed = BitSet(count: registerCount)
    for block in order {
      for instruction in blocks[block].instructions {
        visitRegisters(instruction, read: { isUsed.insert($0) }, write: { isUsed.insert($0) })
      }
    }
    for end in live.ends { isUsed.formUnion(end) }
    if let place = place(of: .egressSpec) { visit(place) { isUsed.insert($0) } }
    isUsed.insert(register(lane: cursorLane))
    // Instructions on headers and stacks go by these without naming them.
    for header in code.headers where header.lengthLane != Instruction.none {
      isUsed.insert(register(lane: Int(header.lengthLane)))
    }
    for stack in code.stacks { isUsed.insert(register(lane: Int(stack.nextLane))) }
    for lane in 0..<stateLanes where isUsed.contains(register(lane: lane)) {
      map.lanes[lane] = code.packetLanes
      code.packetLanes += 1
    }
    for mask in program.headers.indices { map.masks[mask] = mask }
    code.packetMasks = program.headers.count
    for mask in program.headers.count..<stateMasks
    where isUsed.contains(register(mask: mask)) {
      map.masks[mask] = code.packetMasks
      code.packetMasks += 1
    }
    code.metadataMasks = program.headers.count..<code.packetMasks
  }

  private func noteZeroed(_ live: Liveness, _ map: RegisterMap) {
    // What the machine writes when a packet begins.
    var written = BitSet(count: registerCount)
    written.insert(register(lane: lengthLane))
    written.insert(register(lane: cursorLane))
    for field in [
      StandardField.ingressPort, .instanceType, .packetLength, .ingressTimestamp,
    ] {
      if let place = place(of: field) { visit(place) { written.insert($0) } }
    }
    let atStart = live.entries[entries[SectionKind.parser.rawValue]]
    let atEgress = live.entries[entries[SectionKind.egress.rawValue]]
    var isMetadata = BitSet(count: registerCount)
    for header in program.headers.indices where program.headers[header].isMetadata {
      for place in places[header] { visit(place) { isMetadata.insert($0) } }
    }
    for lane in 0..<stateLanes where map.lanes[lane] >= 0 {
      if atStart.contains(lane), !written.contains(lane) {
        code.zeroedLanes.append(UInt32(map.lanes[lane]))
      }
      if atEgress.contains(lane), isMetadata.contains(lane) {
        code.zeroedLanesOfClones.append(UInt32(map.lanes[lane]))
      }
    }
    noteStaleLists()
    // Elements of a stack move into each other.
    for stack in code.stacks {
      let isStale = stack.headers.contains { staleHeaders.contains(Int($0)) }
      let isInParser = stack.headers.contains { parserStaleHeaders.contains(Int($0)) }
      for header in stack.headers {
        if isStale { staleHeaders.insert(Int(header)) }
        if isInParser { parserStaleHeaders.insert(Int(header)) }
      }
    }
    staleHeaders.forEach { header in
      guard parserStaleHeaders.contains(header) else {
        code.staleHeaders.append(UInt32(header))
        return
      }
      let layout = code.headers[header]
      code.zeroedBytes.append(
        PipelineCode.ByteRange(offset: Int(layout.offset), count: Int(layout.bytes)))
    }
    for (index, bits) in wideFields.enumerated() {
      let range = PipelineCode.ByteRange(
        offset: bits.lowerBound / 8, count: (bits.upperBound - bits.lowerBound + 7) / 8)
      if atStart.contains(register(wideField: index)) { code.zeroedBytes.append(range) }
      if atEgress.contains(register(wideField: index)) {
        code.zeroedBytesOfClones.append(range)
      }
    }
  }

  /// Lists name fields of headers whether they are valid or not.
  private func noteStaleLists() {
    let requests = requests()
    if requests.usesFieldLists {
      for list in code.fieldLists {
        for case .bytes(let bit, let width) in list.fields {
          noteStale(bit..<bit + width, &staleHeaders) { _ in false }
        }
      }
    }
    guard requests.digest else { return }
    for list in code.learnLists {
      for segment in list.plan.segments {
        let start = Int(segment.source)
        switch segment.kind {
        case .bits: noteStale(start..<start + Int(segment.bits), &staleHeaders) { _ in false }
        case .bytes:
          noteStale(start * 8..<start * 8 + Int(segment.bits), &staleHeaders) { _ in false }
        case .field: noteStale(start * 8..<start * 8 + 64, &staleHeaders) { _ in false }
        default: break
        }
      }
    }
  }

  // MARK: Temporaries

  /// First and last position at which each register holds something that will be read.
  private func lives(_ live: Liveness) -> [(first: Int, last: Int)] {
    var lives = [(first: Int, last: Int)](
      repeating: (Int.max, -1), count: registerCount)
    func touch(_ register: Int, _ position: Int) {
      lives[register].first = min(lives[register].first, position)
      lives[register].last = max(lives[register].last, position)
    }
    var position = 0
    for block in order {
      live.entries[block].forEach { touch($0, position) }
      for instruction in blocks[block].instructions {
        visitRegisters(
          instruction, read: { touch($0, position) }, write: { touch($0, position) })
        // Control reads before anything behind it is written.
        position += 2
      }
      visitSuccessors(block) { live.entries[$0].forEach { touch($0, position) } }
      position += 2
    }
    return lives
  }

  /// Gives numbers from `start` on to temporaries; returns how many there are then. `isStrict`: the
  /// result of an instruction may not stand where one of its operands ends.
  private func share(
    _ lives: [(first: Int, last: Int)], first: Int, count: Int, offset: Int, from start: Int,
    isStrict: Bool, _ numbers: inout [Int]
  ) -> Int {
    var waiting: [Int] = []
    for index in first..<first + count where lives[offset + index].last >= 0 {
      waiting.append(index)
    }
    waiting.sort { lives[offset + $0].first < lives[offset + $1].first }
    /// When each number becomes free.
    var ends: [Int] = []
    for index in waiting {
      let life = lives[offset + index]
      let free = ends.firstIndex { isStrict ? $0 < life.first : $0 <= life.first }
      if let free {
        ends[free] = life.last
        numbers[index] = start + free
      } else {
        numbers[index] = start + ends.count
        ends.append(life.last)
      }
    }
    return start + ends.count
  }

  // MARK: Renaming

  private func rename(_ map: RegisterMap) {
    func moved(_ role: OperandRole, _ value: UInt32) -> UInt32 {
      guard value != Instruction.none else { return value }
      switch role {
      // What is gone is named by plans only that nobody uses.
      case .laneRead, .laneWrite, .laneUpdate: return UInt32(max(0, map.lanes[Int(value)]))
      case .maskRead, .maskWrite: return UInt32(max(0, map.masks[Int(value)]))
      case .wideRead, .wideWrite, .wideUpdate: return UInt32(max(0, map.wides[Int(value)]))
      case .none, .block: return value
      }
    }
    func lane(_ value: UInt32) -> UInt32 { moved(.laneRead, value) }
    func plan(_ plan: inout PipelineCode.GatherPlan) {
      for index in plan.segments.indices {
        let segment = plan.segments[index]
        plan.segments[index].guardMask = moved(.maskRead, segment.guardMask)
        switch segment.kind {
        case .lane: plan.segments[index].source = lane(segment.source)
        case .mask: plan.segments[index].source = moved(.maskRead, segment.source)
        case .wide: plan.segments[index].source = moved(.wideRead, segment.source)
        default: break
        }
      }
    }
    for block in order {
      for index in blocks[block].instructions.indices {
        var instruction = blocks[block].instructions[index]
        let roles = instruction.opcode.roles
        instruction.d = moved(roles.d, instruction.d)
        instruction.a = moved(roles.a, instruction.a)
        instruction.b = moved(roles.b, instruction.b)
        instruction.c = moved(roles.c, instruction.c)
        instruction.e = moved(roles.e, instruction.e)
        blocks[block].instructions[index] = instruction
        switch instruction.opcode {
        case .apply: rename(table: Int(instruction.a), lane, moved, plan)
        case .log:
          for argument in code.logs[Int(instruction.a)].arguments.indices {
            let old = code.logs[Int(instruction.a)].arguments[argument]
            code.logs[Int(instruction.a)].arguments[argument] = lane(old)
          }
        default: break
        }
      }
    }
    // A table behind a condition that never holds has lost its `apply`.
    var isApplied = [Bool](repeating: false, count: code.tables.count)
    for block in order {
      for instruction in blocks[block].instructions where instruction.opcode == .apply {
        isApplied[Int(instruction.a)] = true
      }
    }
    for table in isApplied.indices where !isApplied[table] {
      code.tables[table].isInlined = true
      code.tables[table].key = PipelineCode.GatherPlan()
      code.tables[table].actionBlocks = []
      code.tables[table].hitMask = Instruction.none
      code.tables[table].recordLane = 0
    }
    for index in regions.indices { regions[index].conflictLane = lane(regions[index].conflictLane) }
    for index in code.tables.indices {
      // Shared inputs are of state only, and state has one name everywhere.
      if code.tables[index].selector != nil { plan(&code.tables[index].selector!.plan) }
      if let place = code.tables[index].meterResult {
        code.tables[index].meterResult = movedPlace(place, map)
      }
    }
    for index in code.calculations.indices { plan(&code.calculations[index].plan) }
    for index in code.plans.indices { plan(&code.plans[index]) }
    for index in code.learnLists.indices { plan(&code.learnLists[index].plan) }
    for index in code.fieldLists.indices {
      code.fieldLists[index].fields = code.fieldLists[index].fields.map { movedPlace($0, map) }
    }
    for index in code.headers.indices {
      code.headers[index].lengthLane = movedState(code.headers[index].lengthLane, map)
    }
    for index in code.stacks.indices {
      code.stacks[index].nextLane = movedState(code.stacks[index].nextLane, map)
    }
    code.standard = StandardField.allCases.map { field in
      guard let place = place(of: field) else { return nil }
      if case .nowhere = movedPlace(place, map) { return nil }
      return movedPlace(place, map)
    }
    for header in places.indices { places[header] = places[header].map { movedPlace($0, map) } }
    code.lengthLane = movedState(UInt32(lengthLane), map)
    code.cursorLane = UInt32(map.lanes[cursorLane])
  }

  private func rename(
    table: Int, _ lane: (UInt32) -> UInt32, _ moved: (OperandRole, UInt32) -> UInt32,
    _ plan: (inout PipelineCode.GatherPlan) -> Void
  ) {
    plan(&code.tables[table].key)
    code.tables[table].recordLane = lane(code.tables[table].recordLane)
    code.tables[table].hitMask = moved(.maskRead, code.tables[table].hitMask)
  }

  private func movedState(_ lane: UInt32, _ map: RegisterMap) -> UInt32 {
    guard lane != Instruction.none, map.lanes[Int(lane)] >= 0 else { return Instruction.none }
    return UInt32(map.lanes[Int(lane)])
  }

  private func movedPlace(
    _ place: PipelineCode.FieldPlace, _ map: RegisterMap
  ) -> PipelineCode.FieldPlace {
    switch place {
    case .lane(let lane, let width):
      let number = map.lanes[Int(lane)]
      return number < 0 ? .nowhere(width: width) : .lane(UInt32(number), width: width)
    case .mask(let mask):
      let number = map.masks[Int(mask)]
      return number < 0 ? .nowhere(width: 1) : .mask(UInt32(number))
    default: return place
    }
  }

  private func nameRegisters(_ map: RegisterMap) {
    var lanes = [Text](repeating: Text(), count: code.laneCount)
    for lane in 0..<stateLanes where map.lanes[lane] >= 0 {
      lanes[map.lanes[lane]] = laneNames[lane]
    }
    for lane in code.packetLanes..<code.laneCount { lanes[lane] = "t\(lane - code.packetLanes)" }
    var masks = [Text](repeating: Text(), count: code.maskCount)
    for mask in 0..<stateMasks where map.masks[mask] >= 0 {
      masks[map.masks[mask]] = maskNames[mask]
    }
    for mask in code.packetMasks..<code.maskCount { masks[mask] = "p\(mask - code.packetMasks)" }
    code.laneNames = lanes
    code.maskNames = masks
  }
}
