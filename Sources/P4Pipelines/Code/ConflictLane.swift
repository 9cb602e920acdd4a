// The index that decides which packets of a serial region are in each other's way.

extension Compilation {
  /// The lane with the one index at which a region touches shared state; still a virtual one.
  ///
  /// Programs name the same index in many ways: p4c copies it to a temporary before nearly every
  /// access. So lanes count as the same when all that is ever written to them in the section is the
  /// same field, which nothing changes meanwhile.
  func conflictLane(_ region: [Int], _ section: SectionKind, _ live: Liveness) -> UInt32 {
    var lanes: [Int] = []
    for block in region {
      for instruction in blocks[block].instructions {
        // A direct meter goes by its entry, which no lane knows beforehand.
        if instruction.opcode == .apply, program.tables[Int(instruction.a)].directMeter != nil {
          return Instruction.none
        }
        guard resource(instruction) != nil else { continue }
        if !lanes.contains(Int(instruction.a)) { lanes.append(Int(instruction.a)) }
      }
    }
    if lanes.count == 1, !isWritten(lanes[0], in: region) { return UInt32(lanes[0]) }
    var common: Instruction?
    for lane in lanes {
      guard let load = onlyLoad(of: lane, section, live) else { return Instruction.none }
      if let common, common.a != load.a || common.shift != load.shift || common.mask != load.mask {
        return Instruction.none
      }
      common = load
    }
    guard var load = common else { return Instruction.none }
    // One that holds the index wherever packets come in.
    let gates = entries(of: region)
    for lane in lanes where !isWritten(lane, in: region) {
      if gates.allSatisfy({ live.entries[$0].contains(register(lane: lane)) }) {
        use(lane, for: lanes, in: region)
        return UInt32(lane)
      }
    }
    let lane = newLane()
    load.d = UInt32(lane)
    let entry = entries[section.rawValue]
    blocks[entry].instructions.insert(load, at: 0)
    blocks[entry].marks.insert(PipelineCode.Mark(), at: 0)
    use(lane, for: lanes, in: region)
    return UInt32(lane)
  }

  /// Indexes by one lane what was indexed by its copies, which are then loaded for nothing.
  private func use(_ lane: Int, for copies: [Int], in region: [Int]) {
    for block in region {
      for index in blocks[block].instructions.indices {
        let instruction = blocks[block].instructions[index]
        let isAccess = resource(instruction) != nil || instruction.opcode == .count
        if isAccess, copies.contains(Int(instruction.a)) {
          blocks[block].instructions[index].a = UInt32(lane)
        }
      }
    }
  }

  private func isWritten(_ lane: Int, in region: [Int]) -> Bool {
    var result = false
    for block in region {
      for instruction in blocks[block].instructions {
        visitRegisters(
          instruction, read: { _ in }, write: { if $0 == register(lane: lane) { result = true } })
      }
    }
    return result
  }

  /// Blocks of a region that others lead to.
  private func entries(of region: [Int]) -> [Int] {
    var result: [Int] = []
    for block in reachableOrder() where !region.contains(block) {
      visitSuccessors(block) {
        if region.contains($0), !result.contains($0) { result.append($0) }
      }
    }
    return result
  }

  /// The load of a field that makes whatever a lane holds in a section.
  private func onlyLoad(
    of lane: Int, _ section: SectionKind, _ live: Liveness
  ) -> Instruction? {
    guard !live.entries[entries[section.rawValue]].contains(register(lane: lane)) else {
      return nil
    }
    var load: Instruction?
    for block in reachableOrder() where blocks[block].section == section {
      for instruction in blocks[block].instructions {
        var isWriter = false
        visitRegisters(
          instruction, read: { _ in },
          write: { if $0 == register(lane: lane) { isWriter = true } })
        guard isWriter else { continue }
        guard instruction.opcode == .loadField else { return nil }
        if let load {
          guard load.a == instruction.a, load.shift == instruction.shift,
            load.mask == instruction.mask
          else { return nil }
        }
        load = instruction
      }
    }
    guard let load, let bits = readBits(load) else { return nil }
    for block in reachableOrder() where blocks[block].section == section {
      for instruction in blocks[block].instructions {
        if let written = writtenBits(instruction), written.overlaps(bits) { return nil }
      }
    }
    return load
  }
}
