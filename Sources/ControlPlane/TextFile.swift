import CLinux
package import DPUCore

/// A whole file in memory, for the start and the control thread.
package enum TextFile {
  /// What stands in the file at `path`. Refuses more than `maximumBytes`.
  package static func read(_ path: Text, maximumBytes: Int) throws(StartFailure) -> Text {
    var buffer = [UInt8](repeating: 0, count: maximumBytes)
    let count = unsafe path.withCString { path in
      unsafe buffer.withUnsafeMutableBufferPointer {
        unsafe clinux_control_read_file(path, $0.baseAddress!, $0.count)
      }
    }
    guard count >= 0 else { throw StartFailure("\(path): \(errorText(Int32(-count)))") }
    return Text(bytes: Array(buffer[..<Int(count)]))
  }

  /// Puts `text` in place of what stands at `path`, all of it or nothing, with the permissions that
  /// the file had; 0640 when there was none.
  package static func replace(_ path: Text, with text: Text) throws(StartFailure) {
    let error = unsafe path.withCString { path in
      unsafe text.bytes.withUnsafeBufferPointer {
        unsafe clinux_control_replace_file(path, $0.baseAddress!, $0.count)
      }
    }
    guard error >= 0 else { throw StartFailure("\(path): \(errorText(-error))") }
  }
}
