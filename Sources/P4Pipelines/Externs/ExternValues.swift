/// What a counter holds; both are always counted.
package struct CounterValue: Equatable, BitwiseCopyable, Sendable {
  package var packets: UInt64
  package var bytes: UInt64
  package init(packets: UInt64 = 0, bytes: UInt64 = 0) {
    self.packets = packets
    self.bytes = bytes
  }
}

/// A cyclic redundancy check: polynomial without its leading one, what the register starts with,
/// what is xored at the end, and whether bytes and the result are taken least significant bit first.
package struct CRCParameters: Equatable, BitwiseCopyable, Sendable {
  package var width: Int
  package var polynomial: UInt64
  package var initial: UInt64
  package var final: UInt64
  package var reflectsInput: Bool
  package var reflectsOutput: Bool
  package init(
    width: Int, polynomial: UInt64, initial: UInt64, final: UInt64, reflectsInput: Bool,
    reflectsOutput: Bool
  ) {
    self.width = width
    self.polynomial = polynomial
    self.initial = initial
    self.final = final
    self.reflectsInput = reflectsInput
    self.reflectsOutput = reflectsOutput
  }
}

/// Why a write to a counter, register, meter or hash was refused.
package enum ExternError: Error, Equatable, Sendable {
  case noSuchIndex
  case valueTooWide
  /// The peak rate is below the committed one, or a rate is negative or no number.
  case badMeterRates
  /// The calculation is no custom CRC, no Toeplitz hash, or the parameters are not for it.
  case badHash
}
