import DPUCore

/// Proves that a program can do no harm where it is to run: that it reads nothing it did not write
/// or was not given, touches only its memory, calls only what there is, and ends.
///
/// Follows every path with what is known of each register (`Scalar`), as long as that is news: a
/// state that an earlier one covers is not followed again. A loop is followed turn by turn, so it
/// must end for every packet, and within `stepsMax`.
package struct Verifier {
  /// Instructions followed on all paths together; beyond that a program is refused as too complex.
  package static let stepsMax = 200_000
  /// States kept at an instruction. Each is compared with every state that comes there, and in a
  /// loop with many turns comparing with all of them took minutes; a state that is found by none
  /// of the kept ones is only followed once more.
  private static let checkpointsKept = 32

  /// What was found out about an accepted program.
  package struct Report: Equatable, Sendable {
    /// Instructions followed on all paths.
    package var steps = 0
    package var usesStack = false
    /// Whether a store may go to the packet.
    package var writesPacket = false
    /// Which map each lookup asks; nil: not the same on all paths.
    package var lookups: [(instruction: Int, map: Int?)] = []

    package static func == (a: Report, b: Report) -> Bool {
      a.steps == b.steps && a.usesStack == b.usesStack && a.writesPacket == b.writesPacket
        && a.lookups.elementsEqual(b.lookups) { $0 == $1 }
    }
  }

  let program: [Instruction]
  let maps: [MapDeclaration]
  let target: VerifierTarget
  var report = Report()
  /// States already seen at an instruction, the latest of them.
  private var checkpoints: [[Checkpoint]]
  private var checkpointsAdded: [Int]
  private var open: [OpenPath] = []
  private var checkpointCount = 0
  private var parents: [Int] = []
  private var branches: [Int] = []

  private struct Checkpoint {
    var state: AbstractState
    var number: Int
  }

  /// A path still to be followed.
  private struct OpenPath {
    var instruction: Int
    var state: AbstractState
    /// The checkpoint it came from, -1 for none.
    var parent: Int
  }

  private init(_ program: [Instruction], maps: [MapDeclaration], target: VerifierTarget) {
    self.program = program
    self.maps = maps
    self.target = target
    checkpoints = Array(repeating: [], count: program.count)
    checkpointsAdded = Array(repeating: 0, count: program.count)
  }

  /// Refuses with the instruction and the reason. The wide loads of `program` name `maps` by their
  /// places.
  @discardableResult
  package static func check(
    _ program: [Instruction], maps: [MapDeclaration] = [], for target: VerifierTarget
  ) throws(ProgramFault) -> Report {
    try WellFormed.check(program.span)
    try TargetCheck.check(program, maps: maps, for: target)
    var verifier = Verifier(program, maps: maps, target: target)
    return try verifier.run()
  }

  // MARK: Paths

  private mutating func run() throws(ProgramFault) -> Report {
    let isJumpTarget = jumpTargets()
    var start = AbstractState()
    start.registers[1] = .pointer(region: Region.data, offset: Scalar(0))
    start.registers[2] = .number(Scalar(0...UInt64(target.packetBytesMax)))
    start.registers[10] = .pointer(
      region: Region.stack(0), offset: Scalar(UInt64(HBPFLimits.stackBytes)))
    open.append(OpenPath(instruction: 0, state: start, parent: -1))
    while let path = open.popLast() {
      try follow(path, isJumpTarget: isJumpTarget)
    }
    return report
  }

  private func jumpTargets() -> [Bool] {
    var result = [Bool](repeating: false, count: program.count)
    for (index, instruction) in program.enumerated() {
      let jumps = instruction.opcodeClass == .jump64 || instruction.opcodeClass == .jump32
      if jumps, !instruction.isExit, !instruction.isCall || instruction.isLocalCall {
        result[index + 1 + instruction.jumpDistance] = true
      }
    }
    return result
  }

  private mutating func follow(_ path: OpenPath, isJumpTarget: [Bool]) throws(ProgramFault) {
    var state = path.state
    var index = path.instruction
    var parent = path.parent
    while true {
      if isJumpTarget[index] {
        for checkpoint in checkpoints[index] where checkpoint.state.covers(state) {
          // Seen before. If that path is still being followed, this is the same turn again.
          guard branches[checkpoint.number] == 0 || !isAncestor(checkpoint.number, of: parent)
          else { throw ProgramFault(at: index, "the loop here need not end") }
          return close(parent)
        }
        parent = addCheckpoint(index, state, parent: parent)
      }
      report.steps += 1
      guard report.steps <= Self.stepsMax else {
        throw ProgramFault(
          at: index, "too complex: more than \(Self.stepsMax) instructions on all paths")
      }
      switch try step(index, &state) {
      case .next(let next): index = next
      case .end: return close(parent)
      case .fork(let next, let other, let otherState):
        if parent >= 0 { branches[parent] += 1 }
        open.append(OpenPath(instruction: other, state: otherState, parent: parent))
        index = next
      }
    }
  }

  private mutating func addCheckpoint(_ index: Int, _ state: AbstractState, parent: Int) -> Int {
    let number = checkpointCount
    checkpointCount += 1
    let checkpoint = Checkpoint(state: state, number: number)
    if checkpoints[index].count < Self.checkpointsKept {
      checkpoints[index].append(checkpoint)
    } else {
      checkpoints[index][checkpointsAdded[index] % Self.checkpointsKept] = checkpoint
    }
    checkpointsAdded[index] += 1
    parents.append(parent)
    branches.append(1)
    return number
  }

  /// A path has ended: checkpoints all of whose paths have ended are done with.
  private mutating func close(_ parent: Int) {
    var number = parent
    while number >= 0 {
      branches[number] -= 1
      if branches[number] > 0 { return }
      number = parents[number]
    }
  }

  private func isAncestor(_ number: Int, of parent: Int) -> Bool {
    var current = parent
    while current >= 0 {
      if current == number { return true }
      current = parents[current]
    }
    return false
  }

  // MARK: One instruction

  private enum Successor {
    case next(Int)
    case fork(Int, Int, AbstractState)
    case end
  }

  private mutating func step(
    _ index: Int, _ state: inout AbstractState
  ) throws(ProgramFault) -> Successor {
    let instruction = program[index]
    switch instruction.opcodeClass {
    case .arithmetic64, .arithmetic32:
      try arithmetic(instruction, at: index, &state)
      return .next(index + 1)
    case .load:
      state.registers[Int(instruction.destination)] = try wideLoad(instruction, at: index)
      return .next(index + 2)
    case .loadRegister:
      try load(instruction, at: index, &state)
      return .next(index + 1)
    case .storeImmediate, .storeRegister:
      try store(instruction, at: index, &state)
      return .next(index + 1)
    case .jump64, .jump32: return try jump(instruction, at: index, &state)
    }
  }

  private mutating func jump(
    _ instruction: Instruction, at index: Int, _ state: inout AbstractState
  ) throws(ProgramFault) -> Successor {
    if instruction.isUnconditionalJump { return .next(index + 1 + instruction.jumpDistance) }
    if instruction.isExit { return try leave(at: index, &state) }
    if instruction.isCall { return try call(instruction, at: index, &state) }
    let taken = index + 1 + instruction.jumpDistance
    let (whenTaken, whenNot) = try refine(instruction, at: index, state)
    switch (whenTaken, whenNot) {
    case (let yes?, let no?):
      state = no
      return .fork(index + 1, taken, yes)
    case (let yes?, nil):
      state = yes
      return .next(taken)
    case (nil, let no?):
      state = no
      return .next(index + 1)
    case (nil, nil): return .end
    }
  }

  private func leave(
    at index: Int, _ state: inout AbstractState
  ) throws(ProgramFault) -> Successor {
    let result = try value(of: 0, at: index, state)
    if state.functions.count == 1 {
      guard !result.isAddress else {
        throw ProgramFault(at: index, "ends with an address in r0")
      }
      return .end
    }
    if case .pointer(let region, _) = result, region == Region.stack(state.functions.count - 1) {
      throw ProgramFault(at: index, "returns the address of a stack that is gone")
    }
    let function = state.functions.removeLast()
    for register in 6...9 { state.registers[register] = function.callerSaved[register - 6] }
    for register in 1...5 { state.registers[register] = .nothing }
    state.registers[10] = .pointer(
      region: Region.stack(state.functions.count - 1),
      offset: Scalar(UInt64(HBPFLimits.stackBytes)))
    return .next(function.returnTo)
  }

  private mutating func call(
    _ instruction: Instruction, at index: Int, _ state: inout AbstractState
  ) throws(ProgramFault) -> Successor {
    if instruction.isLocalCall {
      guard state.functions.count < HBPFLimits.callDepth else {
        throw ProgramFault(
          at: index, "calls nested deeper than \(HBPFLimits.callDepth) functions")
      }
      var function = FunctionKnowledge()
      for register in 6...9 { function.callerSaved.append(state.registers[register]) }
      function.returnTo = index + 1
      state.functions.append(function)
      for register in [0, 6, 7, 8, 9] { state.registers[register] = .nothing }
      state.registers[10] = .pointer(
        region: Region.stack(state.functions.count - 1),
        offset: Scalar(UInt64(HBPFLimits.stackBytes)))
      return .next(index + 1 + instruction.jumpDistance)
    }
    guard !instruction.usesRegister else {
      throw ProgramFault(at: index, "calls a helper by register, which cannot be checked")
    }
    let result = try helperResult(instruction, at: index, &state)
    for register in 1...5 { state.registers[register] = .nothing }
    state.registers[0] = result
    return .next(index + 1)
  }

  // MARK: Registers

  func value(
    of register: UInt8, at index: Int, _ state: AbstractState
  ) throws(ProgramFault) -> Knowledge {
    let knowledge = state.registers[Int(register)]
    if case .nothing = knowledge {
      throw ProgramFault(at: index, "r\(register) is read before it is written")
    }
    return knowledge
  }

  mutating func noteStackUse() { report.usesStack = true }
}

/// Numbers of regions in `Knowledge.pointer`.
enum Region {
  static let data: UInt8 = 0
  private static let firstMap: UInt8 = 16

  /// Of the function that is `depth` calls below the outermost.
  static func stack(_ depth: Int) -> UInt8 { UInt8(1 + depth) }
  static func isStack(_ region: UInt8) -> Bool { region > data && region < firstMap }
  /// One value of a map: lookups never say which.
  static func map(_ index: Int) -> UInt8 { firstMap + UInt8(index) }
  /// Nil for the packet's memory and for stacks.
  static func map(of region: UInt8) -> Int? { region < firstMap ? nil : Int(region - firstMap) }
}
