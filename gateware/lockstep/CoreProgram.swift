import DPUCore
import HBPFBridge

/// A program as a core takes it: any rows at all. The core looks at a row when it comes to it, and
/// ends there when the row is none; the interpreter refuses such a program before it starts. So here
/// a program is made well-formed, with a trap for each place at which the core must end.
struct CoreProgram {
  /// Where a core must end.
  struct Trap: BitwiseCopyable {
    /// What the core reports.
    var row: Int
    /// It left the program; else what it found is no instruction.
    var isOutside: Bool
    /// The row is that of a jump, which goes where no row can be, and does not retire.
    var isJump = false
  }

  /// As the core has them.
  let rows: [Instruction]
  /// Rows with other things in the place of what is no instruction, and traps behind them.
  private(set) var wellFormed: [Instruction]
  private var traps: [Trap?]

  /// Rows that a core can have.
  private static let addressable = 4_096

  init(_ rows: [Instruction]) {
    self.rows = rows
    wellFormed = rows
    traps = [Trap?](repeating: nil, count: rows.count)
    var isSecondHalf = [Bool](repeating: false, count: rows.count)
    var index = 0
    while index < rows.count {
      if let trap = Self.trap(rows, at: index) {
        put(trap, at: index)
      } else if rows[index].isWideLoad {
        isSecondHalf[index + 1] = true
        index += 1
      }
      index += 1
    }
    // What runs past the last row ends behind it.
    append(Trap(row: rows.count, isOutside: true))
    for index in rows.indices where traps[index] == nil && !isSecondHalf[index] {
      guard let target = Self.target(of: rows[index], at: index) else { continue }
      if target < 0 || target >= Self.addressable {
        redirect(index, to: Trap(row: index, isOutside: true, isJump: true))
      } else if target >= rows.count {
        redirect(index, to: Trap(row: target, isOutside: true))
      } else if isSecondHalf[target] {
        // A row of its own there is no instruction.
        redirect(index, to: Trap(row: target, isOutside: false))
      }
    }
  }

  /// What the core must find at `slot` of the well-formed program, when it is none of its rows.
  func trap(at slot: Int) -> Trap? { traps[slot] }

  /// The trap that a jump or call goes to.
  func trap(behind slot: Int) -> Trap? {
    Self.target(of: wellFormed[slot], at: slot).flatMap { traps[$0] }
  }

  private mutating func put(_ trap: Trap, at slot: Int) {
    wellFormed[slot] = Instruction(opcode: 0x95)
    traps[slot] = trap
  }

  private mutating func append(_ trap: Trap) {
    wellFormed.append(Instruction(opcode: 0x95))
    traps.append(trap)
  }

  private mutating func redirect(_ index: Int, to trap: Trap) {
    let distance = wellFormed.count - index - 1
    if rows[index].opcode == 0x06 || rows[index].isCall {
      wellFormed[index].immediate = Int32(distance)
    } else {
      wellFormed[index].offset = Int16(distance)
    }
    append(trap)
  }

  private static func target(of instruction: Instruction, at index: Int) -> Int? {
    switch instruction.opcodeClass {
    case .jump64, .jump32:
      if instruction.isExit || (instruction.isCall && !instruction.isLocalCall) { return nil }
      return index + 1 + instruction.jumpDistance
    default: return nil
    }
  }

  /// Nil for an instruction.
  private static func trap(_ rows: [Instruction], at index: Int) -> Trap? {
    let instruction = rows[index]
    do throws(ProgramFault) {
      try WellFormed.check(instruction, at: index)
    } catch {
      return Trap(row: index, isOutside: false)
    }
    guard instruction.isWideLoad else { return nil }
    // Other kinds name maps and variables; a loader puts numbers in their place.
    if instruction.source != WideLoadKind.value { return Trap(row: index, isOutside: false) }
    if index + 1 == rows.count { return Trap(row: index + 1, isOutside: true) }
    let second = rows[index + 1]
    let isZero =
      second.opcode == 0 && second.destination == 0 && second.source == 0 && second.offset == 0
    return isZero ? nil : Trap(row: index + 1, isOutside: false)
  }
}

extension CoreProgram {
  /// Whether the instruction at `slot` is a division or remainder by zero, which ends a program in
  /// hBPF's way.
  func dividesByZero(_ slot: Int, _ registers: RegisterFile) -> Bool {
    let instruction = rows[slot]
    let is64 = instruction.opcodeClass == .arithmetic64
    guard is64 || instruction.opcodeClass == .arithmetic32,
      instruction.arithmetic == .divide || instruction.arithmetic == .modulo
    else { return false }
    let divisor =
      instruction.usesRegister
      ? registers[instruction.source] : UInt64(bitPattern: Int64(instruction.immediate))
    return is64 ? divisor == 0 : UInt32(truncatingIfNeeded: divisor) == 0
  }
}
