package import DPUCore

/// Commands in the words of BMv2's simple_switch_CLI, as test vectors hold them, put into a batch.
///
/// Priorities are as they are there: the smallest number wins. What only asks (`counter_read`,
/// `register_read`, `meter_get_rates`) leaves its answer in the batch.
package struct CommandReader {
  package let names: P4Names

  package init(_ names: P4Names) { self.names = names }

  private struct Usage {
    var name: StaticString
    /// What follows the name; `[`…`]` may be left out, `...` may be repeated.
    var words: StaticString
  }

  private static let usages: [Usage] = [
    Usage(name: "table_add", words: "TABLE ACTION KEY... => [ARGUMENT...] [PRIORITY]"),
    Usage(name: "table_modify", words: "TABLE ACTION HANDLE [=>] [ARGUMENT...]"),
    Usage(name: "table_delete", words: "TABLE HANDLE"),
    Usage(name: "table_clear", words: "TABLE"),
    Usage(name: "table_set_default", words: "TABLE ACTION [=>] [ARGUMENT...]"),
    Usage(name: "table_reset_default", words: "TABLE"),
    Usage(name: "table_set_timeout", words: "TABLE HANDLE MILLISECONDS"),
    Usage(name: "table_indirect_add", words: "TABLE KEY... => MEMBER [PRIORITY]"),
    Usage(name: "table_indirect_add_with_group", words: "TABLE KEY... => GROUP [PRIORITY]"),
    Usage(name: "table_indirect_delete", words: "TABLE HANDLE"),
    Usage(name: "table_indirect_set_default", words: "TABLE MEMBER"),
    Usage(name: "table_indirect_set_default_with_group", words: "TABLE GROUP"),
    Usage(name: "table_indirect_reset_default", words: "TABLE"),
    Usage(name: "act_prof_create_member", words: "PROFILE ACTION [ARGUMENT...]"),
    Usage(name: "act_prof_modify_member", words: "PROFILE ACTION MEMBER [=>] [ARGUMENT...]"),
    Usage(name: "act_prof_delete_member", words: "PROFILE MEMBER"),
    Usage(name: "act_prof_create_group", words: "PROFILE"),
    Usage(name: "act_prof_delete_group", words: "PROFILE GROUP"),
    Usage(name: "act_prof_add_member_to_group", words: "PROFILE MEMBER GROUP"),
    Usage(name: "act_prof_remove_member_from_group", words: "PROFILE MEMBER GROUP"),
    Usage(name: "counter_read", words: "COUNTER INDEX"),
    Usage(name: "counter_write", words: "COUNTER INDEX PACKETS BYTES"),
    Usage(name: "counter_reset", words: "COUNTER"),
    Usage(name: "meter_array_set_rates", words: "METER RATE:BURST RATE:BURST"),
    Usage(name: "meter_set_rates", words: "METER INDEX RATE:BURST RATE:BURST"),
    Usage(name: "meter_get_rates", words: "METER INDEX"),
    Usage(name: "register_read", words: "REGISTER [INDEX]"),
    Usage(name: "register_write", words: "REGISTER INDEX VALUE"),
    Usage(name: "register_reset", words: "REGISTER"),
    Usage(name: "mirroring_add", words: "SESSION PORT"),
    Usage(name: "mirroring_add_mc", words: "SESSION GROUP"),
    Usage(name: "mirroring_delete", words: "SESSION"),
    Usage(name: "mirroring_get", words: "SESSION"),
    Usage(name: "mc_mgrp_create", words: "GROUP"),
    Usage(name: "mc_mgrp_destroy", words: "GROUP"),
    Usage(name: "mc_node_create", words: "RID [PORT...]"),
    Usage(name: "mc_node_update", words: "NODE [PORT...]"),
    Usage(name: "mc_node_destroy", words: "NODE"),
    Usage(name: "mc_node_associate", words: "GROUP NODE"),
    Usage(name: "mc_node_dissociate", words: "GROUP NODE"),
    Usage(name: "set_queue_depth", words: "PACKETS [PORT [PRIORITY]]"),
    Usage(name: "set_queue_rate", words: "PACKETS-PER-SECOND [PORT [PRIORITY]]"),
    Usage(name: "set_crc16_parameters", words: "CALCULATION POLYNOMIAL INITIAL FINAL IN OUT"),
    Usage(name: "set_crc32_parameters", words: "CALCULATION POLYNOMIAL INITIAL FINAL IN OUT"),
    Usage(name: "pvs_add", words: "VALUE-SET VALUE"),
    Usage(name: "pvs_remove", words: "VALUE-SET VALUE"),
    Usage(name: "pvs_clear", words: "VALUE-SET"),
  ]

  package static func knows(_ word: Text) -> Bool {
    usages.contains { Text(stringLiteral: $0.name) == word }
  }

  /// Adds the operation of `line` to `batch` and answers with its place there; nil when the line
  /// is empty or changes nothing.
  package func read(
    _ line: Text, number: Int, into batch: ControlBatch
  ) throws(ScriptError) -> Int? {
    var scanner = ScriptLine(line.bytes[...], number: number)
    return try read(scanner.words(), line: number, into: batch)
  }

  func read(
    _ words: [ScriptWord], line: Int, into batch: ControlBatch
  ) throws(ScriptError) -> Int? {
    guard let first = words.first else { return nil }
    guard let usage = Self.usages.first(where: { Text(stringLiteral: $0.name) == first.text })
    else {
      throw ScriptError(
        line: line, column: first.column, message: "unknown command '\(first.text)'")
    }
    var arguments = CommandArguments(
      words: words, line: line, usage: "\(usage.name) \(usage.words)", names: names)
    let place = try perform(first.text, &arguments, batch)
    guard arguments.isAtEnd else { throw arguments.misuse() }
    return place
  }

  private func perform(
    _ command: Text, _ a: inout CommandArguments, _ batch: ControlBatch
  ) throws(ScriptError) -> Int? {
    switch command {
    case "table_add":
      let table = try a.table()
      let action = try a.action(of: table)
      let keys = try a.keys(of: table)
      let values = try a.arguments(leaving: a.wantsPriority(table) ? 1 : 0)
      let priority = try a.priority(of: table)
      return try a.checked(
        try batch.addEntry(
          table: table, keys: keys, priority: priority, .action(action, values)))
    case "table_modify":
      let table = try a.table()
      let action = try a.action(of: table)
      let handle = try a.handle()
      let values = try a.arguments()
      return try a.checked(
        try batch.modifyEntry(table: table, handle: handle, .action(action, values)))
    case "table_delete", "table_indirect_delete":
      let table = try a.table()
      let handle = try a.handle()
      return try a.checked(try batch.deleteEntry(table: table, handle: handle))
    case "table_clear":
      let table = try a.table()
      return try a.checked(try batch.clear(table: table))
    case "table_set_default":
      let table = try a.table()
      let action = try a.action(of: table)
      let values = try a.arguments()
      return try a.checked(try batch.setDefault(table: table, .action(action, values)))
    case "table_reset_default", "table_indirect_reset_default":
      let table = try a.table()
      return try a.checked(try batch.resetDefault(table: table))
    case "table_set_timeout":
      let table = try a.table()
      let handle = try a.handle()
      let milliseconds = try a.handle()
      return try a.checked(
        try batch.setTimeout(table: table, handle: handle, milliseconds: milliseconds))
    case "table_indirect_add", "table_indirect_add_with_group":
      let table = try a.table()
      let keys = try a.keys(of: table)
      let member = try a.handle()
      let priority = try a.priority(of: table)
      let value: ActionValue = command == "table_indirect_add" ? .member(member) : .group(member)
      return try a.checked(
        try batch.addEntry(table: table, keys: keys, priority: priority, value))
    case "table_indirect_set_default":
      let table = try a.table()
      let member = try a.handle()
      return try a.checked(try batch.setDefault(table: table, .member(member)))
    case "table_indirect_set_default_with_group":
      let table = try a.table()
      let group = try a.handle()
      return try a.checked(try batch.setDefault(table: table, .group(group)))
    default: return try performOnProfile(command, &a, batch)
    }
  }

  private func performOnProfile(
    _ command: Text, _ a: inout CommandArguments, _ batch: ControlBatch
  ) throws(ScriptError) -> Int? {
    switch command {
    case "act_prof_create_member":
      let profile = try a.profile()
      let action = try a.action(ofProfile: profile)
      let values = try a.arguments()
      return try a.checked(try batch.addMember(profile: profile, action, values))
    case "act_prof_modify_member":
      let profile = try a.profile()
      let action = try a.action(ofProfile: profile)
      let member = try a.handle()
      let values = try a.arguments()
      return try a.checked(
        try batch.modifyMember(profile: profile, member: member, action, values))
    case "act_prof_delete_member":
      let profile = try a.profile()
      let member = try a.handle()
      return try a.checked(try batch.deleteMember(profile: profile, member: member))
    case "act_prof_create_group":
      let profile = try a.profile()
      return try a.checked(try batch.addGroup(profile: profile))
    case "act_prof_delete_group":
      let profile = try a.profile()
      let group = try a.handle()
      return try a.checked(try batch.deleteGroup(profile: profile, group: group))
    case "act_prof_add_member_to_group":
      let profile = try a.profile()
      let member = try a.handle()
      let group = try a.handle()
      return try a.checked(try batch.addMember(member, toGroup: group, profile: profile))
    case "act_prof_remove_member_from_group":
      let profile = try a.profile()
      let member = try a.handle()
      let group = try a.handle()
      return try a.checked(try batch.removeMember(member, fromGroup: group, profile: profile))
    default: return try performOnArray(command, &a, batch)
    }
  }

  private func performOnArray(
    _ command: Text, _ a: inout CommandArguments, _ batch: ControlBatch
  ) throws(ScriptError) -> Int? {
    switch command {
    case "counter_read":
      let counter = try a.counter()
      let index = try a.index()
      if let table = names.program.counters[counter].directTable {
        return try a.checked(try batch.readDirectCounter(table: table, handle: index))
      }
      return try a.checked(try batch.readCounter(counter, index: index))
    case "counter_write":
      let counter = try a.counter()
      let index = try a.index()
      let packets = try a.count()
      let bytes = try a.count()
      if let table = names.program.counters[counter].directTable {
        return try a.checked(
          try batch.writeDirectCounter(
            table: table, handle: index, packets: packets, bytes: bytes))
      }
      return try a.checked(
        try batch.writeCounter(counter, index: index, packets: packets, bytes: bytes))
    case "counter_reset":
      let counter = try a.counter()
      if let table = names.program.counters[counter].directTable {
        return try a.checked(try batch.resetDirectCounters(table: table))
      }
      return try a.checked(try batch.resetCounter(counter))
    case "meter_array_set_rates":
      let meter = try a.meter()
      let rates = try a.rates()
      return try a.checked(try batch.setMeter(meter, index: nil, rates))
    case "meter_set_rates":
      let meter = try a.meter()
      let index = try a.index()
      let rates = try a.rates()
      if let table = names.program.meters[meter].directTable {
        return try a.checked(
          try batch.setDirectMeter(table: table, handle: index, rates))
      }
      return try a.checked(try batch.setMeter(meter, index: index, rates))
    case "meter_get_rates":
      let meter = try a.meter()
      let index = try a.index()
      if let table = names.program.meters[meter].directTable {
        return try a.checked(try batch.readDirectMeter(table: table, handle: index))
      }
      return try a.checked(try batch.readMeter(meter, index: index))
    case "register_read":
      let register = try a.register()
      let size = names.program.registers[register].size
      if a.isAtEnd { return try a.checked(try batch.readRegister(register, range: 0..<size)) }
      let index = try a.index()
      return try a.checked(try batch.readRegister(register, range: index..<index + 1))
    case "register_write":
      let register = try a.register()
      let index = try a.index()
      let value = try a.value()
      return try a.checked(try batch.writeRegister(register, range: index..<index + 1, value))
    case "register_reset":
      let register = try a.register()
      return try a.checked(try batch.resetRegister(register))
    default: return try performOnSwitch(command, &a, batch)
    }
  }

  private func performOnSwitch(
    _ command: Text, _ a: inout CommandArguments, _ batch: ControlBatch
  ) throws(ScriptError) -> Int? {
    switch command {
    case "mirroring_add":
      let session = try a.index()
      let port = try a.short()
      return try a.checked(try batch.setSession(session, CloneSession(port: port)))
    case "mirroring_add_mc":
      let session = try a.index()
      let group = try a.short()
      return try a.checked(try batch.setSession(session, CloneSession(group: group)))
    case "mirroring_delete":
      let session = try a.index()
      return try a.checked(try batch.deleteSession(session))
    case "mirroring_get":
      _ = try a.index()
      return nil
    case "mc_mgrp_create":
      let group = try a.index()
      return try a.checked(try batch.createGroup(group))
    case "mc_mgrp_destroy":
      let group = try a.index()
      return try a.checked(try batch.destroyGroup(group))
    case "mc_node_create":
      let rid = try a.index()
      let ports = try a.ports()
      return try a.checked(try batch.createNode(rid: rid, ports: ports))
    case "mc_node_update":
      let node = try a.handle()
      let ports = try a.ports()
      return try a.checked(try batch.updateNode(node, ports: ports))
    case "mc_node_destroy":
      let node = try a.handle()
      return batch.destroyNode(node)
    case "mc_node_associate":
      let group = try a.index()
      let node = try a.handle()
      return try a.checked(try batch.associate(group: group, node: node))
    case "mc_node_dissociate":
      let group = try a.index()
      let node = try a.handle()
      return try a.checked(try batch.dissociate(group: group, node: node))
    case "set_queue_depth", "set_queue_rate":
      let amount = try a.index()
      let port = a.isAtEnd ? nil : try a.index()
      let priority = a.isAtEnd ? nil : try a.index()
      if command == "set_queue_depth" {
        return try a.checked(try batch.setQueueDepth(port: port, priority: priority, amount))
      }
      return try a.checked(
        try batch.setQueueRate(port: port, priority: priority, packetsPerSecond: amount))
    case "set_crc16_parameters", "set_crc32_parameters":
      let calculation = try a.calculation()
      let parameters = CRCParameters(
        width: command == "set_crc16_parameters" ? 16 : 32, polynomial: try a.count(),
        initial: try a.count(), final: try a.count(), reflectsInput: try a.truth(),
        reflectsOutput: try a.truth())
      return try a.checked(try batch.setCRC(calculation: calculation, parameters))
    case "pvs_add":
      let set = try a.valueSet()
      let value = try a.value()
      return try a.checked(try batch.addToValueSet(set, value))
    case "pvs_remove":
      let set = try a.valueSet()
      let value = try a.value()
      return try a.checked(try batch.removeFromValueSet(set, value))
    default:
      // pvs_clear, the last that `knows` knows.
      let set = try a.valueSet()
      return try a.checked(try batch.clearValueSet(set))
    }
  }
}
