import DPUCore

/// UTF-8 as MQTT wants it (section 1.5.4): well formed, no surrogates, no U+0000.
///
/// Control characters and non-characters pass. The specification lets a receiver refuse them,
/// and some brokers do; that is the broker's to say.
package enum UTF8Check {
  /// What is wrong with `bytes`, nil when nothing is.
  package static func failure(in bytes: RawSpan) -> PacketFailure? {
    let count = bytes.byteCount
    var i = 0
    while i < count {
      if count - i >= 8 {
        let word = bytes.leUInt64(at: i)
        if word.isASCII && !word.hasZeroByte {
          i += 8
          continue
        }
      }
      let lead = bytes.byte(at: i)
      if lead < 0x80 {
        if lead == 0 { return .nullCharacter }
        i += 1
        continue
      }
      let length = sequenceLength(bytes, at: i, lead: lead)
      if length == 0 { return .illFormedUTF8 }
      i += length
    }
    return nil
  }

  /// The length of the sequence of two to four bytes at `i`, 0 when it is ill-formed
  /// (Unicode, table 3-7).
  private static func sequenceLength(_ bytes: RawSpan, at i: Int, lead: UInt8) -> Int {
    let length: Int
    var lowest: UInt8 = 0x80
    var highest: UInt8 = 0xbf
    switch lead {
    case 0xc2...0xdf: length = 2
    case 0xe0...0xef:
      length = 3
      if lead == 0xe0 { lowest = 0xa0 }  // shorter form exists
      if lead == 0xed { highest = 0x9f }  // surrogates
    case 0xf0...0xf4:
      length = 4
      if lead == 0xf0 { lowest = 0x90 }  // shorter form exists
      if lead == 0xf4 { highest = 0x8f }  // above U+10FFFF
    default: return 0
    }
    guard bytes.byteCount - i >= length else { return 0 }
    let second = bytes.byte(at: i + 1)
    guard second >= lowest, second <= highest else { return 0 }
    for k in 2..<max(2, length) where bytes.byte(at: i + k) & 0xc0 != 0x80 { return 0 }
    return length
  }
}

/// Eight bytes at once.
extension UInt64 {
  @inline(__always)
  var isASCII: Bool { self & 0x8080_8080_8080_8080 == 0 }
  /// Whether one of the eight bytes is zero (Mycroft's test).
  @inline(__always)
  var hasZeroByte: Bool {
    (self &- 0x0101_0101_0101_0101) & ~self & 0x8080_8080_8080_8080 != 0
  }
}
