// How large the values of lanes can be, whatever way they are reached: for indices, of which a
// known bound says that a register read always replaces its target.

extension Compilation {
  func noteBounds() {
    let bounds = laneBounds()
    for block in reachableOrder() {
      for index in blocks[block].instructions.indices {
        let instruction = blocks[block].instructions[index]
        guard instruction.opcode == .registerRead, instruction.size == 0 else { continue }
        let size = program.registers[Int(instruction.b)].size
        if bounds[Int(instruction.a)] < UInt64(size) {
          blocks[block].instructions[index].size = 1
        }
      }
    }
  }

  /// The largest value that any instruction gives a lane; state starts at zero. What the switch or
  /// an instruction without a mask writes may be anything.
  private func laneBounds() -> [UInt64] {
    var bounds = [UInt64](repeating: 0, count: laneCount)
    for field in StandardField.allCases {
      if case .lane(let lane, _)? = place(of: field) { bounds[Int(lane)] = ~0 }
    }
    bounds[cursorLane] = ~0
    bounds[lengthLane] = ~0
    for block in reachableOrder() {
      for instruction in blocks[block].instructions {
        let bound: UInt64 =
          switch instruction.opcode {
          case .loadImmediate: instruction.immediate
          case .chooseImmediate: max(instruction.immediate, instruction.mask)
          default: instruction.opcode.cutsResult ? instruction.mask : ~0
          }
        visitRegisters(instruction, read: { _ in }) { register in
          if register < laneCount { bounds[register] = max(bounds[register], bound) }
        }
      }
    }
    return bounds
  }
}
