import DPUCore
import Testing

@testable import MQTTWire

@Suite struct FramingTests {
  @Test func aPacketArrivesByteByByte() {
    let bytes = packet("3003 'a'") + packet("c000")
    let header = FixedHeader(type: .publish, flags: 0, headerLength: 2, remainingLength: 3)
    for count in 0...bytes.count {
      let scan = PacketFraming.scan(bytes.span.bytes.extracting(0..<count))
      switch count {
      case 0...1: #expect(scan == .incomplete)
      case 2...4: #expect(scan == .partial(header))
      default: #expect(scan == .packet(header))
      }
    }
  }

  /// The limits of table 2-4 of MQTT 3.1.1.
  @Test(arguments: [
    (0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (2_097_151, 3), (2_097_152, 4),
    (268_435_455, 4),
  ])
  func lengthsTakeAsManyBytesAsTheirTableSays(length: Int, size: Int) {
    #expect(VariableByteInteger.size(length) == size)
    let bytes = written(1 + size) { $0.put(.publish, remainingLength: length) }
    let header = FixedHeader(
      type: .publish, flags: 0, headerLength: 1 + size, remainingLength: length)
    let scan = PacketFraming.scan(bytes.span.bytes)
    #expect(scan == (length == 0 ? .packet(header) : .partial(header)))
  }

  @Test func fiveLengthBytesAreTooMany() {
    for last in [0x00, 0x01, 0x7f, 0x80] as [UInt8] {
      let bytes: [UInt8] = [0x30, 0xff, 0xff, 0xff, 0xff, last]
      let scan = PacketFraming.scan(bytes.span.bytes)
      #expect(scan == .malformed(.remainingLengthTooLong))
    }
    let unfinished: [UInt8] = [0x30, 0xff, 0xff, 0xff]
    let scan = PacketFraming.scan(unfinished.span.bytes)
    #expect(scan == .incomplete)
  }
}

@Suite struct UTF8Tests {
  /// Every Unicode scalar is accepted, U+0000 excepted, at each distance from the fast path.
  @Test func acceptsEveryScalar() {
    for value in UInt32(1)...0x10_ffff {
      guard let scalar = Unicode.Scalar(value) else { continue }
      var bytes = [UInt8](repeating: 0x61, count: Int(value % 9))
      bytes.append(contentsOf: UTF8.encode(scalar)!)
      if let failure = UTF8Check.failure(in: bytes.span.bytes) {
        Issue.record("U+\(String(value, radix: 16)): \(failure)")
        return
      }
    }
  }

  /// The standard library is the judge of random sequences.
  @Test func agreesWithTheStandardLibrary() {
    var random = SplitMix64(seed: 4)
    let pieces: [UInt8] = [
      0x61, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec,
      0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
    ]
    var valid = 0
    for _ in 0..<200_000 {
      let count = Int.random(in: 1...5, using: &random)
      var bytes = [UInt8](repeating: 0x61, count: Int.random(in: 0...12, using: &random))
      for _ in 0..<count { bytes.append(pieces.randomElement(using: &random)!) }
      let expected = String(validating: bytes, as: UTF8.self) != nil
      let failure = UTF8Check.failure(in: bytes.span.bytes)
      if (failure == nil) != expected {
        Issue.record("\(bytes): \(String(describing: failure))")
        return
      }
      if expected { valid += 1 }
    }
    #expect(valid > 1_000)
  }

  @Test func findsANullByteAtEveryPlace() {
    for count in 1...40 {
      for place in 0..<count {
        var bytes = [UInt8](repeating: 0x61, count: count)
        bytes[place] = 0
        let failure = UTF8Check.failure(in: bytes.span.bytes)
        #expect(failure == .nullCharacter)
      }
    }
  }

  @Test(arguments: [UInt8(ascii: "+"), UInt8(ascii: "#")])
  func findsAWildcardAtEveryPlaceOfAName(wildcard: UInt8) {
    for count in 1...40 {
      // Neighbours of the wildcards in value, which a search by words could mistake.
      for other in [wildcard - 1, wildcard + 1] {
        var name = [UInt8](repeating: other, count: count)
        let clean = TopicSyntax.nameFailure(name.span.bytes)
        #expect(clean == nil)
        for place in 0..<count {
          name[place] = wildcard
          let failure = TopicSyntax.nameFailure(name.span.bytes)
          #expect(failure == .topicWildcard)
          name[place] = other
        }
      }
    }
  }
}
