/// The registers of x86-64 by number.
enum X86Register {
  static let rax: UInt8 = 0, rcx: UInt8 = 1, rdx: UInt8 = 2, rbx: UInt8 = 3
  static let rsp: UInt8 = 4, rbp: UInt8 = 5, rsi: UInt8 = 6, rdi: UInt8 = 7
  static let r8: UInt8 = 8, r9: UInt8 = 9, r10: UInt8 = 10, r11: UInt8 = 11
  static let r12: UInt8 = 12, r13: UInt8 = 13, r14: UInt8 = 14, r15: UInt8 = 15
}

/// Conditions as the low four bits of a conditional jump.
enum X86Condition: UInt8 {
  case below = 0x2, aboveOrEqual = 0x3, equal = 0x4, notEqual = 0x5, belowOrEqual = 0x6
  case above = 0x7, less = 0xc, greaterOrEqual = 0xd, lessOrEqual = 0xe, greater = 0xf
  case negative = 0x8
}

/// Two-operand arithmetic: the opcode with a register source, and the number of the form with an
/// immediate (Intel's manual, volume 2).
struct X86Arithmetic {
  var opcode: UInt8
  var number: UInt8
  static let add = X86Arithmetic(opcode: 0x01, number: 0)
  static let or = X86Arithmetic(opcode: 0x09, number: 1)
  static let and = X86Arithmetic(opcode: 0x21, number: 4)
  static let subtract = X86Arithmetic(opcode: 0x29, number: 5)
  static let xor = X86Arithmetic(opcode: 0x31, number: 6)
  static let compare = X86Arithmetic(opcode: 0x39, number: 7)
}

/// Writes x86-64 machine code. Knows encodings, no meaning.
struct X86Assembler {
  private(set) var bytes: [UInt8] = []

  var position: Int { bytes.count }

  mutating func byte(_ value: UInt8) { bytes.append(value) }

  mutating func word(_ value: Int32) {
    let bits = UInt32(bitPattern: value)
    for shift in stride(from: UInt32(0), to: 32, by: 8) {
      byte(UInt8(truncatingIfNeeded: bits >> shift))
    }
  }

  mutating func doubleWord(_ value: UInt64) {
    for shift in stride(from: UInt64(0), to: 64, by: 8) {
      byte(UInt8(truncatingIfNeeded: value >> shift))
    }
  }

  // MARK: Encodings

  /// The prefix for `register` and `base`; left out when it would say nothing.
  private mutating func prefix(_ is64: Bool, _ register: UInt8, _ base: UInt8, always: Bool = false)
  {
    let value: UInt8 = 0x40 | (is64 ? 8 : 0) | (register >> 3) << 2 | base >> 3
    if value != 0x40 || always { byte(value) }
  }

  private mutating func direct(_ register: UInt8, _ target: UInt8) {
    byte(0xc0 | (register & 7) << 3 | target & 7)
  }

  private mutating func memory(_ register: UInt8, _ base: UInt8, _ displacement: Int32) {
    let isShort = displacement >= -128 && displacement < 128
    byte((isShort ? 0x40 : 0x80) | (register & 7) << 3 | base & 7)
    if base & 7 == 4 { byte(0x24) }
    if isShort { byte(UInt8(truncatingIfNeeded: displacement)) } else { word(displacement) }
  }

  // MARK: Arithmetic

  mutating func arithmetic(
    _ operation: X86Arithmetic, _ is64: Bool, _ target: UInt8, _ source: UInt8
  ) {
    prefix(is64, source, target)
    byte(operation.opcode)
    direct(source, target)
  }

  mutating func arithmetic(
    _ operation: X86Arithmetic, _ is64: Bool, _ target: UInt8, immediate: Int32
  ) {
    prefix(is64, 0, target)
    if immediate >= -128, immediate < 128 {
      byte(0x83)
      direct(operation.number, target)
      byte(UInt8(truncatingIfNeeded: immediate))
    } else {
      byte(0x81)
      direct(operation.number, target)
      word(immediate)
    }
  }

