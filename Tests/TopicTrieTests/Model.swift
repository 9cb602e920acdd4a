import DPUCore

@testable import TopicTrie

/// Whether `filter` matches `topic`, by the words of section 4.7.
func naiveMatch(_ filter: String, _ topic: String) -> Bool {
  let filter = filter.split(separator: "/", omittingEmptySubsequences: false)
  let topic = topic.split(separator: "/", omittingEmptySubsequences: false)
  if topic[0].hasPrefix("$"), filter[0] == "+" || filter[0] == "#" { return false }
  for (i, level) in filter.enumerated() {
    if level == "#" { return true }
    if i >= topic.count || (level != "+" && level != topic[i]) { return false }
  }
  return filter.count == topic.count
}

/// Sorted, so that a trie's answer compares with a model's.
func ordered(_ matches: [TopicMatch]) -> [TopicMatch] {
  matches.sorted { ($0.subscriber, $0.value.identifier) < ($1.subscriber, $1.value.identifier) }
}

extension TopicTrie {
  static func small(
    subscribers: Int = 64, subscriptions: Int = 4096, nodes: Int = 8192, nameBlocks: Int = 8192
  ) -> TopicTrie {
    TopicTrie(
      TopicTrieLimits(
        subscribers: subscribers, subscriptions: subscriptions, nodes: nodes,
        nameBlocks: nameBlocks), key0: 1, key1: 2)
  }

  mutating func insert(_ filter: String, _ subscriber: UInt32, id: UInt32 = 0) -> InsertResult {
    insert(
      filter: Array(filter.utf8).span.bytes, subscriber: subscriber,
      value: SubscriptionValue(qos: 0, identifier: id))
  }

  mutating func remove(_ filter: String, _ subscriber: UInt32) -> Bool {
    remove(filter: Array(filter.utf8).span.bytes, subscriber: subscriber)
  }

  func matches(_ topic: String) -> [TopicMatch] {
    var found: [TopicMatch] = []
    var matcher = TopicMatcher()
    let bytes = Array(topic.utf8)
    start(&matcher, topic: bytes.span.bytes)
    while let match = next(&matcher, bytes.span.bytes) { found.append(match) }
    return ordered(found)
  }

  /// All subscriptions, as `filter subscriber identifier`, sorted.
  var listing: [String] {
    var lines: [String] = []
    for place in 0..<limits.subscriptions {
      guard let found = subscription(at: place) else { continue }
      var filter = [UInt8](repeating: 0, count: found.filterCount)
      var span = filter.mutableSpan
      var bytes = span.mutableBytes
      writeFilter(at: place, to: &bytes)
      let text = String(decoding: filter, as: UTF8.self)
      lines.append("\(text) \(found.subscriber) \(found.value.identifier)")
    }
    return lines.sorted()
  }

  func subscribers(_ topic: String) -> [UInt32] { matches(topic).map(\.subscriber) }

  /// Nodes, names and subscriptions in use.
  var usage: [Int] { [nodeCount, nameBlockCount, subscriptionCount] }
}

/// Names that collide often: few words, empty levels, `$`, wildcards for filters.
func randomPath(_ random: inout SplitMix64, wild: Bool) -> String {
  let words = ["", "a", "b", "sport", "$SYS", "$", String(repeating: "long", count: 9), "å"]
  var levels: [String] = []
  for _ in 0..<Int.random(in: 1...5, using: &random) {
    let dice = Int.random(in: 0..<10, using: &random)
    if wild, dice == 0 {
      levels.append("#")
      break
    }
    levels.append(wild && dice < 4 ? "+" : words.randomElement(using: &random)!)
  }
  let path = levels.joined(separator: "/")
  return path.isEmpty ? "a" : path
}
