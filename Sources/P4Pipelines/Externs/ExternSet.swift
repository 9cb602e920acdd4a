import DPUCore

// Lanes are read and written through raw pointers: these calls are the inner loops of the packet
// path, and the machine that calls them owns the lanes for its whole life. Cells are addressed
// without a further check once an index is below the size of its array.

/// The counters, meters, registers, hash functions and the random generator of a program.
///
/// Calls of the packet path take the packets as a mask and walk through it in bit order. An index
/// out of range does nothing to the packet and is counted in `ignoredIndices`. Direct counters and
/// meters live in `TableSet`; their arrays here are empty.
package struct ExternSet: ~Copyable {
  private var counterShapes: RawArray<Shape>
  private var counters: RawArray<CounterValue>
  private var registerShapes: RawArray<Shape>
  private var registers: RawArray<UInt64>
  private var meterShapes: RawArray<Shape>
  private var meters: RawArray<MeterCell>
  private var hashes: HashFunctions
  private var randomSource: SplitMix64
  package private(set) var ignoredIndices: UInt64 = 0

  /// Where an array lies among the cells of its kind.
  struct Shape: BitwiseCopyable {
    var offset: Int
    /// Elements.
    var size: Int
    /// Words of an element of a register array.
    var words: Int
    /// Bits of a register, rates of a meter.
    var width: Int
    /// What the last word of a register keeps.
    var mask: UInt64
    var countsBytes: Bool
  }

  /// `seed` starts the random generator.
  package init(_ program: P4Program, seed: UInt64) {
    var shapes: [Shape] = []
    var cells = 0
    for array in program.counters {
      let size = array.directTable == nil ? max(0, array.size) : 0
      shapes.append(
        Shape(offset: cells, size: size, words: 1, width: 0, mask: 0, countsBytes: true))
      cells += size
    }
    counterShapes = RawArray(shapes)
    counters = RawArray(zeroes: cells)

    shapes = []
    cells = 0
    for array in program.registers {
      let words = max(1, (array.width + 63) / 64)
      let rest = UInt64(max(1, array.width) - 64 * (words - 1))
      shapes.append(
        Shape(
          offset: cells, size: max(0, array.size), words: words, width: array.width,
          mask: rest == 64 ? .max : 1 << rest - 1, countsBytes: false))
      cells += max(0, array.size) * words
    }
    registerShapes = RawArray(shapes)
    registers = RawArray(zeroes: cells)

    shapes = []
    cells = 0
    for array in program.meters {
      let size = array.directTable == nil ? max(0, array.size) : 0
      shapes.append(
        Shape(
          offset: cells, size: size, words: 1, width: array.rateCount, mask: 0,
          countsBytes: array.countsBytes))
      cells += size
    }
    meterShapes = RawArray(shapes)
    meters = RawArray(zeroes: cells)

    hashes = HashFunctions(program, seed: ~seed)
    randomSource = SplitMix64(seed: seed)
  }
}

// MARK: Packet path

extension ExternSet {
  /// Adds a packet and its length to an element.
  package mutating func count(
    _ counter: Int, mask: UInt64, indices: UnsafePointer<UInt64>, lengths: UnsafePointer<UInt64>
  ) {
    let shape = counterShapes[counter]
    let size = UInt64(truncatingIfNeeded: shape.size)
    let cells = unsafe counters.base + shape.offset
    var ignored: UInt64 = 0
    each(mask) { packet in
      let index = unsafe indices[packet]
      if index >= size {
        ignored &+= 1
        return
      }
      let cell = unsafe cells + Int(truncatingIfNeeded: index)
      unsafe cell.pointee.packets &+= 1
      unsafe cell.pointee.bytes &+= lengths[packet]
    }
    ignoredIndices &+= ignored
  }

  /// For registers of at most 64 bits. Targets of packets with an index out of range stay as they
  /// are.
  package mutating func readRegister(
    _ register: Int, mask: UInt64, indices: UnsafePointer<UInt64>,
    into target: UnsafeMutablePointer<UInt64>
  ) {
    let shape = registerShapes[register]
    let size = UInt64(truncatingIfNeeded: shape.size)
    let cells = unsafe registers.base + shape.offset
    var ignored: UInt64 = 0
    each(mask) { packet in
      let index = unsafe indices[packet]
      if index >= size {
        ignored &+= 1
        return
      }
      unsafe target[packet] = cells[Int(truncatingIfNeeded: index)]
    }
    ignoredIndices &+= ignored
  }

