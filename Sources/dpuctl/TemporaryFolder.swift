import Glibc

/// A folder that goes away with its last user.
final class TemporaryFolder {
  let path: String
  private var files: [String] = []

  init() throws {
    var template = Array("/tmp/dpuctl-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw Failure.unreachable("/tmp: no folder can be made: \(String(cString: strerror(errno)))")
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Writes a file; its path.
  func file(_ name: String, _ bytes: ArraySlice<UInt8>) throws -> String {
    let place = "\(path)/\(name)"
    let descriptor = open(place, O_WRONLY | O_CREAT | O_EXCL, 0o600)
    guard descriptor >= 0 else {
      throw Failure.unreachable("\(place): \(String(cString: strerror(errno)))")
    }
    defer { close(descriptor) }
    files.append(place)
    guard ByteStream.write(bytes, to: descriptor) else {
      throw Failure.unreachable("\(place): \(String(cString: strerror(errno)))")
    }
    return place
  }

  deinit {
    for file in files { unlink(file) }
    rmdir(path)
  }
}
