import DPUCore
import PacketWire

/// Keyed hash of a connection's addresses and ports.
struct FlowHash: BitwiseCopyable {
  let key0: UInt64
  let key1: UInt64

  @inline(__always)
  func callAsFunction(_ local: SocketAddress, _ remote: SocketAddress) -> UInt64 {
    var hash = SipHash(key0: key0, key1: key1)
    let ports = UInt64(local.port) << 16 | UInt64(remote.port)
    if local.ip.isIPv4 {
      hash.combine(UInt64(local.ip.v4) << 32 | UInt64(remote.ip.v4))
      hash.combine(ports)
    } else {
      hash.combine(local.ip.high)
      hash.combine(local.ip.low)
      hash.combine(remote.ip.high)
      hash.combine(remote.ip.low)
      hash.combine(1 << 32 | ports)
    }
    return hash.finish()
  }
}

/// Finds connections by their addresses: chains through the slab from a table twice its size.
struct ConnectionTable: ~Copyable {
  private var buckets: FixedArray<UInt32>
  private let mask: UInt32

  init(capacity: Int) {
    var size = 2
    while size < 2 * capacity { size *= 2 }
    buckets = FixedArray(repeating: .max, count: size)
    mask = UInt32(size - 1)
  }

  @inline(__always)
  func find(
    _ hash: UInt32, _ local: SocketAddress, _ remote: SocketAddress,
    in connections: borrowing Slab<Connection>
  ) -> UInt32? {
    var index = buckets[hash & mask]
    while index != .max {
      if connections[index].hash == hash, connections[index].remote == remote,
        connections[index].local == local
      {
        return index
      }
      index = connections[index].hashNext
    }
    return nil
  }

  mutating func insert(_ index: UInt32, into connections: inout Slab<Connection>) {
    let bucket = connections[index].hash & mask
    connections[index].hashNext = buckets[bucket]
    buckets[bucket] = index
  }

  mutating func remove(_ index: UInt32, from connections: inout Slab<Connection>) {
    let bucket = connections[index].hash & mask
    var current = buckets[bucket]
    if current == index {
      buckets[bucket] = connections[index].hashNext
      return
    }
    while current != .max {
      let next = connections[current].hashNext
      if next == index {
        connections[current].hashNext = connections[index].hashNext
        return
      }
      current = next
    }
  }
}

/// A queue of connections linked through their records. A connection is in at most one.
struct ConnectionList: BitwiseCopyable {
  enum Name: UInt8, BitwiseCopyable { case none, ready, awaitingNeighbour }

  private(set) var head: UInt32 = .max
  private var tail: UInt32 = .max

  mutating func append(
    _ index: UInt32, as name: Name, in connections: inout Slab<Connection>
  ) {
    connections[index].list = name
    connections[index].listNext = .max
    connections[index].listPrevious = tail
    if tail == .max { head = index } else { connections[tail].listNext = index }
    tail = index
  }

  mutating func remove(_ index: UInt32, in connections: inout Slab<Connection>) {
    let next = connections[index].listNext
    let previous = connections[index].listPrevious
    if previous == .max { head = next } else { connections[previous].listNext = next }
    if next == .max { tail = previous } else { connections[next].listPrevious = previous }
    connections[index].list = .none
  }
}
