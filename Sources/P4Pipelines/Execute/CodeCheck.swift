// Proves once, when a program is loaded, what the interpreter's loops rely on: every lane, mask,
// wide slot, byte range, header, block, table and list that an instruction or a descriptor names
// lies inside the memory that the machine allocates for it. What remains for run time is what a
// packet decides itself: positions in the packet and indices of stacks.

/// Something in a compiled program that must not be run: a mistake of the compiler.
package struct CodeFlaw: Equatable, Sendable {
  package enum Part: Equatable, Sendable {
    case layout, section, block, instruction, header, stack, region, plan, table, fieldList, log
    case deparser, standardField
  }
  package var part: Part
  /// Which one of its kind.
  package var index: Int
}

extension PipelineCode {
  /// The first thing that is wrong with the compiled form of `program`, nil when it is sound.
  package func firstFlaw(_ program: P4Program) -> CodeFlaw? {
    do throws(CodeFlaw) {
      try checkLayout()
      for index in headers.indices { try check(isSound(header: index), .header, index) }
      for index in stacks.indices { try check(isSound(stack: index), .stack, index) }
      try checkBlocks(program)
      for index in tables.indices { try check(isSound(table: index), .table, index) }
      for index in plans.indices { try check(isSound(plans[index]), .plan, index) }
      for index in calculations.indices {
        try check(isSound(calculations[index].plan), .plan, plans.count + index)
      }
      for index in learnLists.indices {
        try check(learnLists[index].plan.isFixed && isSound(learnLists[index].plan), .plan, index)
      }
      for index in fieldLists.indices {
        for place in fieldLists[index].fields { try check(isSound(place), .fieldList, index) }
      }
      for index in logs.indices {
        for lane in logs[index].arguments { try check(has(lane: lane), .log, index) }
      }
      return nil
    } catch {
      return error
    }
  }

  private func check(
    _ isSound: Bool, _ part: CodeFlaw.Part, _ index: Int
  ) throws(CodeFlaw) {
    if !isSound { throw CodeFlaw(part: part, index: index) }
  }

  // MARK: What there is

  func has(lane: UInt32) -> Bool { Int(lane) < laneCount }
  func has(mask: UInt32) -> Bool { Int(mask) < maskCount }
  func has(wide slot: UInt32) -> Bool { Int(slot) < wideCount && wideLimbs > 0 }
  func has(header: UInt32) -> Bool { Int(header) < headers.count }
  func has(bytes count: UInt32, at offset: UInt32) -> Bool {
    Int(offset) + Int(count) <= headerBytes
  }
  /// The eight bytes of a field.
  func has(fieldAt offset: UInt32, shift: UInt8) -> Bool {
    has(bytes: 8, at: offset) && shift < 64
  }
  func has(varbit header: UInt32) -> Bool {
    has(header: header) && headers[Int(header)].variableBits > 0
  }

  func isSound(_ place: FieldPlace) -> Bool {
    switch place {
    case .lane(let lane, let width): has(lane: lane) && width >= 0 && width <= 64
    case .mask(let mask): has(mask: mask)
    case .bytes(let bit, let width):
      bit >= 0 && width > 0 && width <= 1 << 20 && bit + width <= headerBytes * 8
    case .variable(let header): has(varbit: header)
    case .nowhere(let width): width >= 0 && width <= 1 << 20
    }
  }

  // MARK: Layout

  private func checkLayout() throws(CodeFlaw) {
    let isSound =
      laneCount >= 0 && laneCount <= CodeLimits.lanes && packetLanes >= 0
      && packetLanes <= laneCount && maskCount >= headers.count && packetMasks >= headers.count
      && packetMasks <= maskCount && maskCount <= CodeLimits.masks && headerBytes >= 16
      && headerBytes <= CodeLimits.headerBytes && usedHeaderBytes >= 0
      && usedHeaderBytes <= headerBytes && wideLimbs >= 0
      && wideLimbs * 64 <= CodeLimits.wideBits && wideCount >= 0
      && wideCount <= CodeLimits.instructions && has(lane: cursorLane)
      && (lengthLane == Instruction.none || has(lane: lengthLane))
      && metadataMasks.lowerBound >= 0 && metadataMasks.upperBound <= packetMasks
      && zeroedLanes.allSatisfy { has(lane: $0) }
      && staleHeaders.allSatisfy { has(header: $0) }
      && zeroedLanesOfClones.allSatisfy { has(lane: $0) }
      && zeroedBytes.allSatisfy { has(bytes: $0.count, at: $0.offset) }
      && zeroedBytesOfClones.allSatisfy { has(bytes: $0.count, at: $0.offset) }
    try check(isSound, .layout, 0)
    for index in deparserOrder.indices {
      try check(has(header: deparserOrder[index]), .deparser, index)
    }
    for index in standard.indices {
      if let place = standard[index] {
        // Two bits and more are lanes: `begin` and the parser's errors write them as such.
        var isLane = false
        switch place {
        case .lane, .nowhere: isLane = true
        default: break
        }
        let mayBeOther = index == StandardField.checksumError.rawValue
        try check(self.isSound(place) && (isLane || mayBeOther), .standardField, index)
      }
    }
  }

