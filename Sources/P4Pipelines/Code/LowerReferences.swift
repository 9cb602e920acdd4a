import DPUCore

// Headers that are found at run time: elements of stacks by index, and `next` and `last` where the
// parser's history does not say which they are.

/// What a reference comes down to.
enum HeaderTarget {
  case header(Int)
  /// One of `headers`, by the number in a lane; beyond them: none.
  case element([Int], lane: Int)
  /// Known to be outside of its stack.
  case outside
}

extension Compilation {
  func target(_ reference: P4Program.HeaderReference) throws(CompileError) -> HeaderTarget {
    switch reference {
    case .header(let header): return .header(header)
    case .stackNext(let stack): return element(of: stack, member: 0, offset: 0)
    case .stackLast(let stack): return element(of: stack, member: 0, offset: -1)
    case .stackElement(let stack, let index):
      return try element(of: stack, member: 0, at: index)
    case .unionStackNext(let stack, let member):
      return element(of: stackCode(union: stack), member: member, offset: 0)
    case .unionStackLast(let stack, let member):
      return element(of: stackCode(union: stack), member: member, offset: -1)
    case .unionStackElement(let stack, let index, let member):
      return try element(of: stackCode(union: stack), member: member, at: index)
    }
  }

  /// Member `member` of each element of a stack.
  func column(of stack: Int, member: Int) -> [Int] {
    let layout = code.stacks[stack]
    var headers: [Int] = []
    for index in 0..<Int(layout.count) {
      headers.append(Int(layout.headers[index * Int(layout.members) + member]))
    }
    return headers
  }

  private func element(of stack: Int, member: Int, offset: Int) -> HeaderTarget {
    let headers = column(of: stack, member: member)
    if let next = parser.next[stack] {
      return headers.indices.contains(next + offset) ? .header(headers[next + offset]) : .outside
    }
    let next = Number.lane(Int(code.stacks[stack].nextLane))
    return .element(
      headers, lane: lane(offset == 0 ? next : add(next, .constant(~0))))
  }

  private func element(
    of stack: Int, member: Int, at index: P4Program.Expression
  ) throws(CompileError) -> HeaderTarget {
    let headers = column(of: stack, member: member)
    if let value = constant(index) {
      guard let value = value.exactInt, headers.indices.contains(value) else { return .outside }
      return .header(headers[value])
    }
    return .element(headers, lane: lane(try exact(index)))
  }

  /// The field of an element, whose description all elements share.
  func elementField(
    _ reference: P4Program.HeaderReference, _ index: Int
  ) -> P4Program.Field {
    let header =
      switch reference {
      case .header(let header): header
      case .stackNext(let stack), .stackLast(let stack), .stackElement(let stack, _):
        column(of: stack, member: 0)[0]
      case .unionStackNext(let stack, let member), .unionStackLast(let stack, let member),
        .unionStackElement(let stack, _, let member):
        column(of: stackCode(union: stack), member: member)[0]
      }
    return program.headers[header].fields[index]
  }

  /// `M[index == number]`.
  private func isElement(_ number: Int, _ index: Int) -> Int {
    let mask = newMask()
    emit(Instruction(.equalImmediate, d: mask, a: index, immediate: UInt64(number)))
    return mask
  }

  // MARK: Fields

  /// Where a field stands in every element when it can be loaded by index.
  private func indexed(
    _ headers: [Int], _ field: Int
  ) -> (byte: Int, shift: Int, mask: UInt64, stride: Int)? {
    let first = place(of: P4Program.FieldReference(header: headers[0], field: field))
    guard case .bytes(let bit, let width) = first, bit % 8 + width <= 64 else { return nil }
    let stride =
      headers.count > 1
      ? Int(code.headers[headers[1]].offset) - Int(code.headers[headers[0]].offset) : 0
    return (bit / 8, 64 - bit % 8 - width, Self.ones(width), stride)
  }

  func loadIndirect(
    _ reference: P4Program.HeaderReference, _ field: Int, bits: Int
  ) throws(CompileError) -> Number {
    switch try target(reference) {
    case .outside: return .constant(0)
    case .header(let header):
      return try load(P4Program.FieldReference(header: header, field: field), bits: bits)
    case .element(let headers, let index):
      let description = program.headers[headers[0]].fields[field]
      if description.isValidBit { return number(validity(headers, index)) }
      if let place = indexed(headers, field) {
        let lane = newLane()
        emit(
          Instruction(
            .loadFieldAtIndex, d: lane, a: place.byte, b: index, c: headers.count,
            e: place.stride, shift: place.shift, mask: place.mask))
        guard description.isSigned, bits > description.width else { return .lane(lane) }
        return apply(.signExtend, lane, size: description.width)
      }
      // A field over nine bytes, or the low bits of a wide one: all are loaded and one is taken.
      var result = Number.constant(0)
      for (number, header) in headers.enumerated() {
        let value = try load(
          P4Program.FieldReference(header: header, field: field), bits: bits)
        let lane = newLane()
        let other = self.lane(result)
        emit(
          Instruction(
            .choose, d: lane, a: self.lane(value), b: other, c: isElement(number, index)))
        result = .lane(lane)
      }
      return result
    }
  }

