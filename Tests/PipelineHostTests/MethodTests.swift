import ControlPlane
import DPUCore
import Testing

@testable import PipelineHost

/// Every method of the control socket for pipelines, on a pipeline that runs.
@Suite struct MethodTests {
  /// An access rule of the firewall.
  private static let rule =
    #""table":"acl","keys":{"zone":2,"src":"10.0.0.0/8","proto":6,"dport":"80..443"}"#

  // MARK: Tables

  @Test func entriesAreAddedReadChangedAndRemoved() throws {
    let bench = try PacketPathTests.firewall()
    let added = bench.call(
      "p4.table.insert", "{\(Self.rule),\"priority\":7,\"action\":\"permit\"}")
    #expect(added == #"{"entry":0}"#)
    let row =
      joined(
        #"{"entry":0,"keys":{"meta.zone":2,"hdr.ip4.src":"0xa000000&&&0xff000000","#,
        #""hdr.ip4.dst":"*","hdr.ip4.proto":6,"meta.tcp_flags":"*","meta.sport":"*","#,
        #""meta.dport":"80..443"},"priority":7,"action":"FwIngress.permit","arguments":{},"#,
        #""packets":0,"bytes":0"#)
    #expect(
      bench.call("p4.table.list", #"{"table":"acl"}"#)
        == joined(
          #"{"table":"FwIngress.acl","entries":[\#(row)}],"next":null,"#,
          #""default":{"action":"FwIngress.deny","arguments":{}}}"#))
    #expect(
      bench.call("p4.table.get", #"{"table":"acl","entry":0}"#) == joined(row, #","meter":null}"#))
    #expect(
      bench.call("p4.table.get", "{\(Self.rule),\"priority\":7}") == joined(row, #","meter":null}"#)
    )
    #expect(
      bench.call("p4.table.modify", #"{"table":"acl","entry":0,"action":"deny"}"#) == "{}")
    #expect(
      bench.call("p4.table.get", #"{"table":"acl","entry":0}"#)
        .contains(#""action":"FwIngress.deny""#))
    #expect(bench.call("p4.table.delete", "{\(Self.rule),\"priority\":7}") == "{}")
    #expect(bench.call("p4.table.get", #"{"table":"acl","entry":0}"#).contains("-32006"))
  }

  @Test func aLongTableIsListedInPages() throws {
    let bench = try PacketPathTests.firewall()
    for index in 0..<50 {
      bench.call(
        "p4.table.insert",
        #"{"table":"net_block","keys":["10.0.\#(index).0/24"],"action":"net_deny"}"#)
    }
    let first = bench.call("p4.table.list", #"{"table":"net_block","limit":30}"#)
    #expect(first.contains(#""next":30"#))
    #expect(first.contains(#""hdr.ip4.src":"0xa001d00/24""#))
    let second = bench.call("p4.table.list", #"{"table":"net_block","offset":30,"limit":30}"#)
    #expect(second.contains(#""next":null"#))
    #expect(second.contains(#""hdr.ip4.src":"0xa003100/24""#))
    #expect(bench.call("p4.table.clear", #"{"table":"net_block"}"#) == "{}")
    #expect(
      bench.call("p4.table.list", #"{"table":"net_block"}"#).contains(#""entries":[],"next":null"#))
  }

  @Test func theDefaultIsChangedAndPutBack() throws {
    let bench = try PacketPathTests.firewall()
    bench.call("p4.table.setDefault", #"{"table":"acl","action":"permit"}"#)
    let list = bench.call("p4.table.list", #"{"table":"acl"}"#)
    #expect(list.contains(#""default":{"action":"FwIngress.permit","arguments":{}}"#))
    bench.arrive(Packet.tcp(from: [10, 0, 0, 1], 1, to: [10, 77, 0, 1], 2), on: 0)
    bench.turn()
    #expect(bench.taken().count == 1)
    bench.call("p4.table.resetDefault", #"{"table":"acl"}"#)
    bench.arrive(Packet.tcp(from: [10, 0, 0, 1], 1, to: [10, 77, 0, 1], 2), on: 0)
    bench.turn()
    #expect(bench.taken().count == 0)
  }

  static let refusals: [(String, String, String)] = [
    (
      "p4.table.insert", #"{"table":"acls","keys":{},"action":"permit"}"#,
      #"{"code":-32006,"message":"the program has no table acls","data":{"path":"$.params.table"}}"#
    ),
    (
      "p4.table.insert", #"{"table":"acl","keys":{},"action":"punt"}"#,
      joined(
        #"{"code":-32006,"message":"the program has no action of this table punt","#,
        #""data":{"path":"$.params.action"}}"#)
    ),
    (
      "p4.table.insert", #"{"table":"acl","keys":{"foo":1},"action":"permit"}"#,
      #"{"code":-32602,"message":"the table has no such key","data":{"path":"$.params.keys.foo"}}"#
    ),
    (
      "p4.table.insert", #"{"table":"acl","keys":{"proto":256},"action":"permit"}"#,
      #"{"code":-32602,"message":"0x100 does not fit 8 bits","data":{"path":"$.params.keys.proto"}}"#
    ),
    (
      "p4.table.insert", #"{"table":"acl","keys":{"dport":"9..8"},"action":"permit"}"#,
      #"{"code":-32602,"message":"the range is empty","data":{"path":"$.params.keys.dport"}}"#
    ),
    (
      "p4.table.insert", #"{"table":"acl","keys":{"dport":"1&&&1"},"action":"permit"}"#,
      joined(
        #"{"code":-32602,"message":"meta.dport is matched range and takes no mask","#,
        #""data":{"path":"$.params.keys.dport"}}"#)
    ),
    (
      "p4.table.insert", #"{"table":"acl","keys":{"src":"10.0.0.0/33"},"action":"permit"}"#,
      joined(
        #"{"code":-32602,"message":"the prefix must lie between 0 and 32","#,
        #""data":{"path":"$.params.keys.src"}}"#)
    ),
    (
      "p4.table.insert", #"{"table":"acl","keys":{"src":"ten"},"action":"permit"}"#,
      joined(
        #"{"code":-32602,"message":"ten is no number and no address","#,
        #""data":{"path":"$.params.keys.src"}}"#)
    ),
    (
      "p4.table.insert", #"{"table":"wire","keys":{"dst":"*"},"action":"no_forward"}"#,
      #"{"code":-32602,"message":"has no key \"std.ingress_port\"","data":{"path":"$.params.keys"}}"#
    ),
    (
      "p4.table.insert", #"{"table":"wire","keys":["*"],"action":"no_forward"}"#,
      joined(
        #"{"code":-32602,"message":"std.ingress_port must be given exactly","#,
        #""data":{"path":"$.params.keys[0]"}}"#)
    ),
    (
      "p4.table.insert", #"{"table":"wire","keys":[3],"action":"forward"}"#,
      #"{"code":-32602,"message":"has no argument \"port\"","data":{"path":"$.params"}}"#
    ),
    (
      "p4.table.insert", #"{"table":"wire","keys":[3],"action":"forward","arguments":[512]}"#,
      joined(
        #"{"code":-32602,"message":"0x200 does not fit 9 bits","#,
        #""data":{"path":"$.params.arguments[0]"}}"#)
    ),
    (
      "p4.table.insert", #"{"table":"wire","keys":[0],"action":"no_forward"}"#,
      #"{"code":-32008,"message":"it exists already","data":{"path":"$.params","reason":"exists"}}"#
    ),
    (
      "p4.table.insert", #"{"table":"wire","keys":[5],"member":3}"#,
      joined(
        #"{"code":-32602,"message":"the table takes either actions, or members or groups of its "#,
        #"profile, and this is the other","data":{"path":"$.params","reason":"wrongStorage"}}"#)
    ),
    (
      "p4.table.delete", #"{"table":"wire","entry":99}"#,
      #"{"code":-32008,"message":"it does not exist","data":{"path":"$.params","reason":"notFound"}}"#
    ),
    (
      "p4.table.delete", #"{"table":"wire","entry":0,"keys":[0]}"#,
      joined(
        #"{"code":-32602,"message":"an entry is named by its number or by its keys","#,
        #""data":{"path":"$.params.keys"}}"#)
    ),
    (
      "p4.table.setTimeout", #"{"table":"wire","entry":0,"timeoutMilliseconds":5}"#,
      joined(
        #"{"code":-32602,"message":"the program does not provide for this","#,
        #""data":{"path":"$.params","reason":"notSupported"}}"#)
    ),
    (
      "p4.register.read", #"{"register":"flow_seen0","index":65536}"#,
      joined(
        #"{"code":-32602,"message":"must lie between 0 and 65535, is 65536","#,
        #""data":{"path":"$.params.index"}}"#)
    ),
    (
      "p4.counter.read", #"{"counter":"acl_hits","index":3}"#,
      joined(
        #"{"code":-32602,"message":"its cells belong to entries of a table","#,
        #""data":{"path":"$.params.index"}}"#)
    ),
    (
      "p4.mirror.set", #"{"session":3}"#,
      joined(
        #"{"code":-32602,"message":"a session needs a port or a multicast group","#,
        #""data":{"path":"$.params"}}"#)
    ),
    (
      "p4.multicast.delete", #"{"group":3}"#,
      #"{"code":-32006,"message":"there is no group 3","data":{"path":"$.params.group"}}"#
    ),
    (
      "p4.packetOut", #"{"packets":["123"]}"#,
      joined(
        #"{"code":-32602,"message":"must have an even number of digits","#,
        #""data":{"path":"$.params.packets[0]"}}"#)
    ),
    (
      "p4.register.write", #"{"register":"flow_seen0","index":1,"value":1,"core":9}"#,
      #"{"code":-32006,"message":"no worker runs on core 9","data":{"path":"$.params.core"}}"#
    ),
    (
      "p4.info", #"{"pipeline":"other"}"#,
      joined(
        #"{"code":-32006,"message":"there is no pipeline other","#,
        #""data":{"path":"$.params.pipeline"}}"#)
    ),
  ]

  @Test(arguments: refusals) func isRefused(method: String, params: String, expected: String) throws
  {
    let bench = try PacketPathTests.firewall()
    #expect(bench.call(method, params) == "error " + expected)
  }

  // MARK: Batches

  @Test func aBatchIsDoneAsAWholeOrNotAtAll() throws {
    let bench = try PacketPathTests.firewall()
    let good = #"{"method":"p4.table.insert","table":"wire","keys":[7],"action":"no_forward"}"#
    let bad = #"{"method":"p4.table.insert","table":"wire","keys":[0],"action":"no_forward"}"#
    let counter = #"{"method":"p4.counter.write","counter":"verdicts","index":3,"packets":5}"#
    let mirror = #"{"method":"p4.mirror.set","session":9,"port":255}"#
    #expect(
      bench.call("p4.batch", #"{"writes":[\#(good),\#(counter),\#(mirror),\#(bad)]}"#)
        == joined(
          #"error {"code":-32008,"message":"it exists already","#,
          #""data":{"path":"$.params.writes[3]","reason":"exists"}}"#))
    #expect(bench.call("p4.table.get", #"{"table":"wire","keys":[7]}"#).contains("-32006"))
    #expect(
      bench.call("p4.counter.read", #"{"counter":"verdicts","index":3}"#)
        .contains(#"{"packets":0,"bytes":0}"#))
    #expect(bench.call("p4.mirror.list") == #"{"sessions":[]}"#)
    #expect(
      bench.call("p4.batch", #"{"writes":[\#(good),\#(counter),\#(mirror)]}"#)
        == #"{"results":[{"entry":3},{},{}]}"#)
    #expect(
      bench.call("p4.counter.read", #"{"counter":"verdicts","index":3}"#)
        == #"{"counter":"FwIngress.verdicts","index":3,"cells":[{"packets":5,"bytes":0}]}"#)
    #expect(
      bench.call("p4.mirror.list")
        == #"{"sessions":[{"session":9,"port":255,"group":null,"truncate":0}]}"#)
  }

  @Test func aBatchThatIsNotAtomicDoesWhatItCan() throws {
    let bench = try PacketPathTests.firewall()
    let writes = (0..<100).map {
      #"{"method":"p4.table.insert","table":"wire","keys":[\#($0)],"action":"no_forward"}"#
    }
    let group =
      #"{"method":"p4.multicast.set","group":5,"replicas":[{"port":1},{"port":2,"instance":3}]}"#
    let reply = bench.call(
      "p4.batch", #"{"atomic":false,"writes":[\#(writes.joined(separator: ",")),\#(group)]}"#)
    #expect(reply.contains(#""failures":3"#))
    #expect(
      reply.hasPrefix(
        joined(
          #"{"results":[{"error":{"code":-32008,"message":"it exists already","#,
          #""data":{"path":"$.params.writes[0]","reason":"exists"}}},"#)))
    #expect(reply.contains(#"{"entry":3}"#))
    #expect(
      bench.call("p4.multicast.list")
        == joined(
          #"{"groups":[{"group":5,"replicas":[{"instance":0,"ports":[1]},"#,
          #"{"instance":3,"ports":[2]}]}]}"#))
  }

  @Test(arguments: [
    (#"{"writes":[]}"#, "$.params.writes"),
    (#"{"writes":[{"table":"wire"}]}"#, "$.params.writes[0]"),
    (#"{"writes":[{"method":"p4.load"}]}"#, "$.params.writes[0].method"),
    (#"{"writes":[{"method":"p4.table.list","table":"wire"}]}"#, "$.params.writes[0].method"),
    (#"{"writes":[{"method":"p4.table.clear","tabel":"wire"}]}"#, "$.params.writes[0].tabel"),
    (
      #"{"writes":[{"method":"p4.table.clear","table":"wire","pipeline":"main"}]}"#,
      "$.params.writes[0].pipeline"
    ),
  ])
  func aBatchIsReadStrictly(params: String, path: String) throws {
    let bench = try PacketPathTests.firewall()
    let reply = bench.call("p4.batch", params)
    #expect(reply.contains(#""code":-32602"#))
    #expect(reply.contains(#""path":"\#(path)""#), "\(reply)")
  }

  // MARK: Counters, meters, registers

  @Test func countersAreReadWrittenAndReset() throws {
    let bench = try PacketPathTests.firewall()
    let tcp = Packet.tcp(from: [10, 0, 0, 1], 1, to: [10, 77, 0, 1], 2)
    for _ in 0..<3 { bench.arrive(tcp, on: 0) }
    bench.turn()
    let all = bench.call("p4.counter.read", #"{"counter":"verdicts"}"#)
    #expect(all.contains(#"{"packets":3,"bytes":\#(3 * tcp.count)}"#))
    #expect(all.split(separator: "{").count == 1 + 16)
    bench.call("p4.counter.write", #"{"counter":"verdicts","index":4,"packets":9,"bytes":10}"#)
    #expect(
      bench.call("p4.counter.read", #"{"counter":"verdicts","index":4}"#)
        .contains(#"[{"packets":9,"bytes":10}]"#))
    bench.call("p4.counter.reset", #"{"counter":"verdicts"}"#)
    #expect(
      bench.call("p4.counter.read", #"{"counter":"verdicts","index":4}"#)
        .contains(#"[{"packets":0,"bytes":0}]"#))
  }

  @Test func directCountersAndMetersBelongToEntries() throws {
    let bench = try PacketPathTests.firewall()
    bench.call("p4.table.insert", "{\(Self.rule),\"action\":\"permit\"}")
    let set = bench.call(
      "p4.meter.write",
      joined(
        #"{"meter":"acl_rate","entry":0,"committedRate":10,"committedBurst":1,"peakRate":20,"#,
        #""peakBurst":2}"#))
    #expect(set == "{}")
    // Zone 2 on the uplink.
    bench.call(
      "p4.table.insert",
      #"{"table":"port_zone","keys":[0],"action":"set_zone","arguments":{"zone":2}}"#)
    let tcp = Packet.tcp(from: [10, 0, 0, 1], 1, to: [10, 77, 0, 1], 100)
    for _ in 0..<5 { bench.arrive(tcp, on: 0) }
    bench.turn()
    // Green, yellow: a burst of two; the rest is red and dropped.
    #expect(bench.taken().count == 2)
    let entry = bench.call("p4.table.get", #"{"table":"acl","entry":0}"#)
    #expect(entry.contains(#""packets":5,"bytes":\#(5 * tcp.count)"#), "\(entry)")
    #expect(
      entry.contains(
        #""meter":{"committedRate":10,"committedBurst":1,"peakRate":20,"peakBurst":2}"#))
    #expect(
      bench.call("p4.counter.read", #"{"counter":"acl_hits","entry":0}"#)
        == joined(
          #"{"counter":"FwIngress.acl_hits","entry":0,"#,
          #""cells":[{"packets":5,"bytes":\#(5 * tcp.count)}]}"#))
    bench.call("p4.counter.write", #"{"counter":"acl_hits","entry":0,"packets":1}"#)
    #expect(
      bench.call("p4.counter.read", #"{"counter":"acl_hits","entry":0}"#)
        .contains(#""packets":1"#))
    bench.call("p4.counter.reset", #"{"counter":"acl_hits"}"#)
    bench.call("p4.meter.reset", #"{"meter":"acl_rate","entry":0}"#)
    #expect(
      bench.call("p4.meter.read", #"{"meter":"acl_rate","entry":0}"#)
        == #"{"meter":"FwIngress.acl_rate","unit":"packets","rates":null}"#)
    #expect(
      bench.call(
        "p4.meter.write",
        joined(
          #"{"meter":"acl_rate","entry":0,"committedRate":10,"committedBurst":1,"peakRate":2,"#,
          #""peakBurst":2}"#)
      ).contains(#""reason":"badRates""#))
  }

  @Test func registersAreReadWrittenAndReset() throws {
    let bench = try PacketPathTests.firewall()
    bench.call(
      "p4.register.write", #"{"register":"flow_seen0","index":65530,"count":6,"value":"0x1f"}"#)
    #expect(
      bench.call("p4.register.read", #"{"register":"flow_seen0","index":65529,"count":3}"#)
        == joined(
          #"{"register":"FwIngress.flow_seen0","index":65529,"#,
          #""cores":[{"core":1,"values":[0,31,31]}]}"#))
    let all = bench.call("p4.register.read", #"{"register":"flow_seen0"}"#)
    #expect(all.contains(",31,31,31,31,31,31]"))
    bench.call("p4.register.reset", #"{"register":"flow_seen0"}"#)
    #expect(
      bench.call("p4.register.read", #"{"register":"flow_seen0","index":65530}"#)
        .contains(#""values":[0]"#))
  }

  // MARK: Traffic

  @Test func mirrorsAndGroupsAreKept() throws {
    let bench = try PacketPathTests.firewall()
    bench.call("p4.mirror.set", #"{"session":7,"port":1,"truncate":64}"#)
    bench.call("p4.mirror.set", #"{"session":3,"group":9}"#)
    #expect(
      bench.call("p4.mirror.list")
        == joined(
          #"{"sessions":[{"session":3,"port":null,"group":9,"truncate":0},"#,
          #"{"session":7,"port":1,"group":null,"truncate":64}]}"#))
    bench.call("p4.mirror.delete", #"{"session":3}"#)
    #expect(bench.call("p4.mirror.delete", #"{"session":3}"#).contains("noSuchSession"))
    // A group twice the size of the last, twenty times: nodes are given back.
    for count in 1...20 {
      let replicas = (0..<count * 2).map { #"{"port":\#($0 % 2),"instance":\#($0)}"# }
      #expect(
        bench.call(
          "p4.multicast.set",
          #"{"group":1,"replicas":[\#(replicas.joined(separator: ","))]}"#) == "{}")
    }
    bench.call("p4.multicast.set", #"{"group":1,"replicas":[{"ports":[0,1]}]}"#)
    bench.call(
      "p4.table.insert",
      #"{"table":"wire","keys":[255],"action":"flood","arguments":[1]}"#)
    bench.call(
      "p4.table.modify", #"{"table":"wire","keys":[0],"action":"flood","arguments":[1]}"#)
    bench.arrive(Packet.arp(), on: 0)
    bench.turn()
    // Not back where it came from: the program sees to that.
    #expect(bench.left(0) == [])
    #expect(bench.left(1) == [Packet.arp()])
    bench.call("p4.multicast.delete", #"{"group":1}"#)
    #expect(bench.call("p4.multicast.list") == #"{"groups":[]}"#)
    #expect(bench.freeBuffers == 1_024)
  }

  @Test func queuesHaveDepthAndRate() throws {
    let bench = try PacketPathTests.firewall()
    bench.call("p4.queue.set", #"{"port":2,"depth":3,"packetsPerSecond":1}"#)
    for _ in 0..<20 { bench.arrive(Packet.arp(), on: 0) }
    bench.turn()
    let passed = bench.taken().count
    #expect(passed < 10)
    #expect(bench.call("p4.stats").contains(#""droppedQueueFull":\#(20 - 3 - passed)"#))
    #expect(bench.call("p4.queue.set", #"{"port":2}"#).contains("neither depth nor"))
    bench.workers.now = bench.workers.now + .seconds(10)
    bench.turn(times: 10)
    #expect(bench.taken().count == 3)
  }

  @Test func digestsAreTakenWithTheirFields() throws {
    let bench = try PacketPathTests.firewall()
    bench.call(
      "p4.table.insert", #"{"table":"acl","keys":{"proto":6},"action":"permit_track"}"#)
    let tcp = Packet.tcp(from: [10, 0, 0, 1], 1000, to: [10, 77, 0, 1], 80)
    bench.arrive(tcp, on: 0)
    bench.turn()
    let digests = bench.call("p4.digests")
    #expect(digests.contains(#""core":1,"microseconds":"#))
    #expect(
      digests.contains(#""values":[167772161,172818433,6,1000,80,0]}]}"#), "\(digests)")
    #expect(bench.call("p4.digests") == #"{"digests":[]}"#)
    let name = "new_flow_digest_t"
    #expect(
      bench.call("p4.digest.set", #"{"digest":"\#(name)","timeoutMilliseconds":1000}"#) == "{}")
    #expect(bench.call("p4.digest.acknowledge", #"{"digest":"\#(name)"}"#) == "{}")
  }

  @Test func theProgramIsDescribed() throws {
    let bench = try PacketPathTests.firewall()
    let info = bench.call("p4.info")
    #expect(
      info.contains(
        joined(
          #"{"name":"FwIngress.net_block","control":"ingress","#,
          #""keys":[{"name":"hdr.ip4.src","match":"lpm","width":32}],"#,
          #""actions":["FwIngress.net_permit","FwIngress.net_deny"],"actionNumbers":[3,4],"#,
          #""capacity":4096,"#,
          #""constant":false,"defaultConstant":false,"timeout":false,"#,
          #""counter":"FwIngress.net_hits","meter":null,"profile":null}"#)), "\(info)")
    #expect(info.contains(#"{"name":"FwIngress.flow_seen0","size":65536,"width":32}"#))
    #expect(
      info.contains(
        #"{"name":"FwIngress.punt_acl","parameters":[{"name":"reason","width":7}]}"#))
    #expect(info.contains(#""ports":{"0":"uplink","1":"host","2":"stack","255":"cpu"}"#))
  }

  @Test func statisticsHaveHitsAndMisses() throws {
    let bench = try PacketPathTests.firewall()
    for _ in 0..<4 { bench.arrive(Packet.arp(), on: 0) }
    bench.turn()
    let stats = bench.call("p4.stats")
    #expect(stats.contains(#"{"name":"FwIngress.wire","hits":4,"misses":0}"#), "\(stats)")
    #expect(stats.contains(#"{"name":"FwIngress.port_zone","hits":0,"misses":4}"#))
  }

  // MARK: Tracing

  @Test func aPacketIsTracedThroughACopy() throws {
    let bench = try PacketPathTests.firewall()
    bench.call(
      "p4.table.insert", #"{"table":"acl","keys":{"proto":6},"action":"permit_track"}"#)
    let tcp = Packet.tcp(from: [10, 0, 0, 1], 1000, to: [10, 77, 0, 1], 80)
    let trace = bench.call("p4.trace", #"{"packet":"\#(Packet.hex(tcp))","port":0}"#)
    #expect(trace.hasPrefix(#"{"steps":[{"step":"ingress","instanceType":0,"port":0},"#))
    #expect(trace.contains(#"{"step":"state","name":"parse_ipv4"}"#), "\(trace)")
    #expect(
      trace.contains(
        joined(
          #"{"step":"table","name":"FwIngress.wire","keys":{"std.ingress_port":0,"#,
          #""hdr.eth.dst":2199023255554},"hit":true,"entry":0,"action":"FwIngress.forward"}"#)),
      "\(trace)")
    #expect(trace.contains(#""cut":false,"sent":[{"port":2,"packet":"\#(Packet.hex(tcp))"}]}"#))
    // The pipeline itself has not seen it.
    #expect(bench.call("p4.stats").contains(#""received":0"#))
    #expect(bench.call("p4.digests") == #"{"digests":[]}"#)
  }

  @Test func aTraceSeesTheRegistersOfThePipeline() throws {
    let bench = try PacketPathTests.firewall()
    bench.call(
      "p4.batch",
      #"""
      {"writes":[
       {"method":"p4.table.insert","table":"port_zone","keys":[0],"action":"set_zone","arguments":[2]},
       {"method":"p4.table.insert","table":"acl","keys":{"zone":1,"proto":6},"action":"permit_track"},
       {"method":"p4.table.insert","table":"port_zone","keys":[2],"action":"set_zone","arguments":[1]}]}
      """#.split(separator: "\n").joined())
    let inward = Packet.tcp(from: [10, 0, 0, 1], 80, to: [10, 77, 0, 1], 1000)
    let outward = Packet.tcp(from: [10, 77, 0, 1], 1000, to: [10, 0, 0, 1], 80)
    let ask = #"{"packet":"\#(Packet.hex(inward))","port":0}"#
    #expect(bench.call("p4.trace", ask).contains(#""sent":[]"#))
    bench.outgoing = [outward]
    bench.turn()
    #expect(bench.left(0) == [outward])
    #expect(bench.call("p4.trace", ask).contains(#""sent":[{"port":2,"#))
  }

  // MARK: Rights

  @Test func readersMayLookAndNothingElse() throws {
    let bench = try PacketPathTests.firewall()
    for method in PipelineMethod.allCases {
      let name = String(decoding: Text(stringLiteral: method.name).bytes, as: UTF8.self)
      let reply = bench.call(name, "{}", mayWrite: false)
      #expect(reply.contains("-32001") == method.isWrite, "\(name): \(reply)")
    }
  }
}
