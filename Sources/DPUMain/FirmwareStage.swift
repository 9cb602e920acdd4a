import DPUCore
import FilterHost
import Frames
import HostLink
import MQTTOffload
import PacketWire
import PipelineHost
import PollLoop
import TCPLite

/// What is counted of frames that are not for the stack.
enum StageCounter: Int, CounterKey {
  /// Passed from the uplink to the host or back.
  case framesPassedThrough
  /// Not for the DPU, and there is no other port.
  case droppedNotForUs

  var name: StaticString {
    switch self {
    case .framesPassedThrough: "framesPassedThrough"
    case .droppedNotForUs: "droppedNotForUs"
    }
  }
}

/// The firmware's work: the DPU's own frames go to the TCP stack and its services, all others
/// pass between the uplink and the host as if there were a wire. Where a P4 pipeline is loaded for
/// a port, its frames go through that instead. An eBPF filter of a port stands before all of it.
struct FirmwareStage: TurnStage, ~Copyable {
  /// The uplink and the host port, as the poll loop numbers them.
  static let uplink = 0
  static let host = 1
  static let echoTag: UInt32 = 7
  static let mqttTag: UInt32 = 1883

  var stack: TCPStack
  var workerLink: WorkerLink
  var offload: MQTTOffload<TCPStack, DPULink>
  private var echo = EchoService()
  private var stations = StationTable(capacity: FirmwareLimits.stations)
  var pipelines: PipelineStage
  var filters: FilterStage
  let entrance: StackEntrance
  private let counters = Counters<StageCounter>()
  private let portCount: Int
  let core: Int
  let mailbox: CoreMailbox

  init(
    stack: consuming TCPStack, offload: consuming MQTTOffload<TCPStack, DPULink>,
    link: consuming WorkerLink, entrance: consuming StackEntrance,
    pipelines: consuming PipelineStage, filters: consuming FilterStage, echoPort: UInt16?,
    portCount: Int, core: Int,
    mailbox: CoreMailbox
  ) {
    self.stack = stack
    self.offload = offload
    workerLink = link
    self.entrance = entrance
    self.pipelines = pipelines
    self.filters = filters
    self.portCount = portCount
    self.core = core
    self.mailbox = mailbox
    if let echoPort {
      let listens = self.stack.listen(echoPort, tag: Self.echoTag)
      invariant(listens, "the echo service's port is taken")
    }
  }

  /// For statistics; may be kept by another thread.
  var reader: CounterReader { counters.reader }

  var nextDeadline: Instant? {
    var next = stack.nextDeadline ?? .distantFuture
    if let deadline = offload.nextDeadline { next = min(next, deadline) }
    if let deadline = workerLink.link.nextDeadline { next = min(next, deadline) }
    if let deadline = pipelines.nextDeadline { next = min(next, deadline) }
    return next
  }

  mutating func receive<Device: FrameDevice & ~Copyable>(
    _ burst: inout Burst, from port: Int, through ports: inout Ports<Device>, now: Instant
  ) {
    if filters.takes(from: port) {
      filters.filter(&burst, from: port, through: &ports, now: now)
    }
    admit(&burst, from: port, through: &ports, now: now)
  }

  /// Frames that no filter holds up.
  @inline(__always)
  private mutating func admit<Device: FrameDevice & ~Copyable>(
    _ burst: inout Burst, from port: Int, through ports: inout Ports<Device>, now: Instant
  ) {
    if pipelines.takes(from: port) {
      pipelines.receive(&burst, from: port, through: &ports, now: now)
      return
    }
    while let frame = burst.takeFirst() {
      if take(frame, from: port, now: now) {
        ports.drop(frame)
      } else if portCount > 1 {
        counters.increment(.framesPassedThrough)
        ports.send(frame, to: port == Self.uplink ? Self.host : Self.uplink)
      } else {
        counters.increment(.droppedNotForUs)
        ports.drop(frame)
      }
    }
  }

