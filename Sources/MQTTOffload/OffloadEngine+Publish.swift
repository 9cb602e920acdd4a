import DPUCore
import HostLink
import MQTTWire

/// What happens to one PUBLISH of a client.
enum Decision {
  /// Delivered here; the broker does not see it.
  case consume
  /// To the broker, and its deliveries are watched.
  case learn
  case relay(MQTTCounter)
  /// It waits in TCP for earlier ones to leave the broker.
  case hold
}

extension OffloadEngine where Transport: ~Copyable, Link: ~Copyable {
  /// Handles the whole PUBLISH `packet` at the front of the client's stream. False when it has
  /// to wait.
  mutating func publish(
    _ i: UInt32, _ header: FixedHeader, _ packet: RawSpan, _ name: inout FixedArray<UInt8>,
    _ bench: inout Workbench, _ stack: inout Transport, _ link: inout Link, _ now: Instant
  ) -> Bool {
    let total = header.totalLength
    guard configuration.consume != .off else { return relayPublish(i, total, .relayedOff) }
    guard sessions[i].phase == .connected else {
      return relayPublish(i, total, .relayedNotConnected)
    }
    do {
      let view = try PublishView(packet, version: sessions[i].version, from: .client)
      guard let count = readTopic(i, view, &name) else {
        return relayPublish(i, total, .relayedAlias)
      }
      let topic = name.bytes(0..<count)
      let hasAlias = view.properties.contains(.topicAlias)
      if hasAlias {
        // An expanded packet is not cut at its front.
        let front = view.headerLength + count + 8
        guard front <= HostLinkLimits.window else { return relayPublish(i, total, .relayedAlias) }
        guard link.sendRoom(sessions[i].connection) >= front else { return false }
      }
      switch decide(i, view, topic, &bench, stack, link, now) {
      case .hold: return false
      case .consume:
        endHold(i)
        if let failure = prepareVariants(view, topic, &bench, &stack) {
          variants.finish(&stack)
          return relay(i, view, topic, hasAlias, failure, &bench, &stack, &link, now)
        }
        stack.consume(sessions[i].connection, total)
        deliver(&stack, &link)
        consumed(i, now)
        return true
      case .learn:
        endHold(i)
        let failure = learn(i, view, topic, &bench, &stack)
        return relay(
          i, view, topic, hasAlias, failure ?? .relayedLearning, isWatched: failure == nil, &bench,
          &stack, &link, now)
      case .relay(let reason):
        endHold(i)
        return relay(i, view, topic, hasAlias, reason, &bench, &stack, &link, now)
      }
    } catch {
      return relayPublish(i, total, .relayedMalformed)
    }
  }

  /// A PUBLISH of which only the first `available` bytes stand in `incoming`: only an alias is of
  /// interest. The packet is shown to the codec as if it ended there.
  mutating func publishLarge(
    _ i: UInt32, _ header: FixedHeader, _ available: Int,
    _ incoming: inout FixedArray<UInt8>,
    _ name: inout FixedArray<UInt8>, _ bench: inout Workbench, _ stack: inout Transport,
    _ link: inout Link, _ now: Instant
  ) -> Bool {
    let total = header.totalLength
    guard sessions[i].version == .v5, sessions[i].phase == .connected,
      configuration.consume != .off
    else { return relayPublish(i, total, .relayedTooLarge) }
    let body = available - header.headerLength
    let size = 1 + VariableByteInteger.size(body)
    let start = header.headerLength - size
    guard start >= 0 else { return relayPublish(i, total, .relayedTooLarge) }
    let first = incoming[0]
    var target = incoming.mutableBytes(start..<header.headerLength)
    writeFixedHeader(&target, first, body)
    do {
      let packet = incoming.bytes(start..<available)
      let view = try PublishView(packet, version: .v5, from: .client)
      guard view.properties.contains(.topicAlias), let count = readTopic(i, view, &name) else {
        return relayPublish(i, total, .relayedTooLarge)
      }
      let headerBytes = view.headerLength + start
      return relayExpanded(
        i, view, name.bytes(0..<count), headerBytes: headerBytes, payloadBytes: total - headerBytes,
        .relayedTooLarge,
        isWatched: false, &bench, &stack, &link, now)
    } catch {
      return relayPublish(i, total, .relayedTooLarge)
    }
  }

  // MARK: The rules

  /// What forbids consuming for the session or for everybody, whatever the message.
  func standingRule(_ i: UInt32, _ link: borrowing Link) -> MQTTCounter? {
    if sessions[i].phase != .connected || sessions[i].isRaw { return .relayedNotConnected }
    if sessions[i].isReauthenticating { return .relayedReauthentication }
    return generalRule(link)
  }

