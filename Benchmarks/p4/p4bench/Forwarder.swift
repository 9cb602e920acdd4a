import DPUCore
import P4Pipelines

/// A switch under load.
struct Forwarder: ~Copyable {
  private var `switch`: P4Switch
  private let names: P4Names
  private var ports = BenchPorts(buffers: 4_095)
  private var source: Source
  private let burst: Int
  private var now: Instant

  /// Between two looks at the clock; the other side looks about as often.
  private static let burstsBetweenClocks = 16

  init(_ `switch`: consuming P4Switch, _ names: P4Names, source: Source, burst: Int) {
    self.`switch` = `switch`
    self.names = names
    self.source = source
    self.burst = burst
    now = Instant.zero + .seconds(1)
  }

  /// Reads and compiles a program.
  static func load(
    _ text: Text
  ) throws(BenchFailure) -> (program: P4Program, code: PipelineCode) {
    let program: P4Program
    do throws(ProgramError) {
      program = try ProgramLoader.load(text.span)
    } catch { throw BenchFailure(error.text) }
    do throws(CompileError) {
      return (program, try Compiler.compile(program))
    } catch { throw BenchFailure(error.text) }
  }

  static func made(
    _ program: P4Program, _ code: PipelineCode
  ) throws(BenchFailure) -> P4Switch {
    do throws(TableError) {
      return try P4Switch(code, program: program)
    } catch { throw BenchFailure("an entry of the program does not fit its table") }
  }

  /// Lines in the words of simple_switch_CLI.
  mutating func setUp(_ lines: [Text]) throws(BenchFailure) {
    let reader = CommandReader(names)
    for (index, line) in lines.enumerated() {
      let batch = ControlBatch(names)
      do throws(ScriptError) {
        _ = try reader.read(line, number: index + 1, into: batch)
      } catch { throw BenchFailure("setup:\(error.line):\(error.column): \(error.message)") }
      `switch`.apply(batch, now: now)
      if let failure = batch.failure {
        throw BenchFailure("setup:\(index + 1): \(failure.reason.name)")
      }
    }
  }

  mutating func answer(_ line: Text) throws(BenchFailure) -> Text {
    let words = line.words
    if words.count == 1, let milliseconds = words[0].number {
      return forward(milliseconds, writes: [], perSecond: 0)
    }
    if words.count == 4, words[0] == "write", let milliseconds = words[1].number,
      let perSecond = words[2].number, let table = names.table(words[3])
    {
      let count = perSecond * milliseconds / 1_000 + 1
      return forward(milliseconds, writes: try writes(count, table), perSecond: perSecond)
    }
    if words.count == 3, words[0] == "generate", let streams = words[1].number,
      let packets = words[2].number, streams <= 256
    {
      return try generate(streams, packets)
    }
    throw BenchFailure("unknown command: \(line)")
  }

  // MARK: Forwarding

  private mutating func forward(
    _ milliseconds: Int, writes: [ControlBatch], perSecond: Int
  ) -> Text {
    let turn = Turn(ports)
    let start = System.cpuNanoseconds
    let interval = perSecond > 0 ? 1_000_000_000 / UInt64(perSecond) : 0
    var written = 0
    var packets = 0
    while !turn.isOver(after: milliseconds) {
      for _ in 0..<Self.burstsBetweenClocks {
        for _ in 0..<burst {
          guard let packet = source.take(from: &ports) else { continue }
          if !`switch`.receive(packet, port: 0, now: now) { ports.recycle(packet) }
        }
        while `switch`.run(into: &ports, now: now) {}
        packets += burst
      }
      let elapsed = System.cpuNanoseconds - start
      now = now + .microseconds(20)
      while written < writes.count, UInt64(written) * interval < elapsed {
        `switch`.apply(writes[written], now: now)
        written += 1
      }
    }
    return turn.report(ports, packets: packets)
  }

  /// Batches of one operation each, made before the clock starts as the control thread would:
  /// 256 entries come, then they go, and so on.
  private func writes(_ count: Int, _ table: Int) throws(BenchFailure) -> [ControlBatch] {
    let action = names.program.tables[table].actions[0]
    var arguments: [WideInteger] = []
    for _ in names.program.actions[action].parameters { arguments.append(.zero) }
    var batches: [ControlBatch] = []
    for index in 0..<count {
      let batch = ControlBatch(names)
      let keys = keys(of: table, index % 256)
      do throws(ControlError) {
        if index / 256 % 2 == 0 {
          try batch.addEntry(table: table, keys: keys, priority: 1, .action(action, arguments))
        } else {
          try batch.deleteEntry(table: table, keys: keys, priority: 1)
        }
      } catch { throw BenchFailure("write: \(error.failure.name)") }
      batches.append(batch)
    }
    return batches
  }

  /// A key that no packet of the bench has.
  private func keys(of table: Int, _ number: Int) -> [P4Program.KeyMatch] {
    var keys: [P4Program.KeyMatch] = []
    for key in names.program.tables[table].keys {
      let value = WideInteger(UInt64(number))
      switch key.kind {
      case .exact: keys.append(.exact(value))
      case .lpm:
        keys.append(.lpm((WideInteger(0x0b_0000) | value) << (key.width - 24), length: 24))
      case .ternary: keys.append(.ternary(value, mask: .ones(key.width)))
      case .range: keys.append(.range(.zero, .ones(key.width)))
      case .optional: keys.append(.optional(value))
      case .valid: keys.append(.valid(true))
      }
    }
    return keys
  }

  // MARK: Generating

  /// One START for each stream, then the switch runs by itself.
  private mutating func generate(_ streams: Int, _ packets: Int) throws(BenchFailure) -> Text {
    for stream in 0..<streams {
      let start = Self.startPacket(stream: UInt8(stream), packets: UInt32(packets))
      let buffer = unsafe start.withUnsafeBytes { unsafe ports.packet($0.baseAddress!, $0.count) }
      guard let buffer, `switch`.receive(buffer, port: 1, now: now) else {
        throw BenchFailure("no room for the START packets")
      }
    }
    let turn = Turn(ports)
    let before = ports.sentInAll
    while `switch`.run(into: &ports, now: now) { now = now + .microseconds(1) }
    return turn.report(ports, packets: Int(ports.sentInAll - before))
  }

  /// Ethernet, then the headers of pktgen.p4: 14 + 16 + 16 + 32 bytes.
  private static func startPacket(stream: UInt8, packets: UInt32) -> [UInt8] {
    var bytes: [UInt8] = [2, 0, 0, 0, 0, 0xaa, 2, 0, 0, 0, 0, 0xbb, 0x88, 0xb5]
    // op START, stream, destination port 2; then seq, stamp and hash.
    bytes += [1, stream, 0, 2] + [UInt8](repeating: 0, count: 12)
    for shift in [24, 16, 8, 0] {
      bytes.append(UInt8(truncatingIfNeeded: packets >> UInt32(shift)))
    }
    // An unused word, expected hashes.
    bytes += [UInt8](repeating: 0, count: 12)
    for index in 0..<32 { bytes.append(UInt8(index)) }
    return bytes
  }
}
