import CLinux
import DPUCore
import P4Pipelines

/// The pipeline between a source and a sink in memory, run on command: the counterpart of
/// swx/swxbench.c, which takes the same lines and answers in the same way.
///
///     p4bench PROGRAM.json|null PACKETS.bin BYTES-EACH [SETUP] [--burst N]
///
/// prints "ready", then answers each line of standard input with one line of JSON:
///
/// - `MILLISECONDS`: forwards for so long on this thread's CPU clock.
/// - `write MILLISECONDS PER-SECOND TABLE`: the same, while entries come and go in a table.
/// - `generate STREAMS PACKETS`: runs p4/pktgen.p4 until every stream has sent its packets.
@main
struct Bench {
  static func main() {
    do {
      try run()
      clinux_exit(0)
    } catch {
      System.write("p4bench: \(error.text)\n", to: 2)
      clinux_exit(1)
    }
  }

  private static func run() throws(BenchFailure) {
    var words: [Text] = []
    for index in 1..<max(1, Int(clinux_argument_count())) { words.append(System.argument(index)) }
    var burst = 64
    if words.count >= 2, words[words.count - 2] == "--burst" {
      burst = words[words.count - 1].number ?? 0
      words.removeLast(2)
    }
    guard words.count == 3 || words.count == 4, let length = words[2].number,
      (1...64).contains(burst)
    else {
      throw BenchFailure(
        "usage: p4bench PROGRAM.json|null PACKETS.bin BYTES-EACH [SETUP] [--burst N]")
    }
    let source = Source(try System.read(words[1]), length: length)
    if words[0] == "null" {
      var wire = Wire(source: source, burst: burst)
      System.write("ready\n", to: 1)
      while let line = System.readLine() { System.write(try wire.answer(line), to: 1) }
      return
    }
    let (program, code) = try Forwarder.load(try System.read(words[0]))
    var forwarder = Forwarder(
      try Forwarder.made(program, code), P4Names(program), source: source, burst: burst)
    if words.count == 4 { try forwarder.setUp(try System.read(words[3]).lines) }
    System.write("ready\n", to: 1)
    while let line = System.readLine() { System.write(try forwarder.answer(line), to: 1) }
  }
}

/// Packets of one length that come round again and again.
@safe
struct Source {
  private let bytes: UnsafeMutableRawPointer
  let length: Int
  private let count: Int
  private var next = 0

  init(_ text: Text, length: Int) {
    self.length = length
    count = text.bytes.count / length
    unsafe bytes = .allocate(byteCount: count * length, alignment: 64)
    for index in 0..<count * length {
      unsafe bytes.storeBytes(of: text.bytes[index], toByteOffset: index, as: UInt8.self)
    }
  }

  @inline(__always)
  mutating func take(from ports: inout BenchPorts) -> PacketBuffer? {
    let packet = unsafe ports.packet(bytes + next * length, length)
    next += 1
    if next == count { next = 0 }
    return packet
  }
}

/// How long a turn took, what left, and how often memory was allocated meanwhile.
struct Turn {
  private let start: UInt64
  private let allocations: UInt64
  private let before: InlineArray<8, UInt64>

  init(_ ports: borrowing BenchPorts) {
    before = ports.sent
    allocations = unsafe Allocations.count
    start = System.cpuNanoseconds
  }

  func isOver(after milliseconds: Int) -> Bool {
    System.cpuNanoseconds - start >= UInt64(milliseconds) * 1_000_000
  }

  func report(_ ports: borrowing BenchPorts, packets: Int) -> Text {
    let end = System.cpuNanoseconds
    let allocated = unsafe Allocations.count - allocations
    var text: Text = "{\"packets\":\(packets),\"cpuNanoseconds\":\(end - start)"
    text.append(",\"allocations\":\(allocated),\"sent\":[" as Text)
    for port in 0..<BenchPorts.ports {
      if port > 0 { text.append(byte: UInt8(ascii: ",")) }
      text.append(ports.sent[port] - before[port])
    }
    text.append("]}\n" as StaticString)
    return text
  }
}

/// No program at all: what source and sink cost.
struct Wire: ~Copyable {
  private var ports = BenchPorts(buffers: 4_095)
  private var source: Source
  private let burst: Int

  init(source: Source, burst: Int) {
    self.source = source
    self.burst = burst
  }

  mutating func answer(_ line: Text) throws(BenchFailure) -> Text {
    guard let milliseconds = line.number else { throw BenchFailure("unknown command: \(line)") }
    let turn = Turn(ports)
    var packets = 0
    var batch = InlineArray<64, PacketBuffer>(repeating: .none)
    while !turn.isOver(after: milliseconds) {
      for _ in 0..<256 {
        for place in 0..<burst {
          if let packet = source.take(from: &ports) { batch[place] = packet }
        }
        for place in 0..<burst { ports.send(batch[place], to: 0) }
        packets += burst
      }
    }
    return turn.report(ports, packets: packets)
  }
}
