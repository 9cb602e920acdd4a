import DPUCore
import Testing

@testable import MQTTWire

/// Damaged packets: whatever the bytes are, views answer and nothing traps.
@Suite struct MutationTests {
  /// One valid packet of each kind and version, from the rows that are accepted.
  static let seeds = RefusalTests.rows.filter { $0.reason == nil }

  @Test func aHundredThousandDamagedPacketsDoNotTrap() {
    var random = SplitMix64(seed: 99)
    var sum: UInt64 = 0
    var refused = 0
    var accepted = 0
    for i in 0..<100_000 {
      let seed = Self.seeds[i % Self.seeds.count]
      var bytes = packet(seed.text)
      for _ in 0...Int.random(in: 0..<3, using: &random) { mutate(&bytes, &random) }
      let version =
        i % 8 == 0 ? ProtocolVersion.allCases.randomElement(using: &random)! : seed.version
      let reason = exercise(bytes.span.bytes, version, seed.sender, &sum)
      if reason == nil { accepted += 1 } else { refused += 1 }
    }
    // Both ways were taken often, or the test tests nothing.
    #expect(refused > 20_000 && accepted > 5_000, "\(refused) refused, \(accepted) accepted")
  }

  private func mutate(_ bytes: inout [UInt8], _ random: inout SplitMix64) {
    guard !bytes.isEmpty else { return bytes.append(UInt8.random(in: 0...255, using: &random)) }
    let at = Int.random(in: 0..<bytes.count, using: &random)
    switch Int.random(in: 0..<6, using: &random) {
    case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 1: bytes[at] = UInt8.random(in: 0...255, using: &random)
    case 2: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
    case 3: bytes.remove(at: at)
    case 4: bytes.removeLast(bytes.count - at)
    default:
      // A longer or shorter body under a header that fits.
      if bytes.count > 2, bytes.count < 127 {
        bytes.insert(bytes[at], at: max(2, at))
        bytes[1] = UInt8(bytes.count - 2)
      }
    }
  }
}
