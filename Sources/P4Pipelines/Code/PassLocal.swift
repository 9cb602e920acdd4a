// Within a block: values that are there already are not computed again, and copies of lanes and
// masks are read where they came from.

extension Compilation {
  func reuseValues() {
    for block in reachableOrder() {
      var values = KnownValues()
      for index in blocks[block].instructions.indices {
        var instruction = blocks[block].instructions[index]
        replaceReads(&instruction, &values)
        if instruction.opcode.isReusable {
          if let found = values.find(instruction) {
            let isLane = instruction.opcode.roles.d == .laneWrite
            instruction = Instruction(
              isLane ? .move : .moveMask, d: Int(instruction.d), a: Int(found))
          }
        }
        switch instruction.opcode {
        case .hash:
          var calculation = code.calculations[Int(instruction.c)]
          if forward(&calculation.plan, values) {
            code.calculations.append(calculation)
            instruction.c = UInt32(code.calculations.count - 1)
          }
        case .apply:
          var key = code.tables[Int(instruction.a)].key
          if forward(&key, values) { code.tables[Int(instruction.a)].key = key }
        default: break
        }
        blocks[block].instructions[index] = instruction
        forgetStale(instruction, &values)
        values.note(instruction)
      }
    }
  }

  private func replaceReads(_ instruction: inout Instruction, _ values: inout KnownValues) {
    let roles = instruction.opcode.roles
    func moved(_ role: OperandRole, _ value: UInt32) -> UInt32 {
      switch role {
      case .laneRead: values.source(lane: value)
      case .maskRead: values.source(mask: value)
      default: value
      }
    }
    instruction.a = moved(roles.a, instruction.a)
    instruction.b = moved(roles.b, instruction.b)
    instruction.c = moved(roles.c, instruction.c)
    instruction.e = moved(roles.e, instruction.e)
  }

  private func forgetStale(_ instruction: Instruction, _ values: inout KnownValues) {
    visitRegisters(instruction, read: { _ in }) { register in
      if register < laneCount {
        values.forget(lane: UInt32(register))
      } else if register < laneCount + maskCount {
        values.forget(mask: UInt32(register - laneCount))
      }
    }
    if let written = writtenBits(instruction) {
      values.made.removeAll { made in
        guard let read = readBits(made.instruction) else { return false }
        return read.overlaps(written)
      }
      values.byteCopies.removeAll { copy in
        copy.bits.overlaps(written)
          || (copy.source..<copy.source + copy.bits.count).overlaps(written)
      }
    }
  }

  /// p4c copies every input of a hash, and many keys, to temporaries first. What a plan gathers
  /// from those is gathered where it came from; the copies are then dead.
  private func forward(
    _ plan: inout PipelineCode.GatherPlan, _ values: KnownValues
  ) -> Bool {
    var segments: [PipelineCode.Segment] = []
    var isChanged = false
    for segment in plan.segments {
      switch segment.kind {
      case .lane:
        if let load = values.load(of: segment.source), let bits = readBits(load),
          bits.count <= Int(segment.bits)
        {
          isChanged = true
          if bits.count < Int(segment.bits) {
            var padding = PipelineCode.GatherPlan()
            append(.zero, bits: Int(segment.bits) - bits.count, to: &padding)
            segments += padding.segments
          }
          var forwarded = PipelineCode.Segment(
            .bits, source: bits.lowerBound, bits: bits.count)
          forwarded.guardMask = segment.guardMask
          segments.append(forwarded)
        } else {
          var forwarded = segment
          forwarded.source = values.source(lane: segment.source)
          isChanged = isChanged || forwarded.source != segment.source
          segments.append(forwarded)
        }
      case .mask:
        var forwarded = segment
        forwarded.source = values.source(mask: segment.source)
        isChanged = isChanged || forwarded.source != segment.source
        segments.append(forwarded)
      case .bytes, .bits:
        var forwarded = segment
        if segment.kind == .bytes { forwarded.source *= 8 }
        forwarded.kind = .bits
        let start = Int(forwarded.source)
        if let source = values.source(bits: start..<start + Int(segment.bits)) {
          forwarded.source = UInt32(source)
          isChanged = true
        }
        segments.append(forwarded)
      default: segments.append(segment)
      }
    }
    guard isChanged else { return false }
    plan.segments = segments
    close(&plan)
    return true
  }
}

