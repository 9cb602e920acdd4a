import DPUCore

// Keys are hashed through raw pointers: this is a third of the cost of an exact lookup.

/// The keyed hash of all tables: one 64 by 64 bit multiplication for each word of the key, both
/// halves of the product folded. Without the secret nobody can aim keys at one bucket; it is no
/// cryptographic hash, because packets see no more of it than a few nanoseconds.
@safe
struct TableHash: BitwiseCopyable {
  private let start: UInt64
  private let factor: UInt64

  init(secret: UInt64) {
    var generator = SplitMix64(seed: secret)
    start = generator.next()
    // Odd, and with ones in both halves.
    factor = generator.next() | 0x8000_0001_0000_0001
  }

  @inline(__always)
  func mix(_ state: UInt64, _ word: UInt64) -> UInt64 {
    let product = (state ^ word).multipliedFullWidth(by: factor)
    return product.high ^ product.low
  }

  @inline(__always)
  func hash(_ word: UInt64) -> UInt64 { mix(start, word) }

  @inline(__always)
  func hash(_ first: UInt64, _ second: UInt64) -> UInt64 { mix(mix(start, first), second) }

  @inline(__always)
  func hash(_ words: UnsafePointer<UInt64>, _ count: Int) -> UInt64 {
    var state = start
    for index in 0..<count { state = unsafe mix(state, words[index]) }
    return state
  }

  /// The hash of a mask, from which `hash(_:masked:)` goes on.
  func seed(mask: UnsafePointer<UInt64>, _ count: Int) -> UInt64 {
    unsafe mix(hash(mask, count), 0x6d61_736b)
  }

  /// The hash of a key under a mask.
  @inline(__always)
  func hash(
    seed: UInt64, _ key: UnsafePointer<UInt64>, masked mask: UnsafePointer<UInt64>, _ count: Int
  ) -> UInt64 {
    var state = seed
    for index in 0..<count { state = unsafe mix(state, key[index] & mask[index]) }
    return state
  }
}
