import DPUCore

/// A signed integer of any size: constants of programs and values that operators write. Used at
/// load time and by the control plane only.
package struct WideInteger: Equatable, Hashable, Sendable {
  /// Least significant first, without leading zero words; empty for zero.
  package private(set) var magnitude: [UInt64]
  package private(set) var isNegative: Bool

  package init(magnitude: [UInt64], isNegative: Bool = false) {
    var words = magnitude
    while let last = words.last, last == 0 { words.removeLast() }
    self.magnitude = words
    self.isNegative = isNegative && !words.isEmpty
  }

  package init(_ value: UInt64) { self.init(magnitude: [value]) }

  package init(_ value: Int) {
    self.init(magnitude: [UInt64(value.magnitude)], isNegative: value < 0)
  }

  package static let zero = WideInteger(magnitude: [])
}
