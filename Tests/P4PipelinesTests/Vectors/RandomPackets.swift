import DPUCore

/// Packets from a seed: noise, and Ethernet with something plausible inside, mutated.
struct RandomPackets {
  private var dice: SplitMix64

  init(seed: UInt64) { dice = SplitMix64(seed: seed) }

  mutating func next() -> [UInt8] {
    switch dice.below(8) {
    case 0: return noise(1 + dice.below(64))
    case 1: return [UInt8](repeating: dice.byte(), count: 1 + dice.below(128))
    case 2:
      // Few bits set: small selectors, counts and lengths are what programs branch on.
      var bytes = [UInt8](repeating: 0, count: 1 + dice.below(160))
      for _ in 0..<1 + dice.below(8) { bytes[dice.below(bytes.count)] = UInt8(dice.below(6)) }
      return bytes
    default: return mutated(frame())
    }
  }

  mutating func port() -> Int { dice.below(8) }

  private mutating func noise(_ count: Int) -> [UInt8] { (0..<count).map { _ in dice.byte() } }

  private mutating func frame() -> [UInt8] {
    var bytes = noise(12)
    if dice.below(4) == 0 { bytes += [0x81, 0x00, dice.byte(), dice.byte()] }
    switch dice.below(6) {
    case 0: bytes += [0x86, 0xdd] + ipv6()
    case 1: bytes += [0x08, 0x06] + noise(28)
    case 2: bytes += [0x88, 0x47] + noise(4 * (1 + dice.below(4))) + ipv4()
    case 3: bytes += noise(2) + noise(dice.below(80))
    default: bytes += [0x08, 0x00] + ipv4()
    }
    return bytes
  }

  private mutating func ipv4() -> [UInt8] {
    let options = dice.below(3) == 0 ? dice.below(11) : 0
    let payload = transport()
    var header: [UInt8] = [0x45 + UInt8(options), dice.byte()]
    let length = 20 + 4 * options + payload.count
    header += [UInt8(length >> 8), UInt8(length & 0xff)]
    header +=
      noise(2) + [UInt8(dice.below(2) * 0x40), 0, UInt8(dice.below(65)), lastProtocol, 0, 0]
    header +=
      [10, 0, 0, UInt8(dice.below(4))] + [10, 1, UInt8(dice.below(2)), UInt8(dice.below(4))]
    header += noise(4 * options)
    var sum = 0
    for index in stride(from: 0, to: header.count, by: 2) {
      sum += Int(header[index]) << 8 | Int(header[index + 1])
    }
    while sum > 0xffff { sum = sum >> 16 + sum & 0xffff }
    header[10] = UInt8(~sum >> 8 & 0xff)
    header[11] = UInt8(~sum & 0xff)
    return header + payload
  }

  private mutating func ipv6() -> [UInt8] {
    let payload = transport()
    return [0x60, 0, 0, 0, UInt8(payload.count >> 8), UInt8(payload.count & 0xff), lastProtocol]
      + [UInt8(dice.below(65))] + noise(32) + payload
  }

  private var lastProtocol: UInt8 = 17

  private mutating func transport() -> [UInt8] {
    switch dice.below(3) {
    case 0:
      lastProtocol = 6
      return noise(12) + [0x50 + UInt8(dice.below(2) * 0x10), dice.byte()]
        + noise(6 + dice.below(60))
    case 1:
      lastProtocol = 17
      return noise(8 + dice.below(400))
    default:
      lastProtocol = dice.byte()
      return noise(dice.below(40))
    }
  }

  private mutating func mutated(_ frame: [UInt8]) -> [UInt8] {
    var bytes = frame
    switch dice.below(4) {
    case 0: bytes.removeLast(dice.below(bytes.count))
    case 1: for _ in 0..<1 + dice.below(4) { bytes[dice.below(bytes.count)] = dice.byte() }
    case 2: bytes[dice.below(bytes.count)] ^= 1 << UInt8(dice.below(8))
    default: break
    }
    return bytes
  }
}

extension SplitMix64 {
  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
  mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next()) }
}
