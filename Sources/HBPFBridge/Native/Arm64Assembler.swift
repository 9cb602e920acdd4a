/// Conditions as the low four bits of a conditional branch.
enum Arm64Condition: UInt32 {
  case equal = 0, notEqual = 1, aboveOrEqual = 2, below = 3, negative = 4
  case above = 8, belowOrEqual = 9, greaterOrEqual = 10, less = 11, greater = 12, lessOrEqual = 13
}

/// Three-operand instructions on registers, in their 32-bit form (Arm ARM, C4.1).
struct Arm64Operation {
  var code: UInt32
  static let add = Arm64Operation(code: 0x0b00_0000)
  static let subtract = Arm64Operation(code: 0x4b00_0000)
  static let subtractSettingFlags = Arm64Operation(code: 0x6b00_0000)
  static let and = Arm64Operation(code: 0x0a00_0000)
  static let andSettingFlags = Arm64Operation(code: 0x6a00_0000)
  static let or = Arm64Operation(code: 0x2a00_0000)
  static let xor = Arm64Operation(code: 0x4a00_0000)
  static let multiply = Arm64Operation(code: 0x1b00_7c00)
  static let divide = Arm64Operation(code: 0x1ac0_0800)
  static let divideSigned = Arm64Operation(code: 0x1ac0_0c00)
  static let shiftLeft = Arm64Operation(code: 0x1ac0_2000)
  static let shiftRight = Arm64Operation(code: 0x1ac0_2400)
  static let shiftRightSigned = Arm64Operation(code: 0x1ac0_2800)
}

/// Writes AArch64 machine code. Knows encodings, no meaning.
struct Arm64Assembler {
  static let zero: UInt8 = 31
  static let stackPointer: UInt8 = 31
  static let link: UInt8 = 30

  private(set) var bytes: [UInt8] = []

  var position: Int { bytes.count }

