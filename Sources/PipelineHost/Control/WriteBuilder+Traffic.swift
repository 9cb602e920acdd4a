import ControlPlane
import DPUCore
import JSONText
import P4Pipelines

extension WriteBuilder {
  // MARK: Clones

  mutating func writeMirror(_ call: PipelineCall) throws(RPCError) {
    let number = try call.integer(.session, in: 0...SwitchLimits.sessionNumberMax) ?? 0
    let batch = batch
    if call.method == .mirrorDelete {
      book.removeSession(number)
      _ = try writing(at: call.path) { () throws(ControlError) in
        try batch.deleteSession(number)
      }
      return
    }
    var session = CloneSession()
    session.port = try port(call).map { UInt16($0) }
    session.group = try call.integer(.group, in: 1...65_535).map { UInt16($0) }
    session.truncation = UInt32(try call.integer(.truncate, in: 0...65_535) ?? 0)
    guard session.port != nil || session.group != nil else {
      throw RPCError(
        .invalidParameters, "a session needs a port or a multicast group", path: call.path)
    }
    book.set(number, session)
    let final = session
    _ = try writing(at: call.path) { () throws(ControlError) in
      try batch.setSession(number, final)
    }
  }

  private func port(_ call: PipelineCall) throws(RPCError) -> Int? {
    try call.integer(.port, in: 0...ControlPlane.Limits.pipelinePortMax)
  }

  // MARK: Multicast

  /// A group is a list of nodes in the switch. Setting it makes the list anew, in one step for
  /// packets; the handles of the nodes are known beforehand, as switches give the smallest.
  mutating func writeMulticast(_ call: PipelineCall) throws(RPCError) {
    let number = try call.integer(.group, in: 1...65_535) ?? 0
    let old = book.group(number)
    let batch = batch
    if call.method == .multicastDelete {
      guard let old else {
        throw RPCError(.notFound, "there is no group \(number)", path: call.path(of: .group))
      }
      for replica in old.replicas { batch.destroyNode(replica.node) }
      _ = try writing(at: call.path) { () throws(ControlError) in
        try batch.destroyGroup(number)
      }
      book.removeGroup(number)
      return
    }
    var group = TrafficBook.Group(number: number, replicas: [])
    for replica in old?.replicas ?? [] { batch.destroyNode(replica.node) }
    if old == nil {
      _ = try writing(at: call.path) { () throws(ControlError) in try batch.createGroup(number) }
    }
    book.set(group)
    for field in try replicas(call) {
      var replica = try replica(field)
      replica.node = book.freeNode
      let made = replica
      _ = try writing(at: field.path) { () throws(ControlError) in
        try batch.createNode(rid: made.instance, ports: made.ports)
      }
      _ = try writing(at: field.path) { () throws(ControlError) in
        try batch.associate(group: number, node: made.node)
      }
      group.replicas.append(replica)
      book.set(group)
    }
  }

  private func replicas(_ call: PipelineCall) throws(RPCError) -> [JSONField] {
    let field = try call.required(.replicas)
    return try reading { () throws(JSONField.Problem) in
      try field.elements(0...SwitchLimits.nodes)
    }
  }

  /// `{"port": 3}`, `{"instance": 7, "ports": [1, 2]}`.
  private func replica(_ field: JSONField) throws(RPCError) -> TrafficBook.Replica {
    try reading { () throws(JSONField.Problem) in
      var replica = TrafficBook.Replica(node: 0, instance: 0, ports: [])
      for member in try field.members() {
        switch member.key {
        case "instance": replica.instance = try member.field.integer(0...65_535)
        case "port":
          replica.ports.append(
            try member.field.integer(0...ControlPlane.Limits.pipelinePortMax))
        case "ports":
          for port in try member.field.elements(1...SwitchLimits.ports) {
            replica.ports.append(try port.integer(0...ControlPlane.Limits.pipelinePortMax))
          }
        default: throw member.unknown("instance, port, ports")
        }
      }
      guard !replica.ports.isEmpty else { throw field.problem("has no \"port\"") }
      return replica
    }
  }

  // MARK: Queues and digests

  mutating func writeQueue(_ call: PipelineCall) throws(RPCError) {
    let queue = TrafficBook.Queue(
      port: try port(call),
      priority: try call.integer(.priority, in: 0...SwitchLimits.priorities - 1),
      depth: try call.integer(.depth, in: 0...65_535),
      packetsPerSecond: try call.integer(.packetsPerSecond, in: 0...1_000_000_000))
    guard queue.depth != nil || queue.packetsPerSecond != nil else {
      throw RPCError(.invalidParameters, "neither depth nor packetsPerSecond", path: call.path)
    }
    try set(queue, at: call.path)
    book.set(queue)
  }

  func set(_ queue: TrafficBook.Queue, at path: JSONPath) throws(RPCError) {
    let batch = batch
    if let depth = queue.depth {
      _ = try writing(at: path) { () throws(ControlError) in
        try batch.setQueueDepth(port: queue.port, priority: queue.priority, depth)
      }
    }
    if let rate = queue.packetsPerSecond {
      _ = try writing(at: path) { () throws(ControlError) in
        try batch.setQueueRate(
          port: queue.port, priority: queue.priority, packetsPerSecond: rate)
      }
    }
  }

  mutating func writeDigest(_ call: PipelineCall) throws(RPCError) {
    let list = try call.named(.digest, "digest") { names.learnList($0) }
    let batch = batch
    if call.method == .digestAcknowledge {
      _ = try writing(at: call.path) { () throws(ControlError) in
        try batch.acknowledgeDigests(list: list)
      }
      return
    }
    let timeout = try call.integer(.timeoutMilliseconds, in: 0...Int(Int32.max)) ?? 0
    _ = try writing(at: call.path) { () throws(ControlError) in
      try batch.setDigestTimeout(list: list, milliseconds: timeout)
    }
  }
}
