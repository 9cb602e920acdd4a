import DPUCore

/// A set of session numbers: constant-time insert and remove, a walk that costs the members only.
package struct SessionSet: ~Copyable {
  private var words: FixedArray<UInt64>
  /// One bit for each word that is not zero.
  private var summary: FixedArray<UInt64>
  package private(set) var count = 0

  init(capacity: Int) {
    let wordCount = (capacity + 63) / 64
    words = FixedArray(repeating: 0, count: wordCount)
    summary = FixedArray(repeating: 0, count: (wordCount + 63) / 64)
  }

  func contains(_ member: UInt32) -> Bool {
    words[member >> 6] & (1 << UInt64(member & 63)) != 0
  }

  mutating func insert(_ member: UInt32) {
    let bit: UInt64 = 1 << UInt64(member & 63)
    guard words[member >> 6] & bit == 0 else { return }
    words[member >> 6] |= bit
    summary[member >> 12] |= 1 << UInt64(member >> 6 & 63)
    count += 1
  }

  mutating func remove(_ member: UInt32) {
    let bit: UInt64 = 1 << UInt64(member & 63)
    guard words[member >> 6] & bit != 0 else { return }
    words[member >> 6] &= ~bit
    if words[member >> 6] == 0 { summary[member >> 12] &= ~(1 << UInt64(member >> 6 & 63)) }
    count -= 1
  }

  /// The lowest member not below `start`.
  func first(from start: UInt32) -> UInt32? {
    guard count > 0, Int(start >> 6) < words.count else { return nil }
    let rest = words[start >> 6] >> UInt64(start & 63)
    if rest != 0 { return start + UInt32(rest.trailingZeroBitCount) }
    // The words behind that of `start`, through the summary.
    var word = Int(start >> 6) + 1
    while word < words.count {
      let group = summary[word / 64] >> UInt64(word & 63)
      if group != 0 {
        word += group.trailingZeroBitCount
        return UInt32(word * 64 + words[word].trailingZeroBitCount)
      }
      word = (word / 64 + 1) * 64
    }
    return nil
  }

  mutating func removeAll() {
    while popFirst() != nil {}
  }

  /// Removes and returns a member.
  @discardableResult
  mutating func popFirst() -> UInt32? {
    guard let member = first(from: 0) else { return nil }
    remove(member)
    return member
  }
}