/// What lanes and masks hold at a point of a block, as instructions that made it.
struct KnownValues {
  struct Made {
    /// With `d` 0.
    var instruction: Instruction
    var result: UInt32
  }
  struct Copy {
    var copy: UInt32
    var source: UInt32
    var isLane: Bool
  }
  /// Bits of the header bytes that hold what starts at `source`.
  struct ByteCopy {
    var bits: Range<Int>
    var source: Int
  }
  var made: [Made] = []
  var copies: [Copy] = []
  var byteCopies: [ByteCopy] = []
  /// Longer lists find little more and take quadratic time.
  static let most = 64

  func find(_ instruction: Instruction) -> UInt32? {
    for entry in made where entry.instruction.isSame(as: instruction) { return entry.result }
    return nil
  }

  func source(lane: UInt32) -> UInt32 {
    for entry in copies where entry.isLane && entry.copy == lane { return entry.source }
    return lane
  }

  func source(mask: UInt32) -> UInt32 {
    for entry in copies where !entry.isLane && entry.copy == mask { return entry.source }
    return mask
  }

  /// Where the same bits stand, too.
  func source(bits: Range<Int>) -> Int? {
    for copy in byteCopies
    where copy.bits.lowerBound <= bits.lowerBound && copy.bits.upperBound >= bits.upperBound {
      return copy.source + bits.lowerBound - copy.bits.lowerBound
    }
    return nil
  }

  /// The load that made what a lane holds.
  func load(of lane: UInt32) -> Instruction? {
    let origin = source(lane: lane)
    for entry in made where entry.instruction.opcode == .loadField && entry.result == origin {
      return entry.instruction
    }
    return nil
  }

  mutating func note(_ instruction: Instruction) {
    switch instruction.opcode {
    case .copyBytes:
      let start = Int(instruction.d) * 8
      let source = Int(instruction.a) * 8
      let count = Int(instruction.b) * 8
      // An overlapping copy has changed its source.
      guard !(source..<source + count).overlaps(start..<start + count) else { return }
      byteCopies.append(ByteCopy(bits: start..<start + count, source: source))
    case .move where instruction.mask == ~0:
      if instruction.d != instruction.a {
        copies.append(Copy(copy: instruction.d, source: instruction.a, isLane: true))
      }
    case .moveMask where instruction.size == 0:
      if instruction.d != instruction.a {
        copies.append(Copy(copy: instruction.d, source: instruction.a, isLane: false))
      }
    default:
      guard instruction.opcode.isReusable, !instruction.readsResult, made.count < Self.most else {
        return
      }
      made.append(Made(instruction: instruction, result: instruction.d))
    }
    if copies.count > Self.most { copies.removeFirst() }
  }

  mutating func forget(lane: UInt32) {
    copies.removeAll { $0.isLane && ($0.copy == lane || $0.source == lane) }
    made.removeAll { $0.instruction.touches(lane, .laneRead, .laneWrite, $0.result) }
  }

  mutating func forget(mask: UInt32) {
    copies.removeAll { !$0.isLane && ($0.copy == mask || $0.source == mask) }
    made.removeAll { $0.instruction.touches(mask, .maskRead, .maskWrite, $0.result) }
  }
}

extension Opcode {
  /// The same operands give the same result, as long as they hold the same.
  fileprivate var isReusable: Bool {
    guard isPure else { return false }
    switch self {
    case .registerRead, .meter, .random, .loadImmediate, .setMask, .hash, .matchValueSet,
      .headersEqual, .variableEqual, .headerLength, .checksumBytes, .maskAtIndex:
      return false
    default: return roles.d == .laneWrite || roles.d == .maskWrite
    }
  }
}

extension Instruction {
  fileprivate func isSame(as other: Instruction) -> Bool {
    opcode == other.opcode && shift == other.shift && size == other.size && a == other.a
      && b == other.b && c == other.c && e == other.e && immediate == other.immediate
      && mask == other.mask
  }

  /// Reads the register that it writes, so that doing it again gives something else.
  fileprivate var readsResult: Bool {
    let roles = opcode.roles
    let kind: OperandRole = roles.d == .laneWrite ? .laneRead : .maskRead
    return (roles.a == kind && a == d) || (roles.b == kind && b == d)
      || (roles.c == kind && c == d)
  }

  fileprivate func touches(
    _ register: UInt32, _ read: OperandRole, _ write: OperandRole, _ result: UInt32
  ) -> Bool {
    let roles = opcode.roles
    return (roles.d == write && result == register) || (roles.a == read && a == register)
      || (roles.b == read && b == register) || (roles.c == read && c == register)
  }
}
