import DPUCore

// Where everything of a packet's state lives.

extension Compilation {
  func layOut() throws(CompileError) {
    layOutMasks()
    layOutLanes()
    try layOutHeaders()
    layOutStacks()
    try nameFieldLists()
  }

  /// Validity of header h is mask register h.
  private func layOutMasks() {
    for header in program.headers {
      maskNames.append("\(header.name).$valid$")
    }
    maskCount = program.headers.count
  }

  private func layOutLanes() {
    cursorLane = namedLane("$cursor")
    lengthLane = namedLane("$length")
    for header in program.headers {
      var fields: [PipelineCode.FieldPlace] = []
      for field in header.fields {
        guard header.isMetadata, field.width <= 64, !field.isValidBit else {
          // Filled in by the layout of the header bytes.
          fields.append(.nowhere(width: field.width))
          continue
        }
        let name: Text = "\(header.name).\(field.name)"
        if field.width == 1, !field.isSigned {
          fields.append(.mask(UInt32(maskCount)))
          maskNames.append(name)
          maskCount += 1
        } else {
          fields.append(.lane(UInt32(namedLane(name)), width: field.width))
        }
      }
      places.append(fields)
    }
    code.metadataMasks = program.headers.count..<maskCount
    stateMasks = maskCount
    if case .lane(let lane, _)? = place(of: .parserError) { parserErrorLane = Int(lane) }
  }

  private func namedLane(_ name: Text) -> Int {
    laneNames.append(name)
    return newLane()
  }

  /// The place of a field of standard metadata, when the program has it.
  func place(of standard: StandardField) -> PipelineCode.FieldPlace? {
    guard let field = reference(to: standard) else { return nil }
    return places[field.header][field.field]
  }

  func reference(to standard: StandardField) -> P4Program.FieldReference? {
    let name = Text(stringLiteral: standard.name)
    let header = program.standardMetadata
    guard header < program.headers.count else { return nil }
    for (index, field) in program.headers[header].fields.enumerated() where field.name == name {
      return P4Program.FieldReference(header: header, field: index)
    }
    // Old programs keep some of these elsewhere and give them an alias.
    for alias in program.aliases where alias.alias.ends(with: name) { return alias.field }
    return nil
  }

  // MARK: Header bytes

  private func layOutHeaders() throws(CompileError) {
    code.headers = [PipelineCode.HeaderCode](
      repeating: PipelineCode.HeaderCode(), count: program.headers.count)
    var next = 0
    // Headers that are extracted one after the other lie one after the other, so that a run of
    // extracts is one copy.
    for header in extractionOrder() {
      try placeHeader(header, at: &next)
    }
    for (header, description) in program.headers.enumerated() where description.isMetadata {
      code.headers[header].isMetadata = true
      for (index, field) in description.fields.enumerated()
      where field.width > 64 && !field.isValidBit {
        let bytes = (field.width + 7) / 8
        let bit = next * 8 + bytes * 8 - field.width
        places[header][index] = .bytes(bit: bit, width: field.width)
        wideFields.append(bit..<bit + field.width)
        next += bytes
      }
    }
    code.usedHeaderBytes = next
    code.headerBytes = (next + 16 + 63) / 64 * 64
    guard code.headerBytes <= CodeLimits.headerBytes else {
      throw CompileError(
        "", "headers take \(next) bytes, more than \(CodeLimits.headerBytes)")
    }
  }

  private func placeHeader(_ header: Int, at next: inout Int) throws(CompileError) {
    let description = program.headers[header]
    var layout = PipelineCode.HeaderCode()
    layout.offset = UInt32(next)
    layout.bytes = UInt32((description.width + 7) / 8)
    if let union = description.union { layout.union = UInt32(union) }
    for (index, field) in description.fields.enumerated() where !field.isValidBit {
      if field.isVariable {
        guard field.offset % 8 == 0, field.width % 8 == 0 else {
          throw CompileError(
            description.name, "a varbit field that does not start and end at a byte")
        }
        layout.variableBit = UInt32(field.offset)
        layout.variableBits = UInt32(field.width)
        layout.lengthLane = UInt32(namedLane("\(description.name).\(field.name).$bits"))
        places[header][index] = .variable(header: UInt32(header))
      } else {
        places[header][index] = .bytes(bit: next * 8 + field.offset, width: field.width)
      }
    }
    code.headers[header] = layout
    next += Int(layout.bytes)
  }