  /// Cuts the values to the width of the register.
  package mutating func writeRegister(
    _ register: Int, mask: UInt64, indices: UnsafePointer<UInt64>, values: UnsafePointer<UInt64>
  ) {
    let shape = registerShapes[register]
    let size = UInt64(truncatingIfNeeded: shape.size)
    let cells = unsafe registers.base + shape.offset
    let kept = shape.mask
    var ignored: UInt64 = 0
    each(mask) { packet in
      let index = unsafe indices[packet]
      if index >= size {
        ignored &+= 1
        return
      }
      unsafe cells[Int(truncatingIfNeeded: index)] = values[packet] & kept
    }
    ignoredIndices &+= ignored
  }

  /// Words of one element: more than one for registers wider than 64 bits.
  package func registerWords(_ register: Int) -> Int { registerShapes[register].words }

  /// The words of an element, least significant first; nil, and counted, when out of range. Who
  /// writes them keeps to the width.
  package mutating func registerElement(
    _ register: Int, _ index: UInt64
  ) -> UnsafeMutablePointer<UInt64>? {
    let shape = registerShapes[register]
    if index >= UInt64(truncatingIfNeeded: shape.size) {
      ignoredIndices &+= 1
      return nil
    }
    return unsafe registers.base + (shape.offset &+ Int(truncatingIfNeeded: index) &* shape.words)
  }

  /// Colours: 0 green, 1 yellow, 2 red. Those of packets with an index out of range stay as they
  /// are.
  package mutating func executeMeter(
    _ meter: Int, mask: UInt64, indices: UnsafePointer<UInt64>, lengths: UnsafePointer<UInt64>,
    microseconds: UInt64, into colours: UnsafeMutablePointer<UInt64>
  ) {
    let shape = meterShapes[meter]
    let size = UInt64(truncatingIfNeeded: shape.size)
    let cells = unsafe meters.base + shape.offset
    var rest = mask
    while rest != 0 {
      let packet = rest.trailingZeroBitCount
      rest &= rest &- 1
      let index = unsafe indices[packet]
      if index >= size {
        ignoredIndices &+= 1
        continue
      }
      unsafe colours[packet] = cells[Int(truncatingIfNeeded: index)].colour(
        shape.countsBytes ? lengths[packet] : 1, microseconds: microseconds,
        rateCount: shape.width)
    }
  }

  /// A value from `low[i]` to `high[i]`, both included; `low[i]` when `high[i]` is below it.
  package mutating func random(
    mask: UInt64, low: UnsafePointer<UInt64>, high: UnsafePointer<UInt64>,
    into target: UnsafeMutablePointer<UInt64>
  ) {
    var rest = mask
    while rest != 0 {
      let packet = rest.trailingZeroBitCount
      rest &= rest &- 1
      let first = unsafe low[packet]
      let last = unsafe high[packet]
      let draw = randomSource.next()
      if last <= first {
        unsafe target[packet] = first
        continue
      }
      let span = last &- first &+ 1
      unsafe target[packet] =
        first &+ (span == 0 ? draw : draw.multipliedFullWidth(by: span).high)
    }
  }

  /// The hash function of calculation `function` over bytes. Numbers from
  /// `P4Program.calculations.count` on are the selectors of the profiles.
  package func hash(_ function: Int, _ bytes: UnsafePointer<UInt8>, _ count: Int) -> UInt64 {
    unsafe hashes.hash(function, UnsafeRawPointer(bytes), count)
  }

  /// The same for the packets of `mask`, `count` bytes at `bytes + i * stride` each.
  package func hash(
    _ function: Int, mask: UInt64, bytes: UnsafePointer<UInt8>, stride: Int, count: Int,
    into target: UnsafeMutablePointer<UInt64>
  ) {
    unsafe hashes.hash(
      function, mask: mask, bytes: bytes, stride: stride, count: count, into: target)
  }

