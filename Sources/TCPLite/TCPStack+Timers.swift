package import DPUCore

/// What happens when nothing happens.
extension TCPStack {
  /// Runs the timers that are due. Call it every turn.
  package mutating func advance(now: Instant) {
    self.now = now
    timeWaits.expire(now: now)
    while let index = timers.popExpired(now: now) {
      connections[index].wheelAt = .distantFuture
      if connections[index].retransmitAt <= now { retransmitTimerFired(index, now: now) }
      if connections[index].state == .closed || connections[index].lifetimeAt <= now {
        lifetimeTimerFired(index, now: now)
      }
      updateTimer(index)
    }
  }

  /// Not later than the next timer; nil when none runs.
  package var nextDeadline: Instant? {
    guard let a = timers.nextDeadline else { return timeWaits.nextDeadline }
    guard let b = timeWaits.nextDeadline else { return a }
    return min(a, b)
  }

  /// Makes the wheel call in time. Moving a deadline back costs nothing: the wheel calls early
  /// and is set again then, so a timer restarted by every ACK is not moved by every ACK.
  mutating func updateTimer(_ index: UInt32) {
    let deadline = min(connections[index].retransmitAt, connections[index].lifetimeAt)
    guard deadline < connections[index].wheelAt else { return }
    connections[index].wheelAt = deadline
    timers.schedule(index, at: deadline)
  }

  private mutating func retransmitTimerFired(_ index: UInt32, now: Instant) {
    connections[index].retransmitAt = .distantFuture
    if connections[index].state == .closed { return }
    if connections[index].flags.contains(.starved) {
      connections[index].flags.remove(.starved)
      relieve(index)
    }
    // Waiting for a neighbour ends here as well: `transmit` asks again.
    leaveList(index)
    markReady(index)
    let retries = Int(connections[index].retries)
    if connections[index].state == .synReceived {
      if retries >= configuration.handshakeRetriesMax {
        counters.increment(.handshakesTimedOut)
        return end(index, .timedOut)
      }
      connections[index].flags.insert(.needsSYN)
      connections[index].retransmissionTimedOut()
      counters.increment(.retransmitTimeouts)
      return
    }
    let isOutstanding = connections[index].sendMax > connections[index].unacknowledged
    guard isOutstanding || connections[index].hasUnsent else { return }
    if retries >= configuration.retriesMax {
      counters.increment(.connectionsTimedOut)
      return end(index, .timedOut)
    }
    if isOutstanding, connections[index].sendWindow > 0 {
      connections[index].retransmissionTimedOut()
      counters.increment(.retransmitTimeouts)
    } else {
      connections[index].windowProbeDue()
    }
  }

  private mutating func lifetimeTimerFired(_ index: UInt32, now: Instant) {
    connections[index].lifetimeAt = .distantFuture
    switch connections[index].state {
    case .closed:
      if connections[index].flags.contains(.endsWhenRead) {
        connections[index].flags.remove(.endsWhenRead)
        announce(.closed, on: index)
      }
    case .finWait2:
      counters.increment(.connectionsTimedOut)
      sendReset(for: index)
      end(index, .timedOut)
    case .synReceived: break
    default:
      guard configuration.keepaliveIdle > .zero else { return }
      if Int(connections[index].keepaliveProbes) >= configuration.keepaliveProbesMax {
        counters.increment(.connectionsTimedOut)
        sendReset(for: index)
        return end(index, .timedOut)
      }
      connections[index].keepaliveProbes += 1
      connections[index].flags.insert(.needsKeepalive)
      connections[index].lifetimeAt = now + configuration.keepaliveInterval
      markReady(index)
    }
  }

  /// The peer is alive: its silence is counted from now on.
  mutating func heard(_ index: UInt32, now: Instant) {
    switch connections[index].state {
    case .closed: return
    case .finWait2: connections[index].lifetimeAt = now + configuration.finWait
    default:
      if configuration.keepaliveIdle > .zero {
        connections[index].lifetimeAt = now + configuration.keepaliveIdle
      }
    }
    updateTimer(index)
  }
}
