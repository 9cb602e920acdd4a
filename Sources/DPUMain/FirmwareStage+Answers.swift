import ControlPlane
import DPUCore
import HostLink
import MQTTOffload
import PacketWire
import PollLoop
import TCPLite

/// Answers to the control thread, written between two bursts.
extension FirmwareStage {
  @inline(never)
  mutating func answer(_ mailbox: CoreMailbox, tap: inout FrameTap, now: Instant) {
    mailbox.answer { contents in
      contents.count = 0
      contents.total = 0
      switch contents.question {
      case .connections(let offset, let limit): listConnections(offset, limit, &contents, now: now)
      case .clients(let offset, let limit): listClients(offset, limit, &contents)
      case .subscriptions(let place, let skipping, let limit):
        listSubscriptions(from: place, skipping, limit, &contents)
      case .explain(let anyClient): explain(anyClient: anyClient, &contents, now: now)
      case .link: describeLink(&contents)
      case .capture(let ports, let copyBytes): tap.choose(ports: ports, copyBytes: copyBytes)
      case .adopt(let policy): offload.engine.adopt(policy)
      case .drop(let connection): abort(connection, &contents)
      case .disconnect:
        let client = offload.engine.connection(
          named: contents.client.bytes(0..<contents.clientCount))
        abort(client ?? .none, &contents)
      }
    }
  }

  private func listConnections(
    _ offset: Int, _ limit: Int, _ contents: inout CoreContents, now: Instant
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
      row.receivedBytes = connection.receivedBytes
      row.sentBytes = connection.sentBytes
      row.retransmissions = connection.retransmissions
      row.age = now - connection.openedAt
      contents.connections[contents.count] = row
      contents.count += 1
    }
  }

  private func listClients(
    _ offset: Int, _ limit: Int, _ contents: inout CoreContents
  ) {
    contents.total = offload.engine.connectionCount
    var seen = 0
    for index in 0..<UInt32(stack.connectionCapacity) {
      if contents.count == limit || seen == contents.total { return }
      guard let client = offload.engine.snapshot(at: index) else { continue }
      seen += 1
      if seen <= offset { continue }
      contents.clients[contents.count] = row(client)
      contents.count += 1
    }
  }

  private func row(_ client: SessionSnapshot) -> MQTTClientRow {
    var row = MQTTClientRow(
      core: core, id: client.connection.rawValue,
      remote: Endpoint(stack.remoteAddress(of: client.connection)),
      clientID: ShortText(client.clientName), version: client.version, mode: client.mode)
    row.subscriptions = client.subscriptions
    row.keepAliveSeconds = client.keepAliveSeconds
    row.publishes = client.relayed + client.consumed
    row.consumed = client.consumed
    row.delivered = client.delivered
    row.dropped = client.dropped
    row.queuedBytes = stack.unsentOrUnacknowledged(client.connection) + client.keptBytes
    return row
  }

  private func listSubscriptions(
    from start: Int, _ skipping: Int, _ limit: Int, _ contents: inout CoreContents
  ) {
    contents.total = offload.engine.subscriptionCount
    contents.skipped = 0
    let capacity = offload.engine.subscriptionCapacity
    let end = min(capacity, start + FirmwareLimits.placesPerAnswer)
    var used = 0
    var place = start
    while place < end, contents.count < limit {
      if let found = offload.engine.subscription(at: place) {
        if contents.skipped < skipping {
          contents.skipped += 1
        } else {
          // The longest filter fits an empty answer.
          guard used + found.filterCount <= contents.topic.count else { break }
          var target = contents.topic.mutableBytes(used..<used + found.filterCount)
          offload.engine.writeFilter(at: place, to: &target)
          used += found.filterCount
          contents.subscriptions[contents.count] = CoreContents.SubscriptionEntry(
            client: found.clientName.map { ShortText($0) }, filterCount: found.filterCount,
            isShared: found.isShared, grantedQoS: found.grantedQoS, isNoLocal: found.isNoLocal,
            identifier: found.identifier)
          contents.count += 1
        }
      }
      place += 1
    }
    contents.nextPlace = place < capacity ? place : nil
  }

  private mutating func explain(
    anyClient: Bool, _ contents: inout CoreContents, now: Instant
  ) {
    var publisher: SlabHandle?
    if !anyClient {
      publisher = offload.engine.connection(named: contents.client.bytes(0..<contents.clientCount))
    }
    contents.explanation.clientFound = anyClient || publisher != nil
    let found = offload.explain(
      publisher: publisher, topic: contents.topic.bytes(0..<contents.topicCount),
      link: workerLink.link, now: now)
    contents.explanation.decision = found.reason == nil ? "consume" : "relay"
    contents.explanation.reason = found.reason?.name ?? "everything holds"
    contents.explanation.isCertified = found.isCertified
    contents.explanation.verdict = found.verdict.name
    let lifetime = offload.engine.configuration.verdictLifetime
    contents.explanation.verdictAge =
      found.verdictLeft > .zero ? lifetime - found.verdictLeft : nil
    contents.explanation.generation = found.generation
    contents.explanation.matchingSubscriptions = found.receiverCount
    let count = min(found.receiverCount, contents.receivers.count)
    for index in 0..<count {
      guard let receiver = offload.engine.explainedReceiver(index) else { continue }
      contents.receivers[contents.count] = ExplainReceiver(
        core: core, clientID: ShortText(receiver.session.clientName), grantedQoS: receiver.qos)
      contents.count += 1
    }
  }

  private mutating func abort(_ connection: SlabHandle, _ contents: inout CoreContents) {
    contents.explanation.clientFound = stack.contains(connection)
    stack.abort(connection)
  }

  private func describeLink(_ contents: inout CoreContents) {
    contents.link.isUp = workerLink.link.isUp
    contents.link.isStalled = offload.engine.isStalled
    contents.link.certificate = workerLink.link.isUp ? workerLink.link.certificate.rawValue : 0
    contents.link.channels = workerLink.link.channelCount
    contents.link.listenerCount = 0
    for place in 0..<offload.engine.listenerCapacity {
      guard let port = offload.engine.listenerPort(at: place),
        contents.link.listenerCount < contents.link.listeners.count
      else { continue }
      // Every address of the DPU serves every port.
      contents.link.listeners[contents.link.listenerCount] = Endpoint(
        address: Address(high: 0, low: 0), port: port)
      contents.link.listenerCount += 1
    }
    contents.link.freeBlocks = stack.pool.freeCount
    contents.link.lowWaterBlocks = stack.pool.lowWater
  }
}

extension ShortText {
  fileprivate init(_ name: ClientName) {
    unsafe self.init(first: name.bytes.span.bytes, fullCount: name.fullCount)
  }
}

extension Explanation.VerdictState {
  fileprivate var name: StaticString {
    switch self {
    case .notNeeded: "notNeeded"
    case .none: "none"
    case .same: "learned"
    case .different: "different"
    case .expired: "expired"
    case .outdated: "outdated"
    }
  }
}
