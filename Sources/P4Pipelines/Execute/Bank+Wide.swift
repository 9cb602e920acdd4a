// Numbers of more than 64 bits: two's complement, least significant limb first, a fixed number of
// limbs per program. They are rare and slow beside lanes, so clarity comes first.

/// A wide number in the machine's memory. Slot numbers are proved by `CodeCheck`; every loop goes
/// over the program's number of limbs.
@safe
struct WideSlot: BitwiseCopyable {
  let base: UnsafeMutablePointer<UInt64>
  let limbs: Int

  @inline(__always)
  init(_ base: UnsafeMutablePointer<UInt64>, _ limbs: Int) {
    unsafe self.base = base
    self.limbs = limbs
  }

  @inline(__always)
  subscript(index: Int) -> UInt64 {
    get { index < limbs ? unsafe base[index] : sign }
    nonmutating set {
      assert(index < limbs)
      unsafe base[index] = newValue
    }
  }

  var isNegative: Bool { unsafe Int64(bitPattern: base[limbs &- 1]) < 0 }
  /// What every limb beyond the last would be.
  var sign: UInt64 { isNegative ? ~0 : 0 }

  func load(_ words: UnsafePointer<UInt64>, count: Int) {
    for index in 0..<limbs { self[index] = index < count ? unsafe words[index] : 0 }
  }

  func copy(_ other: WideSlot) { for index in 0..<limbs { self[index] = other[index] } }

  func set(_ value: UInt64, isSigned: Bool) {
    let rest: UInt64 = isSigned && Int64(bitPattern: value) < 0 ? ~0 : 0
    for index in 0..<limbs { self[index] = index == 0 ? value : rest }
  }

  // MARK: Arithmetic. The target may be one of the operands unless said otherwise

  func add(_ a: WideSlot, _ b: WideSlot) {
    var carry = false
    for index in 0..<limbs {
      let (half, over) = a[index].addingReportingOverflow(b[index])
      let (sum, overAgain) = half.addingReportingOverflow(carry ? 1 : 0)
      self[index] = sum
      carry = over || overAgain
    }
  }

  func subtract(_ a: WideSlot, _ b: WideSlot) {
    var borrow = false
    for index in 0..<limbs {
      let (half, under) = a[index].subtractingReportingOverflow(b[index])
      let (difference, underAgain) = half.subtractingReportingOverflow(borrow ? 1 : 0)
      self[index] = difference
      borrow = under || underAgain
    }
  }

  func negate() {
    var carry = true
    for index in 0..<limbs {
      let (sum, over) = (~self[index]).addingReportingOverflow(carry ? 1 : 0)
      self[index] = sum
      carry = over
    }
  }

  /// The target is none of the operands.
  func multiply(_ a: WideSlot, _ b: WideSlot) {
    set(0, isSigned: false)
    for low in 0..<limbs {
      var carry: UInt64 = 0
      for high in 0..<(limbs &- low) {
        let product = a[low].multipliedFullWidth(by: b[high])
        let (half, over) = product.low.addingReportingOverflow(carry)
        let (sum, overAgain) = half.addingReportingOverflow(self[low &+ high])
        self[low &+ high] = sum
        carry = product.high &+ (over ? 1 : 0) &+ (overAgain ? 1 : 0)
      }
    }
  }

  func shiftLeft(_ a: WideSlot, by distance: UInt64) {
    let words = Int(truncatingIfNeeded: min(distance &>> 6, UInt64(limbs)))
    let bits = distance & 63
    for index in stride(from: limbs &- 1, through: 0, by: -1) {
      let high = index >= words ? a[index &- words] : 0
      let low = index > words ? a[index &- words &- 1] : 0
      self[index] = bits == 0 ? high : high &<< bits | low &>> (64 &- bits)
    }
  }

  func shiftRight(_ a: WideSlot, by distance: UInt64) {
    let words = Int(truncatingIfNeeded: min(distance &>> 6, UInt64(limbs)))
    let bits = distance & 63
    let sign = a.sign
    for index in 0..<limbs {
      let low = index &+ words < limbs ? a[index &+ words] : sign
      let high = index &+ words &+ 1 < limbs ? a[index &+ words &+ 1] : sign
      self[index] = bits == 0 ? low : low &>> bits | high &<< (64 &- bits)
    }
  }

  /// The number as a shift distance: negative ones shift by nothing.
  var distance: UInt64 {
    if isNegative { return 0 }
    for index in 1..<max(1, limbs) where self[index] != 0 { return ~0 }
    return self[0]
  }

