import DPUCore

/// A subscription for whoever goes through all of them.
package struct ListedSubscription: Equatable, BitwiseCopyable, Sendable {
  package var subscriber: UInt32
  package var value: SubscriptionValue
  /// Bytes of the filter.
  package var filterCount: Int
}

extension TopicTrie {
  /// The subscription at a place below `limits.subscriptions`; nil when the place is free. The
  /// places are in no order, and one is used again when its subscription ends.
  package func subscription(at place: Int) -> ListedSubscription? {
    let found = subscriptions[place]
    guard found.node != .max else { return nil }
    // `#` and a separator behind each level but the last.
    var count = found.isRest ? 1 : 0
    var levels = count
    var node = found.node
    while node != Self.root {
      count += nodes[node].isPlus ? 1 : Int(nodes[node].nameLength)
      levels += 1
      node = nodes[node].parent
    }
    return ListedSubscription(
      subscriber: found.subscriber, value: found.value, filterCount: count + levels - 1)
  }

  /// Writes the filter of the subscription at `place`, which is not free, to `target`, which has
  /// as many bytes as the filter.
  package func writeFilter(at place: Int, to target: inout MutableRawSpan) {
    var end = target.byteCount
    // From the last level to the first, as nodes know the one above them.
    var isLast = true
    if subscriptions[place].isRest {
      end -= 1
      target.storeByte(UInt8(ascii: "#"), at: end)
      isLast = false
    }
    var node = subscriptions[place].node
    while node != Self.root {
      if !isLast {
        end -= 1
        target.storeByte(UInt8(ascii: "/"), at: end)
      }
      isLast = false
      if nodes[node].isPlus {
        end -= 1
        target.storeByte(UInt8(ascii: "+"), at: end)
      } else {
        end -= Int(nodes[node].nameLength)
        names.copy(nodes[node].name, Int(nodes[node].nameLength), to: &target, at: end)
      }
      node = nodes[node].parent
    }
  }
}
