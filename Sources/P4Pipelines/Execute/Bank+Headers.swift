// Instructions on header bytes, whole headers and stacks. Offsets and sizes are proved by
// `CodeCheck`; indices that packets compute are compared with their bound here.

extension Bank {
  // MARK: Fields

  @inline(__always)
  func store(_ op: Instruction, _ running: UInt64) {
    let source = lane(op.a)
    each(running) { setField($0, op.d, op.shift, op.mask, source[$0]) }
  }

  @inline(__always)
  func store<Number: FixedWidthInteger & BitwiseCopyable>(
    _ op: Instruction, _ running: UInt64, as: Number.Type
  ) {
    let source = lane(op.a)
    each(running) { packet in
      let value = Number(truncatingIfNeeded: source[packet])
      unsafe P4Pipelines.store(value, headerBytes(packet, op.d))
    }
  }

  func storeField9(_ op: Instruction, _ running: UInt64) {
    let source = lane(op.a)
    each(running) { packet in
      unsafe storeBits(
        source[packet], headerBytes(packet, op.d), endingAt: 72 &- Int(op.shift),
        width: Int(op.size))
    }
  }

  func copyBytes(_ op: Instruction, _ running: UInt64) {
    let count = Int(op.b)
    each(running) { packet in
      unsafe moveBytes(headerBytes(packet, op.a), headerBytes(packet, op.d), count)
    }
  }

  func loadFieldAtIndex(_ op: Instruction, _ running: UInt64) {
    let indices = lane(op.b)
    fill(op, running) { packet in
      let index = indices[packet]
      if index >= UInt64(op.c) { return 0 }
      let offset = op.a &+ UInt32(truncatingIfNeeded: index) &* op.e
      return field(packet, offset, op.shift, op.mask)
    }
  }

  func storeFieldAtIndex(_ op: Instruction, _ running: UInt64) {
    let indices = lane(op.b), source = lane(op.a)
    each(running) { packet in
      let index = indices[packet]
      if index >= UInt64(op.c) { return }
      let offset = op.d &+ UInt32(truncatingIfNeeded: index) &* op.e
      setField(packet, offset, op.shift, op.mask, source[packet])
    }
  }

  // MARK: Validity

  /// Bits that the varbit of a header holds; 0 without one.
  @inline(__always)
  func variableBits(_ header: PipelineCode.HeaderCode, _ packet: Int) -> UInt64 {
    header.variableBits == 0
      ? 0 : min(lane(header.lengthLane)[packet], UInt64(header.variableBits))
  }

  @inline(__always)
  func setVariableBits(_ header: PipelineCode.HeaderCode, _ packet: Int, _ bits: UInt64) {
    if header.variableBits != 0 { lane(header.lengthLane)[packet] = bits }
  }

  func setValid(_ op: Instruction, _ running: UInt64) {
    let header = header(op.a)
    let changed = running & ~mask(op.a)
    if changed == 0 { return }
    each(changed) { packet in
      unsafe zeroBytes(headerBytes(packet, header.offset), Int(header.bytes))
      setVariableBits(header, packet, 0)
    }
    setMask(op.a, changed, to: ~0)
    if op.c != Instruction.none {
      let lengths = lane(op.c)
      each(changed) { lengths[$0] &+= UInt64(header.fixedBytes) }
    }
  }

  func setInvalid(_ op: Instruction, _ running: UInt64) {
    let header = header(op.a)
    let changed = running & mask(op.a)
    if changed == 0 { return }
    setMask(op.a, changed, to: 0)
    if op.c != Instruction.none {
      let lengths = lane(op.c)
      each(changed) { packet in
        lengths[packet] &-= UInt64(header.fixedBytes) &+ variableBits(header, packet) &>> 3
      }
    }
  }

  func copyHeader(_ op: Instruction, _ running: UInt64) {
    let valid = mask(op.a) & running
    copyContents(from: op.a, to: op.d, valid)
    setMask(op.d, running, to: valid)
  }

