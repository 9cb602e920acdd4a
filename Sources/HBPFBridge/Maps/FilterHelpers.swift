import DPUCore

/// The helpers of `Helper`, with the maps of one program on one core.
package struct FilterHelpers: HelperTable, ~Copyable {
  package var maps: MapStore
  /// The time of the burst.
  package var now: UInt64 = 0
  /// The port that `bpf_redirect` has noted for the packet.
  package var redirectPort: UInt32?
  private let worker: UInt32
  private var random: UInt64

  package init(_ maps: consuming MapStore, worker: Int, seed: UInt64) {
    self.maps = maps
    self.worker = UInt32(worker)
    random = seed | 1
  }

  package mutating func call(
    _ helper: UInt32, _ r1: UInt64, _ r2: UInt64, _ r3: UInt64, _ r4: UInt64, _ r5: UInt64,
    memory: GuestMemory
  ) -> HelperResult {
    guard let helper = Helper(rawValue: helper) else { return .unknown }
    switch helper {
    case .lookup:
      guard let place = key(r1, r2, memory) else { return .value(0) }
      return .value(UInt64(maps.find(place.map, key: place.host)))
    case .update:
      guard let place = key(r1, r2, memory),
        let value = memory.find(
          r3, count: UInt64(maps.valueBytes(place.map)), writing: false)
      else { return error(MapStore.Status.badAddress) }
      return error(maps.update(place.map, key: place.host, value: value, flags: r4))
    case .delete:
      guard let place = key(r1, r2, memory) else { return error(MapStore.Status.badAddress) }
      return error(maps.remove(place.map, key: place.host))
    case .time: return .value(now)
    case .random:
      // xorshift64*: quick, and nobody's secret depends on it.
      random ^= random >> 12
      random ^= random << 25
      random ^= random >> 27
      return .value((random &* 0x2545_f491_4f6c_dd1d) >> 32)
    case .processor: return .value(UInt64(worker))
    case .redirect:
      redirectPort = UInt32(truncatingIfNeeded: r1)
      return .value(UInt64(Verdict.redirect.rawValue))
    }
  }

  private func error(_ status: Int64) -> HelperResult { .value(UInt64(bitPattern: status)) }

  /// The map that a handle means, and where the key lies.
  private func key(
    _ handle: UInt64, _ address: UInt64, _ memory: GuestMemory
  ) -> (map: Int, host: UInt)? {
    guard let map = MapHandle.map(handle), map < maps.count,
      let host = memory.find(address, count: UInt64(maps.keyBytes(map)), writing: false)
    else { return nil }
    return (map, host)
  }
}

/// What a program holds as a map: a number that is no address.
enum MapHandle {
  static func handle(_ map: Int) -> UInt64 { UInt64(map) + 1 }
  static func map(_ handle: UInt64) -> Int? {
    handle > 0 && handle <= UInt64(HBPFLimits.maps) ? Int(handle) - 1 : nil
  }
}
