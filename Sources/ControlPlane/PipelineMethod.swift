import DPUCore

/// What can be asked of the P4 pipelines over the control socket. Those that write are also what a
/// batch of writes may hold.
package enum PipelineMethod: PartMethod {
  case list, load, verify, unload, info, stats, batch, write, trace
  case tableInsert, tableModify, tableDelete, tableList, tableGet
  case tableSetDefault, tableResetDefault, tableClear, tableSetTimeout
  case memberAdd, memberModify, memberDelete, memberList
  case groupAdd, groupDelete, groupJoin, groupLeave, groupList
  case counterRead, counterWrite, counterReset
  case meterRead, meterWrite, meterReset
  case registerRead, registerWrite, registerReset
  case mirrorSet, mirrorDelete, mirrorList
  case multicastSet, multicastDelete, multicastList
  case valueSetInsert, valueSetDelete, valueSetClear, valueSetList
  case queueSet, hashSet
  case digests, digestSet, digestAcknowledge
  case timeouts, logs
  case packetIn, packetOut

  package var name: StaticString {
    switch self {
    case .list: "p4.list"
    case .load: "p4.load"
    case .verify: "p4.verify"
    case .unload: "p4.unload"
    case .info: "p4.info"
    case .stats: "p4.stats"
    case .batch: "p4.batch"
    case .write: "p4.write"
    case .trace: "p4.trace"
    case .tableInsert: "p4.table.insert"
    case .tableModify: "p4.table.modify"
    case .tableDelete: "p4.table.delete"
    case .tableList: "p4.table.list"
    case .tableGet: "p4.table.get"
    case .tableSetDefault: "p4.table.setDefault"
    case .tableResetDefault: "p4.table.resetDefault"
    case .tableClear: "p4.table.clear"
    case .tableSetTimeout: "p4.table.setTimeout"
    case .memberAdd: "p4.member.add"
    case .memberModify: "p4.member.modify"
    case .memberDelete: "p4.member.delete"
    case .memberList: "p4.member.list"
    case .groupAdd: "p4.group.add"
    case .groupDelete: "p4.group.delete"
    case .groupJoin: "p4.group.join"
    case .groupLeave: "p4.group.leave"
    case .groupList: "p4.group.list"
    case .counterRead: "p4.counter.read"
    case .counterWrite: "p4.counter.write"
    case .counterReset: "p4.counter.reset"
    case .meterRead: "p4.meter.read"
    case .meterWrite: "p4.meter.write"
    case .meterReset: "p4.meter.reset"
    case .registerRead: "p4.register.read"
    case .registerWrite: "p4.register.write"
    case .registerReset: "p4.register.reset"
    case .mirrorSet: "p4.mirror.set"
    case .mirrorDelete: "p4.mirror.delete"
    case .mirrorList: "p4.mirror.list"
    case .multicastSet: "p4.multicast.set"
    case .multicastDelete: "p4.multicast.delete"
    case .multicastList: "p4.multicast.list"
    case .valueSetInsert: "p4.valueSet.insert"
    case .valueSetDelete: "p4.valueSet.delete"
    case .valueSetClear: "p4.valueSet.clear"
    case .valueSetList: "p4.valueSet.list"
    case .queueSet: "p4.queue.set"
    case .hashSet: "p4.hash.set"
    case .digests: "p4.digests"
    case .digestSet: "p4.digest.set"
    case .digestAcknowledge: "p4.digest.acknowledge"
    case .timeouts: "p4.timeouts"
    case .logs: "p4.logs"
    case .packetIn: "p4.packetIn"
    case .packetOut: "p4.packetOut"
    }
  }

  package var summary: StaticString {
    switch self {
    case .list: "The pipelines with their programs and ports."
    case .load: "Loads a program (BMv2 JSON) and lets packets through it from then on."
    case .verify: "Loads a program aside and says what is in it, or what is wrong."
    case .unload: "Takes the program away; its ports are a bump in the wire again."
    case .info: "Tables, actions, arrays and limits of the program."
    case .stats: "Packets in and out, and what was dropped for which reason."
    case .batch: "Several writes between two bursts, all or nothing."
    case .write: "Table entries by binary records behind the request, all or nothing."
    case .trace: "One packet through a copy of the pipeline, step by step."
    case .tableInsert: "Adds an entry."
    case .tableModify: "Changes what an entry does."
    case .tableDelete: "Removes an entry."
    case .tableList: "Entries and the default."
    case .tableGet: "One entry with its counter and meter."
    case .tableSetDefault: "Changes the default action."
    case .tableResetDefault: "The default action of the program again."
    case .tableClear: "Removes all entries."
    case .tableSetTimeout: "After which idle time an entry is reported."
    case .memberAdd: "Adds a member to an action profile."
    case .memberModify: "Changes what a member does."
    case .memberDelete: "Removes a member."
    case .memberList: "Members of an action profile."
    case .groupAdd: "Adds an empty group to an action selector."
    case .groupDelete: "Removes a group."
    case .groupJoin: "Puts a member into a group."
    case .groupLeave: "Takes a member out of a group."
    case .groupList: "Groups of an action selector."
    case .counterRead: "Packets and bytes, summed over all cores."
    case .counterWrite: "Sets a cell of a counter."
    case .counterReset: "Sets all cells of a counter to zero."
    case .meterRead: "Rates of a cell of a meter."
    case .meterWrite: "Sets the rates of a cell, or of all."
    case .meterReset: "Takes the rates away: green from then on."
    case .registerRead: "Elements of a register array, for each core."
    case .registerWrite: "Sets elements of a register array on all cores, or on one."
    case .registerReset: "Sets all elements to zero."
    case .mirrorSet: "Where the clones of a session go."
    case .mirrorDelete: "Removes a clone session."
    case .mirrorList: "The clone sessions."
    case .multicastSet: "Makes or replaces a multicast group."
    case .multicastDelete: "Removes a multicast group."
    case .multicastList: "The multicast groups."
    case .valueSetInsert: "Adds a value to a parser value set."
    case .valueSetDelete: "Removes a value from a parser value set."
    case .valueSetClear: "Empties a parser value set."
    case .valueSetList: "The values of a parser value set."
    case .queueSet: "Depth and rate of egress queues."
    case .hashSet: "Parameters of a custom CRC."
    case .digests: "Takes digests that wait."
    case .digestSet: "For how long an equal digest is not told again."
    case .digestAcknowledge: "Digests of this list may be told again."
    case .timeouts: "Takes the notifications about idle entries that wait."
    case .logs: "Takes the messages of log_msg that wait."
    case .packetIn: "Takes packets that came out of the CPU port."
    case .packetOut: "Lets packets come into a pipeline."
    }
  }

  /// Only root and the firmware's own user may call these. What takes something that waits is
  /// among them, because nobody else gets it then; so is what reads a file or computes for long.
  package var isWrite: Bool {
    switch self {
    case .list, .info, .stats, .tableList, .tableGet, .memberList, .groupList, .counterRead,
      .meterRead, .registerRead, .mirrorList, .multicastList, .valueSetList:
      false
    default: true
    }
  }

  /// Whether records follow behind its line; their number of bytes is the parameter `bytes`.
  package var hasBody: Bool { self == .write }

  /// The same before anything is known about the request.
  static func hasBody(named name: Text) -> Bool { PipelineMethod(named: name)?.hasBody ?? false }

  /// Whether a batch may hold it.
  package var isBatchable: Bool {
    switch self {
    case .tableInsert, .tableModify, .tableDelete, .tableSetDefault, .tableResetDefault,
      .tableClear, .tableSetTimeout, .memberAdd, .memberModify, .memberDelete, .groupAdd,
      .groupDelete, .groupJoin, .groupLeave, .counterWrite, .counterReset, .meterWrite,
      .meterReset, .registerWrite, .registerReset, .mirrorSet, .mirrorDelete, .multicastSet,
      .multicastDelete, .valueSetInsert, .valueSetDelete, .valueSetClear, .queueSet, .hashSet,
      .digestSet, .digestAcknowledge:
      true
    default: false
    }
  }
}