  /// Bytes and varbit length of a header of the same type.
  @inline(__always)
  private func copyContents(from: UInt32, to: UInt32, _ packets: UInt64) {
    let source = header(from), target = header(to)
    let count = Int(source.bytes)
    each(packets) { packet in
      unsafe moveBytes(
        headerBytes(packet, source.offset), headerBytes(packet, target.offset), count)
      setVariableBits(target, packet, variableBits(source, packet))
    }
  }

  func headersEqual(_ op: Instruction, _ running: UInt64) {
    let left = header(op.a), right = header(op.b)
    let valid = mask(op.a) & mask(op.b)
    test(op, running) { packet in
      if valid &>> UInt64(truncatingIfNeeded: packet) & 1 == 0 { return false }
      let one = unsafe headerBytes(packet, left.offset)
      let other = unsafe headerBytes(packet, right.offset)
      // All of it without a varbit; else what is before it, the varbit, what is after it.
      let start = left.variableBits == 0 ? Int(left.bytes) : Int(left.variableBit &>> 3)
      if unsafe !sameBytes(one, other, start) { return false }
      if left.variableBits == 0 { return true }
      let end = start &+ Int(left.variableBits &>> 3)
      return unsafe sameBytes(one + end, other + end, Int(left.bytes) &- end)
        && sameVariable(left, right, packet)
    }
  }

  func variableEqual(_ op: Instruction, _ running: UInt64) {
    let left = header(op.a), right = header(op.b)
    test(op, running) { sameVariable(left, right, $0) }
  }

  /// Varbits compare as numbers: zero bytes in front do not count.
  private func sameVariable(
    _ left: PipelineCode.HeaderCode, _ right: PipelineCode.HeaderCode, _ packet: Int
  ) -> Bool {
    var one = unsafe headerBytes(packet, left.offset &+ left.variableBit &>> 3)
    var other = unsafe headerBytes(packet, right.offset &+ right.variableBit &>> 3)
    var count = Int(variableBits(left, packet) &>> 3)
    var otherCount = Int(variableBits(right, packet) &>> 3)
    while count > otherCount {
      if unsafe one.pointee != 0 { return false }
      unsafe one += 1
      count &-= 1
    }
    while otherCount > count {
      if unsafe other.pointee != 0 { return false }
      unsafe other += 1
      otherCount &-= 1
    }
    return unsafe sameBytes(one, other, count)
  }

  func copyVariable(_ op: Instruction, _ running: UInt64) {
    let source = header(op.a), target = header(op.d)
    let from = source.offset &+ source.variableBit &>> 3
    let to = target.offset &+ target.variableBit &>> 3
    each(running) { packet in
      let bits = min(variableBits(source, packet), UInt64(target.variableBits))
      unsafe moveBytes(headerBytes(packet, from), headerBytes(packet, to), Int(bits &>> 3))
      setVariableBits(target, packet, bits)
    }
  }

  func headerLength(_ op: Instruction, _ running: UInt64) {
    let header = header(op.a)
    fill(op, running) { UInt64(header.fixedBytes) &+ variableBits(header, $0) &>> 3 }
  }

  // MARK: Stacks

  func pushStack(
    _ op: Instruction, _ running: UInt64, _ stack: StackImage, _ numbers: UnsafePointer<UInt32>
  ) {
    let count = stack.count
    let by = min(op.b, count)
    let next = lane(stack.nextLane)
    each(running) { next[$0] = min(UInt64(count), next[$0] &+ UInt64(by)) }
    let elements = unsafe numbers + Int(stack.headers.first)
    var index = count
    while index > 0 {
      index &-= 1
      var member: UInt32 = 0
      while member < stack.members {
        let target = unsafe elements[Int(index &* stack.members &+ member)]
        if index >= by {
          let source = unsafe elements[Int((index &- by) &* stack.members &+ member)]
          moveElement(from: source, to: target, running)
        } else {
          setMask(target, running, to: 0)
        }
        member &+= 1
      }
    }
  }

