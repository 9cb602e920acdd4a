/// What an entry, a default or a member does: an action with its arguments, or a member or group
/// of an action profile.
package enum ActionValue: Sendable, Equatable {
  /// Index into `P4Program.actions`, and one value per parameter.
  case action(Int, [WideInteger])
  case member(Int)
  case group(Int)
}

/// Rates of one meter cell: units per microsecond (packets or bytes) and bursts in units.
package struct MeterRates: BitwiseCopyable, Equatable, Sendable {
  package var committedRate: Double
  package var committedBurst: UInt64
  package var peakRate: Double
  package var peakBurst: UInt64
  package init(committedRate: Double, committedBurst: UInt64, peakRate: Double, peakBurst: UInt64) {
    self.committedRate = committedRate
    self.committedBurst = committedBurst
    self.peakRate = peakRate
    self.peakBurst = peakBurst
  }
}

/// Where the clones of a session go: to a multicast group, to a port, or to both in this order.
package struct CloneSession: BitwiseCopyable, Equatable, Sendable {
  package var port: UInt16?
  package var group: UInt16?
  /// Bytes a clone keeps as it leaves; 0 keeps all.
  package var truncation: UInt32
  package init(port: UInt16? = nil, group: UInt16? = nil, truncation: UInt32 = 0) {
    self.port = port
    self.group = group
    self.truncation = truncation
  }
}

/// One thing that the control plane asks of a switch, checked and encoded as far as that is
/// possible without the switch. Made by the methods of `ControlBatch`.
enum ControlOperation {
  // Tables
  case insert(table: Int, EntryKey, priority: Int, EntryTarget, timeoutMilliseconds: Int)
  case modify(table: Int, EntryHandle, EntryTarget)
  case modifyKey(table: Int, EntryKey, priority: Int, EntryTarget)
  case remove(table: Int, EntryHandle)
  case removeKey(table: Int, EntryKey, priority: Int)
  case removeAll(table: Int)
  case setDefault(table: Int, EntryTarget)
  case resetDefault(table: Int)
  case setTimeout(table: Int, EntryHandle, milliseconds: Int)
  case readEntries(table: Int, from: Int, limit: Int)
  case readDefault(table: Int)
  case readDirectCounter(table: Int, EntryHandle)
  case setDirectCounter(table: Int, EntryHandle, CounterValue)
  case resetDirectCounters(table: Int)
  case readDirectMeter(table: Int, EntryHandle)
  case setDirectMeter(table: Int, EntryHandle, MeterRates?)

  // Profiles
  case addMember(profile: Int, [UInt64])
  case modifyMember(profile: Int, member: Int, [UInt64])
  case removeMember(profile: Int, member: Int)
  case addGroup(profile: Int)
  case removeGroup(profile: Int, group: Int)
  case addToGroup(profile: Int, member: Int, group: Int)
  case removeFromGroup(profile: Int, member: Int, group: Int)
  case readMembers(profile: Int)
  case readGroups(profile: Int)

  // Value sets
  case insertValue(set: Int, WideInteger)
  case removeValue(set: Int, WideInteger)
  case removeValues(set: Int)

  // Arrays. None of these can fail: their numbers were checked against the program.
  case readCounter(Int, index: Int)
  case setCounter(Int, index: Int, CounterValue)
  case resetCounters(Int)
  case readRegisters(Int, Range<Int>, words: Int)
  case setRegisters(Int, Range<Int>, WideInteger)
  case resetRegisters(Int)
  case readMeter(Int, index: Int)
  case setMeter(Int, index: Int?, MeterRates?)
  case setCRC(Int, CRCParameters)

  // Traffic
  case setSession(Int, CloneSession)
  case removeSession(Int)
  case createGroup(Int)
  case destroyGroup(Int)
  case createNode(replicationID: UInt16, MulticastTree.Ports)
  case updateNode(Int, MulticastTree.Ports)
  case destroyNode(Int)
  case associate(group: Int, node: Int)
  case dissociate(group: Int, node: Int)
  case setQueueDepth(port: Int?, priority: Int?, Int)
  case setQueueRate(port: Int?, priority: Int?, packetsPerSecond: Int)
  case setDigestTimeout(list: Int, milliseconds: Int)
  case acknowledgeDigests(list: Int)

  /// Whether it cannot fail, and therefore runs after all others of its batch and is never undone.
  var cannotFail: Bool {
    switch self {
    case .readCounter, .setCounter, .resetCounters, .readRegisters, .setRegisters,
      .resetRegisters, .readMeter, .setMeter, .setCRC, .setQueueDepth, .setQueueRate,
      .setDigestTimeout, .acknowledgeDigests:
      true
    default: false
    }
  }
}

/// What became of an operation.
package enum ControlResult: Sendable {
  case done
  /// Of a new entry (see `EntryHandle`), member, group or multicast node.
  case handle(Int)
  case counter(CounterValue)
  /// nil: not configured.
  case meter(MeterRates?)
  /// `count` elements from word `first` of `ControlBatch.words`, `each` words per element, least
  /// significant first.
  case words(first: Int, count: Int, each: Int)
  /// `count` of `ControlBatch.entries` from `first`; `next` is where to go on, nil at the end.
  case entries(first: Int, count: Int, next: Int?)
  /// nil: the table has no default action.
  case target(EntryTarget?)
  case members([(member: Int, record: [UInt64])])
  case groups([(group: Int, members: [Int])])
  case failed(ControlFailure)
}
