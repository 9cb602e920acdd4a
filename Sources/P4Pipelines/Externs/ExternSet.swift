// Lanes are read and written through raw pointers: these calls are the inner loops of the packet
// path, and the machine that calls them owns the lanes for its whole life.

/// The counters, meters, registers, hash functions and the random generator of a program.
///
/// Calls of the packet path take the packets as a mask and walk through it in bit order. An index
/// out of range does nothing to the packet and is counted in `ignoredIndices`.
@safe
package struct ExternSet: ~Copyable {
  /// `seed` starts the random generator.
  package init(_ program: P4Program, seed: UInt64) {}

  package var ignoredIndices: UInt64 { fatalError() }
}

// MARK: Packet path

extension ExternSet {
  package mutating func count(
    _ counter: Int, mask: UInt64, indices: UnsafePointer<UInt64>, lengths: UnsafePointer<UInt64>
  ) { fatalError() }

  /// For registers of at most 64 bits. Targets of packets with an index out of range stay as they
  /// are.
  package mutating func readRegister(
    _ register: Int, mask: UInt64, indices: UnsafePointer<UInt64>,
    into target: UnsafeMutablePointer<UInt64>
  ) { fatalError() }
  /// Cuts the values to the width of the register.
  package mutating func writeRegister(
    _ register: Int, mask: UInt64, indices: UnsafePointer<UInt64>, values: UnsafePointer<UInt64>
  ) { fatalError() }
  /// Words of one element: more than one for registers wider than 64 bits.
  package func registerWords(_ register: Int) -> Int { fatalError() }
  /// The words of an element, least significant first; nil, and counted, when out of range.
  package mutating func registerElement(
    _ register: Int, _ index: UInt64
  ) -> UnsafeMutablePointer<UInt64>? { fatalError() }

  /// Colours: 0 green, 1 yellow, 2 red.
  package mutating func executeMeter(
    _ meter: Int, mask: UInt64, indices: UnsafePointer<UInt64>, lengths: UnsafePointer<UInt64>,
    microseconds: UInt64, into colours: UnsafeMutablePointer<UInt64>
  ) { fatalError() }

  /// A value from `low[i]` to `high[i]`, both included; `low[i]` when `high[i]` is below it.
  package mutating func random(
    mask: UInt64, low: UnsafePointer<UInt64>, high: UnsafePointer<UInt64>,
    into target: UnsafeMutablePointer<UInt64>
  ) { fatalError() }

  /// The hash function of calculation `function` over bytes. Numbers from
  /// `P4Program.calculations.count` on are the selectors of the profiles.
  package func hash(_ function: Int, _ bytes: UnsafePointer<UInt8>, _ count: Int) -> UInt64 {
    fatalError()
  }
  /// The same for the packets of `mask`, `count` bytes at `bytes + i * stride` each.
  package func hash(
    _ function: Int, mask: UInt64, bytes: UnsafePointer<UInt8>, stride: Int, count: Int,
    into target: UnsafeMutablePointer<UInt64>
  ) { fatalError() }
}

// MARK: Control plane

extension ExternSet {
  package func counter(_ counter: Int, _ index: Int) throws(ExternError) -> CounterValue {
    fatalError()
  }
  package mutating func setCounter(
    _ counter: Int, _ index: Int, to value: CounterValue
  ) throws(ExternError) { fatalError() }
  package mutating func resetCounters(_ counter: Int) { fatalError() }

  package func register(_ register: Int, _ index: Int) throws(ExternError) -> WideInteger {
    fatalError()
  }
  package mutating func setRegister(
    _ register: Int, _ index: Int, to value: WideInteger
  ) throws(ExternError) { fatalError() }
  package mutating func resetRegisters(_ register: Int) { fatalError() }

  package func meter(_ meter: Int, _ index: Int) throws(ExternError) -> MeterRates? { fatalError() }
  package mutating func setMeter(
    _ meter: Int, _ index: Int, to rates: MeterRates?
  ) throws(ExternError) { fatalError() }
  /// All meters of an array.
  package mutating func setMeters(_ meter: Int, to rates: MeterRates?) throws(ExternError) {
    fatalError()
  }

  /// Elements of the array; zero for direct ones, which live in their table.
  package func counterSize(_ counter: Int) -> Int { fatalError() }
  package func registerSize(_ register: Int) -> Int { fatalError() }
  package func meterSize(_ meter: Int) -> Int { fatalError() }

  /// For calculations whose algorithm is one of the custom CRCs.
  package mutating func setCRC(_ function: Int, _ parameters: CRCParameters) throws(ExternError) {
    fatalError()
  }
  /// A multiple of four bytes, for calculations by toeplitz; at most 64.
  package mutating func setToeplitzKey(_ function: Int, _ key: [UInt8]) throws(ExternError) {
    fatalError()
  }
}
