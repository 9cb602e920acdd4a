import CLinux
import DPUCore

/// Why the bench cannot go on.
struct BenchFailure: Error {
  var text: Text
  init(_ text: Text) { self.text = text }
}

/// What Linux is asked for.
enum System {
  static func argument(_ index: Int) -> Text {
    var text = Text()
    guard var letter = unsafe clinux_argument(Int32(index)) else { return text }
    while unsafe letter.pointee != 0 {
      unsafe text.append(byte: UInt8(bitPattern: letter.pointee))
      unsafe letter += 1
    }
    return text
  }

  static func write(_ text: Text, to descriptor: Int32) {
    unsafe text.bytes.withUnsafeBytes {
      unsafe clinux_write(descriptor, $0.baseAddress, UInt32($0.count))
    }
  }

  /// The whole file.
  static func read(_ path: Text) throws(BenchFailure) -> Text {
    var bytes = [UInt8](repeating: 0, count: 8 << 20)
    let capacity = bytes.count
    let count = unsafe path.withCString { name in
      unsafe bytes.withUnsafeMutableBufferPointer {
        unsafe clinux_control_read_file(name, $0.baseAddress, capacity)
      }
    }
    guard count >= 0 else { throw BenchFailure("cannot read \(path)") }
    bytes.removeLast(capacity - Int(count))
    return Text(bytes: bytes)
  }

  /// The next line of standard input; nil at its end.
  static func readLine() -> Text? {
    var line = Text()
    while true {
      var byte: UInt8 = 0
      let count = unsafe withUnsafeMutableBytes(of: &byte) {
        unsafe systemRead(0, $0.baseAddress!, 1)
      }
      guard count == 1 else { return nil }
      if byte == UInt8(ascii: "\n") { return line }
      line.append(byte: byte)
    }
  }

  /// What this thread has used of its processor; the same clock as on the other side.
  static var cpuNanoseconds: UInt64 {
    var time = InlineArray<2, Int64>(repeating: 0)
    var span = time.mutableSpan
    unsafe span.withUnsafeMutableBytes { _ = unsafe systemClock(3, $0.baseAddress!) }
    return UInt64(time[0]) * 1_000_000_000 + UInt64(time[1])
  }
}

extension Text {
  /// The words between spaces.
  var words: [Text] {
    var words: [Text] = []
    var word = Text()
    for byte in bytes + [0x20] {
      if byte == 0x20 {
        if !word.isEmpty { words.append(word) }
        word = Text()
      } else {
        word.append(byte: byte)
      }
    }
    return words
  }

  var lines: [Text] {
    var lines: [Text] = []
    var line = Text()
    for byte in bytes {
      if byte == UInt8(ascii: "\n") {
        lines.append(line)
        line = Text()
      } else {
        line.append(byte: byte)
      }
    }
    if !line.isEmpty { lines.append(line) }
    return lines
  }

  /// Nil when it is no decimal number.
  var number: Int? {
    var value = 0
    for byte in bytes {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9"), value < 1 << 50 else {
        return nil
      }
      value = value * 10 + Int(byte - UInt8(ascii: "0"))
    }
    return isEmpty ? nil : value
  }
}

@_extern(c, "read")
private func systemRead(_ descriptor: Int32, _ bytes: UnsafeMutableRawPointer, _ count: Int) -> Int

@_extern(c, "clock_gettime")
private func systemClock(_ clock: Int32, _ time: UnsafeMutableRawPointer) -> Int32
