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
    _ load: DecodedInstruction, _ jump: DecodedInstruction
  ) -> DecodedInstruction? {
    guard load.destination == jump.destination else { return nil }
    let isEqual: Bool
    // What is loaded has 32 bits at most, so a comparison of 64 bits with the same number does.
    var immediate = jump.immediate
    switch jump.operation {
    case .jne64I: isEqual = false
    case .jeq64I: isEqual = true
    case .jne32I, .jeq32I:
      isEqual = jump.operation == .jeq32I
      immediate &= 0xffff_ffff
    default: return nil
    }
    var pair = load
    switch load.operation {
    case .load8: pair.operation = isEqual ? .load8AndJeq : .load8AndJne
    case .load16: pair.operation = isEqual ? .load16AndJeq : .load16AndJne
    case .load32: pair.operation = isEqual ? .load32AndJeq : .load32AndJne
    default: return nil
    }
    pair.immediate = immediate
    pair.slot = UInt16(jump.offset)
    return pair
  }
}

extension Operation {
  /// Whether `offset` is the index of an instruction.
  var jumps: Bool {
    (rawValue >= Operation.jump.rawValue && rawValue <= Operation.jsle32R.rawValue)
      || self == .callLocal
  }

  var isFused: Bool { rawValue >= Operation.load8AndJne.rawValue }
}
