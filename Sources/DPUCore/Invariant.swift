/// Stops the program with a reason when something that must hold does not.
///
/// For our own mistakes only; what a peer or an operator can cause is a value, never a trap.
/// The reason reaches standard error before the trap, because a firmware compiled as Embedded
/// Swift prints nothing of its own when it stops.
@inline(__always)
package func invariant(
  _ condition: @autoclosure () -> Bool, _ reason: StaticString,
  file: StaticString = #fileID, line: UInt = #line
) {
  if !condition() { fail(reason, file: file, line: line) }
}

/// Writes `reason` to standard error and traps.
@inline(never)
package func fail(_ reason: StaticString, file: StaticString = #fileID, line: UInt = #line) -> Never
{
  writeToStandardError("dpu: invariant broken: ")
  writeToStandardError(reason)
  writeToStandardError(" at ")
  writeToStandardError(file)
  writeToStandardError(":")
  writeDecimal(UInt64(line))
  writeToStandardError("\n")
  trap()
}

@inline(never)
private func trap() -> Never { fatalError() }

private func writeToStandardError(_ text: StaticString) {
  _ = unsafe systemWrite(2, text.utf8Start, text.utf8CodeUnitCount)
}

private func writeDecimal(_ value: UInt64) {
  var digits = InlineArray<20, UInt8>(repeating: 0)
  var rest = value
  var start = 20
  repeat {
    start -= 1
    digits[start] = UInt8(truncatingIfNeeded: rest % 10) + UInt8(ascii: "0")
    rest /= 10
  } while rest != 0
  let span = digits.span.extracting(start..<20)
  unsafe span.withUnsafeBytes { _ = unsafe systemWrite(2, $0.baseAddress!, $0.count) }
}

/// `write(2)`: the one system call of this module, so that it needs no import.
@_extern(c, "write")
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int
