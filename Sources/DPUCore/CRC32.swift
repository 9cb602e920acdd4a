/// CRC-32 as Ethernet and zlib compute it: reflected, polynomial 0x04c11db7.
package struct CRC32 {
  private static let table: [UInt32] = (0..<256).map { index in
    var value = UInt32(index)
    for _ in 0..<8 { value = value & 1 == 0 ? value >> 1 : value >> 1 ^ 0xedb8_8320 }
    return value
  }

  private var state: UInt32 = .max

  package init() {}

  package mutating func add(_ byte: UInt8) {
    state = Self.table[Int(UInt8(truncatingIfNeeded: state) ^ byte)] ^ state >> 8
  }

  /// The eight bytes of `row`, the lowest first.
  package mutating func add(_ row: UInt64) {
    for shift in stride(from: UInt64(0), to: 64, by: 8) {
      add(UInt8(truncatingIfNeeded: row >> shift))
    }
  }

  package var value: UInt32 { ~state }

  package static func of(_ bytes: some Sequence<UInt8>) -> UInt32 {
    var sum = CRC32()
    for byte in bytes { sum.add(byte) }
    return sum.value
  }
}
