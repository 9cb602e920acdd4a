import DPUCore
import Testing

@testable import MQTTOffload

/// Verdicts, fences, and what keeps order between the two ways a message can go.
@Suite struct LearningTests {
  @Test func theFirstMessageTeachesAndTheRestAreConsumed() {
    let lab = Lab()
    let subscribers = (0..<3).map { lab.subscriber("s\($0)", "t") }
    let publisher = lab.client("p")
    publisher.clearSeen()
    publisher.say("t", "1")
    #expect(publisher.seen == [Packet.publish("t", "1"), Packet.pingreq])
    #expect(publisher.packets().isEmpty, "the answer to our own PINGREQ")
    for n in 2...5 { publisher.say("t", "\(n)") }
    for subscriber in subscribers {
      #expect(subscriber.messages().map(\.payload) == ["1", "2", "3", "4", "5"])
    }
    #expect(lab.broker.handledPublishes == 1)
    #expect(lab.count(.relayedLearning) == 1 && lab.count(.verdictsPositive) == 1)
    #expect(lab.count(.publishesConsumed) == 4 && lab.count(.copiesDelivered) == 12)
  }

  @Test func aBurstWaitsForTheVerdictAndIsConsumed() {
    let lab = Lab()
    let subscriber = lab.subscriber("s", "t")
    let publisher = lab.client("p")
    for n in 0..<20 { publisher.publish("t", "\(n)") }
    lab.settle()
    #expect(subscriber.messages().map(\.payload) == (0..<20).map { "\($0)" })
    #expect(lab.broker.handledPublishes == 1 && lab.count(.publishesConsumed) == 19)
    #expect(lab.count(.publishesHeld) == 1)
  }

  @Test func manyTopicsAreLearnedAtOnce() {
    let lab = Lab()
    let subscriber = lab.subscriber("s", "t/#")
    let publisher = lab.client("p")
    for round in 0..<3 {
      for topic in 0..<10 { publisher.publish("t/\(topic)", "\(round)") }
    }
    lab.settle()
    #expect(subscriber.messages().count == 30)
    #expect(lab.broker.handledPublishes == 10 && lab.count(.verdictsPositive) == 10)
  }

  @Test func aReceiverTheBrokerLeavesOutKeepsTheTopicWithTheBroker() {
    let lab = Lab()
    lab.broker.unreadable["b"] = ["t"]
    let a = lab.subscriber("a", "t")
    let b = lab.subscriber("b", "t")
    let publisher = lab.client("p")
    for n in 0..<6 { publisher.say("t", "\(n)") }
    #expect(a.messages().count == 6 && b.messages().isEmpty)
    #expect(lab.count(.publishesConsumed) == 0)
    #expect(lab.count(.verdictsDifferent) == 2 && lab.count(.relayedDiffers) == 4)
    // Without the one who may not read, the receivers are others.
    lab.stack.reset(b.connection)
    lab.settle()
    publisher.say("t", "x")
    publisher.say("t", "y")
    #expect(a.messages().map(\.payload) == ["x", "y"])
    #expect(lab.count(.publishesConsumed) == 1)
  }

  @Test func aVerdictEndsWithTheSubscriptionsAndWithTime() {
    let lab = Lab()
    let subscriber = lab.subscriber("s", "t")
    let publisher = lab.client("p")
    publisher.say("t", "learn")
    publisher.say("t", "consume")
    #expect(lab.broker.handledPublishes == 1)
    let other = lab.subscriber("other", "t")
    publisher.say("t", "learn again")
    publisher.say("t", "consume again")
    #expect(lab.broker.handledPublishes == 2)
    lab.wait(.seconds(5))
    publisher.say("t", "confirm")
    publisher.say("t", "confirmed")
    #expect(lab.broker.handledPublishes == 3)
    // Subscriptions that do not concern the topic do not touch it.
    let stranger = lab.subscriber("stranger", "elsewhere")
    publisher.say("t", "still")
    #expect(lab.broker.handledPublishes == 3)
    // Rules may have changed.
    publisher.send(Packet.publish("$CONTROL/x", "rules"))
    publisher.say("t", "after control")
    #expect(lab.broker.handledPublishes == 5)
    #expect(subscriber.messages().count == 8 && other.messages().count == 6)
    #expect(stranger.messages().isEmpty)
  }

