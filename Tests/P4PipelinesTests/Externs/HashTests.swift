import DPUCore
import Testing

@testable import P4Pipelines

struct HashTests {
  private func externs(_ algorithms: P4Program.HashAlgorithm...) -> ExternSet {
    var program = P4Program()
    for algorithm in algorithms {
      program.calculations.append(
        P4Program.Calculation(name: "h", algorithm: algorithm, inputs: []))
    }
    return ExternSet(program, seed: 1)
  }

  private let digits: [UInt8] = Array("123456789".utf8)

  private func hash(_ algorithm: P4Program.HashAlgorithm, _ bytes: [UInt8]) -> UInt64 {
    let externs = externs(algorithm)
    return externs.hash(0, bytes, bytes.count)
  }

  @Test func checksOfTheCatalogue() {
    #expect(hash(.crc32, digits) == 0xcbf4_3926)
    #expect(hash(.crc32Custom, digits) == 0xcbf4_3926)
    #expect(hash(.crc16, digits) == 0xbb3d)
    #expect(hash(.crc16Custom, digits) == 0xbb3d)
    #expect(hash(.crcCCITT, digits) == 0x29b1)
    #expect(hash(.crc8, digits) == 0xf4)
    #expect(hash(.crc8Custom, digits) == 0xf4)
    // Polynomial 0x1b, reflected, as BMv2 starts it: without a value of 2^64 - 1 at either end.
    #expect(hash(.crc64Custom, digits) == 0x46a5_a938_8a5b_effe)
  }

  @Test func customChecksTakeAnyParameters() throws {
    // From the catalogue of parametrised CRC algorithms: what "123456789" gives.
    let catalogue: [(CRCParameters, UInt64)] = [
      (check(32, 0x04c1_1db7, ~0, ~0, false, false), 0xfc89_1918),  // bzip2
      (check(32, 0x1edc_6f41, ~0, ~0, true, true), 0xe306_9283),  // Castagnoli
      (check(32, 0x04c1_1db7, 0, ~0, false, false), 0x765e_7680),  // POSIX
      (check(32, 0xaf, 0, 0, false, false), 0xbd0b_e338),  // XFER
      (check(16, 0x1021, 0xffff, 0xffff, true, true), 0x906e),  // X.25
      (check(16, 0x1021, 0, 0, true, true), 0x2189),  // Kermit
      (check(16, 0x8005, 0x800d, 0, false, false), 0x9ecf),  // DDS-110
      (check(16, 0x3d65, 0, 0xffff, true, true), 0xea82),  // DNP
      (check(8, 0x39, 0, 0, true, true), 0x15),  // DARC
      (check(8, 0x1d, 0xfd, 0, false, false), 0x7e),  // I-CODE
      (check(8, 0x07, 0xff, 0, true, true), 0xd0),  // ROHC
      (check(64, 0x42f0_e1eb_a9ea_3693, ~0, ~0, false, false), 0x62ec_59e3_f1a4_f00a),  // WE
      (check(64, 0x42f0_e1eb_a9ea_3693, ~0, ~0, true, true), 0x995d_c9bb_df19_39fa),  // XZ
    ]
    for (parameters, wanted) in catalogue {
      let algorithm: P4Program.HashAlgorithm =
        switch parameters.width {
        case 8: .crc8Custom
        case 16: .crc16Custom
        case 32: .crc32Custom
        default: .crc64Custom
        }
      var externs = externs(.crc32, algorithm)
      try externs.setCRC(1, parameters)
      let value = externs.hash(1, digits, digits.count)
      #expect(value == wanted, "\(parameters)")
      // The others are not touched.
      let plain = externs.hash(0, digits, digits.count)
      #expect(plain == 0xcbf4_3926)
    }
  }

  private func check(
    _ width: Int, _ polynomial: UInt64, _ initial: UInt64, _ final: UInt64, _ input: Bool,
    _ output: Bool
  ) -> CRCParameters {
    let ones = width == 64 ? UInt64.max : 1 << UInt64(width) - 1
    return CRCParameters(
      width: width, polynomial: polynomial, initial: initial & ones, final: final & ones,
      reflectsInput: input, reflectsOutput: output)
  }

  /// All lengths against one bit at a time, in all four ways to reflect.
  @Test func checksOfAllLengths() throws {
    var random = SplitMix64(seed: 4)
    let bytes = (0..<70).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    for (width, algorithm) in [
      (8, P4Program.HashAlgorithm.crc8Custom), (16, .crc16Custom), (32, .crc32Custom),
      (64, .crc64Custom),
    ] {
      for way in 0..<4 {
        let parameters = check(
          width, random.next() & (~0 >> UInt64(64 - width)), random.next(), random.next(),
          way & 1 == 1, way & 2 == 2)
        var externs = externs(algorithm)
        try externs.setCRC(0, parameters)
        for count in 0...70 {
          let value = externs.hash(0, bytes, count)
          #expect(value == slowly(parameters, bytes[..<count]), "\(parameters) of \(count)")
        }
      }
    }
  }