  func popStack(
    _ op: Instruction, _ running: UInt64, _ stack: StackImage, _ numbers: UnsafePointer<UInt32>
  ) {
    let count = stack.count
    let by = min(op.b, count)
    let next = lane(stack.nextLane)
    each(running) { next[$0] &-= min(next[$0], UInt64(by)) }
    let elements = unsafe numbers + Int(stack.headers.first)
    var index: UInt32 = 0
    while index < count {
      var member: UInt32 = 0
      while member < stack.members {
        let target = unsafe elements[Int(index &* stack.members &+ member)]
        if index &+ by < count {
          let source = unsafe elements[Int((index &+ by) &* stack.members &+ member)]
          moveElement(from: source, to: target, running)
        } else {
          setMask(target, running, to: 0)
        }
        member &+= 1
      }
      index &+= 1
    }
  }

  /// Bytes move even while the element is invalid: an invalid header may be read.
  private func moveElement(from source: UInt32, to target: UInt32, _ running: UInt64) {
    copyContents(from: source, to: target, running)
    setMask(target, running, to: mask(source))
  }

  // MARK: Checksums

  /// Ones' complement sum, complemented, of the bytes that `checksumBytes` names.
  @inline(__always)
  func checksum(_ op: Instruction, _ packet: Int) -> UInt64 {
    let bytes = unsafe headerBytes(packet, op.a)
    let count = Int(op.b)
    var sum: UInt64
    if op.e == Instruction.none {
      sum = unsafe wordSum(bytes, count, from: 0)
    } else {
      // Leaving two bytes out by subtracting them would give the other of the two zeros when all
      // the rest is zero.
      let skipped = Int(op.e &- op.a)
      sum = unsafe wordSum(bytes, skipped, from: 0)
      sum = unsafe wordSum(bytes + skipped + 2, count &- skipped &- 2, from: sum)
    }
    sum = sum & 0xffff_ffff &+ sum &>> 32
    sum = sum & 0xffff &+ sum &>> 16
    sum = sum & 0xffff &+ sum &>> 16
    sum = sum & 0xffff &+ sum &>> 16
    return UInt64(UInt16(bigEndian: ~UInt16(truncatingIfNeeded: sum)))
  }
}

/// Adds an even number of bytes to a ones' complement sum, in the byte order of this machine and
/// in words of eight bytes with carries going round: folded, it is the sum of the 16-bit words in
/// that byte order.
@inline(__always)
private func wordSum(_ bytes: UnsafePointer<UInt8>, _ count: Int, from start: UInt64) -> UInt64 {
  let bytes = unsafe UnsafeRawPointer(bytes)
  var sum = start
  var done = 0
  while done &+ 8 <= count {
    sum = unsafe addingAround(sum, (bytes + done).loadUnaligned(as: UInt64.self))
    done &+= 8
  }
  if done &+ 4 <= count {
    sum = unsafe addingAround(sum, UInt64((bytes + done).loadUnaligned(as: UInt32.self)))
    done &+= 4
  }
  if done &+ 2 <= count {
    sum = unsafe addingAround(sum, UInt64((bytes + done).loadUnaligned(as: UInt16.self)))
  }
  return sum
}

/// Ones' complement addition of 64-bit words.
@inline(__always)
private func addingAround(_ a: UInt64, _ b: UInt64) -> UInt64 {
  let (sum, carry) = a.addingReportingOverflow(b)
  return sum &+ (carry ? 1 : 0)
}

/// Stores a number in network order at any address.
@inline(__always)
func store<Number: FixedWidthInteger & BitwiseCopyable>(
  _ value: Number, _ to: UnsafeMutablePointer<UInt8>
) {
  unsafe UnsafeMutableRawPointer(to).storeBytes(of: value.bigEndian, as: Number.self)
}

func sameBytes(_ a: UnsafePointer<UInt8>, _ b: UnsafePointer<UInt8>, _ count: Int) -> Bool {
  var index = 0
  while index < count {
    if unsafe a[index] != b[index] { return false }
    index &+= 1
  }
  return true
}