  @Test func theClientsOwnPingsAreItsOwn() {
    let lab = Lab()
    let publisher = lab.client("p")
    publisher.send(Packet.pingreq + Packet.publish("t", "1") + Packet.pingreq)
    lab.settle()
    #expect(publisher.packets() == [Packet.pingresp, Packet.pingresp])
    #expect(lab.count(.pingAnswersSwallowed) == 1)
  }

  @Test func aRelayedMessageIsNotOvertaken() {
    let lab = Lab { $0.verify = .trust }
    let subscriber = lab.subscriber("s", "t", options: 1)
    let publisher = lab.client("p")
    publisher.send(Packet.publish("t", Array("first".utf8), qos: 1))
    publisher.publish("t", "second")
    lab.turn()
    #expect(lab.count(.publishesConsumed) == 0 && lab.count(.publishesHeld) == 1)
    lab.settle()
    #expect(subscriber.messages().map(\.payload) == ["first", "second"])
    #expect(lab.count(.publishesConsumed) == 1)
    #expect(lab.count(.fencesRaised) == 1 && lab.count(.fencesFallen) == 1)
  }

  @Test func nobodyWaitsForeverForABrokerThatIsSlow() {
    let lab = Lab { $0.verify = .trust }
    let subscriber = lab.subscriber("s", "t", options: 1)
    let publisher = lab.client("p")
    publisher.send(Packet.publish("t", Array("first".utf8), qos: 1))
    publisher.publish("t", "second")
    lab.turn()
    let connection = publisher.connection
    #expect(lab.stack.readableCount(connection) == Packet.publish("t", "second").count)
    lab.now = lab.now + .milliseconds(101)
    lab.turn()
    #expect(lab.stack.readableCount(connection) == 0 && lab.count(.relayedFence) == 1)
    publisher.publish("t", "third")
    lab.turn()
    #expect(lab.count(.relayedFence) == 2, "it does not wait again for a second")
    lab.settle()
    #expect(subscriber.messages().map(\.payload) == ["first", "second", "third"])
    lab.wait(.seconds(1))
    publisher.say("t", "fourth")
    #expect(lab.count(.publishesConsumed) == 1)
    #expect(subscriber.messages().map(\.payload) == ["fourth"])
  }

  @Test func waitingThatDoesNotPayIsGivenUp() {
    let lab = Lab { $0.verify = .trust }
    let publisher = lab.client("p")
    for _ in 0..<20 {
      publisher.send(Packet.publish("t", [1], qos: 1))
      publisher.say("t", "between")
    }
    #expect(lab.count(.publishesHeld) == UInt64(OffloadLimits.unprofitableHoldsMax))
    #expect(lab.count(.relayedFence) == 20 - UInt64(OffloadLimits.unprofitableHoldsMax))
  }

  /// The broker's socket to a receiver was full, so that copies are still inside the broker when
  /// the fence falls. Only two PINGREQs on the receiver's own connection get behind them.
  @Test func aReceiverThatFellBehindIsProvenBeforeItGetsCopies() {
    let lab = Lab { $0.verify = .trust }
    let subscriber = lab.subscriber("s", "t", options: 1)
    let publisher = lab.client("p")
    let connection = subscriber.connection
    for n in 0..<300 { publisher.send(Packet.publish("t", Array("\(n)".utf8), qos: 1)) }
    // The shim is slow: it takes nothing from the receiver's socket until asked to flush.
    for _ in 0..<20 {
      lab.turn()
      while lab.link.shimReads() {}
      for channel in lab.broker.channels.values where channel.id != connection {
        while lab.broker.step(channel) {}
        while lab.link.shimForwards(channel.id) {}
      }
    }
    #expect(!lab.broker.channels[connection]!.queue.isEmpty)
    publisher.publish("t", "overtaking")
    for _ in 0..<20 {
      lab.turn()
      while lab.link.shimReads() {}
      let channel = lab.broker.channels[publisher.connection]!
      while lab.broker.step(channel) {}
      while lab.link.shimForwards(channel.id) {}
    }
    #expect(lab.count(.fencesFallen) == 1, "the fence alone would have let it pass")
    #expect(lab.count(.publishesConsumed) == 0)
    #expect(lab.count(.receiversBehind) == 2, "the publisher has its own 300 PUBACKs")
    lab.settle()
    let payloads = subscriber.messages().map(\.payload)
    #expect(payloads == (0..<300).map { "\($0)" } + ["overtaking"])
    #expect(lab.count(.receiversProven) == 1 && lab.count(.publishesConsumed) == 1)
  }

