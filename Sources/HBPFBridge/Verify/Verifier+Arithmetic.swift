import DPUCore

extension Verifier {
  func signExtended(_ value: Scalar, bits: Int) -> Scalar {
    let half = UInt64(1) << UInt64(bits - 1)
    if value.maximum < half { return value }
    if let constant = value.constant {
      let shift = UInt64(64 - bits)
      return Scalar(UInt64(bitPattern: Int64(bitPattern: constant << shift) >> Int64(shift)))
    }
    return .anything
  }

  func arithmetic(
    _ instruction: Instruction, at index: Int, _ state: inout AbstractState
  ) throws(ProgramFault) {
    let is64 = instruction.opcodeClass == .arithmetic64
    let destination = Int(instruction.destination)
    var second = Knowledge.number(Scalar(UInt64(bitPattern: Int64(instruction.immediate))))
    let operation = instruction.arithmetic!
    if instruction.usesRegister, operation != .negate, operation != .byteSwap {
      second = try value(of: instruction.source, at: index, state)
    }
    if operation == .move {
      state.registers[destination] = try move(instruction, second, is64: is64, at: index)
      return
    }
    let first = try value(of: instruction.destination, at: index, state)
    if let result = try pointerArithmetic(operation, first, second, is64: is64, at: index) {
      state.registers[destination] = result
      return
    }
    guard let a = first.scalar, let b = second.scalar else {
      throw ProgramFault(at: index, "calculates with an address")
    }
    // Subtracting a register from itself, or xor with itself, gives zero whatever it was.
    if instruction.usesRegister, instruction.source == instruction.destination,
      operation == .subtract || operation == .xor
    {
      state.registers[destination] = .number(Scalar(0))
      return
    }
    state.registers[destination] = .number(
      calculate(operation, a, b, instruction, is64: is64))
  }

  private func move(
    _ instruction: Instruction, _ value: Knowledge, is64: Bool, at index: Int
  ) throws(ProgramFault) -> Knowledge {
    if is64, instruction.offset == 0 { return value }
    guard let scalar = value.scalar else {
      throw ProgramFault(at: index, "cuts an address to a part of it")
    }
    if instruction.offset == 0 { return .number(scalar.low(32)) }
    let bits = Int(instruction.offset)
    let extended = signExtended(scalar.low(UInt64(bits)), bits: bits)
    return .number(is64 ? extended : extended.low(32))
  }

  /// Nil when neither side is an address.
  private func pointerArithmetic(
    _ operation: ArithmeticOperation, _ first: Knowledge, _ second: Knowledge, is64: Bool,
    at index: Int
  ) throws(ProgramFault) -> Knowledge? {
    switch (first, second, operation) {
    case (.number, .number, _): return nil
    case (.pointer(let region, let offset), .number(let distance), .add) where is64:
      return .pointer(region: region, offset: offset + distance)
    case (.number(let distance), .pointer(let region, let offset), .add) where is64:
      return .pointer(region: region, offset: offset + distance)
    case (.pointer(let region, let offset), .number(let distance), .subtract) where is64:
      return .pointer(region: region, offset: offset - distance)
    case (.pointer(let a, let from), .pointer(let b, let to), .subtract) where is64 && a == b:
      return .number(from - to)
    default: throw ProgramFault(at: index, "calculates with an address")
    }
  }

  private func calculate(
    _ operation: ArithmeticOperation, _ first: Scalar, _ second: Scalar,
    _ instruction: Instruction, is64: Bool
  ) -> Scalar {
    let bits: UInt64 = is64 ? 64 : 32
    let a = first.low(bits)
    let b = second.low(bits)
    let isSigned = instruction.offset == 1
    let result: Scalar
    switch operation {
    case .add: result = a + b
    case .subtract: result = a - b
    case .multiply: result = a * b
    case .divide: result = isSigned ? .anything : a.divided(by: b)
    case .modulo: result = isSigned ? .anything : a.remainder(by: b)
    case .or: result = a | b
    case .and: result = a & b
    case .xor: result = a ^ b
    case .shiftLeft: result = a.shiftedLeft(by: b, bits: bits)
    case .shiftRight: result = a.shiftedRight(by: b, bits: bits)
    case .shiftRightSigned:
      let half = UInt64(1) << (bits - 1)
      if a.maximum < half {
        result = a.shiftedRight(by: b, bits: bits)
      } else if let value = a.constant, let count = b.constant.map({ $0 & (bits - 1) }) {
        let wide = is64 ? Int64(bitPattern: value) : Int64(Int32(truncatingIfNeeded: value))
        result = Scalar(UInt64(bitPattern: wide >> Int64(count)))
      } else {
        result = .anything
      }
    case .negate: result = Scalar(0) - a
    case .byteSwap: return swapped(first, instruction, is64: is64)
    case .move: result = b
    }
    return result.low(bits)
  }

  private func swapped(_ value: Scalar, _ instruction: Instruction, is64: Bool) -> Scalar {
    let width = UInt64(instruction.immediate)
    let cut = value.low(width)
    // Conversion to little-endian only cuts: the targets are little-endian.
    if !is64, !instruction.usesRegister { return cut }
    guard let constant = cut.constant else { return Scalar.anything.low(width) }
    return Scalar(constant.byteSwapped >> (64 - width))
  }

  // MARK: Conditions

