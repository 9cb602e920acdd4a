import Foundation
import Testing

@testable import PipelineHost

/// Methods for what our own programs do not have: profiles, value sets, messages, several workers.
@Suite struct OtherProgramTests {
  private static func bench(_ file: String, workers: Int = 1) throws -> Bench {
    let path = Bench.repository + "/Tests/Vectors/p4/load/" + file + ".json"
    return try Bench(
      pipelines: """
        [{"name": "main", "program": "\(path)",
          "ports": {"0": "uplink", "1": "host", "255": "cpu"}}]
        """, workers: workers)
  }

  @Test func profilesHaveMembersAndGroups() throws {
    let bench = try Self.bench("action_selector_shared-bmv2")
    let info = bench.call("p4.info")
    #expect(info.contains(#"{"name":"IngressI.as","capacity":1024,"selector":true}"#), "\(info)")
    let first = bench.call("p4.member.add", #"{"profile":"as","action":"IngressI.drop"}"#)
    #expect(first == #"{"member":0}"#, "\(first)")
    #expect(
      bench.call("p4.member.add", #"{"profile":"as","action":"drop"}"#) == #"{"member":1}"#)
    #expect(
      bench.call("p4.member.modify", #"{"profile":"as","member":1,"action":"drop"}"#) == "{}")
    #expect(bench.call("p4.group.add", #"{"profile":"as"}"#) == #"{"group":0}"#)
    #expect(bench.call("p4.group.join", #"{"profile":"as","group":0,"member":1}"#) == "{}")
    #expect(
      bench.call("p4.group.join", #"{"profile":"as","group":0,"member":1}"#)
        .contains("memberAlreadyInGroup"))
    #expect(
      bench.call("p4.group.list", #"{"profile":"as"}"#)
        == #"{"groups":[{"group":0,"members":[1]}]}"#)
    #expect(
      bench.call("p4.member.list", #"{"profile":"as"}"#)
        == joined(
          #"{"members":[{"member":0,"action":"IngressI.drop","arguments":{}},"#,
          #"{"member":1,"action":"IngressI.drop","arguments":{}}]}"#))
    #expect(
      bench.call("p4.member.delete", #"{"profile":"as","member":1}"#).contains("memberInUse"))
    #expect(bench.call("p4.group.leave", #"{"profile":"as","group":0,"member":1}"#) == "{}")
    #expect(bench.call("p4.member.delete", #"{"profile":"as","member":1}"#) == "{}")
    #expect(bench.call("p4.group.delete", #"{"profile":"as","group":0}"#) == "{}")
    #expect(bench.call("p4.group.list", #"{"profile":"as"}"#) == #"{"groups":[]}"#)
  }

  @Test func whatIsInProfilesIsKeptWhenAProgramIsLoadedAgain() throws {
    let bench = try Self.bench("action_selector_shared-bmv2")
    for _ in 0..<3 { bench.call("p4.member.add", #"{"profile":"as","action":"drop"}"#) }
    bench.call("p4.member.delete", #"{"profile":"as","member":1}"#)
    bench.call("p4.group.add", #"{"profile":"as"}"#)
    bench.call("p4.group.join", #"{"profile":"as","group":0,"member":2}"#)
    let path = Bench.repository + "/Tests/Vectors/p4/load/action_selector_shared-bmv2.json"
    #expect(
      bench.call("p4.load", #"{"path":"\#(path)","keep":true}"#)
        .contains(#""kept":{"entries":0,"lost":0}"#))
    // Handles are given anew.
    #expect(
      bench.call("p4.group.list", #"{"profile":"as"}"#)
        == #"{"groups":[{"group":0,"members":[1]}]}"#)
  }

  @Test func valueSetsAreFilled() throws {
    let bench = try Self.bench("issue1955")
    let name = "parserImpl.p1.ipv4_ethertypes"
    #expect(
      bench.call("p4.valueSet.insert", #"{"valueSet":"\#(name)","value":"0x800"}"#) == "{}")
    bench.call("p4.valueSet.insert", #"{"valueSet":"\#(name)","value":2054}"#)
    #expect(
      bench.call("p4.valueSet.list", #"{"valueSet":"\#(name)"}"#)
        == #"{"valueSet":"parserImpl.p1.ipv4_ethertypes","values":[2048,2054]}"#)
    #expect(
      bench.call("p4.valueSet.insert", #"{"valueSet":"\#(name)","value":65536}"#)
        .contains("does not fit 16 bits"))
    bench.call("p4.valueSet.delete", #"{"valueSet":"\#(name)","value":2048}"#)
    #expect(
      bench.call("p4.valueSet.list", #"{"valueSet":"\#(name)"}"#).contains(#""values":[2054]"#))
    bench.call("p4.valueSet.clear", #"{"valueSet":"\#(name)"}"#)
    #expect(
      bench.call("p4.valueSet.list", #"{"valueSet":"\#(name)"}"#).contains(#""values":[]"#))
  }

  @Test func messagesOfTheProgramAreTaken() throws {
    let bench = try Self.bench("logging-bmv2")
    bench.call("p4.table.setDefault", #"{"table":"t","action":"a"}"#)
    bench.arrive(Array(repeating: 0, count: 60), on: 0)
    bench.turn()
    let logs = bench.call("p4.logs")
    #expect(logs.contains(#""core":1,"text":""#), "\(logs)")
    #expect(!logs.contains("{}"))
    #expect(bench.call("p4.logs") == #"{"logs":[]}"#)
    #expect(bench.call("p4.timeouts") == #"{"timeouts":[]}"#)
  }

  @Test func hashesOfOtherKindsTakeNoParameters() throws {
    let bench = try PacketPathTests.firewall()
    let info = bench.call("p4.info")
    let calculation = info.components(separatedBy: #""calculations":[""#)[1].split(
      separator: #"""#)[0]
    #expect(
      bench.call(
        "p4.hash.set",
        #"{"calculation":"\#(calculation)","width":16,"polynomial":"0x1021"}"#
      ).contains(#""reason":"badHash""#))
  }
}

/// Several workers: each has a copy, writes go to all, counters are added up.
@Suite struct SeveralWorkersTests {
  @Test func writesReachAllAndCountersAreAddedUp() throws {
    let bench = try PacketPathTests.firewall(workers: 3)
    for worker in 0..<3 {
      for _ in 0...worker { bench.arrive(Packet.arp(), on: 1, worker: worker) }
      bench.turn(worker)
      #expect(bench.left(0, worker: worker).count == worker + 1)
    }
    #expect(bench.call("p4.stats").contains(#"{"counters":{"received":6,"#) == false)
    let stats = bench.call("p4.stats")
    #expect(stats.contains(#""counters":{"received":6,"#))
    for core in 1...3 {
      #expect(stats.contains(#"{"core":\#(core),"counters":{"received":\#(core),"#))
    }
    #expect(
      bench.call("p4.counter.read", #"{"counter":"port_tx","index":0}"#)
        .contains(#""packets":6"#))
    #expect(
      bench.call("p4.counter.read", #"{"counter":"port_tx","index":0,"core":3}"#)
        .contains(#""packets":3"#))
    bench.call("p4.counter.write", #"{"counter":"port_tx","index":0,"packets":10}"#)
    #expect(
      bench.call("p4.counter.read", #"{"counter":"port_tx","index":0}"#)
        .contains(#""packets":10"#))
  }

  @Test func registersBelongToCores() throws {
    let bench = try PacketPathTests.firewall(workers: 2)
    bench.call("p4.register.write", #"{"register":"flow_seen0","index":1,"value":5}"#)
    bench.call("p4.register.write", #"{"register":"flow_seen0","index":1,"value":6,"core":2}"#)
    #expect(
      bench.call("p4.register.read", #"{"register":"flow_seen0","index":1}"#)
        .contains(#""cores":[{"core":1,"values":[5]},{"core":2,"values":[6]}]"#))
    #expect(
      bench.call("p4.register.read", #"{"register":"flow_seen0","index":1,"core":2}"#)
        .contains(#""cores":[{"core":2,"values":[6]}]"#))
  }

  @Test func programsAreSwappedOnAll() throws {
    let bench = try PacketPathTests.firewall(workers: 2)
    #expect(
      bench.call("p4.load", #"{"path":"\#(Bench.program("firewall"))","keep":true}"#)
        .contains(#""kept":{"entries":3,"lost":0}"#))
    for worker in 0..<2 {
      bench.arrive(Packet.arp(), on: 1, worker: worker)
      bench.turn(worker)
      #expect(bench.left(0, worker: worker).count == 1)
    }
  }

  @Test func whatTheFirstRefusesTheOthersDoNotSee() throws {
    let bench = try PacketPathTests.firewall(workers: 2)
    #expect(
      bench.call(
        "p4.table.insert", #"{"table":"wire","keys":[0],"action":"no_forward"}"#
      ).contains(#""reason":"exists""#))
    bench.call("p4.packetOut", #"{"packets":["0000\#(Packet.hex(Packet.arp()))"],"core":2}"#)
    bench.turn(1)
    #expect(bench.left(0, worker: 1).count == 1)
  }
}
