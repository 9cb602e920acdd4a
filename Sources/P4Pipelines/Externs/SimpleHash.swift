// Bytes come as a raw pointer and a count that the caller answers for; no offset reaches beyond it.

/// The hash functions that need no tables, as BMv2 computes them.
enum SimpleHash {
  /// The complement of the ones' complement sum of 16-bit words (RFC 1071), an odd byte at the end
  /// being the upper half of a word.
  @inline(__always)
  static func onesComplementSum(_ bytes: UnsafeRawPointer, _ count: Int) -> UInt64 {
    // Words in the order of memory: the sum is the same with its bytes swapped (RFC 1071, 2B).
    var sum: UInt64 = 0
    var at = 0
    while at &+ 8 <= count {
      let word = unsafe bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)
      sum &+= word & 0xffff_ffff &+ word >> 32
      at &+= 8
    }
    if count & 4 != 0 {
      sum &+= unsafe UInt64(bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
      at &+= 4
    }
    if count & 2 != 0 {
      sum &+= unsafe UInt64(bytes.loadUnaligned(fromByteOffset: at, as: UInt16.self))
      at &+= 2
    }
    if count & 1 != 0 {
      let byte = unsafe UInt16(bytes.load(fromByteOffset: at, as: UInt8.self))
      sum &+= UInt64(UInt16(littleEndian: byte))
    }
    sum = sum & 0xffff_ffff &+ sum >> 32
    sum = sum & 0xffff &+ (sum >> 16 & 0xffff) &+ sum >> 32
    sum = sum & 0xffff &+ sum >> 16
    sum = sum & 0xffff &+ sum >> 16
    return UInt64(~UInt16(truncatingIfNeeded: sum).bigEndian)
  }

  /// The first eight bytes, or all of fewer, as a number.
  @inline(__always)
  static func identity(_ bytes: UnsafeRawPointer, _ count: Int) -> UInt64 {
    if count >= 8 { return unsafe UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)) }
    var value: UInt64 = 0
    for index in 0..<count {
      value = unsafe value << 8 | UInt64(bytes.load(fromByteOffset: index, as: UInt8.self))
    }
    return value
  }

  /// Words of `width` bytes xored, zeros behind the last byte.
  static func xor(_ bytes: UnsafeRawPointer, _ count: Int, width: Int) -> UInt64 {
    var result: UInt64 = 0
    for index in 0..<count {
      let shift = UInt64(8 * (width - 1 - index % width))
      result ^= unsafe UInt64(bytes.load(fromByteOffset: index, as: UInt8.self)) << shift
    }
    return result
  }

  /// XXH64 with seed 0, after its specification (Collet, "xxHash fast digest algorithm").
  static func xxh64(_ bytes: UnsafeRawPointer, _ count: Int) -> UInt64 {
    var at = 0
    var result: UInt64
    if count >= 32 {
      var first = prime1 &+ prime2
      var second = prime2
      var third: UInt64 = 0
      var fourth: UInt64 = 0 &- prime1
      while at &+ 32 <= count {
        first = unsafe round(first, word(bytes, at))
        second = unsafe round(second, word(bytes, at &+ 8))
        third = unsafe round(third, word(bytes, at &+ 16))
        fourth = unsafe round(fourth, word(bytes, at &+ 24))
        at &+= 32
      }
      result = rotate(first, 1) &+ rotate(second, 7) &+ rotate(third, 12) &+ rotate(fourth, 18)
      result = merge(merge(merge(merge(result, first), second), third), fourth)
    } else {
      result = prime5
    }
    result &+= UInt64(truncatingIfNeeded: count)
    while at &+ 8 <= count {
      result = unsafe rotate(result ^ round(0, word(bytes, at)), 27) &* prime1 &+ prime4
      at &+= 8
    }
    if at &+ 4 <= count {
      let half = unsafe UInt32(
        littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
      result = rotate(result ^ UInt64(half) &* prime1, 23) &* prime2 &+ prime3
      at &+= 4
    }
    while at < count {
      let byte = unsafe UInt64(bytes.load(fromByteOffset: at, as: UInt8.self))
      result = rotate(result ^ byte &* prime5, 11) &* prime1
      at &+= 1
    }
    result = (result ^ result >> 33) &* prime2
    result = (result ^ result >> 29) &* prime3
    return result ^ result >> 32
  }

  private static var prime1: UInt64 { 0x9e37_79b1_85eb_ca87 }
  private static var prime2: UInt64 { 0xc2b2_ae3d_27d4_eb4f }
  private static var prime3: UInt64 { 0x1656_67b1_9e37_79f9 }
  private static var prime4: UInt64 { 0x85eb_ca77_c2b2_ae63 }
  private static var prime5: UInt64 { 0x27d4_eb2f_1656_67c5 }

  @inline(__always)
  private static func round(_ state: UInt64, _ word: UInt64) -> UInt64 {
    rotate(state &+ word &* prime2, 31) &* prime1
  }

  @inline(__always)
  private static func merge(_ state: UInt64, _ lane: UInt64) -> UInt64 {
    (state ^ round(0, lane)) &* prime1 &+ prime4
  }

  @inline(__always)
  private static func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 {
    value &<< count | value &>> (64 &- count)
  }

  @inline(__always)
  private static func word(_ bytes: UnsafeRawPointer, _ at: Int) -> UInt64 {
    unsafe UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
  }
}