  private func isSound(header index: Int) -> Bool {
    let header = headers[index]
    return has(bytes: header.bytes, at: header.offset)
      && (header.variableBits == 0
        || has(lane: header.lengthLane) && (header.variableBit | header.variableBits) & 7 == 0
          && header.variableBit + header.variableBits <= header.bytes * 8)
  }

  /// Members of a place in the stack have the same form in every element, so that elements can be
  /// moved, and `next` is a lane.
  private func isSound(stack index: Int) -> Bool {
    let stack = stacks[index]
    guard stack.members > 0, stack.headers.count == Int(stack.count * stack.members),
      has(lane: stack.nextLane), stack.headers.allSatisfy({ has(header: $0) })
    else { return false }
    for place in stack.headers.indices {
      let header = headers[Int(stack.headers[place])]
      let first = headers[Int(stack.headers[place % Int(stack.members)])]
      if header.bytes != first.bytes || header.variableBits != first.variableBits
        || header.variableBit != first.variableBit
      {
        return false
      }
    }
    return true
  }

  // MARK: Descriptors

  func isSound(_ plan: GatherPlan) -> Bool {
    var end = 0
    for segment in plan.segments {
      if segment.guardMask != Instruction.none && !has(mask: segment.guardMask) { return false }
      if !isSound(segment) { return false }
      if segment.kind == .payload || segment.kind == .header || segment.kind == .variable {
        if plan.isFixed { return false }
      } else if segment.bits == 0 {
        return false
      }
      if plan.isFixed {
        // In ascending order: a segment zeroes what follows it.
        if Int(segment.at) < end { return false }
        end = Int(segment.at) + Int(segment.bits)
      } else {
        end += longest(segment)
      }
    }
    return (end + 7) / 8 <= plan.bytes && plan.bytes <= 1 << 20
  }

  /// Most bits that a segment adds, the payload not counted.
  private func longest(_ segment: Segment) -> Int {
    switch segment.kind {
    case .payload: 0
    case .header: Int(headers[Int(segment.source)].bytes) * 8
    case .variable: Int(headers[Int(segment.source)].variableBits)
    default: Int(segment.bits)
    }
  }

  private func isSound(_ segment: Segment) -> Bool {
    switch segment.kind {
    case .bytes:
      segment.bits & 7 == 0 && segment.at & 7 == 0
        && has(bytes: max(8, segment.bits / 8), at: segment.source)
    case .field: has(fieldAt: segment.source, shift: segment.shift)
    case .lane: has(lane: segment.source)
    case .mask: has(mask: segment.source)
    case .bits: Int(segment.source) + Int(segment.bits) <= headerBytes * 8
    case .wide: has(wide: segment.source)
    case .constant: Int(segment.source) + (Int(segment.bits) + 7) / 8 <= constantBytes.count
    case .header: has(header: segment.source)
    case .variable: has(varbit: segment.source)
    case .payload: true
    }
  }

  private func isSound(table index: Int) -> Bool {
    let table = tables[index]
    if table.isInlined { return true }
    let keyBytes = (table.key.bytes + 7) / 8 * 8
    guard table.keyBytes == keyBytes, table.key.isFixed, isSound(table.key),
      table.hitMask == Instruction.none || has(mask: table.hitMask), has(lane: table.recordLane),
      table.entryLane == Instruction.none || has(lane: table.entryLane),
      table.actionBlocks.count < 255
    else { return false }
    if let place = table.meterResult, !isSound(place) { return false }
    if let selector = table.selector, !isSound(selector.plan) { return false }
    return true
  }
}
