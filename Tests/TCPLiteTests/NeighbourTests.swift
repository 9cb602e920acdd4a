import DPUCore
import PacketWire
import Testing

@testable import TCPLite

@Suite struct NeighbourTests {
  private let broadcast = [UInt8](repeating: 255, count: 6)

  @Test func anARPRequestForUsIsAnswered() {
    let bench = Bench(knowsNeighbour: false)
    #expect(bench.inject(bench.link.arpRequest()) == .consumed)
    _ = bench.turn()
    let reply = bench.otherFrames[0]
    let link = bench.link
    #expect(Array(reply[0..<14]) == macBytes(link.clientMAC) + macBytes(link.serverMAC) + [8, 6])
    #expect(Array(reply[14..<22]) == [0, 1, 8, 0, 6, 4, 0, 2])
    #expect(
      Array(reply[22..<42]) == macBytes(link.serverMAC) + addressBytes(link.server)
        + macBytes(link.clientMAC) + addressBytes(link.client))
  }

  @Test func anARPRequestForOthersIsPassedOn() {
    let bench = Bench(knowsNeighbour: false)
    var request = bench.link.arpRequest()
    request[41] = 99
    #expect(bench.inject(request) == .notForUs)
    _ = bench.turn()
    #expect(bench.otherFrames == [])
    let count = bench.stack.neighbourCount
    #expect(count == 0)
  }

  /// The SYN-ACK waits for the answer; nothing is lost, and questions are at most one a second.
  @Test func anUnknownNeighbourIsAskedFor() {
    let bench = Bench(knowsNeighbour: false)
    #expect(bench.exchange(RawSegment(sequence: 5, flags: "S")) == [])
    #expect(bench.otherFrames.count == 1)
    let link = bench.link
    #expect(
      bench.otherFrames[0] == broadcast + macBytes(link.serverMAC) + [8, 6, 0, 1, 8, 0, 6, 4, 0, 1]
        + macBytes(link.serverMAC) + addressBytes(link.server) + [0, 0, 0, 0, 0, 0]
        + addressBytes(link.client))
    for port in 1...5 {
      #expect(bench.exchange(RawSegment(flags: "S", sourcePort: UInt16(port))) == [])
    }
    _ = bench.wait(milliseconds: 900)
    #expect(bench.otherFrames.count == 1)
    #expect(bench.counter(.arpRequestsSuppressed) == 5)
    _ = bench.wait(milliseconds: 200)
    #expect(bench.otherFrames.count == 2)
    bench.inject(link.arpReply())
    #expect(bench.turn().map(\.flags) == Array(repeating: "SA", count: 6))
  }

  @Test func aConnectionWhoseNeighbourNeverAnswersIsGivenUp() {
    let bench = Bench(knowsNeighbour: false)
    bench.inject(RawSegment(sequence: 5, flags: "S"))
    #expect(bench.wait(milliseconds: 40_000) == [])
    let count = bench.stack.connectionCount
    #expect(count == 0 && bench.counter(.handshakesTimedOut) == 1)
    #expect(bench.counter(.arpRequestsSent) < 41)
    let pool = bench.stack.pool.freeCount
    #expect(pool == bench.stack.pool.capacity)
  }

  @Test func anUnasketForReplyTeachesNothing() {
    let bench = Bench(knowsNeighbour: false)
    bench.inject(bench.link.arpReply())
    let count = bench.stack.neighbourCount
    #expect(count == 0 && bench.counter(.arpUnsolicitedIgnored) == 1)
  }

  @Test func somebodyWithOurAddressIsCountedAndNotBelieved() {
    let bench = Bench()
    var conflict = bench.link.arpRequest()
    conflict.replaceSubrange(28..<32, with: addressBytes(bench.link.server))
    bench.inject(conflict)
    #expect(bench.counter(.addressConflicts) == 1)
  }

  @Test func anOldNeighbourIsAskedAgainWhileStillUsed() {
    let bench = Bench()
    let call = Call(bench)
    bench.now = bench.now + .seconds(31)
    _ = bench.send(call.connection, [1])
    #expect(bench.turn().count == 1)
    // The question goes to the address known so far.
    #expect(bench.otherFrames.count == 1)
    #expect(Array(bench.otherFrames[0][0..<6]) == macBytes(bench.link.clientMAC))
    // An acknowledgment of new data proves as much as an answer.
    bench.inject(call.segment(acking: 1))
    _ = bench.send(call.connection, [2])
    bench.now = bench.now + .seconds(2)
    _ = bench.turn()
    #expect(bench.otherFrames.count == 1)
  }

  @Test func afterThreeUnansweredQuestionsEverybodyIsAsked() {
    let bench = Bench()
    let call = Call(bench)
    bench.now = bench.now + .seconds(31)
    _ = bench.send(call.connection, [1])
    _ = bench.wait(milliseconds: 30_000)
    let targets = bench.otherFrames.map { Array($0[0..<6]) }
    let known = macBytes(bench.link.clientMAC)
    #expect(Array(targets.prefix(4)) == [known, known, known, broadcast])
    // The station is back with another card.
    bench.link.clientMAC = MACAddress(2, 0, 0, 0, 0, 0x33)
    bench.inject(bench.link.arpReply())
    let out = bench.turn()
    #expect(out.count == 1)
  }

  @Test func offLinkPeersAreReachedThroughTheGateway() {
    var configuration = Bench.configuration()
    configuration.ipv4Gateway = IPAddress(10, 77, 0, 254)
    var link = Link()
    link.client = IPAddress(192, 168, 5, 5)
    let bench = Bench(configuration, link: link, knowsNeighbour: false)
    #expect(bench.exchange(RawSegment(flags: "S")) == [])
    #expect(Array(bench.otherFrames[0][38..<42]) == [10, 77, 0, 254])
    var reply = link.arpReply()
    reply.replaceSubrange(28..<32, with: [10, 77, 0, 254])
    bench.inject(reply)
    #expect(bench.turn().map(\.flags) == ["SA"])
  }

  @Test func theTableIsBounded() {
    let bench = Bench(knowsNeighbour: false)
    for i in 0..<40 {
      bench.link.client = IPAddress(10, 77, 0, UInt8(100 + i))
      bench.inject(bench.link.arpRequest())
      bench.now = bench.now + .milliseconds(1)
    }
    let count = bench.stack.neighbourCount
    #expect(count == 16 && bench.counter(.neighboursEvicted) == 24)
  }

  // MARK: IPv6

  @Test func aSolicitationIsAnswered() {
    let bench = Bench(link: .v6, knowsNeighbour: false)
    var request = bench.link.solicitation()
    // To the solicited-node group's hardware address.
    request.replaceSubrange(0..<6, with: [0x33, 0x33, 0xff, 0, 0, 1])
    #expect(bench.inject(request) == .consumed)
    _ = bench.turn()
    let answer = bench.otherFrames[0]
    #expect(Array(answer[0..<6]) == macBytes(bench.link.clientMAC))
    #expect(answer[14 + 7] == 255)
    let message = Array(answer[54...])
    // Advertisement, solicited and overriding, with our address.
    #expect(message[0] == 136 && message[4] == 0x60)
    #expect(Array(message[8..<24]) == addressBytes(Link.v6.server))
    #expect(Array(message[24..<32]) == [2, 1] + macBytes(bench.link.serverMAC))
    let sum = slowChecksum(bench.link.pseudoHeader(message.count, protocolNumber: 58) + message)
    #expect(sum == 0)
  }

  @Test func aRoutedSolicitationIsRefused() {
    let bench = Bench(link: .v6, knowsNeighbour: false)
    var request = bench.link.solicitation()
    request[14 + 7] = 254
    bench.inject(request)
    _ = bench.turn()
    #expect(bench.otherFrames == [] && bench.counter(.droppedBadICMP) == 1)
  }

  @Test func anUnknownIPv6NeighbourIsSolicited() {
    let bench = Bench(link: .v6, knowsNeighbour: false)
    #expect(bench.exchange(RawSegment(sequence: 5, flags: "S")) == [])
    let question = bench.otherFrames[0]
    #expect(Array(question[0..<6]) == [0x33, 0x33, 0xff, 0, 0, 2])
    #expect(question[54] == 135)
    #expect(Array(question[62..<78]) == addressBytes(Link.v6.client))
    let answer =
      [136, 0, 0, 0, 0x60, 0, 0, 0] + addressBytes(bench.link.client) + [2, 1]
      + macBytes(bench.link.clientMAC)
    bench.inject(bench.link.icmpv6(answer, hopLimit: 255))
    #expect(bench.turn().map(\.flags) == ["SA"])
  }

  // MARK: Echo

  @Test func pingIsAnswered() {
    let bench = Bench()
    var message: [UInt8] = [8, 0, 0, 0, 1, 2, 3, 4] + noise(1_000, seed: 1)
    message.replaceSubrange(2..<4, with: be(slowChecksum(message)))
    bench.inject(bench.link.frame(protocolNumber: 1, message))
    _ = bench.turn()
    let reply = Array(bench.otherFrames[0][34...])
    #expect(reply[0] == 0 && Array(reply[4...]) == Array(message[4...]))
    #expect(slowChecksum(reply) == 0)
    #expect(slowChecksum(Array(bench.otherFrames[0][14..<34])) == 0)
  }

  @Test func pingOverIPv6IsAnswered() {
    let bench = Bench(link: .v6)
    let message: [UInt8] = [128, 0, 0, 0, 1, 2, 3, 4] + noise(777, seed: 1)
    bench.inject(bench.link.icmpv6(message))
    _ = bench.turn()
    let reply = Array(bench.otherFrames[0][54...])
    #expect(reply[0] == 129 && Array(reply[4...]) == Array(message[4...]))
    let sum = slowChecksum(bench.link.pseudoHeader(reply.count, protocolNumber: 58) + reply)
    #expect(sum == 0)
  }

  @Test func aFloodOfPingsIsCutOff() {
    let bench = Bench()
    var message: [UInt8] = [8, 0, 0, 0, 1, 2, 3, 4]
    message.replaceSubrange(2..<4, with: be(slowChecksum(message)))
    let frame = bench.link.frame(protocolNumber: 1, message)
    for _ in 0..<1_000 { bench.inject(frame) }
    _ = bench.turn()
    #expect(bench.otherFrames.count == TCPLimits.repliesMax)
    #expect(bench.counter(.droppedReplyQueueFull) == 1_000 - UInt64(TCPLimits.repliesMax))
    let free = bench.stack.pool.freeCount
    #expect(free == bench.stack.pool.capacity)
  }
}
