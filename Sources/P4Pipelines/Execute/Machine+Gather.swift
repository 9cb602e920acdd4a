// Puts byte strings together from the state of packets: keys, hash inputs, digests. The sources are
// sound (`CodeCheck`), the targets have room for the plan's bytes, sixteen more behind them and, for
// reading bits, sixteen before.

extension Machine {
  /// Gathers a fixed plan for the packets of `mask`, each at `target + packet * stride`.
  ///
  /// Segment by segment in ascending order: each writes eight bytes at its place, zeros after its
  /// own bits, which the next segment then overwrites.
  @inline(never)
  mutating func gather(
    fixed plan: PlanImage, _ bank: Bank, _ mask: UInt64, _ target: UnsafeMutablePointer<UInt8>,
    _ stride: Int
  ) {
    var index = Int(plan.segments.first)
    let end = index &+ Int(plan.segments.count)
    while index < end {
      let segment = unsafe image.segments.base[index]
      index &+= 1
      var mask = mask
      if segment.guardMask != Instruction.none {
        // Fields of invalid headers are zero in keys.
        let missing = mask & ~bank.mask(segment.guardMask)
        mask &= ~missing
        each(missing) { packet in
          unsafe putNumber(
            0, Int(segment.bits), target + packet &* stride, at: Int(segment.at))
        }
      }
      let isWhole = (segment.at | segment.bits) & 7 == 0 && segment.bits <= 64
      let place = unsafe target + Int(segment.at >> 3)
      let up = UInt64(64 &- segment.bits & 63)
      let low = lowBits(Int(segment.bits))
      switch segment.kind {
      case .lane where isWhole:
        let lane = bank.lane(segment.source)
        each(mask) { unsafe store64((lane[$0] & low) &<< up, place + $0 &* stride) }
      case .field where isWhole:
        each(mask) { packet in
          let value = bank.field(packet, segment.source, segment.shift, segment.mask)
          unsafe store64((value & low) &<< up, place + packet &* stride)
        }
      case .bytes where isWhole:
        each(mask) { packet in
          // The bytes behind a header's end are there: padding.
          let value = bank.word(packet, segment.source) & ~0 &<< up
          unsafe store64(value, place + packet &* stride)
        }
      default:
        each(mask) { packet in
          _ = unsafe put(
            segment, bank, packet, target + packet &* stride, at: Int(segment.at))
        }
      }
    }
  }

  /// Gathers any plan for one packet. Returns the number of bytes, the last one filled up with
  /// zeros.
  mutating func gather(
    _ plan: PlanImage, _ bank: Bank, _ packet: Int, _ target: UnsafeMutablePointer<UInt8>
  ) -> Int {
    var bit = 0
    var index = Int(plan.segments.first)
    let end = index &+ Int(plan.segments.count)
    while index < end {
      let segment = unsafe image.segments.base[index]
      index &+= 1
      if segment.guardMask != Instruction.none,
        bank.mask(segment.guardMask) &>> UInt64(truncatingIfNeeded: packet) & 1 == 0
      {
        continue
      }
      unsafe bit &+= put(segment, bank, packet, target, at: bit)
    }
    return (bit &+ 7) &>> 3
  }

  /// Writes a segment of one packet from bit `bit` on and returns how many bits it has.
  private mutating func put(
    _ segment: PipelineCode.Segment, _ bank: Bank, _ packet: Int,
    _ target: UnsafeMutablePointer<UInt8>, at bit: Int
  ) -> Int {
    let bits = Int(segment.bits)
    switch segment.kind {
    case .bytes, .bits:
      // Bytes, too, may come to an odd place when bits before them were left out.
      let start =
        segment.kind == .bytes ? Int(segment.source) &* 8 : Int(segment.source)
      unsafe putBits(bank.headerBytes(packet, 0), start, bits, target, at: bit)
    case .field:
      let value = bank.field(packet, segment.source, segment.shift, segment.mask)
      unsafe putNumber(value, bits, target, at: bit)
    case .lane:
      unsafe putNumber(bank.lane(segment.source)[packet], bits, target, at: bit)
    case .mask:
      let value = bank.mask(segment.source) &>> UInt64(truncatingIfNeeded: packet) & 1
      unsafe putNumber(value, bits, target, at: bit)
    case .wide:
      // From the highest word down; beyond the slot it is extended with its sign.
      let limbs = bank.wideSlot(packet, segment.source)
      var word = (bits &- 1) / 64
      var done = 0
      while word >= 0 {
        let width = min(64, bits &- word &* 64)
        unsafe putNumber(limbs[word], width, target, at: bit &+ done)
        done &+= width
        word &-= 1
      }
    case .constant:
      unsafe putBits(
        image.constantBytes.base + (CodeImage.constantPadding + Int(segment.source)), 0, bits,
        target, at: bit)
    case .header:
      return unsafe putHeader(segment.source, bank, packet, target, at: bit)
    case .variable:
      let header = bank.header(segment.source)
      let length = Self.variableBits(header, bank, packet)
      unsafe putBits(
        bank.headerBytes(packet, header.offset), Int(header.variableBit), length, target, at: bit)
      return length
    case .payload:
      let start = Self.payloadOffset(bank, packet)
      let count = unsafe min(bank.counts[packet] &- start, Machine.payloadBytesMax)
      unsafe putBytes(
        bank.packetBytes(packet, UInt64(start)), count, target, at: bit)
      return count &* 8
    }
    return bits
  }

