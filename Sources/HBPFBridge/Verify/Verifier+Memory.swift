import DPUCore

extension Verifier {
  /// The range of offsets of an access, which lies inside its region.
  private func place(
    _ instruction: Instruction, base: UInt8, at index: Int, _ state: AbstractState
  ) throws(ProgramFault) -> (region: UInt8, lowest: Int, highest: Int) {
    try range(
      of: base, plus: Scalar(UInt64(bitPattern: Int64(instruction.offset))),
      count: instruction.width.byteCount, at: index, state)
  }

  /// Where `count` bytes at an address may lie.
  func range(
    of register: UInt8, plus distance: Scalar, count: Int, at index: Int, _ state: AbstractState
  ) throws(ProgramFault) -> (region: UInt8, lowest: Int, highest: Int) {
    let region: UInt8
    let start: Scalar
    switch try value(of: register, at: index, state) {
    case .pointer(let found, let offset): (region, start) = (found, offset)
    case .valueOrNull:
      throw ProgramFault(at: index, "r\(register) may be null: compare it with 0 before")
    case .map: throw ProgramFault(at: index, "r\(register) is a map, not an address in it")
    default: throw ProgramFault(at: index, "r\(register) is a number, not an address")
    }
    let size = size(of: region)
    let offset = start + distance
    guard offset.minimum <= offset.maximum, size >= count,
      offset.maximum <= UInt64(size - count)
    else {
      let low = Int64(bitPattern: offset.minimum)
      let high = Int64(bitPattern: offset.maximum)
      throw ProgramFault(
        at: index,
        "accesses \(count) bytes at \(low) to \(high) of \(name(of: region)), which has \(size)")
    }
    return (region, Int(offset.minimum), Int(offset.maximum))
  }

  func size(of region: UInt8) -> Int {
    if let map = Region.map(of: region) { return maps[map].valueBytes }
    return region == Region.data ? target.dataBytes : HBPFLimits.stackBytes
  }

  private func name(of region: UInt8) -> Text {
    if let map = Region.map(of: region) {
      return maps[map].kind == .hash || maps[map].kind == .array
        ? "a value of map \(maps[map].name)" : "section \(maps[map].name)"
    }
    return region == Region.data ? "the packet's memory" : "the stack"
  }

  func stackIndex(_ region: UInt8) -> Int { Int(region) - 1 }

  mutating func load(
    _ instruction: Instruction, at index: Int, _ state: inout AbstractState
  ) throws(ProgramFault) {
    let count = instruction.width.byteCount
    let place = try place(instruction, base: instruction.source, at: index, state)
    var result = Knowledge.number(.anything)
    if Region.isStack(place.region) {
      noteStackUse()
      let stack = state.functions[stackIndex(place.region)].stack
      guard stack.isWritten(place.lowest, count: place.highest - place.lowest + count) else {
        throw ProgramFault(at: index, "reads bytes of the stack that were not written")
      }
      if place.lowest == place.highest, count == 8, place.lowest & 7 == 0 {
        if case .nothing = stack.saved[place.lowest >> 3] {
        } else {
          result = stack.saved[place.lowest >> 3]
        }
      } else {
        // Parts of a saved address are no numbers that may be looked at.
        try refusePointers(stack, place.lowest...place.highest + count - 1, at: index)
      }
    }
    if count < 8 {
      let value = Scalar.anything.low(UInt64(count * 8))
      result = .number(
        instruction.mode == .memorySignExtended ? signExtended(value, bits: count * 8) : value)
    }
    state.registers[Int(instruction.destination)] = result
  }

  func refusePointers(
    _ stack: StackKnowledge, _ range: ClosedRange<Int>, at index: Int
  ) throws(ProgramFault) {
    for slot in range.lowerBound >> 3...range.upperBound >> 3 {
      if stack.saved[slot].isAddress {
        throw ProgramFault(at: index, "reads a part of an address that was saved on the stack")
      }
    }
  }

  mutating func store(
    _ instruction: Instruction, at index: Int, _ state: inout AbstractState
  ) throws(ProgramFault) {
    let count = instruction.width.byteCount
    let place = try place(instruction, base: instruction.destination, at: index, state)
    var stored = Knowledge.number(Scalar(UInt64(bitPattern: Int64(instruction.immediate))))
    if instruction.opcodeClass == .storeRegister {
      stored = try value(of: instruction.source, at: index, state)
    }
    if let map = Region.map(of: place.region), maps[map].isReadOnly {
      throw ProgramFault(at: index, "writes to the constants of section \(maps[map].name)")
    }
    if stored.isAddress {
      guard Region.isStack(place.region) else {
        throw ProgramFault(at: index, "writes an address into \(name(of: place.region))")
      }
      guard count == 8, place.lowest == place.highest, place.lowest & 7 == 0,
        instruction.mode == .memory
      else { throw ProgramFault(at: index, "saves an address in other than a whole slot") }
    }
    if place.region == Region.data, place.lowest < HBPFLimits.stateOffset {
      report.writesPacket = true
    }
    if instruction.mode == .atomic {
      try atomic(instruction, at: index, place, &state)
      return
    }
    guard Region.isStack(place.region) else { return }
    noteStackUse()
    let function = stackIndex(place.region)
    if place.lowest == place.highest {
      state.functions[function].stack.write(place.lowest, count: count, stored)
    } else {
      state.functions[function].stack.smudge(place.lowest...place.highest + count - 1)
    }
  }

  private mutating func atomic(
    _ instruction: Instruction, at index: Int, _ place: (region: UInt8, lowest: Int, highest: Int),
    _ state: inout AbstractState
  ) throws(ProgramFault) {
    let count = instruction.width.byteCount
    if Region.isStack(place.region) {
      noteStackUse()
      let function = stackIndex(place.region)
      let range = place.lowest...place.highest + count - 1
      guard state.functions[function].stack.isWritten(range.lowerBound, count: range.count) else {
        throw ProgramFault(at: index, "changes bytes of the stack that were not written")
      }
      try refusePointers(state.functions[function].stack, range, at: index)
      state.functions[function].stack.smudge(range)
    }
    let old = Knowledge.number(Scalar.anything.low(UInt64(count * 8)))
    if instruction.immediate == AtomicOperation.compareExchange {
      guard case .number = try value(of: 0, at: index, state) else {
        throw ProgramFault(at: index, "compares with an address in r0")
      }
      state.registers[0] = old
    } else if instruction.immediate & AtomicOperation.fetch != 0 {
      state.registers[Int(instruction.source)] = old
    }
  }
}