  private func slowly(_ check: CRCParameters, _ bytes: ArraySlice<UInt8>) -> UInt64 {
    let ones = UInt64.max >> UInt64(64 - check.width)
    var register = check.initial
    for byte in bytes {
      for bit in 0..<8 {
        let next = UInt64(byte >> UInt8(check.reflectsInput ? bit : 7 - bit) & 1)
        let top = register >> UInt64(check.width - 1) & 1
        register = register << 1 & ones
        if top != next { register ^= check.polynomial }
      }
    }
    if check.reflectsOutput {
      var reversed: UInt64 = 0
      for bit in 0..<check.width where register >> UInt64(bit) & 1 == 1 {
        reversed |= 1 << UInt64(check.width - 1 - bit)
      }
      register = reversed
    }
    return register ^ check.final
  }

  @Test func parametersThatDoNotFit() {
    var externs = externs(.crc32, .crc32Custom, .toeplitz)
    var errors: [ExternError?] = []
    func attempt(_ number: Int, _ parameters: CRCParameters) {
      do {
        try externs.setCRC(number, parameters)
        errors.append(nil)
      } catch { errors.append(error) }
    }
    let good = check(32, 7, 0, 0, false, false)
    attempt(0, good)
    attempt(2, good)
    attempt(3, good)
    attempt(1, check(16, 7, 0, 0, false, false))
    var wide = good
    wide.polynomial = 1 << 32
    attempt(1, wide)
    attempt(1, good)
    #expect(errors == [.badHash, .badHash, .badHash, .badHash, .valueTooWide, nil])
    for key in [[], [1, 2, 3], [UInt8](repeating: 1, count: 68)] as [[UInt8]] {
      var error: ExternError?
      do { try externs.setToeplitzKey(2, key) } catch let refusal { error = refusal }
      #expect(error == .badHash)
    }
  }

  @Test(arguments: [P4Program.HashAlgorithm.crc32, .crc16, .crc32Custom, .crc16Custom])
  func tailsApartAreTheSameAsWhole(algorithm: P4Program.HashAlgorithm) throws {
    var externs = externs(algorithm)
    var random = SplitMix64(seed: 6)
    func bytes(_ count: Int) -> [UInt8] {
      (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }
    for words in [2, 4, 16] {
      externs.setTails(words: [words])
      // One tail for all, a few, and one for each: then the batches after it are hashed whole.
      for distinct in [1, 5, 64] {
        let tails = (0..<distinct).map { _ in bytes(8 * words) }
        for mask in someMasks {
          let count = Int(random.next() % 20)
          let heads = (0..<64).map { _ in bytes(count) }
          var target = [UInt64](repeating: 0, count: 64)
          if externs.takesTails(0) {
            let headBytes: [UInt8] = heads.flatMap { $0 + [UInt8(0)] }
            let tailBytes: [UInt8] = (0..<64).flatMap { tails[$0 % distinct] + [UInt8(0xaa)] }
            externs.hash(
              0, mask: mask, bytes: headBytes, stride: count + 1, count: count, tails: tailBytes,
              tailStride: 8 * words + 1, into: &target)
            for packet in 0..<64 where mask >> UInt64(packet) & 1 == 1 {
              let whole = heads[packet] + tails[packet % distinct]
              let expected = externs.hash(0, whole, whole.count)
              #expect(target[packet] == expected)
            }
          }
        }
        let isPaused = !externs.takesTails(0)
        if distinct == 64 { #expect(isPaused) }
        externs.setTails(words: [words])
      }
    }
    // What is remembered goes when the check changes.
    if algorithm == .crc32Custom {
      externs.setTails(words: [4])
      let tail = bytes(32)
      for polynomial in [0x04c1_1db7, 0x1edc_6f41] as [UInt64] {
        try externs.setCRC(0, check(32, polynomial, 0xffff_ffff, 0, true, true))
        var target = [UInt64](repeating: 0, count: 64)
        externs.hash(
          0, mask: 1, bytes: [1, 2, 3], stride: 3, count: 3, tails: tail, tailStride: 32,
          into: &target)
        let expected = externs.hash(0, [1, 2, 3] + tail, 35)
        #expect(target[0] == expected)
      }
      try externs.setCRC(0, check(32, 0x04c1_1db7, 0, 0, false, false))
      let takesTails = externs.takesTails(0)
      #expect(!takesTails)
    }
  }

  @Test func onesComplementSums() {
    // The header of RFC 1071's successors in every textbook: its checksum is b861.
    let header: [UInt8] = [
      0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0x00, 0x00, 0xc0, 0xa8, 0x00,
      0x01, 0xc0, 0xa8, 0x00, 0xc7,
    ]
    #expect(hash(.csum16, header) == 0xb861)
    #expect(hash(.csum16, []) == 0xffff)
    #expect(hash(.csum16, [0xff, 0xff]) == 0)
    #expect(hash(.csum16, [0x12]) == 0xedff)
    var random = SplitMix64(seed: 8)
    for count in 0..<70 {
      let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() | 0xf0) }
      var sum = 0
      for index in bytes.indices { sum += Int(bytes[index]) << (index % 2 == 0 ? 8 : 0) }
      while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
      #expect(hash(.csum16, bytes) == UInt64(0xffff - sum), "\(count) bytes")
    }
  }

