import BareSource
import ControlPlane
import DPUCore
import Foundation
import Frames
import JSONText
import PollLoop

@testable import FilterHost

/// What the firmware's stage does with filters, without the rest of the firmware: what may go on
/// passes as through a wire.
struct BenchStage: TurnStage, ~Copyable {
  var filters: FilterStage

  var isAsked: Bool { filters.isAsked }
  var nextDeadline: Instant? { nil }

  mutating func receive<Device: FrameDevice & ~Copyable>(
    _ burst: inout Burst, from port: Int, through ports: inout Ports<Device>, now: Instant
  ) {
    if filters.takes(from: port) {
      filters.filter(&burst, from: port, through: &ports, now: now)
    }
    while let frame = burst.takeFirst() { ports.send(frame, to: 1 - port) }
  }

  mutating func turn<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) -> Bool {
    guard filters.isHolding else { return false }
    var burst = Burst()
    if let port = filters.collect(&burst, through: &ports, now: now) {
      while let frame = burst.takeFirst() { ports.send(frame, to: 1 - port) }
    }
    return true
  }

  mutating func attend<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) {
    filters.attend(through: &ports, now: now)
  }

  mutating func finish<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) {}
}

/// One poll loop over ports in memory.
final class BenchWorker {
  var loop: PollLoop<MemoryDevice, BenchStage>

  init(_ board: FilterBoard, _ index: Int) {
    var filters = FilterStage(device: index == 0 ? board.device : nil)
    board.place(into: &filters, worker: index)
    loop = PollLoop(
      device: MemoryDevice(portCount: 2, bufferCount: 1_024), stage: BenchStage(filters: filters))
  }
}

/// The workers, on the same thread: whoever waits for an answer lets them turn.
final class BenchWorkers: FilterWorkers {
  var workers: [BenchWorker] = []
  var now = Instant.zero + .seconds(1)

  var count: Int { workers.count }
  func core(_ worker: Int) -> Int { worker + 1 }
  func mailbox(_ worker: Int) -> FilterMailbox { workers[worker].loop.stage.filters.mailbox }
  func counters(_ worker: Int, port: Int) -> CounterReader {
    workers[worker].loop.stage.filters.readers[port]
  }
  func await(_ worker: Int) -> Bool {
    _ = workers[worker].loop.attend(now: now)
    return true
  }
}

/// Workers, filters and the control plane's requests, without threads and without devices.
final class Bench: @unchecked Sendable {
  let workers = BenchWorkers()
  var handler: RequestHandler<BenchSource>

  /// `members` are further members of the configuration.
  init(_ members: String = "", workers count: Int = 1) throws {
    let cores = (1...count).map(String.init).joined(separator: ", ")
    let text = """
      {"schema": 1, "ports": [{"role": "uplink", "device": "net_null0"},
       {"role": "host", "device": "net_null1"}],
       "addresses": ["10.77.0.1/24"], "cores": [\(cores)]\(members)}
      """
    let configuration = try Configuration.parse(Array(text.utf8).span.bytes)
    var seed: UInt64 = 1
    let board = try FilterBoard(configuration) {
      seed &+= 1
      return seed
    }
    for index in 0..<count { workers.workers.append(BenchWorker(board, index)) }
    handler = RequestHandler(source: BenchSource(FilterService(board, workers: workers)))
  }

  static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().path

  static func object(_ name: String) -> String {
    repository + "/Tests/Vectors/ebpf/objects/\(name).elf"
  }

  // MARK: Requests

  /// The reply without its envelope: the result, or the error.
  @discardableResult
  func call(_ method: String, _ params: String = "{}", mayWrite: Bool = true) -> String {
    let line = #"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":\#(params)}"#
    let reply = String(
      decoding: handler.handle(
        Text(bytes: Array(line.utf8)).span, from: Caller(mayWrite ? .administrator : .reader)
      ).bytes, as: UTF8.self)
    let success = #"{"jsonrpc":"2.0","id":1,"result":"#
    if reply.hasPrefix(success) { return String(reply.dropFirst(success.count).dropLast()) }
    let failure = #"{"jsonrpc":"2.0","id":1,"error":"#
    precondition(reply.hasPrefix(failure), reply)
    return "error " + String(reply.dropFirst(failure.count).dropLast())
  }

  /// Counters that are not zero, as `name=value`.
  func counters(_ port: String = "uplink") -> String {
    let reply = call("ebpf.stats", #"{"port":"\#(port)"}"#)
    guard let start = reply.range(of: #""counters":{"#),
      let end = reply[start.upperBound...].firstIndex(of: "}")
    else { return reply }
    return reply[start.upperBound..<end].split(separator: ",").filter { !$0.hasSuffix(":0") }
      .map { $0.replacing("\"", with: "").replacing(":", with: "=") }.joined(separator: " ")
  }

  // MARK: Frames

  func turn(_ worker: Int = 0, times: Int = 1) {
    for _ in 0..<times {
      workers.now = workers.now + .microseconds(10)
      _ = workers.workers[worker].loop.turn(now: workers.now)
      _ = workers.workers[worker].loop.attend(now: workers.now)
    }
  }

  func arrive(_ bytes: [UInt8], on port: Int = 0, worker: Int = 0) {
    workers.workers[worker].loop.ports.device.inject(bytes, port: port)
  }

  func left(_ port: Int, worker: Int = 0) -> [[UInt8]] {
    workers.workers[worker].loop.ports.device.takeSent(port: port)
  }

  var freeBuffers: Int { workers.workers[0].loop.ports.device.freeBuffers }
}

/// A firmware of which only the filters are there.
final class BenchSource: BareSource, @unchecked Sendable {
  private let service: FilterService<BenchWorkers>
  init(_ service: FilterService<BenchWorkers>) { self.service = service }

  func filters(_ call: FilterCall, to json: inout JSONWriter) throws(RPCError) {
    try service.answer(call, to: &json)
  }
}
