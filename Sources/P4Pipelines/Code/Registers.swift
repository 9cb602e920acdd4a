// Lanes, masks and wide numbers in one numbering, so that passes need to know of one kind only.

/// A set of registers, or of blocks.
struct BitSet: Equatable {
  private(set) var words: [UInt64]

  init(count: Int) { words = [UInt64](repeating: 0, count: (count + 63) / 64) }

  func contains(_ index: Int) -> Bool { words[index / 64] >> UInt64(index % 64) & 1 == 1 }
  mutating func insert(_ index: Int) { words[index / 64] |= 1 << UInt64(index % 64) }
  mutating func remove(_ index: Int) { words[index / 64] &= ~(1 << UInt64(index % 64)) }

  mutating func formUnion(_ other: BitSet) {
    for index in words.indices { words[index] |= other.words[index] }
  }

  func forEach(_ body: (Int) -> Void) {
    for (index, word) in words.enumerated() {
      var rest = word
      while rest != 0 {
        body(index * 64 + rest.trailingZeroBitCount)
        rest &= rest - 1
      }
    }
  }
}

extension Compilation {
  var registerCount: Int { laneCount + maskCount + wideCount + wideFields.count }
  func register(lane: Int) -> Int { lane }
  func register(mask: Int) -> Int { laneCount + mask }
  func register(wide: Int) -> Int { laneCount + maskCount + wide }
  /// Wide metadata count as registers, too, though they live in the header bytes.
  func register(wideField: Int) -> Int { laneCount + maskCount + wideCount + wideField }

  private func visit(
    _ role: OperandRole, _ value: UInt32, read: (Int) -> Void, write: (Int) -> Void
  ) {
    guard value != Instruction.none else { return }
    let index = Int(value)
    switch role {
    case .none, .block: return
    case .laneRead: read(register(lane: index))
    case .laneWrite: write(register(lane: index))
    case .laneUpdate:
      read(register(lane: index))
      write(register(lane: index))
    case .maskRead: read(register(mask: index))
    case .maskWrite: write(register(mask: index))
    case .wideRead: read(register(wide: index))
    case .wideWrite: write(register(wide: index))
    case .wideUpdate:
      read(register(wide: index))
      write(register(wide: index))
    }
  }

  /// All registers that an instruction reads and writes, those included that its descriptors name.
  /// A register of which it may keep the old value counts as read, too.
  func visitRegisters(
    _ instruction: Instruction, read: (Int) -> Void, write: (Int) -> Void
  ) {
    let roles = instruction.opcode.roles
    // A register read within its bounds replaces its target.
    let replaces = instruction.opcode == .registerRead && instruction.size == 1
    visit(
      replaces ? .laneWrite : roles.d, instruction.d, read: read, write: write)
    visit(roles.a, instruction.a, read: read, write: write)
    visit(roles.b, instruction.b, read: read, write: write)
    visit(roles.c, instruction.c, read: read, write: write)
    visit(roles.e, instruction.e, read: read, write: write)
    visitWideFields(instruction, read: read, write: write)
    let a = Int(instruction.a)
    switch instruction.opcode {
    case .apply: visitTable(a, read: read, write: write)
    case .setValid, .setInvalid:
      update(mask: a, read, write)
      variable(a, read, write)
    case .copyHeader:
      let d = Int(instruction.d)
      read(register(mask: a))
      write(register(mask: d))
      variable(a, read) { _ in }
      variable(d, read, write)
    case .pushStack, .popStack:
      let stack = code.stacks[a]
      for header in stack.headers {
        update(mask: Int(header), read, write)
        variable(Int(header), read, write)
      }
      read(register(lane: Int(stack.nextLane)))
      write(register(lane: Int(stack.nextLane)))
    case .headersEqual:
      for header in [a, Int(instruction.b)] {
        read(register(mask: header))
        variable(header, read) { _ in }
      }
    case .variableEqual:
      variable(a, read) { _ in }
      variable(Int(instruction.b), read) { _ in }
    case .copyVariable:
      variable(a, read) { _ in }
      variable(Int(instruction.d), { _ in }, write)
    case .maskAtIndex:
      for index in 0..<Int(instruction.e) {
        read(register(mask: Int(instruction.b) + index * Int(instruction.c)))
      }
    case .extract: write(register(mask: a))
    case .extractVariable:
      write(register(mask: a))
      variable(a, { _ in }, write)
    case .extractRun:
      for index in 0..<Int(instruction.b) {
        write(register(mask: Int(code.runHeaders[a + index])))
      }
    case .extractNext:
      let stack = code.stacks[a]
      for header in stack.headers { update(mask: Int(header), read, write) }
      read(register(lane: Int(stack.nextLane)))
      write(register(lane: Int(stack.nextLane)))
    case .headerLength: variable(a, read) { _ in }
    case .matchValueSet: visit(code.plans[Int(instruction.b)], read: read)
    case .hash: visit(code.calculations[Int(instruction.c)].plan, read: read)
    case .log:
      for lane in code.logs[a].arguments { read(register(lane: Int(lane))) }
    default: break
    }
  }

