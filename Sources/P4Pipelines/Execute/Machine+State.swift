// A packet's state as a whole, and its metadata one by one. Copies reach no further than what
// `MachineMemory` has for one packet.

// MARK: Places

extension Machine {
  /// The low 64 bits of a field.
  static func value(_ place: PlaceImage, _ bank: Bank, _ packet: Int) -> UInt64 {
    switch place.kind {
    case .lane: return bank.lane(place.index)[packet]
    case .mask: return bank.mask(place.index) &>> UInt64(truncatingIfNeeded: packet) & 1
    case .bytes:
      let width = min(64, Int(place.width))
      return unsafe loadBits(
        bank.headerBytes(packet, 0), endingAt: Int(place.index &+ place.width), width: width)
    case .variable, .nowhere: return 0
    }
  }

  static func set(_ place: PlaceImage, _ bank: Bank, _ packet: Int, to value: UInt64) {
    switch place.kind {
    case .lane: bank.lane(place.index)[packet] = value & lowBits(Int(place.width))
    case .mask:
      bank.setMask(
        place.index, 1 &<< UInt64(truncatingIfNeeded: packet), to: 0 &- (value & 1))
    case .bytes:
      let bytes = unsafe bank.headerBytes(packet, 0)
      let end = Int(place.index &+ place.width)
      let width = min(64, Int(place.width))
      unsafe storeBits(value, bytes, endingAt: end, width: width)
      var done = width
      while done < Int(place.width) {
        let part = min(64, Int(place.width) &- done)
        unsafe storeBits(0, bytes, endingAt: end &- done, width: part)
        done &+= part
      }
    case .variable, .nowhere: break
    }
  }
}

// MARK: Standard metadata

extension Machine {
  @inline(__always)
  package func standard(_ field: StandardField, bank: Int, packet: Int) -> UInt64 {
    Self.value(image.standard[field.rawValue], memory.bank(bank), checked(packet))
  }

  @inline(__always)
  package mutating func setStandard(
    _ field: StandardField, bank number: Int, packet: Int, to value: UInt64
  ) {
    open(number)
    Self.set(image.standard[field.rawValue], memory.bank(number), checked(packet), to: value)
  }

  /// The field's lane of the bank, one word per packet; nil when the machine keeps none (it then
  /// reads as 0). Not for `checksumError`, which may be a mask: see `checksumErrors`.
  @unsafe @inline(__always)
  package mutating func lane(
    of field: StandardField, bank: Int
  ) -> UnsafeMutablePointer<UInt64>? {
    open(bank)
    let place = image.standard[field.rawValue]
    return unsafe place.kind == .lane ? memory.bank(bank).lane(place.index).base : nil
  }

  /// The packets of the bank whose parser ended with an error.
  package func parserErrors(bank: Int, _ mask: UInt64) -> UInt64 {
    unsafe memory.bank(bank).failures.pointee & mask
  }

  /// The packets of the bank whose checksum was found wrong, if the program looks at that.
  package mutating func checksumErrors(bank number: Int, _ mask: UInt64) -> UInt64 {
    let place = image.standard[StandardField.checksumError.rawValue]
    let bank = memory.bank(number)
    if place.kind == .mask { return bank.mask(place.index) & mask }
    if place.kind == .nowhere { return 0 }
    return those(of: mask) { Self.value(place, bank, $0) != 0 }
  }

  @inline(__always)
  func checked(_ packet: Int) -> Int {
    precondition(packet & ~63 == 0)
    return packet
  }
}

// MARK: Whole packets

extension Machine {
  /// All metadata zero, as for a clone; headers and the length register stay.
  package mutating func resetMetadata(bank number: Int, _ mask: UInt64) {
    open(number)
    let bank = memory.bank(number)
    zero(image.zeroedLanesOfClones, image.zeroedBytesOfClones, bank, mask)
    for index in metadataMasks { bank.setMask(UInt32(index), mask, to: 0) }
  }

