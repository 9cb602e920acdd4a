import ControlPlane
import DPUCore
import JSONText
import P4Pipelines

extension PipelineService {
  typealias Target = (pipeline: Pipeline, program: LoadedProgram)

  // MARK: Tables

  /// A page of entries from `offset` on, which is a place in the table and not a count.
  func listTable(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let target = try loaded(call)
    let table = try table(call, target)
    let limit = try call.integer(.limit, in: 1...ControlPlane.Limits.rowsPerReply) ?? 100
    var next: Int? = try call.integer(.offset, in: 0...Int(Int32.max)) ?? 0
    var rows: [TableEntry] = []
    while let start = next, rows.count < limit {
      let wanted = min(limit - rows.count, PipelineLimits.entriesPerTurn)
      let batch = try read(target, on: 0, at: call.path) { (batch) throws(ControlError) in
        try batch.readEntries(table: table, from: start, limit: wanted)
      }
      guard case .entries(let first, let count, let following) = batch.result(0) else { break }
      rows += batch.entries[first..<first + count]
      next = following
    }
    let counters = try directCounters(of: rows, table, target, call)
    json.member("table", text: target.program.program.tables[table].name)
    json.key("entries")
    json.beginArray()
    for (place, row) in rows.enumerated() {
      json.beginObject()
      write(row, of: table, target.program, to: &json)
      if let value = counters?[place] {
        json.member("packets", value.packets)
        json.member("bytes", value.bytes)
      }
      json.endObject()
    }
    json.endArray()
    json.member("next", optional: next)
    json.key("default")
    try writeDefault(table, target, call, to: &json)
  }

  private func writeDefault(
    _ table: Int, _ target: Target, _ call: PipelineCall, to json: inout JSONWriter
  ) throws(RPCError) {
    let batch = try read(target, on: 0, at: call.path) { (batch) throws(ControlError) in
      try batch.readDefault(table: table)
    }
    guard case .target(let found?) = batch.result(0) else { return json.null() }
    json.beginObject()
    write(found, target.program, to: &json)
    json.endObject()
  }

  /// One entry, with its counter and its meter.
  func writeEntry(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let target = try loaded(call)
    let table = try table(call, target)
    let entry = try find(call, table, target)
    write(entry, of: table, target.program, to: &json)
    let declared = target.program.program.tables[table]
    if let value = try directCounters(of: [entry], table, target, call)?.first {
      json.member("packets", value.packets)
      json.member("bytes", value.bytes)
    }
    guard declared.directMeter != nil else { return }
    let batch = try read(target, on: 0, at: call.path) { (batch) throws(ControlError) in
      try batch.readDirectMeter(table: table, handle: Int(entry.handle.rawValue))
    }
    json.key("meter")
    if case .meter(let rates) = batch.result(0) {
      writeRates(rates, to: &json)
    } else {
      json.null()
    }
  }

  /// By number, or by keys and priority.
  private func find(
    _ call: PipelineCall, _ table: Int, _ target: Target
  ) throws(RPCError) -> TableEntry {
    let builder = WriteBuilder(target.program, core: 0, isFirst: true)
    let wanted = try builder.entry(call)
    let keys = wanted == nil ? try builder.keys(call, of: table) : []
    let priority = try builder.priority(call)
    var next: Int? = wanted.map { EntryHandle(rawValue: UInt32($0)).index } ?? 0
    while let start = next {
      let limit = wanted == nil ? PipelineLimits.entriesPerTurn : 1
      let batch = try read(target, on: 0, at: call.path) { (batch) throws(ControlError) in
        try batch.readEntries(table: table, from: start, limit: limit)
      }
      guard case .entries(let first, let count, let following) = batch.result(0) else { break }
      for entry in batch.entries[first..<first + count] {
        if let wanted {
          if Int(entry.handle.rawValue) == wanted { return entry }
        } else if entry.keys == keys, entry.priority == priority {
          return entry
        }
      }
      next = wanted == nil ? following : nil
    }
    throw RPCError(.notFound, "there is no such entry", path: call.path)
  }

  private func table(_ call: PipelineCall, _ target: Target) throws(RPCError) -> Int {
    try call.named(.table, "table") { target.program.names.table($0) }
  }

  /// Summed over the workers; nil when the table counts nothing.
  private func directCounters(
    of entries: [TableEntry], _ table: Int, _ target: Target, _ call: PipelineCall
  ) throws(RPCError) -> [CounterValue]? {
    guard target.program.program.tables[table].directCounter != nil else { return nil }
    var sums = [CounterValue](repeating: CounterValue(), count: entries.count)
    for worker in 0..<workers.count {
      var start = 0
      while start < entries.count {
        let part = start..<min(entries.count, start + PipelineLimits.writesPerTurn)
        let batch = try read(target, on: worker, at: call.path) { (batch) throws(ControlError) in
          for place in part {
            try batch.readDirectCounter(
              table: table, handle: Int(entries[place].handle.rawValue))
          }
        }
        for place in part {
          guard case .counter(let value) = batch.result(place - start) else { continue }
          sums[place].packets &+= value.packets
          sums[place].bytes &+= value.bytes
        }
        start = part.upperBound
      }
    }
    return sums
  }

