import DPUCore
import HBPFBridge

/// One line of a trace (docs/gateware.md).
enum TraceLine {
  case name(Text)
  case limit(Int)
  case divides
  case program([Instruction])
  case memory([UInt8])
  /// r1 to r5.
  case start(InlineArray<5, UInt64>)
  case retired(Retired)
  case end(CoreEnd)
  case after([UInt8])
  case unknown(Text)
}

/// What the core did in one instruction.
struct Retired: BitwiseCopyable {
  var row: Int
  var writes = false
  var register: UInt8 = 0
  var value: UInt64 = 0
  var store: MemoryStore?
}

/// How the core ended a packet.
struct CoreEnd: Equatable, BitwiseCopyable {
  var verdict: UInt32
  var fault: Int
  var row: Int
}

/// The lines of a trace from standard input, one at a time: what is read is not kept.
struct TraceReader: ~Copyable {
  private var buffer = FixedArray<UInt8>(repeating: 0, count: 1 << 16)
  private var next = 0
  private var filled = 0
  private var line: [UInt8] = []
  private var place = 0

  /// Nil at the end.
  mutating func read() -> TraceLine? {
    guard readLine() else { return nil }
    place = 0
    guard let letter = line.first else { return .unknown("an empty line") }
    if letter >= UInt8(ascii: "0"), letter <= UInt8(ascii: "9") { return .retired(retired()) }
    if takes("name ") { return .name(Text(bytes: Array(line[place...]))) }
    if takes("limit ") { return .limit(Int(truncatingIfNeeded: decimal())) }
    if takes("divides") { return .divides }
    if takes("program ") { return .program(Digits.instructions(line[place...])) }
    if takes("memory ") { return .memory(bytes()) }
    if takes("after ") { return .after(bytes()) }
    if takes("start ") { return .start(arguments()) }
    if takes("end ") {
      let verdict = UInt32(truncatingIfNeeded: decimal())
      guard takes(" fault ") else { return .unknown(Text(bytes: line)) }
      let fault = Int(truncatingIfNeeded: decimal())
      guard takes(" row ") else { return .unknown(Text(bytes: line)) }
      return .end(CoreEnd(verdict: verdict, fault: fault, row: Int(truncatingIfNeeded: decimal())))
    }
    return .unknown(Text(bytes: line))
  }

  // MARK: Lines

  private mutating func readLine() -> Bool {
    line.removeAll(keepingCapacity: true)
    while true {
      if next == filled {
        filled = fill()
        next = 0
        if filled <= 0 {
          filled = 0
          return !line.isEmpty
        }
      }
      let byte = buffer[next]
      next += 1
      if byte == UInt8(ascii: "\n") { return true }
      line.append(byte)
    }
  }

  private mutating func fill() -> Int {
    var span = buffer.mutableSpan
    return unsafe span.withUnsafeMutableBytes {
      unsafe systemRead(0, $0.baseAddress!, $0.count)
    }
  }

  // MARK: Parts of a line

  private mutating func takes(_ word: StaticString) -> Bool {
    let expected = Text(stringLiteral: word).bytes
    guard line.count - place >= expected.count else { return false }
    for index in expected.indices where line[place + index] != expected[index] { return false }
    place += expected.count
    return true
  }

  /// Steps over `letter`, when it is there.
  private mutating func takes(_ letter: UInt8) -> Bool {
    guard place < line.count, line[place] == letter else { return false }
    place += 1
    return true
  }

  private mutating func decimal() -> UInt64 {
    var value: UInt64 = 0
    while place < line.count, let digit = Digits.value(of: line[place]), digit < 10 {
      value = value &* 10 &+ digit
      place += 1
    }
    return value
  }

  private mutating func hexadecimal() -> UInt64 {
    var value: UInt64 = 0
    while place < line.count, let digit = Digits.value(of: line[place]) {
      value = value << 4 | digit
      place += 1
    }
    return value
  }

  private mutating func bytes() -> [UInt8] {
    let bytes = Digits.bytes(line[place...])
    place = line.count
    return bytes
  }

  /// A length alone, which is r2, or r1 to r5.
  private mutating func arguments() -> InlineArray<5, UInt64> {
    var result = InlineArray<5, UInt64>(repeating: 0)
    let start = place
    result[0] = hexadecimal()
    if place == line.count {
      place = start
      result[0] = 0
      result[1] = decimal()
      return result
    }
    for index in 1..<5 {
      _ = takes(UInt8(ascii: " "))
      result[index] = hexadecimal()
    }
    return result
  }

  private mutating func retired() -> Retired {
    var result = Retired(row: Int(truncatingIfNeeded: decimal()))
    while takes(UInt8(ascii: " ")) {
      if takes(UInt8(ascii: "r")) {
        result.register = UInt8(truncatingIfNeeded: decimal())
        _ = takes(UInt8(ascii: "="))
        result.value = hexadecimal()
        result.writes = true
      } else if takes(UInt8(ascii: "m")) {
        let address = hexadecimal()
        _ = takes(UInt8(ascii: "/"))
        let byteCount = Int(truncatingIfNeeded: decimal())
        _ = takes(UInt8(ascii: "="))
        result.store = MemoryStore(address: address, byteCount: byteCount, value: hexadecimal())
      }
    }
    return result
  }
}

/// Hexadecimal digits.
enum Digits {
  /// Nil when `letter` is none.
  static func value(of letter: UInt8) -> UInt64? {
    switch letter {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(letter - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(letter - UInt8(ascii: "a") + 10)
    default: nil
    }
  }

  /// As many as there are pairs of digits at the front.
  static func bytes(_ text: ArraySlice<UInt8>) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count / 2)
    var at = text.startIndex
    while at + 1 < text.endIndex, let high = value(of: text[at]), let low = value(of: text[at + 1])
    {
      bytes.append(UInt8(high << 4 | low))
      at += 2
    }
    return bytes
  }

  static func instructions(_ text: ArraySlice<UInt8>) -> [Instruction] {
    let code = Text(bytes: bytes(text))
    return stride(from: 0, to: code.bytes.count - 7, by: Instruction.byteCount).map {
      Instruction(code.span, at: $0)
    }
  }
}
