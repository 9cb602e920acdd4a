package import DPUCore
package import JSONText

extension Configuration {
  /// An eBPF filter in front of everything else that a port's packets meet.
  package struct Filter: Equatable, Sendable {
    package var port: Role
    /// Path of the program: an object file or bytecode.
    package var program: Text
    /// The program or section, when the file has several.
    package var name: Text?
    package var policy = FilterPolicy()

    package init(port: Role, program: Text) {
      self.port = port
      self.program = program
    }
  }

  /// What runs a filter, and what happens when it cannot.
  package struct FilterPolicy: Equatable, Sendable {
    package var engine = FilterEngine.automatic
    /// Of packets for which the program has no answer: verdict 0, an unknown one, a fault.
    package var aborted = FilterFallback.drop
    /// Of packets while the FPGA does not answer.
    package var deadDevice = FilterFallback.software

    package init() {}
  }

  /// `automatic`: the FPGA if there is one and it can, else machine code.
  package enum FilterEngine: CaseIterable, Sendable { case automatic, interpreter, jit, fpga }

  package enum FilterFallback: CaseIterable, Sendable { case drop, pass, software }

  /// The FPGA's registers in the address space.
  package struct FPGA: Equatable, Sendable {
    /// A resource file under /sys/bus/pci/devices, or the file of the simulated FPGA.
    package var path: Text
    package var kind: FPGAKind
    /// A packet that takes longer means that the device is dead.
    package var timeoutMilliseconds = 100

    package init(path: Text, kind: FPGAKind) {
      self.path = path
      self.kind = kind
    }
  }

  package enum FPGAKind: CaseIterable, Sendable { case pci, simulated }

  // MARK: Reading

  /// The member `filters`.
  static func filters(
    _ field: JSONField, hasHost: Bool, hasFPGA: Bool
  ) throws(JSONField.Problem) -> [Filter] {
    var filters: [Filter] = []
    for element in try field.elements(0...2) {
      let filter = try filter(element)
      if filter.port == .host, !hasHost { throw element.problem("there is no host port") }
      for other in filters where other.port == filter.port {
        throw element.problem("a second filter for the port \(filter.port.word)")
      }
      if filter.policy.engine == .fpga, !hasFPGA {
        throw element.problem("wants the FPGA, and there is no \"fpga\"")
      }
      filters.append(filter)
    }
    return filters
  }

  private static func filter(_ field: JSONField) throws(JSONField.Problem) -> Filter {
    var port: Role?
    var program: Text?
    var name: Text?
    var policy = FilterPolicy()
    for member in try field.members() {
      switch member.key {
      case "port": port = try member.field.word(Role.self)
      case "program": program = try member.field.text()
      case "name": name = try member.field.text()
      case "engine": policy.engine = try member.field.word(FilterEngine.self)
      case "aborted": policy.aborted = try abortedPolicy(member.field)
      case "deadDevice": policy.deadDevice = try member.field.word(FilterFallback.self)
      default: throw member.unknown("port, program, name, engine, aborted, deadDevice")
      }
    }
    guard let port else { throw field.problem("has no \"port\"") }
    guard let program else { throw field.problem("has no \"program\"") }
    var filter = Filter(port: port, program: program)
    filter.name = name
    filter.policy = policy
    return filter
  }

  /// Software is what was tried already.
  package static func abortedPolicy(
    _ field: JSONField
  ) throws(JSONField.Problem) -> FilterFallback {
    let fallback = try field.word(FilterFallback.self)
    guard fallback != .software else { throw field.problem("must be drop or pass") }
    return fallback
  }

  /// The member `fpga`.
  static func fpga(_ field: JSONField) throws(JSONField.Problem) -> FPGA {
    var path: Text?
    var kind: FPGAKind?
    var timeout: Int?
    for member in try field.members() {
      switch member.key {
      case "path": path = try member.field.text()
      case "kind": kind = try member.field.word(FPGAKind.self)
      case "timeoutMilliseconds": timeout = try member.field.integer(1...60_000)
      default: throw member.unknown("path, kind, timeoutMilliseconds")
      }
    }
    guard let path else { throw field.problem("has no \"path\"") }
    guard let kind else { throw field.problem("has no \"kind\"") }
    var fpga = FPGA(path: path, kind: kind)
    if let timeout { fpga.timeoutMilliseconds = timeout }
    return fpga
  }
}

extension Configuration.FilterEngine: ClosedWord {
  package var word: StaticString {
    switch self {
    case .automatic: "auto"
    case .interpreter: "interpreter"
    case .jit: "jit"
    case .fpga: "fpga"
    }
  }
}

extension Configuration.FilterFallback: ClosedWord {
  package var word: StaticString {
    switch self {
    case .drop: "drop"
    case .pass: "pass"
    case .software: "software"
    }
  }
}

extension Configuration.FPGAKind: ClosedWord {
  package var word: StaticString {
    switch self {
    case .pci: "pci"
    case .simulated: "simulated"
    }
  }
}
