import P4Pipelines

/// v1model as BMv2's simple_switch runs it, packet by packet, straight from the program graph and
/// without a thought for speed: what the compiled switch is compared with.
final class ReferenceSwitch {
  let program: P4Program
  var registers: [[WideInteger]]
  var counters: [[CounterValue]]
  var entries: [[Entry]]
  var directCounters: [[CounterValue]]
  var sessions: [Int: CloneSession] = [:]
  var groups: [Int: [(rid: Int, port: Int)]] = [:]
  /// Keys that tables were asked for, at most a few of each.
  var seenKeys: [[[WideInteger]]]

  private var waiting: [ReferencePacket] = []
  private var toEgress: [ReferencePacket] = []
  private var sent: [(port: Int, bytes: [UInt8])] = []
  var microseconds = 0

  /// Passes of one packet and its copies, after which it counts as going round for ever.
  private static let passesMax = 300

  struct Entry {
    var keys: [P4Program.KeyMatch]
    var priority: Int
    var action: P4Program.ActionEntry
  }

  init(_ program: P4Program) {
    self.program = program
    registers = program.registers.map { [WideInteger](repeating: .zero, count: $0.size) }
    counters = program.counters.map { [CounterValue](repeating: CounterValue(), count: $0.size) }
    entries = program.tables.map { table in
      table.entries.map { Entry(keys: $0.keys, priority: $0.priority, action: $0.action) }
    }
    directCounters = program.tables.map { $0.entries.map { _ in CounterValue() } }
    seenKeys = program.tables.map { _ in [] }
  }

  func add(_ entry: Entry, to table: Int) {
    entries[table].append(entry)
    directCounters[table].append(CounterValue())
  }

  /// What leaves because of one packet, in some order. A packet whose fate is left open changes
  /// nothing.
  func inject(_ bytes: [UInt8], port: Int) throws(Unspecified) -> [(port: Int, bytes: [UInt8])] {
    waiting = []
    toEgress = []
    sent = []
    let before = (registers, counters, directCounters)
    do throws(Unspecified) {
      try pass(bytes, port)
    } catch {
      (registers, counters, directCounters) = before
      throw error
    }
    return sent
  }

  private func pass(_ bytes: [UInt8], _ port: Int) throws(Unspecified) {
    var packet = ReferencePacket(program, data: bytes)
    packet.setStandard("ingress_port", port)
    packet.setStandard("packet_length", bytes.count)
    packet.setStandard("ingress_global_timestamp", microseconds)
    waiting.append(packet)
    var passes = 0
    while !waiting.isEmpty || !toEgress.isEmpty {
      passes += 1
      if passes > Self.passesMax { throw Unspecified() }
      if !toEgress.isEmpty {
        try egress(toEgress.removeFirst())
      } else {
        try ingress(waiting.removeFirst())
      }
    }
  }

  // MARK: Ingress

  private func ingress(_ arrived: ReferencePacket) throws(Unspecified) {
    var packet = arrived
    try parse(&packet)
    try run(program.ingress, &packet)
    packet.isExiting = false
    if packet.cloneSession != 0 {
      let session = packet.cloneSession & 0x7fff
      let list = packet.cloneList
      packet.cloneSession = 0
      packet.cloneList = nil
      if let target = sessions[session] {
        var copy = ReferencePacket(program, data: arrived.data)
        copy.setStandard("ingress_port", arrived.standard("ingress_port"))
        try parse(&copy)
        copy.resetMetadata()
        copy.copy(list, from: packet)
        copy.setStandard("instance_type", 1)
        send(copy, to: target)
      }
    }
    if packet.resubmits {
      var copy = ReferencePacket(program, data: arrived.data)
      copy.copy(packet.resubmitList, from: packet)
      copy.setStandard("instance_type", 6)
      copy.setStandard("packet_length", arrived.data.count)
      waiting.append(copy)
      return
    }
    let group = packet.standard("mcast_grp")
    if group != 0 {
      packet.setStandard("instance_type", 5)
      replicate(packet, group)
      return
    }
    let port = packet.standard("egress_spec")
    if port == 511 { return }
    packet.setStandard("instance_type", 0)
    enqueue(packet, port)
  }

  private func send(_ packet: ReferencePacket, to session: CloneSession) {
    if let group = session.group { replicate(packet, Int(group)) }
    if let port = session.port { enqueue(packet, Int(port)) }
  }

  private func replicate(_ packet: ReferencePacket, _ group: Int) {
    for copy in groups[group] ?? [] {
      var packet = packet
      packet.setStandard("egress_rid", copy.rid)
      packet.cloneSession = 0
      packet.resubmits = false
      packet.recirculates = false
      enqueue(packet, copy.port)
    }
  }

  private func enqueue(_ packet: ReferencePacket, _ port: Int) {
    var packet = packet
    packet.port = port
    toEgress.append(packet)
  }

  // MARK: Egress

