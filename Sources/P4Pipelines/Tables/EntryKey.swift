// Turns bytes into words and back through raw pointers to whole arrays.

/// A key as an entry holds it, made by `TableLayout.encode`, on the control thread if wanted:
/// entering it allocates nothing.
package struct EntryKey: Equatable, Sendable {
  /// The value's words, as they lie in the key's bytes, then those of the mask: by the kind of a
  /// field its mask or its upper bound.
  private var words: [UInt64]
  /// In tables of kind lpm: bits of the prefix, and all bits before the field it belongs to.
  let prefixLength: Int

  fileprivate init(value: [UInt8], mask: [UInt8], prefixLength: Int) {
    words = [UInt64](repeating: 0, count: (value.count + mask.count) / 8)
    self.prefixLength = prefixLength
    unsafe words.withUnsafeMutableBytes { bytes in
      for index in value.indices {
        unsafe bytes[index] = value[index]
        unsafe bytes[value.count + index] = mask[index]
      }
    }
  }

  var keyWords: Int { words.count / 2 }

  /// Both parts, as the store holds them.
  func withWords<Result>(
    _ body: (UnsafePointer<UInt64>, UnsafePointer<UInt64>) -> Result
  ) -> Result {
    unsafe words.withUnsafeBufferPointer { words in
      let value = unsafe words.baseAddress.unsafelyUnwrapped
      return unsafe body(value, value + words.count / 2)
    }
  }
}

extension TableLayout {
  /// Checks and packs a key.
  package func encode(_ matches: [P4Program.KeyMatch]) throws(TableError) -> EntryKey {
    guard !keys.isEmpty else { throw .noKey }
    guard matches.count == keys.count else { throw .badKey(field: matches.count, .missing) }
    var value = [UInt8](repeating: 0, count: keyBytes)
    var mask = [UInt8](repeating: 0, count: keyBytes)
    var prefixLength = 0
    for index in keys.indices {
      let field = keys[index]
      let isPrefix = kind == .lpm && field.kind == .lpm
      let (low, high) = try Self.bounds(matches[index], field, index, isPrefix: isPrefix)
      if isPrefix, case .lpm(_, let length) = matches[index] {
        prefixLength = 8 * (field.offset + field.byteCount) - field.width + length
      }
      for byte in 0..<field.byteCount {
        let place = field.offset + field.byteCount - 1 - byte
        value[place] = UInt8(truncatingIfNeeded: low.word(byte / 8) >> UInt64(8 * (byte % 8)))
        mask[place] = UInt8(truncatingIfNeeded: high.word(byte / 8) >> UInt64(8 * (byte % 8)))
      }
      // A field that is equal or has a prefix fixes the padding too, which is always zero: so a
      // prefix of the whole key is one run of ones.
      let isWhole = isPrefix || (field.kind == .exact || field.kind == .valid)
      if isWhole, field.width % 8 != 0 { mask[field.offset] |= ~0 << UInt8(field.width % 8) }
    }
    return EntryKey(value: value, mask: mask, prefixLength: prefixLength)
  }

  /// Value and mask of a field, for ranges the bounds.
  private static func bounds(
    _ match: P4Program.KeyMatch, _ field: KeyField, _ index: Int, isPrefix: Bool
  ) throws(TableError) -> (WideInteger, WideInteger) {
    func check(_ value: WideInteger) throws(TableError) {
      guard !value.isNegative, value.bitWidth <= field.width else {
        throw .badKey(field: index, .tooWide)
      }
    }
    let ones = WideInteger.ones(field.width)
    func masked(_ value: WideInteger, _ mask: WideInteger) -> (WideInteger, WideInteger) {
      if let given = field.mask { return (value & mask & given, mask) }
      return (value & mask, mask)
    }
    switch (field.kind, match) {
    case (.exact, .exact(let value)), (.valid, .exact(let value)):
      try check(value)
      return masked(value, ones)
    case (.exact, .valid(let isValid)), (.valid, .valid(let isValid)):
      return (WideInteger(isValid ? 1 : 0), ones)
    case (.lpm, .lpm(let value, let length)):
      try check(value)
      guard length >= 0, length <= field.width else {
        throw .badKey(field: index, .prefixTooLong)
      }
      let rest = field.width - length
      return masked(value, (ones >> rest) << rest)
    case (.ternary, .ternary(let value, let mask)), (.optional, .ternary(let value, let mask)):
      try check(value)
      try check(mask)
      return masked(value, mask)
    case (.ternary, .optional(nil)), (.optional, .optional(nil)):
      return (.zero, .zero)
    case (.ternary, .optional(let value?)), (.optional, .optional(let value?)),
      (.ternary, .exact(let value)), (.optional, .exact(let value)):
      try check(value)
      return masked(value, ones)
    case (.range, .range(let low, let high)):
      try check(low)
      try check(high)
      guard !(high < low) else { throw .badKey(field: index, .emptyRange) }
      return (low, high)
    default: throw .badKey(field: index, .wrongKind)
    }
  }

  /// The key of an entry, as it is matched: bits that do not matter are zero.
  func decode(
    _ value: UnsafePointer<UInt64>, _ mask: UnsafePointer<UInt64>?
  ) -> [P4Program.KeyMatch] {
    var matches: [P4Program.KeyMatch] = []
    for field in keys {
      let low = unsafe Self.integer(UnsafeRawPointer(value), field)
      let high = unsafe mask.map { unsafe Self.integer(UnsafeRawPointer($0), field) } ?? .zero
      switch field.kind {
      case .exact: matches.append(.exact(low))
      case .valid: matches.append(.valid(!low.isZero))
      case .ternary: matches.append(.ternary(low, mask: high))
      case .range: matches.append(.range(low, high))
      case .optional: matches.append(.optional(high.isZero ? nil : low))
      case .lpm:
        var length = 0
        while length < field.width,
          high.word((field.width - 1 - length) / 64)
            >> UInt64((field.width - 1 - length) % 64) & 1 == 1
        {
          length += 1
        }
        matches.append(.lpm(low, length: length))
      }
    }
    return matches
  }

  private static func integer(_ bytes: UnsafeRawPointer, _ field: KeyField) -> WideInteger {
    var words = [UInt64](repeating: 0, count: (field.byteCount + 7) / 8)
    for byte in 0..<field.byteCount {
      let place = field.offset + field.byteCount - 1 - byte
      words[byte / 8] |=
        unsafe UInt64(bytes.load(fromByteOffset: place, as: UInt8.self)) << UInt64(8 * (byte % 8))
    }
    return WideInteger(magnitude: words).truncated(to: field.width)
  }
}