  /// Headers, metadata, requests, and where the packet's bytes lie.
  package mutating func copyState(
    fromBank: Int, packet from: Int, toBank: Int, packet to: Int
  ) {
    open(fromBank)
    open(toBank)
    let source = memory.bank(fromBank), target = memory.bank(toBank)
    let from = checked(from), to = checked(to)
    var lane: UInt32 = 0
    while lane < packetLanes {
      target.lane(lane)[to] = source.lane(lane)[from]
      lane &+= 1
    }
    let bit: UInt64 = 1 &<< UInt64(truncatingIfNeeded: to)
    var mask: UInt32 = 0
    while mask < packetMasks {
      target.setMask(
        mask, bit, to: 0 &- (source.mask(mask) &>> UInt64(truncatingIfNeeded: from) & 1))
      mask &+= 1
    }
    unsafe moveBytes(source.headerBytes(from, 0), target.headerBytes(to, 0), headerBytesUsed)
    unsafe target.addresses[to] = source.addresses[from]
    unsafe target.counts[to] = source.counts[from]
    target.arrivals[to] = source.arrivals[from]
    var kind = 0
    while kind < RequestKind.count {
      let isSet = unsafe source.requests.masks[kind] &>> UInt64(truncatingIfNeeded: from) & 1
      unsafe target.requests.masks[kind] =
        target.requests.masks[kind] & ~bit | isSet &<< UInt64(truncatingIfNeeded: to)
      unsafe target.requests.values[kind &* 64 &+ to] =
        source.requests.values[kind &* 64 &+ from]
      unsafe target.requests.lists[kind &* 64 &+ to] = source.requests.lists[kind &* 64 &+ from]
      kind &+= 1
    }
  }

  /// Bytes that `saveState` writes: a multiple of 8.
  package var stateBytes: Int {
    8 * (Int(packetLanes) + (Int(packetMasks) + 63) / 64 + 4 + RequestKind.count)
      + (headerBytesUsed + 7) / 8 * 8
  }

  /// The same as `copyState`, to memory of the caller, `stateBytes` at an address that is a
  /// multiple of 8.
  package mutating func saveState(bank number: Int, packet: Int, to address: UInt) {
    open(number)
    let bank = memory.bank(number)
    let packet = checked(packet)
    let shift = UInt64(truncatingIfNeeded: packet)
    var words = unsafe UnsafeMutablePointer<UInt64>(bitPattern: address)!
    func put(_ word: UInt64) {
      unsafe words.pointee = word
      unsafe words += 1
    }
    for lane in 0..<packetLanes { put(bank.lane(lane)[packet]) }
    var bits: UInt64 = 0
    for mask in 0..<packetMasks {
      bits |= (bank.mask(mask) &>> shift & 1) &<< UInt64(mask & 63)
      if mask & 63 == 63 || mask == packetMasks - 1 {
        put(bits)
        bits = 0
      }
    }
    unsafe put(UInt64(bank.addresses[packet]))
    unsafe put(UInt64(truncatingIfNeeded: bank.counts[packet]))
    put(bank.arrivals[packet])
    var kinds: UInt64 = 0
    for kind in 0..<RequestKind.count {
      unsafe kinds |= (bank.requests.masks[kind] &>> shift & 1) &<< UInt64(kind)
    }
    put(kinds)
    for kind in 0..<RequestKind.count {
      let list = unsafe UInt32(bitPattern: bank.requests.lists[kind &* 64 &+ packet])
      unsafe put(UInt64(bank.requests.values[kind &* 64 &+ packet]) | UInt64(list) &<< 32)
    }
    unsafe moveBytes(
      bank.headerBytes(packet, 0),
      UnsafeMutableRawPointer(words).assumingMemoryBound(to: UInt8.self),
      headerBytesUsed)
  }

