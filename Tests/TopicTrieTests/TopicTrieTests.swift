import DPUCore
import Testing

@testable import TopicTrie

@Suite struct TopicTrieTests {
  /// The examples of section 4.7, and the corners around them.
  @Test(arguments: [
    ("sport/tennis/player1/#", "sport/tennis/player1", true),
    ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
    ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
    ("sport/#", "sport", true), ("#", "sport/tennis", true), ("#", "/", true),
    ("sport/tennis/+", "sport/tennis/player1", true),
    ("sport/tennis/+", "sport/tennis/player1/ranking", false),
    ("sport/+", "sport", false), ("sport/+", "sport/", true),
    ("+/+", "/finance", true), ("/+", "/finance", true), ("+", "/finance", false),
    ("#", "$SYS/monitor", false), ("+/monitor", "$SYS/monitor", false),
    ("$SYS/#", "$SYS/", true), ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
    ("a/+", "a/$b", true), ("+/#", "a", true), ("+/#", "$a/b", false), ("+/#", "/", true),
    ("a//b", "a/b", false), ("a//b", "a//b", true), ("a/", "a", false),
    ("ACCOUNTS", "accounts", false),
  ])
  func matchesAsTheSpecificationSays(filter: String, topic: String, expected: Bool) {
    var trie = TopicTrie.small()
    let inserted = trie.insert(filter, 7)
    let found = trie.subscribers(topic)
    #expect(inserted == .inserted && found == (expected ? [7] : []))
    #expect(naiveMatch(filter, topic) == expected)
  }

  /// Filters come back as they went in, whatever their levels are.
  @Test(arguments: [
    "a", "/", "//", "/a", "a/", "#", "+", "+/+", "/+", "+/", "/#", "a/#", "a//#", "+/#",
    "$share/group/a/#", String(repeating: "long", count: 40) + "/å/123456789",
  ])
  func listsFiltersAsTheyAre(filter: String) {
    var trie = TopicTrie.small()
    _ = trie.insert(filter, 7, id: 3)
    let listing = trie.listing
    #expect(listing == ["\(filter) 7 3"])
  }

  @Test(arguments: [
    ("", FilterFailure.empty), ("a/#/b", .multiLevelWildcard), ("a#", .multiLevelWildcard),
    ("##", .multiLevelWildcard), ("#/", .multiLevelWildcard), ("a+", .singleLevelWildcard),
    ("+a/b", .singleLevelWildcard), ("++", .singleLevelWildcard),
    (String(repeating: "/", count: 201), .tooManyLevels),
  ])
  func refusesFilters(filter: String, failure: FilterFailure) {
    var trie = TopicTrie.small()
    let result = trie.insert(filter, 0)
    let (removed, usage, generation) = (trie.remove(filter, 0), trie.usage, trie.generation)
    #expect(result == .invalid(failure) && !removed && usage == [0, 0, 0] && generation == 0)
  }

