import DPUCore
import Frames
import PacketWire
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
/// pass between the uplink and the host as if there were a wire.
struct FirmwareStage: TurnStage, ~Copyable {
  /// The uplink and the host port, as the poll loop numbers them.
  static let uplink = 0
  static let host = 1
  private static let echoTag: UInt32 = 7

  private var stack: TCPStack
  private var echo = EchoService()
  private var stations = StationTable()
  private let counters = Counters<StageCounter>()
  private let portCount: Int

  init(stack: consuming TCPStack, echoPort: UInt16?, portCount: Int) {
    self.stack = stack
    self.portCount = portCount
    if let echoPort {
      let listens = self.stack.listen(echoPort, tag: Self.echoTag)
      invariant(listens, "the echo service's port is taken")
    }
  }

  var nextDeadline: Instant? { stack.nextDeadline }

  mutating func receive<Device: FrameDevice & ~Copyable>(
    _ burst: inout Burst, from port: Int, through ports: inout Ports<Device>, now: Instant
  ) {
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
    if portCount > 1, let ethernet = try? EthernetView(bytes) {
      stations.learn(ethernet.source, on: port)
    }
    return stack.receive(bytes, now: now) == .consumed
  }

  mutating func turn<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) -> Bool {
    var worked = false
    while let event = stack.nextEvent() {
      worked = true
      echo.handle(event, stack: &stack)
    }
    stack.advance(now: now)
    return transmit(through: &ports, now: now) > 0 || worked
  }

  mutating func finish<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) {
    _ = transmit(through: &ports, now: now)
  }

  private mutating func transmit<Device: FrameDevice & ~Copyable>(
    through ports: inout Ports<Device>, now: Instant
  ) -> Int {
    unsafe withUnsafeMutablePointer(to: &ports) { ports in
      unsafe withUnsafePointer(to: stations) { stations in
        var sink = unsafe PortSink(ports: ports, stations: stations)
        stack.transmit(into: &sink, now: now)
        return sink.count
      }
    }
  }
}
