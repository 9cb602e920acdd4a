// Counters, meters, registers and hashes. Everything is checked here, against the program, so that
// the switch cannot refuse any of it.

extension ControlBatch {
  @discardableResult
  package func readCounter(_ counter: Int, index: Int) throws(ControlError) -> Int {
    try self.counter(counter, index)
    return append(.readCounter(counter, index: index))
  }

  @discardableResult
  package func writeCounter(
    _ counter: Int, index: Int, packets: UInt64, bytes: UInt64
  ) throws(ControlError) -> Int {
    try self.counter(counter, index)
    return append(
      .setCounter(counter, index: index, CounterValue(packets: packets, bytes: bytes)))
  }

  /// All cells.
  @discardableResult
  package func resetCounter(_ counter: Int) throws(ControlError) -> Int {
    try self.counter(counter, 0)
    return append(.resetCounters(counter))
  }

  /// The values are read back with `values`.
  @discardableResult
  package func readRegister(_ register: Int, range: Range<Int>) throws(ControlError) -> Int {
    try self.register(register, range)
    let each = max(1, (names.program.registers[register].width + 63) / 64)
    words.reserveCapacity(words.capacity + each * range.count)
    return append(.readRegisters(register, range, words: each))
  }

  @discardableResult
  package func writeRegister(
    _ register: Int, range: Range<Int>, _ value: WideInteger
  ) throws(ControlError) -> Int {
    try self.register(register, range)
    guard !value.isNegative, value.bitWidth <= names.program.registers[register].width else {
      throw ControlError(.valueTooWide)
    }
    return append(.setRegisters(register, range, value))
  }

  @discardableResult
  package func resetRegister(_ register: Int) throws(ControlError) -> Int {
    try self.register(register, 0..<0)
    return append(.resetRegisters(register))
  }

  @discardableResult
  package func readMeter(_ meter: Int, index: Int) throws(ControlError) -> Int {
    try self.meter(meter, index)
    return append(.readMeter(meter, index: index))
  }

  /// Without an index for all cells; nil rates take the configuration away: green from then on.
  @discardableResult
  package func setMeter(
    _ meter: Int, index: Int?, _ rates: MeterRates?
  ) throws(ControlError) -> Int {
    try self.meter(meter, index)
    try check(rates)
    return append(.setMeter(meter, index: index, rates))
  }

  /// For calculations by one of the custom CRCs.
  @discardableResult
  package func setCRC(
    calculation: Int, _ parameters: CRCParameters
  ) throws(ControlError) -> Int {
    guard names.program.calculations.indices.contains(calculation) else {
      throw ControlError(.noSuchCalculation)
    }
    let width: Int
    switch names.program.calculations[calculation].algorithm {
    case .crc8Custom: width = 8
    case .crc16Custom: width = 16
    case .crc32Custom: width = 32
    case .crc64Custom: width = 64
    default: throw ControlError(.badHash)
    }
    guard parameters.width == width else { throw ControlError(.badHash) }
    return append(.setCRC(calculation, parameters))
  }

  private func counter(_ counter: Int, _ index: Int) throws(ControlError) {
    guard names.program.counters.indices.contains(counter) else {
      throw ControlError(.noSuchArray)
    }
    let array = names.program.counters[counter]
    // Direct counters live in their table.
    guard array.directTable == nil else { throw ControlError(.notSupported) }
    guard index >= 0, index < array.size else { throw ControlError(.outOfRange) }
  }

  private func register(_ register: Int, _ range: Range<Int>) throws(ControlError) {
    guard names.program.registers.indices.contains(register) else {
      throw ControlError(.noSuchArray)
    }
    guard range.lowerBound >= 0, range.upperBound <= names.program.registers[register].size else {
      throw ControlError(.outOfRange)
    }
  }

  private func meter(_ meter: Int, _ index: Int?) throws(ControlError) {
    guard names.program.meters.indices.contains(meter) else { throw ControlError(.noSuchArray) }
    let array = names.program.meters[meter]
    guard array.directTable == nil else { throw ControlError(.notSupported) }
    guard index ?? 0 >= 0, index ?? 0 < array.size else { throw ControlError(.outOfRange) }
  }
}
