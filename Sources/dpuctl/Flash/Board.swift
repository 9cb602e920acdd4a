/// A DPU that was started from an image: its slots, reached by ssh.
struct Board {
  /// What ssh is told.
  private let host: String
  private let socket: String

  init(host: String, socket: String) throws {
    try Tunnel.check(host)
    guard socket.utf8.allSatisfy({ Self.isPlain($0) }) else {
      throw Failure.usage("--socket '\(socket)': not a plain path")
    }
    self.host = host
    self.socket = socket
  }

  /// Nothing that a shell would take for something else.
  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."),
      UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  /// What `dpu-slot status` says.
  struct Look {
    var status: JSONValue
    /// The firmware's control socket is there.
    var isServing: Bool

    /// `a` or `b`; empty when no slot could be started.
    var running: String {
      if case .string(let name) = status["running"] { name } else { "" }
    }
    var otherSlot: String { running == "a" ? "b" : "a" }
    /// Changes with every start of the machine.
    var boot: String { status["boot"].cell }
    /// Why the last start of another slot failed.
    var note: String { if case .string(let text) = status["note"] { text } else { "" } }

    func version(of slot: String) -> String? {
      let entry = status["slots"].elements.first { $0["slot"].cell == slot }
      guard case .string(let version)? = entry?["version"] else { return nil }
      return version
    }

    func mustFit(_ file: ImageFile) throws {
      guard status["architecture"].cell == file.architecture else {
        throw Failure.refused(
          "\(file.path): for \(file.architecture); the DPU is \(status["architecture"].cell)")
      }
      guard status["kernel"].cell == file.kernel else {
        throw Failure.refused(
          "\(file.path): for kernel \(file.kernel); the DPU runs \(status["kernel"].cell)")
      }
      let committed = status["securityVersion"].integer ?? 0
      guard file.securityVersion >= committed else {
        throw Failure.refused(
          "\(file.path): of security version \(file.securityVersion); the DPU has committed "
            + "\(committed)")
      }
    }
  }

  func look() throws -> Look {
    let answer = try tell("dpu-slot status")
    guard let status = JSONValue(answer), status["slots"] != .null else {
      throw Failure.refused("\(host): what dpu-slot said is no status: \(answer)")
    }
    return Look(status: status, isServing: false)
  }

  /// Nil while the DPU does not answer.
  func lookQuietly() -> Look? {
    let command = "dpu-slot status && test -S \(socket) && echo serving"
    let answer = try? ChildProcess.run(
      ["ssh", "-q", "-o", "BatchMode=yes"] + Self.patience + [host, command])
    guard let lines = answer?.output.split(separator: "\n"), let first = lines.first,
      let status = JSONValue(String(first)), status["slots"] != .null
    else { return nil }
    return Look(status: status, isServing: lines.last == "serving")
  }

  private static let patience = [
    "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
    // An image becomes a third of its size, and a DPU's processors are slow at ciphers.
    "-o", "Compression=yes",
  ]

  /// Runs a command there and returns what it prints. `progress` is told how many bytes of the input
  /// are on their way.
  @discardableResult
  func tell(_ command: String, input: [UInt8] = [], progress: (Int) -> Void = { _ in }) throws
    -> String
  {
    let answer = try ChildProcess.run(
      ["ssh"] + Self.patience + [host, "{ \(command); } 2>&1"], input: input[...],
      progress: progress)
    let text = answer.output.split(separator: "\n").joined(separator: "; ")
    switch answer.status {
    case 0: return answer.output
    case 255:
      throw Failure.unreachable("\(host): ssh ended without an answer; what it said stands above")
    case 127: throw Failure.refused("\(host) was not started from an image: \(text)")
    default: throw Failure.refused("\(host): \(text)")
    }
  }
}