  /// Cut to `bits` bits, the rest zeros, or the highest of the bits.
  func extend(_ a: WideSlot, bits: Int, isSigned: Bool) {
    if bits == 0 { return set(0, isSigned: false) }
    if bits >= limbs &* 64 { return copy(a) }
    let top = bits &- 1
    let isSet = isSigned && a[top &>> 6] &>> UInt64(top & 63) & 1 != 0
    let filler: UInt64 = isSet ? ~0 : 0
    for index in 0..<limbs {
      let kept = bits &- index &* 64
      if kept <= 0 {
        self[index] = filler
      } else {
        let mask = lowBits(kept)
        self[index] = a[index] & mask | filler & ~mask
      }
    }
  }

  func isLess(_ other: WideSlot) -> Bool {
    if isNegative != other.isNegative { return isNegative }
    for index in stride(from: limbs &- 1, through: 0, by: -1)
    where self[index] != other[index] {
      return self[index] < other[index]
    }
    return false
  }

  func isEqual(_ other: WideSlot) -> Bool {
    for index in 0..<limbs where self[index] != other[index] { return false }
    return true
  }

  /// Brought into the range of unsigned or signed numbers of `bits` bits.
  func saturate(_ a: WideSlot, bits: Int, isSigned: Bool) {
    let isNegative = a.isNegative
    if !isSigned && isNegative { return set(0, isSigned: false) }
    // Fits when all bits from the first that is not value are copies of the sign.
    let value = isSigned ? bits &- 1 : bits
    let sign = a.sign
    var fits = true
    for index in 0..<limbs {
      let low = value &- index &* 64
      let mask = low <= 0 ? ~0 : ~lowBits(low)
      if (a[index] ^ sign) & mask != 0 { fits = false }
    }
    if fits { return copy(a) }
    // The largest, or the smallest, whose bits are the complement.
    for index in 0..<limbs {
      let largest = lowBits(max(0, value &- index &* 64))
      self[index] = isNegative ? ~largest : largest
    }
  }
}

extension Bank {
  @inline(__always)
  func wideSlot(_ packet: Int, _ slot: UInt32) -> WideSlot {
    unsafe WideSlot(wide + (packet &* wideCount &+ Int(slot)) &* wideLimbs, wideLimbs)
  }

  /// Room for an intermediate result; four of them.
  private func wideScratch(_ number: Int) -> WideSlot {
    unsafe WideSlot(wideScratch + number &* wideLimbs, wideLimbs)
  }

  func executeWide(_ op: Instruction, _ running: UInt64, _ constants: UnsafePointer<UInt64>) {
    switch op.opcode {
    case .wideConstant:
      each(running) { packet in
        unsafe wideSlot(packet, op.d).load(constants + Int(op.a), count: wideLimbs)
      }
    case .wideMove: wideUnary(op, running) { $0.copy($1) }
    case .wideFromLane:
      let source = lane(op.a)
      each(running) { wideSlot($0, op.d).set(source[$0], isSigned: op.size != 0) }
    case .laneFromWide:
      fill(op, running) { wideSlot($0, op.a)[0] & op.mask }
    case .wideLoad: each(running) { loadWide(op, $0) }
    case .wideStore: each(running) { storeWide(op, $0) }
    case .wideAdd: wideBinary(op, running) { $0.add($1, $2) }
    case .wideSubtract: wideBinary(op, running) { $0.subtract($1, $2) }
    case .wideMultiply:
      let product = wideScratch(0)
      wideBinary(op, running) { target, left, right in
        product.multiply(left, right)
        target.copy(product)
      }
    case .wideAnd: wideLogic(op, running) { $0 & $1 }
    case .wideOr: wideLogic(op, running) { $0 | $1 }
    case .wideXor: wideLogic(op, running) { $0 ^ $1 }
    case .wideShiftLeft: wideBinary(op, running) { $0.shiftLeft($1, by: $2.distance) }
    case .wideShiftRight: wideBinary(op, running) { $0.shiftRight($1, by: $2.distance) }
    case .wideShiftLeftImmediate: wideUnary(op, running) { $0.shiftLeft($1, by: UInt64(op.b)) }
    case .wideShiftRightImmediate: wideUnary(op, running) { $0.shiftRight($1, by: UInt64(op.b)) }
    case .wideDivide: wideBinary(op, running) { divideWide($0, $1, $2, wantsQuotient: true) }
    case .wideModulo: wideBinary(op, running) { divideWide($0, $1, $2, wantsQuotient: false) }
    case .wideExtend:
      wideUnary(op, running) { $0.extend($1, bits: Int(op.b), isSigned: op.size != 0) }
    case .wideSaturate:
      wideUnary(op, running) { $0.saturate($1, bits: Int(op.b), isSigned: op.size != 0) }
    case .wideChoose:
      let isLeft = mask(op.c)
      each(running) { packet in
        let chosen = isLeft &>> UInt64(truncatingIfNeeded: packet) & 1 != 0 ? op.a : op.b
        wideSlot(packet, op.d).copy(wideSlot(packet, chosen))
      }
    case .wideEqual:
      test(op, running) { wideSlot($0, op.a).isEqual(wideSlot($0, op.b)) }
    case .wideLess:
      test(op, running) { wideSlot($0, op.a).isLess(wideSlot($0, op.b)) }
    default: break
    }
  }

