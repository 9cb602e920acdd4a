import DPUCore

/// hBPF's register page, as offsets from the base of its registers.
private enum HBPFRegister {
  static let status = 0x00, r0 = 0x04, firstArgument = 0x0c, ticks = 0x5c, control = 0x64
  static let programPage = 0x68, dataPage = 0x6c, byteCount = 0x70
}

private enum HBPFStatus {
  static let halt: UInt64 = 2, error: UInt64 = 4
}

/// Drives one hBPF core through its register page, as published: one program at a time, one packet
/// at a time, one byte of data memory in each 32-bit word.
package struct HBPFDriver<Window: RegisterWindow & ~Copyable>: ~Copyable {
  /// Words that a window shows of its memory at a time.
  private static var pageWords: Int { 512 }
  /// Instructions that the program memory holds.
  package static var instructionsMax: Int { 512 }

  /// How a run ended.
  package struct Result: Equatable, BitwiseCopyable, Sendable {
    package var r0: UInt64
    /// The core came upon something that it cannot do; then r0 means nothing.
    package var isError: Bool
    /// Clock cycles from the start to the end.
    package var ticks: UInt64

    package init(r0: UInt64, isError: Bool, ticks: UInt64) {
      self.r0 = r0
      self.isError = isError
      self.ticks = ticks
    }
  }

  package var window: Window
  private let map: CSRMap
  private var page: FixedArray<UInt64>

  /// To be followed by `open`.
  package init(_ window: consuming Window, _ map: CSRMap) {
    self.window = window
    self.map = map
    page = FixedArray(repeating: 0, count: Self.pageWords)
  }

  /// Holds the core. Refuses a map that leaves the window.
  package mutating func open() throws(DeviceFault) {
    let bytes = window.byteCount
    guard map.registers + HBPFRegister.byteCount <= bytes,
      map.programWindow + 4 * Self.pageWords <= bytes,
      map.dataWindow + 4 * Self.pageWords <= bytes, map.registers & 3 == 0,
      map.programWindow & 3 == 0, map.dataWindow & 3 == 0
    else { throw .badMap }
    try hold()
  }

  // MARK: Memory

  /// Holds the core and gives it a program. Its verifier target is `VerifierTarget.hBPF`.
  package mutating func load(_ program: Span<Instruction>) throws(DeviceFault) {
    guard program.count <= Self.instructionsMax else { throw .programTooLong(program.count) }
    try hold()
    let perPage = Self.pageWords / 2
    var first = 0
    while first < program.count {
      let count = min(perPage, program.count - first)
      for index in 0..<count {
        // Bytes in file order, the first one on top.
        let row = program[first + index].row.byteSwapped
        page[2 * index] = row >> 32
        page[2 * index + 1] = row & 0xffff_ffff
      }
      try write(UInt64(first / perPage), HBPFRegister.programPage)
      try Self.write(&window, map.programWindow, page, count: 2 * count)
      first += count
    }
  }

  /// Writes data memory from `offset` on. The core must be held.
  package mutating func write(_ bytes: RawSpan, at offset: Int) throws(DeviceFault) {
    var done = 0
    while done < bytes.byteCount {
      let place = (offset + done) % Self.pageWords
      let count = min(Self.pageWords - place, bytes.byteCount - done)
      for index in 0..<count { page[index] = UInt64(bytes.byte(at: done + index)) }
      try write(UInt64((offset + done) / Self.pageWords), HBPFRegister.dataPage)
      try Self.write(&window, map.dataWindow + 4 * place, page, count: count)
      done += count
    }
  }

  /// Reads data memory from `offset` on. The core must not run.
  package mutating func read(
    _ bytes: inout MutableRawSpan, at offset: Int
  ) throws(DeviceFault) {
    var done = 0
    while done < bytes.byteCount {
      let place = (offset + done) % Self.pageWords
      let count = min(Self.pageWords - place, bytes.byteCount - done)
      try write(UInt64((offset + done) / Self.pageWords), HBPFRegister.dataPage)
      try Self.read(&window, map.dataWindow + 4 * place, &page, count: count)
      for index in 0..<count {
        bytes.storeByte(UInt8(truncatingIfNeeded: page[index]), at: done + index)
      }
      done += count
    }
  }

  // MARK: Runs

  /// Holds the core in reset: clears its ticks, its error and r0. Data and program stay.
  package mutating func hold() throws(DeviceFault) { try write(0, HBPFRegister.control) }

  /// Starts the program with r1 to r5. They are written anew each time, because the core leaves
  /// what it made of them in the same registers. Ask `poll` for the end.
  package mutating func start(_ arguments: InlineArray<5, UInt64>) throws(DeviceFault) {
    try hold()
    for index in arguments.indices {
      page[2 * index] = arguments[index] >> 32
      page[2 * index + 1] = arguments[index] & 0xffff_ffff
    }
    try Self.write(&window, map.registers + HBPFRegister.firstArgument, page, count: 10)
    try write(1, HBPFRegister.control)
  }

  /// The result of the run that was started; nil while it lasts. A core without a limit of
  /// instructions may never end: `hold` stops it.
  package mutating func poll() throws(DeviceFault) -> Result? {
    let status = try window.read(map.registers + HBPFRegister.status, width: 4)
    guard status & (HBPFStatus.halt | HBPFStatus.error) != 0 else { return nil }
    return Result(
      r0: try wide(HBPFRegister.r0), isError: status & HBPFStatus.error != 0,
      ticks: try wide(HBPFRegister.ticks))
  }

  private mutating func write(_ value: UInt64, _ register: Int) throws(DeviceFault) {
    try window.write(value, at: map.registers + register, width: 4)
  }

  private static func write(
    _ window: inout Window, _ offset: Int, _ page: borrowing FixedArray<UInt64>, count: Int
  ) throws(DeviceFault) {
    try window.writeRegisters(offset, width: 4, page.span.extracting(0..<count))
  }

  private static func read(
    _ window: inout Window, _ offset: Int, _ page: inout FixedArray<UInt64>, count: Int
  ) throws(DeviceFault) {
    var whole = page.mutableSpan
    var words = whole._mutatingExtracting(0..<count)
    try window.readRegisters(offset, width: 4, into: &words)
  }

  /// Two words, the high one first.
  private mutating func wide(_ register: Int) throws(DeviceFault) -> UInt64 {
    var words = InlineArray<2, UInt64>(repeating: 0)
    var span = words.mutableSpan
    try window.readRegisters(map.registers + register, width: 4, into: &span)
    return words[0] << 32 | words[1]
  }
}

extension Instruction {
  /// As eight bytes stand in memory, read as a little-endian number.
  package var row: UInt64 {
    let registers = UInt64(destination & 0xf) | UInt64(source) << 4
    let offset = UInt64(UInt16(bitPattern: self.offset))
    let immediate = UInt64(UInt32(bitPattern: self.immediate))
    return UInt64(opcode) | registers << 8 | offset << 16 | immediate << 32
  }
}
