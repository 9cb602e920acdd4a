import ArgumentParser
import Glibc

/// The firmware's figures for Prometheus and its like.
struct Metrics: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "All counters as OpenMetrics text.",
    discussion: """
      Prints them once, or serves them at http://ADDRESS:PORT/metrics with --listen until it is \
      ended. The firmware itself serves none.
      """)
  @ParentCommand var root: DPUControl
  @OptionGroup var options: GlobalOptions

  @Option(help: "Serve on this IPv4 address and port, as 127.0.0.1:9464.")
  var listen: String?

  mutating func run() throws {
    let place = options.place(root)
    guard let listen else {
      let snapshot = try Snapshot(of: FirmwareConnection(place))
      return print(OpenMetrics(snapshot).text, terminator: "")
    }
    let server = try MetricsServer(listen)
    print("serving http://\(server.place)/metrics")
    fflush(nil)
    var source = MetricsSource(place: place)
    while true { server.serveOne { source.text() } }
  }
}

/// The figures of a firmware that may be started anew between two scrapes.
struct MetricsSource {
  let place: FirmwarePlace
  private var firmware: FirmwareConnection?

  init(place: FirmwarePlace) { self.place = place }

  mutating func text() -> String {
    // A connection that was kept may be to a firmware that has ended: then a new one is tried.
    if let firmware, let snapshot = try? Snapshot(of: firmware) {
      return OpenMetrics(snapshot).text
    }
    firmware = try? FirmwareConnection(place)
    guard let firmware, let snapshot = try? Snapshot(of: firmware) else {
      self.firmware = nil
      return OpenMetrics.down.text
    }
    return OpenMetrics(snapshot).text
  }
}

/// Answers `GET /metrics` (RFC 9112), one client after the other: a scrape every few seconds is all
/// that comes. A client has two seconds to say what it wants.
struct MetricsServer {
  private let descriptor: Int32
  /// Where it listens, with the port that a port of 0 became.
  let place: String

  init(_ text: String) throws {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...])
    else { throw Failure.usage("--listen '\(text)': must be ADDRESS:PORT, as 127.0.0.1:9464") }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    guard inet_pton(AF_INET, String(text[..<colon]), &address.sin_addr) == 1 else {
      throw Failure.usage("--listen '\(text)': '\(text[..<colon])' is no IPv4 address")
    }
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    self.descriptor = descriptor
    var yes: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(descriptor, address, length) == 0 && Glibc.listen(descriptor, 16) == 0
          && getsockname(descriptor, address, &length) == 0
      }
    }
    guard result else {
      throw Failure.unreachable("--listen \(text): \(String(cString: strerror(errno)))")
    }
    place = "\(text[..<colon]):\(UInt16(bigEndian: address.sin_port))"
  }

  /// Waits for a client and answers it.
  func serveOne(_ metrics: () -> String) {
    let client = accept(descriptor, nil, nil)
    guard client >= 0 else { return }
    defer { close(client) }
    var patience = timeval(tv_sec: 2, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, size)
    setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &patience, size)
    if let head = Self.requestHead(client) {
      ByteStream.send(Self.answer(to: head, metrics), to: client)
    }
  }

  /// The answer to a request with this head.
  static func answer(to head: String, _ metrics: () -> String) -> String {
    let words = head.prefix { $0 != "\r\n" && $0 != "\n" }.split(separator: " ")
    guard words.count == 3, words[2].hasPrefix("HTTP/1.") else {
      return response("400 Bad Request", "text/plain", "not an HTTP/1.1 request\n")
    }
    guard words[0] == "GET" || words[0] == "HEAD" else {
      return response("405 Method Not Allowed", "text/plain", "GET only\n", "Allow: GET, HEAD\r\n")
    }
    guard words[1].prefix(while: { $0 != "?" }) == "/metrics" else {
      return response("404 Not Found", "text/plain", "the figures are at /metrics\n")
    }
    let whole = response(
      "200 OK", "application/openmetrics-text; version=1.0.0; charset=utf-8", metrics())
    guard words[0] == "HEAD", let end = whole.firstRange(of: "\r\n\r\n") else { return whole }
    return String(whole[..<end.upperBound])
  }

  private static func response(
    _ status: String, _ type: String, _ body: String, _ extra: String = ""
  ) -> String {
    "HTTP/1.1 \(status)\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n"
      + "\(extra)Connection: close\r\n\r\n\(body)"
  }

  /// Up to the empty line; nil when it does not come or is longer than a head may be.
  private static func requestHead(_ client: Int32) -> String? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4_096)
    while bytes.count < 16_384 {
      let count = recv(client, &buffer, buffer.count, 0)
      guard count > 0 else { return nil }
      bytes += buffer[..<count]
      let text = String(decoding: bytes, as: UTF8.self)
      if text.contains("\r\n\r\n") { return text }
    }
    return nil
  }
}
