import DPUCore
import Testing

@testable import HBPFBridge

/// Every operation on scalars must hold for all numbers the operands may be: random scalars, random
/// members, the result of the members must be a member of the result.
@Suite struct ScalarTests {
  /// A scalar and a number that it covers.
  private func sample(_ random: inout SplitMix64) -> (Scalar, UInt64) {
    let value = random.next() >> (random.next() % 64)
    switch random.next() % 4 {
    case 0: return (Scalar(value), value)
    case 1:
      let low = value &- min(value, random.next() >> (random.next() % 64))
      let (high, overflow) = value.addingReportingOverflow(random.next() >> (random.next() % 64))
      return (Scalar(low...(overflow ? .max : high)), value)
    case 2:
      let mask = random.next()
      let known = Scalar.anything & Scalar(mask)
      return (known, value & mask)
    default: return (.anything, value)
    }
  }

  @Test func resultsCoverWhatMayHappen() {
    var random = SplitMix64(seed: 42)
    for _ in 0..<200_000 {
      let (a, x) = sample(&random)
      let (b, y) = sample(&random)
      #expect(a.contains(x) && b.contains(y))
      let distance = Scalar(random.next() % 64)
      let count = distance.constant!
      let bits = 1 + random.next() % 64
      let cut = bits == 64 ? x : x & ((1 << bits) - 1)
      let pairs: [(Scalar, UInt64)] = [
        (a + b, x &+ y), (a - b, x &- y), (a * b, x &* y), (a & b, x & y), (a | b, x | y),
        (a ^ b, x ^ y), (a.divided(by: b), y == 0 ? 0 : x / y),
        (a.remainder(by: b), y == 0 ? x : x % y),
        (a.shiftedLeft(by: distance, bits: 64), x << count),
        (a.shiftedRight(by: distance, bits: 64), x >> count), (a.low(bits), cut),
        (a.union(b), x), (a.union(b), y),
      ]
      for (index, pair) in pairs.enumerated() where !pair.0.contains(pair.1) {
        Issue.record("operation \(index): \(a) \(x), \(b) \(y) gives \(pair.0), not \(pair.1)")
        return
      }
      if let narrowed = a.atLeast(y) {
        #expect(x < y || narrowed.contains(x))
      } else {
        #expect(x < y)
      }
      if let narrowed = a.atMost(y) {
        #expect(x > y || narrowed.contains(x))
      } else {
        #expect(x > y)
      }
      if x == y { #expect(a.equal(to: b)?.contains(x) == true) }
      if x != y { #expect(a.different(from: y)?.contains(x) == true) }
    }
  }
}