  @Test func simpleOnesAsInBMv2() {
    #expect(hash(.identity, [0x12, 0x34]) == 0x1234)
    #expect(hash(.identity, Array(1...9)) == 0x0102_0304_0506_0708)
    #expect(hash(.identity, []) == 0)
    #expect(hash(.xor16, [0x12, 0x34, 0x56, 0x78, 0x9a]) == 0x1234 ^ 0x5678 ^ 0x9a00)
    #expect(
      hash(.xor32, [1, 2, 3, 4, 5, 6]) == 0x0102_0304 ^ 0x0506_0000)
  }

  @Test func xxh64Vectors() {
    #expect(hash(.xxh64, []) == 0xef46_db37_51d8_e999)
    #expect(hash(.xxh64, Array("a".utf8)) == 0xd24e_c4f1_a98c_6e5b)
    #expect(hash(.xxh64, Array("abc".utf8)) == 0x44bc_2cf5_ad77_0999)
    #expect(hash(.xxh64, digits) == 0x8cb8_41db_40e6_ae83)
    let long = "Nobody inspects the spammish repetition"
    #expect(hash(.xxh64, Array(long.utf8)) == 0xfbce_a83c_8a37_8bf1)
  }

  /// Microsoft's verification suite for RSS: address and port pairs over IPv4 and IPv6.
  @Test func toeplitzVectors() throws {
    let key: [UInt8] = [
      0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
      0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
      0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ]
    var externs = externs(.toeplitz)
    let before = externs.hash(0, digits, digits.count)
    #expect(before == 0)
    try externs.setToeplitzKey(0, key)
    let flows: [([UInt8], UInt64)] = [
      // 66.9.149.187:2794 -> 161.142.100.80:1766
      ([66, 9, 149, 187, 161, 142, 100, 80], 0x323e_8fc2),
      ([66, 9, 149, 187, 161, 142, 100, 80, 10, 234, 6, 230], 0x51cc_c178),
      // 199.92.111.2:14230 -> 65.69.140.83:4739
      ([199, 92, 111, 2, 65, 69, 140, 83], 0xd718_262a),
      ([199, 92, 111, 2, 65, 69, 140, 83, 55, 150, 18, 131], 0xc626_b0ea),
      // 3ffe:2501:200:1fff::7 -> 3ffe:2501:200:3::1
      (
        [
          0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0, 7, 0x3f, 0xfe, 0x25,
          0x01, 0x02, 0x00, 0x00, 0x03, 0, 0, 0, 0, 0, 0, 0, 1,
        ], 0x2cc1_8cd5
      ),
    ]
    for (bytes, wanted) in flows {
      let value = externs.hash(0, bytes, bytes.count)
      #expect(value == wanted)
    }
  }

  @Test func batchesHashEachPacket() {
    var random = SplitMix64(seed: 10)
    let bytes = (0..<64 * 40).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let externs = externs(
      .crc32, .crc16, .crcCCITT, .csum16, .xxh64, .identity, .xor16, .crc64Custom)
    for number in 0..<8 {
      let mask = random.next()
      var lane = [UInt64](repeating: 0xdead, count: 64)
      externs.hash(number, mask: mask, bytes: bytes, stride: 40, count: 37, into: &lane)
      for packet in 0..<64 {
        let one = Array(bytes[(40 * packet)..<(40 * packet + 37)])
        let wanted = externs.hash(number, one, 37)
        #expect(lane[packet] == (mask >> UInt64(packet) & 1 == 1 ? wanted : 0xdead))
      }
    }
  }

  @Test func selectorsStandBehindCalculations() {
    var program = P4Program()
    program.calculations = [P4Program.Calculation(name: "a", algorithm: .crc32, inputs: [])]
    program.profiles = [
      P4Program.ActionProfile(name: "p", capacity: 4, selector: nil),
      P4Program.ActionProfile(
        name: "q", capacity: 4,
        selector: P4Program.Calculation(name: "", algorithm: .crc16, inputs: [])),
    ]
    let externs = ExternSet(program, seed: 1)
    let value = externs.hash(2, digits, digits.count)
    #expect(value == 0xbb3d)
  }
}
