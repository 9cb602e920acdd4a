import DPUCore

/// Checks packets of any type, for those whose contents nobody here needs.
package enum PacketCheck {
  /// Accepts the packet at the start of `bytes` by all rules of `version`, except those that
  /// need to know earlier packets. A CONNECT is judged by the version it names.
  @discardableResult
  package static func check(
    _ bytes: RawSpan, version: ProtocolVersion, from sender: Sender
  ) throws(PacketFailure) -> FixedHeader {
    let header: FixedHeader
    switch PacketFraming.scan(bytes) {
    case .incomplete, .partial: throw .packetIncomplete
    case .malformed(let failure): throw failure
    case .packet(let found): header = found
    }
    let type = header.type
    guard type.maySend(sender, version) else { throw .packetNotAllowed }
    switch type {
    case .connect: _ = try ConnectView(bytes)
    case .connack: _ = try ConnackView(bytes, version: version)
    case .publish: _ = try PublishView(bytes, version: version, from: sender)
    case .puback, .pubrec, .pubrel, .pubcomp:
      _ = try AcknowledgementView(bytes, type, version: version, from: sender)
    case .subscribe: _ = try SubscribeView(bytes, version: version)
    case .suback, .unsuback: _ = try SubscriptionAnswerView(bytes, type, version: version)
    case .unsubscribe: _ = try UnsubscribeView(bytes, version: version)
    case .pingreq, .pingresp: try Ping.check(bytes, type, version: version)
    case .disconnect, .auth:
      _ = try ReasonView(bytes, type, version: version, from: sender)
    }
    return header
  }
}
