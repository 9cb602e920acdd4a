import CLinux
import DPUCore
import Glibc

/// Why a command failed, with the exit code that says so to scripts.
enum Failure: Error {
  /// The arguments cannot be right.
  case usage(String)
  /// The firmware answered with an error, or with something that is no answer.
  case refused(String)
  /// There is nobody to ask.
  case unreachable(String)

  var exitCode: Int32 {
    switch self {
    case .usage: 1
    case .refused: 2
    case .unreachable: 3
    }
  }

  var message: String {
    switch self {
    case .usage(let message), .refused(let message), .unreachable(let message): message
    }
  }
}

/// Where the firmware is.
struct FirmwarePlace {
  /// The path of its control socket.
  var socket: String
  /// The machine it is on, as ssh knows it; nil for this one.
  var host: String?

  var text: String { host.map { "\($0):\(socket)" } ?? socket }
}

/// A connection to the firmware's control socket: one line out, one line in.
final class FirmwareConnection {
  private let path: String
  private let descriptor: Int32
  private var tunnel: Tunnel?
  private var received: [UInt8] = []
  private var requests = 0
  /// Whether a descriptor may come, and the one that came.
  private var wantsDescriptor = false
  private var passed: Int32 = -1
  /// Came before the answer to a request.
  private var events: [JSONValue] = []

  /// Says on standard error when the firmware is of another release than this program.
  convenience init(_ place: FirmwarePlace) throws {
    guard let host = place.host else {
      try self.init(path: place.socket)
      noteVersion()
      return
    }
    let tunnel = try Tunnel(host: host, socket: place.socket)
    try self.init(path: tunnel.path)
    tunnel.hide()
    self.tunnel = tunnel
    noteVersion()
  }

  init(path: String) throws {
    self.path = path
    guard !path.isEmpty, path.utf8.count < 108 else {
      throw Failure.usage("'\(path)' cannot be the path of a socket")
    }
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw Self.unreachable(path) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard result == 0 else { throw Self.unreachable(path) }
    // The firmware answers in milliseconds; it gives up on a stuck core after half a second.
    var patience = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(
      descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  private static func unreachable(_ path: String) -> Failure {
    let reason =
      switch errno {
      case ENOENT: "there is no such socket; is the firmware running? --socket names another"
      case ECONNREFUSED: "nobody serves this socket; the firmware has stopped"
      case EACCES: "permission denied; ask as root or as a member of the socket's group"
      default: String(cString: strerror(errno))
      }
    return .unreachable("\(path): \(reason)")
  }

  // MARK: Versions

  private nonisolated(unsafe) static var noted: String?

  /// Once for each release that is met.
  private func noteVersion() {
    guard let answer = try? call("version.get"),
      let note = Self.versionNote(answer), note != Self.noted
    else { return }
    Self.noted = note
    ByteStream.write("dpuctl: \(note)\n", to: STDERR_FILENO)
  }

  /// Nil when the firmware is of this program's release.
  static func versionNote(_ answer: JSONValue) -> String? {
    let own = "\(ProductVersion.text)"
    let theirs = answer["version"].cell
    let interface = answer["interface"].integer ?? 0
    if interface != ControlInterface.version {
      return """
        this dpuctl is \(own) and speaks interface \(ControlInterface.version); the firmware is \
        \(theirs) and speaks interface \(interface): commands may fail, use the dpuctl of its release
        """
    }
    return theirs == own
      ? nil : "this dpuctl is \(own), the firmware is \(theirs); both speak interface \(interface)"
  }

  /// The result of `method`. `parameters` is JSON; `body` follows the request, which must say how
  /// long it is.
  func call(
    _ method: String, _ parameters: JSONValue = .object([]), body: [UInt8] = []
  ) throws -> JSONValue {
    requests += 1
    let request = JSONValue.object([
      .init(key: "jsonrpc", value: .string("2.0")),
      .init(key: "id", value: .number(String(requests))),
      .init(key: "method", value: .string(method)),
      .init(key: "params", value: parameters),
    ])
    let wasSent = ByteStream.send(Array((request.text + "\n").utf8) + body, to: descriptor)
    let reply = try receiveReply(wasSent: wasSent)
    let error = reply["error"]
    guard error == .null else { throw Failure.refused(Self.describe(error, method)) }
    guard reply["id"].integer == requests else {
      throw Failure.refused("\(path): the answer is to another request")
    }
    return reply["result"]
  }

  /// As `call`, with the descriptor that came with the answer; -1 when none did.
  func callForDescriptor(_ method: String) throws -> (JSONValue, Int32) {
    wantsDescriptor = true
    defer { wantsDescriptor = false }
    let answer = try call(method)
    defer { passed = -1 }
    return (answer, passed)
  }

  private func receiveReply(wasSent: Bool) throws -> JSONValue {
    while true {
      // A refused connection is closed, but what was said before is still to be read.
      guard let line = receiveLine() else {
        let reason = errno == EAGAIN ? "no answer within 10 seconds" : "closed without an answer"
        throw Failure.unreachable("\(path): \(wasSent ? reason : "closed during the request")")
      }
      guard let reply = JSONValue(line) else {
        throw Failure.refused("\(path): the answer is no JSON; is this the firmware's socket?")
      }
      guard reply["method"].cell == "event" else { return reply }
      events.append(reply["params"])
    }
  }

  /// The next event that was subscribed to, however long that takes.
  func nextEvent() throws -> JSONValue {
    if !events.isEmpty { return events.removeFirst() }
    while true {
      guard let line = receiveLine() else {
        if errno == EAGAIN { continue }
        throw Failure.unreachable("\(path): the firmware closed the connection")
      }
      if let event = JSONValue(line), event["method"].cell == "event" { return event["params"] }
    }
  }

  private static func describe(_ error: JSONValue, _ method: String) -> String {
    var text = "\(method): \(error["message"].cell) (\(error["code"].cell))"
    if case .string(let path) = error["data"]["path"] { text += " at \(path)" }
    if let update = error["data"]["update"].integer, let offset = error["data"]["offset"].integer {
      text += ", record \(update), byte \(offset)"
    }
    return text
  }

  /// Nil when the connection ended or the answer takes too long.
  private func receiveLine() -> String? {
    var searched = 0
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      if let end = received[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        defer { received.removeFirst(end + 1) }
        return String(decoding: received[..<end], as: UTF8.self)
      }
      searched = received.count
      errno = 0
      let count =
        wantsDescriptor
        ? receiveWithDescriptor(&buffer) : recv(descriptor, &buffer, buffer.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return nil }
      received += buffer[..<count]
    }
  }

  /// As `recv`; keeps a descriptor that comes along.
  private func receiveWithDescriptor(_ buffer: inout [UInt8]) -> Int {
    var descriptors = [Int32](repeating: -1, count: Int(CLINUX_LINK_DESCRIPTORS_MAX))
    var count: UInt32 = 0
    let ready = clinux_link_wait_readable(descriptor, 10_000)
    guard ready > 0 else {
      errno = ready == 0 ? EAGAIN : -ready
      return -1
    }
    let got = clinux_link_receive_descriptors(
      descriptor, &buffer, UInt32(buffer.count), &descriptors, &count)
    for index in 0..<Int(max(0, got > 0 ? count : 0)) {
      if passed < 0 { passed = descriptors[index] } else { close(descriptors[index]) }
    }
    if got < 0 { errno = Int32(-got) }
    return Int(got)
  }
}