  package mutating func restoreState(bank number: Int, packet: Int, from address: UInt) {
    open(number)
    let bank = memory.bank(number)
    let packet = checked(packet)
    let bit: UInt64 = 1 &<< UInt64(truncatingIfNeeded: packet)
    var words = unsafe UnsafePointer<UInt64>(bitPattern: address)!
    func take() -> UInt64 {
      defer { unsafe words += 1 }
      return unsafe words.pointee
    }
    for lane in 0..<packetLanes { bank.lane(lane)[packet] = take() }
    var bits: UInt64 = 0
    for mask in 0..<packetMasks {
      if mask & 63 == 0 { bits = take() }
      bank.setMask(mask, bit, to: 0 &- (bits &>> UInt64(mask & 63) & 1))
    }
    unsafe bank.addresses[packet] = UInt(take())
    unsafe bank.counts[packet] = Int(truncatingIfNeeded: take())
    bank.arrivals[packet] = take()
    let kinds = take()
    for kind in 0..<RequestKind.count {
      let isSet = kinds &>> UInt64(kind) & 1
      unsafe bank.requests.masks[kind] =
        bank.requests.masks[kind] & ~bit | (isSet == 0 ? 0 : bit)
      let request = take()
      unsafe bank.requests.values[kind &* 64 &+ packet] = UInt32(truncatingIfNeeded: request)
      unsafe bank.requests.lists[kind &* 64 &+ packet] =
        Int32(bitPattern: UInt32(truncatingIfNeeded: request &>> 32))
    }
    unsafe moveBytes(
      UnsafeRawPointer(words).assumingMemoryBound(to: UInt8.self), bank.headerBytes(packet, 0),
      headerBytesUsed)
  }

  /// The packet's bytes have moved, or there are more or fewer of them.
  package mutating func setBytes(bank number: Int, packet: Int, address: UInt, count: Int) {
    let bank = memory.bank(number)
    unsafe bank.addresses[checked(packet)] = address
    unsafe bank.counts[packet] = count
  }
}

// MARK: Field lists and digests

extension Machine {
  /// Bytes that the longest field list takes.
  package var fieldListBytes: Int { image.fieldListBytes }

  /// Writes the fields of a list to `fieldListBytes` of the caller, for `restoreFields`.
  package mutating func saveFields(_ list: Int, bank number: Int, packet: Int, to address: UInt) {
    let bank = memory.bank(number)
    let packet = checked(packet)
    var target = unsafe UnsafeMutablePointer<UInt8>(bitPattern: address)!
    each(fieldOf: list) { place in
      let bytes = Int(place.width &+ 7) &>> 3
      if place.kind == .bytes {
        let from = Int(place.index)
        unsafe putExactly(
          bank.headerBytes(packet, 0), from, Int(place.width), target, bytes)
      } else if place.kind == .variable {
        let header = bank.header(place.index)
        let length = bank.variableBits(header, packet)
        unsafe putWord(UInt64(length), target, 4)
        unsafe moveBytes(
          bank.headerBytes(packet, header.offset &+ header.variableBit &>> 3), target + 4,
          bytes)
        unsafe target += 4
      } else {
        unsafe putWord(Self.value(place, bank, packet), target, bytes)
      }
      unsafe target += bytes
    }
  }

  package mutating func restoreFields(
    _ list: Int, bank number: Int, packet: Int, from address: UInt
  ) {
    open(number)
    let bank = memory.bank(number)
    let packet = checked(packet)
    var source = unsafe UnsafePointer<UInt8>(bitPattern: address)!
    each(fieldOf: list) { place in
      let bytes = Int(place.width &+ 7) &>> 3
      if place.kind == .bytes {
        unsafe takeExactly(
          source, bytes, bank.headerBytes(packet, 0), Int(place.index), Int(place.width))
      } else if place.kind == .variable {
        let header = bank.header(place.index)
        let length = unsafe takeWord(source, 4)
        bank.setVariableBits(header, packet, min(length, UInt64(header.variableBits)))
        unsafe moveBytes(
          source + 4, bank.headerBytes(packet, header.offset &+ header.variableBit &>> 3), bytes)
        unsafe source += 4
      } else {
        unsafe Self.set(place, bank, packet, to: takeWord(source, bytes))
      }
      unsafe source += bytes
    }
  }

