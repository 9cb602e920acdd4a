import DPUCore

/// Maps, and the helpers that take them.
extension Verifier {
  func wideLoad(_ instruction: Instruction, at index: Int) throws(ProgramFault) -> Knowledge {
    let low = UInt64(UInt32(bitPattern: instruction.immediate))
    let high = UInt64(UInt32(bitPattern: program[index + 1].immediate))
    switch instruction.source {
    case WideLoadKind.value: return .number(Scalar(high << 32 | low))
    case WideLoadKind.mapByIndex:
      guard let map = TargetCheck.map(instruction, maps), !maps[map].kind.isVariables else {
        throw ProgramFault(at: index, "there is no map \(instruction.immediate)")
      }
      return .map(UInt8(map))
    case WideLoadKind.mapValueByIndex:
      guard let map = TargetCheck.map(instruction, maps), maps[map].kind.isVariables else {
        throw ProgramFault(at: index, "there are no variables \(instruction.immediate)")
      }
      return .pointer(region: Region.map(map), offset: Scalar(high))
    default: throw ProgramFault(at: index, "refers to a map that was not resolved")
    }
  }

  /// Checks the arguments of a helper that `TargetCheck` has found to exist.
  mutating func helperResult(
    _ instruction: Instruction, at index: Int, _ state: inout AbstractState
  ) throws(ProgramFault) -> Knowledge {
    guard let helper = Helper(rawValue: UInt32(bitPattern: instruction.immediate)) else {
      // A target of its own with helpers that take numbers.
      return .number(.anything)
    }
    switch helper {
    case .lookup:
      let map = try map(helper, at: index, state)
      try readable(2, maps[map].keyBytes, at: index, state)
      note(map, at: index)
      // What an earlier turn of a loop got here could not be told from this one.
      state.forget(call: Int32(index))
      return .valueOrNull(map: UInt8(map), call: Int32(index))
    case .update:
      let map = try map(helper, at: index, state)
      try readable(2, maps[map].keyBytes, at: index, state)
      try readable(3, maps[map].valueBytes, at: index, state)
      try number(4, at: index, state)
    case .delete:
      let map = try map(helper, at: index, state)
      guard maps[map].kind == .hash else {
        throw ProgramFault(
          at: index, "deletes from \(maps[map].name), and arrays keep all their entries")
      }
      try readable(2, maps[map].keyBytes, at: index, state)
    case .redirect:
      try number(1, at: index, state)
      try number(2, at: index, state)
    case .time, .random, .processor: break
    }
    return .number(.anything)
  }

  private func map(
    _ helper: Helper, at index: Int, _ state: AbstractState
  ) throws(ProgramFault) -> Int {
    guard case .map(let map) = try value(of: 1, at: index, state) else {
      throw ProgramFault(at: index, "calls \(helper.name) with something else than a map in r1")
    }
    return Int(map)
  }

  private func number(
    _ register: UInt8, at index: Int, _ state: AbstractState
  ) throws(ProgramFault) {
    guard !(try value(of: register, at: index, state)).isAddress else {
      throw ProgramFault(at: index, "r\(register) must be a number for this helper")
    }
  }

  /// That a helper may read `count` bytes where `register` points to.
  private mutating func readable(
    _ register: UInt8, _ count: Int, at index: Int, _ state: AbstractState
  ) throws(ProgramFault) {
    let place = try range(of: register, plus: Scalar(0), count: count, at: index, state)
    guard Region.isStack(place.region) else { return }
    noteStackUse()
    let stack = state.functions[stackIndex(place.region)].stack
    guard stack.isWritten(place.lowest, count: place.highest - place.lowest + count) else {
      throw ProgramFault(
        at: index, "lets a helper read bytes of the stack that were not written")
    }
    try refusePointers(stack, place.lowest...place.highest + count - 1, at: index)
  }

  private mutating func note(_ map: Int, at index: Int) {
    for place in report.lookups.indices where report.lookups[place].instruction == index {
      if report.lookups[place].map != map { report.lookups[place].map = nil }
      return
    }
    report.lookups.append((index, map))
  }
}

extension MapKind {
  var isVariables: Bool {
    switch self {
    case .variables: true
    case .array, .hash: false
    }
  }
}
