import DPUCore

/// A copy of a multicast group: which port, and the replication id the copy sees.
struct Replica: BitwiseCopyable {
  var port: Int
  var replicationID: UInt16
}

/// Multicast groups and their nodes, as BMv2's replication engine keeps them: a node has a
/// replication id and a set of ports and belongs to at most one group; a group's copies go out
/// node by node in the order in which the nodes were associated, and port by port upwards.
///
/// Node handles are the smallest free numbers, because scripts written for BMv2 count on that.
struct MulticastTree: ~Copyable {
  /// 512 ports as bits.
  typealias Ports = InlineArray<8, UInt64>

  struct Node: BitwiseCopyable {
    var ports = Ports(repeating: 0)
    var replicationID: UInt16 = 0
    /// The group it belongs to; -1: none.
    var group: Int32 = -1
    /// The next node of the group.
    var next: Int32 = -1
    var exists = false
  }

  struct Group: BitwiseCopyable {
    var number: UInt16 = 0
    var first: Int32 = -1
    var last: Int32 = -1
  }

  private var nodes: FixedArray<Node>
  private var groups: FixedArray<Group>
  /// By group number: group + 1, 0 for none.
  private var groupOfNumber: FixedArray<UInt16>
  private var freeGroups: FixedArray<UInt16>
  private var freeGroupCount: Int

  init(groups groupCapacity: Int, nodes nodeCapacity: Int) {
    precondition(groupCapacity > 0 && groupCapacity < Int(UInt16.max) && nodeCapacity > 0)
    nodes = FixedArray(repeating: Node(), count: nodeCapacity)
    groups = FixedArray(repeating: Group(), count: groupCapacity)
    groupOfNumber = FixedArray(repeating: 0, count: 1 << 16)
    freeGroups = FixedArray(repeating: 0, count: groupCapacity)
    freeGroupCount = groupCapacity
    for index in 0..<groupCapacity { freeGroups[index] = UInt16(groupCapacity - 1 - index) }
  }
}

// MARK: Packet path

extension MulticastTree {
  /// Where a walk over a group's copies stands.
  struct Cursor: BitwiseCopyable {
    fileprivate var node: Int32
    fileprivate var word = 0
    fileprivate var bits: UInt64 = 0
  }

  /// A walk over the copies of a group; nil when there is no such group.
  @inline(__always)
  func start(_ number: Int) -> Cursor? {
    guard number >= 0, number < 1 << 16 else { return nil }
    let group = groupOfNumber[number]
    guard group != 0 else { return nil }
    let first = groups[Int(group) - 1].first
    return Cursor(node: first, bits: first < 0 ? 0 : nodes[Int(first)].ports[0])
  }

  @inline(__always)
  func next(_ cursor: inout Cursor) -> Replica? {
    while cursor.node >= 0 {
      if cursor.bits != 0 {
        let bit = cursor.bits.trailingZeroBitCount
        cursor.bits &= cursor.bits &- 1
        return Replica(
          port: cursor.word * 64 + bit, replicationID: nodes[Int(cursor.node)].replicationID)
      }
      cursor.word += 1
      if cursor.word == 8 {
        cursor.node = nodes[Int(cursor.node)].next
        cursor.word = 0
        if cursor.node < 0 { return nil }
      }
      cursor.bits = nodes[Int(cursor.node)].ports[cursor.word]
    }
    return nil
  }
}

// MARK: Control. Each change says what undoes it, so that a batch of changes can be taken back.

extension MulticastTree {
  func hasGroup(_ number: Int) -> Bool { groupOfNumber[number] != 0 }

  /// False when there are too many.
  mutating func createGroup(_ number: Int) -> ControlFailure? {
    guard groupOfNumber[number] == 0 else { return .exists }
    guard freeGroupCount > 0 else { return .full }
    freeGroupCount -= 1
    let slot = freeGroups[freeGroupCount]
    groups[Int(slot)] = Group(number: UInt16(number))
    groupOfNumber[number] = slot + 1
    return nil
  }

  /// Its nodes live on without a group. To be undone by creating it and associating them again.
  mutating func destroyGroup(_ number: Int) -> ControlFailure? {
    let group = groupOfNumber[number]
    guard group != 0 else { return .noSuchGroup }
    var node = groups[Int(group) - 1].first
    while node >= 0 {
      let next = nodes[Int(node)].next
      nodes[Int(node)].group = -1
      // `next` stays, so that an undo finds the list again.
      node = next
    }
    groupOfNumber[number] = 0
    freeGroups[freeGroupCount] = group - 1
    freeGroupCount += 1
    return nil
  }