  /// Offers a frame to the stack; false when it is not for the DPU.
  @inline(__always)
  private mutating func take(_ frame: borrowing Frame, from port: Int, now: Instant) -> Bool {
    let bytes = frame.bytes
    if entrance.handOver.isNeeded {
      guard stack.mayConcern(bytes) else { return false }
      entrance.handOver.send(bytes, from: UInt8(truncatingIfNeeded: port))
      return true
    }
    return takeHere(bytes, from: port, now: now)
  }

  @inline(__always)
  private mutating func takeHere(_ bytes: RawSpan, from port: Int, now: Instant) -> Bool {
    if portCount > 1, let ethernet = try? EthernetView(bytes) {
      stations.learn(ethernet.source, on: port)
    }
    entrance.neighbours.share(bytes)
    return stack.receive(bytes, now: now) == .consumed
  }

  /// Frames that come back from the FPGA; true while some are on their way.
  @inline(__always)
  private mutating func admitFiltered<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) -> Bool {
    guard filters.isHolding else { return false }
    var burst = Burst()
    if let port = filters.collect(&burst, through: &ports, now: now) {
      admit(&burst, from: port, through: &ports, now: now)
    }
    return true
  }

  mutating func turn<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) -> Bool {
    // First, so that what they send to the stack is answered in this turn.
    var worked = admitFiltered(through: &ports, now: now)
    if runPipelines(through: &ports, now: now) { worked = true }
    entrance.neighbours.receive(into: &stack, now: now)
    if takeHandedOver(through: &ports, now: now) { worked = true }
    workerLink.beginTurn(now: now)
    while let event = stack.nextEvent() {
      worked = true
      if event.tag == Self.mqttTag {
        offload.handle(event, stack: &stack, link: &workerLink.link, now: now)
      } else {
        echo.handle(event, stack: &stack)
      }
    }
    offload.pump(stack: &stack, link: &workerLink.link, now: now)
    stack.advance(now: now)
    workerLink.finishTurn(now: now)
    if transmit(through: &ports, now: now) > 0 {
      worked = true
      if pipelines.takesFromStack { _ = runPipelines(through: &ports, now: now) }
    }
    return worked
  }

  /// Frames that came to workers without a stack; true when there were some.
  @inline(__always)
  private mutating func takeHandedOver<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) -> Bool {
    var count = 0
    for source in 0..<entrance.handOver.sourceCount {
      let ring = entrance.handOver.source(source)
      for _ in 0..<FirmwareLimits.framesTakenOver {
        guard let handed = ring.next() else { break }
        takeOver(ring.taken, handed, through: &ports, now: now)
        count += 1
      }
    }
    if count > 0 { entrance.handOver.counters.add(count, to: .framesTakenOver) }
    return count > 0
  }

  private mutating func takeOver<Device: FrameDevice & ~Copyable>(
    _ bytes: RawSpan, _ handed: HandedFrame, through ports: inout Ports<Device>, now: Instant
  ) {
    guard let port = handed.port.map({ Int($0) }) else {
      _ = stack.receive(bytes, now: now)
      return
    }
    if takeHere(bytes, from: port, now: now) { return }
    guard portCount > 1 else { return counters.increment(.droppedNotForUs) }
    let other = port == Self.uplink ? Self.host : Self.uplink
    if ports.send(copying: bytes, to: other) { counters.increment(.framesPassedThrough) }
  }

  mutating func finish<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) {
    // Nobody answers for these connections any more. Not a FIN: what is on the way between a
    // client and the broker is lost.
    while !stack.abortAll(), transmit(through: &ports, now: now) > 0 {}
    _ = transmit(through: &ports, now: now)
    _ = runPipelines(through: &ports, now: now)
    filters.dropHeld(through: &ports)
  }

  private mutating func transmit<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) -> Int {
    unsafe withUnsafeMutablePointer(to: &ports) { ports in
      unsafe withUnsafePointer(to: stations) { stations in
        unsafe withUnsafeMutablePointer(to: &pipelines) { pipelines in
          var sink = unsafe PortSink(
            ports: ports, stations: stations, pipelines: pipelines, now: now)
          stack.transmit(into: &sink, now: now)
          return sink.count
        }
      }
    }
  }
}