  /// Gives packets of bank 1 the fields that packets of bank 0 have now: `sources` names one for
  /// each. What `saveFields` and `restoreFields` would do, field by field for all of them.
  mutating func copyFields(_ list: Int, _ mask: UInt64, from sources: UnsafePointer<UInt8>) {
    open(1)
    let source = memory.first, target = memory.second
    each(fieldOf: list) { place in
      switch place.kind {
      case .lane:
        let from = source.lane(place.index), to = target.lane(place.index)
        let low = lowBits(Int(place.width))
        P4Pipelines.each(mask) { unsafe to[$0] = from[Int(sources[$0])] & low }
      case .mask:
        let from = source.mask(place.index)
        let set = those(of: mask) { unsafe from &>> UInt64(sources[$0]) & 1 != 0 }
        target.setMask(place.index, mask, to: set)
      case .bytes:
        P4Pipelines.each(mask) { packet in
          unsafe copyBits(
            source.headerBytes(Int(sources[packet]), 0), Int(place.index),
            target.headerBytes(packet, 0), Int(place.index), count: Int(place.width))
        }
      case .variable:
        let header = source.header(place.index)
        let offset = header.offset &+ header.variableBit &>> 3
        P4Pipelines.each(mask) { packet in
          let from = unsafe Int(sources[packet])
          target.setVariableBits(header, packet, source.variableBits(header, from))
          unsafe moveBytes(
            source.headerBytes(from, offset), target.headerBytes(packet, offset),
            Int(place.width &+ 7) &>> 3)
        }
      case .nowhere: break
      }
    }
  }

  @inline(__always)
  private mutating func each(fieldOf number: Int, _ body: (PlaceImage) -> Void) {
    precondition(number >= 0 && number < image.fieldLists.count)
    let list = unsafe image.fieldLists.base[number]
    for index in 0..<Int(list.places.count) {
      unsafe body(image.places.base[Int(list.places.first) &+ index])
    }
  }

  /// Bytes of a digest: its elements, each padded to whole bytes, big-endian.
  package func digestBytes(_ list: Int) -> Int {
    precondition(list >= 0 && list < image.learnCount)
    return unsafe Int(image.plans.base[image.firstLearnPlan &+ list].bytes)
  }

  /// Writes `digestBytes`.
  package mutating func readDigest(_ list: Int, bank number: Int, packet: Int, to address: UInt) {
    let count = digestBytes(list)
    let bank = memory.bank(number)
    let bit: UInt64 = 1 &<< UInt64(truncatingIfNeeded: checked(packet))
    // By way of scratch memory: gathering writes beyond its end.
    let keys = unsafe scratch.keys + packet &* scratch.keyStride
    unsafe gather(
      fixed: image.plans.base[image.firstLearnPlan &+ list], bank, bit, scratch.keys,
      scratch.keyStride)
    unsafe moveBytes(keys, UnsafeMutablePointer(bitPattern: address)!, count)
  }
}

// MARK: Exact bytes

/// Writes the low `count` bytes of a number, big-endian, and no other byte.
private func putWord(_ value: UInt64, _ target: UnsafeMutablePointer<UInt8>, _ count: Int) {
  var value = value
  var index = count
  while index > 0 {
    index &-= 1
    unsafe target[index] = UInt8(truncatingIfNeeded: value)
    value &>>= 8
  }
}

private func takeWord(_ source: UnsafePointer<UInt8>, _ count: Int) -> UInt64 {
  var value: UInt64 = 0
  for index in 0..<count { unsafe value = value &<< 8 | UInt64(source[index]) }
  return value
}

/// Writes `width` bits from bit `from` of header bytes into `count` bytes, right-aligned with
/// zeros before, and no other byte.
private func putExactly(
  _ source: UnsafePointer<UInt8>, _ from: Int, _ width: Int, _ target: UnsafeMutablePointer<UInt8>,
  _ count: Int
) {
  var end = from &+ width
  var index = count
  while index > 0 {
    index &-= 1
    let bits = min(8, end &- from)
    unsafe target[index] = UInt8(
      truncatingIfNeeded: bits <= 0 ? 0 : loadBits(source, endingAt: end, width: bits))
    end &-= bits
  }
}

private func takeExactly(
  _ source: UnsafePointer<UInt8>, _ count: Int, _ target: UnsafeMutablePointer<UInt8>, _ to: Int,
  _ width: Int
) {
  var end = to &+ width
  var index = count
  while index > 0 && end > to {
    index &-= 1
    let bits = min(8, end &- to)
    unsafe storeBits(UInt64(source[index]), target, endingAt: end, width: bits)
    end &-= bits
  }
}
