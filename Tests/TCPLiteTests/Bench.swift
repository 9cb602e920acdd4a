import DPUCore
import PacketWire

@testable import TCPLite

struct CaptureSink: FrameSink {
  var frames: [[UInt8]] = []
  var room = Int.max

  mutating func emit(byteCount: Int, _ write: (inout MutableRawSpan) -> Void) -> Bool {
    guard frames.count < room else { return false }
    var bytes = [UInt8](repeating: 0xa5, count: byteCount)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    write(&raw)
    frames.append(bytes)
    return true
  }
}

/// A stack on a test bench: one peer that says exactly what the test says, and a clock that
/// moves when the test says.
final class Bench {
  var stack: TCPStack
  var now: Instant
  var link: Link
  var sink = CaptureSink()
  /// Frames that are not TCP.
  var otherFrames: [[UInt8]] = []

  static func configuration() -> TCPConfiguration {
    var configuration = TCPConfiguration(
      mac: Link().serverMAC, secrets: (0x1111, 0x2222, 0x3333, 0x4444))
    configuration.ipv4 = Link().server
    configuration.ipv6 = Link.v6.server
    configuration.connectionsMax = 64
    configuration.halfOpenMax = 16
    configuration.timeWaitMax = 8
    configuration.neighboursMax = 16
    configuration.blockCount = 1_024
    configuration.entriesMax = 8_192
    return configuration
  }

  init(
    _ configuration: TCPConfiguration = Bench.configuration(), link: Link = Link(),
    knowsNeighbour: Bool = true
  ) {
    now = Instant(nanoseconds: 1_000_000_000_000)
    self.link = link
    stack = TCPStack(configuration: configuration, now: now)
    _ = stack.listen(1_883, tag: 7)
    if knowsNeighbour {
      inject(link.client.isIPv4 ? link.arpRequest() : link.solicitation())
      _ = turn()
      otherFrames = []
    }
  }

  @discardableResult
  func inject(_ frame: [UInt8]) -> FrameDisposition {
    stack.receive(frame.span.bytes, now: now)
  }

  func inject(_ segment: RawSegment) { inject(link.frame(segment)) }

  /// Timers and transmission; returns the segments that left.
  func turn() -> [RawSegment] {
    stack.advance(now: now)
    stack.transmit(into: &sink, now: now)
    let frames = sink.frames
    sink.frames = []
    var segments: [RawSegment] = []
    for frame in frames {
      if let segment = link.segment(in: frame) {
        segments.append(segment)
      } else {
        otherFrames.append(frame)
      }
    }
    return segments
  }

  /// Lets time pass without anything arriving, a millisecond at a time.
  func wait(milliseconds: UInt64) -> [RawSegment] {
    var segments: [RawSegment] = []
    for _ in 0..<milliseconds {
      now = now + .milliseconds(1)
      segments += turn()
    }
    return segments
  }

  /// What arrives at once is answered at once.
  func exchange(_ segments: RawSegment...) -> [RawSegment] {
    for segment in segments { inject(segment) }
    return turn()
  }

  func events() -> [TCPEvent.Kind] {
    var kinds: [TCPEvent.Kind] = []
    while let event = stack.nextEvent() { kinds.append(event.kind) }
    return kinds
  }

  func counter(_ key: TCPCounter) -> UInt64 { stack.counters[key] }

  func text(_ connection: SlabHandle) -> String {
    var bytes = [UInt8](repeating: 0, count: stack.readableCount(connection))
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    let count = stack.copyReadable(connection, at: 0, into: &raw)
    stack.consume(connection, count)
    return String(decoding: bytes, as: UTF8.self)
  }

  func send(_ connection: SlabHandle, _ bytes: [UInt8]) -> Int {
    stack.send(connection, copying: bytes.span.bytes)
  }
}

/// One connection of a bench, with both sides' positions.
struct Call {
  let bench: Bench
  let connection: SlabHandle
  /// Positions of the first bytes after the SYNs.
  let client: UInt32
  let server: UInt32
  let synACK: RawSegment

  static let usualOptions: [UInt8] = [2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2]

  /// Opens a connection whose client starts at `start`.
  init(_ bench: Bench, start: UInt32 = 0xffff_fff0, options: [UInt8] = usualOptions) {
    self.bench = bench
    let syn = RawSegment(sequence: start, flags: "S", options: options)
    let answer = bench.exchange(syn)
    precondition(answer.count == 1 && answer[0].flags == "SA")
    synACK = answer[0]
    client = start &+ 1
    server = answer[0].sequence &+ 1
    var last = RawSegment(sequence: client, acknowledgment: server, flags: "A", window: 512)
    if let stamps = synACK.timestamps {
      last.options = [1, 1, 8, 10] + be(stamps.echo) + be(stamps.value)
    }
    bench.inject(last)
    var handle = SlabHandle.none
    while let event = bench.stack.nextEvent() { handle = event.connection }
    connection = handle
  }

  func segment(
    _ flags: String = "A", at: Int = 0, acking: Int = 0, _ text: String = "", window: Int = 512,
    options: [UInt8] = []
  ) -> RawSegment {
    RawSegment(
      sequence: client &+ UInt32(at), acknowledgment: server &+ UInt32(acking), flags: flags,
      window: window, options: options, payload: Array(text.utf8))
  }
}

func peekCount(_ stack: borrowing TCPStack, _ connection: SlabHandle) -> Int {
  stack.peek(connection).byteCount
}
