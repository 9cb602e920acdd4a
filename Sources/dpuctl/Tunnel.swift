import Glibc

/// The control socket of another machine, brought here by `ssh -L`: the firmware itself listens to no
/// network. The end of ssh is the end of the tunnel.
final class Tunnel {
  /// The socket on this machine. Open it once, then call `hide`.
  let path: String
  private var folder: TemporaryFolder?
  private var process: pid_t = 0

  /// Seconds that ssh has, a password being asked for included.
  static let patience = 60.0

  /// `host` is what ssh is told: `USER@DPU`, or a name of its configuration.
  init(host: String, socket: String) throws {
    try Self.check(host)
    let folder = try TemporaryFolder()
    self.folder = folder
    path = folder.path + "/control.sock"
    process = try ChildProcess.start([
      "ssh", "-N", "-o", "ExitOnForwardFailure=yes", "-o", "ServerAliveInterval=5", "-L",
      "\(path):\(socket)", host,
    ])
    try waitForSocket(host)
  }

  /// Refuses what ssh would take for an option.
  static func check(_ host: String) throws {
    guard !host.isEmpty, !host.hasPrefix("-") else {
      throw Failure.usage("--host '\(host)': must be USER@DPU")
    }
  }

  private func waitForSocket(_ host: String) throws {
    let end = Snapshot.now + Self.patience
    while access(path, F_OK) != 0 {
      var status: Int32 = 0
      if waitpid(process, &status, WNOHANG) == process {
        process = 0
        throw Failure.unreachable("\(host): ssh ended without a tunnel; what it said stands above")
      }
      guard Snapshot.now < end else {
        throw Failure.unreachable("\(host): no tunnel within \(Int(Self.patience)) seconds")
      }
      usleep(10_000)
    }
  }

  /// Removes the socket's name: what is connected stays so, and nothing is left behind however this
  /// program ends.
  func hide() {
    guard folder != nil else { return }
    unlink(path)
    folder = nil
  }

  deinit {
    hide()
    guard process > 0 else { return }
    kill(process, SIGTERM)
    for _ in 0..<100 {
      if waitpid(process, nil, WNOHANG) != 0 { return }
      usleep(10_000)
    }
    kill(process, SIGKILL)
    waitpid(process, nil, 0)
  }
}
