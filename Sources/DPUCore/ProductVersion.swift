/// Which release this is: the same for the firmware and its tools.
package enum ProductVersion {
  package static let text: StaticString = "0.1.0"
}

/// The version of the control socket's methods and results: raised when something a client may rely on
/// is gone or means another thing.
package enum ControlInterface {
  package static let version = 1
}
