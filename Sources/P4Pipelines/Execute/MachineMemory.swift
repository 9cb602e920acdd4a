/// All that a machine writes to while it runs: allocated once, for two banks of 64 packets.
struct MachineMemory: ~Copyable {
  static let packets = 2 * Machine.width
  /// Free bytes before the header bytes of packet 0: reading a field of odd width looks at up to
  /// nine bytes that end with the field.
  private static let frontBytes = 64

  private let lanes: RawArray<UInt64>
  private let masks: RawArray<UInt64>
  private let bytes: RawArray<UInt8>
  private let wide: RawArray<UInt64>
  private let wideScratch: RawArray<UInt64>
  private let addresses: RawArray<UInt>
  private let counts: RawArray<Int>
  private let arrivals: RawArray<UInt64>
  private let requestMasks: RawArray<UInt64>
  private let requestValues: RawArray<UInt32>
  private let requestLists: RawArray<Int32>
  private let failures: RawArray<UInt64>
  private let pending: RawArray<UInt64>
  private let parked: RawArray<UInt64>
  private let ready: RawArray<UInt64>
  private let steps: RawArray<UInt32>
  private let columns: RawArray<UInt64>
  private let actionMasks: RawArray<UInt64>
  private let keys: RawArray<UInt8>
  private let input: RawArray<UInt8>
  private let layoutNumberArray: RawArray<UInt8>
  private let layoutArray: RawArray<HeaderLayout>
  private let runArray: RawArray<PipelineCode.ByteRange>

  let first: Bank
  let second: Bank
  let scratch: Scratch

  init(_ code: PipelineCode, _ image: borrowing CodeImage) {
    // Everything is made in variables of this function and stored at the end: reading a stored
    // property while others are still missing is compiled wrongly (6.3.1, optimised) in a type
    // that owns memory.
    // One lane more than the program has: where standard metadata that it lacks is written to.
    let lanes = RawArray<UInt64>(zeroes: (code.laneCount + 1) * Bank.laneStride)
    let masks = RawArray<UInt64>(zeroes: 2 * max(1, code.maskCount))
    // An odd number of cache lines from packet to packet, for the same reason as in lanes.
    let byteStride = (code.headerBytes + 63) / 64 * 64 | 64
    let bytes = RawArray<UInt8>(zeroes: Self.frontBytes + Self.packets * byteStride)
    let wide = RawArray<UInt64>(zeroes: Self.packets * code.wideCount * code.wideLimbs)
    let wideScratch = RawArray<UInt64>(zeroes: 4 * code.wideLimbs)
    let addresses = RawArray<UInt>(zeroes: Self.packets)
    let counts = RawArray<Int>(zeroes: Self.packets)
    let arrivals = RawArray<UInt64>(zeroes: Self.packets)
    let kinds = RequestKind.count
    let requestMasks = RawArray<UInt64>(zeroes: 2 * kinds)
    let requestValues = RawArray<UInt32>(zeroes: Self.packets * kinds)
    let requestLists = RawArray<Int32>(zeroes: Self.packets * kinds)
    let failures = RawArray<UInt64>(zeroes: 2)
    let pending = RawArray<UInt64>(zeroes: code.blocks.count)
    let parked = RawArray<UInt64>(zeroes: code.blocks.count)
    let ready = RawArray<UInt64>(zeroes: code.blocks.count / 64 + 1)
    let steps = RawArray<UInt32>(zeroes: Machine.width)
    let columns = RawArray<UInt64>(zeroes: 4 * Machine.width)
    let actionMasks = RawArray<UInt64>(zeroes: 256)
    // Bits are put in place eight bytes at a time, and read with up to nine before them.
    let keyStride = (image.gatherBytes + 7) / 8 * 8 + 16
    let keys = RawArray<UInt8>(zeroes: 16 + Machine.width * keyStride)
    let input = RawArray<UInt8>(
      zeroes: image.gatherBytes + 48 + (image.hashesPayload ? Machine.payloadBytesMax : 0))

    let layoutNumbers = RawArray<UInt8>(zeroes: Self.packets)
    let layouts = RawArray<HeaderLayout>(zeroes: 2 * HeaderLayout.perBank)
    let runs = RawArray<PipelineCode.ByteRange>(
      zeroes: 2 * HeaderLayout.perBank * Int(image.deparserOrder.count))

    var banks: [Bank] = []
    for number in 0..<2 {
      let packet = number * Machine.width
      unsafe banks.append(
        Bank(
          number: number, lanes: lanes.base + packet, masks: masks.base + number * code.maskCount,
          bytes: bytes.base + Self.frontBytes + packet * byteStride, byteStride: byteStride,
          wide: wide.base + packet * code.wideCount * code.wideLimbs, wideCount: code.wideCount,
          wideLimbs: code.wideLimbs, wideScratch: wideScratch.base,
          addresses: addresses.base + packet, counts: counts.base + packet,
          arrivals: Column(arrivals.base + packet),
          requests: RequestArea(
            masks: requestMasks.base + number * kinds,
            values: requestValues.base + packet * kinds,
            lists: requestLists.base + packet * kinds),
          headers: UnsafePointer(image.headers.base), cursorLane: code.cursorLane,
          errorLane: image.errorLane, failures: failures.base + number))
    }
    let scratch = unsafe Scratch(
      pending: pending.base, parked: parked.base, ready: ready.base, steps: steps.base,
      columns: columns.base, actionMasks: actionMasks.base, keys: keys.base + 16,
      keyStride: keyStride, input: input.base + 16)

    self.lanes = lanes
    self.masks = masks
    self.bytes = bytes
    self.wide = wide
    self.wideScratch = wideScratch
    self.addresses = addresses
    self.counts = counts
    self.arrivals = arrivals
    self.requestMasks = requestMasks
    self.requestValues = requestValues
    self.requestLists = requestLists
    self.failures = failures
    self.pending = pending
    self.parked = parked
    self.ready = ready
    self.steps = steps
    self.columns = columns
    self.actionMasks = actionMasks
    self.keys = keys
    self.input = input
    layoutNumberArray = layoutNumbers
    layoutArray = layouts
    runArray = runs
    first = banks[0]
    second = banks[1]
    self.scratch = scratch
  }

