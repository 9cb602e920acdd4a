/// Capacities of this module, each with its reason.
package enum HBPFLimits {
  /// What the program memory of our core holds; Linux's own limit for unprivileged programs too.
  package static let instructions = 4_096
  /// Bytes of stack of one function, as the kernel and RFC 9669 users assume.
  package static let stackBytes = 512
  /// Nested calls of local functions, the first one included.
  package static let callDepth = 8
  /// Bytes of the data memory of an hBPF core: packet and state.
  package static let dataBytes = 2_048
  /// Where the state begins in it.
  package static let stateOffset = 1_536
  /// Bytes of state.
  package static let stateBytes = dataBytes - stateOffset

  // MARK: Object files

  /// Debug information takes most of an object; the largest of the kernel's own samples have 1 MiB.
  package static let objectBytes = 16 << 20
  package static let objectSections = 256
  package static let objectSymbols = 16_384
  /// Of sections, symbols and maps; compilers' own names stay far below.
  package static let nameBytes = 255
  /// Types of BTF: a program that includes the kernel's whole header of types has 150,000.
  package static let types = 262_144

  // MARK: Maps

  /// What one region number for each leaves over in the verifier, and more than programs have.
  package static let maps = 32
  package static let mapKeyBytes = 512
  package static let mapValueBytes = 65_536
  package static let mapEntries = 1 << 20
  /// All maps of one program together, on one core.
  package static let mapBytes = 64 << 20
}