  @Test func aSlowReceiverLosesItsCopiesAndNobodyElseDoes() {
    let lab = Lab { $0.verify = .trust }
    lab.stack.sendLimit = 80_000
    let slow = lab.subscriber("slow", "t")
    let fast = lab.subscriber("fast", "t")
    let publisher = lab.client("p")
    let payload = String(repeating: "x", count: 1000)
    var sent = 0
    var got = 0
    for _ in 0..<400 {
      publisher.say("t", payload)
      sent += 1
      lab.wait(.milliseconds(10))
      got += fast.messages().count
    }
    lab.wait(.seconds(2))
    got += fast.messages().count
    #expect(got == sent)
    #expect(lab.count(.copiesDroppedSlow) > 100)
    #expect(lab.count(.relayedReceiverFull) > 0, "while within the grace, the broker queues")
    // When it reads again it is served again, in order and without a gap from then on.
    while !slow.messages().isEmpty { lab.settle() }
    lab.wait(.seconds(2))
    slow.messages()
    publisher.say("t", "again")
    publisher.say("t", "and again")
    lab.wait(.seconds(1))
    #expect(slow.messages().map(\.payload) == ["again", "and again"])
  }

  @Test func aLargePacketIsNotInterrupted() {
    let lab = Lab { $0.verify = .trust }
    let subscriber = lab.subscriber("s", "t", "big", options: 1)
    let publisher = lab.client("p")
    let other = lab.client("o")
    let large = Packet.publish("big", [UInt8](repeating: 5, count: 100_000))
    other.send(large)
    lab.settle()
    // The receiver's stream stands in the middle of the large packet: 64 KB of credit, no more
    // until it reads. What comes now goes behind it, through the broker.
    lab.stack.sendLimit = 1
    publisher.say("t", "small")
    lab.stack.sendLimit = 256 << 10
    lab.settle()
    var received: [UInt8] = []
    for _ in 0..<5 {
      received += subscriber.bytes()
      lab.settle()
    }
    #expect(received == large + Packet.publish("t", "small"))
  }

  @Test func theBrokerHearsOfAClientThatOnlyPublishes() {
    let lab = Lab()
    let subscriber = lab.subscriber("s", "t")
    let publisher = lab.client("p", keepAlive: 10)
    publisher.say("t", "learn")
    lab.settle()
    publisher.clearSeen()
    for _ in 0..<12 {
      lab.wait(.milliseconds(1000))
      publisher.say("t", "x")
    }
    // Every five seconds: a message that is watched again, or a PINGREQ.
    #expect(subscriber.messages().count == 13)
    #expect(publisher.seen.count >= 2)
    #expect(publisher.packets().isEmpty)

    let trusting = Lab { $0.verify = .trust }
    let quiet = trusting.client("q", keepAlive: 10)
    quiet.say("t", "once")
    trusting.wait(.seconds(4))
    #expect(quiet.seen.count == 1)
    trusting.wait(.seconds(2))
    #expect(quiet.seen.last == Packet.pingreq && quiet.seen.count == 2)
    trusting.wait(.seconds(20))
    #expect(quiet.seen.count == 2, "nothing new was consumed, so nothing is due")
    #expect(trusting.count(.pingsForKeepAlive) == 1 && quiet.packets().isEmpty)
  }

  @Test func itExplainsItself() {
    let lab = Lab()
    let subscriber = lab.subscriber("reader", "t/#", options: 1)
    let publisher = lab.client("writer")
    let topic = Array("t/1".utf8)
    func explain() -> Explanation {
      lab.offload.explain(
        publisher: publisher.connection, topic: topic.span.bytes, link: lab.link, now: lab.now)
    }
    #expect(explain().reason == .relayedLearning && explain().verdict == .none)
    publisher.say("t/1", "x")
    let learned = explain()
    #expect(learned.reason == nil && learned.verdict == .same && learned.receiverCount == 1)
    let receiver = lab.offload.engine.explainedReceiver(0)
    #expect(receiver?.session.connection == subscriber.connection && receiver?.qos == 1)
    #expect(receiver?.session.clientName.fullCount == 6 && receiver?.session.subscriptions == 1)
    lab.link.certified = false
    #expect(explain().reason == .relayedNotCertified)
    lab.link.certified = true
    lab.wait(.seconds(6))
    #expect(explain().verdict == .expired)
    let row = lab.offload.engine.snapshot(at: publisher.connection.index)
    #expect(row?.relayed == 1 && row?.consumed == 0)
  }
}
