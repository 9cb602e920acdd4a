import DPUCore
import MQTTWire

/// Looks at everything that the packet at the start of `bytes` holds; returns why it is refused,
/// nil when it is not. Nothing in here may trap, whatever the bytes are: the mutation test and
/// the fuzzer stand on it. What was read is folded into `sum`, so that no reading is left out
/// by the optimiser.
func exercise(
  _ bytes: RawSpan, _ version: ProtocolVersion, _ sender: Sender, _ sum: inout UInt64
) -> PacketFailure? {
  do throws(PacketFailure) {
    let header = try PacketCheck.check(bytes, version: version, from: sender)
    sum &+= UInt64(header.totalLength)
    switch header.type {
    case .connect: look(try ConnectView(bytes), &sum)
    case .connack:
      let view = try ConnackView(bytes, version: version)
      sum &+= UInt64(view.code) &+ (view.sessionPresent ? 1 : 0)
      look(view.properties, &sum)
    case .publish: look(try PublishView(bytes, version: version, from: sender), &sum)
    case .puback, .pubrec, .pubrel, .pubcomp:
      let view = try AcknowledgementView(bytes, header.type, version: version, from: sender)
      sum &+= UInt64(view.packetIdentifier) &+ UInt64(view.reasonCode.rawValue)
      look(view.properties, &sum)
    case .subscribe: look(try SubscribeView(bytes, version: version), &sum)
    case .unsubscribe:
      let view = try UnsubscribeView(bytes, version: version)
      look(view.properties, &sum)
      var filters = view.makeIterator()
      var count = 0
      while let filter = filters.next() {
        fold(filter, &sum)
        count += 1
      }
      precondition(count == view.count)
    case .suback, .unsuback:
      let view = try SubscriptionAnswerView(bytes, header.type, version: version)
      look(view.properties, &sum)
      for i in -1...view.count {
        sum &+= UInt64(view.code(at: i) ?? 0) &+ UInt64(view.grantedQoS(at: i)?.rawValue ?? 9)
      }
    case .pingreq, .pingresp: break
    case .disconnect, .auth:
      let view = try ReasonView(bytes, header.type, version: version, from: sender)
      sum &+= UInt64(view.reasonCode.rawValue)
      look(view.properties, &sum)
    }
    return nil
  } catch {
    return error
  }
}

private func look(_ view: borrowing ConnectView, _ sum: inout UInt64) {
  fold(view.clientIdentifier, &sum)
  fold(view.willTopic, &sum)
  fold(view.willPayload, &sum)
  fold(view.userName, &sum)
  fold(view.password, &sum)
  let flags = [
    view.cleanStart, view.hasWill, view.willRetain, view.hasUserName, view.hasPassword,
  ]
  for flag in flags where flag { sum &+= 1 }
  sum &+= UInt64(view.willQoS.rawValue) &+ UInt64(view.keepAliveSeconds)
  look(view.properties, &sum)
  look(view.willProperties, &sum)
}

private func look(_ view: borrowing PublishView, _ sum: inout UInt64) {
  fold(view.topic, &sum)
  fold(view.payload, &sum)
  precondition(view.headerLength + view.payload.byteCount == view.totalLength)
  sum &+= UInt64(view.topicAlias ?? 0) &+ UInt64(view.messageExpiryInterval ?? 0)
  sum &+= UInt64(view.subscriptionIdentifier ?? 0) &+ (view.retain ? 1 : 0)
  look(view.properties, &sum)
  // What a receiver of each version would get of it must be a valid packet.
  guard view.topic.byteCount > 0 else { return }
  for version in ProtocolVersion.allCases {
    let copy = PublishCopy(
      of: view, topic: view.topic, for: version,
      messageExpiryInterval: view.messageExpiryInterval)
    let identifiers: [UInt32] = [1, 200_000]
    let size = copy.encodedSize(subscriptionIdentifiers: identifiers.span)
    var packet = [UInt8](repeating: 0, count: size)
    var elements = packet.mutableSpan
    var out = elements.mutableBytes
    let written = copy.write(into: &out, subscriptionIdentifiers: identifiers.span)
    precondition(written == size)
    do throws(PacketFailure) {
      let again = try PublishView(packet.span.bytes, version: version, from: .server)
      precondition(again.topic.sameBytes(as: view.topic))
      precondition(again.payload.sameBytes(as: view.payload))
      precondition(
        again.messageExpiryInterval == (version == .v5 ? view.messageExpiryInterval : nil))
    } catch {
      preconditionFailure("a copy is refused")
    }
  }
}

private func look(_ view: borrowing SubscribeView, _ sum: inout UInt64) {
  look(view.properties, &sum)
  sum &+= UInt64(view.subscriptionIdentifier ?? 0)
  var requests = view.makeIterator()
  var count = 0
  while let request = requests.next() {
    fold(request.filter, &sum)
    sum &+= UInt64(request.options.maximumQoS.rawValue)
    sum &+= UInt64(request.options.retainHandling.rawValue)
    sum &+= UInt64(TopicSyntax.levelCount(request.filter))
    count += 1
  }
  precondition(count == view.count)
}

private func look(_ list: borrowing PropertyList, _ sum: inout UInt64) {
  var size = 0
  var properties = list.makeIterator()
  while let property = properties.next() {
    size += property.encodedSize
    precondition(list.contains(property.identifier))
    sum &+= UInt64(property.integer)
    fold(property.name, &sum)
    fold(property.value, &sum)
  }
  precondition(size == list.bytes.byteCount, "a property was lost")
  for identifier in PropertyIdentifier.allCases {
    sum &+= UInt64(list.integer(identifier) ?? 0)
    if let value = list.value(identifier) { fold(value, &sum) }
  }
}

private func fold(_ bytes: RawSpan, _ sum: inout UInt64) {
  for i in 0..<bytes.byteCount { sum = sum &* 31 &+ UInt64(bytes.byte(at: i)) }
}