  private func visitWideFields(
    _ instruction: Instruction, read: (Int) -> Void, write: (Int) -> Void
  ) {
    guard !wideFields.isEmpty else { return }
    // Copies read bytes, too, without being a load that passes would move.
    let source = Int(instruction.a) * 8
    switch instruction.opcode {
    case .copyBytes: readWideFields(source..<source + Int(instruction.b) * 8, read)
    case .hash, .matchValueSet: break
    default: if let bits = readBits(instruction) { readWideFields(bits, read) }
    }
    if let written = writtenBits(instruction) {
      for (index, field) in wideFields.enumerated() where field.overlaps(written) {
        // A part of it leaves the rest.
        if !(written.lowerBound <= field.lowerBound && written.upperBound >= field.upperBound) {
          read(register(wideField: index))
        }
        write(register(wideField: index))
      }
    }
  }

  private func readWideFields(_ bits: Range<Int>, _ read: (Int) -> Void) {
    for (index, field) in wideFields.enumerated() where field.overlaps(bits) {
      read(register(wideField: index))
    }
  }

  private func update(mask: Int, _ read: (Int) -> Void, _ write: (Int) -> Void) {
    read(register(mask: mask))
    write(register(mask: mask))
  }

  private func variable(_ header: Int, _ read: (Int) -> Void, _ write: (Int) -> Void) {
    let lane = code.headers[header].lengthLane
    guard lane != Instruction.none else { return }
    read(register(lane: Int(lane)))
    write(register(lane: Int(lane)))
  }

  private func visitTable(_ index: Int, read: (Int) -> Void, write: (Int) -> Void) {
    let table = code.tables[index]
    visit(table.key, read: read)
    if let selector = table.selector { visit(selector.plan, read: read) }
    write(register(lane: Int(table.recordLane)))
    if table.hitMask != Instruction.none { write(register(mask: Int(table.hitMask))) }
    if let place = table.meterResult {
      visit(place) {
        read($0)
        write($0)
      }
    }
  }

  /// The registers that a plan reads.
  func visit(_ plan: PipelineCode.GatherPlan, read: (Int) -> Void) {
    for segment in plan.segments {
      if segment.guardMask != Instruction.none {
        read(register(mask: Int(segment.guardMask)))
      }
      switch segment.kind {
      case .lane: read(register(lane: Int(segment.source)))
      case .mask: read(register(mask: Int(segment.source)))
      case .wide: read(register(wide: Int(segment.source)))
      case .header, .variable: variable(Int(segment.source), read) { _ in }
      case .payload: read(register(lane: cursorLane))
      case .bits:
        let start = Int(segment.source)
        readWideFields(start..<start + Int(segment.bits), read)
      case .bytes, .field:
        let start = Int(segment.source) * 8
        readWideFields(start..<start + max(64, Int(segment.bits)), read)
      case .constant: break
      }
    }
  }

  /// The register of a place, when it is in one.
  func visit(_ place: PipelineCode.FieldPlace, _ body: (Int) -> Void) {
    switch place {
    case .lane(let lane, _): body(register(lane: Int(lane)))
    case .mask(let mask): body(register(mask: Int(mask)))
    case .variable(let header):
      let lane = code.headers[Int(header)].lengthLane
      if lane != Instruction.none { body(register(lane: Int(lane))) }
    case .bytes(let bit, let width):
      if width > 64 { readWideFields(bit..<bit + width, body) }
    case .nowhere: break
    }
  }
}
