package import DPUCore

/// Why a program that is well-formed cannot be run: it asks for more than a limit allows, or for
/// something that this engine does not do. Reported by the control plane as it stands.
package struct CompileError: Error {
  /// The table, action, state or header that the trouble is with.
  package var name: Text
  package var message: Text

  package init(_ name: Text, _ message: Text) {
    self.name = name
    self.message = message
  }

  /// One line for people.
  package var text: Text { name.isEmpty ? message : "\(name): \(message)" }
}
