import DPUCore
import Testing
import TopicTrie

@testable import MQTTOffload

/// What is delivered without the broker, and each rule that forbids it. No learning here.
@Suite struct ConsumeTests {
  private func trusting(_ change: (inout OffloadConfiguration) -> Void = { _ in }) -> Lab {
    Lab {
      $0.verify = .trust
      change(&$0)
    }
  }

  @Test func oneMessageToManyWithoutTheBroker() {
    let lab = trusting()
    let subscribers = (0..<5).map { lab.subscriber("s\($0)", "t/+") }
    let publisher = lab.client("p")
    publisher.say("t/1", "hello")
    for subscriber in subscribers { #expect(subscriber.messages() == [Message("t/1", "hello")]) }
    #expect(lab.broker.handledPublishes == 0)
    #expect(lab.count(.publishesConsumed) == 1 && lab.count(.copiesDelivered) == 5)
    publisher.say("elsewhere", "nobody")
    #expect(lab.broker.handledPublishes == 0 && lab.count(.publishesConsumed) == 2)
  }

  @Test func blocksReturnWhenEverythingIsRead() {
    let lab = trusting()
    let subscriber = lab.subscriber("s", "#")
    let publisher = lab.client("p")
    let free = lab.stack.pool.freeCount
    for size in [10, 100, 1900, 3000, 40_000] {
      publisher.send(Packet.publish("t", [UInt8](repeating: 1, count: size)))
      lab.settle()
      #expect(subscriber.messages().last?.payload.utf8.count == size)
    }
    #expect(lab.stack.pool.freeCount >= free - 1, "one block stays open")
    #expect(lab.count(.publishesConsumed) == 5)
  }

  @Test func aSubscriptionCountsFromItsAnswerOn() {
    let lab = trusting()
    let subscriber = lab.client("s")
    let publisher = lab.client("p")
    subscriber.send(Packet.subscribe(1, [("t", 0)]))
    lab.turn()
    publisher.publish("t", "before")
    lab.turn()
    #expect(lab.count(.publishesConsumed) == 1 && lab.count(.copiesDelivered) == 0)
    lab.settle()
    publisher.say("t", "after")
    #expect(subscriber.messages() == [Message("t", "after")])
    subscriber.send(Packet.unsubscribe(2, ["t"]))
    lab.settle()
    publisher.say("t", "gone")
    #expect(subscriber.messages().isEmpty)
    #expect(lab.offload.engine.trie.subscriptionCount == 0)
  }

  @Test func whatTheBrokerRefusesIsNotSubscribed() {
    let lab = trusting()
    lab.broker.refusedFilters = ["secret"]
    let subscriber = lab.client("s")
    subscriber.send(Packet.subscribe(1, [("secret", 0), ("open", 2)]))
    lab.settle()
    #expect(subscriber.packets() == [[0x90, 4, 0, 1, 0x80, 2]])
    let publisher = lab.client("p")
    publisher.say("secret", "x")
    publisher.say("open", "y")
    #expect(subscriber.messages() == [Message("open", "y")])
  }

  @Test func qosRetainAndDollarGoToTheBroker() {
    let lab = trusting()
    let subscriber = lab.subscriber("s", "t", options: 1)
    let publisher = lab.client("p")
    publisher.send(Packet.publish("t", Array("1".utf8), qos: 1))
    publisher.send(Packet.publish("t", Array("2".utf8), qos: 2, id: 2))
    publisher.send(Packet.publish("t", Array("r".utf8), retain: true))
    publisher.send(Packet.publish("$SYS/x", "d"))
    lab.settle()
    #expect(
      subscriber.messages() == [
        Message("t", "1", qos: 1), Message("t", "2", qos: 1), Message("t", "r"),
      ])
    #expect(lab.broker.handledPublishes == 4)
    #expect(lab.count(.relayedQoS) == 2)
    #expect(lab.count(.relayedRetained) == 1 && lab.count(.relayedDollarTopic) == 1)
    #expect(lab.count(.publishesConsumed) == 0)
  }

  @Test func overlappingSubscriptionsAreTheBrokersPolicy() {
    let lab = trusting()
    let subscriber = lab.subscriber("s", "t/#", "t/+")
    let other = lab.subscriber("o", "t/#")
    let publisher = lab.client("p")
    publisher.say("t/1", "x")
    #expect(subscriber.messages() == [Message("t/1", "x")])
    #expect(other.messages() == [Message("t/1", "x")])
    #expect(lab.count(.relayedOverlapping) == 1)
    publisher.say("t/1/2", "y")
    lab.settle()
    #expect(subscriber.messages() == [Message("t/1/2", "y")])
    #expect(lab.count(.publishesConsumed) == 1)
  }

  @Test func sharedSubscriptionsAreTheBrokersChoice() {
    let lab = trusting()
    let a = lab.subscriber("a", "$share/g/t/#", version: 5)
    let b = lab.subscriber("b", "$share/g/t/#", version: 5)
    let publisher = lab.client("p")
    for n in 0..<4 { publisher.say("t/1", "\(n)") }
    #expect(a.messages().count == 2 && b.messages().count == 2)
    #expect(lab.count(.relayedShared) == 4)
    a.send(Packet.disconnect)
    b.send(Packet.disconnect)
    lab.settle()
    publisher.say("t/1", "z")
    #expect(lab.count(.relayedShared) == 4)
  }

