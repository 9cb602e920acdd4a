/// What is known of one register.
enum Knowledge: Equatable, BitwiseCopyable, Sendable {
  case nothing
  case number(Scalar)
  /// The start of region `region` plus `offset`, which wraps like any number.
  case pointer(region: UInt8, offset: Scalar)
  /// A map itself, as helpers want it.
  case map(UInt8)
  /// What a lookup at instruction `call` gave: a value of the map, or null.
  case valueOrNull(map: UInt8, call: Int32)

  /// Whether it must not become visible as a number.
  var isAddress: Bool {
    switch self {
    case .nothing, .number: false
    case .pointer, .map, .valueOrNull: true
    }
  }

  /// What it is when the lookup at `call` found a value, or found none.
  func decided(call: Int32, isFound: Bool) -> Knowledge {
    guard case .valueOrNull(let map, call) = self else { return self }
    return isFound
      ? .pointer(region: Region.map(Int(map)), offset: Scalar(0)) : .number(Scalar(0))
  }

  var scalar: Scalar? {
    if case .number(let scalar) = self { return scalar }
    return nil
  }

  /// Whether a program that is safe with this is safe with `other`.
  func covers(_ other: Knowledge) -> Bool {
    switch (self, other) {
    case (.nothing, _): true
    case (.number(let mine), .number(let theirs)): mine.covers(theirs)
    case (.pointer(let region, let mine), .pointer(let otherRegion, let theirs)):
      region == otherRegion && mine.covers(theirs)
    case (.map(let mine), .map(let theirs)): mine == theirs
    case (.valueOrNull(let mine, let call), .valueOrNull(let theirs, let otherCall)):
      mine == theirs && call == otherCall
    default: false
    }
  }
}

/// What is known of the stack of one function.
struct StackKnowledge: Equatable, Sendable {
  /// For each byte, lowest address first: whether it was written.
  var isWritten = [Bool](repeating: false, count: HBPFLimits.stackBytes)
  /// What whole slots of eight bytes hold, when a register was saved there.
  var saved = [Knowledge](repeating: .nothing, count: HBPFLimits.stackBytes / 8)

  func covers(_ other: StackKnowledge) -> Bool {
    for index in isWritten.indices where isWritten[index] && !other.isWritten[index] {
      return false
    }
    for index in saved.indices where !saved[index].covers(other.saved[index]) { return false }
    return true
  }

  func isWritten(_ offset: Int, count: Int) -> Bool {
    for byte in offset..<offset + count where !isWritten[byte] { return false }
    return true
  }

  mutating func write(_ offset: Int, count: Int, _ value: Knowledge) {
    for byte in offset..<offset + count { isWritten[byte] = true }
    for slot in offset >> 3...(offset + count - 1) >> 3 { saved[slot] = .nothing }
    if count == 8, offset & 7 == 0 { saved[offset >> 3] = value }
  }

  /// After a store somewhere in `range`: nothing new is written for certain, nothing saved holds.
  mutating func smudge(_ range: ClosedRange<Int>) {
    for slot in range.lowerBound >> 3...range.upperBound >> 3 { saved[slot] = .nothing }
  }
}

/// One function that is being run: its stack, and what it left to the one it called.
struct FunctionKnowledge: Equatable, Sendable {
  var stack = StackKnowledge()
  /// r6 to r9 of the caller, to come back with the return.
  var callerSaved: [Knowledge] = []
  /// Where the caller goes on.
  var returnTo = 0
}

/// What is known of the whole machine at one instruction.
struct AbstractState: Equatable, Sendable {
  var registers = [Knowledge](repeating: .nothing, count: 11)
  /// The outermost function first.
  var functions = [FunctionKnowledge()]

  func covers(_ other: AbstractState) -> Bool {
    guard functions.count == other.functions.count else { return false }
    for index in registers.indices where !registers[index].covers(other.registers[index]) {
      return false
    }
    for (mine, theirs) in zip(functions, other.functions) {
      guard mine.returnTo == theirs.returnTo, mine.stack.covers(theirs.stack) else { return false }
      for (a, b) in zip(mine.callerSaved, theirs.callerSaved) where !a.covers(b) { return false }
    }
    return true
  }

  /// Changes everything that is known of a register or a saved one.
  mutating func forEach(_ change: (Knowledge) -> Knowledge) {
    for index in registers.indices { registers[index] = change(registers[index]) }
    for index in functions.indices {
      for slot in functions[index].stack.saved.indices {
        functions[index].stack.saved[slot] = change(functions[index].stack.saved[slot])
      }
      for place in functions[index].callerSaved.indices {
        functions[index].callerSaved[place] = change(functions[index].callerSaved[place])
      }
    }
  }

  /// Forgets what an earlier lookup at `call` gave: another one there is about to say otherwise.
  /// A slot of the stack that holds it counts as not written, so that nobody reads it as a number.
  mutating func forget(call: Int32) {
    func isOld(_ knowledge: Knowledge) -> Bool {
      if case .valueOrNull(_, call) = knowledge { return true }
      return false
    }
    for index in registers.indices where isOld(registers[index]) { registers[index] = .nothing }
    for index in functions.indices {
      for slot in functions[index].stack.saved.indices
      where isOld(functions[index].stack.saved[slot]) {
        functions[index].stack.saved[slot] = .nothing
        for byte in slot * 8..<slot * 8 + 8 { functions[index].stack.isWritten[byte] = false }
      }
      for place in functions[index].callerSaved.indices
      where isOld(functions[index].callerSaved[place]) {
        functions[index].callerSaved[place] = .nothing
      }
    }
  }
}
