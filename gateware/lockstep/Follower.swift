import DPUCore
import HBPFBridge

/// Holds each instruction of the interpreter against the record of the core: the row, all registers
/// and what was stored.
struct Follower: RunObserver, ~Copyable {
  static var looks: Bool { true }

  var trace = TraceReader()
  /// What differs, and at which instruction of the packet; nil for nothing.
  private(set) var difference: Text?
  /// Instructions that were held against each other, of this packet and of all.
  private(set) var retired = 0
  private(set) var retiredAll = 0
  private(set) var coverage = Coverage()

  private var program: CoreProgram
  private var limit = 0
  private var dividesFault = false
  /// The core's registers, by what it says that it wrote.
  private var core = [UInt64](repeating: 0, count: 11)
  /// Those that a return brings back: r6 to r10.
  private var callers: [[UInt64]] = []
  /// The instruction that the interpreter does now.
  private var running: Int?
  /// How the core must end, known before the interpreter does.
  private var mustEnd: End?

  private enum End {
    case exit(UInt32)
    case fault(Int, row: Int)
    /// No instruction, or outside of the program.
    case trap(CoreProgram.Trap)
  }

  /// The core's numbers for faults.
  private enum Code {
    static let bounds = 1, limit = 2, helper = 3, depth = 4, outside = 8, division = 9
    static let noInstruction = 5...7
  }

  init() { program = CoreProgram([]) }

  /// A packet starts.
  mutating func begin(
    _ program: CoreProgram, arguments: InlineArray<5, UInt64>, limit: Int, dividesFault: Bool
  ) {
    self.program = program
    self.limit = limit
    self.dividesFault = dividesFault
    for index in core.indices { core[index] = 0 }
    for index in 0..<5 { core[index + 1] = arguments[index] }
    core[10] =
      Interpreter.stackStart + UInt64(HBPFLimits.stackBytes * HBPFLimits.callDepth)
    callers = []
    running = nil
    mustEnd = nil
    difference = nil
    retired = 0
  }

  // MARK: Instruction by instruction

  mutating func next(_ slot: Int, _ registers: RegisterFile, stored: MemoryStore?) -> Bool {
    let trap = program.trap(at: slot)
    if let row = running {
      if let trap, trap.isJump {
        mustEnd = .trap(trap)
        return false
      }
      guard retire(row) else { return false }
      guard agrees(registers, stored, row) else { return false }
      running = nil
    }
    if retired == limit {
      mustEnd = .fault(Code.limit, row: trap?.row ?? slot)
    } else if let trap {
      mustEnd = .trap(trap)
    } else if dividesFault, program.dividesByZero(slot, registers) {
      mustEnd = .fault(Code.division, row: slot)
    } else {
      running = slot
      return true
    }
    return false
  }

  /// Takes the core's record of the instruction at `row` and keeps its registers up to date.
  private mutating func retire(_ row: Int) -> Bool {
    guard let line = trace.read() else { return differ("the trace ends at row \(row)") }
    switch line {
    case .retired(let record):
      guard record.row == row else {
        return differ("the core retires row \(record.row), the interpreter row \(row)")
      }
      let instruction = program.rows[row]
      if instruction.isLocalCall {
        callers.append(Array(core[6...10]))
        core[10] &-= UInt64(HBPFLimits.stackBytes)
      } else if instruction.isExit, let kept = callers.popLast() {
        for index in kept.indices { core[6 + index] = kept[index] }
      }
      if record.writes, record.register < 11 { core[Int(record.register)] = record.value }
      coreStore = record.store
      retired += 1
      retiredAll += 1
      coverage.note(instruction)
      return true
    case .end(let end):
      return differ(
        "the core ends with fault \(end.fault) at row \(end.row), the interpreter does row \(row)")
    default: return differ("row \(row) is missing in the trace")
    }
  }

  /// What the record that was taken last says of memory.
  private var coreStore: MemoryStore?

  private mutating func agrees(
    _ registers: RegisterFile, _ stored: MemoryStore?, _ row: Int
  ) -> Bool {
    for index in 0..<11 where registers[UInt8(index)] != core[index] {
      return differ(
        "row \(row): r\(index) is \(Self.number(core[index])) in the core, "
          + "\(Self.number(registers[UInt8(index)])) in the interpreter")
    }
    guard stored == coreStore else {
      return differ(
        "row \(row): the core stores \(Self.text(coreStore)), the interpreter "
          + Self.text(stored))
    }
    return true
  }

  // MARK: The end

  /// The interpreter's run is over: the core's must be, and in the same way.
  mutating func end(_ outcome: Outcome) {
    guard difference == nil else { return }
    switch outcome {
    case .exit(let r0):
      if let row = running, !retire(row) { return }
      expect(.exit(UInt32(truncatingIfNeeded: r0)))
    case .fault(let fault):
      let row = fault.instruction
      switch fault.kind {
      case .outOfBounds: expect(.fault(Code.bounds, row: row))
      case .unknownHelper: expect(.fault(Code.helper, row: row))
      case .callTooDeep:
        // The core sees first that no row is there.
        if let trap = program.trap(behind: row), trap.isJump {
          expect(.trap(trap))
        } else {
          expect(.fault(Code.depth, row: row))
        }
      case .stopped:
        if let mustEnd { expect(mustEnd) }
      case .tooLong: _ = differ("the interpreter stops at row \(row) by itself")
      }
    }
  }

  private mutating func expect(_ end: End) {
    guard let line = trace.read() else { return _ = differ("the trace ends before the packet") }
    switch line {
    case .retired(let record):
      _ = differ("the core goes on with row \(record.row), \(Self.text(end)) in the interpreter")
    case .end(let found):
      let isSame =
        switch end {
        case .exit(let verdict): found.fault == 0 && found.verdict == verdict
        case .fault(let code, let row): found.fault == code && found.row == row
        case .trap(let trap):
          found.row == trap.row
            && (trap.isOutside
              ? found.fault == Code.outside : Code.noInstruction.contains(found.fault))
        }
      if !isSame {
        _ = differ(
          "the core ends with verdict \(found.verdict), fault \(found.fault) at row "
            + "\(found.row), \(Self.text(end)) in the interpreter")
      }
    default: _ = differ("the end of the packet is missing in the trace")
    }
  }

  /// What the core's memory holds after the packet.
  mutating func after(_ memory: [UInt8], interpreter: [UInt8]) {
    guard difference == nil else { return }
    for at in interpreter.indices where at >= memory.count || memory[at] != interpreter[at] {
      _ = differ("byte \(at) of the memory differs afterwards")
      return
    }
  }

  // MARK: Words

  private mutating func differ(_ what: Text) -> Bool {
    let instruction = running.map { " (\(Disassembler.text(program.rows[$0])))" as Text } ?? Text()
    difference = "instruction \(retired)\(instruction): \(what)"
    return false
  }

  private static func number(_ value: UInt64) -> Text {
    var text: Text = "0x"
    text.append(value, radix: 16, width: 1)
    return text
  }

  private static func text(_ store: MemoryStore?) -> Text {
    guard let store else { return "nothing" }
    return "\(number(store.value)) in \(store.byteCount) bytes at \(number(store.address))"
  }

  private static func text(_ end: End) -> Text {
    switch end {
    case .exit(let verdict): "verdict \(verdict)"
    case .fault(let code, let row): "fault \(code) at row \(row)"
    case .trap(let trap):
      trap.isOutside ? "outside at row \(trap.row)" : "no instruction at row \(trap.row)"
    }
  }
}

private func + (left: Text, right: Text) -> Text {
  var text = left
  text.append(right)
  return text
}
