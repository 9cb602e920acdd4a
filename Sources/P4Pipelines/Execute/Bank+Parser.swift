// Parser instructions. What lies in the packet is checked against its length here, packet by
// packet; where it goes in the header bytes is proved by `CodeCheck`.

extension Bank {
  func extract(_ op: Instruction, _ running: UInt64) -> UInt64 {
    let header = header(op.a)
    let good = copyIn(op, running, to: header.offset, count: header.bytes)
    let bad = running & ~good
    if bad != 0 { each(bad) { fail($0, position($0, op), ParserError.packetTooShort) } }
    setMask(op.a, good, to: ~0)
    return good
  }

  /// Copies bytes of each packet that has them, from the instruction's position, to its header
  /// bytes; returns those packets.
  @inline(__always)
  private func copyIn(
    _ op: Instruction, _ running: UInt64, to offset: UInt32, count: UInt32
  ) -> UInt64 {
    // Position and length are mostly the same for all: choose the way of copying outside the loop.
    if op.c != Instruction.none {
      return those(of: running) { packet in
        let position = position(packet, op)
        if !holds(packet, position, UInt64(count)) { return false }
        unsafe copyShort(
          packetBytes(packet, position), headerBytes(packet, offset), Int(count))
        return true
      }
    }
    // What the loop needs stands in variables: the compiler takes every byte that is stored for one
    // that may belong to this struct.
    let from = unsafe FixedPosition(
      addresses: addresses, counts: counts, target: headerBytes(0, offset), stride: byteStride,
      start: UInt(op.e), end: Int(op.e) &+ Int(count))
    if count == 14 {
      return those(of: running) { from.copy($0, count: 14) }
    } else if count == 20 {
      return those(of: running) { from.copy($0, count: 20) }
    }
    let count = Int(count)
    return those(of: running) { from.copy($0, count: count) }
  }

  /// Bytes of all packets from the same position on, and where they go.
  @safe
  private struct FixedPosition {
    let addresses: UnsafeMutablePointer<UInt>
    let counts: UnsafeMutablePointer<Int>
    let target: UnsafeMutablePointer<UInt8>
    let stride: Int
    let start: UInt
    let end: Int

    @inline(__always)
    func copy(_ packet: Int, count: Int) -> Bool {
      if unsafe counts[packet] < end { return false }
      let from = unsafe UnsafePointer<UInt8>(bitPattern: addresses[packet] &+ start)
      unsafe copyShort(from.unsafelyUnwrapped, target + packet &* stride, count)
      return true
    }
  }

  func extractRun(
    _ op: Instruction, _ running: UInt64, _ headers: UnsafePointer<UInt32>
  ) -> UInt64 {
    let good = copyIn(
      op, running, to: op.d, count: UInt32(truncatingIfNeeded: op.immediate))
    var index = 0
    while index < Int(op.b) {
      unsafe setMask(headers[index], good, to: ~0)
      index &+= 1
    }
    each(running & ~good) { unsafe extractPart(op, $0, headers) }
    return good
  }

  /// As many headers of a run as the packet holds; then it fails.
  private func extractPart(_ op: Instruction, _ packet: Int, _ headers: UnsafePointer<UInt32>) {
    var position = position(packet, op)
    var index = 0
    while index < Int(op.b) {
      let number = unsafe headers[index]
      let header = header(number)
      if !holds(packet, position, UInt64(header.bytes)) { break }
      unsafe copyShort(
        packetBytes(packet, position), headerBytes(packet, header.offset), Int(header.bytes))
      setMask(number, 1 &<< UInt64(truncatingIfNeeded: packet), to: ~0)
      position &+= UInt64(header.bytes)
      index &+= 1
    }
    fail(packet, position, ParserError.packetTooShort)
  }

  func extractVariable(_ op: Instruction, _ running: UInt64) -> UInt64 {
    let header = header(op.a)
    let lengths = lane(op.b), stored = lane(header.lengthLane)
    let before = Int(header.variableBit &>> 3)
    let most = Int(header.variableBits &>> 3)
    let after = Int(header.bytes) &- before &- most
    return those(of: running) { packet in
      let bits = lengths[packet]
      let position = position(packet, op)
      if bits & 7 != 0 {
        fail(packet, position, ParserError.parserInvalidArgument)
        return false
      }
      // A negative length counts as one over the maximum, but only after the packet has been found
      // to have the bytes in front.
      let isTooLong = bits > UInt64(header.variableBits)
      let wanted = isTooLong && Int64(bitPattern: bits) < 0 ? 0 : bits &>> 3
      if !holds(packet, position, UInt64(header.fixedBytes) &+ wanted) {
        fail(packet, position, ParserError.packetTooShort)
        return false
      }
      if isTooLong {
        fail(packet, position, ParserError.headerTooShort)
        return false
      }
      let length = Int(truncatingIfNeeded: bits &>> 3)
      let source = unsafe packetBytes(packet, position)
      let target = unsafe headerBytes(packet, header.offset)
      unsafe copyShort(source, target, before &+ length)
      unsafe copyShort(source + (before &+ length), target + (before &+ most), after)
      stored[packet] = bits
      setMask(op.a, 1 &<< UInt64(truncatingIfNeeded: packet), to: ~0)
      return true
    }
  }

