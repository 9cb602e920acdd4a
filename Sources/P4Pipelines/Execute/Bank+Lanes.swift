// The shapes of instructions on lanes and masks. Each takes the operation as a closure that is
// inlined, so that one line of the interpreter becomes one loop.

extension Bank {
  @inline(__always)
  func binary(
    _ op: Instruction, _ running: UInt64, _ operation: (UInt64, UInt64) -> UInt64
  ) {
    let target = lane(op.d), left = lane(op.a), right = lane(op.b)
    let mask = op.mask
    each(running) { target[$0] = operation(left[$0], right[$0]) & mask }
  }

  @inline(__always)
  func unary(_ op: Instruction, _ running: UInt64, _ operation: (UInt64) -> UInt64) {
    let target = lane(op.d), source = lane(op.a)
    let mask = op.mask
    each(running) { target[$0] = operation(source[$0]) & mask }
  }

  @inline(__always)
  func fill(_ op: Instruction, _ running: UInt64, _ operation: (Int) -> UInt64) {
    let target = lane(op.d)
    each(running) { target[$0] = operation($0) }
  }

  /// A mask made by a test of each packet; `size` 1 turns it round.
  @inline(__always)
  func test(_ op: Instruction, _ running: UInt64, _ test: (Int) -> Bool) {
    mark(op, running, those(of: running, where: test))
  }

  @inline(__always)
  func mark(_ op: Instruction, _ running: UInt64, _ result: UInt64) {
    setMask(op.d, running, to: op.size == 0 ? result : ~result)
  }

  @inline(__always)
  func compare(
    _ op: Instruction, _ running: UInt64, _ operation: (UInt64, UInt64) -> Bool
  ) {
    let left = lane(op.a), right = lane(op.b)
    mark(op, running, thoseInPairs(of: running) { operation(left[$0], right[$0]) })
  }

  @inline(__always)
  func compare(_ op: Instruction, _ running: UInt64, _ operation: (UInt64) -> Bool) {
    let source = lane(op.a)
    mark(op, running, thoseInPairs(of: running) { operation(source[$0]) })
  }

  func choose(_ op: Instruction, _ running: UInt64) {
    let target = lane(op.d), one = lane(op.a), other = lane(op.b)
    let isOne = mask(op.c) & running
    each(isOne) { target[$0] = one[$0] }
    each(running & ~isOne) { target[$0] = other[$0] }
  }

  func chooseImmediate(_ op: Instruction, _ running: UInt64) {
    let target = lane(op.d)
    let isSet = mask(op.a) & running
    each(isSet) { target[$0] = op.immediate }
    each(running & ~isSet) { target[$0] = op.mask }
  }

  /// `M[b + L[a] * c]`, clear when `L[a] >= e`.
  func maskAtIndex(_ op: Instruction, _ running: UInt64) {
    let indices = lane(op.a)
    test(op, running) { packet in
      let index = indices[packet]
      if index >= UInt64(op.e) { return false }
      let number = op.b &+ UInt32(truncatingIfNeeded: index) &* op.c
      return mask(number) &>> UInt64(truncatingIfNeeded: packet) & 1 != 0
    }
  }
}

// MARK: Shifts and divisions that never trap

@inline(__always)
func shiftedLeft(_ value: UInt64, _ distance: UInt64) -> UInt64 {
  distance >= 64 ? 0 : value &<< distance
}

@inline(__always)
func shiftedRight(_ value: UInt64, _ distance: UInt64) -> UInt64 {
  distance >= 64 ? 0 : value &>> distance
}

@inline(__always)
func shiftedRightSigned(_ value: UInt64, _ distance: UInt64) -> UInt64 {
  UInt64(bitPattern: Int64(bitPattern: value) &>> Int64(bitPattern: min(63, distance)))
}

@inline(__always)
func divided(_ left: UInt64, _ right: UInt64) -> UInt64 { right == 0 ? 0 : left / right }

@inline(__always)
func remainder(_ left: UInt64, _ right: UInt64) -> UInt64 { right == 0 ? 0 : left % right }

@inline(__always)
func dividedSigned(_ left: UInt64, _ right: UInt64) -> UInt64 {
  if right == 0 { return 0 }
  // The smallest number divided by -1 wraps to itself.
  let (quotient, _) = Int64(bitPattern: left).dividedReportingOverflow(
    by: Int64(bitPattern: right))
  return UInt64(bitPattern: quotient)
}

@inline(__always)
func remainderSigned(_ left: UInt64, _ right: UInt64) -> UInt64 {
  if right == 0 || right == ~0 { return 0 }
  return UInt64(bitPattern: Int64(bitPattern: left) % Int64(bitPattern: right))
}

/// The low `width` bits (1...63) as a signed number.
@inline(__always)
func signExtended(_ value: UInt64, _ width: UInt8) -> UInt64 {
  let up = Int64(64 &- Int(width))
  return UInt64(bitPattern: (Int64(bitPattern: value) &<< up) &>> up)
}

/// A signed number brought into a range of signed numbers.
@inline(__always)
func clampedSigned(_ value: UInt64, from low: UInt64, to high: UInt64) -> UInt64 {
  let value = Int64(bitPattern: value)
  return UInt64(bitPattern: min(max(value, Int64(bitPattern: low)), Int64(bitPattern: high)))
}
