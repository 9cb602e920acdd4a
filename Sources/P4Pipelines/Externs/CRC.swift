// Reads tables and the bytes to hash through raw pointers: 37 bytes in some ten nanoseconds leave
// no room for a check per byte. An index into a table is always one byte.

/// Cyclic redundancy checks eight bytes at a time ("slicing by eight"): a table for each of the
/// eight distances that a byte may have from the end of its group.
///
/// The register is as wide as the table's elements. A check that takes the low bit of each byte
/// first keeps it at the right end, one that takes the high bit first at the left end.
enum CRC<Register: FixedWidthInteger & UnsignedInteger & BitwiseCopyable> {
  /// Elements of the eight tables of one check.
  static var tableSize: Int { 8 * 256 }

  static func fillTables(_ tables: UnsafeMutablePointer<Register>, _ check: CRCParameters) {
    let bits = Register.bitWidth
    let polynomial = Register(truncatingIfNeeded: check.polynomial)
    for byte in 0..<256 {
      var register: Register
      if check.reflectsInput {
        let reflected = reverse(polynomial, check.width)
        register = Register(byte)
        for _ in 0..<8 { register = register & 1 == 1 ? register >> 1 ^ reflected : register >> 1 }
      } else {
        let aligned = polynomial << (bits - check.width)
        register = Register(byte) << (bits - 8)
        for _ in 0..<8 {
          register = register >> (bits - 1) == 1 ? register << 1 ^ aligned : register << 1
        }
      }
      unsafe tables[byte] = register
    }
    for distance in 1..<8 {
      for byte in 0..<256 {
        let before = unsafe tables[(distance - 1) * 256 + byte]
        unsafe tables[distance * 256 + byte] =
          check.reflectsInput
          ? shifted(before, .right) ^ tables[Int(before & 255)]
          : shifted(before, .left) ^ tables[Int(before >> (bits - 8))]
      }
    }
  }

  private enum Direction { case left, right }

  /// By a byte; a register of eight bits is empty then.
  private static func shifted(_ register: Register, _ direction: Direction) -> Register {
    direction == .left ? register << 8 : register >> 8
  }

  /// The register before the first byte.
  static func start(_ check: CRCParameters) -> Register {
    let initial = Register(truncatingIfNeeded: check.initial)
    return check.reflectsInput
      ? reverse(initial, check.width) : initial << (Register.bitWidth - check.width)
  }

  /// The check from the register after the last byte.
  @inline(__always)
  static func finish(_ register: Register, _ check: CRCParameters) -> UInt64 {
    var value = register
    if !check.reflectsInput { value >>= Register(Register.bitWidth - check.width) }
    if check.reflectsInput != check.reflectsOutput { value = reverse(value, check.width) }
    return UInt64(value) ^ check.final
  }

  static func reverse(_ value: Register, _ width: Int) -> Register {
    var result: Register = 0
    for bit in 0..<width where value >> Register(bit) & 1 == 1 {
      result |= 1 << Register(width - 1 - bit)
    }
    return result
  }

  /// Takes `count` bytes into a register that sees low bits first.
  @inline(__always)
  static func updateReflected(
    _ register: Register, _ tables: UnsafePointer<Register>, _ bytes: UnsafeRawPointer, _ count: Int
  ) -> Register {
    var register = register
    var at = 0
    while at &+ 8 <= count {
      let word =
        unsafe UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        ^ UInt64(truncatingIfNeeded: register)
      register =
        unsafe (tables[1792 &+ byte(word, 0)] ^ tables[1536 &+ byte(word, 8)])
        ^ (tables[1280 &+ byte(word, 16)] ^ tables[1024 &+ byte(word, 24)])
        ^ ((tables[768 &+ byte(word, 32)] ^ tables[512 &+ byte(word, 40)])
          ^ (tables[256 &+ byte(word, 48)] ^ tables[byte(word, 56)]))
      at &+= 8
    }
    if count & 4 != 0 {
      let half = unsafe UInt32(
        littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
      let word = UInt64(half) ^ UInt64(truncatingIfNeeded: register)
      // What of a wide register lies beyond these bytes only moves.
      register = Register(truncatingIfNeeded: word &>> 32)
      register ^=
        unsafe (tables[768 &+ byte(word, 0)] ^ tables[512 &+ byte(word, 8)])
        ^ (tables[256 &+ byte(word, 16)] ^ tables[byte(word, 24)])
      at &+= 4
    }
    while at < count {
      let next = unsafe UInt64(bytes.load(fromByteOffset: at, as: UInt8.self))
      let place = byte(UInt64(truncatingIfNeeded: register) ^ next, 0)
      register = unsafe register &>> 8 ^ tables[place]
      at &+= 1
    }
    return register
  }

  /// The same for a register that sees high bits first.
  @inline(__always)
  static func updateForward(
    _ register: Register, _ tables: UnsafePointer<Register>, _ bytes: UnsafeRawPointer, _ count: Int
  ) -> Register {
    let align = UInt64(truncatingIfNeeded: 64 &- Register.bitWidth)
    var register = register
    var at = 0
    while at &+ 8 <= count {
      let word =
        unsafe UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
        ^ UInt64(truncatingIfNeeded: register) &<< align
      register =
        unsafe (tables[1792 &+ byte(word, 56)] ^ tables[1536 &+ byte(word, 48)])
        ^ (tables[1280 &+ byte(word, 40)] ^ tables[1024 &+ byte(word, 32)])
        ^ ((tables[768 &+ byte(word, 24)] ^ tables[512 &+ byte(word, 16)])
          ^ (tables[256 &+ byte(word, 8)] ^ tables[byte(word, 0)]))
      at &+= 8
    }
    let top = UInt64(truncatingIfNeeded: Register.bitWidth &- 8)
    if count & 4 != 0 {
      let half = unsafe UInt32(
        bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt32.self))
      let word = UInt64(half) &<< 32 ^ UInt64(truncatingIfNeeded: register) &<< align
      register = Register(truncatingIfNeeded: (word &<< 32) &>> align)
      register ^=
        unsafe (tables[768 &+ byte(word, 56)] ^ tables[512 &+ byte(word, 48)])
        ^ (tables[256 &+ byte(word, 40)] ^ tables[byte(word, 32)])
      at &+= 4
    }
    while at < count {
      let next = unsafe UInt64(bytes.load(fromByteOffset: at, as: UInt8.self))
      let index = (UInt64(truncatingIfNeeded: register) &>> top ^ next) & 255
      register = unsafe register << 8 ^ tables[Int(truncatingIfNeeded: index)]
      at &+= 1
    }
    return register
  }

  @inline(__always)
  private static func byte(_ word: UInt64, _ shift: UInt64) -> Int {
    Int(truncatingIfNeeded: word &>> shift & 255)
  }
}