  private func write(
    _ entry: TableEntry, of table: Int, _ program: LoadedProgram, to json: inout JSONWriter
  ) {
    let declared = program.program.tables[table]
    json.member("entry", Int(entry.handle.rawValue))
    json.key("keys")
    json.beginObject()
    for (place, key) in declared.keys.enumerated() where place < entry.keys.count {
      json.key(text: key.name)
      json.value(entry.keys[place], width: key.width)
    }
    json.endObject()
    if declared.hasPriorities { json.member("priority", entry.priority) }
    write(entry.target, program, to: &json)
    if entry.timeoutMilliseconds > 0 {
      json.member("timeoutMilliseconds", entry.timeoutMilliseconds)
    }
  }

  private func write(
    _ target: EntryTarget, _ program: LoadedProgram, to json: inout JSONWriter
  ) {
    switch program.names.action(of: target) {
    case .action(let action, let arguments):
      write(action, arguments, program.program, to: &json)
    case .member(let member): json.member("member", member)
    case .group(let group): json.member("group", group)
    case nil:
      json.key("action")
      json.null()
    }
  }

  private func write(
    _ action: Int, _ arguments: [WideInteger], _ program: P4Program, to json: inout JSONWriter
  ) {
    let declared = program.actions[action]
    json.member("action", text: declared.name)
    json.key("arguments")
    json.beginObject()
    for (place, parameter) in declared.parameters.enumerated() where place < arguments.count {
      json.key(text: parameter.name)
      json.value(arguments[place], width: parameter.width)
    }
    json.endObject()
  }

  // MARK: Profiles

  func listMembers(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let target = try loaded(call)
    let profile = try call.named(.profile, "action profile") {
      target.program.names.profile($0)
    }
    let batch = try read(target, on: 0, at: call.path) { (batch) throws(ControlError) in
      try batch.readMembers(profile: profile)
    }
    guard case .members(let members) = batch.result(0) else { return }
    json.array("members", members) { json, member in
      json.beginObject()
      json.member("member", member.member)
      self.write(.action(member.record), target.program, to: &json)
      json.endObject()
    }
  }

  func listGroups(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let target = try loaded(call)
    let profile = try call.named(.profile, "action profile") {
      target.program.names.profile($0)
    }
    let batch = try read(target, on: 0, at: call.path) { (batch) throws(ControlError) in
      try batch.readGroups(profile: profile)
    }
    guard case .groups(let groups) = batch.result(0) else { return }
    json.array("groups", groups) { json, group in
      json.beginObject()
      json.member("group", group.group)
      json.array("members", group.members) { json, member in json.value(member) }
      json.endObject()
    }
  }

  // MARK: Counters and meters

  func readCounter(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let target = try loaded(call)
    let counter = try call.named(.counter, "counter") { target.program.names.counter($0) }
    let declared = target.program.program.counters[counter]
    let builder = WriteBuilder(target.program, core: 0, isFirst: true)
    json.member("counter", text: declared.name)
    let chosen = try worker(call)
    let asked = chosen.map { $0..<$0 + 1 } ?? 0..<workers.count
    if let table = declared.directTable {
      let entry = try builder.cell(call, .entry, refusing: .index)
      json.member("entry", entry)
      var sum = CounterValue()
      for worker in asked {
        let batch = try read(target, on: worker, at: call.path) { (batch) throws(ControlError) in
          try batch.readDirectCounter(table: table, handle: entry)
        }
        if case .counter(let value) = batch.result(0) { sum += value }
      }
      return json.array("cells", [sum], writeCell)
    }
    let range = try range(call, size: declared.size)
    var sums = [CounterValue](repeating: CounterValue(), count: range.count)
    for worker in asked {
      var start = range.lowerBound
      while start < range.upperBound {
        let part = start..<min(range.upperBound, start + PipelineLimits.writesPerTurn)
        let batch = try read(target, on: worker, at: call.path) { (batch) throws(ControlError) in
          for index in part { try batch.readCounter(counter, index: index) }
        }
        for index in part {
          if case .counter(let value) = batch.result(index - start) {
            sums[index - range.lowerBound] += value
          }
        }
        start = part.upperBound
      }
    }
    json.member("index", range.lowerBound)
    json.array("cells", sums, writeCell)
  }

