import DPUCore

/// What the emitters of all machines do alike: one pass over a well-formed program, each
/// instruction by itself, and then every jump made to land where its target's code begins.
package protocol NativeCompiler {
  init(_ program: [Instruction], _ mode: NativeMode)

  var program: [Instruction] { get }
  var bytes: [UInt8] { get }
  /// Jumps to instructions that were written: where each stands, and to which it goes.
  var jumps: [(place: Int, target: Int)] { get }

  mutating func enter()
  mutating func leave()
  mutating func load(_ register: UInt8, immediate: UInt64)
  mutating func arithmetic(_ instruction: Instruction)
  mutating func jump(_ instruction: Instruction, at index: Int)
  mutating func load(_ instruction: Instruction, at index: Int)
  mutating func store(_ instruction: Instruction, at index: Int)
  /// Makes the jump at `place` go to the code at `position`.
  mutating func land(_ place: Int, at position: Int)
}

extension NativeCompiler {
  /// Refuses what is not well-formed.
  package static func compile(
    _ program: [Instruction], _ mode: NativeMode
  ) throws(ProgramFault) -> NativeCode {
    try WellFormed.check(program.span)
    var compiler = Self(program, mode)
    compiler.run()
    return NativeCode(
      bytes: compiler.bytes, isChecked: mode == .checked,
      canFault: mode == .checked || program.contains { $0.isCall })
  }

  private mutating func run() {
    enter()
    // Where the code of each instruction begins.
    var starts = [Int](repeating: 0, count: program.count)
    var index = 0
    while index < program.count {
      starts[index] = bytes.count
      let instruction = program[index]
      switch instruction.opcodeClass {
      case .arithmetic64, .arithmetic32: arithmetic(instruction)
      case .jump64, .jump32: jump(instruction, at: index)
      case .loadRegister: load(instruction, at: index)
      case .storeImmediate, .storeRegister: store(instruction, at: index)
      case .load:
        let low = UInt64(UInt32(bitPattern: instruction.immediate))
        let high = UInt64(UInt32(bitPattern: program[index + 1].immediate))
        load(instruction.destination, immediate: high << 32 | low)
      }
      index += instruction.isWideLoad ? 2 : 1
    }
    leave()
    for jump in jumps { land(jump.place, at: starts[jump.target]) }
  }
}
