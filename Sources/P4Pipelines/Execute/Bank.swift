// Raw pointers into the machine's memory, without a check per access: they are what makes an
// instruction cost a nanosecond per packet. Three things make them true:
// - `CodeCheck` has proved, when the program was loaded, that every lane, mask, header byte range
//   and wide slot that an instruction names lies inside the memory that was allocated for it;
// - a packet's number comes from a 64-bit mask, so it is below 64, and every area has 64 of each;
// - `MachineMemory` owns the memory and neither moves nor frees it before the machine goes.
// What a packet itself decides (positions in it, indices of stacks) is checked where it is used.

/// One lane of a bank: a word for each of 64 packets.
@safe
struct Column: BitwiseCopyable {
  let base: UnsafeMutablePointer<UInt64>

  @inline(__always)
  init(_ base: UnsafeMutablePointer<UInt64>) { unsafe self.base = base }

  @inline(__always)
  subscript(packet: Int) -> UInt64 {
    get { unsafe base[packet] }
    nonmutating set { unsafe base[packet] = newValue }
  }
}

/// Calls `body` for each packet of `mask`, in order. Most masks are the first n packets, and then
/// a counted loop lets the compiler keep addresses in registers and use vectors.
@inline(__always)
func each(_ mask: UInt64, _ body: (Int) -> Void) {
  if mask & (mask &+ 1) == 0 {
    let count = 64 &- mask.leadingZeroBitCount
    var packet = 0
    while packet < count {
      body(packet)
      packet &+= 1
    }
  } else {
    var rest = mask
    repeat {
      body(rest.trailingZeroBitCount)
      rest &= rest &- 1
    } while rest != 0
  }
}

/// The packets of `mask` for which `test` holds; in any order.
@inline(__always)
func those(of mask: UInt64, where test: (Int) -> Bool) -> UInt64 {
  var result: UInt64 = 0
  if mask & (mask &+ 1) == 0 {
    // From the last to the first: each answer shifts those before it on, which is one addition. As
    // a number and not by `?`, of which the compiler makes a jump that nobody can predict.
    var packet = 64 &- mask.leadingZeroBitCount
    while packet > 0 {
      packet &-= 1
      result = unsafe result &+ result &+ UInt64(unsafeBitCast(test(packet), to: UInt8.self))
    }
  } else {
    each(mask) { packet in
      result |= (test(packet) ? 1 : 0) &<< UInt64(truncatingIfNeeded: packet)
    }
  }
  return result
}

/// The same for short tests, of two packets at a time: counting would cost as much as the test.
@inline(__always)
func thoseInPairs(of mask: UInt64, where test: (Int) -> Bool) -> UInt64 {
  if mask & (mask &+ 1) != 0 { return those(of: mask, where: test) }
  var result: UInt64 = 0
  var packet = 64 &- mask.leadingZeroBitCount
  if packet & 1 != 0 {
    packet &-= 1
    result = unsafe UInt64(unsafeBitCast(test(packet), to: UInt8.self))
  }
  while packet > 0 {
    packet &-= 2
    let second = unsafe UInt64(unsafeBitCast(test(packet &+ 1), to: UInt8.self))
    let first = unsafe UInt64(unsafeBitCast(test(packet), to: UInt8.self))
    result = result &<< 2 &+ (second &+ second &+ first)
  }
  return result
}

/// The state of 64 packets, as instructions see it.
@safe
struct Bank: BitwiseCopyable {
  /// Words from a lane to the next: two banks of 64 packets, and 8 words more so that the same
  /// packet's lanes do not fall into the same few sets of the cache.
  static let laneStride = 136

  let number: Int
  /// Lane 0 of this bank's packet 0.
  let lanes: UnsafeMutablePointer<UInt64>
  let masks: UnsafeMutablePointer<UInt64>
  /// Header byte 0 of packet 0.
  let bytes: UnsafeMutablePointer<UInt8>
  let byteStride: Int
  /// Wide slot 0 of packet 0; the slots of a packet follow each other.
  let wide: UnsafeMutablePointer<UInt64>
  let wideCount: Int
  let wideLimbs: Int
  /// Limbs for intermediate results of one packet: four wide values.
  let wideScratch: UnsafeMutablePointer<UInt64>
  /// Where the packets lie, and their lengths.
  let addresses: UnsafeMutablePointer<UInt>
  let counts: UnsafeMutablePointer<Int>
  /// Lengths on arrival, which counters and meters count.
  let arrivals: Column
  let requests: RequestArea
  let headers: UnsafePointer<PipelineCode.HeaderCode>
  let cursorLane: UInt32
  /// `Instruction.none` when the program does not read the error.
  let errorLane: UInt32
  /// One word: packets whose parser failed.
  let failures: UnsafeMutablePointer<UInt64>

