/// SipHash-2-4: a keyed hash of 64 bits, after Aumasson and Bernstein (2012).
///
/// For tables whose keys a peer chooses (connections, topics) and for initial sequence numbers:
/// without the secret nobody can aim at a bucket or guess the next value.
package struct SipHash: Sendable, BitwiseCopyable {
  private var v0: UInt64
  private var v1: UInt64
  private var v2: UInt64
  private var v3: UInt64

  @inline(__always)
  package init(key0: UInt64, key1: UInt64) {
    v0 = key0 ^ 0x736f_6d65_7073_6575
    v1 = key1 ^ 0x646f_7261_6e64_6f6d
    v2 = key0 ^ 0x6c79_6765_6e65_7261
    v3 = key1 ^ 0x7465_6462_7974_6573
  }

  /// Feeds one 64-bit word.
  @inline(__always)
  package mutating func combine(_ word: UInt64) {
    v3 ^= word
    round()
    round()
    v0 ^= word
  }

  /// Feeds bytes, the last word completed with the length as SipHash demands.
  package mutating func combine(bytes: RawSpan) {
    var offset = 0
    let count = bytes.byteCount
    while offset + 8 <= count {
      combine(bytes.leUInt64(at: offset))
      offset += 8
    }
    var last = UInt64(truncatingIfNeeded: count) << 56
    var shift: UInt64 = 0
    while offset < count {
      last |= UInt64(bytes.byte(at: offset)) << shift
      shift += 8
      offset += 1
    }
    combine(last)
  }

  @inline(__always)
  package consuming func finish() -> UInt64 {
    v2 ^= 0xff
    round()
    round()
    round()
    round()
    return v0 ^ v1 ^ v2 ^ v3
  }

  @inline(__always)
  private mutating func round() {
    v0 &+= v1
    v2 &+= v3
    v1 = v1 << 13 | v1 >> 51
    v3 = v3 << 16 | v3 >> 48
    v1 ^= v0
    v3 ^= v2
    v0 = v0 << 32 | v0 >> 32
    v2 &+= v1
    v0 &+= v3
    v1 = v1 << 17 | v1 >> 47
    v3 = v3 << 21 | v3 >> 43
    v1 ^= v2
    v3 ^= v0
    v2 = v2 << 32 | v2 >> 32
  }
}

/// A small deterministic generator (SplitMix64) for tests, fuzzers and jitter; not for secrets.
package struct SplitMix64: RandomNumberGenerator, Sendable {
  package var state: UInt64
  package init(seed: UInt64) { state = seed }
  package mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