  /// At each step a random change; the trie and a plain list must agree on random topics. In the
  /// end everything is removed, and all storage must be free again.
  @Test(arguments: [1, 2, 3, 4] as [UInt64])
  func agreesWithTheNaiveMatcher(seed: UInt64) {
    struct Pair: Hashable { var filter: String, subscriber: UInt32 }
    var random = SplitMix64(seed: seed)
    var trie = TopicTrie.small()
    var model: [Pair: UInt32] = [:]
    for step in 0..<1_500 {
      let filter = randomPath(&random, wild: true)
      let subscriber = UInt32.random(in: 0..<20, using: &random)
      let pair = Pair(filter: filter, subscriber: subscriber)
      let before = trie.generation
      switch Int.random(in: 0..<100, using: &random) {
      case 0..<60:
        let id = UInt32(step)
        let result = trie.insert(filter, subscriber, id: id)
        #expect(result == (model.updateValue(id, forKey: pair) == nil ? .inserted : .replaced))
      case 60..<98:
        // Mostly something that is there.
        let victim = step % 3 == 0 ? pair : model.keys.randomElement(using: &random) ?? pair
        let removed = trie.remove(victim.filter, victim.subscriber)
        #expect(removed == (model.removeValue(forKey: victim) != nil))
      default:
        trie.removeAll(subscriber: subscriber)
        model = model.filter { $0.key.subscriber != subscriber }
      }
      let (count, after) = (trie.subscriptionCount, trie.generation)
      #expect(count == model.count && after >= before)
      let topic = randomPath(&random, wild: false)
      let expected = ordered(
        model.filter { naiveMatch($0.key.filter, topic) }.map {
          TopicMatch(
            subscriber: $0.key.subscriber, value: SubscriptionValue(qos: 0, identifier: $0.value))
        })
      let found = trie.matches(topic)
      #expect(found == expected, "seed \(seed), step \(step), topic \(topic)")
      if found != expected { return }
      guard step % 50 == 0 else { continue }
      let listing = trie.listing
      #expect(
        listing == model.map { "\($0.key.filter) \($0.key.subscriber) \($0.value)" }.sorted())
    }
    for subscriber in 0..<20 as Range<UInt32> { trie.removeAll(subscriber: subscriber) }
    let (usage, listing) = (trie.usage, trie.listing)
    #expect(usage == [0, 0, 0] && listing.isEmpty)
  }

  @Test(arguments: ["nodes", "names", "subscriptions"])
  func whatDoesNotFitChangesNothing(scarce: String) {
    var trie = TopicTrie.small(
      subscribers: 8, subscriptions: scarce == "subscriptions" ? 40 : 1000,
      nodes: scarce == "nodes" ? 50 : 1000, nameBlocks: scarce == "names" ? 50 : 1000)
    var random = SplitMix64(seed: 11)
    var kept: [(String, UInt32)] = []
    var refused: [TopicTrie.InsertResult] = []
    for round in 0..<3 {
      for _ in 0..<300 {
        let filter = randomPath(&random, wild: true)
        let subscriber = UInt32.random(in: 0..<8, using: &random)
        let (usage, generation) = (trie.usage, trie.generation)
        switch trie.insert(filter, subscriber) {
        case .inserted: kept.append((filter, subscriber))
        case .replaced: break
        case let result:
          let (usageAfter, generationAfter) = (trie.usage, trie.generation)
          #expect(usage == usageAfter && generation == generationAfter)
          refused.append(result)
        }
      }
      for (filter, subscriber) in kept {
        let removed = trie.remove(filter, subscriber)
        #expect(removed)
      }
      kept = []
      let usage = trie.usage
      #expect(usage == [0, 0, 0], "round \(round)")
    }
    let storage: TopicTrie.Storage =
      scarce == "nodes" ? .nodes : scarce == "names" ? .names : .subscriptions
    #expect(!refused.isEmpty && refused.allSatisfy { $0 == .full(storage) })
  }

  @Test func walksTheDeepestPathsAndTopicsBeyondThem() {
    var trie = TopicTrie.small(nodes: 70_000, nameBlocks: 70_000)
    let deepest = TopicTrie.levelsMax
    let name = Array(repeating: "a", count: deepest).joined(separator: "/")
    let plus = Array(repeating: "+", count: deepest).joined(separator: "/")
    let rest = Array(repeating: "+", count: deepest - 1).joined(separator: "/") + "/#"
    let results = [name, plus, rest].enumerated().map { trie.insert($1, UInt32($0)) }
    #expect(results == [.inserted, .inserted, .inserted])
    // At every level both a name and a `+`, each with the other below: the stack at its fullest.
    for cut in 1..<deepest {
      let head = Array(repeating: "a", count: cut).joined(separator: "/")
      let inserted = trie.insert(head + "/+/a", 3)
      #expect(inserted == (cut + 2 <= deepest ? .inserted : .invalid(.tooManyLevels)))
    }
    let atTheEnd = trie.subscribers(name)
    let beyond = trie.subscribers(name + "/a")
    let above = trie.subscribers(String(name.dropLast(2)))
    #expect(atTheEnd == [0, 1, 2, 3] && beyond == [2] && above == [2, 3])
    for subscriber in 0..<4 as Range<UInt32> { trie.removeAll(subscriber: subscriber) }
    let usage = trie.usage
    #expect(usage == [0, 0, 0])
  }

  @Test func keepsLongNamesApart() {
    var trie = TopicTrie.small()
    // Names around the size of a block that differ in their last byte only.
    let lengths = [31, 32, 33, 64, 65, 1000]
    for (i, length) in lengths.enumerated() {
      let stem = String(repeating: "x", count: length - 1)
      let results = [trie.insert(stem + "1", UInt32(i)), trie.insert(stem + "2", UInt32(i + 10))]
      #expect(results == [.inserted, .inserted])
    }
    for (i, length) in lengths.enumerated() {
      let stem = String(repeating: "x", count: length - 1)
      let found = ["1", "2", "3"].map { trie.subscribers(stem + $0) }
      #expect(found == [[UInt32(i)], [UInt32(i + 10)], []])
    }
    let blocks = trie.nameBlockCount
    #expect(blocks == 2 * (1 + 1 + 2 + 2 + 3 + 32))
  }

  @Test func matchesComeInTheOrderOfSubscribing() {
    var trie = TopicTrie.small()
    for subscriber in [5, 3, 9, 1] as [UInt32] { _ = trie.insert("t", subscriber) }
    _ = trie.remove("t", 9)
    _ = trie.insert("t", 9)
    var matcher = TopicMatcher()
    let topic = Array("t".utf8)
    var found: [UInt32] = []
    trie.start(&matcher, topic: topic.span.bytes)
    while let match = trie.next(&matcher, topic.span.bytes) { found.append(match.subscriber) }
    #expect(found == [5, 3, 1, 9])
  }

  @Test func aChangeDuringAWalkTraps() async {
    await #expect(processExitsWith: .failure) {
      var trie = TopicTrie.small()
      _ = trie.insert("t", 1)
      var matcher = TopicMatcher()
      let topic = Array("t".utf8)
      trie.start(&matcher, topic: topic.span.bytes)
      _ = trie.insert("t", 2)
      _ = trie.next(&matcher, topic.span.bytes)
    }
  }
}
