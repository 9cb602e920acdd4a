import DPUCore
import JSONText
import P4Pipelines

extension JSONWriter {
  /// Values of fields of up to 48 bits are numbers, so that every reader of JSON takes them whole;
  /// wider ones are strings, `0x…`. It depends on the field, not on the value.
  mutating func value(_ value: WideInteger, width: Int) {
    if width <= 48 { self.value(value.low64) } else { self.value(text: value.hexadecimal) }
  }

  /// In a form that a request may hold.
  mutating func value(_ match: P4Program.KeyMatch, width: Int) {
    switch match {
    case .exact(let exact): value(exact, width: width)
    case .lpm(let prefix, let length): value(text: "\(prefix.hexadecimal)/\(length)")
    case .ternary(_, let mask) where mask.isZero: value(string: "*")
    case .ternary(let bits, let mask) where mask == .ones(width): value(bits, width: width)
    case .ternary(let bits, let mask):
      value(text: "\(bits.hexadecimal)&&&\(mask.hexadecimal)")
    case .range(let low, let high) where low == high: value(low, width: width)
    case .range(let low, let high) where low.isZero && high == .ones(width): value(string: "*")
    case .range(let low, let high):
      if width <= 48 {
        value(text: "\(low.low64)..\(high.low64)")
      } else {
        value(text: "\(low.hexadecimal)..\(high.hexadecimal)")
      }
    case .optional(nil): value(string: "*")
    case .optional(let some?): value(some, width: width)
    case .valid(let isValid): value(isValid)
    }
  }
}
