import Foundation
import Testing

/// `--host` against an `ssh` of our own, which forwards as `ssh -L` does and notes what it was told.
@Suite struct TunnelTests {
  private static let forwarder = """
    #!/usr/bin/python3
    import os, socket, sys, threading
    here = os.path.dirname(sys.argv[0])
    open(here + "/arguments", "w").write("\\n".join(sys.argv[1:]))
    if sys.argv[-1] == "root@refused":
        sys.exit("root@refused: Permission denied (publickey).")
    near, far = sys.argv[sys.argv.index("-L") + 1].split(":")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(near)
    listener.listen()
    open(here + "/pid", "w").write(str(os.getpid()))
    def pump(source, target):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    while True:
        client, _ = listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(far)
        for pair in ((client, server), (server, client)):
            threading.Thread(target=pump, args=pair, daemon=True).start()
    """

  private static func folderWithSSH() throws -> URL {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("dpu-ssh-\(UInt64.random(in: 0 ... .max))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let program = folder.appendingPathComponent("ssh")
    try forwarder.write(to: program, atomically: true, encoding: .utf8)
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program.path)
    return folder
  }

  @Test func asksThroughSSHAndLeavesNothingBehind() throws {
    let folder = try Self.folderWithSSH()
    defer { try? FileManager.default.removeItem(at: folder) }
    let server = try RunningServer()
    let outcome = try CommandTests.dpuctl(
      ["--host", "root@dpu", "--socket", server.folder.socket, "system", "uptime"],
      path: folder.path)
    #expect(outcome == CommandTests.Outcome(status: 0, output: "1 min 1 s\n", complaint: ""))
    let told = try String(
      contentsOf: folder.appendingPathComponent("arguments"), encoding: .utf8
    ).components(separatedBy: "\n")
    #expect(told.first == "-N")
    #expect(told.contains("ExitOnForwardFailure=yes"))
    #expect(told.last == "root@dpu")
    let near = try #require(told.first { $0.hasSuffix(":\(server.folder.socket)") })
    #expect(!FileManager.default.fileExists(atPath: String(near.prefix { $0 != ":" })))
    let pid = try String(contentsOf: folder.appendingPathComponent("pid"), encoding: .utf8)
    #expect(kill(pid_t(pid)!, 0) != 0, "ssh still runs")
  }

  @Test func saysWhenSSHFails() throws {
    let folder = try Self.folderWithSSH()
    defer { try? FileManager.default.removeItem(at: folder) }
    let outcome = try CommandTests.dpuctl(
      ["--host", "root@refused", "system", "uptime"], path: folder.path)
    #expect(outcome.status == 3)
    #expect(
      outcome.complaint
        == """
        root@refused: Permission denied (publickey).
        dpuctl: root@refused: ssh ended without a tunnel; what it said stands above

        """)
  }

  @Test func refusesWhatSSHWouldTakeForAnOption() throws {
    let outcome = try CommandTests.dpuctl(["--host=-oProxyCommand=x", "system", "uptime"])
    #expect(outcome.status == 1)
    #expect(outcome.complaint.contains("must be USER@DPU"))
  }
}
