import DPUCore

/// Lines of words of hexadecimal digits.
enum Input {
  /// The next line of standard input; nil at its end.
  static func line() -> Text? {
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

  static func words(_ line: Text) -> [Text] {
    var words = [Text()]
    for byte in line.bytes {
      if byte == UInt8(ascii: " ") {
        words.append(Text())
      } else {
        words[words.count - 1].append(byte: byte)
      }
    }
    return words
  }

  static func bytes(_ text: Text) -> [UInt8] {
    var bytes: [UInt8] = []
    if text == "-" { return bytes }
    for at in stride(from: 0, to: text.bytes.count - 1, by: 2) {
      bytes.append(digit(text.bytes[at]) << 4 | digit(text.bytes[at + 1]))
    }
    return bytes
  }

  static func number(_ text: Text) -> UInt64 {
    var number: UInt64 = 0
    for byte in text.bytes { number = number << 4 | UInt64(digit(byte)) }
    return number
  }

  private static func digit(_ letter: UInt8) -> UInt8 {
    letter <= UInt8(ascii: "9")
      ? letter - UInt8(ascii: "0") : (letter | 0x20) - UInt8(ascii: "a") + 10
  }
}

@_extern(c, "read")
private func systemRead(_ descriptor: Int32, _ bytes: UnsafeMutableRawPointer, _ count: Int) -> Int
