import Testing

@testable import PipelineHost

/// Loading, swapping and unloading programs while packets pass.
@Suite struct SwapTests {
  private static func load(_ bench: Bench, _ program: String, _ more: String = "") -> String {
    bench.call("p4.load", #"{"path":"\#(Bench.program(program))"\#(more)}"#)
  }

  @Test func aProgramTakesOverBetweenTwoBurstsWithoutLoss() throws {
    let bench = try PacketPathTests.firewall()
    var taken = 0
    var crossed = 0
    for round in 0..<40 {
      for _ in 0..<16 { bench.arrive(Packet.arp(), on: 0) }
      if round % 10 == 9 {
        #expect(
          Self.load(bench, "firewall", #","keep":true"#)
            == #"{"pipeline":"main","loads":\#(2 + round / 10),"kept":{"entries":3,"lost":0}}"#)
      }
      bench.turn()
      taken += bench.taken().count
      crossed += bench.left(1).count
    }
    bench.turn(times: 4)
    taken += bench.taken().count
    #expect(taken == 640)
    #expect(crossed == 0)
    #expect(bench.freeBuffers == 1_024)
  }

  @Test func whatWaitsInTheOldProgramLeavesThroughIt() throws {
    let bench = try PacketPathTests.firewall()
    // One packet a second may leave for the uplink.
    bench.call("p4.queue.set", #"{"port":0,"packetsPerSecond":1}"#)
    for _ in 0..<10 { bench.arrive(Packet.arp(), on: 1) }
    bench.turn()
    let before = bench.left(0).count
    #expect(before < 10)
    _ = Self.load(bench, "l3switch")
    bench.turn()
    #expect(before + bench.left(0).count == 10)
    #expect(bench.freeBuffers == 1_024)
  }

  @Test func withoutAProgramPortsAreAWireAgain() throws {
    let bench = try PacketPathTests.firewall()
    #expect(bench.call("p4.unload") == #"{"unloaded":"main"}"#)
    bench.arrive(Packet.arp(), on: 0)
    bench.turn()
    #expect(bench.left(1) == [Packet.arp()])
    #expect(bench.call("p4.info").contains("-32007"))
    #expect(Self.load(bench, "firewall") == #"{"pipeline":"main","loads":2}"#)
    bench.arrive(Packet.arp(), on: 0)
    bench.turn()
    #expect(bench.left(1) == [])
  }

  @Test func aBadProgramLeavesTheRunningOneAlone() throws {
    let bench = try PacketPathTests.firewall()
    let reply = bench.call("p4.load", #"{"program":"{\"header_types\": 7}"}"#)
    #expect(reply.contains(#""code":-32008"#), "\(reply)")
    #expect(reply.contains(#""reason":"badProgram""#))
    #expect(reply.contains("program:1:"), "\(reply)")
    #expect(bench.call("p4.load", #"{"path":"/no/such"}"#).contains("-32006"))
    #expect(bench.call("p4.load").contains("needs a \\\"program\\\" or a \\\"path\\\""))
    bench.arrive(Packet.arp(), on: 0)
    bench.turn()
    #expect(bench.taken() == [Packet.arp()])
  }

  @Test func aPipelineIsMadeAndGoneWithItsProgram() throws {
    let bench = try Bench()
    #expect(Self.load(bench, "firewall").contains("needs \\\"ports\\\""))
    #expect(
      Self.load(bench, "firewall", #","ports":{"0":"uplink"},"pipeline":"fw""#)
        == #"{"pipeline":"fw","loads":1}"#)
    #expect(
      Self.load(bench, "l3switch", #","ports":{"4":"uplink"},"pipeline":"l3""#)
        .contains("uplink belongs to the pipeline fw already"))
    #expect(
      Self.load(bench, "l3switch", #","ports":{"4":"host"},"pipeline":"l3""#)
        == #"{"pipeline":"l3","loads":1}"#)
    #expect(bench.call("p4.stats").contains("there are several pipelines"))
    #expect(
      bench.call("p4.list").contains(
        #""configured":false,"loads":1,"ports":{"4":"host"}}"#))
    bench.call("p4.unload", #"{"pipeline":"fw"}"#)
    #expect(bench.call("p4.stats", #"{"pipeline":"fw"}"#).contains("there is no pipeline fw"))
    // Frames of the uplink pass again, those of the host's port go to the other program.
    bench.arrive(Packet.arp(), on: 0)
    bench.turn()
    #expect(bench.left(1) == [Packet.arp()])
  }

  @Test func thereAreFourPipelines() throws {
    let bench = try Bench()
    for index in 0..<4 {
      #expect(
        Self.load(bench, "paths", #","ports":{"9":"cpu"},"pipeline":"p\#(index)""#)
          .contains(#""loads":1"#))
    }
    #expect(
      Self.load(bench, "paths", #","ports":{"9":"cpu"},"pipeline":"p4""#)
        .contains("there are 4 pipelines already"))
  }

  @Test func theConfigurationsPortsStay() throws {
    let bench = try PacketPathTests.firewall()
    #expect(
      Self.load(bench, "l3switch", #","ports":{"4":"host"}"#)
        .contains("the configuration says what the ports of this pipeline are"))
  }

  @Test func aProgramIsVerifiedAside() throws {
    let bench = try PacketPathTests.firewall()
    let reply = bench.call("p4.verify", #"{"path":"\#(Bench.program("l3switch"))"}"#)
    #expect(reply.contains(#""tables":["#))
    #expect(reply.contains("l3switch.json"))
    #expect(bench.call("p4.info").contains(#""name":"FwIngress.acl""#))
  }

  @Test func whatHasNoPlaceInTheNewProgramIsCounted() throws {
    let bench = try PacketPathTests.firewall()
    #expect(
      Self.load(bench, "l3switch", #","keep":true"#).contains(#""kept":{"entries":0,"lost":3}"#))
  }

  @Test func programsComeAndGoWithoutALeak() throws {
    let bench = try PacketPathTests.firewall()
    for round in 0..<6 {
      _ = Self.load(bench, round.isMultiple(of: 2) ? "paths" : "firewall")
      bench.call("p4.unload")
    }
    #expect(bench.call("p4.list").contains(#""program":null"#))
  }

  @Test func aWorkerThatDoesNotAnswerIsNamed() throws {
    let bench = try PacketPathTests.firewall()
    bench.workers.stuck = [0]
    #expect(
      bench.call("p4.table.clear", #"{"table":"acl"}"#).contains("core 1 did not answer in time"))
  }
}
