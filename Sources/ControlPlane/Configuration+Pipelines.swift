package import DPUCore
package import JSONText

extension Configuration {
  /// A P4 pipeline between some of the firmware's ports.
  package struct Pipeline: Equatable, Sendable {
    package var name: Text
    /// Path of the program, BMv2 JSON; nil: packets pass as without a pipeline until one is loaded.
    package var program: Text?
    package var ports: [PipelinePort]

    package init(name: Text, program: Text? = nil, ports: [PipelinePort]) {
      self.name = name
      self.program = program
      self.ports = ports
    }
  }

  /// What a port number of a P4 program stands for.
  package struct PipelinePort: Equatable, Sendable {
    package var number: Int
    package var end: PipelineEnd

    package init(number: Int, end: PipelineEnd) {
      self.number = number
      self.end = end
    }
  }

  /// Where the packets of a pipeline's port come from and go to: the two ports of the firmware, its
  /// own TCP/IP stack, or the control plane (packet-in and packet-out).
  package enum PipelineEnd: CaseIterable, Sendable { case uplink, host, stack, cpu }

  /// The member `pipelines`. `hasHost`: whether there is a host port.
  static func pipelines(
    _ field: JSONField, hasHost: Bool
  ) throws(JSONField.Problem) -> [Pipeline] {
    var pipelines: [Pipeline] = []
    for element in try field.elements(0...Limits.pipelines) {
      let pipeline = try pipeline(element, hasHost: hasHost)
      for other in pipelines {
        if other.name == pipeline.name {
          throw element.problem("a second pipeline with the name \(pipeline.name)")
        }
        if let end = pipeline.end(sharedWith: other) {
          throw element.problem("\(end.word) belongs to the pipeline \(other.name) already")
        }
      }
      pipelines.append(pipeline)
    }
    return pipelines
  }

  private static func pipeline(
    _ field: JSONField, hasHost: Bool
  ) throws(JSONField.Problem) -> Pipeline {
    var name: Text?
    var program: Text?
    var ports: [PipelinePort]?
    for member in try field.members() {
      switch member.key {
      case "name": name = try member.field.text(maximumBytes: Limits.pipelineNameBytes)
      case "program": program = try member.field.text()
      case "ports": ports = try pipelinePorts(member.field, hasHost: hasHost)
      default: throw member.unknown("name, program, ports")
      }
    }
    guard let name else { throw field.problem("has no \"name\"") }
    guard let ports else { throw field.problem("has no \"ports\"") }
    return Pipeline(name: name, program: program, ports: ports)
  }

  /// `{"0": "uplink", "255": "cpu"}`: port numbers of the program, and what they stand for.
  package static func pipelinePorts(
    _ field: JSONField, hasHost: Bool
  ) throws(JSONField.Problem) -> [PipelinePort] {
    var ports: [PipelinePort] = []
    for member in try field.members() {
      guard let number = portNumber(member.key) else {
        throw JSONField.Problem(
          path: member.field.path, atKey: true,
          message: "must be the number of a port, 0 to \(Limits.pipelinePortMax)")
      }
      let end = try member.field.word(PipelineEnd.self)
      if end == .host, !hasHost { throw member.field.problem("there is no host port") }
      for other in ports where other.end == end {
        throw member.field.problem("\(end.word) is port \(other.number) already")
      }
      ports.append(PipelinePort(number: number, end: end))
    }
    guard !ports.isEmpty else { throw field.problem("must name a port") }
    return ports
  }

  /// Decimal, without leading zeros; nil when it is no number or too large.
  private static func portNumber(_ key: Text) -> Int? {
    var number = 0
    guard !key.isEmpty, key.bytes.count <= 3, key == "0" || key.bytes[0] != UInt8(ascii: "0") else {
      return nil
    }
    for byte in key.bytes {
      guard let digit = decimalDigit(byte) else { return nil }
      number = number * 10 + Int(digit)
    }
    return number <= Limits.pipelinePortMax ? number : nil
  }
}

extension Configuration.Pipeline {
  /// What both have, except for the control plane, which has a port in every pipeline that wants
  /// one.
  package func end(sharedWith other: Configuration.Pipeline) -> Configuration.PipelineEnd? {
    for port in ports where port.end != .cpu {
      for theirs in other.ports where theirs.end == port.end { return port.end }
    }
    return nil
  }
}

extension Configuration.PipelineEnd: ClosedWord {
  package var word: StaticString {
    switch self {
    case .uplink: "uplink"
    case .host: "host"
    case .stack: "stack"
    case .cpu: "cpu"
    }
  }
}
