// Keeps and puts back bytes of table memory through raw pointers: that memory is never moved and
// outlives the log, because one owner holds both.

/// What a batch of writes has changed, so that it can be taken back, the last change first.
///
/// Two kinds of records: bytes as they were, and steps that the tables turn round themselves.
@safe
struct UndoLog: ~Copyable {
  private var words: RawArray<UInt64>
  private var top = 0
  private(set) var isActive = false

  /// A step and what it was done to.
  struct Step {
    var kind: Kind
    /// Number of a table or profile.
    var place: Int
    /// Entry, member or group.
    var index: Int
    /// A member that joined or left the group `index`.
    var member: Int
  }

  enum Kind: UInt8 {
    case inserted, removed
    case memberAdded, memberRemoved, groupAdded, groupRemoved, joined, left
    /// `member` is 0 for one use more, 1 for one less.
    case memberUsed, groupUsed
    case bytes
  }

  init(words count: Int) { words = RawArray(zeroes: count) }

  mutating func begin() {
    precondition(!isActive)
    isActive = true
    top = 0
  }

  mutating func end() {
    isActive = false
    top = 0
  }

  /// Words that `keep` takes for so many bytes.
  static func words(keeping bytes: Int) -> Int { (bytes + 7) / 8 + 2 }
  static let stepWords = 2

  /// Whether a write may be logged. Asked before the write changes anything.
  func hasRoom(_ count: Int) -> Bool { !isActive || top + count <= words.count }

  mutating func note(_ kind: Kind, _ place: Int, _ index: Int, member: Int = 0) {
    if !isActive { return }
    push(UInt64(index) << 32 | UInt64(member))
    push(UInt64(place) << 8 | UInt64(kind.rawValue))
  }

  /// Keeps `count` bytes as they are now.
  mutating func keep(_ address: UnsafeMutableRawPointer, _ count: Int) {
    if !isActive || count == 0 { return }
    precondition(hasRoom(Self.words(keeping: count)))
    unsafe UnsafeMutableRawPointer(words.base + top)
      .copyMemory(from: UnsafeRawPointer(address), byteCount: count)
    top += (count + 7) / 8
    push(UInt64(UInt(bitPattern: address)))
    push(UInt64(count) << 8 | UInt64(Kind.bytes.rawValue))
  }

  /// Puts bytes back until there is a step to turn round; nil at the end.
  mutating func pop() -> Step? {
    while top > 0 {
      let last = words[top - 1]
      let before = words[top - 2]
      top -= 2
      guard let kind = Kind(rawValue: UInt8(truncatingIfNeeded: last)) else {
        preconditionFailure()
      }
      guard kind == .bytes else {
        return Step(
          kind: kind, place: Int(last >> 8), index: Int(before >> 32),
          member: Int(before & 0xffff_ffff))
      }
      let count = Int(last >> 8)
      top -= (count + 7) / 8
      unsafe UnsafeMutableRawPointer(bitPattern: UInt(before))?
        .copyMemory(from: UnsafeRawPointer(words.base + top), byteCount: count)
    }
    return nil
  }

  private mutating func push(_ word: UInt64) {
    words[top] = word
    top += 1
  }
}

extension UndoLog {
  /// Keeps one element of an array.
  mutating func keep<Element>(_ array: borrowing RawArray<Element>, _ index: Int) {
    precondition(index >= 0 && index < array.count)
    unsafe keep(UnsafeMutableRawPointer(array.base + index), MemoryLayout<Element>.stride)
  }
}
