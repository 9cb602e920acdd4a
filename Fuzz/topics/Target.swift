// Input: lines. The first byte of a line says what to do for which subscriber, the rest is a
// filter or topic. A list of pairs and a plain matcher judge the trie.
import DPUCore
import MQTTWire
import TopicTrie

@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let lines = UnsafeBufferPointer(start: data, count: count).split(separator: 10)
  var trie = TopicTrie(
    TopicTrieLimits(subscribers: 8, subscriptions: 32, nodes: 64, nameBlocks: 48), key0: 3, key1: 5)
  var matcher = TopicMatcher()
  var model = Model()
  for line in lines {
    guard let first = line.first else { continue }
    let text = Array(line.dropFirst())
    let subscriber = UInt32(first & 7)
    switch first >> 3 & 3 {
    case 0:
      let value = SubscriptionValue(qos: first >> 5)
      let result = trie.insert(filter: text.span.bytes, subscriber: subscriber, value: value)
      model.insert(text, subscriber, result)
    case 1:
      let removed = trie.remove(filter: text.span.bytes, subscriber: subscriber)
      precondition(removed == model.remove(text, subscriber))
    case 2:
      trie.removeAll(subscriber: subscriber)
      model.pairs.removeAll { $0.subscriber == subscriber }
    default:
      var found: [UInt32] = []
      trie.start(&matcher, topic: text.span.bytes)
      while let match = trie.next(&matcher, text.span.bytes) { found.append(match.subscriber) }
      precondition(found.sorted() == model.match(text))
    }
    precondition(trie.subscriptionCount == model.pairs.count)
  }
  for subscriber in 0..<UInt32(8) { trie.removeAll(subscriber: subscriber) }
  precondition(trie.nodeCount == 0 && trie.nameBlockCount == 0 && trie.subscriptionCount == 0)
  return 0
}

struct Model {
  var pairs: [(filter: [UInt8], subscriber: UInt32)] = []

  /// Follows what the trie did, and judges whether it could say that.
  mutating func insert(_ filter: [UInt8], _ subscriber: UInt32, _ result: TopicTrie.InsertResult) {
    let known = index(filter, subscriber) != nil
    switch result {
    case .inserted:
      precondition(!known && isFilter(filter))
      pairs.append((filter, subscriber))
    case .replaced: precondition(known)
    case .full: precondition(!known && isFilter(filter))
    case .invalid: precondition(!isFilter(filter))
    }
  }

  mutating func remove(_ filter: [UInt8], _ subscriber: UInt32) -> Bool {
    guard let index = index(filter, subscriber) else { return false }
    pairs.remove(at: index)
    return true
  }

  func match(_ topic: [UInt8]) -> [UInt32] {
    pairs.filter { matches($0.filter, topic) }.map(\.subscriber).sorted()
  }

  private func index(_ filter: [UInt8], _ subscriber: UInt32) -> Int? {
    pairs.firstIndex { $0.filter == filter && $0.subscriber == subscriber }
  }
}

/// The codec and the trie must agree on what a filter is; the trie leaves UTF-8 to the codec.
func isFilter(_ filter: [UInt8]) -> Bool {
  let ascii = filter.map { $0 == 0 || $0 > 127 ? UInt8(ascii: "a") : $0 }
  return TopicSyntax.filterFailure(ascii.span.bytes, sharing: false) == nil
    && TopicSyntax.levelCount(filter.span.bytes) <= TopicTrie.levelsMax
}

func matches(_ filter: [UInt8], _ topic: [UInt8]) -> Bool {
  let filter = filter.split(separator: 47, omittingEmptySubsequences: false).map { Array($0) }
  let levels = topic.split(separator: 47, omittingEmptySubsequences: false).map { Array($0) }
  let isWild = filter[0] == [35] || filter[0] == [43]
  if topic.isEmpty || (topic[0] == 36 && isWild) { return false }
  for (i, level) in filter.enumerated() {
    if level == [35] { return true }
    if i >= levels.count || (level != [43] && level != levels[i]) { return false }
  }
  return filter.count == levels.count
}
