import DPUCore
import HostLink
import MQTTWire

/// Order between what goes through the broker and what does not.
///
/// A broker handles one connection's packets in order. So when the PINGREQ behind a relayed
/// message is answered, the broker has handled the message, and a flush of the link then brings
/// out every copy it wrote. Only after that may a later message of the publisher be delivered
/// here. The exception are receivers whose socket was full: see `Proof`.
extension OffloadEngine where Transport: ~Copyable, Link: ~Copyable {
  // MARK: PINGREQ on a client's behalf

  /// Sends the PINGREQs that are wanted. Call at a packet boundary of the client's stream.
  mutating func injectPings(_ i: UInt32, _ link: inout Link, _ now: Instant) {
    guard sessions[i].phase == .connected, sessions[i].hasChannel else { return }
    if sessions[i].proof.wantsPing, injectPing(i, .proof, &link, now) {
      sessions[i].proof.wantsPing = false
      counters.increment(.pingsForProof)
    }
    if sessions[i].fence.isWanted, sessions[i].fence.state == .down,
      injectPing(i, .fence, &link, now)
    {
      sessions[i].fence.isWanted = false
      sessions[i].fence.state = .pinged
      sessions[i].fence.covers = sessions[i].fence.relayed
      counters.increment(.pingsForFence)
      counters.increment(.fencesRaised)
    }
    // Any of the above has done it.
    if sessions[i].wantsKeepAlive, injectPing(i, .keepAlive, &link, now) {
      counters.increment(.pingsForKeepAlive)
    }
  }

  private mutating func injectPing(
    _ i: UInt32, _ owner: PingLedger.Owner, _ link: inout Link, _ now: Instant
  ) -> Bool {
    guard !sessions[i].pings.isFull, link.sendRoom(sessions[i].connection) >= Ping.encodedSize
    else { return false }
    let sent = link.send(sessions[i].connection, pingRequest.bytes(0..<Ping.encodedSize))
    invariant(sent == Ping.encodedSize, "the link took less than its room")
    sessions[i].pings.sent(by: owner)
    sentToBroker(i, sent, now)
    return true
  }

  /// A PINGRESP came. False when it answers one of ours.
  mutating func pingAnswered(_ i: UInt32) -> Bool {
    guard let owner = sessions[i].pings.answered(), owner != .client else {
      // The client may have waited for a place in the ledger.
      if sessions[i].pings.count == OffloadLimits.pingsMax - 1 { ready.insert(i) }
      return true
    }
    counters.increment(.pingAnswersSwallowed)
    switch owner {
    case .client, .keepAlive: break
    case .fence:
      sessions[i].fence.state = .flushing
      awaitingFlush.insert(i)
    case .proof: proofAnswered(i)
    }
    return false
  }

  // MARK: Flush

  /// Asks for a flush when somebody needs one; one at a time serves all.
  mutating func flush(_ link: inout Link) {
    guard !isFlushing, wantsFlush || awaitingFlush.count > 0,
      link.flush(token: flushNumber &+ 1)
    else { return }
    isFlushing = true
    wantsFlush = false
    while let i = awaitingFlush.popFirst() { inFlush.insert(i) }
  }

  /// All that the broker had written before the flush has been handled.
  mutating func flushed(_ token: UInt32) {
    guard isFlushing, token == flushNumber &+ 1 else { return }
    isFlushing = false
    flushNumber = token
    while let i = inFlush.popFirst() { fenceFell(i) }
  }

  /// Behind what has been relayed by the next packet boundary. One that is up is followed by
  /// another if need be.
  mutating func wantFence(_ i: UInt32) {
    if sessions[i].fence.state == .down { sessions[i].fence.isWanted = true }
  }

  private mutating func fenceFell(_ i: UInt32) {
    counters.increment(.fencesFallen)
    sessions[i].fence.state = .down
    sessions[i].fence.clear = sessions[i].fence.covers
    if sessions[i].fence.learnings > 0 { concludeLearnings(i) }
    // Somebody still waits for a message that was relayed behind the PINGREQ.
    if sessions[i].fence.isDirty, sessions[i].hold.isWaiting || sessions[i].fence.learnings > 0 {
      wantFence(i)
    }
    ready.insert(i)
  }

  // MARK: Waiting

  /// Lets the message at the front wait, unless waiting has not paid lately.
  mutating func hold(_ i: UInt32, _ reason: MQTTCounter, _ now: Instant) -> Decision {
    if sessions[i].hold.isWaiting { return .hold }
    if sessions[i].hold.hasExpired {
      sessions[i].hold.hasExpired = false
      sessions[i].hold.pausedUntil = now + OffloadLimits.holdPause
    }
    guard now >= sessions[i].hold.pausedUntil else { return .relay(reason) }
    if sessions[i].hold.consumedSince >= OffloadLimits.profitableMessages {
      sessions[i].hold.unprofitable = 0
    } else {
      sessions[i].hold.unprofitable += 1
      if sessions[i].hold.unprofitable > OffloadLimits.unprofitableHoldsMax {
        sessions[i].hold.unprofitable = 0
        sessions[i].hold.pausedUntil = now + OffloadLimits.holdPause
        return .relay(reason)
      }
    }
    sessions[i].hold.consumedSince = 0
    sessions[i].hold.until = now + configuration.holdMax
    held.insert(i)
    reschedule(i)
    counters.increment(.publishesHeld)
    // What it waits for has to be asked for.
    ready.insert(i)
    return .hold
  }

