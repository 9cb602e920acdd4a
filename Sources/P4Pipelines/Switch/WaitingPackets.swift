import DPUCore

/// Memory for records whose size only the program knows: field lists, packet states, digests.
///
/// Raw addresses, because the machine reads and writes them as such; every access is
/// `address(of:)` of a record that the owner of the area has taken.
struct RecordArea: ~Copyable {
  private let bytes: FixedArray<UInt8>
  private let stride: Int
  let count: Int

  init(bytes: Int, count: Int) {
    precondition(bytes >= 0 && count > 0)
    // Records start on cache lines of their own once they are that long.
    stride = bytes >= 64 ? (bytes + 63) / 64 * 64 : max(8, (bytes + 7) / 8 * 8)
    self.count = count
    self.bytes = FixedArray(repeating: 0, count: stride * count)
  }

  @inline(__always)
  func address(of record: Int) -> UInt {
    precondition(record >= 0 && record < count)
    return bytes.hostAddress &+ UInt(record &* stride)
  }
}

/// A packet that waits for ingress: from outside, or for another pass.
struct WaitingPacket: BitwiseCopyable {
  var buffer = PacketBuffer.none
  /// When it arrived; 0 for another pass, as BMv2 has it.
  var microseconds: UInt64 = 0
  /// Where it came from outside: what a clone's parser is told, also in a later pass.
  var port: UInt16 = 0
  var instanceType: UInt8 = 0
  /// Field list saved with it, -1: none.
  var fieldList: Int16 = -1
}

/// First in, first out, of a fixed size, each place with a record of field values beside it.
struct WaitingRing: ~Copyable {
  private var places: FixedArray<WaitingPacket>
  private let fields: RecordArea
  private let mask: Int
  private let capacity: Int
  private var head = 0
  private(set) var count = 0

  init(capacity: Int, fieldBytes: Int) {
    var size = 1
    while size < capacity { size *= 2 }
    self.capacity = capacity
    mask = size - 1
    places = FixedArray(repeating: WaitingPacket(), count: size)
    fields = RecordArea(bytes: fieldBytes, count: size)
  }

  var room: Int { capacity - count }

  /// Where `push` will look for the field values of the next packet.
  @inline(__always)
  var nextFields: UInt { fields.address(of: (head &+ count) & mask) }

  /// There must be room.
  @inline(__always)
  mutating func push(_ packet: WaitingPacket) {
    assert(count < capacity)
    places[(head &+ count) & mask] = packet
    count += 1
  }

  /// There must be one. Its field values stay at `fieldsOfLast` until the next `push`.
  @inline(__always)
  mutating func pop() -> WaitingPacket {
    assert(count > 0)
    let place = head & mask
    head = (head &+ 1) & mask
    count -= 1
    return places[place]
  }

  /// The field values of the packet that `pop` has just returned.
  @inline(__always)
  var fieldsOfLast: UInt { fields.address(of: (head &- 1) & mask) }
}

/// A packet that waits between ingress and egress with its headers and metadata.
struct HeldPacket: BitwiseCopyable {
  var buffer = PacketBuffer.none
  var port: UInt16 = 0
  /// Where it came from outside, see `WaitingPacket`.
  var origin: UInt16 = 0
  var instanceType: UInt8 = 0
  /// Field list saved with it, -1: none.
  var fieldList: Int16 = -1
  var truncation: UInt32 = 0
  /// When it began to wait.
  var enqueued: UInt64 = 0
  /// Of a clone made by egress: where its copies go.
  var session = CloneSession()
}

/// Places for held packets, taken and given back in any order.
struct HeldPackets: ~Copyable {
  private var packets: FixedArray<HeldPacket>
  private let states: RecordArea
  private let lists: RecordArea
  private var free: FixedArray<Int32>
  private(set) var freeCount: Int

  init(capacity: Int, stateBytes: Int, fieldBytes: Int) {
    packets = FixedArray(repeating: HeldPacket(), count: capacity)
    states = RecordArea(bytes: stateBytes, count: capacity)
    lists = RecordArea(bytes: fieldBytes, count: capacity)
    free = FixedArray(repeating: 0, count: capacity)
    freeCount = capacity
    for index in 0..<capacity { free[index] = Int32(capacity - 1 - index) }
  }

  var capacity: Int { packets.count }

  mutating func take(_ packet: HeldPacket) -> Int? {
    guard freeCount > 0 else { return nil }
    freeCount -= 1
    let slot = Int(free[freeCount])
    packets[slot] = packet
    return slot
  }

  mutating func give(_ slot: Int) {
    free[freeCount] = Int32(slot)
    freeCount += 1
  }

  subscript(slot: Int) -> HeldPacket { packets[slot] }

  @inline(__always)
  func state(of slot: Int) -> UInt { states.address(of: slot) }

  @inline(__always)
  func fields(of slot: Int) -> UInt { lists.address(of: slot) }
}

/// Numbers, first in, first out.
struct IndexQueue: ~Copyable {
  private var places: FixedArray<Int32>
  private var head = 0
  private(set) var count = 0

  init(capacity: Int) { places = FixedArray(repeating: 0, count: capacity) }

  mutating func push(_ index: Int) {
    precondition(count < places.count)
    var place = head + count
    if place >= places.count { place -= places.count }
    places[place] = Int32(index)
    count += 1
  }

  mutating func pop() -> Int? {
    guard count > 0 else { return nil }
    let index = Int(places[head])
    head += 1
    if head == places.count { head = 0 }
    count -= 1
    return index
  }
}