  private mutating func word(_ value: UInt32) {
    for shift in stride(from: UInt32(0), to: 32, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: value >> shift))
    }
  }

  private func size(_ is64: Bool) -> UInt32 { is64 ? 0x8000_0000 : 0 }

  // MARK: Arithmetic

  mutating func operation(
    _ operation: Arm64Operation, _ is64: Bool, _ target: UInt8, _ first: UInt8, _ second: UInt8
  ) {
    word(
      operation.code | size(is64) | UInt32(second) << 16 | UInt32(first) << 5 | UInt32(target))
  }

  /// `target = minuend - first * second`.
  mutating func multiplySubtract(
    _ is64: Bool, _ target: UInt8, _ first: UInt8, _ second: UInt8, from minuend: UInt8
  ) {
    word(
      0x1b00_8000 | size(is64) | UInt32(second) << 16 | UInt32(minuend) << 10
        | UInt32(first) << 5 | UInt32(target))
  }

  mutating func move(_ is64: Bool, _ target: UInt8, _ source: UInt8) {
    operation(.or, is64, target, Self.zero, source)
  }

  mutating func move(_ is64: Bool, _ target: UInt8, immediate: UInt64) {
    let value = is64 ? immediate : immediate & 0xffff_ffff
    let halves = is64 ? 4 : 2
    let inverted = is64 ? ~value : ~value & 0xffff_ffff
    func half(_ of: UInt64, _ index: Int) -> UInt32 {
      UInt32(truncatingIfNeeded: of >> UInt64(16 * index) & 0xffff)
    }
    let zeros = (0..<halves).filter { half(value, $0) == 0 }.count
    let ones = (0..<halves).filter { half(inverted, $0) == 0 }.count
    let startsInverted = ones > zeros
    let base = startsInverted ? inverted : value
    let first = (0..<halves).first { half(base, $0) != 0 } ?? 0
    word(
      (startsInverted ? 0x1280_0000 : 0x5280_0000) | size(is64) | UInt32(first) << 21
        | half(base, first) << 5 | UInt32(target))
    for index in 0..<halves where index != first && half(base, index) != 0 {
      word(
        0x7280_0000 | size(is64) | UInt32(index) << 21 | half(value, index) << 5
          | UInt32(target))
    }
  }

  /// `immediate` below 4,096.
  mutating func add(_ is64: Bool, _ target: UInt8, _ source: UInt8, immediate: UInt32) {
    word(0x1100_0000 | size(is64) | immediate << 10 | UInt32(source) << 5 | UInt32(target))
  }

  mutating func subtract(_ is64: Bool, _ target: UInt8, _ source: UInt8, immediate: UInt32) {
    word(0x5100_0000 | size(is64) | immediate << 10 | UInt32(source) << 5 | UInt32(target))
  }

  mutating func subtractSettingFlags(
    _ is64: Bool, _ target: UInt8, _ source: UInt8, immediate: UInt32
  ) {
    word(0x7100_0000 | size(is64) | immediate << 10 | UInt32(source) << 5 | UInt32(target))
  }

  /// UBFM: the unsigned bit field moves from which shifts and extensions are made.
  private mutating func bitField(
    _ code: UInt32, _ is64: Bool, _ target: UInt8, _ source: UInt8, _ rotate: UInt32, _ last: UInt32
  ) {
    word(
      code | (is64 ? 0x8040_0000 : 0) | rotate << 16 | last << 10 | UInt32(source) << 5
        | UInt32(target))
  }

  mutating func shiftLeft(_ is64: Bool, _ target: UInt8, by count: UInt32) {
    let bits: UInt32 = is64 ? 64 : 32
    bitField(0x5300_0000, is64, target, target, (bits - count) % bits, bits - 1 - count)
  }

  mutating func shiftRight(_ is64: Bool, _ target: UInt8, by count: UInt32) {
    bitField(0x5300_0000, is64, target, target, count, is64 ? 63 : 31)
  }

  mutating func shiftRightSigned(_ is64: Bool, _ target: UInt8, by count: UInt32) {
    bitField(0x1300_0000, is64, target, target, count, is64 ? 63 : 31)
  }

  mutating func zeroExtend(_ target: UInt8, _ source: UInt8, bytes: Int) {
    if bytes == 4 { return move(false, target, source) }
    bitField(0x5300_0000, false, target, source, 0, UInt32(bytes * 8 - 1))
  }

  mutating func signExtend(_ is64: Bool, _ target: UInt8, _ source: UInt8, bytes: Int) {
    bitField(0x1300_0000, is64, target, source, 0, UInt32(bytes * 8 - 1))
  }

  /// The bytes of the low 2, 4 or 8, turned round.
  mutating func swapBytes(_ target: UInt8, bytes: Int) {
    let code: UInt32 = bytes == 8 ? 0xdac0_0c00 : bytes == 4 ? 0x5ac0_0800 : 0x5ac0_0400
    word(code | UInt32(target) << 5 | UInt32(target))
  }

  // MARK: Memory

  private func scale(_ bytes: Int) -> UInt32 { UInt32(bytes.trailingZeroBitCount) << 30 }

  /// `displacement` from -256 to 255.
  mutating func load(_ target: UInt8, _ base: UInt8, _ displacement: Int32, bytes: Int) {
    memory(0x3840_0000 | scale(bytes), target, base, displacement)
  }

  mutating func loadSigned(_ target: UInt8, _ base: UInt8, _ displacement: Int32, bytes: Int) {
    memory(0x3880_0000 | scale(bytes), target, base, displacement)
  }

  mutating func store(_ source: UInt8, _ base: UInt8, _ displacement: Int32, bytes: Int) {
    memory(0x3800_0000 | scale(bytes), source, base, displacement)
  }

  private mutating func memory(
    _ code: UInt32, _ register: UInt8, _ base: UInt8, _ displacement: Int32
  ) {
    let bits = UInt32(bitPattern: displacement) & 0x1ff
    word(code | bits << 12 | UInt32(base) << 5 | UInt32(register))
  }

  /// Whole words at a multiple of eight, from 0 to 32,760.
  mutating func loadWord(_ target: UInt8, _ base: UInt8, _ displacement: Int) {
    word(0xf940_0000 | UInt32(displacement / 8) << 10 | UInt32(base) << 5 | UInt32(target))
  }

  mutating func storeWord(_ source: UInt8, _ base: UInt8, _ displacement: Int) {
    word(0xf900_0000 | UInt32(displacement / 8) << 10 | UInt32(base) << 5 | UInt32(source))
  }

  /// Two words pushed: the stack pointer goes down by sixteen.
  mutating func push(_ first: UInt8, _ second: UInt8) {
    word(
      0xa980_0000 | (UInt32(bitPattern: -2) & 0x7f) << 15 | UInt32(second) << 10 | 31 << 5
        | UInt32(first))
  }

  mutating func pop(_ first: UInt8, _ second: UInt8) {
    word(0xa8c0_0000 | 2 << 15 | UInt32(second) << 10 | 31 << 5 | UInt32(first))
  }

  mutating func readStackPointer(_ target: UInt8) { add(true, target, 31, immediate: 0) }
  mutating func writeStackPointer(_ source: UInt8) { add(true, 31, source, immediate: 0) }

  // MARK: Control

  mutating func ret() { word(0xd65f_03c0) }
  mutating func call(register: UInt8) { word(0xd63f_0000 | UInt32(register) << 5) }

  /// Each of these returns where the instruction stands, for `land`.
  mutating func jump() -> Int {
    word(0x1400_0000)
    return position - 4
  }

  mutating func call() -> Int {
    word(0x9400_0000)
    return position - 4
  }

  mutating func jump(_ condition: Arm64Condition) -> Int {
    word(0x5400_0000 | condition.rawValue)
    return position - 4
  }

  /// Makes the branch at `place` go to `target`.
  mutating func land(_ place: Int, at target: Int) {
    let distance = UInt32(bitPattern: Int32((target - place) / 4))
    var instruction: UInt32 = 0
    for index in 0..<4 { instruction |= UInt32(bytes[place + index]) << UInt32(8 * index) }
    if instruction & 0x7c00_0000 == 0x1400_0000 {
      instruction |= distance & 0x03ff_ffff
    } else {
      instruction |= (distance & 0x7ffff) << 5
    }
    for index in 0..<4 {
      bytes[place + index] = UInt8(truncatingIfNeeded: instruction >> UInt32(8 * index))
    }
  }
}
