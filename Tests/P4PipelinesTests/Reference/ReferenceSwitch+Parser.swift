import P4Pipelines

extension ReferenceSwitch {
  /// Ends parsing; what was extracted stays.
  private struct ParserFailure: Error { var code: Int }

  private enum Outcome {
    case next(P4Program.Successor)
    case failed(Int)
  }

  func parse(_ packet: inout ReferencePacket) throws(Unspecified) {
    var cursor = 0
    var error = self.error("NoError")
    var successor = P4Program.Successor.state(program.startState)
    var steps = 0
    while case .state(let index) = successor {
      steps += 1
      if steps > 2_000 { throw Unspecified() }
      switch try step(program.states[index], &packet, &cursor) {
      case .next(let state): successor = state
      case .failed(let code):
        error = code
        successor = .accept
      }
    }
    packet.data.removeFirst(cursor)
    var isWrong = false
    for checksum in program.checksums
    where checksum.verify && packet.isValid[checksum.target.header] {
      if let condition = checksum.condition, try !truth(condition, packet) { continue }
      let value = try hash(program.calculations[checksum.calculation], packet)
      if WideInteger(value) != packet[checksum.target] { isWrong = true }
    }
    packet.setStandard("parser_error", error)
    packet.setStandard("checksum_error", isWrong ? 1 : 0)
  }

  private func error(_ name: String) -> Int {
    Int(program.errors.first { $0.name.string == name }?.value ?? 0)
  }

  private func step(
    _ state: P4Program.ParserState, _ packet: inout ReferencePacket, _ cursor: inout Int
  ) throws(Unspecified) -> Outcome {
    for operation in state.operations {
      if let code = try perform(operation, &packet, &cursor) { return .failed(code) }
    }
    if state.key.isEmpty {
      for transition in state.transitions {
        if case .anything = transition.match { return .next(transition.next) }
      }
      return .next(.accept)
    }
    var key: [UInt8] = []
    for part in state.key {
      if case .lookahead(let offset, let width) = part.value {
        if packet.data.count - cursor < offset / 8 + (width + 7) / 8 {
          return .failed(error("PacketTooShort"))
        }
        if packet.data.count - cursor < (offset + width + 7) / 8 { throw Unspecified() }
      }
      let value = try number(part.value, packet, cursor: cursor).truncated(to: part.width)
      key += value.bigEndianBytes(width: part.width)
    }
    for transition in state.transitions {
      switch transition.match {
      case .anything: return .next(transition.next)
      case .value(let value, let mask):
        let matches = key.indices.allSatisfy {
          (key[$0] ^ value[$0]) & (mask?[$0] ?? 0xff) == 0
        }
        if matches { return .next(transition.next) }
      case .valueSet: break
      }
    }
    return .next(.accept)
  }

  /// The error that ends parsing, nil to go on.
  private func perform(
    _ operation: P4Program.ParserOperation, _ packet: inout ReferencePacket, _ cursor: inout Int
  ) throws(Unspecified) -> Int? {
    let left = packet.data.count - cursor
    switch operation {
    case .extract(let reference):
      guard let header = target(of: reference, packet) else { return error("StackOutOfBounds") }
      let count = program.headers[header].width / 8
      if left < count { return error("PacketTooShort") }
      read(header, &packet, &cursor, bits: 0)
      push(reference, &packet)
    case .extractVariable(let reference, let expression):
      guard let header = target(of: reference, packet) else { return error("StackOutOfBounds") }
      guard let bits = try number(expression, packet, cursor: cursor).exactInt, bits >= 0,
        bits < 1 << 31
      else { throw Unspecified() }
      if bits % 8 != 0 { return error("ParserInvalidArgument") }
      let field = program.headers[header].variableField!
      let maximum = program.headers[header].fields[field].width
      // BMv2 counts the varbit as it was left by an earlier packet part; that is zero here.
      let fixed = program.headers[header].width - maximum
      if left < (fixed + bits) / 8 { return error("PacketTooShort") }
      if bits > maximum { return error("HeaderTooShort") }
      read(header, &packet, &cursor, bits: bits)
      push(reference, &packet)
    case .set(let destination, let value):
      if case .lookahead(let offset, let width) = value {
        if left < (width + 7) / 8 { return error("PacketTooShort") }
        if left < (offset + width + 7) / 8 { throw Unspecified() }
      }
      packet[try field(destination, packet)] = try number(value, packet, cursor: cursor)
    case .verify(let condition, let code):
      if try !truth(condition, packet) { return try number(code, packet).exactInt ?? 0 }
    case .advance(let expression):
      guard let bits = try number(expression, packet, cursor: cursor).exactInt, bits >= 0 else {
        throw Unspecified()
      }
      if bits % 8 != 0 { return error("ParserInvalidArgument") }
      if left < bits / 8 { return error("PacketTooShort") }
      cursor += bits / 8
    case .shift(let bytes):
      if left < bytes { return error("PacketTooShort") }
      cursor += bytes
    case .primitive(let primitive): try run([primitive], [], &packet)
    }
    return nil
  }

  /// The header that an extraction fills; nil when the stack is full.
  private func target(
    of reference: P4Program.HeaderReference, _ packet: ReferencePacket
  ) -> Int? {
    switch reference {
    case .header(let header): return header
    case .stackNext(let stack):
      let next = packet.nextOfStack[stack]
      let elements = program.stacks[stack].elements
      return next < elements.count ? elements[next] : nil
    case .unionStackNext(let stack, let member):
      let next = packet.nextOfUnionStack[stack]
      let elements = program.unionStacks[stack].elements
      return next < elements.count ? program.unions[elements[next]].members[member] : nil
    default: return nil
    }
  }

  private func push(_ reference: P4Program.HeaderReference, _ packet: inout ReferencePacket) {
    if case .stackNext(let stack) = reference { packet.nextOfStack[stack] += 1 }
    if case .unionStackNext(let stack, _) = reference { packet.nextOfUnionStack[stack] += 1 }
  }

  private func read(
    _ header: Int, _ packet: inout ReferencePacket, _ cursor: inout Int, bits: Int
  ) {
    var bit = 0
    for (index, field) in program.headers[header].fields.enumerated() where !field.isValidBit {
      let width = field.isVariable ? bits : field.width
      if field.isVariable { packet.variableBits[header] = bits }
      let value = ReferencePacket.number(packet.data[cursor...], bit: bit, width: width)
      packet.fields[header][index] = field.isSigned ? value.signExtended(from: width) : value
      bit += width
    }
    cursor += bit / 8
    packet.setValid(header)
  }
}
