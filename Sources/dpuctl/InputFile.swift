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
    guard let bytes = ByteStream.rest(of: descriptor) else { throw failure(path) }
    return bytes
  }

  /// Makes or replaces a file; `-` stands for standard output.
  static func write(_ bytes: [UInt8], to path: String) throws {
    let descriptor =
      path == "-" ? dup(STDOUT_FILENO) : open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard descriptor >= 0 else { throw failure(path) }
    defer { close(descriptor) }
    guard ByteStream.write(bytes[...], to: descriptor) else { throw failure(path) }
  }

  private static func failure(_ path: String) -> Failure {
    Failure.usage("\(path): \(String(cString: strerror(errno)))")
  }

  static func text(of path: String) throws -> String {
    String(decoding: try bytes(of: path), as: UTF8.self)
  }
}
