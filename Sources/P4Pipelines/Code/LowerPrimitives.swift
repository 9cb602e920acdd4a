import DPUCore

// Statements other than assignments of numbers.

extension Compilation {
  func lower(_ primitive: P4Program.Primitive) throws(CompileError) {
    switch primitive {
    case .assign(let destination, let expression): try assign(destination, expression)
    case .assignVariable(let destination, let source):
      try assignVariable(destination, from: source)
    case .assignHeader(let destination, let source):
      try forTarget(source) { (from) throws(CompileError) in
        try forTarget(destination) { (to) throws(CompileError) in copyHeader(to, from: from) }
      }
    case .assignStack(let to, let from): copyStack(to, from: from)
    case .assignUnionStack(let to, let from):
      copyStack(stackCode(union: to), from: stackCode(union: from))
    case .assignUnion(let to, let from):
      for (a, b) in zip(program.unions[to].members, program.unions[from].members) {
        emit(Instruction(.copyHeader, d: a, a: b))
      }
    case .setValid(let reference):
      try forTarget(reference) { (header) throws(CompileError) in
        guard !program.headers[header].isMetadata else { return }
        emit(Instruction(.setValid, a: header, c: lengthLane))
        invalidateOthers(than: header)
      }
    case .setInvalid(let reference):
      try forTarget(reference) { (header) throws(CompileError) in
        guard !program.headers[header].isMetadata else { return }
        emit(Instruction(.setInvalid, a: header, c: lengthLane))
      }
    case .pushFront(let stack, let count): shift(.pushStack, stack, by: count)
    case .popFront(let stack, let count): shift(.popStack, stack, by: count)
    case .pushFrontUnions(let stack, let count):
      shift(.pushStack, stackCode(union: stack), by: count)
    case .popFrontUnions(let stack, let count):
      shift(.popStack, stackCode(union: stack), by: count)
    case .hash(let destination, let base, let calculation, let max):
      try hash(destination, base: base, calculation: calculation, max: max)
    case .count(let counter, let index): try count(counter, index)
    case .executeMeter(let meter, let index, let destination):
      try executeMeter(meter, index, destination)
    case .registerRead(let destination, let register, let index):
      try readRegister(destination, register, index)
    case .registerWrite(let register, let index, let value):
      try writeRegister(register, index, value)
    case .random(let destination, let lowest, let highest):
      let a = lane(try low(lowest))
      let b = lane(try low(highest))
      let result = newLane()
      emit(Instruction(.random, d: result, a: a, b: b))
      try store(.lane(result), to: try self.destination(destination))
    case .digest(_, let list): emit(Instruction(.digest, a: list))
    case .markToDrop: try markToDrop()
    case .cloneIngress(let session, let list):
      let session = lane(try low(session))
      emit(Instruction(.cloneIngress, a: session, b: list ?? Int(Instruction.none)))
    case .cloneEgress(let session, let list):
      let session = lane(try low(session))
      emit(Instruction(.cloneEgress, a: session, b: list ?? Int(Instruction.none)))
    case .resubmit(let list):
      emit(Instruction(.resubmit, b: list ?? Int(Instruction.none)))
    case .recirculate(let list):
      emit(Instruction(.recirculate, b: list ?? Int(Instruction.none)))
    case .truncate(let length):
      let length = lane(try low(length))
      emit(Instruction(.truncate, a: length))
    case .log(let format, let arguments): try log(format, arguments)
    case .assert(let expression), .assume(let expression):
      switch try condition(expression) {
      case .constant(true): return
      case .constant(false):
        let mask = newMask()
        emit(Instruction(.setMask, d: mask))
        emit(Instruction(.assert, a: mask))
      case .mask(let mask): emit(Instruction(.assert, a: mask))
      }
    // The business of whoever lowers the list of statements.
    case .exit, .jump, .jumpIfZero, .nothing: return
    }
  }

  // MARK: Headers

  func invalidateOthers(than header: Int) {
    guard let union = program.headers[header].union else { return }
    for member in program.unions[union].members where member != header {
      emit(Instruction(.setMask, d: member))
    }
  }

  private func copyHeader(_ to: Int, from: Int) {
    guard to != from else { return }
    emit(Instruction(.copyHeader, d: to, a: from))
    guard let union = program.headers[to].union else { return }
    for member in program.unions[union].members where member != to {
      emit(Instruction(.andNotMask, d: member, a: member, b: to))
    }
  }

  private func copyStack(_ to: Int, from: Int) {
    guard to != from else { return }
    let source = code.stacks[from]
    let target = code.stacks[to]
    for (a, b) in zip(target.headers, source.headers) {
      emit(Instruction(.copyHeader, d: Int(a), a: Int(b)))
    }
    emit(Instruction(.move, d: Int(target.nextLane), a: Int(source.nextLane)))
  }

  private func shift(_ opcode: Opcode, _ stack: Int, by count: Int) {
    guard count > 0 else { return }
    emit(Instruction(opcode, a: stack, b: min(count, Int(code.stacks[stack].count))))
  }

  private func assignVariable(
    _ destination: P4Program.Destination, from source: P4Program.Destination
  ) throws(CompileError) {
    guard case .variable(let to) = try self.destination(destination),
      case .variable(let from) = try self.destination(source)
    else { throw failure("an assignment between a varbit and something else") }
    guard code.headers[Int(to)].variableBits >= code.headers[Int(from)].variableBits else {
      throw failure("a varbit assigned to a shorter one")
    }
    emit(Instruction(.copyVariable, d: Int(to), a: Int(from)))
  }

