import DPUCore
import PacketWire
import Testing

func bytes(_ count: Int, seed: UInt64) -> [UInt8] {
  var random = SplitMix64(seed: seed)
  return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
}

/// RFC 1071, two bytes at a time.
func referenceSum(_ bytes: [UInt8]) -> UInt16 {
  var sum: UInt32 = 0
  for i in stride(from: 0, to: bytes.count, by: 2) {
    sum += UInt32(bytes[i]) << 8 | (i + 1 < bytes.count ? UInt32(bytes[i + 1]) : 0)
    sum = (sum & 0xffff) + (sum >> 16)
  }
  return UInt16(sum)
}

@Suite struct ChecksumTests {
  @Test func theExampleOfRFC1071() {
    let example: [UInt8] = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]
    var sum = InternetChecksum()
    sum.add(example.span.bytes)
    #expect(sum.partial == 0xddf2 && sum.checksum == 0x220d)
  }

  @Test func agreesWithTheReferenceAtEveryLength() {
    for count in 0..<300 {
      let data = bytes(count, seed: UInt64(count))
      var sum = InternetChecksum()
      sum.add(data.span.bytes)
      #expect(sum.partial == referenceSum(data), "\(count) bytes")
    }
    let ones = [UInt8](repeating: 0xff, count: 65_535)
    var sum = InternetChecksum()
    sum.add(ones.span.bytes)
    #expect(sum.partial == referenceSum(ones))
  }

  /// A message summed in pieces, cut anywhere, gives the sum of the whole.
  @Test func piecesAddUpAtOddOffsets() {
    let data = bytes(97, seed: 3)
    for cut in 0...97 {
      for second in stride(from: cut, through: 97, by: 7) {
        var sum = InternetChecksum()
        for range in [0..<cut, cut..<second, second..<97] {
          var piece = InternetChecksum()
          piece.add(data.span.bytes.extracting(range))
          sum.add(partial: piece.partial, at: range.lowerBound)
        }
        #expect(sum.partial == referenceSum(data))
      }
    }
  }

  @Test func wordsAddLikeTheirBytes() {
    var sum = InternetChecksum()
    sum.add(0x1234 as UInt16)
    sum.add(0x5678_9abc as UInt32)
    sum.add(IPAddress(high: 0x0102_0304_0506_0708, low: 0x090a_0b0c_0d0e_0f10))
    sum.add(IPAddress(192, 168, 1, 2))
    let data: [UInt8] =
      [0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc] + (1...16).map { UInt8($0) } + [192, 168, 1, 2]
    #expect(sum.partial == referenceSum(data))
    let again = InternetChecksum(partial: sum.partial)
    #expect(again.partial == sum.partial)
  }

  /// RFC 1624: changing one word and updating is summing anew.
  @Test func theIncrementalChecksumAgreesWithTheFullOne() {
    var random = SplitMix64(seed: 4)
    for _ in 0..<2_000 {
      var data = bytes(40, seed: random.next())
      let before = ~referenceSum(data)
      let at = Int(random.next() % 20) * 2
      let old = UInt16(data[at]) << 8 | UInt16(data[at + 1])
      let new = [0, 0xffff, UInt16(truncatingIfNeeded: random.next())][Int(random.next() % 3)]
      data[at] = UInt8(new >> 8)
      data[at + 1] = UInt8(new & 255)
      #expect(InternetChecksum.updated(before, from: old, to: new) == ~referenceSum(data))
    }
  }

  /// The example of RFC 1624 §4, where the older equation went wrong.
  @Test func theExampleOfRFC1624() {
    #expect(InternetChecksum.updated(0xdd2f, from: 0x5555, to: 0x3285) == 0x0000)
  }
}