  /// What forbids consuming for everybody.
  func generalRule(_ link: borrowing Link) -> MQTTCounter? {
    if configuration.consume == .off { return .relayedOff }
    if isStalled { return .relayedLinkStalled }
    if !link.certified { return .relayedNotCertified }
    if opaqueCount > 0 { return .relayedOpaqueSession }
    return nil
  }

  /// What the levels of its topic and its receivers forbid. `receivers` holds them afterwards.
  mutating func receiversRule(
    _ i: UInt32, _ topic: RawSpan, _ bench: inout Workbench
  ) -> MQTTCounter? {
    receivers.collect(topic, from: i, &bench.matcher, trie, &subscribers, sessions)
    if receivers.isTooDeep { return .relayedTooManyLevels }
    if receivers.isShared { return .relayedShared }
    if receivers.isOverlapping { return .relayedOverlapping }
    return nil
  }

  private mutating func decide(
    _ i: UInt32, _ view: borrowing PublishView, _ topic: RawSpan, _ bench: inout Workbench,
    _ stack: borrowing Transport, _ link: borrowing Link, _ now: Instant
  ) -> Decision {
    if topic.byte(at: 0) == UInt8(ascii: "$") {
      // Whoever writes to `$CONTROL` may be changing the broker's rules.
      if startsWithControl(topic) { verdictEpoch += 1 }
      return .relay(.relayedDollarTopic)
    }
    if view.qos != .atMostOnce || view.isDuplicate { return .relay(.relayedQoS) }
    if view.retain { return .relay(.relayedRetained) }
    // What a copy takes at most: properties and the topic of an alias.
    let size = view.totalLength + topic.byteCount + 8
    if view.totalLength > configuration.messageBytesMax || size > stack.sendLimit / 2 {
      return .relay(.relayedTooLarge)
    }
    if let reason = standingRule(i, link) { return .relay(reason) }
    if let reason = receiversRule(i, topic, &bench) { return .relay(reason) }

    var finding = Verdict.Finding?.some(.same)
    if configuration.verify == .learned {
      let key = verdictKey(i, topic)
      finding = verdicts.find(key, receivers: receivers.fingerprint, now: now)?.finding
      if finding == nil, sessions[i].fence.learnings > 0, isLearning(i, key) {
        return hold(i, .relayedLearning, now)
      }
    }
    if finding == .different { return .relay(.relayedDiffers) }
    // What is consumed must not overtake anything; what is watched, not mix with its own kind.
    let fence = sessions[i].fence
    if finding == .same ? fence.isDirty : fence.relayedUnwatched > fence.clear {
      wantFence(i)
      return hold(i, .relayedFence, now)
    }
    switch surveyReceivers(size, stack, now) {
    case .ready: break
    case .behind: return hold(i, .relayedReceiverBehind, now)
    case .full: return .relay(.relayedReceiverFull)
    }
    if finding == .same { return .consume }
    if learningCount == OffloadLimits.learningsMax { return .relay(.relayedLearningFull) }
    return .learn
  }

  private func startsWithControl(_ topic: RawSpan) -> Bool {
    topic.byteCount >= 8 && topic.beUInt64(at: 0) == 0x2443_4f4e_5452_4f4c  // "$CONTROL"
  }

  // MARK: Relaying

  /// As the client sent it, in front of a stream that goes on.
  mutating func relayPublish(
    _ i: UInt32, _ total: Int, _ reason: MQTTCounter, isWatched: Bool = false
  ) -> Bool {
    counters.increment(.packetsFromClients)
    counters.increment(reason)
    sessions[i].relayed += 1
    sessions[i].fence.relayed += 1
    if !isWatched { sessions[i].fence.relayedUnwatched = sessions[i].fence.relayed }
    sessions[i].relayRemaining = total
    return true
  }

  private mutating func relay(
    _ i: UInt32, _ view: borrowing PublishView, _ topic: RawSpan, _ hasAlias: Bool,
    _ reason: MQTTCounter,
    isWatched: Bool = false, _ bench: inout Workbench, _ stack: inout Transport,
    _ link: inout Link, _ now: Instant
  ) -> Bool {
    guard hasAlias else { return relayPublish(i, view.totalLength, reason, isWatched: isWatched) }
    return relayExpanded(
      i, view, topic, headerBytes: view.headerLength, payloadBytes: view.payload.byteCount, reason,
      isWatched: isWatched, &bench, &stack, &link, now)
  }

  /// Sends a new front with the topic in place of its alias, and lets the payload stream behind
  /// it. False when the link has no room for the front.
  private mutating func relayExpanded(
    _ i: UInt32, _ view: borrowing PublishView, _ topic: RawSpan, headerBytes: Int,
    payloadBytes: Int,
    _ reason: MQTTCounter, isWatched: Bool, _ bench: inout Workbench, _ stack: inout Transport,
    _ link: inout Link, _ now: Instant
  ) -> Bool {
    let size = writeExpandedFront(view, topic, payloadBytes: payloadBytes, &bench)
    let connection = sessions[i].connection
    guard link.sendRoom(connection) >= size else { return false }
    let sent = link.send(connection, bench.outgoing.bytes(0..<size))
    invariant(sent == size, "the link took less than its room")
    stack.consume(connection, headerBytes)
    counters.increment(.aliasesExpanded)
    sentToBroker(i, sent, now)
    return relayPublish(i, payloadBytes, reason, isWatched: isWatched)
  }

