// The key words are read through pointers by the lookups; see `RawArray.base`.

/// The member or the group that an entry or a default names.
struct EntryReference: BitwiseCopyable, Equatable {
  private var rawValue: UInt32
  private static let groupBit: UInt32 = 1 << 31

  /// The record of its own.
  static let own = EntryReference(rawValue: .max)
  private init(rawValue: UInt32) { self.rawValue = rawValue }
  init(member: Int) { rawValue = UInt32(member) }
  init(group: Int) { rawValue = UInt32(group) | Self.groupBit }

  @inline(__always) var isOwn: Bool { rawValue == .max }
  @inline(__always) var isGroup: Bool { rawValue & Self.groupBit != 0 && rawValue != .max }
  /// Of the member or group.
  @inline(__always) var number: Int { Int(rawValue & ~Self.groupBit) }
}

/// What stands behind an entry besides its key.
struct EntryInfo: BitwiseCopyable {
  /// Smallest wins; shifted so that it is never negative.
  var priority: UInt32
  /// Bits of the prefix, in tables of kind lpm.
  var prefixLength: UInt16
  /// Goes up when the entry is removed.
  var version: UInt8
  /// Told by `popIdle` and not hit since.
  var isToldIdle: Bool
  /// Milliseconds; 0: none.
  var timeout: UInt32
  /// In tables with a profile.
  var reference: EntryReference

  /// Of two entries that match, the one with the smaller order wins.
  @inline(__always)
  static func order(priority: UInt32, index: Int) -> UInt64 {
    UInt64(priority) << 32 | UInt64(truncatingIfNeeded: index)
  }
}

/// The entries of one table: their keys and what goes with them, by index. Engines hold indices.
struct EntryStore: ~Copyable {
  let keyWords: Int
  /// Words as they lie in the key's bytes: equal words are equal bytes, order means nothing.
  var values: RawArray<UInt64>
  /// Masks or upper bounds, by the kind of field; empty in exact tables.
  var masks: RawArray<UInt64>
  var infos: RawArray<EntryInfo>
  var pool: IndexPool
  /// The fields whose mask is an upper bound.
  private var ranges: RawArray<RangeField>
  var hasRanges: Bool { ranges.count > 0 }

  struct RangeField: BitwiseCopyable {
    var offset: Int
    var byteCount: Int
  }

  init(capacity: Int, keyWords: Int, hasMasks: Bool, ranges fields: [RangeField]) {
    self.keyWords = keyWords
    ranges = RawArray(fields)
    values = RawArray(zeroes: capacity * keyWords)
    masks = RawArray(zeroes: hasMasks ? capacity * keyWords : 0)
    infos = RawArray(zeroes: capacity)
    pool = IndexPool(capacity: capacity)
  }

  @inline(__always)
  func value(_ index: Int) -> UnsafePointer<UInt64> {
    unsafe UnsafePointer(values.base + index &* keyWords)
  }

  @inline(__always)
  func mask(_ index: Int) -> UnsafePointer<UInt64> {
    unsafe UnsafePointer(masks.base + index &* keyWords)
  }

  func order(_ index: Int) -> UInt64 {
    EntryInfo.order(priority: infos[index].priority, index: index)
  }
}

extension EntryStore {
  /// Whether a key is within all ranges of an entry.
  func isInRanges(_ index: Int, _ key: UnsafeRawPointer) -> Bool {
    let low = unsafe UnsafeRawPointer(value(index))
    let high = unsafe UnsafeRawPointer(mask(index))
    for number in 0..<ranges.count {
      let field = ranges[number]
      let end = field.offset + field.byteCount
      if unsafe Self.isLess(key, low, field.offset, end)
        || Self.isLess(high, key, field.offset, end)
      {
        return false
      }
    }
    return true
  }

  /// Compares bytes `start..<end` of two keys as big-endian numbers.
  private static func isLess(
    _ a: UnsafeRawPointer, _ b: UnsafeRawPointer, _ start: Int, _ end: Int
  ) -> Bool {
    for offset in start..<end {
      let left = unsafe a.load(fromByteOffset: offset, as: UInt8.self)
      let right = unsafe b.load(fromByteOffset: offset, as: UInt8.self)
      if left != right { return left < right }
    }
    return false
  }

