import ControlPlane
import DPUCore
import JSONText
import P4Pipelines

extension WriteBuilder {
  mutating func insert(_ call: PipelineCall) throws(RPCError) -> WriteResult {
    let table = try table(call)
    let keys = try keys(call, of: table)
    let action = try action(call, of: table)
    let priority = try priority(call)
    let timeout = try call.integer(.timeoutMilliseconds, in: 0...Int(Int32.max)) ?? 0
    return .entry(
      try writing(at: call.path) { () throws(ControlError) in
        try batch.addEntry(
          table: table, keys: keys, priority: priority, action, timeoutMilliseconds: timeout)
      })
  }

  mutating func modify(_ call: PipelineCall) throws(RPCError) {
    let table = try table(call)
    let action = try action(call, of: table)
    if let entry = try entry(call) {
      _ = try writing(at: call.path) { () throws(ControlError) in
        try batch.modifyEntry(table: table, handle: entry, action)
      }
      return
    }
    let keys = try keys(call, of: table)
    let priority = try priority(call)
    _ = try writing(at: call.path) { () throws(ControlError) in
      try batch.modifyEntry(table: table, keys: keys, priority: priority, action)
    }
  }

  mutating func delete(_ call: PipelineCall) throws(RPCError) {
    let table = try table(call)
    if let entry = try entry(call) {
      _ = try writing(at: call.path) { () throws(ControlError) in
        try batch.deleteEntry(table: table, handle: entry)
      }
      return
    }
    let keys = try keys(call, of: table)
    let priority = try priority(call)
    _ = try writing(at: call.path) { () throws(ControlError) in
      try batch.deleteEntry(table: table, keys: keys, priority: priority)
    }
  }

  mutating func setDefault(_ call: PipelineCall) throws(RPCError) {
    let table = try table(call)
    let action = try action(call, of: table)
    _ = try writing(at: call.path) { () throws(ControlError) in
      try batch.setDefault(table: table, action)
    }
  }

  mutating func setTimeout(_ call: PipelineCall) throws(RPCError) {
    let table = try table(call)
    let timeout = try call.integer(.timeoutMilliseconds, in: 0...Int(Int32.max)) ?? 0
    guard let entry = try entry(call) else { throw RPCError(call.missing(.entry)) }
    _ = try writing(at: call.path) { () throws(ControlError) in
      try batch.setTimeout(table: table, handle: entry, milliseconds: timeout)
    }
  }

  // MARK: Parts of a call

  /// The number of an entry, when the call names it so. Keys and a priority do not go with it.
  func entry(_ call: PipelineCall) throws(RPCError) -> Int? {
    guard let entry = try call.integer(.entry, in: 0...Int(UInt32.max)) else { return nil }
    for other in [PipelineParameter.keys, .priority] {
      if let field = call[other] {
        throw RPCError(
          .invalidParameters, "an entry is named by its number or by its keys", path: field.path)
      }
    }
    return entry
  }

  /// The smallest number wins.
  func priority(_ call: PipelineCall) throws(RPCError) -> Int {
    try call.integer(.priority, in: 0...Int(Int32.max)) ?? 0
  }

  func keys(_ call: PipelineCall, of table: Int) throws(RPCError) -> [P4Program.KeyMatch] {
    let keys = program.tables[table].keys
    let names = names
    let given = call[.keys]
    let path = call.path(of: .keys)
    return try reading { () throws(JSONField.Problem) in
      var matches = [P4Program.KeyMatch?](repeating: nil, count: keys.count)
      if let given, given.node.kind == .array {
        let fields = try given.elements(0...keys.count)
        for place in fields.indices {
          matches[place] = try ValueReader.key(fields[place], for: keys[place])
        }
      } else if let given {
        for member in try given.members() {
          guard let place = names.key(member.key, of: table) else {
            throw JSONField.Problem(
              path: member.field.path, atKey: true, message: "the table has no such key")
          }
          guard matches[place] == nil else {
            throw member.field.problem("\(keys[place].name) is given twice")
          }
          matches[place] = try ValueReader.key(member.field, for: keys[place])
        }
      }
      var result: [P4Program.KeyMatch] = []
      for place in keys.indices {
        if let match = matches[place] {
          result.append(match)
        } else {
          result.append(try ValueReader.omitted(keys[place], path))
        }
      }
      return result
    }
  }

  /// What an entry or a default does.
  func action(_ call: PipelineCall, of table: Int) throws(RPCError) -> ActionValue {
    let limit = Int(Int32.max)
    if let member = try call.integer(.member, in: 0...limit) {
      try refuse(.action, .arguments, .group, of: call, beside: "a member")
      return .member(member)
    }
    if let group = try call.integer(.group, in: 0...limit) {
      try refuse(.action, .arguments, .member, of: call, beside: "a group")
      return .group(group)
    }
    let action = try call.named(.action, "action of this table") {
      names.action($0, of: table)
    }
    return .action(action, try arguments(call, of: action))
  }

  private func refuse(
    _ first: PipelineParameter, _ second: PipelineParameter, _ third: PipelineParameter,
    of call: PipelineCall, beside what: StaticString
  ) throws(RPCError) {
    for parameter in [first, second, third] {
      if let field = call[parameter] {
        throw RPCError(.invalidParameters, "does not go with \(what)", path: field.path)
      }
    }
  }

  func arguments(_ call: PipelineCall, of action: Int) throws(RPCError) -> [WideInteger] {
    let parameters = program.actions[action].parameters
    let names = names
    let given = call[.arguments]
    let path = call.path(of: .arguments)
    return try reading { () throws(JSONField.Problem) in
      var values = [WideInteger?](repeating: nil, count: parameters.count)
      if let given, given.node.kind == .array {
        let fields = try given.elements(0...parameters.count)
        for place in fields.indices {
          values[place] = try ValueReader.value(fields[place], width: parameters[place].width)
        }
      } else if let given {
        for member in try given.members() {
          guard let place = names.parameter(member.key, of: action) else {
            throw JSONField.Problem(
              path: member.field.path, atKey: true, message: "the action has no such parameter")
          }
          values[place] = try ValueReader.value(member.field, width: parameters[place].width)
        }
      }
      var result: [WideInteger] = []
      for place in parameters.indices {
        guard let value = values[place] else {
          throw JSONField.Problem(
            path: path, message: "has no argument \"\(parameters[place].name)\"")
        }
        result.append(value)
      }
      return result
    }
  }
}