  @Test func noLocalIsHonoured() {
    let lab = trusting()
    let talker = lab.subscriber("a", "t", version: 5, options: 4)
    let listener = lab.subscriber("b", "t", version: 5)
    talker.say("t", "mine")
    #expect(talker.messages().isEmpty)
    #expect(listener.messages() == [Message("t", "mine")])
    #expect(lab.count(.publishesConsumed) == 1)
  }

  @Test func propertiesGoToVersion5InTheBrokersOrder() {
    let user = [0x26] + Packet.string("k") + Packet.string("v")
    let expiry: [UInt8] = [0x02, 0, 0, 0, 100]
    let format: [UInt8] = [0x01, 1]
    let packet = Packet.publish("t", [65], version: 5, properties: user + expiry + format)
    // Once through the broker and once without it: the same bytes.
    var results: [[[[UInt8]]]] = []
    for consume in [OffloadConfiguration.Consume.off, .certified] {
      let lab = trusting { $0.consume = consume }
      let old = lab.subscriber("old", "t")
      let new = lab.subscriber("new", "t", version: 5)
      let numbered = lab.subscriber("numbered", "t", version: 5, identifier: 300)
      let publisher = lab.client("p", version: 5)
      publisher.send(packet)
      lab.settle()
      results.append([old.packets(), new.packets(), numbered.packets()])
      #expect(lab.count(.publishesConsumed) == (consume == .off ? 0 : 1))
    }
    #expect(results[0] == results[1])
    #expect(results[1][0] == [Packet.publish("t", [65])])
    #expect(
      results[1][2] == [
        Packet.publish(
          "t", [65], version: 5, properties: [0x0b, 0xac, 0x02] + user + format + expiry)
      ])
  }

  @Test func aReceiverIsNotSentMoreThanItAccepts() {
    let lab = trusting()
    let small = lab.client("s", version: 5, properties: [0x27, 0, 0, 0, 20])
    small.send(Packet.subscribe(1, [("t", 0)], version: 5))
    lab.settle()
    small.packets()
    let publisher = lab.client("p")
    publisher.say("t", "fits")
    publisher.say("t", "does not fit into twenty bytes")
    #expect(small.messages() == [Message("t", "fits")])
    #expect(lab.count(.copiesTooLarge) == 1)
  }

  @Test func theCertificateCountsAtEachMessage() {
    let lab = trusting()
    let subscriber = lab.subscriber("s", "t")
    let publisher = lab.client("p")
    publisher.say("t", "1")
    lab.link.certified = false
    publisher.publish("t", "2")
    publisher.publish("t", "3")
    lab.settle()
    lab.link.certified = true
    publisher.say("t", "4")
    #expect(subscriber.messages().map(\.payload) == ["1", "2", "3", "4"])
    #expect(lab.count(.relayedNotCertified) == 2 && lab.count(.publishesConsumed) == 2)
  }

  @Test func anUnknownSessionForbidsConsuming() {
    let lab = trusting()
    lab.broker.subscriptions["old"] = [
      ModelBroker.Subscription(filter: "t", options: 0, identifier: 0)
    ]
    let publisher = lab.client("p")
    publisher.say("t", "nobody there")
    let old = lab.client("old", clean: false)
    publisher.say("t", "seen")
    #expect(old.messages() == [Message("t", "seen")])
    #expect(lab.count(.relayedOpaqueSession) == 1 && lab.count(.opaqueSessionPresent) == 1)
    lab.stack.reset(old.connection)
    lab.settle()
    publisher.say("t", "nobody again")
    #expect(lab.broker.handledPublishes == 1)
  }

  @Test func aPersistentSessionIsRememberedWhileItsClientIsAway() {
    let lab = trusting()
    let publisher = lab.client("p")
    let first = lab.client("s", clean: false)
    first.send(Packet.subscribe(1, [("t", 0)]))
    lab.settle()
    first.send(Packet.disconnect)
    lab.settle()
    publisher.say("t", "away")
    let second = lab.client("s", clean: false)
    publisher.say("t", "back")
    #expect(second.messages() == [Message("t", "back")])
    #expect(lab.broker.handledPublishes == 0 && lab.count(.opaqueSessionPresent) == 0)
    // A clean start ends it.
    second.send(Packet.disconnect)
    lab.settle()
    let third = lab.client("s")
    publisher.say("t", "fresh")
    #expect(third.messages().isEmpty && lab.offload.engine.trie.subscriptionCount == 0)
  }

  /// MQTT 3.1 has no flag for it.
  @Test func aSessionThatMayBeThereIsTakenForOne() {
    let lab = trusting()
    let client = lab.client("old", version: 3, clean: false)
    #expect(lab.count(.opaqueSessionPresent) == 1)
    lab.stack.reset(client.connection)
    lab.settle()
    let clean = lab.client("old", version: 3)
    #expect(lab.count(.opaqueSessionPresent) == 1 && lab.offload.engine.opaqueCount == 0)
    clean.send(Packet.subscribe(1, [("t", 0)]))
    lab.settle()
    clean.packets()
    lab.client("p", version: 3).say("t", "x")
    #expect(clean.messages() == [Message("t", "x")])
    #expect(lab.broker.handledPublishes == 0)
  }

  @Test func aTakeOverTakesTheSubscriptionsAlong() {
    let lab = trusting()
    let publisher = lab.client("p")
    let first = lab.client("s", clean: false)
    first.send(Packet.subscribe(1, [("t", 0)]))
    lab.settle()
    first.packets()
    let second = lab.client("s", clean: false)
    publisher.say("t", "x")
    #expect(first.messages().isEmpty && first.finReceived)
    #expect(second.messages() == [Message("t", "x")])
    #expect(lab.broker.handledPublishes == 0)
  }

  @Test func anAliasIsExpandedForTheBrokerToo() {
    let lab = trusting()
    lab.broker.connackProperties = [0x22, 0, 10]
    let subscriber = lab.subscriber("s", "t", options: 1)
    let publisher = lab.client("p", version: 5)
    publisher.clearSeen()
    let alias: [UInt8] = [0x23, 0, 3]
    let user = [0x26] + Packet.string("k") + Packet.string("v")
    publisher.send(
      Packet.publish("t", Array("defines".utf8), version: 5, properties: user + alias))
    publisher.send(Packet.publish("", Array("uses".utf8), version: 5, properties: alias))
    publisher.send(
      Packet.publish("", Array("relayed".utf8), qos: 1, id: 9, version: 5, properties: alias + user)
    )
    lab.settle()
    #expect(subscriber.messages().map(\.payload) == ["defines", "uses", "relayed"])
    #expect(
      publisher.seen == [
        Packet.publish("t", Array("relayed".utf8), qos: 1, id: 9, version: 5, properties: user)
      ])
    #expect(lab.count(.publishesConsumed) == 2 && lab.count(.aliasesExpanded) == 1)
    // Larger than what is looked at: the front is rewritten, the payload streams.
    let payload = [UInt8](repeating: 9, count: 100_000)
    publisher.clearSeen()
    publisher.send(Packet.publish("", payload, qos: 1, id: 10, version: 5, properties: alias))
    lab.settle()
    #expect(publisher.seen == [Packet.publish("t", payload, qos: 1, id: 10, version: 5)])
  }

  @Test func anAliasTheBrokerDoesNotAllowIsItsToRefuse() {
    let lab = trusting()
    lab.broker.connackProperties = [0x22, 0, 2]
    let publisher = lab.client("p", version: 5)
    let channel = lab.broker.channels[publisher.connection]!
    let packet = Packet.publish("t", [65], version: 5, properties: [0x23, 0, 3])
    publisher.send(packet)
    lab.settle()
    #expect(channel.seen.last == packet && lab.count(.relayedAlias) == 1)
  }

  @Test func malformedMessagesAreTheBrokersToRefuse() {
    let lab = trusting()
    let publisher = lab.client("p")
    let channel = lab.broker.channels[publisher.connection]!
    let packet = Packet.packet(0x30, Packet.string([0xff, 0xfe]) + [1])
    publisher.send(packet)
    lab.settle()
    #expect(channel.seen.last == packet && lab.count(.relayedMalformed) == 1)
    #expect(lab.offload.engine.opaqueCount == 0)
  }

  /// mosquitto disconnects for a topic with more than 200 separators. Whether it does is its
  /// business, trusted or not.
  @Test(arguments: [OffloadConfiguration.Verify.trust, .learned])
  func topicsWithTooManyLevelsAreTheBrokersToRefuse(verify: OffloadConfiguration.Verify) {
    let lab = trusting { $0.verify = verify }
    let subscriber = lab.subscriber("s", "#")
    let publisher = lab.client("p")
    let deepest = String(repeating: "/", count: 200)
    for n in 0..<3 { publisher.say(deepest, "\(n)") }
    let consumed: UInt64 = verify == .trust ? 3 : 2
    #expect(lab.count(.publishesConsumed) == consumed)
    for n in 3..<6 { publisher.say(deepest + "/", "\(n)") }
    #expect(lab.count(.publishesConsumed) == consumed && lab.count(.relayedTooManyLevels) == 3)
    #expect(lab.broker.handledPublishes == 6 - Int(consumed))
    #expect(subscriber.messages().map(\.payload) == (0..<6).map { "\($0)" })
    let topic = Array((deepest + "/").utf8)
    let explained = lab.offload.explain(
      publisher: publisher.connection, topic: topic.span.bytes, link: lab.link, now: lab.now)
    #expect(explained.reason == .relayedTooManyLevels)
  }

  @Test func offMeansOff() {
    let lab = trusting { $0.consume = .off }
    let subscriber = lab.subscriber("s", "t")
    lab.client("p").say("t", "x")
    #expect(subscriber.messages() == [Message("t", "x")])
    #expect(lab.count(.relayedOff) == 1 && lab.broker.handledPublishes == 1)
  }
}