  /// The first node of a group, for an undo of `destroyGroup`.
  func firstNode(of number: Int) -> Int32 {
    let group = groupOfNumber[number]
    return group == 0 ? -1 : groups[Int(group) - 1].first
  }

  /// Undoes `destroyGroup`: the group exists again with the list that starts at `first`.
  mutating func restoreGroup(_ number: Int, first: Int32) {
    _ = createGroup(number)
    let group = Int(groupOfNumber[number]) - 1
    groups[group].first = first
    var node = first
    while node >= 0 {
      nodes[Int(node)].group = Int32(group)
      groups[group].last = node
      node = nodes[Int(node)].next
    }
  }

  /// A new node without a group; nil when there are too many.
  mutating func createNode(replicationID: UInt16, ports: Ports) -> Int? {
    for index in 0..<nodes.count where !nodes[index].exists {
      nodes[index] = Node(ports: ports, replicationID: replicationID, exists: true)
      return index
    }
    return nil
  }

  func node(_ handle: Int) -> Node? {
    guard handle >= 0, handle < nodes.count, nodes[handle].exists else { return nil }
    return nodes[handle]
  }

  mutating func updateNode(_ handle: Int, ports: Ports) -> ControlFailure? {
    guard node(handle) != nil else { return .noSuchNode }
    nodes[handle].ports = ports
    return nil
  }

  mutating func associate(group number: Int, node handle: Int) -> ControlFailure? {
    guard let node = node(handle) else { return .noSuchNode }
    let group = Int(groupOfNumber[number]) - 1
    guard group >= 0 else { return .noSuchGroup }
    guard node.group < 0 else { return .nodeInUse }
    insert(handle, into: group, after: groups[group].last)
    return nil
  }

  mutating func dissociate(group number: Int, node handle: Int) -> ControlFailure? {
    guard let node = node(handle) else { return .noSuchNode }
    let group = Int(groupOfNumber[number]) - 1
    guard group >= 0 else { return .noSuchGroup }
    guard node.group == Int32(group) else { return .nodeNotInGroup }
    unlink(handle)
    return nil
  }

  /// Takes a node out of its group as well. Undone by `restoreNode`.
  mutating func destroyNode(_ handle: Int) -> ControlFailure? {
    guard let node = node(handle) else { return .noSuchNode }
    if node.group >= 0 { unlink(handle) }
    nodes[handle].exists = false
    return nil
  }

  /// The node before this one in its group's list, -1 when it is the first or in no group.
  func predecessor(of handle: Int) -> Int32 {
    guard let node = node(handle), node.group >= 0 else { return -1 }
    var at = groups[Int(node.group)].first
    var before: Int32 = -1
    while at >= 0, at != Int32(handle) {
      before = at
      at = nodes[Int(at)].next
    }
    return before
  }

  /// Undoes `destroyNode` and `dissociate`: the node as it was, behind its predecessor.
  mutating func restoreNode(_ handle: Int, _ old: Node, after predecessor: Int32) {
    nodes[handle] = old
    if old.group >= 0 { insert(handle, into: Int(old.group), after: predecessor) }
  }

  /// Undoes `createNode`.
  mutating func removeNode(_ handle: Int) { nodes[handle].exists = false }

  private mutating func insert(_ handle: Int, into group: Int, after predecessor: Int32) {
    nodes[handle].group = Int32(group)
    if predecessor < 0 {
      nodes[handle].next = groups[group].first
      groups[group].first = Int32(handle)
    } else {
      nodes[handle].next = nodes[Int(predecessor)].next
      nodes[Int(predecessor)].next = Int32(handle)
    }
    if nodes[handle].next < 0 { groups[group].last = Int32(handle) }
  }

  private mutating func unlink(_ handle: Int) {
    let before = predecessor(of: handle)
    let group = Int(nodes[handle].group)
    let next = nodes[handle].next
    if before < 0 { groups[group].first = next } else { nodes[Int(before)].next = next }
    if next < 0 { groups[group].last = before }
    nodes[handle].group = -1
    nodes[handle].next = -1
  }
}
