/// A named parameter of the methods for pipelines; it means the same wherever it is taken.
package enum PipelineParameter: NamedParameter, Sendable {
  case pipeline, program, path, ports, keep, writes, atomic, entries, packet, packets
  case table, keys, entry, priority, action, arguments, member, group, timeoutMilliseconds
  case profile, counter, meter, register, index, count, value, bytes
  case committedRate, committedBurst, peakRate, peakBurst
  case session, port, truncate, replicas, valueSet, depth, packetsPerSecond
  case calculation, width, polynomial, initial, final, reflectInput, reflectOutput
  case digest, core, offset, limit

  package var name: StaticString {
    switch self {
    case .pipeline: "pipeline"
    case .program: "program"
    case .path: "path"
    case .ports: "ports"
    case .keep: "keep"
    case .writes: "writes"
    case .atomic: "atomic"
    case .entries: "entries"
    case .packet: "packet"
    case .packets: "packets"
    case .table: "table"
    case .keys: "keys"
    case .entry: "entry"
    case .priority: "priority"
    case .action: "action"
    case .arguments: "arguments"
    case .member: "member"
    case .group: "group"
    case .timeoutMilliseconds: "timeoutMilliseconds"
    case .profile: "profile"
    case .counter: "counter"
    case .meter: "meter"
    case .register: "register"
    case .index: "index"
    case .count: "count"
    case .value: "value"
    case .bytes: "bytes"
    case .committedRate: "committedRate"
    case .committedBurst: "committedBurst"
    case .peakRate: "peakRate"
    case .peakBurst: "peakBurst"
    case .session: "session"
    case .port: "port"
    case .truncate: "truncate"
    case .replicas: "replicas"
    case .valueSet: "valueSet"
    case .depth: "depth"
    case .packetsPerSecond: "packetsPerSecond"
    case .calculation: "calculation"
    case .width: "width"
    case .polynomial: "polynomial"
    case .initial: "initial"
    case .final: "final"
    case .reflectInput: "reflectInput"
    case .reflectOutput: "reflectOutput"
    case .digest: "digest"
    case .core: "core"
    case .offset: "offset"
    case .limit: "limit"
    }
  }
}

extension PipelineParameter {
  package var kind: ParameterKind {
    switch self {
    case .pipeline: .text(maximumBytes: Limits.pipelineNameBytes)
    case .program: .text(maximumBytes: Limits.requestBytes)
    case .path: .text(maximumBytes: 4_096)
    case .ports: .object
    case .keep, .atomic, .entries, .reflectInput, .reflectOutput: .boolean
    case .writes, .packets, .replicas: .array
    case .packet: .hexadecimal
    case .table, .action, .profile, .counter, .meter, .register, .valueSet, .calculation, .digest:
      .text(maximumBytes: 1_024)
    // By name or in the order of the program.
    case .keys, .arguments: .anything
    case .value, .polynomial, .initial, .final: .value
    case .entry, .priority, .member, .group, .timeoutMilliseconds, .index, .count, .bytes,
      .committedRate, .committedBurst, .peakRate, .peakBurst, .session, .port, .truncate, .depth,
      .packetsPerSecond, .width, .core, .offset, .limit:
      .integer(0...Int.max)
    }
  }
}

extension PipelineMethod {
  /// Table writes come by the thousand: they are counted, not logged.
  package var isLogged: Bool { self == .load || self == .unload }