  func extractNext(
    _ op: Instruction, _ running: UInt64, _ stack: StackImage, _ numbers: UnsafePointer<UInt32>
  ) -> UInt64 {
    let next = lane(stack.nextLane)
    let elements = unsafe numbers + Int(stack.headers.first)
    return those(of: running) { packet in
      let index = next[packet]
      let position = position(packet, op)
      if index >= UInt64(stack.count) {
        fail(packet, position, ParserError.stackOutOfBounds)
        return false
      }
      let number = unsafe elements[Int(truncatingIfNeeded: index)]
      let header = header(number)
      if !holds(packet, position, UInt64(header.bytes)) {
        fail(packet, position, ParserError.packetTooShort)
        return false
      }
      unsafe copyShort(
        packetBytes(packet, position), headerBytes(packet, header.offset), Int(header.bytes))
      setMask(number, 1 &<< UInt64(truncatingIfNeeded: packet), to: ~0)
      next[packet] = index &+ 1
      return true
    }
  }

  func failUnless(_ op: Instruction, _ running: UInt64) -> UInt64 {
    let good = running & mask(op.a)
    each(running & ~good) { fail($0, position($0, op), op.immediate) }
    return good
  }

  func failUnlessLane(_ op: Instruction, _ running: UInt64) -> UInt64 {
    let good = running & mask(op.a)
    let errors = lane(op.b)
    each(running & ~good) { fail($0, position($0, op), errors[$0]) }
    return good
  }

  func require(_ op: Instruction, _ running: UInt64) -> UInt64 {
    require(op.immediate, op, running)
  }

  /// The packets that have `count` bytes at the position; the others fail.
  @inline(__always)
  private func require(_ count: UInt64, _ op: Instruction, _ running: UInt64) -> UInt64 {
    let good = those(of: running) { holds($0, position($0, op), count) }
    let bad = running & ~good
    if bad != 0 {
      each(bad) { fail($0, position($0, op), ParserError.packetTooShort) }
    }
    return good
  }

  func advance(_ op: Instruction, _ running: UInt64) -> UInt64 {
    let distances = lane(op.a), cursor = lane(cursorLane)
    return those(of: running) { packet in
      let position = position(packet, op)
      let bits = distances[packet]
      if bits & 7 != 0 {
        fail(packet, position, ParserError.parserInvalidArgument)
        return false
      }
      if !holds(packet, position, bits &>> 3) {
        fail(packet, position, ParserError.packetTooShort)
        return false
      }
      cursor[packet] = position &+ bits &>> 3
      return true
    }
  }

  func lookahead(_ op: Instruction, _ running: UInt64) -> UInt64 {
    let target = lane(op.d)
    let last = op.immediate &+ UInt64(op.size)
    return those(of: running) { packet in
      let position = position(packet, op)
      if !holds(packet, position, (last &+ 7) &>> 3) {
        fail(packet, position, ParserError.packetTooShort)
        return false
      }
      target[packet] = unsafe packetBits(
        packetBytes(packet, position), endingAt: Int(truncatingIfNeeded: last),
        width: Int(op.size))
      return true
    }
  }

  func lookaheadWide(_ op: Instruction, _ running: UInt64) -> UInt64 {
    let last = op.immediate &+ UInt64(op.b)
    return those(of: running) { packet in
      let position = position(packet, op)
      if !holds(packet, position, (last &+ 7) &>> 3) {
        fail(packet, position, ParserError.packetTooShort)
        return false
      }
      let bytes = unsafe packetBytes(packet, position)
      let slot = wideSlot(packet, op.d)
      var word = 0
      while word < wideLimbs {
        let width = min(64, Int(op.b) &- word &* 64)
        slot[word] =
          width <= 0
          ? 0
          : unsafe packetBits(
            bytes, endingAt: Int(truncatingIfNeeded: last) &- word &* 64, width: width)
        word &+= 1
      }
      return true
    }
  }
}

/// As `loadBits`, but reads no byte that does not hold one of the bits: before a packet's first
/// byte there may be anything, or nothing.
private func packetBits(
  _ base: UnsafePointer<UInt8>, endingAt end: Int, width: Int
) -> UInt64 {
  var byte = (end &- width) &>> 3
  let last = (end &- 1) &>> 3
  let low = UInt64(-end & 7)
  var value: UInt64 = 0
  while byte < last {
    value = unsafe value &<< 8 | UInt64(base[byte])
    byte &+= 1
  }
  value = unsafe value &<< (8 &- low) | UInt64(base[last]) &>> low
  return value & lowBits(width)
}
