/// Makes programs shorter whose accesses were proved, and which therefore report no instruction:
/// filters mostly load a field and compare it, and the two at once save a turn of the interpreter.
enum Fusion {
  static func fuse(_ program: [DecodedInstruction]) -> [DecodedInstruction] {
    var isTarget = [Bool](repeating: false, count: program.count + 1)
    for instruction in program where instruction.operation.jumps {
      isTarget[Int(instruction.offset)] = true
    }
    var result: [DecodedInstruction] = []
    result.reserveCapacity(program.count)
    var places = [Int](repeating: 0, count: program.count + 1)
    var index = 0
    while index < program.count {
      places[index] = result.count
      if index + 1 < program.count, !isTarget[index + 1],
        let pair = pair(program[index], program[index + 1])
      {
        places[index + 1] = result.count
        result.append(pair)
        index += 2
      } else {
        result.append(program[index])
        index += 1
      }
    }
    for index in result.indices {
      if result[index].operation.isFused {
        result[index].slot = UInt16(places[Int(result[index].slot)])
      } else if result[index].operation.jumps {
        result[index].offset = Int16(places[Int(result[index].offset)])
      }
    }
    // A jump to the end is the end.
    for index in result.indices
    where result[index].operation == .jump
      && result[Int(result[index].offset)].operation == .exit
    {
      result[index] = result[Int(result[index].offset)]
    }
    return result
  }

  private static func pair(
    _ first: DecodedInstruction, _ second: DecodedInstruction
  ) -> DecodedInstruction? {
    guard
      var pair = loadAndJump(first, second) ?? moveAndJump(first, second)
        ?? maskAndJump(first, second)
    else { return moveAndChange(first, second) }
    pair.slot = UInt16(second.offset)
    return pair
  }

  private static func loadAndJump(
    _ load: DecodedInstruction, _ jump: DecodedInstruction
  ) -> DecodedInstruction? {
    var pair = load
    if jump.operation == .jeq64R || jump.operation == .jne64R {
      guard jump.destination == load.destination || jump.source == load.destination else {
        return nil
      }
      let isEqual = jump.operation == .jeq64R
      switch load.operation {
      case .load16: pair.operation = isEqual ? .load16AndJeqR : .load16AndJneR
      case .load32: pair.operation = isEqual ? .load32AndJeqR : .load32AndJneR
      default: return nil
      }
      let other = jump.destination == load.destination ? jump.source : jump.destination
      pair.immediate = UInt64(other)
      return pair
    }
    guard load.destination == jump.destination else { return nil }
    pair.immediate = jump.immediate
    // What is loaded has 32 bits at most, so a comparison of 64 bits with the same number does.
    if jump.operation == .jne32I || jump.operation == .jeq32I { pair.immediate &= 0xffff_ffff }
    switch (load.operation, jump.operation) {
    case (.load8, .jne64I), (.load8, .jne32I): pair.operation = .load8AndJne
    case (.load16, .jne64I), (.load16, .jne32I): pair.operation = .load16AndJne
    case (.load32, .jne64I), (.load32, .jne32I): pair.operation = .load32AndJne
    case (.load8, .jeq64I), (.load8, .jeq32I): pair.operation = .load8AndJeq
    case (.load16, .jeq64I), (.load16, .jeq32I): pair.operation = .load16AndJeq
    case (.load32, .jeq64I), (.load32, .jeq32I): pair.operation = .load32AndJeq
    case (.load32, .jlt64I): pair.operation = .load32AndJlt
    default: return nil
    }
    return pair
  }

  /// A register gets a small number, and another one is compared.
  private static func moveAndJump(
    _ move: DecodedInstruction, _ jump: DecodedInstruction
  ) -> DecodedInstruction? {
    guard move.operation == .mov64I, jump.destination != move.destination,
      let value = Int16(exactly: Int64(bitPattern: move.immediate))
    else { return nil }
    var pair = move
    switch jump.operation {
    case .jne64I: pair.operation = .movAndJne
    case .jeq64I: pair.operation = .movAndJeq
    case .jlt64I: pair.operation = .movAndJlt
    default: return nil
    }
    pair.source = jump.destination
    pair.offset = value
    pair.immediate = jump.immediate
    return pair
  }

  private static func maskAndJump(
    _ mask: DecodedInstruction, _ jump: DecodedInstruction
  ) -> DecodedInstruction? {
    guard mask.operation == .and64I, jump.destination == mask.destination,
      jump.operation == .jne64I || jump.operation == .jeq64I,
      let value = Int16(exactly: Int64(bitPattern: jump.immediate))
    else { return nil }
    var pair = mask
    pair.operation = jump.operation == .jne64I ? .andAndJne : .andAndJeq
    pair.offset = value
    return pair
  }

  /// A copy of a register that is changed at once.
  private static func moveAndChange(
    _ move: DecodedInstruction, _ change: DecodedInstruction
  ) -> DecodedInstruction? {
    guard move.operation == .mov64R, change.destination == move.destination else { return nil }
    var pair = move
    pair.immediate = change.immediate
    switch change.operation {
    case .add64I: pair.operation = .movAndAddI
    case .and64I: pair.operation = .movAndAndI
    case .add64R where change.source != move.destination:
      pair.operation = .movAndAddR
      pair.immediate = UInt64(change.source)
    default: return nil
    }
    return pair
  }
}

extension Operation {
  /// Whether `offset` is the index of an instruction.
  var jumps: Bool {
    (rawValue >= Operation.jump.rawValue && rawValue <= Operation.jsle32R.rawValue)
      || self == .callLocal
  }

  /// A pair that jumps, to where `slot` says.
  var isFused: Bool {
    rawValue >= Operation.load8AndJne.rawValue && rawValue <= Operation.andAndJeq.rawValue
  }
}
