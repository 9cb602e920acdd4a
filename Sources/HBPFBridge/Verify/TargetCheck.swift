import DPUCore

/// Whether a target has the instructions of a program at all.
enum TargetCheck {
  static func check(
    _ program: [Instruction], maps: [MapDeclaration], for target: VerifierTarget
  ) throws(ProgramFault) {
    guard program.count <= target.instructionsMax else {
      throw ProgramFault(
        at: target.instructionsMax,
        "\(program.count) instructions, and \(target.name) holds \(target.instructionsMax)")
    }
    var isSecondHalf = false
    for (index, instruction) in program.enumerated() {
      if isSecondHalf {
        isSecondHalf = false
        continue
      }
      isSecondHalf = instruction.isWideLoad
      if instruction.isWideLoad, target.mapsInStateOnly, let map = map(instruction, maps),
        MapLayout(maps).place(of: map) == nil
      {
        throw ProgramFault(at: index, "\(target.name) has no \(whyNotInState(maps[map]))")
      }
      if let missing = missing(instruction, in: target) {
        throw ProgramFault(at: index, "\(target.name) has no \(missing)")
      }
    }
  }

  /// The map that a wide load names, when there is such a map.
  static func map(_ instruction: Instruction, _ maps: [MapDeclaration]) -> Int? {
    let kind = instruction.source
    guard kind == WideLoadKind.mapByIndex || kind == WideLoadKind.mapValueByIndex,
      maps.indices.contains(Int(instruction.immediate))
    else { return nil }
    return Int(instruction.immediate)
  }

  private static func whyNotInState(_ map: MapDeclaration) -> Text {
    map.kind == .hash
      ? "hash maps, and \(map.name) is one"
      : "room for \(map.name): maps share the \(HBPFLimits.stateBytes) bytes of state"
  }

  private static func missing(_ instruction: Instruction, in target: VerifierTarget) -> Text? {
    switch instruction.opcodeClass {
    case .jump32:
      if instruction.isUnconditionalJump { return target.hasVersion4 ? nil : "long jumps" }
      return target.hasJump32 ? nil : "jumps that compare 32 bits"
    case .jump64:
      if instruction.isLocalCall { return target.hasLocalCalls ? nil : "local calls" }
      if instruction.isCall, !instruction.usesRegister {
        let helper = UInt32(bitPattern: instruction.immediate)
        return target.helpers.contains(helper) ? nil : "helper \(helper)"
      }
      return nil
    case .storeRegister:
      if instruction.mode == .atomic { return target.hasAtomics ? nil : "atomic operations" }
    case .loadRegister:
      if instruction.mode == .memorySignExtended {
        return target.hasVersion4 ? nil : "loads with sign"
      }
    case .arithmetic64, .arithmetic32: return missingArithmetic(instruction, in: target)
    default: break
    }
    let touchesStack = instruction.destination == 10 || instruction.source == 10
    return touchesStack && !target.hasStack ? "stack" : nil
  }

  private static func missingArithmetic(
    _ instruction: Instruction, in target: VerifierTarget
  ) -> Text? {
    if !target.hasVersion4 {
      switch instruction.arithmetic {
      case .divide, .modulo: if instruction.offset == 1 { return "signed division" }
      case .move: if instruction.offset != 0 { return "moves with sign" }
      case .byteSwap:
        if instruction.opcodeClass == .arithmetic64 { return "unconditional byte swaps" }
      default: break
      }
    }
    return instruction.source == 10 && instruction.usesRegister && !target.hasStack
      ? "stack" : nil
  }
}
