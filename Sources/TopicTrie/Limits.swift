/// Capacities of one trie, all taken at its start.
package struct TopicTrieLimits: Equatable, Sendable {
  /// Subscribers are numbered below this. One per connection of the core.
  package var subscribers: Int
  /// (filter, subscriber) pairs. Ten for each connection is a busy smart home.
  package var subscriptions: Int
  /// Distinct filter levels, counted once per path. Every subscription having a path of its own
  /// with two levels nobody shares.
  package var nodes: Int
  /// Blocks of `TopicTrie.nameBlockSize` bytes for the names of levels: one for each node, as
  /// names are seldom longer.
  package var nameBlocks: Int

  package init(subscribers: Int, subscriptions: Int, nodes: Int, nameBlocks: Int) {
    self.subscribers = subscribers
    self.subscriptions = subscriptions
    self.nodes = nodes
    self.nameBlocks = nameBlocks
  }

  /// In proportion to a number of connections.
  package init(subscribers: Int) {
    self.init(
      subscribers: subscribers, subscriptions: subscribers * 10, nodes: subscribers * 20,
      nameBlocks: subscribers * 20)
  }
}

extension TopicTrie {
  /// mosquitto refuses topics and filters with more than 200 separators (its
  /// TOPIC_HIERARCHY_LIMIT), so that no level beyond these can be reached.
  package static var levelsMax: Int { 201 }
  /// Level names are short words; longer ones take several blocks.
  package static var nameBlockSize: Int { 32 }
}

/// As many as a path has nodes: its levels and the root.
package typealias PerLevel<T> = InlineArray<202, T>
