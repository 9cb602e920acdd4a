import DPUCore

/// The rules for topic names and topic filters (sections 4.7 and 4.8).
package enum TopicSyntax {
  private static let separator = UInt8(ascii: "/")
  private static let singleLevel = UInt8(ascii: "+")
  private static let multiLevel = UInt8(ascii: "#")

  /// What is wrong with a topic name, nil when nothing is.
  package static func nameFailure(_ name: RawSpan) -> PacketFailure? {
    if name.byteCount == 0 { return .topicEmpty }
    if containsWildcard(name) { return .topicWildcard }
    return UTF8Check.failure(in: name)
  }

  /// What is wrong with a topic filter, nil when nothing is. `$share/NAME/FILTER` is judged as
  /// such when `sharing`, which 5.0 defines.
  package static func filterFailure(_ filter: RawSpan, sharing: Bool) -> PacketFailure? {
    if let failure = UTF8Check.failure(in: filter) { return failure }
    var start = 0
    if sharing, isShared(filter) {
      start = 7
      // MQTT-4.8.2-1, -2: a share name of one character or more without wildcards, then a
      // separator and a filter.
      while start < filter.byteCount, filter.byte(at: start) != separator {
        let byte = filter.byte(at: start)
        if byte == singleLevel || byte == multiLevel { return .sharedFilterMalformed }
        start += 1
      }
      guard start > 7, start + 1 < filter.byteCount else { return .sharedFilterMalformed }
      start += 1
    }
    if filter.byteCount == start { return .filterEmpty }
    return wildcardFailure(filter, from: start)
  }

  /// Whether `filter` starts with `$share/`.
  package static func isShared(_ filter: RawSpan) -> Bool {
    // "$sha" and "are/" overlap in the middle: seven bytes in two loads.
    filter.byteCount >= 7 && filter.beUInt32(at: 0) == 0x2473_6861
      && filter.beUInt32(at: 3) == 0x6172_652f
  }

  package static func containsWildcard(_ name: RawSpan) -> Bool {
    let count = name.byteCount
    var i = 0
    while count - i >= 8 {
      let word = name.leUInt64(at: i)
      let isSingle = (word ^ (0x0101_0101_0101_0101 &* UInt64(singleLevel))).hasZeroByte
      let isMulti = (word ^ (0x0101_0101_0101_0101 &* UInt64(multiLevel))).hasZeroByte
      if isSingle || isMulti { return true }
      i += 8
    }
    while i < count {
      let byte = name.byte(at: i)
      if byte == singleLevel || byte == multiLevel { return true }
      i += 1
    }
    return false
  }

  /// Levels of a name or filter: an empty level counts, so `/` has two.
  package static func levelCount(_ topic: RawSpan) -> Int {
    var levels = 1
    for i in 0..<topic.byteCount where topic.byte(at: i) == separator { levels += 1 }
    return levels
  }

  /// MQTT-4.7.1-1 and -2: a wildcard fills its level, and `#` is the last one.
  private static func wildcardFailure(_ filter: RawSpan, from start: Int) -> PacketFailure? {
    let count = filter.byteCount
    for i in start..<count {
      let byte = filter.byte(at: i)
      guard byte == singleLevel || byte == multiLevel else { continue }
      let opensLevel = i == start || filter.byte(at: i - 1) == separator
      if byte == multiLevel {
        guard opensLevel, i + 1 == count else { return .filterMultiLevelWildcard }
      } else {
        guard opensLevel, i + 1 == count || filter.byte(at: i + 1) == separator else {
          return .filterSingleLevelWildcard
        }
      }
    }
    return nil
  }
}
