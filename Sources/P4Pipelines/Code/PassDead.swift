// Liveness: which registers still matter where. What only writes others goes, and what matters at
// the start is what a new packet must find zeroed.

extension Compilation {
  /// What the end of each section leaves to be read.
  struct Liveness {
    /// At the start of each block.
    var entries: [BitSet]
    /// At the end of each section.
    var ends: [BitSet]
  }

  /// Requests that occur anywhere.
  struct Requests {
    var cloneIngress = false
    var cloneEgress = false
    var resubmit = false
    var recirculate = false
    var digest = false
    var usesFieldLists: Bool { cloneIngress || cloneEgress || resubmit || recirculate }
  }

  func requests() -> Requests {
    var result = Requests()
    for block in blocks {
      for instruction in block.instructions {
        switch instruction.opcode {
        case .cloneIngress: result.cloneIngress = true
        case .cloneEgress: result.cloneEgress = true
        case .resubmit: result.resubmit = true
        case .recirculate: result.recirculate = true
        case .digest: result.digest = true
        default: break
        }
      }
    }
    return result
  }

  func liveness() -> Liveness {
    let requests = requests()
    let count = registerCount
    var result = Liveness(
      entries: [BitSet](repeating: BitSet(count: count), count: blocks.count),
      ends: [BitSet](repeating: BitSet(count: count), count: SectionKind.allCases.count))
    let order = reachableOrder()
    var isChanged = true
    while isChanged {
      isChanged = false
      let ends = sectionEnds(result, requests)
      if ends != result.ends {
        result.ends = ends
        isChanged = true
      }
      for block in order.reversed() {
        var live = BitSet(count: count)
        visitSuccessors(block) { live.formUnion(result.entries[$0]) }
        let end = result.ends[blocks[block].section.rawValue]
        for instruction in blocks[block].instructions.reversed() {
          step(instruction, &live, end: end)
        }
        if live != result.entries[block] {
          result.entries[block] = live
          isChanged = true
        }
      }
    }
    return result
  }

  /// From after an instruction to before it. `end`: what matters at the end of the section.
  func step(_ instruction: Instruction, _ live: inout BitSet, end: BitSet) {
    if instruction.opcode == .finish { live.formUnion(end) }
    var next = live
    visitRegisters(instruction, read: { _ in }, write: { next.remove($0) })
    if instruction.opcode.canFail {
      // A failed packet goes on after the parser, with cursor and error just written.
      var failed = end
      failed.remove(register(lane: cursorLane))
      if let parserErrorLane { failed.remove(register(lane: parserErrorLane)) }
      next.formUnion(failed)
    }
    visitRegisters(instruction, read: { next.insert($0) }, write: { _ in })
    live = next
  }

  private func sectionEnds(_ known: Liveness, _ requests: Requests) -> [BitSet] {
    func entry(_ section: SectionKind) -> BitSet { known.entries[entries[section.rawValue]] }
    var ends = [BitSet](
      repeating: BitSet(count: registerCount), count: SectionKind.allCases.count)
    func add(_ section: SectionKind, _ other: BitSet) { ends[section.rawValue].formUnion(other) }
    func add(_ section: SectionKind, _ place: PipelineCode.FieldPlace?) {
      if let place { visit(place) { ends[section.rawValue].insert($0) } }
    }
    let all = SectionKind.allCases
    for section in all { ends[section.rawValue].insert(register(lane: cursorLane)) }
    add(.parser, entry(.verify))
    add(.verify, entry(.ingress))
    add(.ingress, entry(.egress))
    add(.egress, entry(.update))
    if requests.cloneIngress {
      // A clone of the ingress packet is parsed and goes straight to egress.
      add(.parser, entry(.egress))
      add(.verify, entry(.egress))
    }
    if requests.cloneEgress { add(.egress, entry(.egress)) }
    add(.ingress, place(of: .egressSpec))
    // What no statement ever sets is zero, and the switch need not look.
    for field in [StandardField.multicastGroup, .priority] {
      if let place = place(of: field), isWritten(place, requests) { add(.ingress, place) }
    }
    add(.egress, place(of: .egressSpec))
    if requests.usesFieldLists {
      for list in code.fieldLists {
        for place in list.fields {
          add(.ingress, place)
          add(.egress, place)
        }
      }
    }
    if requests.digest {
      for list in code.learnLists {
        visit(list.plan) { ends[SectionKind.ingress.rawValue].insert($0) }
      }
    }
    // packet_length of egress is made from the length register.
    if let place = place(of: .packetLength), readsEgressLength(known, place) {
      ends[SectionKind.ingress.rawValue].insert(register(lane: lengthLane))
      if requests.cloneEgress {
        ends[SectionKind.egress.rawValue].insert(register(lane: lengthLane))
      }
    }
    // The deparser.
    for header in program.deparserOrder {
      ends[SectionKind.update.rawValue].insert(register(mask: header))
      add(.update, .variable(header: UInt32(header)))
    }
    return ends
  }