  // MARK: Delivering

  /// Encodes the message once for each kind of receiver; a reason when that cannot be done.
  mutating func prepareVariants(
    _ view: borrowing PublishView, _ topic: RawSpan, _ bench: inout Workbench,
    _ stack: inout Transport
  ) -> MQTTCounter? {
    for k in 0..<receivers.count where !receivers[k].isSkipped {
      let key = variantKey(receivers[k])
      if let known = variants.find(key) {
        receivers[k].variant = known
        continue
      }
      guard !variants.isFull else { return .relayedVariants }
      let size = encode(view, topic, key, &bench)
      guard let made = variants.add(key, bench.outgoing.bytes(0..<size), &stack) else {
        return .relayedNoMemory
      }
      receivers[k].variant = made
    }
    return nil
  }

  @inline(__always)
  func variantKey(_ receiver: Receiver) -> UInt64 {
    Variant.key(
      isVersion5: sessions[receiver.session].version == .v5,
      subscriptionIdentifier: receiver.subscriptionIdentifier)
  }

  /// Writes the copy for one kind of receiver to `bench.outgoing`; returns its size.
  func encode(
    _ view: borrowing PublishView, _ topic: RawSpan, _ key: UInt64, _ bench: inout Workbench
  ) -> Int {
    // Sent within the second, so what is left of an expiry is all of it; 0 is none.
    let expiry = view.messageExpiryInterval.flatMap { $0 == 0 ? nil : $0 }
    let copy = PublishCopy(
      of: view, topic: topic, for: key == 0 ? .v311 : .v5,
      messageExpiryInterval: expiry)
    let identifier = InlineArray<1, UInt32>(repeating: UInt32(truncatingIfNeeded: key))
    let identifiers = identifier.span.extracting(first: identifier[0] == 0 ? 0 : 1)
    var target = bench.outgoing.mutableBytes(0..<bench.outgoing.count)
    return copy.write(into: &target, subscriptionIdentifiers: identifiers)
  }

  /// Sends the prepared copies. A receiver that cannot take its own loses it, nobody else.
  mutating func deliver(_ stack: inout Transport, _ link: inout Link) {
    var delivered = 0
    for k in 0..<receivers.count {
      let receiver = receivers[k]
      let s = receiver.session
      if receiver.isSkipped {
        counters.increment(.copiesDroppedSlow)
        sessions[s].dropped += 1
        continue
      }
      if variants[receiver.variant].size > Int(sessions[s].maximumPacketSize) {
        counters.increment(.copiesTooLarge)
        continue
      }
      let sent = stack.send(
        sessions[s].connection, sharing: variants.block(0, of: receiver.variant),
        variants.range(0, of: receiver.variant))
      guard sent else {
        counters.increment(.copiesDroppedNoMemory)
        sessions[s].dropped += 1
        continue
      }
      if variants[receiver.variant].pieces > 1 { deliverRest(receiver, &stack, &link) }
      sessions[s].copies += 1
      delivered += 1
    }
    counters.add(delivered, to: .copiesDelivered)
    copiesLeft -= receivers.count + 4
    variants.finish(&stack)
  }

  /// The pieces behind the first. What the transport has no room for is kept, because half a
  /// packet has gone.
  private mutating func deliverRest(
    _ receiver: Receiver, _ stack: inout Transport, _ link: inout Link
  ) {
    let s = receiver.session
    for piece in 1..<variants[receiver.variant].pieces {
      let block = variants.block(piece, of: receiver.variant)
      let range = variants.range(piece, of: receiver.variant)
      if sessions[s].backlog.count == 0,
        stack.send(sessions[s].connection, sharing: block, range)
      {
        continue
      }
      guard kept.append(stack.readBlock(block, range), to: &sessions[s].backlog) else {
        return abort(s, .abortedNoMemory, &stack, &link)
      }
    }
  }

  private mutating func consumed(_ i: UInt32, _ now: Instant) {
    counters.increment(.packetsFromClients)
    counters.increment(.publishesConsumed)
    sessions[i].consumed += 1
    sessions[i].consumedSince = true
    sessions[i].hold.consumedSince += 1
    if sessions[i].keepAliveAt == .distantFuture, sessions[i].keepAliveSeconds > 0 {
      sessions[i].keepAliveAt = sessions[i].lastToBroker + sessions[i].keepAlivePeriod
      reschedule(i)
    }
  }
}
