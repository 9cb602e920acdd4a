package import DPUCore
package import Frames

/// What is counted for each port, by each worker.
package enum PortCounter: Int, CounterKey {
  case framesReceived, bytesReceived, framesTransmitted, bytesTransmitted
  /// The port took fewer frames than were offered; the rest was thrown away.
  case droppedTransmitQueueFull
  /// A stage had something to send and no buffer was free.
  case droppedNoBuffer
  /// Frames that a capture missed because it was not fetched fast enough; the frames went on.
  case missedByCapture

  package var name: StaticString {
    switch self {
    case .framesReceived: "framesReceived"
    case .bytesReceived: "bytesReceived"
    case .framesTransmitted: "framesTransmitted"
    case .bytesTransmitted: "bytesTransmitted"
    case .droppedTransmitQueueFull: "droppedTransmitQueueFull"
    case .droppedNoBuffer: "droppedNoBuffer"
    case .missedByCapture: "missedByCapture"
    }
  }
}

/// The way out: a worker's device and, for each port, the burst that waits to leave.
///
/// Stages put frames here; they leave when a burst is full and at the end of every turn.
package struct Ports<Device: FrameDevice & ~Copyable>: ~Copyable {
  package var device: Device
  private var table: PortTable
  package var count: Int { table.count }
  /// Copies frames for an operator.
  package var tap = FrameTap()

  package init(_ device: consuming Device) {
    precondition(device.portCount > 0)
    table = PortTable(count: device.portCount)
    self.device = device
  }

  /// For statistics; may be kept by another thread.
  package func reader(port: Int) -> CounterReader { table[port].counters.reader }

  /// A frame to write into and `send`; nil, and counted for `port`, when no buffer is free.
  @inline(__always)
  package mutating func allocate(for port: Int) -> Frame? {
    if let frame = device.allocate() { return frame }
    table[port].counters.increment(.droppedNoBuffer)
    return nil
  }

  /// Sends a frame, at the latest when the turn ends.
  @inline(__always)
  package mutating func send(_ frame: consuming Frame, to port: Int) {
    table[port].waiting.append(frame)
    if table[port].waiting.isFull { flush(port) }
  }

  /// Sends a frame with these bytes. False, and counted, when no buffer is free.
  @discardableResult
  package mutating func send(copying bytes: RawSpan, to port: Int) -> Bool {
    guard var copy = allocate(for: port) else { return false }
    copy.resize(to: bytes.byteCount)
    var room = copy.room
    room.copy(bytes, at: 0)
    send(copy, to: port)
    return true
  }

  /// Gives a frame back unsent. Who drops a frame counts why.
  @inline(__always)
  package mutating func drop(_ frame: consuming Frame) { device.recycle(frame) }

  @inline(__always)
  mutating func receive(from port: Int, into burst: inout Burst) {
    device.receive(port: port, into: &burst)
    if burst.isEmpty { return }
    table[port].counters.add(burst.count, to: .framesReceived)
    table[port].counters.add(burst.byteCount, to: .bytesReceived)
    if tap.isOn {
      Self.copy(burst, to: tap, port, isOutgoing: false, table[port].counters)
    }
  }

  /// What a tap wants of a burst.
  @inline(never)
  private static func copy(
    _ burst: borrowing Burst, to tap: FrameTap, _ port: Int, isOutgoing: Bool,
    _ counters: borrowing Counters<PortCounter>
  ) {
    for place in 0..<burst.count
    where !tap.copy(burst.bytes(place), port: port, isOutgoing: isOutgoing) {
      counters.increment(.missedByCapture)
    }
  }

  /// Sends everything that waits.
  @inline(__always)
  mutating func flush() {
    for port in 0..<count where !table[port].waiting.isEmpty { flush(port) }
  }

  private mutating func flush(_ port: Int) {
    if tap.isOn {
      Self.copy(
        table[port].waiting, to: tap, port, isOutgoing: true, table[port].counters)
    }
    let outcome = device.transmit(port: port, &table[port].waiting)
    table[port].counters.add(outcome.sentFrames, to: .framesTransmitted)
    table[port].counters.add(outcome.sentBytes, to: .bytesTransmitted)
    if outcome.unsentFrames > 0 {
      table[port].counters.add(outcome.unsentFrames, to: .droppedTransmitQueueFull)
    }
  }
}
