/// What can be asked of the eBPF filters over the control socket.
package enum FilterMethod: PartMethod {
  case list, load, unload, info, maps, stats, exec, fpga

  package var name: StaticString {
    switch self {
    case .list: "ebpf.list"
    case .load: "ebpf.load"
    case .unload: "ebpf.unload"
    case .info: "ebpf.info"
    case .maps: "ebpf.maps"
    case .stats: "ebpf.stats"
    case .exec: "ebpf.exec"
    case .fpga: "ebpf.fpga"
    }
  }

  package var summary: StaticString {
    switch self {
    case .list: "The ports with their filters and what runs them."
    case .load: "Verifies a filter (ELF or bytecode) and lets packets of a port through it."
    case .unload: "Takes a port's filter away."
    case .info: "Instructions, maps and possible targets of a port's filter."
    case .maps: "The maps of a port's filter, or the entries of one."
    case .stats: "Packets by verdict, and faults by reason."
    case .exec: "One packet through a filter aside: the verdict and the packet afterwards."
    case .fpga: "The FPGA with its counters; can be reset."
    }
  }

  /// `exec` reads a file and computes, so it is among them.
  package var isWrite: Bool {
    switch self {
    case .list, .info, .maps, .stats: false
    case .load, .unload, .exec, .fpga: true
    }
  }
}

/// A named parameter of the methods for filters; it means the same wherever it is taken.
package enum FilterParameter: NamedParameter, Sendable {
  case port, program, path, name, engine, aborted, deadDevice, packet, map, offset, limit, reset

  package var name: StaticString {
    switch self {
    case .port: "port"
    case .program: "program"
    case .path: "path"
    case .name: "name"
    case .engine: "engine"
    case .aborted: "aborted"
    case .deadDevice: "deadDevice"
    case .packet: "packet"
    case .map: "map"
    case .offset: "offset"
    case .limit: "limit"
    case .reset: "reset"
    }
  }
}

extension FilterParameter {
  package var kind: ParameterKind {
    switch self {
    case .port, .engine, .aborted, .deadDevice: .text(maximumBytes: 16)
    case .program, .packet: .hexadecimal
    case .path: .text(maximumBytes: 4_096)
    case .name, .map: .text(maximumBytes: 1_024)
    case .offset, .limit: .integer(0...Int(Int32.max))
    case .reset: .boolean
    }
  }
}

extension FilterMethod {
  /// A packet aside changes nothing.
  package var isLogged: Bool { self == .load || self == .unload }

  package func takes(_ parameter: FilterParameter) -> Bool {
    switch self {
    case .list: false
    case .load:
      parameter == .port || Self.isProgram(parameter) || parameter == .engine
        || parameter == .aborted || parameter == .deadDevice
    case .unload, .info, .stats: parameter == .port
    case .maps:
      parameter == .port || parameter == .map || parameter == .offset || parameter == .limit
    case .exec:
      parameter == .port || Self.isProgram(parameter) || parameter == .engine
        || parameter == .packet
    case .fpga: parameter == .reset
    }
  }

  private static func isProgram(_ parameter: FilterParameter) -> Bool {
    parameter == .program || parameter == .path || parameter == .name
  }

  /// Without `port` the only one that has a filter is meant.
  package func requires(_ parameter: FilterParameter) -> Bool {
    switch parameter {
    case .port: self == .load
    case .packet: true
    default: false
    }
  }
}
