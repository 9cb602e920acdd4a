// Writes headers back. The caller gives the address and has room for `headerLength` bytes.

extension Machine {
  /// Bytes of the headers that the deparser emits.
  package mutating func headerLength(bank number: Int, packet: Int) -> Int {
    let bank = memory.bank(number)
    let packet = checked(packet)
    var length = 0
    each(emittedBy: bank, packet) { header in
      length &+= Self.emittedBytes(header, bank, packet)
    }
    return length
  }

  /// Where the bytes that no header holds start.
  package func payloadOffset(bank: Int, packet: Int) -> Int {
    Self.payloadOffset(memory.bank(bank), checked(packet))
  }

  /// Never beyond the packet's end, whatever the cursor says.
  @inline(__always)
  static func payloadOffset(_ bank: Bank, _ packet: Int) -> Int {
    let count = unsafe bank.counts[packet]
    let cursor = bank.lane(bank.cursorLane)[packet]
    return Int(truncatingIfNeeded: min(cursor, UInt64(truncatingIfNeeded: count)))
  }

  /// Writes the headers that the deparser emits, `headerLength` bytes.
  package mutating func writeHeaders(bank number: Int, packet: Int, to address: UInt) {
    let bank = memory.bank(number)
    let packet = checked(packet)
    var target = unsafe UnsafeMutablePointer<UInt8>(bitPattern: address)!
    each(emittedBy: bank, packet) { header in
      let source = unsafe bank.headerBytes(packet, header.offset)
      if header.variableBits == 0 {
        unsafe copyShort(source, target, Int(header.bytes))
        unsafe target += Int(header.bytes)
        return
      }
      let before = Int(header.variableBit &>> 3)
      let length = Int(truncatingIfNeeded: bank.variableBits(header, packet) &>> 3)
      let most = Int(header.variableBits &>> 3)
      let after = Int(header.bytes) &- before &- most
      unsafe copyShort(source, target, before &+ length)
      unsafe copyShort(source + (before &+ most), target + (before &+ length), after)
      unsafe target += before &+ length &+ after
    }
  }

  /// Packets whose headers to emit take exactly the bytes that the parser has gone over, so that
  /// they can be written back to the start of the packet and nothing moves.
  package mutating func sameLayout(bank number: Int, _ mask: UInt64) -> UInt64 {
    let bank = memory.bank(number)
    let lengths = scratch.column(0)
    P4Pipelines.each(mask) { lengths[$0] = 0 }
    for index in 0..<Int(image.deparserOrder.count) {
      let number = unsafe image.numbers.base[Int(image.deparserOrder.first) &+ index]
      let valid = bank.mask(number) & mask
      if valid == 0 { continue }
      let header = bank.header(number)
      if header.variableBits == 0 {
        P4Pipelines.each(valid) { lengths[$0] &+= UInt64(header.bytes) }
      } else {
        P4Pipelines.each(valid) { packet in
          lengths[packet] &+= UInt64(truncatingIfNeeded: Self.emittedBytes(header, bank, packet))
        }
      }
    }
    return those(of: mask) { packet in
      lengths[packet] == UInt64(truncatingIfNeeded: Self.payloadOffset(bank, packet))
    }
  }

  @inline(__always)
  private mutating func each(
    emittedBy bank: Bank, _ packet: Int, _ body: (PipelineCode.HeaderCode) -> Void
  ) {
    for index in 0..<Int(image.deparserOrder.count) {
      let number = unsafe image.numbers.base[Int(image.deparserOrder.first) &+ index]
      if bank.mask(number) &>> UInt64(truncatingIfNeeded: packet) & 1 == 0 { continue }
      body(bank.header(number))
    }
  }

  @inline(__always)
  private static func emittedBytes(
    _ header: PipelineCode.HeaderCode, _ bank: Bank, _ packet: Int
  ) -> Int {
    Int(header.fixedBytes)
      &+ Int(truncatingIfNeeded: bank.variableBits(header, packet) &>> 3)
  }
}