  private func markToDrop() throws(CompileError) {
    if let place = place(of: .egressSpec) { try store(.constant(511), to: place) }
    if let place = place(of: .multicastGroup) { try store(.constant(0), to: place) }
  }

  // MARK: Externs

  private func hash(
    _ destination: P4Program.Destination, base: P4Program.Expression, calculation: Int,
    max: P4Program.Expression
  ) throws(CompileError) {
    let place = try self.destination(destination)
    let algorithm = program.calculations[calculation].algorithm
    let result = newLane()
    emit(Instruction(.hash, d: result, c: calculation))
    var value = Number.lane(result)
    if let most = constant(max) {
      // The unlimited product of 2^32 and the like says no more than the width does.
      let most = most.exactUInt64 ?? ~0
      if most <= 1 {
        value = .constant(0)
      } else if WideInteger(most) <= WideInteger.ones(width(of: algorithm)) {
        value =
          most & (most - 1) == 0
          ? and(value, most - 1) : apply(.moduloImmediate, result, immediate: most)
      }
    } else {
      // A divisor of 0 gives 0, as 1 would.
      let divisor = lane(try low(max))
      value = apply(.modulo, result, divisor)
    }
    value = add(value, try low(base))
    try store(value, to: place)
  }

  /// Bits of an algorithm's result.
  private func width(of algorithm: P4Program.HashAlgorithm) -> Int {
    switch algorithm {
    case .crc8, .crc8Custom: 8
    case .crc16, .crc16Custom, .crcCCITT, .csum16, .xor16: 16
    case .crc32, .crc32Custom, .xor32, .toeplitz: 32
    case .identity, .xxh64, .crc64Custom, .random: 64
    }
  }

  private func count(_ counter: Int, _ index: P4Program.Expression) throws(CompileError) {
    switch try exact(index) {
    case .constant(let value):
      emit(Instruction(.countImmediate, b: counter, immediate: value))
    case .lane(let lane): emit(Instruction(.count, a: lane, b: counter))
    }
  }

  private func executeMeter(
    _ meter: Int, _ index: P4Program.Expression, _ destination: P4Program.Destination
  ) throws(CompileError) {
    let place = try self.destination(destination)
    let at = lane(try exact(index))
    let result = try copy(of: place, unless: isInside(index, program.meters[meter].size))
    emit(Instruction(.meter, d: result, a: at, b: meter))
    try store(.lane(result), to: place)
  }

  private func isInside(_ index: P4Program.Expression, _ count: Int) -> Bool {
    range(index).map { $0.isWithin(indices(count)) } ?? false
  }

  /// A fresh lane, holding the value of the place when an index may be out of range.
  private func copy(
    of place: PipelineCode.FieldPlace, unless isInside: Bool
  ) throws(CompileError) -> Int {
    let result = newLane()
    if isInside {
      emit(Instruction(.loadImmediate, d: result))
    } else {
      emit(
        Instruction(.move, d: result, a: lane(try load(place, isSigned: false, bits: 64))))
    }
    return result
  }

  private func readRegister(
    _ destination: P4Program.Destination, _ register: Int, _ index: P4Program.Expression
  ) throws(CompileError) {
    let place = try self.destination(destination)
    let width = program.registers[register].width
    let at = lane(try exact(index))
    let isInside = isInside(index, program.registers[register].size)
    if width > 64 {
      guard case .bytes(let bit, let count) = place else {
        throw failure("a register of more than 64 bits read to a shorter field")
      }
      let wide = try wideField(place, isSigned: false)
      note(bits: width)
      emit(Instruction(.registerReadWide, d: wide, a: at, b: register, e: width))
      return emit(Instruction(.wideStore, d: wide, a: bit + count, b: count))
    }
    if case .lane(let lane, let count) = place, width <= count {
      return emit(
        Instruction(
          .registerRead, d: Int(lane), a: at, b: register, size: isInside ? 1 : 0))
    }
    let result = isInside ? newLane() : try copy(of: place, unless: false)
    emit(
      Instruction(.registerRead, d: result, a: at, b: register, size: isInside ? 1 : 0))
    try store(.lane(result), to: place)
  }

  private func writeRegister(
    _ register: Int, _ index: P4Program.Expression, _ value: P4Program.Expression
  ) throws(CompileError) {
    let width = program.registers[register].width
    let at = lane(try exact(index))
    if width > 64 {
      let wide = try wideNumber(value, bits: width)
      return emit(
        Instruction(.registerWriteWide, a: at, b: register, c: wide, e: width))
    }
    switch try cut(value, to: width) {
    case .constant(let value):
      emit(
        Instruction(
          .registerWriteImmediate, a: at, b: register, immediate: value & Self.ones(width)))
    case .lane(let number):
      emit(Instruction(.registerWrite, a: at, b: register, c: number))
    }
  }

  private func log(
    _ format: Text, _ arguments: [P4Program.Expression]
  ) throws(CompileError) {
    var lanes: [UInt32] = []
    for argument in arguments {
      // A lane of its own, which stays until the log has been printed.
      let kept = newLane()
      emit(Instruction(.move, d: kept, a: lane(try low(argument))))
      lanes.append(UInt32(kept))
    }
    code.logs.append(PipelineCode.LogCode(format: format, arguments: lanes))
    emit(Instruction(.log, a: code.logs.count - 1))
  }
}
