// RFC 9669, section 4.1: division by zero gives zero, the remainder by zero the dividend, and the
// smallest number divided by minus one is itself.

@inline(__always)
func divide<Value: FixedWidthInteger & UnsignedInteger>(_ a: Value, _ b: Value) -> Value {
  b == 0 ? 0 : a / b
}

@inline(__always)
func modulo<Value: FixedWidthInteger & UnsignedInteger>(_ a: Value, _ b: Value) -> Value {
  b == 0 ? a : a % b
}

@inline(__always)
func divideSigned(_ a: UInt64, _ b: UInt64) -> UInt64 {
  if b == 0 { return 0 }
  let (quotient, overflow) = Int64(bitPattern: a).dividedReportingOverflow(
    by: Int64(bitPattern: b))
  return overflow ? a : UInt64(bitPattern: quotient)
}

@inline(__always)
func divideSigned(_ a: UInt32, _ b: UInt32) -> UInt32 {
  if b == 0 { return 0 }
  let (quotient, overflow) = Int32(bitPattern: a).dividedReportingOverflow(
    by: Int32(bitPattern: b))
  return overflow ? a : UInt32(bitPattern: quotient)
}

@inline(__always)
func moduloSigned(_ a: UInt64, _ b: UInt64) -> UInt64 {
  if b == 0 { return a }
  let (remainder, overflow) = Int64(bitPattern: a).remainderReportingOverflow(
    dividingBy: Int64(bitPattern: b))
  return overflow ? 0 : UInt64(bitPattern: remainder)
}

@inline(__always)
func moduloSigned(_ a: UInt32, _ b: UInt32) -> UInt32 {
  if b == 0 { return a }
  let (remainder, overflow) = Int32(bitPattern: a).remainderReportingOverflow(
    dividingBy: Int32(bitPattern: b))
  return overflow ? 0 : UInt32(bitPattern: remainder)
}
