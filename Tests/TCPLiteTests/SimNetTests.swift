import DPUCore
import PacketWire
import Testing

@testable import TCPLite

/// Whole transfers over a network that loses, repeats, reorders and damages frames.
@Suite struct SimNetTests {
  /// Echoes `count` bytes of each client; all must come back, and nothing stay behind.
  private func echo(
    seed: UInt64, count: Int, faults: Faults, link: Link = Link(), clients: Int = 1,
    options: SimClient.Options = SimClient.Options(), halfOpenMax: Int? = nil
  ) {
    var configuration = Bench.configuration()
    if let halfOpenMax { configuration.halfOpenMax = halfOpenMax }
    let net = SimNet(seed: seed, faults: faults, configuration: configuration)
    _ = net.stack.listen(7, tag: 1)
    var service = EchoService()
    for i in 0..<clients {
      var link = link
      link.clientMAC = MACAddress(link.clientMAC.value + UInt64(i))
      link.client.low += UInt64(i)
      net.add(
        SimClient(
          link: link, port: UInt16(50_000 + i), serverPort: 7,
          initial: UInt32(truncatingIfNeeded: seed &* 0x9e37_79b9) | 0xffff_0000,
          sending: noise(count, seed: seed + UInt64(i)), closes: true, options: options))
    }
    var ends: [TCPEvent.Kind] = []
    let finished = net.run(for: .seconds(1_200)) { event, stack in
      if case .closed = event.kind { ends.append(event.kind) }
      service.handle(event, stack: &stack)
    } until: {
      net.clients.allSatisfy(\.isFinished) && net.stack.connectionCount == 0
    }
    #expect(finished, "seed \(seed): not finished at \(net.now.nanoseconds)")
    for client in net.clients {
      let counts = (client.received.count, client.outgoing.count)
      #expect(counts.0 == counts.1 && !client.wasReset, "seed \(seed): \(counts)")
      let isIdentical = client.received == client.outgoing
      #expect(isIdentical, "seed \(seed)")
    }
    #expect(ends == Array(repeating: .closed(.finished), count: clients), "seed \(seed)")
    let left = (net.stack.pool.freeCount, net.stack.freeEntryCount, net.stack.timers.count)
    let all = (net.stack.pool.capacity, net.stack.entries.capacity, 0)
    #expect(left == all, "seed \(seed): something was not given back")
  }

  @Test func aCleanNetworkEchoesAMegabyte() { echo(seed: 1, count: 1 << 20, faults: .none) }

  @Test(arguments: 1...8 as ClosedRange<UInt64>) func aBadNetworkEchoesAMegabyte(seed: UInt64) {
    echo(seed: seed, count: 1 << 20, faults: .bad)
  }

  /// Every handshake by cookie. Nothing is lost or overtaken: who loses both the end of a handshake
  /// and the segment behind it is refused, as everywhere.
  @Test(arguments: 1...8 as ClosedRange<UInt64>) func handshakesWithoutARecord(seed: UInt64) {
    var options = SimClient.Options()
    options.timestamps = seed % 2 == 0
    options.windowScale = seed % 3 == 0 ? nil : 7
    echo(
      seed: seed, count: 100_000, faults: Faults(duplication: 100, delay: .milliseconds(seed)),
      link: seed % 4 == 0 ? .v6 : Link(), clients: 3, options: options, halfOpenMax: 0)
  }

  @Test(arguments: 1...40 as ClosedRange<UInt64>) func manySeeds(seed: UInt64) {
    var faults = Faults.bad
    faults.loss = Int(seed % 5) * 20
    faults.reordering = Int(seed % 7) * 40
    var options = SimClient.Options()
    options.sack = seed % 2 == 0
    options.timestamps = seed % 3 != 0
    options.windowScale = seed % 5 == 0 ? nil : UInt8(seed % 8)
    options.segmentSize = 536 + Int(seed * 37 % 924)
    echo(
      seed: seed, count: 60_000, faults: faults, link: seed % 4 == 0 ? .v6 : Link(),
      clients: 1 + Int(seed % 3), options: options)
  }
}
