import DPUCore

// Plans that put bytes together: table keys, value set keys, digests, inputs of calculations.

extension Compilation {
  /// Adds the value of an expression in `bits` bits, with zeros before its `width` bits.
  /// `guarded`: a field of an invalid header counts as zero, as in table keys. `mask` is anded.
  func append(
    _ expression: P4Program.Expression, bits: Int, width: Int, guarded: Bool = false,
    hasCode: Bool = false, mask: WideInteger? = nil,
    to plan: inout PipelineCode.GatherPlan
  ) throws(CompileError) {
    if let mask, mask.truncated(to: width) != .ones(width) {
      let masked = P4Program.Expression.binary(.bitAnd, expression, .constant(mask))
      return try appendValue(masked, bits: bits, width: width, hasCode: hasCode, to: &plan)
    }
    if let value = constant(expression) {
      return append(value, bits: bits, to: &plan)
    }
    if case .field(let reference) = expression {
      let header = program.headers[reference.header]
      let isGuarded = guarded && !header.isMetadata && !field(reference).isValidBit
      return append(
        place(of: reference), bits: bits, guard: isGuarded ? UInt32(reference.header) : nil,
        to: &plan)
    }
    if case .isValid(.header(let header)) = expression, !program.headers[header].isMetadata {
      return append(.mask(UInt32(header)), bits: bits, guard: nil, to: &plan)
    }
    if hasCode, case .unary(.boolToData, let test) = expression,
      case .mask(let mask) = try condition(test)
    {
      return append(.mask(UInt32(mask)), bits: bits, guard: nil, to: &plan)
    }
    try appendValue(expression, bits: bits, width: width, hasCode: hasCode, to: &plan)
  }

  /// A value that is computed before.
  private func appendValue(
    _ expression: P4Program.Expression, bits: Int, width: Int, hasCode: Bool,
    to plan: inout PipelineCode.GatherPlan
  ) throws(CompileError) {
    guard hasCode else { throw failure("an expression where only fields and constants can be") }
    if width <= 64 {
      let value = lane(try cut(expression, to: width))
      plan.segments.append(PipelineCode.Segment(.lane, source: value, bits: bits))
      return
    }
    pad(bits - width, &plan)
    let value = try wideNumber(expression, bits: width)
    plan.segments.append(PipelineCode.Segment(.wide, source: value, bits: width))
  }

  func append(_ value: WideInteger, bits: Int, to plan: inout PipelineCode.GatherPlan) {
    let source = code.constantBytes.count
    // Left-aligned: the first bit is the highest of the first byte.
    let bytes = (bits + 7) / 8
    let shifted = value.truncated(to: bits) << (bytes * 8 - bits)
    for index in (0..<bytes).reversed() {
      let word = shifted.word(index / 8)
      code.constantBytes.append(UInt8(truncatingIfNeeded: word >> UInt64(index % 8 * 8)))
    }
    plan.segments.append(PipelineCode.Segment(.constant, source: source, bits: bits))
  }

  private func pad(_ bits: Int, _ plan: inout PipelineCode.GatherPlan) {
    if bits > 0 { append(.zero, bits: bits, to: &plan) }
  }

  func append(
    _ place: PipelineCode.FieldPlace, bits: Int, guard guardMask: UInt32?,
    to plan: inout PipelineCode.GatherPlan
  ) {
    var segment: PipelineCode.Segment
    switch place {
    case .lane(let lane, _):
      segment = PipelineCode.Segment(.lane, source: Int(lane), bits: bits)
    case .mask(let mask):
      segment = PipelineCode.Segment(.mask, source: Int(mask), bits: bits)
    case .bytes(let bit, let width):
      pad(bits - width, &plan)
      segment = PipelineCode.Segment(.bits, source: bit, bits: width)
    case .variable(let header):
      segment = PipelineCode.Segment(.variable, source: Int(header), bits: bits)
      plan.isFixed = false
    case .nowhere: return pad(bits, &plan)
    }
    if let guardMask { segment.guardMask = guardMask }
    plan.segments.append(segment)
  }