  /// The same for inputs that end in the function's tail, which is not among the `count` bytes but
  /// at `tails + i * tailStride`: only when `takesTails` has just said so.
  func hash(
    _ function: Int, mask: UInt64, bytes: UnsafePointer<UInt8>, stride: Int, count: Int,
    tails: UnsafePointer<UInt8>, tailStride: Int, into target: UnsafeMutablePointer<UInt64>
  ) {
    unsafe hashes.hash(
      function, mask: mask, bytes: bytes, stride: stride, count: count, tails: tails,
      tailStride: tailStride, into: target)
  }

  @inline(__always)
  func takesTails(_ function: Int) -> Bool { hashes.takesTails(function) }

  /// Words of the tail of each function's input; 0: it has none. Before the first packet.
  mutating func setTails(words: [Int]) { hashes.setTails(words: words) }
}

// MARK: Control plane

extension ExternSet {
  /// Elements of the array; zero for direct ones, which live in their table.
  package func counterSize(_ counter: Int) -> Int { counterShapes[counter].size }
  package func registerSize(_ register: Int) -> Int { registerShapes[register].size }
  package func meterSize(_ meter: Int) -> Int { meterShapes[meter].size }

  private func place(_ shape: Shape, _ index: Int) throws(ExternError) -> Int {
    guard index >= 0, index < shape.size else { throw .noSuchIndex }
    return shape.offset + index * shape.words
  }

  package func counter(_ counter: Int, _ index: Int) throws(ExternError) -> CounterValue {
    counters[try place(counterShapes[counter], index)]
  }

  package mutating func setCounter(
    _ counter: Int, _ index: Int, to value: CounterValue
  ) throws(ExternError) {
    counters[try place(counterShapes[counter], index)] = value
  }

  package mutating func resetCounters(_ counter: Int) {
    let shape = counterShapes[counter]
    for cell in shape.offset..<(shape.offset + shape.size) { counters[cell] = CounterValue() }
  }

  package func register(_ register: Int, _ index: Int) throws(ExternError) -> WideInteger {
    let shape = registerShapes[register]
    let start = try place(shape, index)
    var words: [UInt64] = []
    for word in 0..<shape.words { words.append(registers[start + word]) }
    return WideInteger(magnitude: words)
  }

  package mutating func setRegister(
    _ register: Int, _ index: Int, to value: WideInteger
  ) throws(ExternError) {
    let shape = registerShapes[register]
    let start = try place(shape, index)
    guard !value.isNegative, value.bitWidth <= shape.width else { throw .valueTooWide }
    for word in 0..<shape.words { registers[start + word] = value.word(word) }
  }

  package mutating func resetRegisters(_ register: Int) {
    let shape = registerShapes[register]
    for cell in shape.offset..<(shape.offset + shape.size * shape.words) { registers[cell] = 0 }
  }

  /// nil: not configured, always green.
  package func meter(_ meter: Int, _ index: Int) throws(ExternError) -> MeterRates? {
    meters[try place(meterShapes[meter], index)].rates
  }

  package mutating func setMeter(
    _ meter: Int, _ index: Int, to rates: MeterRates?
  ) throws(ExternError) {
    let cell = try place(meterShapes[meter], index)
    if let rates, !MeterCell.accepts(rates, rateCount: meterShapes[meter].width) {
      throw .badMeterRates
    }
    meters[cell].configure(rates)
  }

  /// All meters of an array.
  package mutating func setMeters(_ meter: Int, to rates: MeterRates?) throws(ExternError) {
    let shape = meterShapes[meter]
    if let rates, !MeterCell.accepts(rates, rateCount: shape.width) { throw .badMeterRates }
    for cell in shape.offset..<(shape.offset + shape.size) { meters[cell].configure(rates) }
  }

  /// For calculations whose algorithm is one of the custom CRCs; the width is that of the
  /// algorithm.
  package mutating func setCRC(_ function: Int, _ parameters: CRCParameters) throws(ExternError) {
    try hashes.setCRC(function, parameters)
  }

  /// nil: not a custom CRC.
  package func crc(_ function: Int) -> CRCParameters? { hashes.check(function) }

  /// A multiple of four bytes, at most 64, for calculations by toeplitz. Until then all hashes are
  /// zero, as in BMv2.
  package mutating func setToeplitzKey(_ function: Int, _ key: [UInt8]) throws(ExternError) {
    try hashes.setToeplitzKey(function, key)
  }
}
