/// Who sent a request: what the kernel says of the peer's process.
package struct Caller: Sendable {
  /// What a caller may do; each may do what those before it may.
  package enum Role: Int, CaseIterable, Sendable {
    /// Whoever may open the socket.
    case reader
    /// Members of the group `control.operators`.
    case `operator`
    /// Root and the firmware's own user.
    case administrator

    var word: StaticString {
      switch self {
      case .reader: "reader"
      case .operator: "operator"
      case .administrator: "administrator"
      }
    }
  }

  package var role: Role
  /// The user's number, for the log.
  package var user: UInt32

  package init(_ role: Role, user: UInt32 = 0) {
    self.role = role
    self.user = user
  }
}

extension PartMethod {
  /// The least that a caller must be.
  var role: Caller.Role {
    isForAdministrators ? .administrator : isWrite ? .operator : .reader
  }
}
