import DPUCore
import HostLink
import Testing

@testable import MQTTOffload

/// What goes through the broker, and that nothing is lost on the way.
@Suite struct RelayTests {
  @Test func aClientReachesTheBrokerAndIsAnswered() {
    let lab = Lab()
    let client = lab.open()
    client.send(Packet.connect("a"))
    lab.settle()
    #expect(lab.stack.listening == [1883])
    #expect(client.packets() == [Packet.connack(4)])
    client.send(Packet.subscribe(7, [("t/#", 1)]))
    lab.settle()
    #expect(client.packets() == [[0x90, 3, 0, 7, 1]])
    client.send(Packet.disconnect)
    lab.settle()
    #expect(client.finReceived)
    lab.stack.finish(client.connection)
    lab.settle()
    #expect(client.isGone && lab.count(.connectionsClosed) == 1)
  }

  @Test func packetsArriveInPiecesOfAnySize() {
    for size in [1, 2, 3, 7] {
      let lab = Lab { $0.consume = .off }
      lab.stack.runMax = size
      lab.link.frameMax = size
      lab.broker.writeMax = size
      let subscriber = lab.subscriber("s", "t")
      let publisher = lab.open()
      let stream = Packet.connect("p") + Packet.publish("t", "one") + Packet.publish("t", "two")
      for byte in stream {
        publisher.send([byte])
        lab.turn()
      }
      lab.settle()
      #expect(subscriber.messages() == [Message("t", "one"), Message("t", "two")])
      #expect(publisher.packets() == [Packet.connack(4)])
    }
  }

  @Test func largePacketsStreamThroughBothWays() {
    let lab = Lab()
    let subscriber = lab.subscriber("s", "big")
    let publisher = lab.client("p")
    let payload = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    let packet = Packet.publish("big", payload)
    publisher.send(packet)
    var received: [UInt8] = []
    for _ in 0..<50 {
      lab.settle()
      received += subscriber.bytes()
    }
    #expect(received == packet)
    #expect(lab.count(.relayedTooLarge) == 1)
  }

  @Test func aClientThatDoesNotReadHoldsUpTheBrokerAndLosesNothing() {
    let lab = Lab()
    lab.broker.socketWrites = 10
    let subscriber = lab.subscriber("s", "t")
    let publisher = lab.client("p")
    let payload = [UInt8](repeating: 7, count: 3000)
    for _ in 0..<200 {
      publisher.send(Packet.publish("t", payload, qos: 1))
      lab.settle()
    }
    let channel = lab.broker.channels[subscriber.connection]!
    #expect(!channel.queue.isEmpty, "600 KB do not fit 256 KB of send queue and 64 KB of window")
    var received = 0
    for _ in 0..<100 {
      received += subscriber.bytes(max: 20_000).count
      lab.settle()
    }
    #expect(received == 200 * Packet.publish("t", payload).count)
  }

  @Test func theBrokersSideIsFullAndTheClientWaits() {
    let lab = Lab()
    let client = lab.client("a")
    client.send(Packet.publish("t", [UInt8](repeating: 1, count: 60_000), qos: 1))
    client.send(Packet.publish("t", [UInt8](repeating: 2, count: 60_000), qos: 1))
    lab.turn()
    let waiting = lab.stack.readableCount(client.connection)
    #expect(waiting > 50_000, "one window went")
    lab.settle()
    #expect(lab.stack.readableCount(client.connection) == 0)
    #expect(client.seen.count == 3)
  }

  @Test func endsTravelBothWays() {
    let lab = Lab()
    let polite = lab.client("polite")
    lab.stack.finish(polite.connection)
    lab.settle()
    #expect(polite.isGone && lab.broker.channels[polite.connection] == nil)

    let rude = lab.client("rude")
    lab.stack.reset(rude.connection)
    lab.settle()
    #expect(rude.isGone && lab.broker.channels[rude.connection] == nil)

    // A fragment at the end reaches the broker as well.
    let cut = lab.client("cut")
    let channel = lab.broker.channels[cut.connection]!
    cut.send(Array(Packet.publish("t", "half").dropLast()))
    lab.settle()
    #expect(channel.input.isEmpty)
    lab.stack.finish(cut.connection)
    lab.settle()
    #expect(channel.input.count == Packet.publish("t", "half").count - 1)
  }

  @Test func aClientThatDoesNotCloseIsResetAfterAWhile() {
    let lab = Lab()
    let client = lab.client("a")
    client.send(Packet.disconnect)
    lab.settle()
    #expect(client.finReceived && !client.isGone)
    client.send([1, 2, 3])
    lab.settle()
    #expect(lab.stack.readableCount(client.connection) == 0)
    lab.now = lab.now + .seconds(31)
    lab.settle()
    #expect(client.isGone && lab.count(.abortedLingering) == 1)
  }

