package import DPUCore

/// The values of a program's maps on one core.
///
/// All memory is taken in `init`. Flat maps that `MapLayout` puts into the state live in the data
/// memory of whoever owns this; the rest in an arena. Addresses are the host's.
package struct MapStore: ~Copyable {
  /// One map. Entries of a hash map are key and value, each from a multiple of eight on.
  struct Slot: BitwiseCopyable {
    var isHash = false
    var keyBytes = 0
    var valueBytes = 0
    var entries = 0
    /// The first value, or the first entry.
    var host: UInt = 0
    /// From one value or entry to the next.
    var stride = 0
    /// From the start of an entry to its value.
    var valueOffset = 0
    /// Of a hash map: its first cell in `links`, and its buckets in `heads`.
    var firstLink = 0
    var firstHead = 0
    var headMask = 0
    /// The first entry that is free, -1 for none.
    var free: Int32 = -1
  }

  /// What helpers give back, as Linux counts errors.
  package enum Status {
    package static let done: Int64 = 0
    package static let noEntry: Int64 = -2
    package static let full: Int64 = -7
    package static let badAddress: Int64 = -14
    package static let exists: Int64 = -17
    package static let invalid: Int64 = -22
  }

  private var slots: FixedArray<Slot>
  private var arena: FixedArray<UInt8>
  /// Of each entry of a hash map: the next in its bucket, or the next that is free; -1 ends.
  private var links: FixedArray<Int32>
  private var isUsed: FixedArray<Bool>
  private var heads: FixedArray<Int32>
  private let keys: (UInt64, UInt64)

  /// Bytes that the values and keys of maps take outside of the state.
  package static func byteCount(_ maps: [MapDeclaration]) -> Int { Sizes(maps).arena }

  /// Why the maps of a program cannot be made; nil when they can.
  package static func fault(_ maps: [MapDeclaration]) -> Text? {
    let bytes = byteCount(maps)
    guard bytes <= HBPFLimits.mapBytes else {
      return "the maps take \(bytes) bytes, and \(HBPFLimits.mapBytes) are possible on a core"
    }
    return nil
  }

  /// What the maps need in all.
  private struct Sizes {
    var arena = 0
    var links = 0
    var heads = 0

    init(_ maps: [MapDeclaration]) {
      let layout = MapLayout(maps)
      for (index, map) in maps.enumerated() {
        if map.kind == .hash {
          arena += MapStore.entryBytes(map) * map.entries
          links += map.entries
          heads += MapStore.buckets(map)
        } else if layout.place(of: index) == nil {
          arena += map.flatBytes
        }
      }
    }
  }

  private static func entryBytes(_ map: MapDeclaration) -> Int {
    ((map.keyBytes + 7) & ~7) + map.stride
  }

  private static func buckets(_ map: MapDeclaration) -> Int {
    var count = 1
    while count < map.entries { count *= 2 }
    return count
  }

  /// `data` is where the data memory of the program lies. `fault` must have found nothing.
  /// `keys` make the hashes, so that senders of packets cannot aim at a bucket.
  package init(_ maps: [MapDeclaration], data: UInt, keys: (UInt64, UInt64)) {
    let sizes = Sizes(maps)
    let layout = MapLayout(maps)
    let arena = FixedArray<UInt8>(repeating: 0, count: sizes.arena)
    var slots = FixedArray<Slot>(repeating: Slot(), count: maps.count)
    var links = FixedArray<Int32>(repeating: -1, count: sizes.links)
    var used = 0
    var firstLink = 0
    var firstHead = 0
    for (index, map) in maps.enumerated() {
      var slot = Slot()
      slot.isHash = map.kind == .hash
      slot.keyBytes = map.keyBytes
      slot.valueBytes = map.valueBytes
      slot.entries = map.entries
      if slot.isHash {
        slot.host = arena.hostAddress + UInt(used)
        slot.stride = Self.entryBytes(map)
        slot.valueOffset = slot.stride - map.stride
        slot.firstLink = firstLink
        slot.firstHead = firstHead
        slot.headMask = Self.buckets(map) - 1
        slot.free = 0
        for entry in 0..<map.entries - 1 { links[firstLink + entry] = Int32(entry + 1) }
        used += slot.stride * map.entries
        firstLink += map.entries
        firstHead += Self.buckets(map)
      } else {
        slot.stride = map.stride
        if let place = layout.place(of: index) {
          slot.host = data + UInt(place)
        } else {
          slot.host = arena.hostAddress + UInt(used)
          used += map.flatBytes
        }
        for (at, byte) in map.initial.enumerated() {
          HostBytes.store(byte, at: slot.host + UInt(at))
        }
      }
      slots[index] = slot
    }
    self.slots = slots
    self.arena = arena
    self.links = links
    isUsed = FixedArray(repeating: false, count: sizes.links)
    heads = FixedArray(repeating: -1, count: sizes.heads)
    self.keys = keys
  }

  /// What programs may touch of the arena.
  package var region: MemoryRegion {
    MemoryRegion(
      start: UInt64(arena.hostAddress), count: arena.count, host: arena.hostAddress,
      isWritable: true)
  }

  package var count: Int { slots.count }
  package func keyBytes(_ map: Int) -> Int { slots[map].keyBytes }
  package func valueBytes(_ map: Int) -> Int { slots[map].valueBytes }
  /// From one value, or one entry of a hash map, to the next.
  func entryStride(of map: Int) -> Int { slots[map].stride }

  /// Where the first value of a flat map lies.
  package func address(of map: Int) -> UInt { slots[map].host }

  // MARK: Entries

  /// The address of the value for the key at `key`; 0 when there is none.
  package func find(_ map: Int, key: UInt) -> UInt {
    let slot = slots[map]
    if !slot.isHash {
      let index = HostBytes.load(key, as: UInt32.self)
      return Int(index) < slot.entries ? slot.host + UInt(slot.stride) * UInt(index) : 0
    }
    let entry = self.entry(slot, key: key)
    return entry < 0 ? 0 : address(slot, entry) + UInt(slot.valueOffset)
  }

  /// `flags`: 0 always, 1 only a new key, 2 only one that is there.
  package mutating func update(
    _ map: Int, key: UInt, value: UInt, flags: UInt64
  ) -> Int64 {
    guard flags <= 2 else { return Status.invalid }
    let found = find(map, key: key)
    if found != 0 {
      guard flags != 1 else { return Status.exists }
      copy(value, to: found, count: slots[map].valueBytes)
      return Status.done
    }
    guard slots[map].isHash else { return Status.full }
    guard flags != 2 else { return Status.noEntry }
    let entry = slots[map].free
    guard entry >= 0 else { return Status.full }
    let slot = slots[map]
    slots[map].free = links[slot.firstLink + Int(entry)]
    let place = address(slot, Int(entry))
    copy(key, to: place, count: slot.keyBytes)
    copy(value, to: place + UInt(slot.valueOffset), count: slot.valueBytes)
    let bucket = slot.firstHead + self.bucket(slot, key: key)
    links[slot.firstLink + Int(entry)] = heads[bucket]
    heads[bucket] = entry
    isUsed[slot.firstLink + Int(entry)] = true
    return Status.done
  }

  package mutating func remove(_ map: Int, key: UInt) -> Int64 {
    let slot = slots[map]
    guard slot.isHash else { return Status.invalid }
    let entry = self.entry(slot, key: key)
    guard entry >= 0 else { return Status.noEntry }
    let bucket = slot.firstHead + self.bucket(slot, key: key)
    let following = links[slot.firstLink + entry]
    if heads[bucket] == Int32(entry) {
      heads[bucket] = following
    } else {
      var before = Int(heads[bucket])
      while links[slot.firstLink + before] != Int32(entry) {
        before = Int(links[slot.firstLink + before])
      }
      links[slot.firstLink + before] = following
    }
    links[slot.firstLink + entry] = slot.free
    slots[map].free = Int32(entry)
    isUsed[slot.firstLink + entry] = false
    return Status.done
  }

  /// The first entry from number `start` on: its number, key and value. Of a flat map the key is
  /// its number. Nil behind the last.
  package func next(
    _ map: Int, from start: Int
  ) -> (number: Int, key: [UInt8], value: [UInt8])? {
    let slot = slots[map]
    for number in start..<max(start, slot.entries) {
      if slot.isHash, !isUsed[slot.firstLink + number] { continue }
      let place = address(slot, number)
      var key: [UInt8] = []
      if slot.isHash {
        key = bytes(place, count: slot.keyBytes)
      } else {
        for shift in stride(from: UInt32(0), to: 32, by: 8) {
          key.append(UInt8(truncatingIfNeeded: UInt32(number) >> shift))
        }
      }
      return (number, key, bytes(place + UInt(slot.valueOffset), count: slot.valueBytes))
    }
    return nil
  }

  /// Entries of a hash map that are taken, or all of a flat one.
  package func entryCount(_ map: Int) -> Int {
    let slot = slots[map]
    guard slot.isHash else { return slot.entries }
    var count = 0
    for entry in 0..<slot.entries where isUsed[slot.firstLink + entry] { count += 1 }
    return count
  }

  // MARK: Pieces

  private func address(_ slot: Slot, _ entry: Int) -> UInt {
    slot.host + UInt(slot.stride) * UInt(entry)
  }

  private func bucket(_ slot: Slot, key: UInt) -> Int {
    var hash = SipHash(key0: keys.0, key1: keys.1)
    var at = 0
    while at + 8 <= slot.keyBytes {
      hash.combine(HostBytes.load(key + UInt(at), as: UInt64.self))
      at += 8
    }
    var last = UInt64(slot.keyBytes) << 56
    while at < slot.keyBytes {
      last = last ^ UInt64(HostBytes.load(key + UInt(at), as: UInt8.self)) << UInt64((at & 7) * 8)
      at += 1
    }
    hash.combine(last)
    return Int(truncatingIfNeeded: hash.finish()) & slot.headMask
  }

  private func entry(_ slot: Slot, key: UInt) -> Int {
    var entry = Int(heads[slot.firstHead + bucket(slot, key: key)])
    while entry >= 0 {
      if isEqual(address(slot, entry), key, count: slot.keyBytes) { return entry }
      entry = Int(links[slot.firstLink + entry])
    }
    return -1
  }

  private func isEqual(_ a: UInt, _ b: UInt, count: Int) -> Bool {
    for at in 0..<UInt(count)
    where HostBytes.load(a + at, as: UInt8.self) != HostBytes.load(b + at, as: UInt8.self) {
      return false
    }
    return true
  }

  private func copy(_ source: UInt, to target: UInt, count: Int) {
    for at in 0..<UInt(count) {
      HostBytes.store(HostBytes.load(source + at, as: UInt8.self), at: target + at)
    }
  }

  private func bytes(_ place: UInt, count: Int) -> [UInt8] {
    var result: [UInt8] = []
    for at in 0..<UInt(count) { result.append(HostBytes.load(place + at, as: UInt8.self)) }
    return result
  }
}