  mutating func endHold(_ i: UInt32) {
    sessions[i].hold.hasExpired = false
    guard sessions[i].hold.isWaiting else { return }
    sessions[i].hold.until = .distantFuture
    held.remove(i)
    reschedule(i)
  }

  mutating func wakeHeld() {
    var next = held.first(from: 0)
    while let i = next {
      ready.insert(i)
      next = held.first(from: i + 1)
    }
  }

  // MARK: Receivers

  enum Readiness {
    case ready
    /// The broker may have something for it that must go first.
    case behind
    /// Its send queue has no room.
    case full
  }

  /// Whether all receivers can take a copy of up to `size` bytes now. One that was full for longer
  /// than the grace is skipped, and does not count.
  mutating func surveyReceivers(
    _ size: Int, _ stack: borrowing Transport, _ now: Instant
  ) -> Readiness {
    var worst = Readiness.ready
    for k in 0..<receivers.count {
      let s = receivers[k].session
      let found = readiness(s, size, stack)
      if found == .ready {
        if sessions[s].lagSince != .distantFuture {
          sessions[s].lagSince = .distantFuture
          sessions[s].isSlow = false
        }
        continue
      }
      if sessions[s].proof.state == .behind { askForProof(s) }
      // That the broker is busy is no reason to drop anything: it will queue.
      guard found == .full else {
        if worst == .ready { worst = .behind }
        continue
      }
      if sessions[s].lagSince == .distantFuture
        || now - sessions[s].lagSeen > configuration.slowReceiverGrace
      {
        sessions[s].lagSince = now
        sessions[s].isSlow = false
      }
      sessions[s].lagSeen = now
      if now - sessions[s].lagSince >= configuration.slowReceiverGrace {
        sessions[s].isSlow = true
        receivers[k].isSkipped = true
      } else {
        worst = .full
      }
    }
    return worst
  }

  @inline(__always)
  private func readiness(
    _ s: UInt32, _ size: Int, _ stack: borrowing Transport
  ) -> Readiness {
    // A window of the broker's bytes keeps its place in the send queue.
    let reserved = min(HostLinkLimits.window, stack.sendLimit / 2)
    if sessions[s].backlog.count > 0
      || stack.sendRoom(sessions[s].connection) < reserved + size
    {
      return .full
    }
    return sessions[s].proof.state == .proven && sessions[s].isBetweenPackets ? .ready : .behind
  }

  // MARK: Proof

  /// Counts what the broker wrote to a client, to see whether it may have queued something.
  mutating func countFromBroker(_ i: UInt32, packets: Int, bytes: Int, ranDry: Bool) {
    if sessions[i].proof.state == .proven, sessions[i].proof.flush != flushNumber {
      sessions[i].proof.flush = flushNumber
      sessions[i].proof.packets = 0
      sessions[i].proof.bytes = 0
    }
    let before = sessions[i].proof.packets
    sessions[i].proof.packets += packets
    sessions[i].proof.bytes += bytes
    if ranDry { sessions[i].proof.packets += OffloadLimits.unprovenPacketsMax + 1 }
    guard sessions[i].proof.state == .proven, configuration.consume != .off else { return }
    if !isWithinProof(i) {
      sessions[i].proof.state = .behind
      counters.increment(.receiversBehind)
    } else if before < OffloadLimits.unprovenPacketsSoft,
      sessions[i].proof.packets >= OffloadLimits.unprovenPacketsSoft
    {
      wantsFlush = true
    }
  }

  private func isWithinProof(_ i: UInt32) -> Bool {
    sessions[i].proof.packets <= OffloadLimits.unprovenPacketsMax
      && sessions[i].proof.bytes <= OffloadLimits.unprovenBytesMax
  }

  private mutating func askForProof(_ i: UInt32) {
    sessions[i].proof.state = .firstPing
    sessions[i].proof.wantsPing = true
    ready.insert(i)
  }

  private mutating func proofAnswered(_ i: UInt32) {
    let isSecond = sessions[i].proof.state == .secondPing
    if isSecond, isWithinProof(i) {
      sessions[i].proof.state = .proven
      sessions[i].proof.flush = flushNumber
      counters.increment(.receiversProven)
      return wakeHeld()
    }
    sessions[i].proof.state = isSecond ? .firstPing : .secondPing
    sessions[i].proof.packets = 0
    sessions[i].proof.bytes = 0
    sessions[i].proof.wantsPing = true
    ready.insert(i)
  }
}
