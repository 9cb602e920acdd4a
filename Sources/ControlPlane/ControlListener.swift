import CLinux
package import DPUCore

/// A listening Unix socket that nobody else serves. Made first of all at start, before any device is
/// touched: a second firmware with the same socket fails here and harms nobody.
package final class ControlListener: Sendable {
  package let path: Text
  private let lockPath: Text
  private let lock: Int32
  package let descriptor: Int32

  package convenience init(_ control: Configuration.Control) throws(StartFailure) {
    try self.init(path: control.socket, mode: control.mode, group: control.group)
  }

  /// Takes the socket. One that a dead process left behind is replaced. `group` is a name or a
  /// number; nil: that of the process.
  package init(path: Text, mode: UInt32, group name: Text?) throws(StartFailure) {
    let lockPath: Text = "\(path).lock"
    var group: Int64 = -1
    if let name {
      group = unsafe name.withCString { unsafe clinux_control_group($0) }
      guard group >= 0 else { throw StartFailure("there is no group \(name)") }
    }
    let lock = unsafe lockPath.withCString { unsafe clinux_control_lock($0) }
    guard lock >= 0 else { throw Self.failure(path: path, error: -lock) }
    let descriptor = unsafe path.withCString { unsafe clinux_control_listen($0, mode, group) }
    guard descriptor >= 0 else {
      unsafe lockPath.withCString { unsafe clinux_control_unlink($0) }
      clinux_control_close(lock)
      throw Self.failure(path: path, error: -descriptor)
    }
    // Only now: a failed start must not run `deinit`, which would remove another's socket.
    self.path = path
    self.lockPath = lockPath
    self.lock = lock
    self.descriptor = descriptor
  }

  private static func failure(path: Text, error: Int32) -> StartFailure {
    switch error {
    case Errno.wouldBlock, Errno.addressInUse:
      StartFailure("\(path): another firmware already serves this socket")
    case Errno.exists:
      StartFailure("\(path): something that is not a socket stands there")
    default:
      StartFailure("\(path): cannot listen: \(errorText(error))")
    }
  }

  deinit {
    clinux_control_close(descriptor)
    unsafe path.withCString { unsafe clinux_control_unlink($0) }
    // Removed while still locked: whoever opened it meanwhile notices and opens it anew.
    unsafe lockPath.withCString { unsafe clinux_control_unlink($0) }
    clinux_control_close(lock)
  }
}

/// The errno values that are told apart; the same on both architectures.
enum Errno {
  static let again: Int32 = 11
  static let wouldBlock = again
  static let exists: Int32 = 17
  static let addressInUse: Int32 = 98
}
