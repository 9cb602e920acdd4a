import DPUCore
import Glibc

extension Text {
  var string: String { String(decoding: bytes, as: UTF8.self) }
}

/// Files that are named on the command line.
enum InputFile {
  /// `-` stands for standard input.
  static func bytes(of path: String) throws -> [UInt8] {
    let descriptor = path == "-" ? dup(STDIN_FILENO) : open(path, O_RDONLY)
    guard descriptor >= 0 else { throw failure(path) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(descriptor, &chunk, chunk.count)
      guard count >= 0 else { throw failure(path) }
      if count == 0 { return bytes }
      bytes += chunk[..<count]
    }
  }

  private static func failure(_ path: String) -> Failure {
    Failure.usage("\(path): \(String(cString: strerror(errno)))")
  }

  static func text(of path: String) throws -> String {
    String(decoding: try bytes(of: path), as: UTF8.self)
  }
}