  func wideIndirect(
    _ reference: P4Program.HeaderReference, _ field: Int
  ) throws(CompileError) -> Int {
    switch try target(reference) {
    case .outside: return wideConstant(.zero)
    case .header(let header):
      let reference = P4Program.FieldReference(header: header, field: field)
      return try wideField(place(of: reference), isSigned: self.field(reference).isSigned)
    case .element(let headers, let index):
      var result = wideConstant(.zero)
      for (number, header) in headers.enumerated() {
        let reference = P4Program.FieldReference(header: header, field: field)
        let value = try wideField(
          place(of: reference), isSigned: self.field(reference).isSigned)
        let mask = isElement(number, index)
        let chosen = newWide()
        emit(Instruction(.wideChoose, d: chosen, a: value, b: result, c: mask))
        result = chosen
      }
      return result
    }
  }

  func assignIndirect(
    _ reference: P4Program.HeaderReference, _ field: Int, _ expression: P4Program.Expression
  ) throws(CompileError) {
    switch try target(reference) {
    case .outside: return
    case .header(let header):
      try assign(
        to: place(of: P4Program.FieldReference(header: header, field: field)), expression)
    case .element(let headers, let index):
      if let place = indexed(headers, field) {
        let width = program.headers[headers[0]].fields[field].width
        let value = lane(try low(expression, bits: width))
        return emit(
          Instruction(
            .storeFieldAtIndex, d: place.byte, a: value, b: index, c: headers.count,
            e: place.stride, shift: place.shift, mask: place.mask))
      }
      try forEach(headers, index) { (header) throws(CompileError) in
        try assign(
          to: place(of: P4Program.FieldReference(header: header, field: field)), expression)
      }
    }
  }

  /// Runs a statement for the header that a packet's index names: one block per element.
  func forEach(
    _ headers: [Int], _ index: Int, _ body: (Int) throws(CompileError) -> Void
  ) throws(CompileError) {
    let end = newBlock()
    let first = selectCases.count
    var targets: [Int] = []
    for number in headers.indices {
      targets.append(newBlock())
      selectCases.append(
        PipelineCode.SelectCase(value: UInt64(number), mask: ~0, block: targets[number]))
    }
    emit(Instruction(.select, d: end, a: index, b: first, c: headers.count))
    for (number, header) in headers.enumerated() {
      current = targets[number]
      try body(header)
      jump(to: end)
    }
    current = end
  }

  /// The same for any reference.
  func forTarget(
    _ reference: P4Program.HeaderReference, _ body: (Int) throws(CompileError) -> Void
  ) throws(CompileError) {
    switch try target(reference) {
    case .outside: return
    case .header(let header): try body(header)
    case .element(let headers, let index): try forEach(headers, index, body)
    }
  }

  // MARK: Validity

  func validity(_ reference: P4Program.HeaderReference) throws(CompileError) -> Condition {
    switch try target(reference) {
    case .outside: .constant(false)
    case .header(let header): validity(header)
    case .element(let headers, let index): validity(headers, index)
    }
  }

  func validity(_ header: Int) -> Condition {
    program.headers[header].isMetadata ? .constant(true) : .mask(header)
  }

  private func validity(_ headers: [Int], _ index: Int) -> Condition {
    let result = newMask()
    let stride = headers.count > 1 ? headers[1] - headers[0] : 1
    var isRegular = stride > 0
    for (number, header) in headers.enumerated() {
      isRegular = isRegular && header == headers[0] + number * stride
    }
    if isRegular {
      emit(
        Instruction(
          .maskAtIndex, d: result, a: index, b: headers[0], c: stride, e: headers.count))
      return .mask(result)
    }
    var any = Condition.constant(false)
    for (number, header) in headers.enumerated() {
      any = or(any, and(.mask(isElement(number, index)), .mask(header)))
    }
    return any
  }

  func anyValid(_ headers: [Int]) -> Condition {
    var any = Condition.constant(false)
    for header in headers { any = or(any, .mask(header)) }
    return any
  }

  func unionElementValidity(
    _ stack: Int, _ index: P4Program.Expression
  ) throws(CompileError) -> Condition {
    var any = Condition.constant(false)
    let members = Int(code.stacks[stackCode(union: stack)].members)
    for member in 0..<members {
      any = or(
        any, try validity(.unionStackElement(stack, index, member: member)))
    }
    return any
  }

  // MARK: Comparing

  func headersEqual(
    _ left: P4Program.HeaderReference, _ right: P4Program.HeaderReference
  ) throws(CompileError) -> Condition {
    switch (try target(left), try target(right)) {
    case (.header(let a), .header(let b)): return headersEqual(a, b)
    case (.element(let headers, let index), .header(let other)),
      (.header(let other), .element(let headers, let index)):
      var any = Condition.constant(false)
      for (number, header) in headers.enumerated() {
        any = or(any, and(.mask(isElement(number, index)), headersEqual(header, other)))
      }
      return any
    case (.outside, _), (_, .outside): return .constant(false)
    default: throw failure("two headers compared that are both found at run time")
    }
  }

  private func headersEqual(_ left: Int, _ right: Int) -> Condition {
    let result = newMask()
    emit(Instruction(.headersEqual, d: result, a: left, b: right))
    return .mask(result)
  }

  /// As P4 has it: both invalid or equal, member by member.
  func membersEqual(_ left: [Int], _ right: [Int]) throws(CompileError) -> Condition {
    var all = Condition.constant(true)
    for (a, b) in zip(left, right) {
      let bothInvalid = not(or(.mask(a), .mask(b)))
      all = and(all, or(bothInvalid, headersEqual(a, b)))
    }
    return all
  }

  /// As BMv2 has it: both valid, with the same member, which is equal.
  func unionsEqual(_ left: Int, _ right: Int) throws(CompileError) -> Condition {
    var any = Condition.constant(false)
    for (a, b) in zip(program.unions[left].members, program.unions[right].members) {
      any = or(any, headersEqual(a, b))
    }
    return any
  }
}
