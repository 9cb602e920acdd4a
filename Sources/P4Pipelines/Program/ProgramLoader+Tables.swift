import DPUCore
import JSONText

// Tables: keys, actions, storage, default and constant entries.

extension P4Program.MatchKind: ClosedWord {
  package var word: StaticString {
    switch self {
    case .exact: "exact"
    case .lpm: "lpm"
    case .ternary: "ternary"
    case .range: "range"
    case .optional: "optional"
    case .valid: "valid"
    }
  }
}

private enum StorageName: ClosedWord {
  case simple, indirect, indirectWithSelector

  var word: StaticString {
    switch self {
    case .simple: "simple"
    case .indirect: "indirect"
    case .indirectWithSelector: "indirect_ws"
    }
  }
}

extension ProgramLoader {
  mutating func readProfiles(_ pipeline: ProgramObject) throws(ProgramProblem) {
    for node in try pipeline.list("action_profiles", 0...ProgramLimits.objects) {
      let object = try node.object()
      let name = try object.required("name")
      let size = try object.required("max_size")
      var profile = P4Program.ActionProfile(
        name: try name.name(), capacity: try size.integer(0...ProgramLimits.entries),
        selector: nil)
      if let selector = object.present("selector") {
        profile.selector = try calculation(selector.object(), name: profile.name)
      }
      try takeTableBytes(keyBytes: 0, capacity: profile.capacity, isScanned: false, size)
      try claim(
        profile.name, in: &profileNames, program.profiles.count, name, "action profile")
      program.profiles.append(profile)
    }
  }

  /// A table whose name is known already; `nodes` finds where control goes after it.
  mutating func readTable(
    _ node: ProgramNode, isIngress: Bool, nodes: borrowing NodeTable
  ) throws(ProgramProblem) -> P4Program.Table {
    let object = try node.object()
    var table = P4Program.Table(name: try object.required("name").name())
    table.isIngress = isIngress
    try readKeys(object, &table)
    try readStorage(object, &table)
    try readTableActions(object, &table)
    try readSuccessors(object, &table, nodes)
    try readDefault(object, &table)
    try readEntries(object, &table)
    table.supportsTimeout = try object.boolean("support_timeout", default: false)

    var keyBytes = 0
    for key in table.keys { keyBytes += (key.width + 7) / 8 }
    let isScanned = table.kind == .ternary || table.kind == .range
    try takeTableBytes(
      keyBytes: keyBytes, capacity: table.capacity, isScanned: isScanned,
      object.present("max_size") ?? node)

    if let meter = object.present("direct_meters") {
      table.directMeter = try find(meter, in: meterNames, "meter")
      guard meterBindings.contains(where: { $0.meter == table.directMeter }) else {
        throw meter.problem("must be a direct meter")
      }
    }
    return table
  }

  private mutating func takeTableBytes(
    keyBytes: Int, capacity: Int, isScanned: Bool, _ node: ProgramNode
  ) throws(ProgramProblem) {
    tablesBytes += ProgramLimits.tableBytes(
      keyBytes: keyBytes, capacity: capacity, isScanned: isScanned)
    guard tablesBytes <= ProgramLimits.tablesBytes else {
      throw node.problem(
        "all tables together would take more than \(ProgramLimits.tablesBytes) bytes")
    }
  }

  // MARK: Keys

  private mutating func readKeys(
    _ object: ProgramObject, _ table: inout P4Program.Table
  ) throws(ProgramProblem) {
    let list = try object.required("key")
    var prefixes = 0
    var bytes = 0
    for node in try list.elements(0...ProgramLimits.objects) {
      let key = try tableKey(node)
      bytes += (key.width + 7) / 8
      if key.kind == .lpm {
        prefixes += 1
        guard prefixes == 1 else { throw node.problem("a table may have one \"lpm\" key only") }
      }
      table.keys.append(key)
    }
    guard bytes * 8 <= ProgramLimits.keyBits else {
      throw list.problem(
        "must have at most \(ProgramLimits.keyBits) bits with padding, has \(bytes * 8)")
    }
    // The kind of the table is that of its most general key; a prefix is also a mask.
    var kind = P4Program.MatchKind.exact
    for key in table.keys {
      switch (key.kind, kind) {
      case (.range, _): kind = .range
      case (.ternary, .exact), (.ternary, .lpm), (.optional, .exact), (.optional, .lpm):
        kind = .ternary
      case (.lpm, .exact): kind = .lpm
      default: break
      }
    }
    let kindNode = try object.required("match_type")
    let name = try kindNode.word(P4Program.MatchKind.self, "match type")
    switch (name, kind) {
    case (.exact, .exact), (.lpm, .lpm), (.range, .range), (.ternary, .ternary): table.kind = kind
    case (.ternary, .exact), (.ternary, .lpm): table.kind = .ternary
    case (.range, .exact), (.range, .lpm), (.range, .ternary): table.kind = .range
    case (.lpm, .exact), (.optional, .exact), (.optional, .lpm), (.optional, .ternary):
      // A table without a prefix that calls itself "lpm", or "optional" after its keys.
      table.kind = name == .lpm ? .exact : .ternary
    default:
      throw kindNode.problem("\(quoted(Text(stringLiteral: name.word))) does not suit the keys")
    }
  }

