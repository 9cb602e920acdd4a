import DPUCore

/// What a subscription asks for, kept for its subscriber and not looked at here.
package struct SubscriptionValue: Equatable, BitwiseCopyable, Sendable {
  /// Granted by the broker.
  package var qos: UInt8
  /// The subscription options of MQTT 5.0 as they stand in SUBSCRIBE.
  package var options: UInt8
  /// 0 when there is none.
  package var identifier: UInt32

  package init(qos: UInt8, options: UInt8 = 0, identifier: UInt32 = 0) {
    self.qos = qos
    self.options = options
    self.identifier = identifier
  }
}

/// Why a filter cannot be kept (MQTT 5.0, section 4.7).
package enum FilterFailure: Error, Equatable, BitwiseCopyable, Sendable {
  case empty
  case tooManyLevels
  /// `#` that is not the whole of the last level.
  case multiLevelWildcard
  /// `+` that is not the whole of its level.
  case singleLevelWildcard
}

/// Topic filters and who subscribes to them (MQTT 5.0, section 4.7).
///
/// One node for each level of each path. A node finds its named children through one
/// open-addressed table for the whole trie, keyed by the keyed hash of the level and the parent;
/// its `+` child and the subscribers of `#` below it are direct pointers. All storage is taken
/// at the start; what does not fit is refused and changes nothing. Filters are taken byte by
/// byte: UTF-8 is the codec's business, and `$share/...` is a filter like any other.
package struct TopicTrie: ~Copyable {
  package enum InsertResult: Equatable, BitwiseCopyable, Sendable {
    case inserted
    /// The pair was known; it has the new value.
    case replaced
    case full(Storage)
    case invalid(FilterFailure)
  }

  /// What can run out.
  package enum Storage: Equatable, BitwiseCopyable, Sendable {
    case subscriptions
    case nodes
    case names
  }

  /// First and last subscription of a list, in the order of subscribing.
  struct List: BitwiseCopyable {
    var first: UInt32 = .max
    var last: UInt32 = .max
    var isEmpty: Bool { first == .max }
  }

  struct Node: BitwiseCopyable {
    /// Keyed hash of the level's name; unused for `+`.
    var hash: UInt64 = 0
    /// `.max` for the root; the next free node in the free list.
    var parent: UInt32 = .max
    /// The child for `+`, `.max` when there is none.
    var plus: UInt32 = .max
    /// Subscribers of exactly this path.
    var exact = List()
    /// Subscribers of this path followed by `#`.
    var rest = List()
    /// Children with a name.
    var children: UInt32 = 0
    /// Where the name is kept, and its length; `.max` for an empty one.
    var name: UInt32 = .max
    var nameLength: UInt32 = 0
    var isPlus = false

    var isUseless: Bool { children == 0 && plus == .max && exact.isEmpty && rest.isEmpty }
  }

  struct Subscription: BitwiseCopyable {
    /// `.max` while the place is free.
    var node: UInt32 = .max
    var subscriber: UInt32 = 0
    var value = SubscriptionValue(qos: 0)
    /// In the node's `rest` list, otherwise in `exact`.
    var isRest = false
    /// In that list; `next` is also the free list.
    var next: UInt32 = .max
    var previous: UInt32 = .max
    /// In the list of the subscriber.
    var nextOwn: UInt32 = .max
    var previousOwn: UInt32 = .max
  }

  /// Rises with every change, so that whoever remembers a match knows when to forget it.
  package internal(set) var generation: UInt64 = 0
  package internal(set) var subscriptionCount = 0
  /// Without the root, which is always there.
  package internal(set) var nodeCount = 0
  package let limits: TopicTrieLimits

  static var root: UInt32 { 0 }
  let secret: SipHash
  var nodes: FixedArray<Node>
  var freeNode: UInt32
  var children: ProbeTable
  var names: NameStore
  var subscriptions: FixedArray<Subscription>
  var freeSubscription: UInt32
  /// (node, subscriber) to subscription.
  var pairs: ProbeTable
  /// First subscription of each subscriber.
  var own: FixedArray<UInt32>

  /// The keys are random numbers that no client knows, or clients could crowd one bucket.
  package init(_ limits: TopicTrieLimits, key0: UInt64, key1: UInt64) {
    precondition(limits.subscribers > 0 && limits.subscriptions > 0 && limits.nodes > 0)
    precondition(limits.subscriptions < 1 << 30 && limits.nodes < 1 << 30)
    self.limits = limits
    secret = SipHash(key0: key0, key1: key1)
    nodes = FixedArray(repeating: Node(), count: limits.nodes + 1)
    for i in 1..<limits.nodes { nodes[i].parent = UInt32(i + 1) }
    freeNode = 1
    children = ProbeTable(capacity: limits.nodes)
    names = NameStore(blocks: limits.nameBlocks)
    subscriptions = FixedArray(repeating: Subscription(), count: limits.subscriptions)
    for i in 0..<limits.subscriptions - 1 { subscriptions[i].next = UInt32(i + 1) }
    freeSubscription = 0
    pairs = ProbeTable(capacity: limits.subscriptions)
    own = FixedArray(repeating: .max, count: limits.subscribers)
  }

  /// Blocks of names in use, of `limits.nameBlocks`.
  package var nameBlockCount: Int { names.capacity - names.freeCount }
}

/// Walks the levels of a topic or filter. An empty level is a level.
struct LevelWalk {
  private var start = 0

  /// The next level as a range of `text`, nil after the last.
  mutating func next(_ text: RawSpan) -> Range<Int>? {
    guard start <= text.byteCount else { return nil }
    var end = start
    while end < text.byteCount, text.byte(at: end) != UInt8(ascii: "/") { end += 1 }
    let level = start..<end
    start = end + 1
    return level
  }
}
