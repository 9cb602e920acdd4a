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
    }
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
  var made: [Made] = []
  var copies: [Copy] = []
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

  mutating func note(_ instruction: Instruction) {
    switch instruction.opcode {
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