  /// What is known on either way of a conditional jump; nil for a way that cannot be taken.
  func refine(
    _ instruction: Instruction, at index: Int, _ state: AbstractState
  ) throws(ProgramFault) -> (AbstractState?, AbstractState?) {
    let first = try value(of: instruction.destination, at: index, state)
    var second = Knowledge.number(Scalar(UInt64(bitPattern: Int64(instruction.immediate))))
    if instruction.usesRegister {
      second = try value(of: instruction.source, at: index, state)
    }
    if let decided = refineNull(instruction, first, second, state) { return decided }
    guard let a = first.scalar, let b = second.scalar else {
      try checkAddresses(instruction, first, second, at: index)
      // Nothing is learned from it.
      return (state, state)
    }
    let is64 = instruction.opcodeClass == .jump64
    if !is64, !a.isLow || !b.low(32).isLow || (instruction.usesRegister && !b.isLow) {
      return (state, state)
    }
    let right = is64 ? b : b.low(32)
    let operation = instruction.jump!
    guard let bits = comparable(operation, a, right, is64: is64) else { return (state, state) }
    let taken = narrow(bits, a, right)
    let notTaken = narrow(inverse(bits), a, right)
    func with(_ pair: (Scalar, Scalar)?) -> AbstractState? {
      guard let pair else { return nil }
      var result = state
      result.registers[Int(instruction.destination)] = .number(pair.0)
      if instruction.usesRegister { result.registers[Int(instruction.source)] = .number(pair.1) }
      return result
    }
    if instruction.usesRegister, instruction.source == instruction.destination {
      let holds = bits == .equal || bits == .greaterOrEqual || bits == .lessOrEqual
      if bits == .anyBitSet { return (state, state) }
      return holds ? (state, nil) : (nil, state)
    }
    if bits == .anyBitSet { return anyBitSet(a, right, state) }
    return (with(taken), with(notTaken))
  }

  /// Addresses are others on each engine, so a comparison may not tell more than how two of them lie
  /// to each other in one region, or that one is not null.
  private func checkAddresses(
    _ instruction: Instruction, _ first: Knowledge, _ second: Knowledge, at index: Int
  ) throws(ProgramFault) {
    let isEquality = instruction.jump == .equal || instruction.jump == .notEqual
    if instruction.opcodeClass == .jump64 {
      switch (first, second) {
      case (.pointer(let a, let from), .pointer(let b, let to)) where a == b:
        // Outside of the region an address may have wrapped.
        let size = UInt64(size(of: a))
        let isOrder = instruction.jump != .anyBitSet
        if isEquality || (isOrder && from.maximum <= size && to.maximum <= size) { return }
      case (.pointer(let region, _), .number(let number)):
        // The packet's memory begins at 0 in an FPGA.
        if isEquality, number.constant == 0, region != Region.data { return }
      default: break
      }
    }
    throw ProgramFault(at: index, "compares an address with a number, or with one in other memory")
  }

  /// When what a lookup gave is compared with zero, for being equal or not.
  private func refineNull(
    _ instruction: Instruction, _ first: Knowledge, _ second: Knowledge, _ state: AbstractState
  ) -> (AbstractState?, AbstractState?)? {
    guard instruction.opcodeClass == .jump64, case .valueOrNull(_, let call) = first,
      second.scalar?.constant == 0,
      instruction.jump == .equal || instruction.jump == .notEqual
    else { return nil }
    var found = state
    found.forEach { $0.decided(call: call, isFound: true) }
    var missed = state
    missed.forEach { $0.decided(call: call, isFound: false) }
    return instruction.jump == .equal ? (missed, found) : (found, missed)
  }

  /// The comparison as an unsigned one, nil when the signs may differ.
  private func comparable(
    _ operation: JumpOperation, _ a: Scalar, _ b: Scalar, is64: Bool
  ) -> JumpOperation? {
    let half = UInt64(1) << (is64 ? 63 : 31)
    let sameSign =
      (a.maximum < half && b.maximum < half) || (a.minimum >= half && b.minimum >= half)
    switch operation {
    case .greaterSigned: return sameSign ? .greater : nil
    case .greaterOrEqualSigned: return sameSign ? .greaterOrEqual : nil
    case .lessSigned: return sameSign ? .less : nil
    case .lessOrEqualSigned: return sameSign ? .lessOrEqual : nil
    default: return operation
    }
  }

  private func inverse(_ operation: JumpOperation) -> JumpOperation {
    switch operation {
    case .equal: .notEqual
    case .notEqual: .equal
    case .greater: .lessOrEqual
    case .greaterOrEqual: .less
    case .less: .greaterOrEqual
    case .lessOrEqual: .greater
    default: operation
    }
  }

  private func narrow(_ operation: JumpOperation, _ a: Scalar, _ b: Scalar) -> (Scalar, Scalar)? {
    switch operation {
    case .equal: return a.equal(to: b).map { ($0, $0) }
    case .notEqual:
      guard let left = b.constant.map({ a.different(from: $0) }) ?? a,
        let right = a.constant.map({ b.different(from: $0) }) ?? b
      else { return nil }
      return (left, right)
    case .greater:
      guard b.minimum < .max, a.maximum > 0, let left = a.atLeast(b.minimum + 1),
        let right = b.atMost(a.maximum - 1)
      else { return nil }
      return (left, right)
    case .greaterOrEqual:
      guard let left = a.atLeast(b.minimum), let right = b.atMost(a.maximum) else { return nil }
      return (left, right)
    case .less:
      guard b.maximum > 0, a.minimum < .max, let left = a.atMost(b.maximum - 1),
        let right = b.atLeast(a.minimum + 1)
      else { return nil }
      return (left, right)
    case .lessOrEqual:
      guard let left = a.atMost(b.maximum), let right = b.atLeast(a.minimum) else { return nil }
      return (left, right)
    default: return (a, b)
    }
  }

  private func anyBitSet(
    _ a: Scalar, _ b: Scalar, _ state: AbstractState
  ) -> (AbstractState?, AbstractState?) {
    let both = a & b
    if both.maximum == 0 { return (nil, state) }
    if both.minimum > 0 { return (state, nil) }
    return (state, state)
  }
}
