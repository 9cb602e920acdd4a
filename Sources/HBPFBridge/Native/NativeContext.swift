import DPUCore

/// What compiled code gets, and what it leaves behind. Its layout is part of the emitters: only
/// eight-byte fields, in this order.
package struct NativeContext: BitwiseCopyable {
  /// The arguments r1 to r5.
  package var arguments = InlineArray<5, UInt64>(repeating: 0)
  /// r10: one byte past the highest of the stack.
  package var stackTop: UInt64 = 0
  /// Checked code: where the data memory begins and how many bytes it has.
  package var dataStart: UInt64 = 0
  package var dataBytes: UInt64 = 0
  /// Checked code: the lowest address of the stack, and its bytes.
  package var stackStart: UInt64 = 0
  package var stackBytes: UInt64 = 0
  /// Checked code: taken backward jumps and calls that are left.
  package var budget: Int64 = 0
  /// Of local calls that may still nest.
  package var callsLeft: Int64 = 0
  /// A `RuntimeFault.Kind` and the instruction it happened at; kind 0: none.
  package var faultKind: UInt64 = 0
  package var faultInstruction: UInt64 = 0
  /// `(context, number, r1...r5) -> r0`; sets `ended` to end the program.
  package var helper: UInt64 = 0
  package var ended: UInt64 = 0
  /// The host's stack pointer when the code was entered, for leaving from nested calls.
  package var entryStackPointer: UInt64 = 0
  /// The host's address of what the function behind `helper` works with. Unknown to emitters.
  package var helpers: UInt64 = 0

  package init() {}

  enum Offset {
    static let arguments = 0
    static let stackTop = 40
    static let dataStart = 48
    static let dataBytes = 56
    static let stackStart = 64
    static let stackBytes = 72
    static let budget = 80
    static let callsLeft = 88
    static let faultKind = 96
    static let faultInstruction = 104
    static let helper = 112
    static let ended = 120
    static let entryStackPointer = 128
  }
}

/// Machine code of a program, not yet anywhere it could run.
package struct NativeCode: Sendable {
  package var bytes: [UInt8]
  /// Whether every access checks its address and every loop its budget.
  package var isChecked: Bool
  /// Whether a run may end with a fault, or before its end.
  package var canFault: Bool
}

/// How a program is compiled.
package enum NativeMode: Sendable {
  /// Only for what `Verifier` has accepted: no access is checked, because all were proved.
  case proved
  /// For anything well-formed.
  case checked
}