  private mutating func tableKey(_ node: ProgramNode) throws(ProgramProblem) -> P4Program.TableKey {
    let object = try node.object()
    let kind = try object.required("match_type").word(P4Program.MatchKind.self, "match type")
    let target = try object.required("target")
    let value: P4Program.Expression
    let width: Int
    var name = Text()
    if kind == .valid {
      let header = try find(target, in: headerNames, "header")
      value = validity(.header(header))
      width = 1
      name = program.headers[header].name
    } else {
      switch try fieldPlace(target) {
      case .field(let field):
        value = .field(field)
        width = self.width(of: field)
        let header = program.headers[field.header]
        name = "\(header.name).\(header.fields[field.field].name)"
        guard !header.fields[field.field].isVariable else {
          throw target.problem("fields of variable length cannot be keys")
        }
      case .validity(let header):
        value = .unary(.boolToData, validity(.header(header)))
        width = 1
        name = "\(program.headers[header].name).$valid$"
      }
    }
    if let given = object.present("name") { name = try given.name() }
    let mask = try object.present("mask")?.number(width: (width + 7) / 8 * 8)
    return P4Program.TableKey(
      name: name, kind: kind, value: value, width: width,
      mask: mask?.truncated(to: width))
  }

  private func readStorage(
    _ object: ProgramObject, _ table: inout P4Program.Table
  ) throws(ProgramProblem) {
    // Keys are matched against entries here; a table without keys has none.
    if let size = object.present("max_size") {
      table.capacity = try size.integer(0...ProgramLimits.entries)
    } else if object.present("entries") == nil {
      _ = try object.required("max_size")
    }
    switch try object.required("type").word(StorageName.self, "type of table") {
    case .simple: table.storage = .direct
    case .indirect:
      table.storage = .profile(
        try find(object.required("action_profile"), in: profileNames, "action profile"))
    case .indirectWithSelector:
      let node = try object.required("action_profile")
      let profile = try find(node, in: profileNames, "action profile")
      guard program.profiles[profile].selector != nil else {
        throw node.problem("must be a profile with a selector")
      }
      table.storage = .selector(profile)
    }
  }

  // MARK: Actions

  private func readTableActions(
    _ object: ProgramObject, _ table: inout P4Program.Table
  ) throws(ProgramProblem) {
    if let list = object.present("action_ids") {
      for node in try list.elements(0...ProgramLimits.objects) {
        table.actions.append(try action(id: node))
      }
    } else {
      for node in try object.required("actions").elements(0...ProgramLimits.objects) {
        table.actions.append(try find(node, in: actionNames, "action"))
      }
    }
  }

  func action(id node: ProgramNode) throws(ProgramProblem) -> Int {
    let id = try node.integer(0...Int(Int32.max))
    guard let action = actionIDs.find(id: id) else {
      throw node.problem("there is no action with id \(id)")
    }
    return action
  }

  private func readSuccessors(
    _ object: ProgramObject, _ table: inout P4Program.Table, _ nodes: borrowing NodeTable
  ) throws(ProgramProblem) {
    let list = try object.required("next_tables")
    let members = try list.object()
    if let hit = members["__HIT__"] { table.nextOnHit = try nodes.node(hit) }
    if let miss = members["__MISS__"] { table.nextOnMiss = try nodes.node(miss) }
    let names = members.ordinals()
    for action in table.actions {
      let name = program.actions[action].name
      if let ordinal = names.find(name) {
        table.nextByAction.append(try nodes.node(members.member(ordinal)))
      } else {
        guard table.nextOnHit != nil || table.nextOnMiss != nil else {
          throw list.problem("must have the key \(quoted(name)), an action of the table")
        }
        table.nextByAction.append(.end)
      }
    }
    if let node = object["base_default_next"] { table.nextByDefault = try nodes.node(node) }
  }

  /// An object with `action_id` and `action_data`; the action must be one of the table's.
  func actionEntry(
    _ object: ProgramObject, _ table: P4Program.Table
  ) throws(ProgramProblem) -> P4Program.ActionEntry? {
    let idNode = try object.required("action_id")
    let action = try action(id: idNode)
    guard table.actions.contains(action) else {
      throw idNode.problem(
        "action \(quoted(program.actions[action].name)) is none of the table's")
    }
    let parameters = program.actions[action].parameters
    guard let data = object.present("action_data") else {
      return parameters.isEmpty ? P4Program.ActionEntry(action: action, arguments: []) : nil
    }
    var arguments: [WideInteger] = []
    for node in try data.elements(parameters.count...parameters.count) {
      let width = parameters[arguments.count].width
      let value = try node.number()
      guard value.bitWidth <= width else {
        throw node.problem("must fit in \(width) bits, is \(quoted(value.hexadecimal))")
      }
      arguments.append(value.truncated(to: width))
    }
    return P4Program.ActionEntry(action: action, arguments: arguments)
  }

  private func readDefault(
    _ object: ProgramObject, _ table: inout P4Program.Table
  ) throws(ProgramProblem) {
    guard let node = object.present("default_entry") else { return }
    let entry = try node.object()
    let isActionConstant = try entry.boolean("action_const", default: false)
    let isEntryConstant = try entry.boolean("action_entry_const", default: false)
    table.defaultEntry = try actionEntry(entry, table)
    guard let action = table.defaultEntry?.action else { return }
    // An action without parameters that must stay is an entry that must stay.
    table.isDefaultConstant =
      isEntryConstant || isActionConstant && program.actions[action].parameters.isEmpty
    table.isDefaultActionConstant = isActionConstant
  }
}
