import DPUCore

/// All that a machine writes to while it runs: allocated once, for two banks of 64 packets.
struct MachineMemory: ~Copyable {
  static let packets = 2 * Machine.width
  /// Free bytes before the header bytes of packet 0: reading a field of odd width looks at up to
  /// nine bytes that end with the field.
  private static let frontBytes = 64

  private var lanes: FixedArray<UInt64>
  private var masks: FixedArray<UInt64>
  private var bytes: FixedArray<UInt8>
  private var wide: FixedArray<UInt64>
  private var wideScratch: FixedArray<UInt64>
  private var addresses: FixedArray<UInt>
  private var counts: FixedArray<Int>
  private var arrivals: FixedArray<UInt64>
  private var requestMasks: FixedArray<UInt64>
  private var requestValues: FixedArray<UInt32>
  private var requestLists: FixedArray<Int32>
  private var failures: FixedArray<UInt64>
  private var pending: FixedArray<UInt64>
  private var parked: FixedArray<UInt64>
  private var ready: FixedArray<UInt64>
  private var steps: FixedArray<UInt32>
  private var columns: FixedArray<UInt64>
  private var actionMasks: FixedArray<UInt64>
  private var keys: FixedArray<UInt8>
  private var input: FixedArray<UInt8>

  let first: Bank
  let second: Bank
  let scratch: Scratch

  init(_ code: PipelineCode, _ image: borrowing CodeImage) {
    // One lane more than the program has: where standard metadata that it lacks is written to.
    lanes = FixedArray(repeating: 0, count: (code.laneCount + 1) * Bank.laneStride)
    masks = FixedArray(repeating: 0, count: 2 * max(1, code.maskCount))
    // An odd number of cache lines from packet to packet, for the same reason as in lanes.
    let byteStride = (code.headerBytes + 63) / 64 * 64 | 64
    bytes = FixedArray(repeating: 0, count: Self.frontBytes + Self.packets * byteStride)
    wide = FixedArray(repeating: 0, count: Self.packets * code.wideCount * code.wideLimbs)
    wideScratch = FixedArray(repeating: 0, count: 4 * code.wideLimbs + 1)
    addresses = FixedArray(repeating: 0, count: Self.packets)
    counts = FixedArray(repeating: 0, count: Self.packets)
    arrivals = FixedArray(repeating: 0, count: Self.packets)
    let kinds = RequestKind.count
    requestMasks = FixedArray(repeating: 0, count: 2 * kinds)
    requestValues = FixedArray(repeating: 0, count: Self.packets * kinds)
    requestLists = FixedArray(repeating: -1, count: Self.packets * kinds)
    failures = FixedArray(repeating: 0, count: 2)
    pending = FixedArray(repeating: 0, count: code.blocks.count)
    parked = FixedArray(repeating: 0, count: code.blocks.count)
    ready = FixedArray(repeating: 0, count: code.blocks.count / 64 + 1)
    steps = FixedArray(repeating: 0, count: Machine.width)
    columns = FixedArray(repeating: 0, count: 4 * Machine.width)
    actionMasks = FixedArray(repeating: 0, count: 256)
    // Bits are put in place eight bytes at a time, and read with up to nine before them.
    let keyStride = (image.gatherBytes + 7) / 8 * 8 + 16
    keys = FixedArray(repeating: 0, count: 16 + Machine.width * keyStride)
    input = FixedArray(
      repeating: 0,
      count: image.gatherBytes + 48 + (image.hashesPayload ? Machine.payloadBytesMax : 0))
    unsafe scratch = Scratch(
      pending: pending.start, parked: parked.start, ready: ready.start, steps: steps.start,
      columns: columns.start, actionMasks: actionMasks.start, keys: keys.start + 16,
      keyStride: keyStride, input: input.start + 16)

    let headers = unsafe image.headers
    let lanes = unsafe lanes.start, masks = unsafe masks.start, bytes = unsafe bytes.start
    let wide = unsafe wide.start, wideScratch = unsafe wideScratch.start
    let addresses = unsafe addresses.start, counts = unsafe counts.start
    let arrivals = unsafe arrivals.start, failures = unsafe failures.start
    let requestMasks = unsafe requestMasks.start, requestValues = unsafe requestValues.start
    let requestLists = unsafe requestLists.start
    func bank(_ number: Int) -> Bank {
      let packet = number * Machine.width
      return unsafe Bank(
        number: number, lanes: lanes + packet, masks: masks + number * code.maskCount,
        bytes: bytes + Self.frontBytes + packet * byteStride, byteStride: byteStride,
        wide: wide + packet * code.wideCount * code.wideLimbs, wideCount: code.wideCount,
        wideLimbs: code.wideLimbs, wideScratch: wideScratch, addresses: addresses + packet,
        counts: counts + packet, arrivals: Column(arrivals + packet),
        requests: RequestArea(
          masks: requestMasks + number * kinds, values: requestValues + packet * kinds,
          lists: requestLists + packet * kinds),
        headers: headers, cursorLane: code.cursorLane, errorLane: image.errorLane,
        failures: failures + number)
    }
    first = bank(0)
    second = bank(1)
  }

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

extension FixedArray {
  /// Where the elements start. Good for the life of the array: it never moves its elements.
  @unsafe
  var start: UnsafeMutablePointer<Element> {
    mutating get {
      var span = mutableSpan
      return unsafe span.withUnsafeMutableBufferPointer { buffer in
        // An empty array gives no address; nothing is read through it then.
        unsafe buffer.baseAddress ?? UnsafeMutablePointer(bitPattern: 64)!
      }
    }
  }

  /// An array of the elements of another one.
  init(_ elements: [Element], filler: Element) {
    self.init(repeating: filler, count: elements.count)
    for index in elements.indices { self[index] = elements[index] }
  }
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
