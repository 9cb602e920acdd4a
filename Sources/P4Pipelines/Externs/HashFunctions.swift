import DPUCore

// The bytes to hash come as a raw pointer and a count that the caller answers for; tables are found
// by offsets that this type assigned.

/// The hash functions of a program: one for each calculation, and behind them one for the selector
/// of each profile.
struct HashFunctions: ~Copyable {
  private var functions: RawArray<Function>
  /// Tables of checks up to 32 bits, and of wider ones; one set for each different function.
  private var tables: RawArray<UInt32>
  private var wideTables: RawArray<UInt64>
  /// Of Toeplitz hashes, each with room for the longest.
  private var keys: RawArray<UInt32>
  private var generator: RawArray<UInt64>
  private var tails: HashTails
  private static let keyWordsMax = 16

  struct Function: BitwiseCopyable {
    var kind: Kind
    /// Whether parameters of a CRC may be changed.
    var isCustom: Bool
    var check: CRCParameters
    var start: UInt64
    /// Of its tables or its key.
    var offset: Int
    /// Of its key.
    var words: Int
  }

  /// All bits zero is `identity`.
  enum Kind: UInt8 {
    case identity, crc, wideCRC, onesComplementSum, xor16, xor32, xxh64, toeplitz, random
  }

  init(_ program: P4Program, seed: UInt64) {
    var algorithms: [P4Program.HashAlgorithm] = []
    for calculation in program.calculations { algorithms.append(calculation.algorithm) }
    // A profile without selector has none; its number stays, so that the others keep theirs.
    for profile in program.profiles { algorithms.append(profile.selector?.algorithm ?? .identity) }
    var functions: [Function] = []
    var narrow = 0
    var wide = 0
    var keyCount = 0
    for index in algorithms.indices {
      let algorithm = algorithms[index]
      var function = Function(
        kind: Self.kind(algorithm), isCustom: Self.isCustom(algorithm),
        check: Self.check(algorithm), start: 0, offset: 0, words: 1)
      switch function.kind {
      case .crc:
        function.offset = narrow
        if let first = algorithms.firstIndex(of: algorithm), first < index, !function.isCustom {
          function.offset = functions[first].offset
        } else {
          narrow += CRC<UInt32>.tableSize
        }
      case .wideCRC:
        function.offset = wide
        wide += CRC<UInt64>.tableSize
      case .toeplitz:
        function.offset = keyCount
        keyCount += Self.keyWordsMax
      default: break
      }
      functions.append(function)
    }
    self.functions = RawArray(functions)
    generator = RawArray([seed])
    tables = RawArray(zeroes: narrow)
    wideTables = RawArray(zeroes: wide)
    keys = RawArray(zeroes: keyCount)
    tails = HashTails(words: [Int](repeating: 0, count: algorithms.count))
    for index in algorithms.indices { prepare(index) }
  }

  private static func kind(_ algorithm: P4Program.HashAlgorithm) -> Kind {
    switch algorithm {
    case .crc8, .crc16, .crc32, .crcCCITT, .crc8Custom, .crc16Custom, .crc32Custom: .crc
    case .crc64Custom: .wideCRC
    case .csum16: .onesComplementSum
    case .identity: .identity
    case .xor16: .xor16
    case .xor32: .xor32
    case .xxh64: .xxh64
    case .toeplitz: .toeplitz
    case .random: .random
    }
  }

  private static func isCustom(_ algorithm: P4Program.HashAlgorithm) -> Bool {
    switch algorithm {
    case .crc8Custom, .crc16Custom, .crc32Custom, .crc64Custom: true
    default: false
    }
  }