  /// Elements of an array: from `index`, `count` of them. Without an index all of them; with one and
  /// without a count just that one.
  private func range(_ call: PipelineCall, size: Int) throws(RPCError) -> Range<Int> {
    guard size > 0 else { return 0..<0 }
    guard let first = try call.integer(.index, in: 0...size - 1) else {
      if let count = call[.count] {
        throw RPCError(.invalidParameters, "needs an index as well", path: count.path)
      }
      return 0..<min(size, PipelineLimits.elementsPerReply)
    }
    let most = min(size - first, PipelineLimits.elementsPerReply)
    return first..<first + (try call.integer(.count, in: 1...most) ?? 1)
  }

  func readMeter(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let target = try loaded(call)
    let meter = try call.named(.meter, "meter") { target.program.names.meter($0) }
    let declared = target.program.program.meters[meter]
    let builder = WriteBuilder(target.program, core: 0, isFirst: true)
    let table = declared.directTable
    let cell =
      table == nil
      ? try builder.cell(call, .index, refusing: .entry)
      : try builder.cell(call, .entry, refusing: .index)
    let batch = try read(target, on: 0, at: call.path) { (batch) throws(ControlError) in
      if let table {
        try batch.readDirectMeter(table: table, handle: cell)
      } else {
        try batch.readMeter(meter, index: cell)
      }
    }
    json.member("meter", text: declared.name)
    json.member("unit", string: declared.countsBytes ? "bytes" : "packets")
    json.key("rates")
    if case .meter(let rates) = batch.result(0) {
      writeRates(rates, to: &json)
    } else {
      json.null()
    }
  }

  // MARK: Registers

  /// Each worker has its own registers: what a program writes there depends on the packets of that
  /// core, and nobody can say how to add it up.
  func readRegister(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let target = try loaded(call)
    let register = try call.named(.register, "register") { target.program.names.register($0) }
    let declared = target.program.program.registers[register]
    let range = try range(call, size: declared.size)
    let chosen = try worker(call)
    json.member("register", text: declared.name)
    json.member("index", range.lowerBound)
    json.key("cores")
    json.beginArray()
    for worker in chosen.map({ $0..<$0 + 1 }) ?? 0..<workers.count {
      json.beginObject()
      json.member("core", workers.core(worker))
      json.key("values")
      json.beginArray()
      var start = range.lowerBound
      while start < range.upperBound {
        let part = start..<min(range.upperBound, start + PipelineLimits.elementsPerTurn)
        let batch = try read(target, on: worker, at: call.path) { (batch) throws(ControlError) in
          try batch.readRegister(register, range: part)
        }
        for value in batch.values(0) { json.value(value, width: declared.width) }
        start = part.upperBound
      }
      json.endArray()
      json.endObject()
    }
    json.endArray()
  }

  // MARK: What is in the book

  func listMirrors(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let target = try loaded(call)
    json.array("sessions", target.program.book.sessions) { json, entry in
      json.beginObject()
      json.member("session", entry.number)
      json.member("port", optional: entry.session.port.map { Int($0) })
      json.member("group", optional: entry.session.group.map { Int($0) })
      json.member("truncate", entry.session.truncation)
      json.endObject()
    }
  }

  func listGroupsOfMulticast(
    _ call: PipelineCall, to json: inout JSONWriter
  ) throws(RPCError) {
    let target = try loaded(call)
    json.array("groups", target.program.book.groups) { json, group in
      json.beginObject()
      json.member("group", group.number)
      json.array("replicas", group.replicas) { json, replica in
        json.beginObject()
        json.member("instance", replica.instance)
        json.array("ports", replica.ports) { json, port in json.value(port) }
        json.endObject()
      }
      json.endObject()
    }
  }

  func listValueSet(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    let target = try loaded(call)
    let set = try call.named(.valueSet, "value set") { target.program.names.valueSet($0) }
    let declared = target.program.program.valueSets[set]
    json.member("valueSet", text: declared.name)
    json.array("values", target.program.book.values(of: set)) { json, value in
      json.value(value, width: declared.width)
    }
  }
}

extension CounterValue {
  static func += (sum: inout CounterValue, other: CounterValue) {
    sum.packets &+= other.packets
    sum.bytes &+= other.bytes
  }
}

extension P4Program.Table {
  /// Whether the order of entries depends on their priorities.
  var hasPriorities: Bool {
    keys.contains { $0.kind == .ternary || $0.kind == .range || $0.kind == .optional }
  }
}

private func writeCell(_ json: inout JSONWriter, _ value: CounterValue) {
  json.beginObject()
  json.member("packets", value.packets)
  json.member("bytes", value.bytes)
  json.endObject()
}

private func writeRates(_ rates: MeterRates?, to json: inout JSONWriter) {
  guard let rates else { return json.null() }
  json.beginObject()
  json.member("committedRate", UInt64(rates.committedRate * 1e6 + 0.5))
  json.member("committedBurst", rates.committedBurst)
  json.member("peakRate", UInt64(rates.peakRate * 1e6 + 0.5))
  json.member("peakBurst", rates.peakBurst)
  json.endObject()
}