  /// Per packet of both banks: its layout.
  var layoutNumbers: UnsafeMutablePointer<UInt8> { unsafe layoutNumberArray.base }
  var layouts: UnsafeMutablePointer<HeaderLayout> { unsafe layoutArray.base }
  /// For each layout, places for as many runs as the deparser has headers.
  var runs: UnsafeMutablePointer<PipelineCode.ByteRange> { unsafe runArray.base }

  @inline(__always)
  func bank(_ number: Int) -> Bank {
    precondition(number & ~1 == 0)
    return number == 0 ? first : second
  }
}

/// Memory that holds nothing between two instructions, and the waiting lists of the blocks.
@safe
struct Scratch: BitwiseCopyable {
  /// Per block: packets that wait for it. A bit in `ready` says that there are some.
  let pending: UnsafeMutablePointer<UInt64>
  /// Per block: packets that wait for their turn in a serial region.
  let parked: UnsafeMutablePointer<UInt64>
  let ready: UnsafeMutablePointer<UInt64>
  /// Per packet: jumps back in this section.
  let steps: UnsafeMutablePointer<UInt32>
  let columns: UnsafeMutablePointer<UInt64>
  /// Per action of a table: packets that run it.
  let actionMasks: UnsafeMutablePointer<UInt64>
  /// Keys of 64 packets.
  let keys: UnsafeMutablePointer<UInt8>
  let keyStride: Int
  /// Input of a hash of one packet.
  let input: UnsafeMutablePointer<UInt8>

  /// One of four columns for values that have no lane.
  @inline(__always)
  func column(_ number: Int) -> Column { unsafe Column(columns + number &* Machine.width) }
}

/// What packets of a bank have asked for.
@safe
struct RequestArea: BitwiseCopyable {
  /// A word per kind.
  let masks: UnsafeMutablePointer<UInt64>
  /// 64 per kind.
  let values: UnsafeMutablePointer<UInt32>
  let lists: UnsafeMutablePointer<Int32>

  @inline(__always)
  func mask(_ kind: RequestKind) -> UInt64 { unsafe masks[kind.rawValue] }

  @inline(__always)
  func add(_ kind: RequestKind, _ packets: UInt64) { unsafe masks[kind.rawValue] |= packets }

  @inline(__always)
  func remove(_ kind: RequestKind, _ packets: UInt64) { unsafe masks[kind.rawValue] &= ~packets }

  func removeAll(_ packets: UInt64) {
    for kind in 0..<RequestKind.count { unsafe masks[kind] &= ~packets }
  }

  @inline(__always)
  func set(_ kind: RequestKind, _ packet: Int, value: UInt32, list: Int32) {
    let index = kind.rawValue &* 64 &+ packet
    unsafe values[index] = value
    unsafe lists[index] = list
  }

  @inline(__always)
  func value(_ kind: RequestKind, _ packet: Int) -> UInt32 {
    unsafe values[kind.rawValue &* 64 &+ packet]
  }

  @inline(__always)
  func list(_ kind: RequestKind, _ packet: Int) -> Int32 {
    unsafe lists[kind.rawValue &* 64 &+ packet]
  }
}