  /// A header as on the wire, without the unused part of its varbit.
  private mutating func putHeader(
    _ number: UInt32, _ bank: Bank, _ packet: Int, _ target: UnsafeMutablePointer<UInt8>,
    at bit: Int
  ) -> Int {
    let header = bank.header(number)
    let source = unsafe bank.headerBytes(packet, header.offset)
    let before = Int(header.variableBit)
    let length = header.variableBits == 0 ? 0 : Self.variableBits(header, bank, packet)
    let after = Int(header.bytes) &* 8 &- before &- Int(header.variableBits)
    unsafe putBits(source, 0, before &+ length, target, at: bit)
    unsafe putBits(
      source, before &+ Int(header.variableBits), after, target, at: bit &+ before &+ length)
    return before &+ length &+ after
  }

  /// The varbit's length, never more than its maximum whatever its lane says.
  @inline(__always)
  static func variableBits(_ header: PipelineCode.HeaderCode, _ bank: Bank, _ packet: Int) -> Int {
    Int(truncatingIfNeeded: min(bank.lane(header.lengthLane)[packet], UInt64(header.variableBits)))
  }
}

// MARK: Writing bits in ascending order

/// Writes the low `bits` bits of `value` at bit `bit`, more than 64 with zeros before. The bits
/// before stay, up to eight bytes after become zero.
@inline(__always)
func putNumber(_ value: UInt64, _ bits: Int, _ target: UnsafeMutablePointer<UInt8>, at bit: Int) {
  var bits = bits
  var bit = bit
  while bits > 64 {
    let zeros = min(64, bits &- 64)
    unsafe putNumber(word: 0, zeros, target, at: bit)
    bit &+= zeros
    bits &-= zeros
  }
  if bits > 0 { unsafe putNumber(word: value, bits, target, at: bit) }
}

/// The same for 1 to 64 bits.
@inline(__always)
private func putNumber(
  word value: UInt64, _ bits: Int, _ target: UnsafeMutablePointer<UInt8>, at bit: Int
) {
  let value = value & lowBits(bits)
  let place = unsafe target + bit &>> 3
  let phase = bit & 7
  if phase == 0 {
    unsafe store64(value &<< UInt64(64 &- bits), place)
    return
  }
  let kept = unsafe (UInt64(place.pointee) &>> UInt64(8 &- phase)) &<< UInt64(64 &- phase)
  let room = 64 &- phase
  if bits <= room {
    unsafe store64(kept | value &<< UInt64(room &- bits), place)
  } else {
    let over = bits &- room
    unsafe store64(kept | value &>> UInt64(over), place)
    unsafe place[8] = UInt8(truncatingIfNeeded: value &<< UInt64(8 &- over))
  }
}

/// Appends `bits` bits that start at bit `start` of `source`.
func putBits(
  _ source: UnsafePointer<UInt8>, _ start: Int, _ bits: Int, _ target: UnsafeMutablePointer<UInt8>,
  at bit: Int
) {
  if (start | bits | bit) & 7 == 0 {
    unsafe copyShort(source + start &>> 3, target + bit &>> 3, bits &>> 3)
    return
  }
  var done = 0
  while done < bits {
    let width = min(56, bits &- done)
    let value = unsafe loadBits(source, endingAt: start &+ done &+ width, width: width)
    unsafe putNumber(word: value, width, target, at: bit &+ done)
    done &+= width
  }
}

/// Appends whole bytes, nothing before which is read.
private func putBytes(
  _ source: UnsafePointer<UInt8>, _ count: Int, _ target: UnsafeMutablePointer<UInt8>, at bit: Int
) {
  if bit & 7 == 0 {
    unsafe copyShort(source, target + bit &>> 3, count)
    return
  }
  var index = 0
  while index < count {
    unsafe putNumber(word: UInt64(source[index]), 8, target, at: bit &+ index &* 8)
    index &+= 1
  }
}