  /// What BMv2 means by these names, or starts the custom ones with.
  private static func check(_ algorithm: P4Program.HashAlgorithm) -> CRCParameters {
    switch algorithm {
    case .crc16, .crc16Custom:
      CRCParameters(
        width: 16, polynomial: 0x8005, initial: 0, final: 0, reflectsInput: true,
        reflectsOutput: true)
    case .crcCCITT:
      CRCParameters(
        width: 16, polynomial: 0x1021, initial: 0xffff, final: 0, reflectsInput: false,
        reflectsOutput: false)
    case .crc32, .crc32Custom:
      CRCParameters(
        width: 32, polynomial: 0x04c1_1db7, initial: 0xffff_ffff, final: 0xffff_ffff,
        reflectsInput: true, reflectsOutput: true)
    case .crc64Custom:
      CRCParameters(
        width: 64, polynomial: 0x1b, initial: 0, final: 0, reflectsInput: true,
        reflectsOutput: true)
    default:
      CRCParameters(
        width: 8, polynomial: 0x07, initial: 0, final: 0, reflectsInput: false,
        reflectsOutput: false)
    }
  }

  private mutating func prepare(_ index: Int) {
    let function = functions[index]
    switch function.kind {
    case .crc:
      unsafe CRC<UInt32>.fillTables(tables.base + function.offset, function.check)
      functions[index].start = UInt64(CRC<UInt32>.start(function.check))
    case .wideCRC:
      unsafe CRC<UInt64>.fillTables(wideTables.base + function.offset, function.check)
      functions[index].start = CRC<UInt64>.start(function.check)
    default: break
    }
    prepareTails(index)
  }

  private func prepareTails(_ index: Int) {
    let function = functions[index]
    unsafe tails.prepare(
      index, isReflected(function) ? UnsafePointer(tables.base + function.offset) : nil)
  }

  @inline(__always)
  private func isReflected(_ function: Function) -> Bool {
    function.kind == .crc && function.check.reflectsInput && function.check.reflectsOutput
  }

  // MARK: Hashing

  @inline(__always)
  func hash(_ number: Int, _ bytes: UnsafeRawPointer, _ count: Int) -> UInt64 {
    let function = functions[number]
    return unsafe hash(function, bytes, count)
  }

  /// The packets of `mask`, the function chosen once.
  func hash(
    _ number: Int, mask: UInt64, bytes: UnsafePointer<UInt8>, stride: Int, count: Int,
    into target: UnsafeMutablePointer<UInt64>
  ) {
    let function = functions[number]
    var rest = mask
    if isReflected(function) {
      let tables = unsafe UnsafePointer(tables.base + function.offset)
      let start = UInt32(truncatingIfNeeded: function.start)
      while rest != 0 {
        let packet = rest.trailingZeroBitCount
        rest &= rest &- 1
        let register = unsafe CRC<UInt32>.updateReflected(
          start, tables, UnsafeRawPointer(bytes + packet &* stride), count)
        unsafe target[packet] = UInt64(register) ^ function.check.final
      }
      return
    }
    while rest != 0 {
      let packet = rest.trailingZeroBitCount
      rest &= rest &- 1
      unsafe target[packet] = hash(function, UnsafeRawPointer(bytes + packet &* stride), count)
    }
  }

  /// The same for inputs that end in the tail that `setTails` has announced: `count` bytes before
  /// it at `bytes + i * stride`, the tail itself at `tails + i * tailStride`. To be called when
  /// `takesTails` says so, which is asked once for each batch.
  func hash(
    _ number: Int, mask: UInt64, bytes: UnsafePointer<UInt8>, stride: Int, count: Int,
    tails tailBytes: UnsafePointer<UInt8>, tailStride: Int,
    into target: UnsafeMutablePointer<UInt64>
  ) {
    let function = functions[number]
    let tables = unsafe UnsafePointer(tables.base + function.offset)
    let start = UInt32(truncatingIfNeeded: function.start)
    each(mask) { packet in
      unsafe target[packet] = UInt64(
        CRC<UInt32>.updateReflected(
          start, tables, UnsafeRawPointer(bytes + packet &* stride), count))
    }
    unsafe tails.take(
      number, mask: mask, tails: tailBytes, stride: tailStride, into: target, tables)
    if function.check.final != 0 { each(mask) { unsafe target[$0] ^= function.check.final } }
  }

  @inline(__always)
  func takesTails(_ number: Int) -> Bool { tails.isWorthwhile(number) }

  /// Words at the end of each function's input that may be handed over apart; 0: none.
  mutating func setTails(words: [Int]) {
    precondition(words.count == functions.count)
    tails = HashTails(words: words)
    for index in words.indices { prepareTails(index) }
  }

