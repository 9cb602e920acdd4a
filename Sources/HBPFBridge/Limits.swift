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
}