  /// By a statement, or by a field list that is put back.
  func isWritten(_ place: PipelineCode.FieldPlace, _ requests: Requests) -> Bool {
    var wanted: Int?
    visit(place) { wanted = $0 }
    guard let wanted else { return false }
    if requests.usesFieldLists {
      for list in code.fieldLists {
        for place in list.fields {
          var isSame = false
          visit(place) { if $0 == wanted { isSame = true } }
          if isSame { return true }
        }
      }
    }
    for block in blocks {
      for instruction in block.instructions {
        var isWriter = false
        visitRegisters(
          instruction, read: { _ in }, write: { if $0 == wanted { isWriter = true } })
        if isWriter { return true }
      }
    }
    return false
  }

  private func readsEgressLength(
    _ known: Liveness, _ place: PipelineCode.FieldPlace
  ) -> Bool {
    var result = false
    visit(place) {
      if known.entries[entries[SectionKind.egress.rawValue]].contains($0) { result = true }
    }
    return result
  }

  /// A store to wide metadata, which is dead when the field is.
  private func writesWideFieldOnly(_ instruction: Instruction) -> Bool {
    switch instruction.opcode {
    case .copyBytes, .zeroBytes, .wideStore:
      guard let written = writtenBits(instruction) else { return false }
      return wideFields.contains {
        $0.lowerBound <= written.lowerBound && $0.upperBound >= written.upperBound
      }
    default: return false
    }
  }

  /// Removes instructions whose results nobody reads.
  func removeDead() {
    let live = liveness()
    for block in reachableOrder() {
      var after = BitSet(count: registerCount)
      visitSuccessors(block) { after.formUnion(live.entries[$0]) }
      let end = live.ends[blocks[block].section.rawValue]
      var instructions: [Instruction] = []
      var marks: [PipelineCode.Mark] = []
      for index in blocks[block].instructions.indices.reversed() {
        var instruction = blocks[block].instructions[index]
        if instruction.opcode.isPure || writesWideFieldOnly(instruction) {
          var isWanted = false
          visitRegisters(
            instruction, read: { _ in }, write: { if after.contains($0) { isWanted = true } })
          if !isWanted { continue }
        }
        if instruction.isSelfMove { continue }
        // A length register that nobody asks for.
        if instruction.opcode == .setValid || instruction.opcode == .setInvalid,
          instruction.c != Instruction.none, !after.contains(register(lane: Int(instruction.c)))
        {
          instruction.c = Instruction.none
        }
        if instruction.opcode == .apply {
          let table = Int(instruction.a)
          let hit = code.tables[table].hitMask
          if hit != Instruction.none, !after.contains(register(mask: Int(hit))) {
            code.tables[table].hitMask = Instruction.none
          }
        }
        step(instruction, &after, end: end)
        instructions.append(instruction)
        marks.append(blocks[block].marks[index])
      }
      blocks[block].instructions = instructions.reversed()
      blocks[block].marks = marks.reversed()
    }
  }
}

extension Instruction {
  /// A copy of a register to itself.
  fileprivate var isSelfMove: Bool {
    switch opcode {
    case .move: d == a && mask == ~0
    case .moveMask: d == a && size == 0
    default: false
    }
  }
}