  @inline(__always)
  private func wideUnary(
    _ op: Instruction, _ running: UInt64, _ operation: (WideSlot, WideSlot) -> Void
  ) {
    each(running) { operation(wideSlot($0, op.d), wideSlot($0, op.a)) }
  }

  @inline(__always)
  private func wideBinary(
    _ op: Instruction, _ running: UInt64, _ operation: (WideSlot, WideSlot, WideSlot) -> Void
  ) {
    each(running) {
      operation(wideSlot($0, op.d), wideSlot($0, op.a), wideSlot($0, op.b))
    }
  }

  @inline(__always)
  private func wideLogic(
    _ op: Instruction, _ running: UInt64, _ operation: (UInt64, UInt64) -> UInt64
  ) {
    wideBinary(op, running) { target, left, right in
      for index in 0..<wideLimbs { target[index] = operation(left[index], right[index]) }
    }
  }

  private func loadWide(_ op: Instruction, _ packet: Int) {
    let bytes = unsafe headerBytes(packet, 0)
    let slot = wideSlot(packet, op.d)
    for index in 0..<wideLimbs {
      let width = min(64, Int(op.b) &- index &* 64)
      slot[index] =
        width <= 0
        ? 0 : unsafe loadBits(bytes, endingAt: Int(op.a) &- index &* 64, width: width)
    }
  }

  private func storeWide(_ op: Instruction, _ packet: Int) {
    let bytes = unsafe headerBytes(packet, 0)
    let slot = wideSlot(packet, op.d)
    var index = 0
    while index &* 64 < Int(op.b) {
      let width = min(64, Int(op.b) &- index &* 64)
      unsafe storeBits(
        slot[index], bytes, endingAt: Int(op.a) &- index &* 64, width: width)
      index &+= 1
    }
  }

  /// Schoolbook division, bit by bit, of the magnitudes; the quotient truncates towards zero and
  /// the remainder has the dividend's sign. Division by zero gives 0.
  private func divideWide(
    _ target: WideSlot, _ left: WideSlot, _ right: WideSlot, wantsQuotient: Bool
  ) {
    let dividend = wideScratch(0), divisor = wideScratch(1)
    let quotient = wideScratch(2), remainder = wideScratch(3)
    dividend.copy(left)
    divisor.copy(right)
    quotient.set(0, isSigned: false)
    remainder.set(0, isSigned: false)
    let isNegative = dividend.isNegative
    let turns = isNegative != divisor.isNegative
    if isNegative { dividend.negate() }
    if divisor.isNegative { divisor.negate() }
    if divisor.isEqual(remainder) { return target.copy(quotient) }
    for bit in stride(from: wideLimbs &* 64 &- 1, through: 0, by: -1) {
      remainder.shiftLeft(remainder, by: 1)
      remainder[0] |= dividend[bit &>> 6] &>> UInt64(bit & 63) & 1
      if !remainder.isLessUnsigned(divisor) {
        remainder.subtract(remainder, divisor)
        quotient[bit &>> 6] |= 1 &<< UInt64(bit & 63)
      }
    }
    if turns { quotient.negate() }
    if isNegative { remainder.negate() }
    target.copy(wantsQuotient ? quotient : remainder)
  }
}

extension WideSlot {
  /// As magnitudes: what the smallest negative number negated to itself means.
  fileprivate func isLessUnsigned(_ other: WideSlot) -> Bool {
    for index in stride(from: limbs &- 1, through: 0, by: -1)
    where self[index] != other[index] {
      return self[index] < other[index]
    }
    return false
  }
}