  @inline(__always)
  private func hash(_ function: Function, _ bytes: UnsafeRawPointer, _ count: Int) -> UInt64 {
    switch function.kind {
    case .crc:
      let tables = unsafe UnsafePointer(tables.base + function.offset)
      let start = UInt32(truncatingIfNeeded: function.start)
      let register =
        function.check.reflectsInput
        ? unsafe CRC<UInt32>.updateReflected(start, tables, bytes, count)
        : unsafe CRC<UInt32>.updateForward(start, tables, bytes, count)
      return CRC<UInt32>.finish(register, function.check)
    case .wideCRC:
      let tables = unsafe UnsafePointer(wideTables.base + function.offset)
      let register =
        function.check.reflectsInput
        ? unsafe CRC<UInt64>.updateReflected(function.start, tables, bytes, count)
        : unsafe CRC<UInt64>.updateForward(function.start, tables, bytes, count)
      return CRC<UInt64>.finish(register, function.check)
    case .onesComplementSum: return unsafe SimpleHash.onesComplementSum(bytes, count)
    case .identity: return unsafe SimpleHash.identity(bytes, count)
    case .xor16: return unsafe SimpleHash.xor(bytes, count, width: 2)
    case .xor32: return unsafe SimpleHash.xor(bytes, count, width: 4)
    case .xxh64: return unsafe SimpleHash.xxh64(bytes, count)
    case .toeplitz: return unsafe toeplitz(function, bytes, count)
    case .random: return nextRandom()
    }
  }

  /// The program says that any value will do. Moves on behind the borrow, which has one thread.
  private func nextRandom() -> UInt64 {
    var random = unsafe SplitMix64(seed: generator.base[0])
    let value = random.next()
    unsafe generator.base[0] = random.state
    return value
  }

  private func toeplitz(
    _ function: Function, _ bytes: UnsafeRawPointer, _ count: Int
  ) -> UInt64 {
    let key = unsafe keys.base + function.offset
    var result: UInt32 = 0
    var number = 0
    var at = 0
    while at < count {
      var word: UInt32 = 0
      for index in 0..<4 {
        word <<= 8
        if at + index < count {
          word |= unsafe UInt32(bytes.load(fromByteOffset: at + index, as: UInt8.self))
        }
      }
      // The key begins anew where the input is longer.
      let window =
        unsafe UInt64(key[number % function.words]) << 32
        | UInt64(key[(number + 1) % function.words])
      while word != 0 {
        let bit = word.leadingZeroBitCount
        result ^= UInt32(truncatingIfNeeded: (window << UInt64(bit)) >> 32)
        word &= ~(0x8000_0000 >> UInt32(bit))
      }
      number += 1
      at += 4
    }
    return UInt64(result)
  }

  // MARK: Parameters

  mutating func setCRC(_ number: Int, _ check: CRCParameters) throws(ExternError) {
    guard number >= 0, number < functions.count, functions[number].isCustom,
      check.width == functions[number].check.width
    else { throw .badHash }
    let ones = check.width == 64 ? UInt64.max : 1 << UInt64(check.width) - 1
    guard check.polynomial | check.initial | check.final <= ones else { throw .valueTooWide }
    functions[number].check = check
    prepare(number)
  }

  func check(_ number: Int) -> CRCParameters? {
    guard number >= 0, number < functions.count, functions[number].isCustom else { return nil }
    return functions[number].check
  }

  mutating func setToeplitzKey(_ number: Int, _ key: [UInt8]) throws(ExternError) {
    guard number >= 0, number < functions.count, functions[number].kind == .toeplitz,
      key.count >= 4, key.count % 4 == 0, key.count <= 4 * Self.keyWordsMax
    else { throw .badHash }
    functions[number].words = key.count / 4
    for word in 0..<(key.count / 4) {
      var value: UInt32 = 0
      for byte in key[(4 * word)..<(4 * word + 4)] { value = value << 8 | UInt32(byte) }
      keys[functions[number].offset + word] = value
    }
  }
}