  package func takes(_ parameter: PipelineParameter) -> Bool {
    if parameter == .pipeline { return self != .list && self != .verify }
    return switch self {
    case .list, .unload, .info, .stats, .mirrorList, .multicastList: false
    case .load:
      parameter == .program || parameter == .path || parameter == .ports || parameter == .keep
    case .verify: parameter == .program || parameter == .path
    case .batch: parameter == .writes || parameter == .atomic
    case .write: parameter == .bytes || parameter == .atomic || parameter == .entries
    case .trace: parameter == .packet || parameter == .port || parameter == .core
    case .tableInsert:
      parameter == .table || parameter == .keys || parameter == .priority
        || Self.isTarget(parameter) || parameter == .timeoutMilliseconds
    case .tableModify: Self.isEntry(parameter) || Self.isTarget(parameter)
    case .tableDelete, .tableGet: Self.isEntry(parameter)
    case .tableList: parameter == .table || parameter == .offset || parameter == .limit
    case .tableSetDefault: parameter == .table || Self.isTarget(parameter)
    case .tableResetDefault, .tableClear: parameter == .table
    case .tableSetTimeout: Self.isEntry(parameter) || parameter == .timeoutMilliseconds
    case .memberAdd:
      parameter == .profile || parameter == .action || parameter == .arguments
    case .memberModify:
      parameter == .profile || parameter == .member || parameter == .action
        || parameter == .arguments
    case .memberDelete: parameter == .profile || parameter == .member
    case .memberList, .groupList, .groupAdd: parameter == .profile
    case .groupDelete: parameter == .profile || parameter == .group
    case .groupJoin, .groupLeave:
      parameter == .profile || parameter == .group || parameter == .member
    case .counterRead:
      parameter == .counter || parameter == .index || parameter == .count
        || parameter == .entry || parameter == .core
    case .counterWrite:
      parameter == .counter || parameter == .index || parameter == .entry
        || parameter == .packets || parameter == .bytes
    case .counterReset: parameter == .counter
    case .meterRead: parameter == .meter || parameter == .index || parameter == .entry
    case .meterWrite:
      parameter == .meter || parameter == .index || parameter == .entry
        || parameter == .committedRate || parameter == .committedBurst
        || parameter == .peakRate || parameter == .peakBurst
    case .meterReset: parameter == .meter || parameter == .index || parameter == .entry
    case .registerRead:
      parameter == .register || parameter == .index || parameter == .count || parameter == .core
    case .registerWrite:
      parameter == .register || parameter == .index || parameter == .count
        || parameter == .value || parameter == .core
    case .registerReset: parameter == .register || parameter == .core
    case .mirrorSet:
      parameter == .session || parameter == .port || parameter == .group || parameter == .truncate
    case .mirrorDelete: parameter == .session
    case .multicastSet: parameter == .group || parameter == .replicas
    case .multicastDelete: parameter == .group
    case .valueSetInsert, .valueSetDelete: parameter == .valueSet || parameter == .value
    case .valueSetClear, .valueSetList: parameter == .valueSet
    case .queueSet:
      parameter == .port || parameter == .priority || parameter == .depth
        || parameter == .packetsPerSecond
    case .hashSet:
      parameter == .calculation || parameter == .width || parameter == .polynomial
        || parameter == .initial || parameter == .final || parameter == .reflectInput
        || parameter == .reflectOutput
    case .digests, .timeouts, .logs, .packetIn: parameter == .limit
    case .digestSet: parameter == .digest || parameter == .timeoutMilliseconds
    case .digestAcknowledge: parameter == .digest
    case .packetOut: parameter == .packets || parameter == .port || parameter == .core
    }
  }

  /// Whether the call is refused without it. Where one of several will do, as an entry by its
  /// number or by its keys, none is required here.
  package func requires(_ parameter: PipelineParameter) -> Bool {
    switch parameter {
    // Without it: the only one there is. A pipeline that a load makes has no name yet.
    case .pipeline: false
    case .program, .path, .ports, .keep, .atomic, .entries, .core, .offset, .limit, .count,
      .priority,
      .truncate, .depth, .packetsPerSecond, .initial, .final, .reflectInput, .reflectOutput,
      .keys, .entry, .action, .arguments, .index:
      false
    case .member:
      self != .tableInsert && self != .tableModify && self != .tableSetDefault
        && takes(parameter)
    case .group:
      self != .tableInsert && self != .tableModify && self != .tableSetDefault
        && self != .mirrorSet && takes(parameter)
    case .timeoutMilliseconds: self != .tableInsert && takes(parameter)
    case .port: self == .trace
    case .bytes: self == .write
    case .packets: self == .packetOut
    default: takes(parameter)
    }
  }

  /// An entry is named by its number or by what it matches.
  private static func isEntry(_ parameter: PipelineParameter) -> Bool {
    parameter == .table || parameter == .entry || parameter == .keys || parameter == .priority
  }

  /// What an entry does: an action with arguments, or a member or group of the table's profile.
  private static func isTarget(_ parameter: PipelineParameter) -> Bool {
    parameter == .action || parameter == .arguments || parameter == .member
      || parameter == .group
  }
}
