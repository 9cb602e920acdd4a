import CLinux
import DPUCore

/// What Linux is asked for.
enum System {
  static var arguments: [Text] {
    var words: [Text] = []
    for index in 1..<max(1, clinux_argument_count()) {
      guard var letter = unsafe clinux_argument(index) else { continue }
      var word = Text()
      while unsafe letter.pointee != 0 {
        unsafe word.append(byte: UInt8(bitPattern: letter.pointee))
        unsafe letter += 1
      }
      words.append(word)
    }
    return words
  }

  static func write(_ text: Text, to descriptor: Int32) {
    unsafe text.bytes.withUnsafeBytes {
      unsafe clinux_write(descriptor, $0.baseAddress, UInt32($0.count))
    }
  }

  /// The next line of standard input; nil at its end.
  static func readLine() -> Text? {
    var line = Text()
    while true {
      var byte: UInt8 = 0
      let count = unsafe withUnsafeMutableBytes(of: &byte) {
        unsafe systemRead(0, $0.baseAddress!, 1)
      }
      guard count == 1 else { return line.isEmpty ? nil : line }
      if byte == UInt8(ascii: "\n") { return line }
      line.append(byte: byte)
    }
  }
}

@_extern(c, "read")
func systemRead(_ descriptor: Int32, _ bytes: UnsafeMutableRawPointer, _ count: Int) -> Int
