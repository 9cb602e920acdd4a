import CLinux
package import DPUCore

/// Why the firmware cannot start, for the person who started it.
package struct StartFailure: Error, Equatable, Sendable {
  package var message: Text
  package init(_ message: Text) { self.message = message }
}

extension Configuration {
  /// Reads and checks the file at `path`: all of `--check-config`, and the first step of a start.
  package static func load(_ path: Text) throws(StartFailure) -> Configuration {
    let text = try TextFile.read(path, maximumBytes: Limits.configurationBytes)
    do {
      return try parse(text.span)
    } catch {
      throw StartFailure(error.text(file: path))
    }
  }
}

/// What an errno means.
package func errorText(_ error: Int32) -> Text {
  var text = Text()
  guard var character = unsafe clinux_control_error_text(error) else { return text }
  while unsafe character.pointee != 0 {
    unsafe text.append(byte: UInt8(bitPattern: character.pointee))
    unsafe character += 1
  }
  return text
}

extension Text {
  /// Writes the text and a line feed to a descriptor: 1 for results, 2 for complaints.
  package func printLine(to descriptor: Int32) {
    let line = bytes + [UInt8(ascii: "\n")]
    unsafe line.withUnsafeBufferPointer {
      unsafe clinux_control_print(descriptor, $0.baseAddress!, $0.count)
    }
  }
}
