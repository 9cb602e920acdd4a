// Clone sessions, multicast groups, queues and digests.

extension ControlBatch {
  /// Makes or replaces a session. The group need not exist yet.
  @discardableResult
  package func setSession(_ number: Int, _ session: CloneSession) throws(ControlError) -> Int {
    try self.session(number)
    return append(.setSession(number, session))
  }

  @discardableResult
  package func deleteSession(_ number: Int) throws(ControlError) -> Int {
    try session(number)
    return append(.removeSession(number))
  }

  // MARK: Multicast

  @discardableResult
  package func createGroup(_ number: Int) throws(ControlError) -> Int {
    try group(number)
    return append(.createGroup(number))
  }

  /// Its nodes stay, without a group.
  @discardableResult
  package func destroyGroup(_ number: Int) throws(ControlError) -> Int {
    try group(number)
    return append(.destroyGroup(number))
  }

  /// Its result is the handle of the node: the smallest that is free.
  @discardableResult
  package func createNode(rid: Int, ports: [Int]) throws(ControlError) -> Int {
    guard let replicationID = UInt16(exactly: rid) else { throw ControlError(.valueTooWide) }
    return append(.createNode(replicationID: replicationID, try set(ports)))
  }

  @discardableResult
  package func updateNode(_ node: Int, ports: [Int]) throws(ControlError) -> Int {
    append(.updateNode(node, try set(ports)))
  }

  /// Takes it out of its group too.
  @discardableResult
  package func destroyNode(_ node: Int) -> Int { append(.destroyNode(node)) }

  /// Puts a node at the end of a group. A node belongs to one group at most.
  @discardableResult
  package func associate(group number: Int, node: Int) throws(ControlError) -> Int {
    try group(number)
    return append(.associate(group: number, node: node))
  }

  @discardableResult
  package func dissociate(group number: Int, node: Int) throws(ControlError) -> Int {
    try group(number)
    return append(.dissociate(group: number, node: node))
  }

  // MARK: Queues. Without a port for all ports, without a priority for the whole port.

  /// Packets that may wait in each queue; ignored while the queue has no rate.
  @discardableResult
  package func setQueueDepth(
    port: Int?, priority: Int? = nil, _ packets: Int
  ) throws(ControlError) -> Int {
    try queue(port, priority)
    guard packets >= 0, packets <= Int(UInt16.max) else { throw ControlError(.outOfRange) }
    return append(.setQueueDepth(port: port, priority: priority, packets))
  }

  /// 0 takes the limit away. A port's rate is shared by its priorities, the highest first.
  @discardableResult
  package func setQueueRate(
    port: Int?, priority: Int? = nil, packetsPerSecond: Int
  ) throws(ControlError) -> Int {
    try queue(port, priority)
    guard packetsPerSecond >= 0, packetsPerSecond <= 1_000_000_000 else {
      throw ControlError(.outOfRange)
    }
    return append(
      .setQueueRate(port: port, priority: priority, packetsPerSecond: packetsPerSecond))
  }

  // MARK: Digests

  /// For so long an equal digest is not told again, unless it was acknowledged; 0 (the default)
  /// tells each.
  @discardableResult
  package func setDigestTimeout(list: Int, milliseconds: Int) throws(ControlError) -> Int {
    try digest(list)
    guard milliseconds >= 0 else { throw ControlError(.outOfRange) }
    return append(.setDigestTimeout(list: list, milliseconds: milliseconds))
  }

  /// What was told of this list may be told again.
  @discardableResult
  package func acknowledgeDigests(list: Int) throws(ControlError) -> Int {
    try digest(list)
    return append(.acknowledgeDigests(list: list))
  }

  // MARK: Checks

  private func session(_ number: Int) throws(ControlError) {
    guard number >= 0, number <= SwitchLimits.sessionNumberMax else {
      throw ControlError(.badSessionNumber)
    }
  }

  private func group(_ number: Int) throws(ControlError) {
    // Group 0 means "no multicast" in mcast_grp.
    guard number > 0, number < 1 << 16 else { throw ControlError(.badGroupNumber) }
  }

  private func set(_ ports: [Int]) throws(ControlError) -> MulticastTree.Ports {
    var set = MulticastTree.Ports(repeating: 0)
    for port in ports {
      guard port >= 0, port < SwitchLimits.ports else { throw ControlError(.noSuchPort) }
      set[port / 64] |= 1 << UInt64(port % 64)
    }
    return set
  }

  private func queue(_ port: Int?, _ priority: Int?) throws(ControlError) {
    guard port ?? 0 >= 0, port ?? 0 < SwitchLimits.ports else { throw ControlError(.noSuchPort) }
    guard priority ?? 0 >= 0, priority ?? 0 < SwitchLimits.priorities else {
      throw ControlError(.badPriority)
    }
  }

  private func digest(_ list: Int) throws(ControlError) {
    guard names.program.learnLists.indices.contains(list) else {
      throw ControlError(.noSuchDigest)
    }
  }
}
