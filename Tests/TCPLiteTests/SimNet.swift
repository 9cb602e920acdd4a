import DPUCore
import PacketWire

@testable import TCPLite

/// What a link does to frames, each with a chance in 1000.
struct Faults {
  var loss = 0
  var duplication = 0
  var reordering = 0
  /// One bit beyond the Ethernet header.
  var corruption = 0
  var delay = Interval.milliseconds(5)
  /// Added to the delay of a frame that is overtaken.
  var extraDelayMicroseconds: UInt64 = 20_000

  static let none = Faults()
  static let bad = Faults(loss: 20, duplication: 20, reordering: 50, corruption: 10)
}

/// Clients and one stack on a link with faults, one virtual clock; everything from one seed.
final class SimNet {
  var stack: TCPStack
  var now: Instant
  let faults: Faults
  private(set) var clients: [SimClient] = []
  private var random: SplitMix64
  private var flights: [Flight] = []
  private var order = 0
  var sink = CaptureSink()
  private(set) var framesCarried = 0

  private struct Flight {
    var arrival: Instant
    var order: Int
    var client: Int?
    var frame: [UInt8]
  }

  init(seed: UInt64, faults: Faults, configuration: TCPConfiguration = Bench.configuration()) {
    random = SplitMix64(seed: seed)
    self.faults = faults
    now = Instant(nanoseconds: 5_000_000_000_000)
    stack = TCPStack(configuration: configuration, now: now)
  }

  func add(_ client: SimClient) {
    clients.append(client)
    let index = clients.count - 1
    send(client.link.client.isIPv4 ? client.link.arpRequest() : client.link.solicitation(), to: nil)
    for frame in client.open(now: now) { send(frame, to: nil) }
    _ = index
  }

  private func chance(_ perMille: Int) -> Bool {
    perMille > 0 && Int(random.next() % 1_000) < perMille
  }

  /// Gives a frame to the link; `client` nil means towards the stack.
  func send(_ frame: [UInt8], to client: Int?) {
    if chance(faults.loss) { return }
    var frame = frame
    let isIP = half(frame, 12) != 0x0806
    if isIP, chance(faults.corruption) {
      let bit = Int(random.next() % UInt64((frame.count - 14) * 8))
      frame[14 + bit / 8] ^= 1 << UInt8(bit % 8)
    }
    for _ in 0..<(chance(faults.duplication) ? 2 : 1) {
      var delay = faults.delay
      if chance(faults.reordering) {
        delay = delay + .microseconds(random.next() % faults.extraDelayMicroseconds)
      }
      order += 1
      push(Flight(arrival: now + delay, order: order, client: client, frame: frame))
    }
  }

  /// Runs until `isDone` or the deadline. The application gets every event.
  func run(
    for limit: Interval, application: (TCPEvent, inout TCPStack) -> Void,
    everyTurn: (inout TCPStack) -> Void = { _ in }, until isDone: () -> Bool
  ) -> Bool {
    let end = now + limit
    while now < end {
      deliver()
      while let event = stack.nextEvent() { application(event, &stack) }
      everyTurn(&stack)
      stack.advance(now: now)
      while let event = stack.nextEvent() { application(event, &stack) }
      stack.transmit(into: &sink, now: now)
      let frames = sink.frames
      sink.frames = []
      for frame in frames { route(frame) }
      for (_, client) in clients.enumerated() {
        for frame in client.timerFired(now: now) { send(frame, to: nil) }
      }
      if isDone() { return true }
      var next = flights.first?.arrival ?? .distantFuture
      for client in clients { next = min(next, client.deadline) }
      if let deadline = stack.nextDeadline { next = min(next, deadline) }
      if next == .distantFuture { return isDone() }
      now = max(next, now + .microseconds(1))
    }
    return isDone()
  }

  private func route(_ frame: [UInt8]) {
    // TCP by destination port; anything else to every client.
    for (i, client) in clients.enumerated() {
      if let port = destinationPort(frame), port != client.port { continue }
      send(frame, to: i)
    }
  }

  private func destinationPort(_ frame: [UInt8]) -> UInt16? {
    switch half(frame, 12) {
    case 0x0800 where frame[23] == 6: half(frame, 36)
    case 0x86dd where frame[20] == 6: half(frame, 56)
    default: nil
    }
  }

  private func deliver() {
    while let flight = flights.first, flight.arrival <= now {
      pop()
      framesCarried += 1
      if let index = flight.client {
        for frame in clients[index].receive(flight.frame, now: now) { send(frame, to: nil) }
      } else {
        _ = stack.receive(flight.frame.span.bytes, now: now)
      }
    }
  }

  // MARK: A heap by arrival

  private func isBefore(_ a: Int, _ b: Int) -> Bool {
    let (x, y) = (flights[a], flights[b])
    return x.arrival == y.arrival ? x.order < y.order : x.arrival < y.arrival
  }

  private func push(_ flight: Flight) {
    flights.append(flight)
    var i = flights.count - 1
    while i > 0, isBefore(i, (i - 1) / 2) {
      flights.swapAt(i, (i - 1) / 2)
      i = (i - 1) / 2
    }
  }

  private func pop() {
    flights.swapAt(0, flights.count - 1)
    flights.removeLast()
    var i = 0
    while true {
      var least = i
      for child in [2 * i + 1, 2 * i + 2] where child < flights.count && isBefore(child, least) {
        least = child
      }
      if least == i { return }
      flights.swapAt(i, least)
      i = least
    }
  }
}

/// `count` bytes that depend on the seed and never repeat for long.
func noise(_ count: Int, seed: UInt64) -> [UInt8] {
  var random = SplitMix64(seed: seed)
  var bytes: [UInt8] = []
  bytes.reserveCapacity(count + 8)
  while bytes.count < count {
    let value = random.next()
    for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * shift))) }
  }
  return Array(bytes.prefix(count))
}
