import DPUCore
import TCPLite

/// What is counted of frames on their way to the worker with the stack.
enum HandOverCounter: Int, CounterKey {
  /// By the worker that received them.
  case framesHandedOver
  /// The other worker did not take them fast enough.
  case droppedHandOverFull
  /// By the worker with the stack.
  case framesTakenOver

  var name: StaticString {
    switch self {
    case .framesHandedOver: "framesHandedOver"
    case .droppedHandOverFull: "droppedHandOverFull"
    case .framesTakenOver: "framesTakenOver"
    }
  }
}

/// Where a frame on its way to the stack came from.
struct HandedFrame: BitwiseCopyable, Sendable {
  /// The port, which it passes through when it is not for the stack; nil: a pipeline sent it to the
  /// stack and to nobody else.
  var port: UInt8?
}

typealias HandOverRing = RecordRing<HandedFrame>

/// Brings frames from the workers that have no stack to the one that has it.
///
/// One core sees all connections then, and so all subscriptions, which is what consuming a message
/// needs. Frames are copied: buffers stay with the worker whose pool they come from.
struct StackHandOver: ~Copyable {
  private let outgoing: HandOverRing?
  private let incoming: FixedArray<HandOverRing>
  let counters = Counters<HandOverCounter>()

  /// The rings of `workers` workers, the first of which has the stack; frames have `frameBytes` at
  /// most.
  static func rings(workers: Int, frameBytes: Int) -> [HandOverRing] {
    (1..<max(1, workers)).map { _ in
      HandOverRing(
        HandedFrame(port: nil), capacity: FirmwareLimits.framesHandedOver, placeBytes: frameBytes)
    }
  }

  /// The end of one worker. With no rings every worker has a stack.
  init(worker: Int, rings: [HandOverRing]) {
    outgoing = worker == 0 || rings.isEmpty ? nil : rings[worker - 1]
    let sources = worker == 0 ? rings : []
    let filler =
      sources.first ?? HandOverRing(HandedFrame(port: nil), capacity: 1, placeBytes: 1)
    var incoming = FixedArray(repeating: filler, count: sources.count)
    for source in sources.indices { incoming[source] = sources[source] }
    self.incoming = incoming
  }

  /// Whether this worker has no stack of its own.
  @inline(__always)
  var isNeeded: Bool { outgoing != nil }

  func send(_ frame: RawSpan, from port: UInt8?) {
    guard let outgoing else { return }
    counters.increment(
      outgoing.push(frame, HandedFrame(port: port)) ? .framesHandedOver : .droppedHandOverFull)
  }

  /// The rings to take from, some frames each turn.
  @inline(__always)
  var sourceCount: Int { incoming.count }

  func source(_ index: Int) -> HandOverRing { incoming[index] }
}

/// What stands between a worker's frames and the stack.
struct StackEntrance: ~Copyable {
  let neighbours: NeighbourExchange
  let handOver: StackHandOver

  init(_ neighbours: consuming NeighbourExchange, _ handOver: consuming StackHandOver) {
    self.neighbours = neighbours
    self.handOver = handOver
  }

  /// One with nobody else beside it.
  static var alone: StackEntrance {
    StackEntrance(
      NeighbourExchange(worker: 0, rings: NeighbourExchange.rings(1)),
      StackHandOver(worker: 0, rings: []))
  }
}