  // MARK: Lanes and masks

  @inline(__always)
  func lane(_ lane: UInt32) -> Column { unsafe Column(lanes + Int(lane) &* Self.laneStride) }

  @inline(__always)
  func mask(_ mask: UInt32) -> UInt64 { unsafe masks[Int(mask)] }

  @inline(__always)
  func setMask(_ mask: UInt32, _ running: UInt64, to value: UInt64) {
    unsafe masks[Int(mask)] = masks[Int(mask)] & ~running | value & running
  }

  // MARK: Header bytes

  @inline(__always)
  func headerBytes(_ packet: Int, _ offset: UInt32) -> UnsafeMutablePointer<UInt8> {
    unsafe bytes + (packet &* byteStride &+ Int(offset))
  }

  /// Eight bytes from `offset`, as a big-endian number.
  @inline(__always)
  func word(_ packet: Int, _ offset: UInt32) -> UInt64 {
    unsafe load64(headerBytes(packet, offset))
  }

  @inline(__always)
  func setWord(_ packet: Int, _ offset: UInt32, _ value: UInt64) {
    unsafe store64(value, headerBytes(packet, offset))
  }

  @inline(__always)
  func field(_ packet: Int, _ offset: UInt32, _ shift: UInt8, _ mask: UInt64) -> UInt64 {
    word(packet, offset) &>> UInt64(shift) & mask
  }

  /// The packets of `running` whose field is `value`: the eight bytes compared as they lie there.
  @inline(__always)
  func equalField(
    _ running: UInt64, _ offset: UInt32, _ shift: UInt8, _ mask: UInt64, equal value: UInt64
  ) -> UInt64 {
    let mask = mask & ~0 &>> UInt64(shift)
    if value & ~mask != 0 { return 0 }
    let low = (mask &<< UInt64(shift)).bigEndian, wanted = (value &<< UInt64(shift)).bigEndian
    return thoseInPairs(of: running) { packet in
      let word = unsafe UnsafeRawPointer(headerBytes(packet, offset))
        .loadUnaligned(as: UInt64.self)
      return word & low == wanted
    }
  }

  @inline(__always)
  func setField(
    _ packet: Int, _ offset: UInt32, _ shift: UInt8, _ mask: UInt64, _ value: UInt64
  ) {
    let shift = UInt64(shift)
    let old = word(packet, offset)
    setWord(packet, offset, old & ~(mask &<< shift) | (value & mask) &<< shift)
  }

  // MARK: The packet

  /// Byte in the packet that an instruction means.
  @inline(__always)
  func position(_ packet: Int, _ op: Instruction) -> UInt64 {
    op.c == Instruction.none ? UInt64(op.e) : lane(op.c)[packet] &+ UInt64(op.e)
  }

  /// Whether the packet has `count` bytes from `position` on; both may be any number.
  @inline(__always)
  func holds(_ packet: Int, _ position: UInt64, _ count: UInt64) -> Bool {
    let length = unsafe UInt64(truncatingIfNeeded: counts[packet])
    return position <= length && count <= length &- position
  }

  @inline(__always)
  func packetBytes(_ packet: Int, _ position: UInt64) -> UnsafePointer<UInt8> {
    unsafe UnsafePointer(bitPattern: addresses[packet] &+ UInt(position))!
  }

  /// Ends the parsing of a packet.
  @inline(never)
  func fail(_ packet: Int, _ position: UInt64, _ error: UInt64) {
    lane(cursorLane)[packet] = position
    if errorLane != Instruction.none { lane(errorLane)[packet] = error }
    if error != ParserError.none { unsafe failures.pointee |= 1 &<< UInt64(packet) }
  }

  @inline(__always)
  func header(_ number: UInt32) -> PipelineCode.HeaderCode { unsafe headers[Int(number)] }
}

// Headers are read in loops over packets: plain memory.
extension PipelineCode.HeaderCode: BitwiseCopyable {}

/// Eight bytes at any address as a big-endian number.
@inline(__always)
func load64(_ from: UnsafePointer<UInt8>) -> UInt64 {
  unsafe UInt64(bigEndian: UnsafeRawPointer(from).loadUnaligned(as: UInt64.self))
}

@inline(__always)
func load64(_ from: UnsafeMutablePointer<UInt8>) -> UInt64 {
  unsafe UInt64(bigEndian: UnsafeRawPointer(from).loadUnaligned(as: UInt64.self))
}

@inline(__always)
func store64(_ value: UInt64, _ to: UnsafeMutablePointer<UInt8>) {
  unsafe UnsafeMutableRawPointer(to).storeBytes(of: value.bigEndian, as: UInt64.self)
}