  private func egress(_ arrived: ReferencePacket) throws(Unspecified) {
    var packet = arrived
    packet.setStandard("egress_port", packet.port)
    packet.setStandard("egress_spec", 0)
    packet.setStandard("packet_length", packet.length)
    packet.setStandard("egress_global_timestamp", microseconds)
    packet.setStandard("enq_timestamp", microseconds)
    try run(program.egress, &packet)
    packet.isExiting = false
    if packet.cloneSession != 0 {
      let session = packet.cloneSession & 0x7fff
      let list = packet.cloneList
      packet.cloneSession = 0
      packet.cloneList = nil
      if let target = sessions[session] {
        var copy = packet
        copy.resetMetadata()
        copy.copy(list, from: packet)
        copy.setStandard("instance_type", 2)
        copy.resubmits = false
        copy.recirculates = false
        send(copy, to: target)
      }
    }
    if packet.standard("egress_spec") == 511 { return }
    let bytes = try deparsed(&packet)
    if packet.recirculates {
      var copy = ReferencePacket(program, data: bytes)
      copy.copy(packet.recirculateList, from: packet)
      copy.setStandard("instance_type", 4)
      copy.setStandard("packet_length", bytes.count)
      waiting.append(copy)
      return
    }
    sent.append((packet.port, bytes))
  }

  private func deparsed(_ packet: inout ReferencePacket) throws(Unspecified) -> [UInt8] {
    try run(program.deparserPrimitives, [], &packet)
    for checksum in program.checksums where checksum.update {
      if let condition = checksum.condition, try !truth(condition, packet) { continue }
      let calculation = program.calculations[checksum.calculation]
      packet[checksum.target] = WideInteger(try hash(calculation, packet))
    }
    var bytes: [UInt8] = []
    for header in program.deparserOrder where packet.isValid[header] {
      bytes += packet.bytes(of: header)
    }
    return bytes + packet.data
  }

  // MARK: Control flow

  private func run(
    _ control: P4Program.Control, _ packet: inout ReferencePacket
  ) throws(Unspecified) {
    var node = control.first
    while !packet.isExiting {
      switch node {
      case .end: return
      case .conditional(let index):
        let conditional = control.conditionals[index]
        let holds = try truth(conditional.condition, packet)
        node = holds ? conditional.whenTrue : conditional.whenFalse
      case .call(let index):
        let call = control.calls[index]
        try run(program.actions[call.action].primitives, [], &packet)
        node = call.next
      case .table(let index): node = try apply(index, &packet)
      }
    }
  }

  private func apply(
    _ index: Int, _ packet: inout ReferencePacket
  ) throws(Unspecified) -> P4Program.Node {
    let table = program.tables[index]
    let keys = try self.keys(of: table, packet)
    if seenKeys[index].count < 64 { seenKeys[index].append(keys) }
    guard let place = find(keys, in: index) else {
      guard let entry = table.defaultEntry else { return table.nextOnMiss ?? table.nextByDefault }
      try run(entry, &packet)
      return table.nextOnMiss ?? next(after: entry.action, of: table)
    }
    if let meter = table.directMeter, let result = program.meters[meter].result {
      packet[result] = .zero
    }
    directCounters[index][place].packets += 1
    directCounters[index][place].bytes += UInt64(packet.arrivedLength)
    let entry = entries[index][place].action
    try run(entry, &packet)
    return table.nextOnHit ?? next(after: entry.action, of: table)
  }

  private func run(
    _ entry: P4Program.ActionEntry, _ packet: inout ReferencePacket
  ) throws(Unspecified) {
    try run(program.actions[entry.action].primitives, entry.arguments, &packet)
  }

  private func next(after action: Int, of table: P4Program.Table) -> P4Program.Node {
    let place = table.actions.firstIndex(of: action)!
    return table.nextByAction[place]
  }

  private func keys(
    of table: P4Program.Table, _ packet: ReferencePacket
  ) throws(Unspecified) -> [WideInteger] {
    var keys: [WideInteger] = []
    for key in table.keys {
      var value = try isReadable(key.value, packet) ? number(key.value, packet) : .zero
      value = value.truncated(to: key.width)
      if let mask = key.mask { value = value & mask }
      keys.append(value)
    }
    return keys
  }

  /// A field of an invalid header counts as zero in the key of a table, and only there.
  private func isReadable(
    _ expression: P4Program.Expression, _ packet: ReferencePacket
  ) throws(Unspecified) -> Bool {
    switch expression {
    case .field(let field): packet.isValid[field.header]
    case .indirectField(let header, _): packet.isValid[try resolve(header, packet)]
    default: true
    }
  }

  private func find(_ keys: [WideInteger], in table: Int) -> Int? {
    var best: Int?
    var bestRank = 0
    for (place, entry) in entries[table].enumerated() {
      var rank = -entry.priority
      let isTrie = program.tables[table].kind == .lpm
      if isTrie { rank = 0 }
      var matches = true
      for (index, match) in entry.keys.enumerated() {
        let width = program.tables[table].keys[index].width
        switch match {
        case .exact(let value): matches = matches && value == keys[index]
        case .valid(let value): matches = matches && (keys[index] != .zero) == value
        case .lpm(let value, let length):
          let mask = WideInteger.ones(length) << (width - length)
          matches = matches && value & mask == keys[index] & mask
          if isTrie { rank = length }
        case .ternary(let value, let mask):
          matches = matches && value & mask == keys[index] & mask
        case .range(let low, let high):
          matches = matches && low <= keys[index] && keys[index] <= high
        case .optional(let value): matches = matches && (value ?? keys[index]) == keys[index]
        }
      }
      if matches, best == nil || rank > bestRank {
        best = place
        bestRank = rank
      }
    }
    return best
  }
}
