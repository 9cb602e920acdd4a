import DPUCore
import HBPFBridge

/// Which instructions were seen: opcodes, and where one opcode is several operations (atomic ones,
/// signed division, moves with sign, swaps, kinds of calls) each of them.
struct Coverage {
  private var seen = [Bool](repeating: false, count: 1 << 16)

  mutating func note(_ instruction: Instruction) { seen[Self.place(of: instruction)] = true }

  /// Those that were not seen.
  var missing: [Instruction] { Self.all.filter { !seen[Self.place(of: $0)] } }

  static let all: [Instruction] = {
    var found = [Bool](repeating: false, count: 1 << 16)
    var all: [Instruction] = []
    let immediates: [Int32] = [0, 16, 32, 64, 1, 65, 80, 81, 160, 161, 225, 241]
    for opcode in UInt8.min...UInt8.max {
      for immediate in immediates {
        for offset in [Int16(0), 1, 8, 16, 32] {
          for source in [UInt8(0), 1] {
            let instruction = Instruction(
              opcode: opcode, source: source, offset: offset, immediate: immediate)
            let place = place(of: instruction)
            if found[place] || !isWellFormed(instruction) { continue }
            if instruction.isWideLoad && source > 0 { continue }
            found[place] = true
            all.append(instruction)
          }
        }
      }
    }
    return all
  }()

  private static func isWellFormed(_ instruction: Instruction) -> Bool {
    do throws(ProgramFault) {
      try WellFormed.check(instruction, at: 0)
      return true
    } catch {
      return false
    }
  }

  private static func place(of instruction: Instruction) -> Int {
    var variant = 0
    switch instruction.opcodeClass {
    case .arithmetic32, .arithmetic64:
      switch instruction.arithmetic {
      case .divide, .modulo: variant = Int(instruction.offset)
      case .move: variant = instruction.usesRegister ? Int(instruction.offset) : 0
      case .byteSwap: variant = Int(instruction.immediate)
      default: break
      }
    case .storeRegister: if instruction.mode == .atomic { variant = Int(instruction.immediate) }
    case .jump64: if instruction.isLocalCall { variant = 1 }
    default: break
    }
    return Int(instruction.opcode) << 8 | variant & 0xff
  }
}
