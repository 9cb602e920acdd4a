import DPUCore
import PacketWire

/// What is known of one station on the link, learnt by ARP or neighbour discovery.
package struct Neighbour: BitwiseCopyable {
  var address = IPAddress.unspecified
  /// Nil until somebody has answered.
  var mac: MACAddress?
  var confirmedAt = Instant.zero
  var usedAt = Instant.zero
  var askedAt: Instant?
  /// Questions without an answer.
  var asked: UInt8 = 0
  var hashNext: UInt32 = .max
  /// Connections with something to send and nowhere to send it.
  var waiting = ConnectionList()
}

/// Hardware addresses by IP address. An entry not confirmed for 30 seconds is asked for again
/// when it is used, and still used meanwhile; after three unanswered questions it counts as
/// unknown. Nothing expires by a timer: a full table gives up an entry that was not used lately.
struct NeighbourTable: ~Copyable {
  private var neighbours: Slab<Neighbour>
  private var buckets: FixedArray<UInt32>
  private let mask: UInt32
  private let key: FlowHash
  private var hand: UInt32 = 0

  /// Entries looked at before one is given up.
  private static let candidatesMax = 16

  var count: Int { neighbours.count }

  init(capacity: Int, key0: UInt64, key1: UInt64) {
    neighbours = Slab(repeating: Neighbour(), capacity: capacity)
    var size = 2
    while size < 2 * capacity { size *= 2 }
    buckets = FixedArray(repeating: .max, count: size)
    mask = UInt32(size - 1)
    key = FlowHash(key0: key0, key1: key1)
  }

  private func bucket(_ address: IPAddress) -> UInt32 {
    let end = SocketAddress(ip: address, port: 0)
    return UInt32(truncatingIfNeeded: key(end, end)) & mask
  }

  func find(_ address: IPAddress) -> SlabHandle? {
    var index = buckets[bucket(address)]
    while index != .max {
      if neighbours[index].address == address { return neighbours.handle(at: index) }
      index = neighbours[index].hashNext
    }
    return nil
  }

  func contains(_ handle: SlabHandle) -> Bool { neighbours.contains(handle) }

  subscript(handle: SlabHandle) -> Neighbour {
    get { neighbours[handle] }
    _modify { yield &neighbours[handle] }
  }

  enum Insertion { case found(SlabHandle), added(SlabHandle), replaced(SlabHandle), full }

  mutating func findOrInsert(_ address: IPAddress, now: Instant) -> Insertion {
    if let handle = find(address) { return .found(handle) }
    let mustReplace = neighbours.isFull
    if mustReplace, !evict() { return .full }
    guard let handle = neighbours.insert(Neighbour(address: address, usedAt: now)) else {
      return .full
    }
    let bucket = bucket(address)
    neighbours[handle].hashNext = buckets[bucket]
    buckets[bucket] = handle.index
    return mustReplace ? .replaced(handle) : .added(handle)
  }

  enum Resolution: Equatable {
    case known(MACAddress)
    case unknown
  }

  /// The address to send to, and whether to ask: `nil` no, else whom.
  mutating func resolve(
    _ handle: SlabHandle, now: Instant
  ) -> (Resolution, ask: MACAddress?) {
    let neighbour = neighbours[handle]
    neighbours[handle].usedAt = now
    if let mac = neighbour.mac, now - neighbour.confirmedAt < TCPLimits.neighbourReachable {
      return (.known(mac), nil)
    }
    let usable = Int(neighbour.asked) < TCPLimits.neighbourProbesMax ? neighbour.mac : nil
    var ask: MACAddress?
    if neighbour.askedAt.map({ now - $0 >= TCPLimits.neighbourAskInterval }) ?? true {
      ask = usable ?? .broadcast
      neighbours[handle].askedAt = now
      if neighbour.asked < .max { neighbours[handle].asked += 1 }
    }
    return (usable.map { .known($0) } ?? .unknown, ask)
  }

  /// Somebody has said what the hardware address is, or data came through.
  mutating func confirm(_ handle: SlabHandle, _ mac: MACAddress, now: Instant) {
    neighbours[handle].mac = mac
    neighbours[handle].confirmedAt = now
    neighbours[handle].askedAt = nil
    neighbours[handle].asked = 0
  }

  /// Data was acknowledged, so the way there works (RFC 4861 §7.3.1).
  @inline(__always)
  mutating func progressed(_ handle: SlabHandle, now: Instant) {
    guard neighbours.contains(handle), neighbours[handle].mac != nil else { return }
    neighbours[handle].confirmedAt = now
    neighbours[handle].asked = 0
  }

  /// Gives up the entry not used for longest among a few that nobody waits for.
  private mutating func evict() -> Bool {
    var best: UInt32?
    for _ in 0..<min(Self.candidatesMax, neighbours.capacity) {
      hand = hand + 1 < UInt32(neighbours.capacity) ? hand + 1 : 0
      guard neighbours[hand].waiting.head == .max else { continue }
      if best == nil || neighbours[hand].usedAt < neighbours[best!].usedAt { best = hand }
    }
    guard let index = best, let handle = neighbours.handle(at: index) else { return false }
    let bucket = bucket(neighbours[index].address)
    if buckets[bucket] == index {
      buckets[bucket] = neighbours[index].hashNext
    } else {
      var current = buckets[bucket]
      while neighbours[current].hashNext != index { current = neighbours[current].hashNext }
      neighbours[current].hashNext = neighbours[index].hashNext
    }
    neighbours.remove(handle)
    return true
  }
}
