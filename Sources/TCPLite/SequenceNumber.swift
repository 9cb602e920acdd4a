/// A position in a byte stream, modulo 2^32 (RFC 9293 §3.4). Comparison holds for positions
/// less than 2^31 apart.
package struct SequenceNumber: Equatable, BitwiseCopyable, Sendable {
  package var value: UInt32

  @inline(__always)
  package init(_ value: UInt32) { self.value = value }

  @inline(__always)
  package static func < (a: SequenceNumber, b: SequenceNumber) -> Bool {
    Int32(bitPattern: a.value &- b.value) < 0
  }
  @inline(__always)
  package static func > (a: SequenceNumber, b: SequenceNumber) -> Bool { b < a }
  @inline(__always)
  package static func <= (a: SequenceNumber, b: SequenceNumber) -> Bool { !(b < a) }
  @inline(__always)
  package static func >= (a: SequenceNumber, b: SequenceNumber) -> Bool { !(a < b) }

  /// Bytes from `b` to `a`, negative when `a` comes first.
  @inline(__always)
  package static func - (a: SequenceNumber, b: SequenceNumber) -> Int {
    Int(Int32(bitPattern: a.value &- b.value))
  }
  @inline(__always)
  package static func + (a: SequenceNumber, count: Int) -> SequenceNumber {
    SequenceNumber(a.value &+ UInt32(truncatingIfNeeded: count))
  }
  @inline(__always)
  package static func - (a: SequenceNumber, count: Int) -> SequenceNumber {
    SequenceNumber(a.value &- UInt32(truncatingIfNeeded: count))
  }

  @inline(__always)
  static func earlier(_ a: SequenceNumber, _ b: SequenceNumber) -> SequenceNumber {
    a < b ? a : b
  }
  @inline(__always)
  static func later(_ a: SequenceNumber, _ b: SequenceNumber) -> SequenceNumber {
    a < b ? b : a
  }
}
