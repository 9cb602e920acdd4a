import DPUCore

// Checksums: verified after the parser, computed anew before the deparser. When the input is a
// header's own whole bytes, as for IPv4, one instruction sums them where they lie.

extension Compilation {
  func lowerChecksums() throws(CompileError) {
    section = .verify
    startSection()
    let error = place(of: .checksumError)
    for (index, checksum) in program.checksums.enumerated() where checksum.verify {
      mark = checksumMark(index)
      let target = checksum.target
      // Skipped while the target header is invalid.
      var isWanted = P4Program.Expression.isValid(.header(target.header))
      var valid = [target.header]
      if let test = checksum.condition {
        isWanted = .binary(.logicalAnd, isWanted, test)
        valid += impliedHeaders(test)
      }
      let check = newBlock()
      let next = newBlock()
      try branch(isWanted, then: check, otherwise: next)
      current = check
      let sum = try compute(checksum, valid)
      let kept = lane(try load(target, bits: 64))
      let differs = newMask()
      emit(Instruction(.equal, d: differs, a: lane(sum), b: kept, size: 1))
      if let error {
        let bad = newBlock()
        branch(.mask(differs), then: bad, otherwise: next)
        current = bad
        try store(.constant(1), to: error)
      }
      jump(to: next)
      current = next
    }
    finishBlock()
  }

  func lowerUpdates() throws(CompileError) {
    section = .update
    startSection()
    for (index, checksum) in program.checksums.enumerated() where checksum.update {
      mark = checksumMark(index)
      var valid: [Int] = []
      let update = newBlock()
      let next = newBlock()
      if let test = checksum.condition {
        valid = impliedHeaders(test)
        try branch(test, then: update, otherwise: next)
      } else {
        jump(to: update)
      }
      current = update
      try store(try compute(checksum, valid), to: place(of: checksum.target))
      jump(to: next)
      current = next
    }
    mark = PipelineCode.Mark()
    mark.place = .deparser
    let end = newBlock()
    try lower(program.deparserPrimitives, then: end, end: end)
    current = end
    finishBlock()
  }

  private func startSection() {
    let entry = newBlock()
    entries[section.rawValue] = entry
    current = entry
    mark = PipelineCode.Mark()
  }

  private func checksumMark(_ index: Int) -> PipelineCode.Mark {
    var mark = PipelineCode.Mark()
    mark.place = .checksum
    mark.index = UInt32(index)
    return mark
  }

  /// Headers that are valid wherever a condition holds.
  private func impliedHeaders(_ condition: P4Program.Expression) -> [Int] {
    switch condition {
    case .isValid(.header(let header)): return [header]
    case .field(let reference): return field(reference).isValidBit ? [reference.header] : []
    case .unary(.dataToBool, let operand), .unary(.boolToData, let operand):
      return impliedHeaders(operand)
    case .binary(.logicalAnd, let left, let right), .binary(.bitAnd, let left, let right):
      return impliedHeaders(left) + impliedHeaders(right)
    default: return []
    }
  }

  private func compute(
    _ checksum: P4Program.Checksum, _ valid: [Int]
  ) throws(CompileError) -> Number {
    let calculation = try lower(
      program.calculations[checksum.calculation], function: checksum.calculation, known: valid)
    let result = newLane()
    if let bytes = summedBytes(calculation) {
      emit(
        Instruction(
          .checksumBytes, d: result, a: bytes.first, b: bytes.count,
          e: bytes.without ?? Int(Instruction.none)))
    } else {
      code.calculations.append(calculation)
      emit(Instruction(.hash, d: result, c: code.calculations.count - 1))
    }
    return .lane(result)
  }

  /// One range of the header bytes, at most without one word, for an Internet checksum.
  private func summedBytes(
    _ calculation: PipelineCode.CalculationCode
  ) -> (first: Int, count: Int, without: Int?)? {
    let segments = calculation.plan.segments
    guard calculation.algorithm == .csum16, calculation.plan.isFixed, !segments.isEmpty,
      segments.count <= 2
    else { return nil }
    for segment in segments {
      guard segment.kind == .bytes, segment.bits % 16 == 0 else { return nil }
    }
    let first = Int(segments[0].source)
    let count = Int(segments[0].bits) / 8
    guard segments.count == 2 else { return (first, count, nil) }
    guard Int(segments[1].source) == first + count + 2 else { return nil }
    return (first, count + 2 + Int(segments[1].bits) / 8, first + count)
  }
}