  /// Joins what stands side by side, picks the fastest kind of each piece and gives positions.
  func close(_ plan: inout PipelineCode.GatherPlan) {
    var joined: [PipelineCode.Segment] = []
    for segment in plan.segments {
      if let last = joined.last, last.kind == .bits, segment.kind == .bits,
        last.guardMask == segment.guardMask, last.source + last.bits == segment.source
      {
        joined[joined.count - 1].bits += segment.bits
      } else {
        joined.append(segment)
      }
    }
    var at = 0
    for index in joined.indices {
      let segment = joined[index]
      joined[index].at = UInt32(at)
      if segment.kind == .bits {
        joined[index] = simplest(segment, at: at, isFixed: plan.isFixed)
      }
      at += Int(segment.bits)
    }
    // Padding before a field of no whole bytes is part of the value.
    var merged: [PipelineCode.Segment] = []
    for segment in joined {
      if let last = merged.last, last.kind == .constant, last.bits < 8, segment.kind == .field,
        code.constantBytes[Int(last.source)] == 0, plan.isFixed,
        Int(last.bits) + Int(segment.bits) <= 64
      {
        var wider = segment
        wider.bits += last.bits
        wider.at = last.at
        merged[merged.count - 1] = wider
      } else {
        merged.append(segment)
      }
    }
    plan.segments = merged
    plan.bytes = (at + 7) / 8
  }

  private func simplest(
    _ segment: PipelineCode.Segment, at: Int, isFixed: Bool
  ) -> PipelineCode.Segment {
    var result = segment
    result.at = UInt32(at)
    let bit = Int(segment.source)
    let count = Int(segment.bits)
    if bit % 8 == 0, count % 8 == 0, at % 8 == 0 {
      result.kind = .bytes
      result.source = UInt32(bit / 8)
    } else if bit % 8 + count <= 64 {
      result.kind = .field
      result.source = UInt32(bit / 8)
      result.shift = UInt8(64 - bit % 8 - count)
      result.mask = Self.ones(count)
    }
    return result
  }

  // MARK: Calculations

  func lowerCalculations() throws(CompileError) {
    for (index, calculation) in program.calculations.enumerated() {
      code.calculations.append(try lower(calculation, function: index))
    }
  }

  /// The input bits of a calculation; fields of invalid headers are left out. Those of `known`
  /// are valid wherever it is computed.
  func lower(
    _ calculation: P4Program.Calculation, function: Int, known: [Int] = []
  ) throws(CompileError) -> PipelineCode.CalculationCode {
    var plan = PipelineCode.GatherPlan()
    var hasPayload = false
    for input in calculation.inputs {
      switch input {
      case .field(let reference):
        append(
          place(of: reference), bits: width(of: reference),
          guard: presence(reference.header, known), to: &plan)
      case .indirectField(let reference, let index):
        guard case .header(let header)? = fixedTarget(reference) else {
          throw CompileError(calculation.name, "a calculation over headers found at run time")
        }
        let field = P4Program.FieldReference(header: header, field: index)
        append(
          place(of: field), bits: width(of: field), guard: presence(header, known), to: &plan)
      case .header(let header):
        append(header: header, guard: presence(header, known), to: &plan)
      case .constant(let value, let width): append(value, bits: width, to: &plan)
      case .payload:
        hasPayload = true
        plan.segments.append(PipelineCode.Segment(.payload, source: 0, bits: 0))
        plan.isFixed = false
      }
    }
    for segment in plan.segments where segment.guardMask != Instruction.none {
      plan.isFixed = false
    }
    close(&plan)
    var result = PipelineCode.CalculationCode(
      algorithm: calculation.algorithm, plan: plan, function: function)
    result.hasPayload = hasPayload
    return result
  }

  private func presence(_ header: Int, _ known: [Int]) -> UInt32? {
    program.headers[header].isMetadata || known.contains(header) ? nil : UInt32(header)
  }

  private func append(
    header: Int, guard guardMask: UInt32?, to plan: inout PipelineCode.GatherPlan
  ) {
    let layout = code.headers[header]
    if program.headers[header].isMetadata {
      for (index, field) in program.headers[header].fields.enumerated() where !field.isValidBit {
        let reference = P4Program.FieldReference(header: header, field: index)
        append(place(of: reference), bits: field.width, guard: nil, to: &plan)
      }
      return
    }
    var segment: PipelineCode.Segment
    if layout.variableBits > 0 {
      segment = PipelineCode.Segment(.header, source: header, bits: Int(layout.bytes) * 8)
      plan.isFixed = false
    } else {
      segment = PipelineCode.Segment(
        .bits, source: Int(layout.offset) * 8, bits: Int(layout.bytes) * 8)
    }
    if let guardMask { segment.guardMask = guardMask }
    plan.segments.append(segment)
  }

  private func fixedTarget(_ reference: P4Program.HeaderReference) -> HeaderTarget? {
    switch reference {
    case .header(let header): return .header(header)
    case .stackElement(let stack, let index):
      guard let value = constant(index)?.exactInt else { return nil }
      let headers = column(of: stack, member: 0)
      return headers.indices.contains(value) ? .header(headers[value]) : nil
    default: return nil
    }
  }
}
