package import DPUCore

extension P4Switch {
  /// Applies a batch, between two runs: no packet sees half of it. Afterwards the batch holds the
  /// results. Writing allocates nothing; reading entries and members does.
  package mutating func apply(_ batch: ControlBatch, now: Instant) {
    precondition(!batch.isApplied)
    batch.isApplied = true
    // Idle timeouts start now.
    machine.tables.begin(now: now)
    if batch.isAtomic {
      applyAtomically(batch)
    } else {
      for index in batch.operations.indices {
        batch.results[index] = apply(index, of: batch)
        if case .failed(let reason) = batch.results[index], batch.failure == nil {
          batch.failure = (index, reason)
        }
      }
    }
  }

  private mutating func applyAtomically(_ batch: ControlBatch) {
    machine.tables.beginBatch()
    for index in batch.operations.indices where !batch.operations[index].cannotFail {
      let result = apply(index, of: batch)
      if case .failed(let reason) = result {
        takeBack(batch, from: index)
        batch.results[index] = result
        batch.failure = (index, reason)
        return
      }
      batch.results[index] = result
    }
    machine.tables.commitBatch()
    for index in batch.operations.indices where batch.operations[index].cannotFail {
      batch.results[index] = apply(index, of: batch)
    }
  }

  private mutating func takeBack(_ batch: ControlBatch, from index: Int) {
    machine.tables.undoBatch()
    for earlier in (0..<index).reversed() {
      takeBack(batch.undo[earlier])
      batch.results[earlier] = .failed(.notDone)
    }
    batch.words.removeAll(keepingCapacity: true)
    batch.entries.removeAll(keepingCapacity: true)
  }

  private mutating func apply(_ index: Int, of batch: ControlBatch) -> ControlResult {
    let operation = batch.operations[index]
    do throws(TableError) {
      if let result = try applyToTables(operation, batch) { return result }
    } catch {
      return .failed(ControlFailure(error))
    }
    if let result = applyToArrays(operation, batch) { return result }
    return applyToTraffic(operation, undo: &batch.undo[index])
  }

  /// nil: the operation is none of these.
  private mutating func applyToTables(
    _ operation: ControlOperation, _ batch: ControlBatch
  ) throws(TableError) -> ControlResult? {
    switch operation {
    case .insert(let table, let key, let priority, let target, let timeout):
      let handle = try machine.tables.insert(table, key: key, priority: priority, target: target)
      if timeout > 0 { try machine.tables.setTimeout(table, handle, milliseconds: timeout) }
      return .handle(Int(handle.rawValue))
    case .modify(let table, let handle, let target):
      try machine.tables.modify(table, handle, target: target)
    case .modifyKey(let table, let key, let priority, let target):
      guard let handle = machine.tables.find(table, key: key, priority: priority) else {
        throw .noSuchEntry
      }
      try machine.tables.modify(table, handle, target: target)
    case .remove(let table, let handle):
      try machine.tables.remove(table, handle)
    case .removeKey(let table, let key, let priority):
      guard let handle = machine.tables.find(table, key: key, priority: priority) else {
        throw .noSuchEntry
      }
      try machine.tables.remove(table, handle)
    case .removeAll(let table):
      try machine.tables.removeAll(table)
    case .setDefault(let table, let target):
      try machine.tables.setDefault(table, target)
    case .resetDefault(let table):
      try machine.tables.resetDefault(table)
    case .setTimeout(let table, let handle, let milliseconds):
      try machine.tables.setTimeout(table, handle, milliseconds: milliseconds)
    case .readEntries(let table, let start, let limit):
      return try readEntries(table, from: start, limit: limit, batch)
    case .readDefault(let table):
      return .target(machine.tables.defaultTarget(table))
    case .readDirectCounter(let table, let handle):
      return .counter(try machine.tables.directCounter(table, handle))
    case .setDirectCounter(let table, let handle, let value):
      try machine.tables.setDirectCounter(table, handle, to: value)
    case .resetDirectCounters(let table):
      try machine.tables.resetDirectCounters(table)
    case .readDirectMeter(let table, let handle):
      return .meter(try machine.tables.directMeter(table, handle))
    case .setDirectMeter(let table, let handle, let rates):
      try machine.tables.setDirectMeter(table, handle, to: rates)
    default:
      return try applyToProfiles(operation)
    }
    return .done
  }

