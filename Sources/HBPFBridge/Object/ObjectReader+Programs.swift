import DPUCore

extension ObjectReader {
  /// A function of one of the sections: its first slot and the one behind its last.
  private struct Piece: Equatable {
    var code: Int
    var slots: Range<Int>
    var name: Text
  }

  /// One program for each global function outside of `.text`. A file that has nothing but `.text`
  /// has its programs there.
  func programs() throws(ObjectFault) -> [ProgramObject.Program] {
    var entries: [Piece] = []
    for textToo in [false, true] where entries.isEmpty {
      for (index, code) in codes.enumerated()
      where textToo || sectionName(code.section) != ".text" {
        entries += self.entries(index, code)
      }
    }
    var result: [ProgramObject.Program] = []
    for entry in entries {
      let section = sectionName(codes[entry.code].section)
      result.append(try assemble(entry, section: section))
    }
    return result
  }

  private func entries(_ index: Int, _ code: Code) -> [Piece] {
    guard !code.functions.isEmpty else {
      return [
        Piece(
          code: index, slots: 0..<code.instructions.count, name: sectionName(code.section))
      ]
    }
    var result: [Piece] = []
    for function in code.functions where function.isGlobal {
      if let piece = piece(index, beginning: function.value / Instruction.byteCount) {
        result.append(piece)
      }
    }
    return result
  }

  private func piece(_ index: Int, beginning slot: Int) -> Piece? {
    let code = codes[index]
    for function in code.functions where function.value == slot * Instruction.byteCount {
      let count = function.size / Instruction.byteCount
      guard count > 0, slot + count <= code.instructions.count else { return nil }
      return Piece(code: index, slots: slot..<slot + count, name: function.name)
    }
    return nil
  }

  /// The entry with every function that it calls, directly or through others.
  private func assemble(
    _ entry: Piece, section: Text
  ) throws(ObjectFault) -> ProgramObject.Program {
    var pieces = [entry]
    var starts = [0]
    var result = ProgramObject.Program(name: entry.name, section: section, instructions: [])
    var calls: [(slot: Int, piece: Int)] = []
    var next = 0
    while next < pieces.count {
      let piece = pieces[next]
      let base = result.instructions.count
      starts[next] = base
      result.functions.append(ProgramObject.Function(name: piece.name, slot: base))
      result.instructions += codes[piece.code].instructions[piece.slots]
      guard result.instructions.count <= HBPFLimits.instructions else {
        throw ObjectFault(
          "section \(section), program \(entry.name)",
          "more than \(HBPFLimits.instructions) instructions with the functions that it calls")
      }
      var isSecondHalf = false
      for slot in piece.slots {
        let instruction = codes[piece.code].instructions[slot]
        defer { isSecondHalf = !isSecondHalf && instruction.isWideLoad }
        guard !isSecondHalf, instruction.isLocalCall else { continue }
        let called = try called(from: slot, piece)
        let number = pieces.firstIndex { $0 == called } ?? pieces.count
        if number == pieces.count {
          pieces.append(called)
          starts.append(0)
        }
        calls.append((base + slot - piece.slots.lowerBound, number))
      }
      next += 1
    }
    for call in calls {
      result.instructions[call.slot].immediate = Int32(starts[call.piece] - call.slot - 1)
    }
    return result
  }

  private func called(from slot: Int, _ piece: Piece) throws(ObjectFault) -> Piece {
    let code = codes[piece.code]
    let place: Text = "section \(sectionName(code.section)), instruction \(slot)"
    let target =
      code.call(at: slot) ?? (code.section, slot + 1 + code.instructions[slot].jumpDistance)
    guard let index = codes.firstIndex(where: { $0.section == target.section }),
      let found = self.piece(index, beginning: target.target)
    else {
      throw ObjectFault(
        place,
        "calls slot \(target.target) of \(sectionName(target.section)), where no function begins")
    }
    return found
  }
}
