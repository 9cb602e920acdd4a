import Glibc

/// One non-blocking MQTT connection of the load generator.
struct Connection {
  let descriptor: Int32
  let v5: Bool
  /// The start of a packet whose rest has not arrived yet.
  var partial: [UInt8] = []
  var isConnected = false
  var isSubscribed = false

  /// Starts connecting to a numeric IPv4 or IPv6 address.
  init(host: String, port: UInt16, v5: Bool) throws(BenchFailure) {
    self.v5 = v5
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICHOST
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, "\(port)", &hints, &found) == 0, let address = found?.pointee else {
      throw .usage("--host must be a numeric address: \(host)")
    }
    defer { freeaddrinfo(found) }
    let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    descriptor = socket(address.ai_family, type, 0)
    guard descriptor >= 0 else { throw .system("socket", errno: errno) }
    var on: Int32 = 1
    setsockopt(
      descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    guard connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 || errno == EINPROGRESS
    else { throw .system("connect", errno: errno) }
  }

  /// Writes all of `bytes`, waiting for room when the socket is full.
  func send(_ bytes: [UInt8]) throws(BenchFailure) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(
          descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count >= 0 {
        sent += count
      } else if errno == EAGAIN {
        var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        poll(&wait, 1, 1000)
      } else {
        throw .system("send", errno: errno)
      }
    }
  }
}
