import DPUCore

/// The Internet checksum (RFC 1071), accumulated piece by piece.
///
/// Bytes are added as little-endian 64-bit words with the carry wrapped around; the sum does not
/// depend on the byte order, only its representation does, so one swap at the end suffices.
package struct InternetChecksum: BitwiseCopyable, Sendable {
  /// The sum of little-endian words modulo 2^64 - 1.
  private var sum: UInt64 = 0

  @inline(__always)
  package init() {}

  /// Continues from a folded partial sum.
  @inline(__always)
  package init(partial: UInt16) { sum = UInt64(partial.byteSwapped) }

  /// Adds a 16-bit word in network byte order.
  @inline(__always)
  package mutating func add(_ word: UInt16) { addWord(UInt64(word.byteSwapped)) }

  @inline(__always)
  package mutating func add(_ word: UInt32) { addWord(UInt64(word.byteSwapped)) }

  @inline(__always)
  package mutating func add(_ address: IPAddress) {
    if address.isIPv4 {
      add(address.v4)
    } else {
      addWord(address.high.byteSwapped)
      addWord(address.low.byteSwapped)
    }
  }

  /// Adds a run of bytes that starts at an even offset of what is summed.
  @inline(__always)
  package mutating func add(_ bytes: RawSpan) {
    let count = bytes.byteCount
    var offset = 0
    while offset &+ 32 <= count {
      addWord(bytes.leUInt64(at: offset))
      addWord(bytes.leUInt64(at: offset &+ 8))
      addWord(bytes.leUInt64(at: offset &+ 16))
      addWord(bytes.leUInt64(at: offset &+ 24))
      offset &+= 32
    }
    while offset &+ 8 <= count {
      addWord(bytes.leUInt64(at: offset))
      offset &+= 8
    }
    if offset &+ 4 <= count {
      addWord(UInt64(bytes.leUInt32(at: offset)))
      offset &+= 4
    }
    if offset &+ 2 <= count {
      addWord(UInt64(bytes.leUInt16(at: offset)))
      offset &+= 2
    }
    if offset < count { addWord(UInt64(bytes.byte(at: offset))) }
  }

  /// Adds the folded sum of a piece that starts at `offset` of what is summed: an odd offset
  /// swaps its bytes (RFC 1071 §2).
  @inline(__always)
  package mutating func add(partial: UInt16, at offset: Int) {
    addWord(UInt64(offset & 1 == 0 ? partial.byteSwapped : partial))
  }

  /// The sum folded to 16 bits, not complemented.
  @inline(__always)
  package var partial: UInt16 {
    var folded = (sum & 0xffff_ffff) &+ (sum >> 32)
    folded = (folded & 0xffff) &+ (folded >> 16)
    folded = (folded & 0xffff) &+ (folded >> 16)
    folded = (folded & 0xffff) &+ (folded >> 16)
    return UInt16(truncatingIfNeeded: folded).byteSwapped
  }

  /// What goes into the header; over bytes that hold a right checksum it is zero.
  @inline(__always)
  package var checksum: UInt16 { ~partial }

  @inline(__always)
  private mutating func addWord(_ word: UInt64) {
    let (result, overflow) = sum.addingReportingOverflow(word)
    sum = result &+ (overflow ? 1 : 0)
  }

  /// The pseudo header of TCP, UDP and ICMPv6 (RFC 9293 §3.1, RFC 8200 §8.1), without the
  /// length: add that with `add(UInt32(length))`.
  @inline(__always)
  package init(from source: IPAddress, to destination: IPAddress, protocolNumber: UInt8) {
    add(source)
    add(destination)
    add(UInt16(protocolNumber))
  }

  /// The checksum after one 16-bit word of what it covers changed (RFC 1624, equation 3).
  @inline(__always)
  package static func updated(_ checksum: UInt16, from old: UInt16, to new: UInt16) -> UInt16 {
    var sum = UInt32(~checksum) + UInt32(~old) + UInt32(new)
    sum = (sum & 0xffff) + (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16)
    return ~UInt16(truncatingIfNeeded: sum)
  }
}
