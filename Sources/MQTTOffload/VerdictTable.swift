import DPUCore

/// What watching the broker taught about one publisher and topic.
package struct Verdict: BitwiseCopyable {
  package enum Finding: UInt8, BitwiseCopyable, Sendable {
    /// The broker delivers exactly as we would.
    case same
    /// It did not; up to `differencesMax` times that may have been chance.
    case different
  }

  /// Keyed hash of connection and topic; 0 in an empty slot.
  var key: UInt64 = 0
  /// The set of receivers it was found for.
  var receivers: UInt64 = 0
  var expires = Instant.zero
  var finding = Finding.same
  var differences: UInt8 = 0

  package init() {}
}

/// Remembered verdicts: four places for each key, the one that expires first gives way.
package struct VerdictTable: ~Copyable {
  private static let ways = 4
  private var slots: FixedArray<Verdict>
  private let mask: UInt64

  init(capacity: Int) {
    var sets = 1
    while sets * Self.ways < capacity { sets *= 2 }
    slots = FixedArray(repeating: Verdict(), count: sets * Self.ways)
    mask = UInt64(sets - 1)
  }

  /// The verdict for `key` and exactly these receivers, nil when there is none that is valid.
  func find(_ key: UInt64, receivers: UInt64, now: Instant) -> Verdict? {
    guard let known = lookUp(key), known.receivers == receivers, now < known.expires else {
      return nil
    }
    return known
  }

  /// What is remembered of `key`, valid or not.
  @inline(__always)
  func lookUp(_ key: UInt64) -> Verdict? {
    let first = Int(key & mask) * Self.ways
    for i in first..<first + Self.ways where slots[i].key == key { return slots[i] }
    return nil
  }

  /// Notes what was found. One difference may be chance: the next message is watched again.
  mutating func record(
    _ key: UInt64, receivers: UInt64, _ finding: Verdict.Finding, until expires: Instant
  ) {
    let first = Int(key & mask) * Self.ways
    var place = first
    for i in first..<first + Self.ways {
      if slots[i].key == key {
        place = i
        break
      }
      if slots[i].expires < slots[place].expires { place = i }
    }
    let known = slots[place].key == key && slots[place].receivers == receivers
    var differences = known ? slots[place].differences : 0
    if finding == .different { differences += 1 } else { differences = 0 }
    let isFinal = differences >= OffloadLimits.differencesMax
    slots[place].key = key
    slots[place].receivers = receivers
    slots[place].finding = finding
    slots[place].differences = isFinal ? 0 : differences
    slots[place].expires = finding == .same || isFinal ? expires : .zero
  }
}

/// A message that was relayed to see what the broker does with it.
package struct Learning: BitwiseCopyable {
  /// The publisher, `.none` in a free slot.
  var publisher = SlabHandle.none
  /// Its number among the relayed messages of the publisher.
  var number: UInt64 = 0
  var key: UInt64 = 0
  var receivers: UInt64 = 0
  var topic: UInt64 = 0
  var payload: UInt64 = 0
  /// Copies, and a sum over receiver and exact bytes of each.
  var expectedCount = 0
  var expectedSum: UInt64 = 0
  var observedCount = 0
  var observedSum: UInt64 = 0

  package init() {}
}