  private mutating func applyToProfiles(
    _ operation: ControlOperation
  ) throws(TableError) -> ControlResult? {
    switch operation {
    case .addMember(let profile, let record):
      return .handle(try machine.tables.addMember(profile, record))
    case .modifyMember(let profile, let member, let record):
      try machine.tables.modifyMember(profile, member, record)
    case .removeMember(let profile, let member):
      try machine.tables.removeMember(profile, member)
    case .addGroup(let profile):
      return .handle(try machine.tables.addGroup(profile))
    case .removeGroup(let profile, let group):
      try machine.tables.removeGroup(profile, group)
    case .addToGroup(let profile, let member, let group):
      try machine.tables.addMember(profile, member, toGroup: group)
    case .removeFromGroup(let profile, let member, let group):
      try machine.tables.removeMember(profile, member, fromGroup: group)
    case .readMembers(let profile):
      var members: [(member: Int, record: [UInt64])] = []
      var next = machine.tables.member(profile, from: 0)
      while let member = next {
        members.append((member, try machine.tables.member(profile, member)))
        next = machine.tables.member(profile, from: member + 1)
      }
      return .members(members)
    case .readGroups(let profile):
      var groups: [(group: Int, members: [Int])] = []
      var next = machine.tables.group(profile, from: 0)
      while let group = next {
        groups.append((group, try machine.tables.members(profile, ofGroup: group)))
        next = machine.tables.group(profile, from: group + 1)
      }
      return .groups(groups)
    case .insertValue(let set, let value):
      try machine.tables.insert(value, intoValueSet: set)
    case .removeValue(let set, let value):
      try machine.tables.remove(value, fromValueSet: set)
    case .removeValues(let set):
      try machine.tables.removeAll(fromValueSet: set)
    default:
      return nil
    }
    return .done
  }

  private mutating func readEntries(
    _ table: Int, from start: Int, limit: Int, _ batch: ControlBatch
  ) throws(TableError) -> ControlResult {
    let first = batch.entries.count
    var next = start
    var count = 0
    while count < limit {
      guard let handle = machine.tables.handle(table, from: next) else {
        return .entries(first: first, count: count, next: nil)
      }
      batch.entries.append(try machine.tables.entry(table, handle))
      count += 1
      next = handle.index + 1
    }
    let isMore = machine.tables.handle(table, from: next) != nil
    return .entries(first: first, count: count, next: isMore ? next : nil)
  }

  /// None of these fails: the batch has checked them against the program.
  private mutating func applyToArrays(
    _ operation: ControlOperation, _ batch: ControlBatch
  ) -> ControlResult? {
    do throws(ExternError) {
      switch operation {
      case .readCounter(let counter, let index):
        return .counter(try machine.externs.counter(counter, index))
      case .setCounter(let counter, let index, let value):
        try machine.externs.setCounter(counter, index, to: value)
      case .resetCounters(let counter):
        machine.externs.resetCounters(counter)
      case .readRegisters(let register, let range, let each):
        let first = batch.words.count
        for index in range {
          guard let words = unsafe machine.externs.registerElement(register, UInt64(index)) else {
            throw .noSuchIndex
          }
          for word in 0..<each { unsafe batch.words.append(words[word]) }
        }
        return .words(first: first, count: range.count, each: each)
      case .setRegisters(let register, let range, let value):
        for index in range { try machine.externs.setRegister(register, index, to: value) }
      case .resetRegisters(let register):
        machine.externs.resetRegisters(register)
      case .readMeter(let meter, let index):
        return .meter(try machine.externs.meter(meter, index))
      case .setMeter(let meter, let index, let rates):
        if let index {
          try machine.externs.setMeter(meter, index, to: rates)
        } else {
          try machine.externs.setMeters(meter, to: rates)
        }
      case .setCRC(let calculation, let parameters):
        try machine.externs.setCRC(calculation, parameters)
      case .setQueueDepth(let port, let priority, let packets):
        queues.setDepth(port: port, priority: priority, packets)
      case .setQueueRate(let port, let priority, let rate):
        queues.setRate(port: port, priority: priority, packetsPerSecond: rate)
      case .setDigestTimeout(let list, let milliseconds):
        digests.setTimeout(list: list, milliseconds: milliseconds)
      case .acknowledgeDigests(let list):
        digests.acknowledge(list: list)
      default:
        return nil
      }
    } catch {
      return .failed(ControlFailure(error))
    }
    return .done
  }