  /// The bits of a key that an entry fixes: its mask, in ranges the bits both bounds begin with.
  func fixedBits(_ index: Int, into words: UnsafeMutablePointer<UInt64>) {
    unsafe fixedBits(value(index), mask(index), into: words)
  }

  func fixedBits(
    _ value: UnsafePointer<UInt64>, _ mask: UnsafePointer<UInt64>,
    into words: UnsafeMutablePointer<UInt64>
  ) {
    for word in 0..<keyWords { unsafe words[word] = mask[word] }
    let low = unsafe UnsafeRawPointer(value)
    let high = unsafe UnsafeRawPointer(mask)
    let fixed = UnsafeMutableRawPointer(words)
    for number in 0..<ranges.count {
      var isOpen = false
      for offset in ranges[number].offset..<(ranges[number].offset + ranges[number].byteCount) {
        let difference =
          unsafe low.load(fromByteOffset: offset, as: UInt8.self)
          ^ high.load(fromByteOffset: offset, as: UInt8.self)
        let shared = isOpen ? 0 : ~(UInt8.max >> UInt8(difference.leadingZeroBitCount))
        isOpen = isOpen || difference != 0
        unsafe fixed.storeBytes(of: shared, toByteOffset: offset, as: UInt8.self)
      }
    }
  }

  /// What byte `offset` of a key may be to match an entry, looking at this byte alone.
  func column(_ index: Int, _ offset: Int) -> KeyColumn {
    let value = unsafe UnsafeRawPointer(value(index))
    let mask = unsafe UnsafeRawPointer(mask(index))
    for number in 0..<ranges.count where offset >= ranges[number].offset {
      let field = ranges[number]
      if offset >= field.offset + field.byteCount { continue }
      for before in field.offset..<offset
      where unsafe value.load(fromByteOffset: before, as: UInt8.self)
        != mask.load(fromByteOffset: before, as: UInt8.self)
      {
        return KeyColumn(low: 0, high: 255, mask: 255, isInterval: true)
      }
      return unsafe KeyColumn(
        low: value.load(fromByteOffset: offset, as: UInt8.self),
        high: mask.load(fromByteOffset: offset, as: UInt8.self), mask: 255, isInterval: true)
    }
    let bits = unsafe mask.load(fromByteOffset: offset, as: UInt8.self)
    let low = unsafe value.load(fromByteOffset: offset, as: UInt8.self)
    return KeyColumn(low: low, high: low, mask: bits, isInterval: false)
  }

  /// Whether the columns of an entry together say all about its ranges.
  func areColumnsExact(_ index: Int) -> Bool {
    let value = unsafe UnsafeRawPointer(value(index))
    let mask = unsafe UnsafeRawPointer(mask(index))
    for number in 0..<ranges.count {
      var isOpen = false
      for offset in ranges[number].offset..<(ranges[number].offset + ranges[number].byteCount) {
        let low = unsafe value.load(fromByteOffset: offset, as: UInt8.self)
        let high = unsafe mask.load(fromByteOffset: offset, as: UInt8.self)
        if isOpen, low != 0 || high != 255 { return false }
        isOpen = isOpen || low != high
      }
    }
    return true
  }
}

/// The values that one byte of a key may have: an interval, or those with the bits of `low` where
/// `mask` has ones.
struct KeyColumn: BitwiseCopyable {
  var low: UInt8
  var high: UInt8
  /// All ones for an interval.
  var mask: UInt8
  var isInterval: Bool
  var isAnything: Bool { isInterval ? low == 0 && high == 255 : mask == 0 }
  /// How many there are.
  var size: Int { isInterval ? Int(high) - Int(low) + 1 : 1 << (~mask).nonzeroBitCount }
}

/// Whether `count` words are the same.
@inline(__always)
func sameWords(_ a: UnsafePointer<UInt64>, _ b: UnsafePointer<UInt64>, _ count: Int) -> Bool {
  var difference: UInt64 = 0
  for index in 0..<count { difference |= unsafe a[index] ^ b[index] }
  return difference == 0
}
