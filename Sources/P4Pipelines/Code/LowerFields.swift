import DPUCore

// Reading and writing fields, wherever they live.

extension Compilation {
  // MARK: Bits of the header bytes

  /// `count` (1...64) bits from bit `bit`, as a number.
  func loadBits(from bit: Int, count: Int) -> Number {
    let lane = newLane()
    let inside = bit % 8
    if inside + count <= 64 {
      emit(
        Instruction(
          .loadField, d: lane, a: bit / 8, shift: 64 - inside - count, mask: Self.ones(count)))
    } else {
      emit(
        Instruction(.loadField9, d: lane, a: bit / 8, shift: 72 - inside - count, size: count))
    }
    return .lane(lane)
  }

  func storeBits(at bit: Int, count: Int, _ value: Number) {
    let inside = bit % 8
    if inside + count <= 64 {
      let shift = 64 - inside - count
      let mask = Self.ones(count)
      switch value {
      case .constant(let value):
        emit(
          Instruction(
            .storeFieldImmediate, d: bit / 8, shift: shift, immediate: value & mask, mask: mask))
      case .lane(let lane):
        emit(Instruction(.storeField, d: bit / 8, a: lane, shift: shift, mask: mask))
      }
    } else {
      emit(
        Instruction(
          .storeField9, d: bit / 8, a: lane(value), shift: 72 - inside - count, size: count))
    }
  }

  // MARK: Loads

  func load(_ reference: P4Program.FieldReference, bits: Int) throws(CompileError) -> Number {
    let field = field(reference)
    return try load(place(of: reference), isSigned: field.isSigned, bits: bits)
  }

  func load(
    _ place: PipelineCode.FieldPlace, isSigned: Bool, bits: Int
  ) throws(CompileError) -> Number {
    switch place {
    case .mask(let mask): return number(.mask(Int(mask)))
    case .lane(let lane, let width):
      return extended(.lane(Int(lane)), width: width, isSigned: isSigned, bits: bits)
    case .bytes(let bit, let width):
      let count = min(width, 64)
      let value = loadBits(from: bit + width - count, count: count)
      return extended(value, width: width, isSigned: isSigned, bits: bits)
    case .variable: throw failure("a varbit field in an expression")
    case .nowhere: return .constant(0)
    }
  }

  private func extended(_ value: Number, width: Int, isSigned: Bool, bits: Int) -> Number {
    guard isSigned, width < 64, bits > width else { return value }
    return apply(.signExtend, lane(value), size: width)
  }

  func loadParameter(_ index: Int) throws(CompileError) -> Number {
    switch parameters {
    case .constants(let values): return .constant(values[index].low64)
    case .record(let record, let table, let words, _):
      let lane = newLane()
      emit(Instruction(.loadParameter, d: lane, a: record, b: table, c: words[index]))
      return .lane(lane)
    case .none: throw failure("a parameter outside an action")
    }
  }

  func lookahead(_ offset: Int, _ width: Int) throws(CompileError) -> Number {
    guard width <= 64 else {
      return laneOf(try wideNumber(.lookahead(offset: offset, width: width), bits: 64))
    }
    let lane = newLane()
    emit(
      at(parser, Instruction(.lookahead, d: lane, size: width, immediate: UInt64(offset))))
    return .lane(lane)
  }

  /// A register in an expression: out of range reads 0.
  func loadRegister(
    _ register: Int, _ index: P4Program.Expression
  ) throws(CompileError) -> Number {
    let description = program.registers[register]
    guard description.width <= 64 else {
      return laneOf(try wideNumber(.register(register, index: index), bits: 64))
    }
    let lane = newLane()
    let isInside = range(index).map { $0.isWithin(indices(description.size)) } ?? false
    let at = self.lane(try exact(index))
    if !isInside { emit(Instruction(.loadImmediate, d: lane)) }
    emit(Instruction(.registerRead, d: lane, a: at, b: register, size: isInside ? 1 : 0))
    return .lane(lane)
  }

  func indices(_ count: Int) -> ValueRange { ValueRange(.zero, WideInteger(count - 1)) }

  func laneOf(_ wide: Int) -> Number {
    let lane = newLane()
    emit(Instruction(.laneFromWide, d: lane, a: wide))
    return .lane(lane)
  }

  // MARK: Stores

  /// `destination = expression`, cut to the destination's width.
  func assign(
    _ destination: P4Program.Destination, _ expression: P4Program.Expression
  ) throws(CompileError) {
    switch destination {
    case .field(let reference): try assign(to: place(of: reference), expression)
    case .indirect(let reference, let index):
      try assignIndirect(reference, index, expression)
    }
  }

  func assign(
    to place: PipelineCode.FieldPlace, _ expression: P4Program.Expression
  ) throws(CompileError) {
    switch place {
    case .mask(let mask): set(Int(mask), try bit(expression))
    case .lane(let lane, let width): setLane(Int(lane), try cut(expression, to: width))
    case .bytes(let bit, let width):
      guard width > 64 else {
        return storeBits(at: bit, count: width, try low(expression, bits: width))
      }
      try assignWide(bit, width, expression)
    case .variable: throw failure("an expression for a varbit field")
    case .nowhere: return
    }
  }

  /// A value of no more than `width` bits, to a place.
  func store(
    _ value: Number, to place: PipelineCode.FieldPlace
  ) throws(CompileError) {
    switch place {
    case .mask(let mask): set(Int(mask), bit(value))
    case .lane(let lane, let width): setLane(Int(lane), cut(value, to: width))
    case .bytes(let bit, let width):
      if width <= 64 { return storeBits(at: bit, count: width, value) }
      let wide = newWide()
      emit(Instruction(.wideFromLane, d: wide, a: lane(value)))
      emit(Instruction(.wideStore, d: wide, a: bit + width, b: width))
      note(bits: width)
    case .variable: throw failure("a number for a varbit field")
    case .nowhere: return
    }
  }

  func destination(
    _ destination: P4Program.Destination
  ) throws(CompileError) -> PipelineCode.FieldPlace {
    switch destination {
    case .field(let reference): return place(of: reference)
    case .indirect(let reference, let index):
      guard case .header(let header) = try target(reference) else {
        throw failure("a result written to an element of a stack that is found at run time")
      }
      return place(of: P4Program.FieldReference(header: header, field: index))
    }
  }

  /// Moves a fresh value to a lane by letting it be made there.
  func setLane(_ destination: Int, _ value: Number) {
    switch value {
    case .constant(let value):
      emit(Instruction(.loadImmediate, d: destination, immediate: value))
    case .lane(let lane):
      if lane >= stateLanes, let last = blocks[current].instructions.indices.last {
        let instruction = blocks[current].instructions[last]
        if instruction.opcode.roles.d == .laneWrite, instruction.d == UInt32(lane) {
          blocks[current].instructions[last].d = UInt32(destination)
          return
        }
      }
      if lane != destination { emit(Instruction(.move, d: destination, a: lane)) }
    }
  }

  func set(_ mask: Int, _ condition: Condition) {
    switch condition {
    case .constant(let value):
      emit(Instruction(.setMask, d: mask, immediate: value ? 1 : 0))
    case .mask(let source):
      if source >= stateMasks, let last = blocks[current].instructions.indices.last {
        let instruction = blocks[current].instructions[last]
        if instruction.opcode.roles.d == .maskWrite, instruction.d == UInt32(source) {
          blocks[current].instructions[last].d = UInt32(mask)
          return
        }
      }
      if source != mask { emit(Instruction(.moveMask, d: mask, a: source)) }
    }
  }
}
