package import DPUCore

/// Replays a vector on a switch and compares every byte that left and all recorded state.
package struct VectorRunner: ~Copyable {
  private var virtual: VirtualSwitch
  private var report = VerifyReport()

  package static func run(
    _ vector: PacketVector, on virtual: consuming VirtualSwitch
  ) -> VerifyReport {
    var runner = VectorRunner(virtual: virtual)
    do throws(ScriptError) {
      try runner.virtual.setUp(vector.setup)
      for (index, packet) in vector.arrivals.enumerated() {
        runner.report.packetsIn += 1
        guard runner.virtual.send(packet.bytes, port: packet.port) else {
          throw ScriptError(
            line: index + 1, column: 1, message: "in[\(index)]: the switch does not take the packet"
          )
        }
      }
    } catch {
      runner.report.failures.append(.refused(error))
      return runner.report
    }
    if !runner.virtual.settle() { runner.report.failures.append(.restless) }
    runner.compare(vector)
    runner.compareState(vector.state)
    return runner.report
  }

  private init(virtual: consuming VirtualSwitch) { self.virtual = virtual }

  // MARK: Packets

  private mutating func compare(_ vector: PacketVector) {
    for port in virtual.ports.logs.indices {
      let log = virtual.ports.logs[port]
      report.packetsOut += log.count
      let wanted = vector.departures.first { $0.port == port }?.packets ?? []
      if vector.isOrdered {
        compareInOrder(port, log, wanted, vector.mask)
      } else {
        compareInAnyOrder(port, log, wanted, vector.mask)
      }
    }
  }

  private mutating func compareInOrder(
    _ port: Int, _ log: VirtualPorts.PortLog, _ wanted: [[UInt8]], _ mask: [Range<Int>]
  ) {
    for index in 0..<max(log.count, wanted.count) {
      report.checks += 1
      if index >= log.count {
        let pattern = PacketPattern(wanted[index], unchecked: mask)
        report.failures.append(.missing(port: port, number: index + 1, expected: pattern))
      } else if index >= wanted.count {
        report.failures.append(.unexpected(port: port, number: index + 1, got: Array(log[index])))
      } else {
        let pattern = PacketPattern(wanted[index], unchecked: mask)
        if let nibble = pattern.firstDifference(in: log[index]) {
          report.failures.append(
            .differs(
              port: port, number: index + 1, expected: pattern, got: Array(log[index]),
              nibble: nibble))
        }
      }
    }
  }

  /// Takes equal packets away from both sides; what is left is missing or too much.
  private mutating func compareInAnyOrder(
    _ port: Int, _ log: VirtualPorts.PortLog, _ wanted: [[UInt8]], _ mask: [Range<Int>]
  ) {
    var left: [Int] = []
    for index in 0..<log.count { left.append(index) }
    for (number, bytes) in wanted.enumerated() {
      report.checks += 1
      let pattern = PacketPattern(bytes, unchecked: mask)
      if let place = left.firstIndex(where: { pattern.firstDifference(in: log[$0]) == nil }) {
        left.remove(at: place)
      } else {
        report.failures.append(.missing(port: port, number: number + 1, expected: pattern))
      }
    }
    for index in left {
      report.failures.append(.unexpected(port: port, number: index + 1, got: Array(log[index])))
    }
  }

  // MARK: State

  private mutating func compareState(_ lines: [Text]) {
    for (index, line) in lines.enumerated() {
      report.checks += 1
      do throws(ScriptError) {
        let (name, wanted) = try Self.divide(line, number: index + 1)
        let got = try read(name, number: index + 1)
        if got != wanted {
          report.failures.append(.state(name: name.text, expected: wanted, got: got))
        }
      } catch {
        report.failures.append(.refused(error))
      }
    }
  }

  private static func divide(
    _ line: Text, number: Int
  ) throws(ScriptError) -> (name: ScriptWord, value: Text) {
    let word = ScriptWord(line.bytes[...], column: 1)
    guard let (name, value) = word.divided(at: "=") else {
      throw ScriptError(line: number, column: 1, message: "state is written NAME[INDEX]= VALUE")
    }
    return (name.trimmed, value.trimmed.text)
  }

  /// The state of `NAME[INDEX]` as simple_switch_CLI prints it.
  private mutating func read(_ word: ScriptWord, number: Int) throws(ScriptError) -> Text {
    guard let (name, rest) = word.divided(at: "["), let (index, _) = rest.divided(at: "]") else {
      throw ScriptError(line: number, column: 1, message: "state is written NAME[INDEX]= VALUE")
    }
    let isCounter = virtual.names.counter(name.text) != nil
    let command: Text = isCounter ? "counter_read" : "register_read"
    let batch = ControlBatch(virtual.names)
    guard
      let place = try CommandReader(virtual.names).read(
        "\(command) \(name.text) \(index.text)", number: number, into: batch)
    else { return Text() }
    virtual.apply(batch)
    switch batch.result(place) {
    case .counter(let value): return "(\(value.bytes) bytes, \(value.packets) packets)"
    case .words: return batch.values(place).first.map { Self.decimal($0) } ?? Text()
    case .failed(let reason): return Text(stringLiteral: reason.name)
    default: return Text()
    }
  }

  private static func decimal(_ value: WideInteger) -> Text {
    if let small = value.exactUInt64 { return "\(small)" }
    return value.hexadecimal
  }
}

extension VirtualSwitch {
  /// Carries out lines in the words of simple_switch_CLI, one after the other.
  package mutating func setUp(_ lines: [Text]) throws(ScriptError) {
    let reader = CommandReader(names)
    for (index, line) in lines.enumerated() {
      let batch = ControlBatch(names)
      _ = try reader.read(line, number: index + 1, into: batch)
      if batch.isEmpty { continue }
      apply(batch)
      if let failure = batch.failure {
        throw ScriptError(
          line: index + 1, column: 1, message: "the switch refuses: \(failure.reason.name)")
      }
    }
  }
}
