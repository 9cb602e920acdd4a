import DPUCore

extension TopicTrie {
  /// Adds a subscription or gives a known one a new value. `subscriber` is below
  /// `limits.subscribers`. What is refused leaves the trie as it was.
  package mutating func insert(
    filter: RawSpan, subscriber: UInt32, value: SubscriptionValue
  ) -> InsertResult {
    precondition(Int(subscriber) < limits.subscribers)
    if let failure = Self.failure(in: filter) { return .invalid(failure) }
    var node = Self.root
    var isRest = false
    var walk = LevelWalk()
    while let level = walk.next(filter) {
      switch Self.kind(filter, level) {
      case .multi: isRest = true
      case .single:
        if nodes[node].plus == .max {
          guard let plus = makeNode(below: node) else { return refuse(.nodes, at: node) }
          nodes[plus].isPlus = true
          nodes[node].plus = plus
        }
        node = nodes[node].plus
      case .name:
        let hash = hash(of: filter, level)
        var child = find(hash, filter, level, below: node)
        if child == .max {
          guard NameStore.blocks(for: level.count) <= names.freeCount else {
            return refuse(.names, at: node)
          }
          guard let made = makeNode(below: node) else { return refuse(.nodes, at: node) }
          child = made
          nodes[child].hash = hash
          nodes[child].name = names.insert(filter, level)
          nodes[child].nameLength = UInt32(level.count)
          nodes[node].children += 1
          children.insert(Self.slotHash(hash, below: node), child)
        }
        node = child
      }
    }
    let known = find(node, isRest, subscriber)
    if known != .max {
      subscriptions[known].value = value
      generation += 1
      return .replaced
    }
    guard freeSubscription != .max else { return refuse(.subscriptions, at: node) }
    link(node, isRest, subscriber, value)
    generation += 1
    return .inserted
  }

  /// Ends a subscription. False when there is none.
  @discardableResult
  package mutating func remove(filter: RawSpan, subscriber: UInt32) -> Bool {
    precondition(Int(subscriber) < limits.subscribers)
    guard Self.failure(in: filter) == nil else { return false }
    var node = Self.root
    var isRest = false
    var walk = LevelWalk()
    while let level = walk.next(filter) {
      switch Self.kind(filter, level) {
      case .multi: isRest = true
      case .single: node = nodes[node].plus
      case .name: node = find(hash(of: filter, level), filter, level, below: node)
      }
      if node == .max { return false }
    }
    let known = find(node, isRest, subscriber)
    guard known != .max else { return false }
    unlink(known)
    generation += 1
    return true
  }

  /// Ends all subscriptions of a subscriber, in a time that depends on their number only.
  package mutating func removeAll(subscriber: UInt32) {
    guard own[subscriber] != .max else { return }
    while own[subscriber] != .max { unlink(own[subscriber]) }
    generation += 1
  }

  // MARK: Filters

  private enum LevelKind { case name, single, multi }

  private static func kind(_ filter: RawSpan, _ level: Range<Int>) -> LevelKind {
    guard level.count == 1 else { return .name }
    switch filter.byte(at: level.lowerBound) {
    case UInt8(ascii: "+"): return .single
    case UInt8(ascii: "#"): return .multi
    default: return .name
    }
  }

  private static func failure(in filter: RawSpan) -> FilterFailure? {
    if filter.byteCount == 0 { return .empty }
    var levels = 0
    var walk = LevelWalk()
    while let level = walk.next(filter) {
      levels += 1
      if levels > levelsMax { return .tooManyLevels }
      for i in level {
        let byte = filter.byte(at: i)
        // MQTT-4.7.1-1: alone in its level, and the last.
        if byte == UInt8(ascii: "#"), level.count > 1 || level.upperBound < filter.byteCount {
          return .multiLevelWildcard
        }
        // MQTT-4.7.1-2: alone in its level.
        if byte == UInt8(ascii: "+"), level.count > 1 { return .singleLevelWildcard }
      }
    }
    return nil
  }

