/// The helpers that the public eBPF conformance tests call: numbers 0 to 5 as those tests fix them.
/// For tools and tests; no filter on the packet path gets them.
package struct ConformanceHelpers: HelperTable {
  package static let numbers: [UInt32] = [0, 1, 2, 3, 4, 5]

  package init() {}

  package mutating func call(
    _ helper: UInt32, _ r1: UInt64, _ r2: UInt64, _ r3: UInt64, _ r4: UInt64, _ r5: UInt64,
    memory: GuestMemory
  ) -> HelperResult {
    switch helper {
    case 0:
      // Gathers the low bytes, the first argument on top.
      let low: UInt64 = 0xff
      return .value(
        (r1 & low) << 32 | (r2 & low) << 24 | (r3 & low) << 16 | (r4 & low) << 8 | (r5 & low))
    case 1: return invert(r1, count: r2, memory)
    case 2: return .value(0)
    case 3: return .value(squareRoot(r1))
    case 4: return compare(r1, r2, memory)
    case 5: return r1 <= UInt64(Int32.max) && r1 == 0 ? .end(r1) : .value(r1)
    default: return .unknown
    }
  }

  /// Turns over bits of each byte, as memfrob does.
  private func invert(_ address: UInt64, count: UInt64, _ memory: GuestMemory) -> HelperResult {
    guard let host = memory.find(address, count: count, writing: true) else { return .unknown }
    for offset in 0..<UInt(count) {
      HostBytes.store(HostBytes.load(host + offset, as: UInt8.self) ^ 42, at: host + offset)
    }
    return .value(address)
  }

  private func squareRoot(_ value: UInt64) -> UInt64 {
    var low: UInt64 = 0
    var high: UInt64 = 1 << 32
    while low + 1 < high {
      let middle = (low + high) / 2
      if middle <= value / middle { low = middle } else { high = middle }
    }
    return value == 0 ? 0 : low
  }

  /// Compares two strings that end with a zero.
  private func compare(_ first: UInt64, _ second: UInt64, _ memory: GuestMemory) -> HelperResult {
    var offset: UInt64 = 0
    while let a = memory.find(first &+ offset, count: 1, writing: false),
      let b = memory.find(second &+ offset, count: 1, writing: false)
    {
      let left = HostBytes.load(a, as: UInt8.self)
      let right = HostBytes.load(b, as: UInt8.self)
      if left != right { return .value(UInt64(bitPattern: Int64(left) - Int64(right))) }
      if left == 0 { return .value(0) }
      offset += 1
    }
    return .unknown
  }
}
