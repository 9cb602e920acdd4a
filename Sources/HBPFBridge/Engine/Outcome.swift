/// How a run ended.
package enum Outcome: Equatable, BitwiseCopyable, Sendable {
  /// The value of r0.
  case exit(UInt64)
  case fault(RuntimeFault)
}

/// Why a run was stopped.
package struct RuntimeFault: Equatable, BitwiseCopyable, Sendable {
  package enum Kind: UInt8, BitwiseCopyable, Sendable {
    /// A load or store outside the memory, or a store where only reading is allowed.
    case outOfBounds = 1
    /// More jumps than the caller allowed.
    case tooLong = 2
    case unknownHelper = 3
    case callTooDeep = 4
    /// Whoever observed the run ended it.
    case stopped = 5

    package var name: StaticString {
      switch self {
      case .outOfBounds: "access out of bounds"
      case .tooLong: "too many instructions"
      case .unknownHelper: "unknown helper"
      case .callTooDeep: "calls nested too deep"
      case .stopped: "stopped"
      }
    }
  }

  package var kind: Kind
  /// Slot of the instruction in the program.
  package var instruction: Int

  package init(_ kind: Kind, instruction: Int) {
    self.kind = kind
    self.instruction = instruction
  }
}

/// What a helper did.
package enum HelperResult: Equatable, BitwiseCopyable, Sendable {
  /// Goes on with this in r0.
  case value(UInt64)
  /// The program ends with this in r0.
  case end(UInt64)
  case unknown
}

/// The functions that a program may call by number.
package protocol HelperTable: ~Copyable {
  mutating func call(
    _ helper: UInt32, _ r1: UInt64, _ r2: UInt64, _ r3: UInt64, _ r4: UInt64, _ r5: UInt64,
    memory: GuestMemory
  ) -> HelperResult
}

/// None at all.
package struct NoHelpers: HelperTable {
  package init() {}

  package mutating func call(
    _ helper: UInt32, _ r1: UInt64, _ r2: UInt64, _ r3: UInt64, _ r4: UInt64, _ r5: UInt64,
    memory: GuestMemory
  ) -> HelperResult { .unknown }
}
