import BareSource
import ControlPlane
import DPUCore
import Foundation
import Frames
import JSONText
import PollLoop

@testable import PipelineHost

/// Takes what pipelines send to the stack.
struct RecordingInlet: StackInlet, ~Copyable {
  var received: [[UInt8]] = []

  mutating func receive(_ frame: borrowing Frame, now: Instant) {
    let bytes = frame.bytes
    received.append((0..<bytes.byteCount).map { bytes.byte(at: $0) })
  }
}

/// What the firmware's stage does with pipelines, without the rest of the firmware: frames of ports
/// without a pipeline pass as through a wire.
struct BenchStage: TurnStage, ~Copyable {
  var pipelines = PipelineStage()
  var inlet = RecordingInlet()
  /// Frames that the stack wants to send.
  var outgoing: [[UInt8]] = []

  var isAsked: Bool { pipelines.isAsked }
  var nextDeadline: Instant? { pipelines.nextDeadline }

  mutating func receive<Device: FrameDevice & ~Copyable>(
    _ burst: inout Burst, from port: Int, through ports: inout Ports<Device>, now: Instant
  ) {
    if pipelines.takes(from: port) {
      pipelines.receive(&burst, from: port, through: &ports, now: now)
    }
    while let frame = burst.takeFirst() { ports.send(frame, to: 1 - port) }
  }

  mutating func turn<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) -> Bool {
    var worked = pipelines.run(through: &ports, to: &inlet, now: now)
    while let bytes = outgoing.first, pipelines.takesFromStack, pipelines.hasRoomForStack {
      outgoing.removeFirst()
      var frame = ports.allocate(for: 0)!
      var room = frame.room
      room.copy(bytes.span.bytes, at: 0)
      frame.resize(to: bytes.count)
      pipelines.takeFromStack(frame, now: now)
      worked = true
    }
    if worked { _ = pipelines.run(through: &ports, to: &inlet, now: now) }
    return worked
  }

  mutating func attend<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) {
    pipelines.attend(through: &ports, to: &inlet, now: now)
  }

  mutating func finish<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) {}
}

/// One poll loop over ports in memory.
final class BenchWorker {
  var loop: PollLoop<MemoryDevice, BenchStage>

  init(ports: Int) {
    loop = PollLoop(
      device: MemoryDevice(portCount: ports, bufferCount: 1_024), stage: BenchStage())
  }
}

/// The workers, on the same thread: whoever waits for an answer lets them turn.
final class BenchWorkers: PipelineWorkers {
  var workers: [BenchWorker] = []
  var now = Instant.zero + .seconds(1)
  /// Workers that do not answer.
  var stuck: Set<Int> = []

  var count: Int { workers.count }
  func core(_ worker: Int) -> Int { worker + 1 }
  func mailbox(_ worker: Int) -> PipelineMailbox { workers[worker].loop.stage.pipelines.mailbox }
  func packetsIn(_ worker: Int) -> PacketInRing {
    workers[worker].loop.stage.pipelines.packetsIn
  }
  func counters(_ worker: Int, slot: Int) -> CounterReader {
    workers[worker].loop.stage.pipelines.readers[slot]
  }
  func await(_ worker: Int) -> Bool {
    if stuck.contains(worker) { return false }
    _ = workers[worker].loop.attend(now: now)
    return true
  }
}

/// Workers, pipelines and the control plane's requests, without threads and without devices.
final class Bench: @unchecked Sendable {
  let workers = BenchWorkers()
  let service: PipelineService<BenchWorkers>
  var handler: RequestHandler<BenchSource>

  /// `pipelines` is the member of the configuration.
  init(pipelines: String = "[]", workers count: Int = 1, hosts: Bool = true) throws {
    let host = hosts ? #", {"role": "host", "device": "net_null1"}"# : ""
    let cores = (1...count).map(String.init).joined(separator: ", ")
    let text = """
      {"schema": 1, "ports": [{"role": "uplink", "device": "net_null0"}\(host)],
       "addresses": ["10.77.0.1/24"], "cores": [\(cores)], "pipelines": \(pipelines)}
      """
    let configuration = try Configuration.parse(Array(text.utf8).span.bytes)
    for _ in 0..<count { workers.workers.append(BenchWorker(ports: hosts ? 2 : 1)) }
    var seed: UInt64 = 1
    let board = try PipelineBoard(configuration, now: workers.now) {
      seed &+= 1
      return seed
    }
    for (index, worker) in workers.workers.enumerated() {
      board.place(into: &worker.loop.stage.pipelines, worker: index)
    }
    service = PipelineService(board, workers: workers)
    handler = RequestHandler(source: BenchSource(service))
  }

  /// Path of one of our programs.
  static func program(_ name: String) -> String {
    repository + "/p4/" + name + ".json"
  }

  static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

  /// A pipeline with one of our programs between uplink (0), host (1), stack (2) and control (255).
  static func one(_ program: String) -> String {
    """
    [{"name": "main", "program": "\(Bench.program(program))",
      "ports": {"0": "uplink", "1": "host", "2": "stack", "255": "cpu"}}]
    """
  }

  // MARK: Requests

  /// The reply without its envelope: the result, or `CODE MESSAGE` and data of the error.
  @discardableResult
  func call(
    _ method: String, _ params: String = "{}", body: [UInt8] = [], mayWrite: Bool = true
  ) -> String {
    let line = #"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":\#(params)}"#
    let reply = String(
      decoding: handler.handle(
        RequestLine(Text(bytes: Array(line.utf8)).span), body: Text(bytes: body),
        from: Caller(mayWrite ? .administrator : .reader)
      ).bytes, as: UTF8.self)
    let success = #"{"jsonrpc":"2.0","id":1,"result":"#
    if reply.hasPrefix(success) { return String(reply.dropFirst(success.count).dropLast()) }
    let failure = #"{"jsonrpc":"2.0","id":1,"error":"#
    precondition(reply.hasPrefix(failure), reply)
    return "error " + String(reply.dropFirst(failure.count).dropLast())
  }

  // MARK: Frames

  func turn(_ worker: Int = 0, times: Int = 1) {
    for _ in 0..<times {
      workers.now = workers.now + .microseconds(10)
      _ = workers.workers[worker].loop.turn(now: workers.now)
      _ = workers.workers[worker].loop.attend(now: workers.now)
    }
  }

  func arrive(_ bytes: [UInt8], on port: Int, worker: Int = 0) {
    workers.workers[worker].loop.ports.device.inject(bytes, port: port)
  }

  func left(_ port: Int, worker: Int = 0) -> [[UInt8]] {
    workers.workers[worker].loop.ports.device.takeSent(port: port)
  }

  /// Frames that went to the stack since the last call.
  func taken(worker: Int = 0) -> [[UInt8]] {
    let frames = workers.workers[worker].loop.stage.inlet.received
    workers.workers[worker].loop.stage.inlet.received = []
    return frames
  }

  /// Frames that the stack wants to send.
  var outgoing: [[UInt8]] {
    get { workers.workers[0].loop.stage.outgoing }
    set { workers.workers[0].loop.stage.outgoing = newValue }
  }

  var freeBuffers: Int { workers.workers[0].loop.ports.device.freeBuffers }
}

/// A firmware of which only the pipelines are there.
final class BenchSource: BareSource, @unchecked Sendable {
  private let service: PipelineService<BenchWorkers>
  init(_ service: PipelineService<BenchWorkers>) { self.service = service }

  func pipelines(_ call: PipelineCall, to json: inout JSONWriter) throws(RPCError) {
    try service.answer(call, to: &json)
  }
}
