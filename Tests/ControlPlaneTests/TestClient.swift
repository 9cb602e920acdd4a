import Glibc

/// A blocking connection to a Unix socket, for transcripts. Reads give up after ten seconds.
final class TestClient {
  let descriptor: Int32
  private var received: [UInt8] = []

  /// Nil when nobody listens.
  init?(_ path: String) {
    // Not to be inherited by the programs that other tests run.
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard withSocketAddress(path, { connect(descriptor, $0, $1) }) == 0 else { return nil }
    var timeout = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(
      descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  /// False when the other side is gone.
  @discardableResult
  func send(_ text: String) -> Bool { send(Array(text.utf8)) }

  @discardableResult
  func send(_ whole: [UInt8]) -> Bool {
    var bytes = whole[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress!, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      bytes = bytes.dropFirst(count)
    }
    return true
  }

  func sendEnd() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// The next line, nil at the end of the connection.
  func line() -> String? {
    while true {
      if let end = received.firstIndex(of: UInt8(ascii: "\n")) {
        defer { received.removeFirst(end + 1) }
        return String(decoding: received[..<end], as: UTF8.self)
      }
      var buffer = [UInt8](repeating: 0, count: 65_536)
      let count = recv(descriptor, &buffer, buffer.count, 0)
      guard count > 0 else { return nil }
      received += buffer[..<count]
    }
  }

  func call(_ text: String) -> String? {
    send(text + "\n")
    return line()
  }
}

func withSocketAddress(
  _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
) -> Int32 {
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
  return withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
}

/// A socket bound and closed but not removed: what a crash leaves.
func leaveDeadSocket(_ path: String) {
  let left = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
  precondition(withSocketAddress(path) { bind(left, $0, $1) } == 0)
  close(left)
}

/// A path of its own for each test, gone at its end.
final class TemporaryFolder {
  let path: String

  init() {
    var template = Array("/tmp/dpu-control-XXXXXX\0".utf8CString)
    path = String(cString: mkdtemp(&template))
  }

  deinit {
    for name in ["control.sock", "control.sock.lock", "config.json"] { unlink("\(path)/\(name)") }
    rmdir(path)
  }

  var socket: String { path + "/control.sock" }

  func exists(_ name: String) -> Bool { access("\(path)/\(name)", F_OK) == 0 }
}
