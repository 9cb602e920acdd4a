import DPUCore
import Testing

@testable import P4Pipelines

/// Ports that write down what happens to packets.
private struct WatchedPorts: ~Copyable, PacketSink {
  var ports = VirtualPorts(buffers: 64)
  var events: [SwitchEvent] = []
  var instructions = 0
  var lookups = 0

  static var isObserving: Bool { true }
  mutating func allocate() -> PacketBuffer? { ports.allocate() }
  mutating func recycle(_ buffer: PacketBuffer) { ports.recycle(buffer) }
  mutating func send(_ buffer: PacketBuffer, to port: Int) { ports.send(buffer, to: port) }
  mutating func ran(
    _ instruction: Int, packets: UInt64, _ machine: borrowing Machine, bank: Int
  ) { instructions += 1 }
  mutating func applied(
    _ table: Int, packets: UInt64, hits: UInt64, _ machine: borrowing Machine, bank: Int
  ) { lookups += 1 }
  mutating func note(_ event: SwitchEvent, bank: Int, packet: Int) { events.append(event) }
}

struct SwitchObserverTests {
  private func trace(_ mode: SwitchRig.Mode, rate: Int = 0) throws -> [SwitchEvent] {
    var rig = try SwitchRig.paths()
    try rig.control { try $0.setQueueRate(port: 2, packetsPerSecond: rate) }
    var watched = WatchedPorts()
    let buffer = watched.ports.buffer(holding: SwitchRig.packet(mode))!
    rig.virtual.switch.trace(buffer, port: 1, into: &watched, now: rig.virtual.now)
    same(watched.ports.used, 0)
    same(watched.instructions > 10, true)
    return watched.events
  }

  @Test func everyDecisionIsTold() throws {
    #expect(
      try trace(.forward) == [
        .ingress(instanceType: 0, port: 1), .egress(port: 2, instanceType: 0),
        .sent(port: 2, length: 41),
      ])
    #expect(
      try trace(.cloneAndResubmit) == [
        .ingress(instanceType: 0, port: 1), .cloned(session: 5), .resubmitted,
        .egress(port: 3, instanceType: 1), .sent(port: 3, length: 23),
        .ingress(instanceType: 6, port: 1), .egress(port: 2, instanceType: 0),
        .sent(port: 2, length: 41),
      ])
    #expect(
      try trace(.multicastThenDrop) == [
        .ingress(instanceType: 0, port: 1), .dropped(.droppedByIngress),
      ])
    #expect(
      try trace(.cloneEgressAndDrop) == [
        .ingress(instanceType: 0, port: 1), .egress(port: 2, instanceType: 0),
        .cloned(session: 5), .dropped(.droppedByEgress), .egress(port: 3, instanceType: 2),
        .sent(port: 3, length: 59),
      ])
    #expect(
      try trace(.recirculate, rate: 1) == [
        .ingress(instanceType: 0, port: 1), .egress(port: 2, instanceType: 0), .recirculated,
        .ingress(instanceType: 4, port: 1), .queued(port: 2),
        .egress(port: 2, instanceType: 0), .sent(port: 2, length: 77),
      ])
  }
}