  /// `operation target, [base + displacement]`.
  mutating func arithmetic(
    _ operation: X86Arithmetic, _ is64: Bool, _ target: UInt8, memory base: UInt8,
    _ displacement: Int
  ) {
    prefix(is64, target, base)
    byte(operation.opcode + 2)
    memory(target, base, Int32(displacement))
  }

  mutating func move(_ is64: Bool, _ target: UInt8, _ source: UInt8) {
    prefix(is64, source, target)
    byte(0x89)
    direct(source, target)
  }

  mutating func move(_ is64: Bool, _ target: UInt8, immediate: UInt64) {
    if !is64 || immediate <= 0xffff_ffff {
      if UInt32(truncatingIfNeeded: immediate) == 0 {
        return arithmetic(.xor, false, target, target)
      }
      prefix(false, 0, target)
      byte(0xb8 | target & 7)
      word(Int32(truncatingIfNeeded: immediate))
    } else if Int64(bitPattern: immediate) == Int64(Int32(truncatingIfNeeded: immediate)) {
      prefix(true, 0, target)
      byte(0xc7)
      direct(0, target)
      word(Int32(truncatingIfNeeded: immediate))
    } else {
      prefix(true, 0, target)
      byte(0xb8 | target & 7)
      doubleWord(immediate)
    }
  }

  mutating func multiply(_ is64: Bool, _ target: UInt8, _ source: UInt8) {
    prefix(is64, target, source)
    byte(0x0f)
    byte(0xaf)
    direct(target, source)
  }

  mutating func multiply(_ is64: Bool, _ target: UInt8, immediate: Int32) {
    prefix(is64, target, target)
    byte(0x69)
    direct(target, target)
    word(immediate)
  }

  mutating func test(_ is64: Bool, _ a: UInt8, _ b: UInt8) {
    prefix(is64, b, a)
    byte(0x85)
    direct(b, a)
  }

  mutating func test(_ is64: Bool, _ target: UInt8, immediate: Int32) {
    prefix(is64, 0, target)
    byte(0xf7)
    direct(0, target)
    word(immediate)
  }

  /// One-operand forms of opcode f7: 2 not, 3 neg, 6 div, 7 idiv.
  mutating func unary(_ number: UInt8, _ is64: Bool, _ target: UInt8) {
    prefix(is64, 0, target)
    byte(0xf7)
    direct(number, target)
  }

  /// Spreads the sign of rax into rdx.
  mutating func signToRDX(_ is64: Bool) {
    if is64 { byte(0x48) }
    byte(0x99)
  }

  /// 4 shl, 5 shr, 7 sar.
  mutating func shift(_ number: UInt8, _ is64: Bool, _ target: UInt8, by count: UInt8) {
    prefix(is64, 0, target)
    byte(0xc1)
    direct(number, target)
    byte(count)
  }

  /// By the low byte of rcx.
  mutating func shiftByRCX(_ number: UInt8, _ is64: Bool, _ target: UInt8) {
    prefix(is64, 0, target)
    byte(0xd3)
    direct(number, target)
  }

  mutating func swapBytes(_ is64: Bool, _ target: UInt8) {
    prefix(is64, 0, target)
    byte(0x0f)
    byte(0xc8 | target & 7)
  }

  /// The low sixteen bits turned by eight.
  mutating func swapHalf(_ target: UInt8) {
    byte(0x66)
    prefix(false, 0, target)
    byte(0xc1)
    direct(0, target)
    byte(8)
  }

  /// The low `bytes` of `source`, the rest zero.
  mutating func zeroExtend(_ target: UInt8, _ source: UInt8, bytes: Int) {
    if bytes == 4 { return move(false, target, source) }
    prefix(false, target, source, always: bytes == 1)
    byte(0x0f)
    byte(bytes == 1 ? 0xb6 : 0xb7)
    direct(target, source)
  }