  private mutating func applyToTraffic(
    _ operation: ControlOperation, undo: inout ControlUndo
  ) -> ControlResult {
    var failure: ControlFailure?
    switch operation {
    case .setSession(let number, let session):
      undo = .session(number, sessions[number])
      failure = sessions.set(number, session) ? nil : .full
    case .removeSession(let number):
      undo = .session(number, sessions[number])
      failure = sessions.remove(number) ? nil : .noSuchSession
    case .createGroup(let number):
      failure = multicast.createGroup(number)
      undo = .removeGroup(number)
    case .destroyGroup(let number):
      undo = .restoreGroup(number, first: multicast.firstNode(of: number))
      failure = multicast.destroyGroup(number)
    case .createNode(let replicationID, let ports):
      guard let node = multicast.createNode(replicationID: replicationID, ports: ports) else {
        return .failed(.full)
      }
      undo = .removeNode(node)
      return .handle(node)
    case .updateNode(let node, let ports):
      if let old = multicast.node(node) { undo = .restorePorts(node: node, old.ports) }
      failure = multicast.updateNode(node, ports: ports)
    case .destroyNode(let node):
      if let old = multicast.node(node) {
        undo = .restoreNode(node, old, after: multicast.predecessor(of: node))
      }
      failure = multicast.destroyNode(node)
    case .associate(let group, let node):
      undo = .dissociate(group: group, node: node)
      failure = multicast.associate(group: group, node: node)
    case .dissociate(let group, let node):
      if let old = multicast.node(node) {
        undo = .restoreNode(node, old, after: multicast.predecessor(of: node))
      }
      failure = multicast.dissociate(group: group, node: node)
    default:
      // Every operation belongs to one of the four functions.
      preconditionFailure()
    }
    if let failure {
      undo = .nothing
      return .failed(failure)
    }
    return .done
  }
}

// MARK: What the switch tells on its own

/// An entry that nothing has hit for its timeout.
package struct IdleRecord: BitwiseCopyable, Equatable, Sendable {
  package var table: Int
  package var handle: Int
}

extension P4Switch {
  /// Shows the oldest digest and drops it; false when there is none.
  @discardableResult
  package mutating func takeDigest(_ body: (DigestHeader, RawSpan) -> Void) -> Bool {
    digests.take(body)
  }

  /// An entry that has become idle. Looks at a bounded number of entries; call it now and then,
  /// until it returns nil.
  package mutating func takeIdle(now: Instant) -> IdleRecord? {
    // Without packets nobody else tells the tables the time.
    machine.tables.begin(now: now)
    for _ in idleTables.indices {
      let table = idleTables[nextIdleTable]
      if let handle = machine.tables.popIdle(table) {
        counters.increment(.idleNotifications)
        return IdleRecord(table: table, handle: Int(handle.rawValue))
      }
      nextIdleTable = nextIdleTable + 1 == idleTables.count ? 0 : nextIdleTable + 1
    }
    return nil
  }

  /// What `log_msg` has said, oldest first: the format's number and argument values. Formats are
  /// texts of the program, see `PipelineCode.logs`.
  package mutating func takeLog() -> LogRecord? {
    machine.takeLog()
  }

  /// Packets that found a queue of this port full.
  package func queueDrops(port: Int) -> UInt64 { queues.drops(port: port) }

  /// Lookups of a table that hit and that missed.
  package func statistics(table: Int) -> (hits: UInt64, misses: UInt64) {
    machine.tables.statistics(table)
  }
}
