import Testing

@testable import PipelineHost

/// Frames through pipelines: where they come in, where they go out, and what becomes of buffers.
@Suite struct PacketPathTests {
  /// A firewall that lets everything pass between the ports, ARP included, and IPv4 by its rules.
  static func firewall(workers: Int = 1) throws -> Bench {
    let bench = try Bench(pipelines: Bench.one("firewall"), workers: workers)
    for wire in [
      (from: 0, to: 2), (from: 2, to: 0), (from: 1, to: 0),
    ] {
      bench.call(
        "p4.table.insert",
        joined(
          #"{"table":"wire","keys":{"ingress_port":\#(wire.from)},"action":"forward","#,
          #""arguments":{"port":\#(wire.to)}}"#))
    }
    return bench
  }

  @Test func withoutAProgramPortsAreAWire() throws {
    let bench = try Bench(
      pipelines: #"[{"name": "main", "ports": {"0": "uplink", "1": "host"}}]"#)
    bench.arrive(Packet.arp(), on: 0)
    bench.turn()
    #expect(bench.left(1) == [Packet.arp()])
    #expect(bench.freeBuffers == 1_024)
  }

  @Test func whatTheProgramForwardsLeavesOnThePortItNames() throws {
    let bench = try Self.firewall()
    bench.arrive(Packet.arp(), on: 1)
    bench.turn()
    #expect(bench.left(0) == [Packet.arp()])
    #expect(bench.left(1) == [])
    #expect(bench.freeBuffers == 1_024)
  }

  @Test func theStackIsAPortOfTheProgram() throws {
    let bench = try Self.firewall()
    bench.arrive(Packet.arp(), on: 0)
    bench.turn()
    #expect(bench.taken() == [Packet.arp()])
    bench.outgoing = [Packet.arp(), Packet.arp()]
    bench.turn()
    #expect(bench.left(0) == [Packet.arp(), Packet.arp()])
    #expect(bench.freeBuffers == 1_024)
  }

  @Test func whatIsDroppedGivesItsBufferBackAndIsCounted() throws {
    let bench = try Self.firewall()
    let tcp = Packet.tcp(from: [10, 77, 0, 2], 40_000, to: [10, 77, 0, 1], 1883)
    for _ in 0..<100 { bench.arrive(tcp, on: 0) }
    bench.turn(times: 8)
    #expect(bench.taken() == [])
    #expect(bench.freeBuffers == 1_024)
    let stats = bench.call("p4.stats")
    #expect(stats.contains(#""received":100"#))
    #expect(stats.contains(#""droppedByIngress":100"#))
    #expect(stats.contains(#""framesIn":100"#))
  }

  @Test func aPortThatStandsForNothingIsCounted() throws {
    let bench = try Self.firewall()
    bench.call(
      "p4.table.modify",
      #"{"table":"wire","keys":[1],"action":"forward","arguments":[77]}"#)
    bench.arrive(Packet.arp(), on: 1)
    bench.turn()
    #expect(bench.call("p4.stats").contains(#""droppedPortNotMapped":1"#))
    #expect(bench.freeBuffers == 1_024)
  }

  @Test func packetsGoOutToTheControlPlaneAndComeInFromIt() throws {
    let bench = try Self.firewall()
    // Everything TCP to port 22 is shown to the controller.
    bench.call(
      "p4.table.insert",
      joined(
        #"{"table":"acl","keys":{"proto":6,"dport":22},"priority":1,"action":"punt_acl","#,
        #""arguments":{"reason":5}}"#))
    let tcp = Packet.tcp(from: [10, 77, 0, 2], 40_000, to: [10, 77, 0, 1], 22)
    bench.arrive(tcp, on: 0)
    bench.turn()
    #expect(bench.taken() == [])
    let packets = bench.call("p4.packetIn")
    // Ingress port 0 in nine bits, reason 5 in seven.
    #expect(packets.contains(#""packet":"0005\#(Packet.hex(tcp))"}"#), "\(packets)")
    #expect(packets.contains(#""pipeline":"main","core":1"#))
    #expect(bench.call("p4.packetIn") == #"{"packets":[],"lost":0}"#)

    // Egress port 1 in nine bits.
    let reply = bench.call("p4.packetOut", #"{"packets":["0080\#(Packet.hex(tcp))"]}"#)
    #expect(reply == #"{"sent":1,"dropped":0}"#)
    bench.turn()
    #expect(bench.left(1) == [tcp])
    #expect(bench.freeBuffers == 1_024)
  }

  @Test func nobodyFetchesPacketsAndNothingIsLostButThose() throws {
    let bench = try Self.firewall()
    bench.call(
      "p4.table.insert",
      #"{"table":"acl","keys":{"proto":6},"action":"punt_acl","arguments":[1]}"#)
    let tcp = Packet.tcp(from: [10, 77, 0, 2], 40_000, to: [10, 77, 0, 1], 22)
    for _ in 0..<300 { bench.arrive(tcp, on: 0) }
    bench.turn(times: 12)
    let stats = bench.call("p4.stats")
    #expect(stats.contains(#""packetsIn":256"#))
    #expect(stats.contains(#""droppedPacketInFull":44"#))
    #expect(bench.freeBuffers == 1_024)
    #expect(bench.call("p4.packetIn", #"{"limit":200}"#).split(separator: "{").count == 201 + 1 - 1)
  }

  @Test func aBurstOfThirtyTwoFromEachPortIsOneBatch() throws {
    let bench = try Self.firewall()
    for _ in 0..<32 {
      bench.arrive(Packet.arp(), on: 0)
      bench.arrive(Packet.arp(), on: 1)
    }
    bench.turn()
    #expect(bench.taken().count == 32)
    #expect(bench.left(0).count == 32)
    #expect(bench.freeBuffers == 1_024)
  }

  @Test func theStackWaitsWhenThePipelineIsFull() throws {
    let bench = try Self.firewall()
    bench.outgoing = Array(repeating: Packet.arp(), count: 700)
    bench.turn()
    #expect(bench.outgoing.count == 700 - 512)
    bench.turn(times: 3)
    #expect(bench.outgoing.isEmpty)
    #expect(bench.left(0).count <= 700)
    #expect(bench.freeBuffers == 1_024)
  }
}
