import DPUCore

/// Puts addresses where a program names its maps.
package enum ProgramLinker {
  /// For the software engines, which look maps up through helpers.
  package static func link(
    _ program: [Instruction], to maps: borrowing MapStore
  ) -> [Instruction] {
    var result = program
    var index = 0
    while index < result.count {
      let instruction = result[index]
      guard instruction.isWideLoad else {
        index += 1
        continue
      }
      switch instruction.source {
      case WideLoadKind.mapByIndex:
        set(&result, index, MapHandle.handle(Int(instruction.immediate)))
      case WideLoadKind.mapValueByIndex:
        let offset = UInt64(UInt32(bitPattern: result[index + 1].immediate))
        set(&result, index, UInt64(maps.address(of: Int(instruction.immediate))) + offset)
      default: break
      }
      index += 2
    }
    return result
  }

  /// For a core that has no helpers: its data memory begins at address 0, and a lookup in an array
  /// becomes six instructions. `report` is what the verifier found for this target.
  package static func linkForCore(
    _ program: [Instruction], maps: [MapDeclaration], _ report: Verifier.Report,
    for target: VerifierTarget
  ) throws(ProgramFault) -> [Instruction] {
    let layout = MapLayout(maps)
    var result: [Instruction] = []
    // Where each instruction comes to stand, for the jumps.
    var places = [Int](repeating: 0, count: program.count + 1)
    var index = 0
    while index < program.count {
      let instruction = program[index]
      places[index] = result.count
      if instruction.isWideLoad {
        result += [instruction, program[index + 1]]
        if instruction.source == WideLoadKind.mapByIndex {
          set(&result, result.count - 2, MapHandle.handle(Int(instruction.immediate)))
        } else if instruction.source == WideLoadKind.mapValueByIndex {
          let base = layout.place(of: Int(instruction.immediate)) ?? 0
          set(&result, result.count - 2, UInt64(base + Int(program[index + 1].immediate)))
        }
        places[index + 1] = result.count - 1
        index += 2
        continue
      }
      if let lookup = report.lookups.first(where: { $0.instruction == index }) {
        guard let map = lookup.map, let base = layout.place(of: map) else {
          throw ProgramFault(
            at: index, "\(target.name) must know which map this looks up, and it is not always one")
        }
        result += lookupInstructions(maps[map], base: base)
      } else {
        result.append(instruction)
      }
      index += 1
    }
    places[program.count] = result.count
    guard result.count <= target.instructionsMax else {
      throw ProgramFault(
        at: target.instructionsMax,
        """
        \(result.count) instructions with its lookups, and \(target.name) holds \
        \(target.instructionsMax)
        """)
    }
    mendJumps(program, places, &result)
    return result
  }

  /// `r0 = r2 points to an index below the number of entries ? address of the value : 0`.
  private static func lookupInstructions(_ map: MapDeclaration, base: Int) -> [Instruction] {
    [
      // r0 = *(u32 *)(r2 + 0)
      Instruction(opcode: 0x61, destination: 0, source: 2),
      // if r0 >= entries goto +3
      Instruction(opcode: 0x35, offset: 3, immediate: Int32(map.entries)),
      // r0 *= stride; r0 += base
      Instruction(opcode: 0x27, immediate: Int32(map.stride)),
      Instruction(opcode: 0x07, immediate: Int32(base)),
      // goto +1
      Instruction(opcode: 0x05, offset: 1),
      // r0 = 0
      Instruction(opcode: 0xb7),
    ]
  }

  private static func mendJumps(
    _ program: [Instruction], _ places: [Int], _ result: inout [Instruction]
  ) {
    var isSecondHalf = false
    for (index, instruction) in program.enumerated() {
      defer { isSecondHalf = !isSecondHalf && instruction.isWideLoad }
      let jumps = instruction.opcodeClass == .jump64 || instruction.opcodeClass == .jump32
      guard !isSecondHalf, jumps, !instruction.isExit,
        !instruction.isCall || instruction.isLocalCall
      else { continue }
      let distance = places[index + 1 + instruction.jumpDistance] - places[index] - 1
      if instruction.opcode == 0x06 || instruction.isCall {
        result[places[index]].immediate = Int32(distance)
      } else {
        // Programs have at most 4,096 instructions, so this fits.
        result[places[index]].offset = Int16(distance)
      }
    }
  }

  private static func set(_ program: inout [Instruction], _ index: Int, _ value: UInt64) {
    program[index].source = WideLoadKind.value
    program[index].immediate = Int32(truncatingIfNeeded: Int64(bitPattern: value))
    program[index + 1].immediate = Int32(truncatingIfNeeded: Int64(bitPattern: value >> 32))
  }
}