  // MARK: Nodes

  private mutating func makeNode(below parent: UInt32) -> UInt32? {
    let index = freeNode
    guard index != .max else { return nil }
    freeNode = nodes[index].parent
    nodes[index] = Node()
    nodes[index].parent = parent
    nodeCount += 1
    return index
  }

  private mutating func refuse(_ storage: Storage, at node: UInt32) -> InsertResult {
    prune(node)
    return .full(storage)
  }

  /// Gives back `node` and the nodes above it as far as nobody needs them.
  private mutating func prune(_ start: UInt32) {
    var node = start
    while node != Self.root, nodes[node].isUseless {
      let parent = nodes[node].parent
      if nodes[node].isPlus {
        nodes[parent].plus = .max
      } else {
        children.remove(Self.slotHash(nodes[node].hash, below: parent), node)
        names.remove(nodes[node].name)
        nodes[parent].children -= 1
      }
      nodes[node].parent = freeNode
      freeNode = node
      nodeCount -= 1
      node = parent
    }
  }

  // MARK: Subscriptions

  /// The subscription of `subscriber` in a list of `node`, `.max` when there is none.
  private func find(_ node: UInt32, _ isRest: Bool, _ subscriber: UInt32) -> UInt32 {
    pairs.find(pairHash(node, isRest, subscriber)) { index in
      let found = subscriptions[index]
      return found.node == node && found.isRest == isRest && found.subscriber == subscriber
    }
  }

  private func pairHash(_ node: UInt32, _ isRest: Bool, _ subscriber: UInt32) -> UInt32 {
    var hash = secret
    hash.combine(UInt64(node) << 33 | UInt64(isRest ? 1 : 0) << 32 | UInt64(subscriber))
    return UInt32(truncatingIfNeeded: hash.finish())
  }

  private mutating func link(
    _ node: UInt32, _ isRest: Bool, _ subscriber: UInt32, _ value: SubscriptionValue
  ) {
    let index = freeSubscription
    freeSubscription = subscriptions[index].next
    var new = Subscription(node: node, subscriber: subscriber, value: value, isRest: isRest)
    let last = isRest ? nodes[node].rest.last : nodes[node].exact.last
    new.previous = last
    new.nextOwn = own[subscriber]
    subscriptions[index] = new
    if last != .max { subscriptions[last].next = index }
    if isRest {
      nodes[node].rest.append(index)
    } else {
      nodes[node].exact.append(index)
    }
    if new.nextOwn != .max { subscriptions[new.nextOwn].previousOwn = index }
    own[subscriber] = index
    pairs.insert(pairHash(node, isRest, subscriber), index)
    subscriptionCount += 1
  }

  private mutating func unlink(_ index: UInt32) {
    let old = subscriptions[index]
    pairs.remove(pairHash(old.node, old.isRest, old.subscriber), index)
    if old.next != .max { subscriptions[old.next].previous = old.previous }
    if old.previous != .max { subscriptions[old.previous].next = old.next }
    if old.isRest {
      nodes[old.node].rest.remove(index, old.previous, old.next)
    } else {
      nodes[old.node].exact.remove(index, old.previous, old.next)
    }
    if old.nextOwn != .max { subscriptions[old.nextOwn].previousOwn = old.previousOwn }
    if old.previousOwn != .max {
      subscriptions[old.previousOwn].nextOwn = old.nextOwn
    } else {
      own[old.subscriber] = old.nextOwn
    }
    subscriptions[index].node = .max
    subscriptions[index].next = freeSubscription
    freeSubscription = index
    subscriptionCount -= 1
    prune(old.node)
  }
}

extension TopicTrie.List {
  fileprivate mutating func append(_ index: UInt32) {
    if first == .max { first = index }
    last = index
  }

  fileprivate mutating func remove(_ index: UInt32, _ previous: UInt32, _ next: UInt32) {
    if first == index { first = next }
    if last == index { last = previous }
  }
}