  mutating func signExtend(_ is64: Bool, _ target: UInt8, _ source: UInt8, bytes: Int) {
    prefix(is64, target, source, always: bytes == 1)
    if bytes == 4 {
      byte(0x63)
    } else {
      byte(0x0f)
      byte(bytes == 1 ? 0xbe : 0xbf)
    }
    direct(target, source)
  }

  // MARK: Memory

  mutating func load(_ target: UInt8, _ base: UInt8, _ displacement: Int32, bytes: Int) {
    prefix(bytes == 8, target, base)
    switch bytes {
    case 1, 2:
      byte(0x0f)
      byte(bytes == 1 ? 0xb6 : 0xb7)
    default: byte(0x8b)
    }
    memory(target, base, displacement)
  }

  mutating func loadSigned(_ target: UInt8, _ base: UInt8, _ displacement: Int32, bytes: Int) {
    prefix(true, target, base)
    if bytes == 4 {
      byte(0x63)
    } else {
      byte(0x0f)
      byte(bytes == 1 ? 0xbe : 0xbf)
    }
    memory(target, base, displacement)
  }

  mutating func store(_ source: UInt8, _ base: UInt8, _ displacement: Int32, bytes: Int) {
    if bytes == 2 { byte(0x66) }
    prefix(bytes == 8, source, base, always: bytes == 1)
    byte(bytes == 1 ? 0x88 : 0x89)
    memory(source, base, displacement)
  }

  mutating func store(immediate: Int32, _ base: UInt8, _ displacement: Int32, bytes: Int) {
    if bytes == 2 { byte(0x66) }
    prefix(bytes == 8, 0, base)
    byte(bytes == 1 ? 0xc6 : 0xc7)
    memory(0, base, displacement)
    switch bytes {
    case 1: byte(UInt8(truncatingIfNeeded: immediate))
    case 2:
      byte(UInt8(truncatingIfNeeded: immediate))
      byte(UInt8(truncatingIfNeeded: immediate >> 8))
    default: word(immediate)
    }
  }

  /// `lea target, [base + displacement]`.
  mutating func address(_ target: UInt8, _ base: UInt8, _ displacement: Int32) {
    prefix(true, target, base)
    byte(0x8d)
    memory(target, base, displacement)
  }

  /// `sub qword [base + displacement], 1`.
  mutating func decrement(_ base: UInt8, _ displacement: Int) {
    prefix(true, 0, base)
    byte(0x83)
    memory(5, base, Int32(displacement))
    byte(1)
  }

  mutating func increment(_ base: UInt8, _ displacement: Int) {
    prefix(true, 0, base)
    byte(0x83)
    memory(0, base, Int32(displacement))
    byte(1)
  }

  // MARK: Control

  mutating func push(_ register: UInt8) {
    prefix(false, 0, register)
    byte(0x50 | register & 7)
  }

  mutating func pop(_ register: UInt8) {
    prefix(false, 0, register)
    byte(0x58 | register & 7)
  }

  mutating func ret() { byte(0xc3) }

  /// Each of these returns where its distance stands, for `land`.
  mutating func jump() -> Int {
    byte(0xe9)
    word(0)
    return position - 4
  }

  mutating func jump(_ condition: X86Condition) -> Int {
    byte(0x0f)
    byte(0x80 | condition.rawValue)
    word(0)
    return position - 4
  }

  mutating func call() -> Int {
    byte(0xe8)
    word(0)
    return position - 4
  }

  mutating func call(memory base: UInt8, _ displacement: Int) {
    prefix(false, 2, base)
    byte(0xff)
    memory(2, base, Int32(displacement))
  }

  /// Makes the jump whose distance stands at `place` go to `target`.
  mutating func land(_ place: Int, at target: Int) {
    let distance = UInt32(bitPattern: Int32(target - place - 4))
    for index in 0..<4 {
      bytes[place + index] = UInt8(truncatingIfNeeded: distance >> UInt32(8 * index))
    }
  }
}
