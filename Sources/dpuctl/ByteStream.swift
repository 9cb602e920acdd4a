import Glibc

/// Whole texts to and from descriptors, however the kernel cuts them.
enum ByteStream {
  /// Everything up to the end; nil when reading fails, with the reason in `errno`.
  static func rest(of descriptor: Int32) -> [UInt8]? {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return nil }
      if count == 0 { return bytes }
      bytes += chunk[..<count]
    }
  }

  /// False when not all of it could be written.
  @discardableResult
  static func write(_ text: String, to descriptor: Int32) -> Bool {
    put(Array(text.utf8)[...]) { Glibc.write(descriptor, $0, $1) }
  }

  @discardableResult
  static func write(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Bool {
    put(bytes) { Glibc.write(descriptor, $0, $1) }
  }

  /// To standard output at once, for what a reader waits for.
  static func printLine(_ text: String) { write(text + "\n", to: STDOUT_FILENO) }

  /// To a socket; a peer that is gone makes it false and sends no signal.
  @discardableResult
  static func send(_ text: String, to socket: Int32) -> Bool {
    send(Array(text.utf8), to: socket)
  }

  @discardableResult
  static func send(_ bytes: [UInt8], to socket: Int32) -> Bool {
    put(bytes[...]) { Glibc.send(socket, $0, $1, Int32(MSG_NOSIGNAL)) }
  }

  private static func put(
    _ bytes: ArraySlice<UInt8>, _ some: (UnsafeRawPointer, Int) -> Int
  ) -> Bool {
    var bytes = bytes
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { some($0.baseAddress!, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      bytes = bytes.dropFirst(count)
    }
    return true
  }
}
