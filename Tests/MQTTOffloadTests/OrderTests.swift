import DPUCore
import Testing

@testable import MQTTOffload

/// Random interleavings of everything that can happen at its own pace: clients, turns of the
/// offload, the shim, the broker. Whatever way a message takes, each subscriber gets each
/// publisher's messages in order, none lost and none twice.
@Suite struct OrderTests {
  @Test(arguments: 1...24) func everySubscriberSeesEachPublisherInOrder(seed: UInt64) {
    run(seed: seed, verify: seed % 3 == 0 ? .trust : .learned)
  }

  private struct Publisher {
    var client: Client
    var sent: [Message] = []
    /// Bytes that are written but not yet on their way.
    var unsent: [UInt8] = []
  }

  private struct Subscriber {
    var client: Client
    var filters: [String]
    var stream: [UInt8] = []
  }

  private func run(seed: UInt64, verify: OffloadConfiguration.Verify) {
    var random = SplitMix64(seed: seed)
    let lab = Lab {
      $0.verify = verify
      $0.slowReceiverGrace = .seconds(3600)
      $0.verdictLifetime = .milliseconds(200)
    }
    // Just more than what a receiver may be sent unproven.
    lab.broker.socketWrites = OffloadLimits.unprovenPacketsMax + 2
    lab.broker.writeMax = [1 << 20, 100, 7].randomElement(using: &random)!
    lab.link.frameMax = [16_384, 50, 3].randomElement(using: &random)!
    lab.stack.runMax = [1 << 20, 60, 5].randomElement(using: &random)!
    lab.stack.sendLimit = [256 << 10, 100_000].randomElement(using: &random)!
    if verify == .learned, seed % 4 == 0 { lab.broker.unreadable["s1"] = ["a/1"] }

    let isLazy = seed % 2 == 0

    let choices = [["a/+"], ["a/1", "b"], ["#"], ["a/#", "a/1"], ["+/2"]]
    var subscribers = (0..<4).map { k -> Subscriber in
      let version: UInt8 = k == 3 ? 5 : 4
      var filters = choices.randomElement(using: &random)!
      // What several matches give a 5.0 client is tested elsewhere.
      if version == 5 { filters = ["#"] }
      let client = lab.client("s\(k)", version: version)
      for (n, filter) in filters.enumerated() {
        client.send(Packet.subscribe(n + 1, [(filter, UInt8(k % 2))], version: version))
      }
      lab.settle()
      client.packets()
      return Subscriber(client: client, filters: filters)
    }
    var publishers = (0..<3).map { Publisher(client: lab.client("p\($0)")) }

    for _ in 0..<6000 {
      switch Int.random(in: 0..<40, using: &random) {
      case 0..<3:
        let p = Int.random(in: 0..<publishers.count, using: &random)
        let burst = Int.random(in: 0..<100, using: &random) == 0 ? 200 : 1
        for _ in 0..<burst { write(&publishers[p], p, &random) }
      case 3..<8:
        let p = Int.random(in: 0..<publishers.count, using: &random)
        let count = min(publishers[p].unsent.count, Int.random(in: 1...2000, using: &random))
        guard count > 0 else { continue }
        publishers[p].client.send(Array(publishers[p].unsent.prefix(count)))
        publishers[p].unsent.removeFirst(count)
      case 8..<18: lab.turn()
      case 18..<24:
        for _ in 0..<Int.random(in: 1...8, using: &random) { _ = lab.link.shimReads() }
      case 24..<30:
        for _ in 0..<8 {
          let channel = someChannel(lab, &random)
          for _ in 0..<Int.random(in: 1...4, using: &random) { _ = lab.broker.step(channel) }
        }
      case 30..<36:
        for _ in 0..<4 {
          let channel = someChannel(lab, &random)
          // A lazy shim reads what is for subscribers only when it has to flush.
          if isLazy, subscribers.contains(where: { $0.client.connection == channel.id }) {
            continue
          }
          for _ in 0..<Int.random(in: 1...60, using: &random) {
            _ = lab.link.shimForwards(channel.id)
          }
        }
      case 36..<38:
        let s = Int.random(in: 0..<subscribers.count, using: &random)
        subscribers[s].stream += subscribers[s].client.bytes(
          max: Int.random(in: 1...20_000, using: &random))
      case 38: lab.now = lab.now + .milliseconds(UInt64.random(in: 0...30, using: &random))
      default: lab.link.certified = Int.random(in: 0..<8, using: &random) != 0
      }
    }
    finish(lab, &publishers, &subscribers)

    for (s, subscriber) in subscribers.enumerated() {
      let got = Packet.split(subscriber.stream).compactMap {
        Message($0, version: subscriber.client.version)
      }
      for (p, publisher) in publishers.enumerated() {
        let expected = publisher.sent.filter { message in
          subscriber.filters.contains { matches($0, message.topic) }
            && !(lab.broker.unreadable["s\(s)"]?.contains(message.topic) ?? false)
        }
        let own = got.filter { $0.payload.hasPrefix("\(p).") }
        #expect(
          own.map(\.payload) == expected.map(\.payload), "publisher \(p), subscriber \(s)")
      }
    }
    #expect(lab.count(.copiesDroppedSlow) + lab.count(.copiesDroppedNoMemory) == 0)
    #expect(lab.count(.publishesConsumed) > 0)
    #expect(lab.offload.engine.learningCount == 0)
  }

  private func write(_ publisher: inout Publisher, _ p: Int, _ random: inout SplitMix64) {
    let topic = ["a/1", "a/2", "b", "c/2"].randomElement(using: &random)!
    // Now and then the same payload twice would be a different thing; each is unique.
    let payload = "\(p).\(publisher.sent.count)"
    let kind = Int.random(in: 0..<40, using: &random)
    let qos: UInt8 = kind == 0 ? 1 : 0
    publisher.sent.append(Message(topic, payload))
    publisher.unsent += Packet.publish(
      topic, Array(payload.utf8), qos: qos, retain: kind == 1, id: 1 + publisher.sent.count % 60_000
    )
  }

  private func someChannel(_ lab: Lab, _ random: inout SplitMix64) -> ModelBroker.Channel {
    let all = lab.broker.channels.values.sorted { $0.id.index < $1.id.index }
    return all.randomElement(using: &random)!
  }

  private func finish(
    _ lab: Lab, _ publishers: inout [Publisher], _ subscribers: inout [Subscriber]
  ) {
    for p in publishers.indices {
      publishers[p].client.send(publishers[p].unsent)
      publishers[p].unsent = []
    }
    for _ in 0..<200 {
      lab.settle()
      lab.now = lab.now + .milliseconds(10)
      for s in subscribers.indices { subscribers[s].stream += subscribers[s].client.bytes() }
      for publisher in publishers { publisher.client.packets() }
    }
  }
}
