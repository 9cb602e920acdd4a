import ControlPlane
import DPUCore
import HostLink
import MQTTOffload
import PacketWire
import TCPLite

/// Answers to the control thread, written between two bursts.
extension FirmwareStage {
  @inline(never)
  mutating func answer(_ mailbox: CoreMailbox, now: Instant) {
    mailbox.answer { contents in
      contents.count = 0
      contents.total = 0
      switch contents.question {
      case .connections(let offset, let limit): listConnections(offset, limit, &contents)
      case .clients, .explain: break
      case .link: describeLink(&contents)
      }
    }
  }

  private func listConnections(
    _ offset: Int, _ limit: Int, _ contents: inout CoreMailbox.Contents
  ) {
    contents.total = stack.connectionCount
    var seen = 0
    for index in 0..<UInt32(stack.connectionCapacity) {
      if contents.count == limit || seen == contents.total { return }
      guard let connection = stack.snapshot(at: index) else { continue }
      seen += 1
      if seen <= offset { continue }
      var row = ConnectionRow(
        core: core, id: connection.handle.rawValue, remote: Endpoint(connection.remote),
        local: Endpoint(connection.local), state: connection.state.name,
        service: connection.tag == Self.mqttTag ? "mqtt" : "echo")
      row.receiveQueued = connection.readable
      row.sendQueued = connection.queued
      row.congestionWindow = connection.congestionWindow
      row.smoothedRTT = connection.roundTrip
      contents.connections[contents.count] = row
      contents.count += 1
    }
  }

  private func describeLink(_ contents: inout CoreMailbox.Contents) {
    contents.link.isUp = workerLink.link.isUp
    contents.link.isStalled = offload.engine.isStalled
    contents.link.certificate = workerLink.link.isUp ? workerLink.link.certificate.rawValue : 0
    contents.link.channels = workerLink.link.channelCount
    contents.link.freeBlocks = stack.pool.freeCount
    contents.link.lowWaterBlocks = stack.pool.lowWater
  }
}
