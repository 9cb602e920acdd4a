import DPUCore

/// One subscription that a topic meets.
package struct TopicMatch: Equatable, BitwiseCopyable, Sendable {
  package var subscriber: UInt32
  package var value: SubscriptionValue
}

/// A walk through a trie for one topic. Kept by its user and used again, because it is too large
/// to make for each message.
package struct TopicMatcher: BitwiseCopyable {
  struct Level: BitwiseCopyable {
    var hash: UInt64 = 0
    var start: UInt32 = 0
    var end: UInt32 = 0
  }

  /// A node that has not been looked at, with the levels that lead to it.
  struct Pending: BitwiseCopyable {
    var node: UInt32 = 0
    var depth: UInt32 = 0
  }

  var levels = PerLevel<Level>(repeating: Level())
  /// Levels whose place in the topic is known.
  var levelCount = 0
  /// Levels whose hash is known, from the first on: as deep as a name had to be looked up.
  var hashedCount = 0
  /// The topic has more levels than any filter can name. Known from `start` on.
  package internal(set) var isDeeper = false
  /// The topic starts with `$`.
  var isReserved = false
  var stack = PerLevel<Pending>(repeating: Pending())
  var stackCount = 0
  /// The next subscription of the list at hand, and the list that comes after it.
  var subscription = UInt32.max
  var nextList = UInt32.max
  var generation: UInt64 = 0

  package init() {}
}

extension TopicTrie {
  /// Begins a walk. Take the matches with `next(&matcher, topic)`.
  package func start(_ matcher: inout TopicMatcher, topic: RawSpan) {
    matcher.subscription = .max
    matcher.nextList = .max
    matcher.levelCount = 0
    matcher.hashedCount = 0
    matcher.isDeeper = false
    matcher.stackCount = 0
    matcher.generation = generation
    // A topic name has one character or more; nothing matches the empty one.
    guard topic.byteCount > 0 else { return }
    matcher.isReserved = topic.byte(at: 0) == UInt8(ascii: "$")
    var walk = LevelWalk()
    while let level = walk.next(topic) {
      guard matcher.levelCount < Self.levelsMax else {
        matcher.isDeeper = true
        break
      }
      matcher.levels[matcher.levelCount].start = UInt32(level.lowerBound)
      matcher.levels[matcher.levelCount].end = UInt32(level.upperBound)
      matcher.levelCount += 1
    }
    matcher.push(Self.root, depth: 0)
  }

  /// The next match, nil after the last. One for each subscription, so that a subscriber with
  /// several that match comes several times. Between `start` and the last call the trie must not
  /// change, and `topic` must be the same bytes.
  package func next(_ matcher: inout TopicMatcher, _ topic: RawSpan) -> TopicMatch? {
    invariant(matcher.generation == generation, "the trie changed during a walk")
    while true {
      if matcher.subscription != .max {
        let found = subscriptions[matcher.subscription]
        matcher.subscription = found.next
        return TopicMatch(subscriber: found.subscriber, value: found.value)
      }
      if matcher.nextList != .max {
        matcher.subscription = matcher.nextList
        matcher.nextList = .max
        continue
      }
      guard matcher.stackCount > 0 else { return nil }
      visit(matcher.pop(), &matcher, topic)
    }
  }

  private func visit(
    _ place: TopicMatcher.Pending, _ matcher: inout TopicMatcher, _ topic: RawSpan
  ) {
    let node = nodes[place.node]
    let depth = Int(place.depth)
    // MQTT-4.7.2-1: a filter that starts with a wildcard does not match a topic that starts
    // with `$`.
    let mayBeWild = depth > 0 || !matcher.isReserved
    // `sport/#` matches `sport` as well (section 4.7.1.2).
    if mayBeWild { matcher.subscription = node.rest.first }
    guard depth < matcher.levelCount else {
      if !matcher.isDeeper { matcher.nextList = node.exact.first }
      return
    }
    if mayBeWild, node.plus != .max { matcher.push(node.plus, depth: depth + 1) }
    if node.children > 0 {
      let level = Int(matcher.levels[depth].start)..<Int(matcher.levels[depth].end)
      // The walk may have passed levels through `+` that nobody had to look up by name.
      if depth >= matcher.hashedCount { hashLevels(through: depth, &matcher, topic) }
      let child = find(matcher.levels[depth].hash, topic, level, below: place.node)
      if child != .max { matcher.push(child, depth: depth + 1) }
    }
  }

  private func hashLevels(through depth: Int, _ matcher: inout TopicMatcher, _ topic: RawSpan) {
    for i in matcher.hashedCount...depth {
      let level = Int(matcher.levels[i].start)..<Int(matcher.levels[i].end)
      matcher.levels[i].hash = hash(of: topic, level)
    }
    matcher.hashedCount = depth + 1
  }

  // MARK: Children by name

  @inline(__always)
  func hash(of text: RawSpan, _ level: Range<Int>) -> UInt64 {
    var hash = secret
    hash.combine(bytes: text.extracting(level))
    return hash.finish()
  }

  /// The named child of `parent`, `.max` when there is none.
  @inline(__always)
  func find(
    _ hash: UInt64, _ text: RawSpan, _ level: Range<Int>, below parent: UInt32
  ) -> UInt32 {
    children.find(Self.slotHash(hash, below: parent)) { index in
      let node = nodes[index]
      return node.hash == hash && node.parent == parent && Int(node.nameLength) == level.count
        && names.equals(node.name, text, level)
    }
  }

  /// Where a child stands in the table: its level's hash, spread by its parent.
  @inline(__always)
  static func slotHash(_ hash: UInt64, below parent: UInt32) -> UInt32 {
    let mixed = (hash ^ UInt64(parent)) &* 0x9e37_79b9_7f4a_7c15
    return UInt32(truncatingIfNeeded: mixed >> 32)
  }
}

extension TopicMatcher {
  fileprivate mutating func push(_ node: UInt32, depth: Int) {
    stack[stackCount] = Pending(node: node, depth: UInt32(depth))
    stackCount += 1
  }

  fileprivate mutating func pop() -> Pending {
    stackCount -= 1
    return stack[stackCount]
  }
}