  /// All headers that are no metadata: in the order in which the parser comes to them, a stack
  /// whole as soon as one element is met.
  private func extractionOrder() -> [Int] {
    var order: [Int] = []
    var isPlaced = [Bool](repeating: false, count: program.headers.count)
    func place(_ header: Int) {
      guard !isPlaced[header], !program.headers[header].isMetadata else { return }
      isPlaced[header] = true
      order.append(header)
    }
    func placeStack(_ stack: Int) {
      for element in program.stacks[stack].elements { place(element) }
    }
    func placeUnionStack(_ stack: Int) {
      for union in program.unionStacks[stack].elements {
        for member in program.unions[union].members { place(member) }
      }
    }
    func place(_ reference: P4Program.HeaderReference) {
      switch reference {
      case .header(let header):
        if let stack = program.headers[header].stack {
          placeStack(stack)
        } else if let union = program.headers[header].union,
          let stack = program.unions[union].stack
        {
          placeUnionStack(stack)
        } else {
          place(header)
        }
      case .stackNext(let stack), .stackLast(let stack), .stackElement(let stack, _):
        placeStack(stack)
      case .unionStackNext(let stack, _), .unionStackLast(let stack, _),
        .unionStackElement(let stack, _, _):
        placeUnionStack(stack)
      }
    }
    var isSeen = [Bool](repeating: false, count: program.states.count)
    var waiting = program.states.isEmpty ? [] : [program.startState]
    while let state = waiting.popLast() {
      guard !isSeen[state] else { continue }
      isSeen[state] = true
      for operation in program.states[state].operations {
        switch operation {
        case .extract(let reference), .extractVariable(let reference, _): place(reference)
        default: break
        }
      }
      // The first transition is followed first, so that the likeliest path is in one piece.
      for transition in program.states[state].transitions.reversed() {
        if case .state(let next) = transition.next { waiting.append(next) }
      }
    }
    for stack in program.stacks.indices { placeStack(stack) }
    for stack in program.unionStacks.indices { placeUnionStack(stack) }
    for header in program.headers.indices { place(header) }
    return order
  }

  // MARK: Stacks and unions

  /// Stacks of headers first, then stacks of unions.
  private func layOutStacks() {
    for stack in program.stacks {
      var layout = PipelineCode.StackCode()
      layout.count = UInt32(stack.elements.count)
      layout.headers = stack.elements.map { UInt32($0) }
      layout.nextLane = UInt32(namedLane("\(stack.name).$next"))
      code.stacks.append(layout)
    }
    for stack in program.unionStacks {
      var layout = PipelineCode.StackCode()
      layout.count = UInt32(stack.elements.count)
      for union in stack.elements {
        layout.members = UInt32(program.unions[union].members.count)
        layout.headers += program.unions[union].members.map { UInt32($0) }
      }
      layout.nextLane = UInt32(namedLane("\(stack.name).$next"))
      code.stacks.append(layout)
    }
    for union in program.unions {
      var layout = PipelineCode.UnionCode()
      layout.members = union.members.map { UInt32($0) }
      code.unions.append(layout)
    }
    stateLanes = laneCount
    parser.next = [Int?](repeating: nil, count: code.stacks.count)
  }

  func stackCode(union stack: Int) -> Int { program.stacks.count + stack }

  // MARK: Field lists

  private func nameFieldLists() throws(CompileError) {
    for list in program.fieldLists {
      var layout = PipelineCode.FieldListCode(id: list.id)
      for field in list.fields {
        let place = self.place(of: field)
        layout.fields.append(place)
        layout.bytes += (width(of: field) + 7) / 8
      }
      code.fieldLists.append(layout)
    }
    for list in program.learnLists {
      var layout = PipelineCode.LearnListCode(id: list.id)
      mark = PipelineCode.Mark()
      for element in list.elements {
        let bits = (element.width + 7) / 8 * 8
        try append(element.value, bits: bits, width: element.width, to: &layout.plan)
        layout.widths.append(element.width)
      }
      close(&layout.plan)
      code.learnLists.append(layout)
    }
  }

  func field(_ reference: P4Program.FieldReference) -> P4Program.Field {
    program.headers[reference.header].fields[reference.field]
  }

  func width(of reference: P4Program.FieldReference) -> Int { field(reference).width }

  func place(of reference: P4Program.FieldReference) -> PipelineCode.FieldPlace {
    if field(reference).isValidBit { return .mask(UInt32(reference.header)) }
    return places[reference.header][reference.field]
  }
}

extension Text {
  /// "intrinsic_metadata.mcast_grp" ends with "mcast_grp", after a dot.
  func ends(with name: Text) -> Bool {
    let start = bytes.count - name.bytes.count
    guard start > 0, bytes[start - 1] == UInt8(ascii: ".") else { return false }
    for index in name.bytes.indices where bytes[start + index] != name.bytes[index] {
      return false
    }
    return true
  }
}