  @Test func theLinkGoesDownAndComesBack() {
    let lab = Lab()
    let client = lab.client("a")
    lab.link.isUp = false
    lab.link.events = [.plain(.down(.peerGone))]
    lab.link.commands = []
    lab.link.toBroker = [:]
    lab.broker.channels = [:]
    lab.settle()
    #expect(client.isGone && lab.stack.listening.isEmpty && lab.count(.abortedLinkDown) == 1)

    let early = lab.open()
    lab.settle()
    #expect(early.isGone && lab.count(.refusedLinkDown) == 1)

    lab.link.isUp = true
    lab.link.events = [
      .plain(.up), .plain(.listen(LinkAddress(ipv4: 0, port: 1883))),
      .plain(.listen(LinkAddress(high: 0, low: 0, port: 1883))),
    ]
    lab.settle()
    #expect(lab.stack.listening == [1883])
    #expect(lab.client("a").seen.count == 1)
    lab.link.events.append(.plain(.unlisten(LinkAddress(ipv4: 0, port: 1883))))
    lab.settle()
    #expect(lab.stack.listening == [1883], "still listening with IPv6")
    lab.link.events.append(.plain(.unlisten(LinkAddress(high: 0, low: 0, port: 1883))))
    lab.settle()
    #expect(lab.stack.listening.isEmpty)
  }

  @Test func withTheLinkGoneEveryBlockComesBack() {
    let lab = Lab { $0.verify = .trust }
    let subscriber = lab.subscriber("s", "t")
    let publisher = lab.client("p")
    publisher.say("t", "consumed")
    #expect(lab.count(.publishesConsumed) == 1)
    lab.link.isUp = false
    lab.link.events = [.plain(.down(.peerGone))]
    lab.settle()
    #expect(subscriber.isGone && publisher.isGone)
    #expect(lab.stack.pool.freeCount == lab.stack.pool.capacity)
    // And the next message finds one again.
    lab.link.isUp = true
    lab.link.events = [.plain(.up), .plain(.listen(LinkAddress(ipv4: 0, port: 1883)))]
    lab.settle()
    let later = lab.subscriber("s", "t")
    lab.client("p").say("t", "again")
    #expect(later.messages() == [Message("t", "again")])
    #expect(lab.count(.publishesConsumed) == 2)
  }

  /// A transport that gives no room for the rest of a packet until its beginning is read.
  @Test func aPacketWhoseRestDoesNotComeStreams() {
    let lab = Lab { $0.verify = .trust }
    let publisher = lab.client("p")
    let channel = lab.broker.channels[publisher.connection]!
    let packet = Packet.publish("t", [UInt8](repeating: 1, count: 5000))
    publisher.send(Array(packet.prefix(3000)))
    lab.wait(.milliseconds(900))
    #expect(channel.input.isEmpty)
    lab.wait(.milliseconds(200))
    #expect(channel.input.count == 3000)
    publisher.send(Array(packet.dropFirst(3000)))
    lab.settle()
    #expect(channel.seen.last == packet && lab.count(.relayedTooLarge) == 1)
    publisher.say("t", "whole")
    #expect(lab.count(.publishesConsumed) == 1)
  }

  /// No receive buffer need hold 64 KB of it.
  @Test func aLargePacketIsNotWaitedFor() {
    let lab = Lab()
    let publisher = lab.client("p")
    let channel = lab.broker.channels[publisher.connection]!
    let packet = Packet.publish("t", [UInt8](repeating: 1, count: 100_000))
    publisher.send(Array(packet.prefix(20_000)))
    lab.settle()
    #expect(channel.input.count == 20_000)
    publisher.send(Array(packet.dropFirst(20_000)))
    lab.settle()
    #expect(channel.seen.last == packet)
  }

  @Test func theLastWordsOfABrokerThatResetsArrive() {
    let lab = Lab()
    let client = lab.client("a")
    let words: [UInt8] = [0xe0, 1, 0x81]
    lab.link.events.append(.data(client.connection, words))
    lab.link.events.append(.plain(.closed(client.connection, .reset)))
    lab.turn()
    #expect(client.bytes() == words)
    #expect(client.finReceived && !client.isGone)
  }

  @Test func noChannelNoConnection() {
    let lab = Lab()
    lab.link.refusesChannels = true
    let client = lab.open()
    lab.settle()
    #expect(client.isGone && lab.count(.refusedNoChannel) == 1)
  }

  @Test func whatIsNotMQTTBecomesAPipe() {
    let lab = Lab()
    let web = lab.open()
    let request = Array("GET /mqtt HTTP/1.1\r\n\r\n".utf8)
    web.send(request)
    lab.turn()
    while lab.link.shimReads() {}
    let channel = lab.broker.channels[web.connection]!
    #expect(channel.input == request)
    lab.broker.send(channel, Array("HTTP/1.1 101".utf8))
    while lab.link.shimForwards(channel.id) {}
    lab.turn()
    #expect(web.bytes() == Array("HTTP/1.1 101".utf8))
    #expect(lab.count(.rawConnect) == 1 && lab.count(.opaqueRaw) == 1)
  }

  @Test func aBadPacketReachesTheBrokerUnchanged() {
    let lab = Lab()
    let client = lab.client("a")
    let channel = lab.broker.channels[client.connection]!
    // SUBSCRIBE without a filter, then a length of five bytes.
    let bad: [UInt8] = [0x82, 2, 0, 1, 0x30, 0xff, 0xff, 0xff, 0xff, 0x01]
    client.send(bad)
    lab.turn()
    while lab.link.shimReads() {}
    #expect(channel.input == bad)
    #expect(lab.count(.rawRequest) == 1)
    #expect(lab.offload.engine.opaqueCount == 1)
    lab.stack.reset(client.connection)
    lab.settle()
    #expect(lab.offload.engine.opaqueCount == 0)
  }
}
