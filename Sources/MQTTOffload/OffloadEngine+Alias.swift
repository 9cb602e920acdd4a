import DPUCore
import MQTTWire

/// A topic that a client gave a number (MQTT 5.0, section 3.3.2.3.4).
package struct TopicAlias: BitwiseCopyable {
  var number: UInt16 = 0
  var topic = Chain()
  var next = SlabHandle.none

  package init() {}
}

/// The broker never sees an alias that is known here, because it might not see the packet that
/// defined it. An alias that cannot be kept is the broker's: its packets are left as they are.
extension OffloadEngine where Transport: ~Copyable, Link: ~Copyable {
  /// Puts the topic of a message at the start of `name`; returns its size. nil when it has an
  /// alias that is left to the broker.
  mutating func readTopic(
    _ i: UInt32, _ view: borrowing PublishView, _ name: inout FixedArray<UInt8>
  ) -> Int? {
    let topic = view.topic
    if topic.byteCount > 0 {
      var target = name.mutableBytes(0..<topic.byteCount)
      target.copy(topic, at: 0)
    }
    guard let number = view.topicAlias else { return topic.byteCount }
    // Above the maximum it is an error that the broker answers.
    guard number <= sessions[i].topicAliasMaximum else { return nil }
    let known = findAlias(i, number)
    if topic.byteCount == 0 {
      guard let known else { return nil }
      kept.copy(aliases[known].topic, into: &name)
      return aliases[known].topic.count
    }
    if let known, keeps(known, topic) { return topic.byteCount }
    if let known { removeAlias(i, known) }
    guard topic.byteCount <= OffloadLimits.aliasTopicMax else { return nil }
    var alias = TopicAlias()
    alias.number = number
    alias.next = sessions[i].firstAlias
    guard kept.append(topic, to: &alias.topic) else {
      counters.increment(.aliasesLeftToBroker)
      return nil
    }
    guard let handle = aliases.insert(alias) else {
      kept.release(&alias.topic)
      counters.increment(.aliasesLeftToBroker)
      return nil
    }
    sessions[i].firstAlias = handle
    return topic.byteCount
  }

  private func findAlias(_ i: UInt32, _ number: UInt16) -> SlabHandle? {
    var handle = sessions[i].firstAlias
    while handle != .none {
      if aliases[handle].number == number { return handle }
      handle = aliases[handle].next
    }
    return nil
  }

  /// Clients like to repeat the topic with its alias.
  private func keeps(_ alias: SlabHandle, _ topic: RawSpan) -> Bool {
    let chain = aliases[alias].topic
    return chain.count == topic.byteCount && kept.front(chain).sameBytes(as: topic)
  }

  private mutating func removeAlias(_ i: UInt32, _ handle: SlabHandle) {
    if sessions[i].firstAlias == handle {
      sessions[i].firstAlias = aliases[handle].next
    } else {
      var before = sessions[i].firstAlias
      while aliases[before].next != handle { before = aliases[before].next }
      aliases[before].next = aliases[handle].next
    }
    kept.release(&aliases[handle].topic)
    aliases.remove(handle)
  }

  mutating func releaseAliases(_ i: UInt32) {
    while sessions[i].firstAlias != .none { removeAlias(i, sessions[i].firstAlias) }
  }

  /// Writes everything in front of the payload to `bench.outgoing`, with the topic instead of its
  /// alias; returns its size. 5.0 only.
  func writeExpandedFront(
    _ view: borrowing PublishView, _ topic: RawSpan, payloadBytes: Int, _ bench: inout Workbench
  ) -> Int {
    var section = 0
    var sizes = view.properties.makeIterator()
    while let property = sizes.next() {
      if property.identifier != .topicAlias { section += property.encodedSize }
    }
    let identifierBytes = view.qos == .atMostOnce ? 0 : 2
    let body =
      2 + topic.byteCount + identifierBytes + VariableByteInteger.size(section) + section
    var target = bench.outgoing.mutableBytes(0..<bench.outgoing.count)
    var at = writeFixedHeader(&target, view.bytes.byte(at: 0), body + payloadBytes)
    target.storeBE(UInt16(topic.byteCount), at: at)
    target.copy(topic, at: at + 2)
    at += 2 + topic.byteCount
    if identifierBytes > 0 { target.storeBE(view.packetIdentifier, at: at) }
    at = writeVariable(&target, section, at: at + identifierBytes)
    var list = view.properties.makeIterator()
    while let property = list.next() {
      if property.identifier != .topicAlias { at = property.write(into: &target, at: at) }
    }
    return at
  }
}

/// The type byte of a packet and its remaining length (section 2.1.4); returns their size.
@_lifetime(out: copy out)
@discardableResult
func writeFixedHeader(
  _ out: inout MutableRawSpan, _ first: UInt8, _ remainingLength: Int
) -> Int {
  out.storeByte(first, at: 0)
  return writeVariable(&out, remainingLength, at: 1)
}

/// Seven bits per byte, the lowest first (section 1.5.5); returns the offset behind.
@_lifetime(out: copy out)
private func writeVariable(_ out: inout MutableRawSpan, _ value: Int, at offset: Int) -> Int {
  var rest = value
  var at = offset
  repeat {
    let low = UInt8(rest & 0x7f)
    rest >>= 7
    out.storeByte(rest > 0 ? low | 0x80 : low, at: at)
    at += 1
  } while rest > 0
  return at
}
