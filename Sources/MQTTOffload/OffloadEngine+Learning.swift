import DPUCore
import MQTTWire

/// Verdicts: the broker is asked by being given one message of each publisher and topic, and its
/// copies are compared, byte for byte and receiver for receiver, with those that would have been
/// made here. That covers access rules, mount points and whatever else a broker does.
extension OffloadEngine where Transport: ~Copyable, Link: ~Copyable {
  func verdictKey(_ i: UInt32, _ topic: RawSpan) -> UInt64 {
    var hash = SipHash(key0: configuration.key0, key1: configuration.key1)
    hash.combine(sessions[i].connection.rawValue)
    hash.combine(verdictEpoch)
    hash.combine(bytes: topic)
    let key = hash.finish()
    return key == 0 ? 1 : key
  }

  func isLearning(_ i: UInt32, _ key: UInt64) -> Bool {
    for k in 0..<learnings.count
    where learnings[k].publisher == sessions[i].connection && learnings[k].key == key {
      return true
    }
    return false
  }

  /// Notes what the broker should do with the message that is relayed next. A reason when that
  /// cannot be told. Needs a free place among the learnings.
  mutating func learn(
    _ i: UInt32, _ view: borrowing PublishView, _ topic: RawSpan, _ bench: inout Workbench,
    _ stack: inout Transport
  ) -> MQTTCounter? {
    var learning = Learning()
    learning.publisher = sessions[i].connection
    learning.number = sessions[i].fence.relayed + 1
    learning.key = verdictKey(i, topic)
    learning.receivers = receivers.fingerprint
    learning.topic = hash(topic)
    learning.payload = hash(view.payload)
    defer { variants.finish(&stack) }
    for k in 0..<receivers.count where !receivers[k].isSkipped {
      let s = receivers[k].session
      let key = variantKey(receivers[k])
      var found = variants.find(key)
      if found == nil {
        guard !variants.isFull else { return .relayedVariants }
        let size = encode(view, topic, key, &bench)
        found = variants.add(key, size: size, hash: hash(bench.outgoing.bytes(0..<size)))
      }
      guard let found, variants[found].size <= Int(sessions[s].maximumPacketSize) else { continue }
      learning.expectedCount += 1
      learning.expectedSum &+= copySum(s, variants[found].hash)
    }
    for k in 0..<learnings.count where learnings[k].publisher == .none {
      learnings[k] = learning
      learningCount += 1
      sessions[i].fence.learnings += 1
      wantFence(i)
      counters.increment(.learningsStarted)
      return nil
    }
    return .relayedLearningFull
  }

  /// What one copy adds to the sum: its receiver and its bytes.
  private func copySum(_ session: UInt32, _ hash: UInt64) -> UInt64 {
    mixed(hash ^ mixed(UInt64(session)))
  }

  /// A PUBLISH of the broker passes to client `i`.
  mutating func observe(_ i: UInt32, _ packet: RawSpan) {
    // A receiver whose copies are dropped is not expected to get any.
    guard !sessions[i].isSlow else { return }
    let topic: UInt64
    let payload: UInt64
    do {
      let view = try PublishView(packet, version: sessions[i].version, from: .server)
      topic = hash(view.topic)
      guard isWatched(topic) else { return }
      payload = hash(view.payload)
    } catch {
      return
    }
    let sum = copySum(i, hash(packet))
    for k in 0..<learnings.count
    where learnings[k].publisher != .none && learnings[k].topic == topic
      && learnings[k].payload == payload
    {
      learnings[k].observedCount += 1
      learnings[k].observedSum &+= sum
    }
  }

  private func isWatched(_ topic: UInt64) -> Bool {
    for k in 0..<learnings.count
    where learnings[k].publisher != .none && learnings[k].topic == topic {
      return true
    }
    return false
  }

  /// The fence behind some of the publisher's watched messages has fallen.
  mutating func concludeLearnings(_ i: UInt32) {
    let clear = sessions[i].fence.clear
    for k in 0..<learnings.count
    where learnings[k].publisher == sessions[i].connection && learnings[k].number <= clear {
      conclude(learnings[k])
      remove(k, i)
    }
  }

  private mutating func conclude(_ learning: Learning) {
    let isSame =
      learning.observedCount == learning.expectedCount
      && learning.observedSum == learning.expectedSum
    counters.increment(isSame ? .verdictsPositive : .verdictsDifferent)
    let lifetime = configuration.verdictLifetime * (isSame ? 1 : OffloadLimits.differenceLifetimes)
    verdicts.record(
      learning.key, receivers: learning.receivers, isSame ? .same : .different,
      until: lastTurn + lifetime)
  }

  /// Those of a publisher that is gone.
  mutating func cancelLearnings(_ i: UInt32) {
    guard sessions[i].fence.learnings > 0 else { return }
    for k in 0..<learnings.count where learnings[k].publisher == sessions[i].connection {
      counters.increment(.learningsVoid)
      remove(k, i)
    }
  }

  private mutating func remove(_ k: Int, _ i: UInt32) {
    learnings[k] = Learning()
    learningCount -= 1
    sessions[i].fence.learnings -= 1
  }
}
