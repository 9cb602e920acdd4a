import ControlPlane
import DPUCore
import Foundation
import P4Pipelines
import Testing

@testable import PipelineHost

/// Table entries by binary records behind a request.
@Suite struct RecordTests {
  /// Inserts into `net_block` of the firewall: one key, a prefix of 32 bits.
  static func block(
    _ bench: Bench, _ index: Int, _ operation: TableUpdate.Operation = .insert
  ) -> [UInt8] {
    let table = bench.table("FwIngress.net_block")
    let deny = ActionValue.action(bench.action("FwIngress.net_deny", of: table), [])
    return bench.record(
      TableUpdate(
        operation, table: table, keys: [.lpm(WideInteger(0x0a00_0000 + 256 * index), length: 24)],
        operation == .delete ? nil : deny))
  }

  // MARK: What they do

  @Test func aRecordIsWhatTheManualSays() throws {
    let bench = try PacketPathTests.firewall()
    let table = bench.table("FwIngress.wire")
    let forward = bench.action("FwIngress.forward", of: table)
    #expect(table < 256 && forward < 256)
    let bytes = hex(
      """
      01 00 \(String(format: "%02x", table)) 00 \(String(format: "%02x", forward)) 00 \
      02 00  0e 00  02 00  07 00 00 00  00 00 00 00
      01 05
      02 00 00 00 00 00  ff 00 00 00 00 00
      01 fe
      """)
    let update = TableUpdate(
      .insert, table: table,
      keys: [
        .exact(WideInteger(0x105)),
        .ternary(WideInteger(0x0200_0000_0000), mask: WideInteger(0xff00_0000_0000)),
      ], priority: 7, .action(forward, [WideInteger(0x1fe)]))
    #expect(bench.record(update) == bytes)
    #expect(bench.write(bytes) == #"{"updates":1,"entries":[3]}"#)
    #expect(
      bench.call("p4.table.get", #"{"table":"wire","entry":3}"#)
        == joined(
          #"{"entry":3,"keys":{"std.ingress_port":261,"#,
          #""hdr.eth.dst":"0x20000000000&&&0xff0000000000"},"#,
          #""priority":7,"action":"FwIngress.forward","arguments":{"port":510}}"#))
  }

  @Test func recordsInsertModifyAndDelete() throws {
    let bench = try PacketPathTests.firewall()
    let table = bench.table("FwIngress.acl")
    let keys: [P4Program.KeyMatch] = [
      .ternary(WideInteger(2), mask: .ones(bench.program.tables[table].keys[0].width)),
      .ternary(WideInteger(0x0a00_0000), mask: WideInteger(0xff00_0000)),
      .ternary(.zero, mask: .zero), .ternary(WideInteger(6), mask: WideInteger(255)),
      .ternary(.zero, mask: .zero), .range(.zero, WideInteger(65_535)),
      .range(WideInteger(80), WideInteger(443)),
    ]
    func write(_ operation: TableUpdate.Operation, _ action: String?) -> String {
      bench.write(
        bench.record(
          TableUpdate(
            operation, table: table, keys: keys, priority: 7,
            action.map { .action(bench.action($0, of: table), []) })))
    }
    let rule =
      joined(
        #"{"table":"acl","keys":{"zone":2,"src":"10.0.0.0/8","proto":6,"dport":"80..443"},"#,
        #""priority":7}"#)
    #expect(write(.insert, "FwIngress.permit") == #"{"updates":1,"entries":[0]}"#)
    #expect(bench.call("p4.table.get", rule).contains(#""action":"FwIngress.permit""#))
    #expect(write(.modify, "FwIngress.deny") == #"{"updates":1,"entries":[]}"#)
    #expect(bench.call("p4.table.get", rule).contains(#""action":"FwIngress.deny""#))
    #expect(write(.delete, nil) == #"{"updates":1,"entries":[]}"#)
    #expect(bench.call("p4.table.get", rule).contains("-32006"))
  }

  /// A table of a selector, with a range and a header that is there or not.
  @Test func membersAndGroupsAreTargets() throws {
    let path = Bench.repository + "/Fuzz/p4program/corpus/everything"
    let bench = try Bench(
      pipelines: """
        [{"name": "main", "program": "\(path)", "ports": {"0": "uplink", "1": "host"}}]
        """)
    let profile = String(decoding: bench.program.profiles[0].name.bytes, as: UTF8.self)
    bench.call("p4.member.add", #"{"profile":"\#(profile)","action":"NoAction"}"#)
    bench.call("p4.group.add", #"{"profile":"\#(profile)"}"#)
    bench.call("p4.group.join", #"{"profile":"\#(profile)","group":0,"member":0}"#)
    let table = bench.table("chosen")
    #expect(bench.program.tables[table].keys.map { $0.kind } == [.range, .valid])
    func insert(_ low: Int, _ target: ActionValue) -> [UInt8] {
      bench.record(
        TableUpdate(
          .insert, table: table,
          keys: [.range(WideInteger(low), WideInteger(low + 1)), .valid(true)], target))
    }
    let good = insert(1, .member(0)) + insert(3, .group(0))
    #expect(
      bench.write(good + insert(5, .member(9)))
        == joined(
          #"error {"code":-32008,"message":"there is no such member","#,
          #""data":{"path":"$.params.bytes","update":2,"offset":\#(good.count),"#,
          #""reason":"noSuchMember"}}"#))
    #expect(bench.write(good) == #"{"updates":2,"entries":[0,1]}"#)
    #expect(
      bench.write(insert(7, .action(0, [])))
        .contains(#""update":0,"offset":0,"reason":"wrongStorage""#))
  }

  @Test func everyWorkerGetsThem() throws {
    let bench = try Bench(pipelines: Bench.one("firewall"), workers: 3)
    #expect(
      bench.write((0..<100).flatMap { Self.block(bench, $0) }, #","entries":false"#)
        == #"{"updates":100}"#)
    #expect(
      bench.write(Self.block(bench, 50), #","atomic":false"#)
        == joined(
          #"{"updates":1,"entries":[null],"refusals":[{"update":0,"offset":0,"reason":"exists"}],"#,
          #""failures":1}"#))
    // Had one of them no such entry it would say so.
    #expect(
      bench.write((0..<100).flatMap { Self.block(bench, $0, .delete) })
        == #"{"updates":100,"entries":[]}"#)
    bench.workers.stuck = [2]
    #expect(bench.write(Self.block(bench, 1)).contains("core 3 did not answer in time"))
  }

  // MARK: What is refused

  @Test func aRefusedRecordTakesAllBack() throws {
    let bench = try PacketPathTests.firewall()
    let first = Self.block(bench, 1)
    let all = first + Self.block(bench, 2) + Self.block(bench, 1) + Self.block(bench, 3)
    #expect(
      bench.write(all)
        == joined(
          #"error {"code":-32008,"message":"it exists already","#,
          #""data":{"path":"$.params.bytes","update":2,"offset":\#(2 * first.count),"#,
          #""reason":"exists"}}"#))
    #expect(
      bench.call("p4.table.list", #"{"table":"net_block"}"#).contains(#""entries":[],"next":null"#))
    #expect(
      bench.write(all, #","atomic":false"#)
        == joined(
          #"{"updates":4,"entries":[0,1,null,2],"refusals":[{"update":2,"#,
          #""offset":\#(2 * first.count),"reason":"exists"}],"failures":1}"#))
  }

  /// A byte of the second of two records, what it becomes, and the reason; the offset is that of the
  /// place it stands at.
  static let damages: [(byte: Int, becomes: UInt8, reason: String, at: Int)] = [
    (0, 0, "unknownOperation", 0), (0, 4, "unknownOperation", 0), (1, 3, "unknownTarget", 1),
    (1, 1, "notZero", 4), (2, 255, "noSuchTable", 2), (4, 255, "actionNotOfTable", 4),
    (6, 2, "wrongKeyCount", 6), (8, 5, "wrongKeyBytes", 8), (10, 1, "truncated", 0),
    (15, 0x80, "outOfRange", 12), (16, 1, "notSupported", 0), (19, 0x80, "outOfRange", 16),
    (23, 1, "notZero", 20), (24, 33, "badPrefixLength", 24), (25, 1, "badPrefixLength", 24),
    (0, 3, "notZero", 4),
  ]

  @Test func recordsAreReadStrictly() throws {
    let bench = try PacketPathTests.firewall()
    let good = Self.block(bench, 1)
    for (byte, becomes, reason, at) in Self.damages {
      var bad = Self.block(bench, 2)
      #expect(bad[byte] != becomes)
      bad[byte] = becomes
      for atomic in [true, false] {
        let reply = bench.write(good + bad, #","atomic":\#(atomic)"#)
        #expect(reply.contains(#""code":-32602"#), "\(reply)")
        #expect(
          reply.contains(
            joined(
              #""data":{"path":"$.params.bytes","update":1,"offset":\#(good.count + at),"#,
              #""reason":"\#(reason)"}"#)), "\(reply)")
      }
    }
    #expect(
      bench.call("p4.table.list", #"{"table":"net_block"}"#).contains(#""entries":[],"next":null"#))
  }

  @Test func anythingBehindTheLastRecordIsRefused() throws {
    let bench = try PacketPathTests.firewall()
    let record = Self.block(bench, 1)
    for length in 1..<record.count {
      #expect(
        bench.write(record + record.prefix(length)).contains(
          #""update":1,"offset":\#(record.count),"reason":"truncated""#))
    }
    #expect(bench.write([]) == #"{"updates":0,"entries":[]}"#)
  }

  @Test func theBodyHasTheLengthThatWasAnnounced() throws {
    let bench = try PacketPathTests.firewall()
    #expect(
      bench.call("p4.write", #"{"bytes":3}"#, body: [1, 2])
        == joined(
          #"error {"code":-32602,"message":"a body of 2 bytes follows the request","#,
          #""data":{"path":"$.params.bytes"}}"#))
    #expect(bench.call("p4.write").contains(#"has no parameter \"bytes\""#))
    #expect(
      bench.call("p4.write", #"{"bytes":0}"#, mayWrite: false).contains("-32001"))
  }

  // MARK: Damage

  /// `DPU_FUZZ_ROUNDS` raises the number of texts for a long run.
  static let rounds =
    ProcessInfo.processInfo.environment["DPU_FUZZ_ROUNDS"].flatMap(Int.init) ?? 10_000

  @Test func damagedRecordsAreReadOrRefusedInPlace() throws {
    let bench = try PacketPathTests.firewall()
    let program = bench.program
    var random = SplitMix64(seed: 5)
    let wire = bench.table("FwIngress.wire")
    let forward = ActionValue.action(
      bench.action("FwIngress.forward", of: wire), [WideInteger(1)])
    let seeds = [
      Self.block(bench, 1), Self.block(bench, 2, .modify), Self.block(bench, 3, .delete),
      bench.record(
        TableUpdate(
          .insert, table: wire,
          keys: [.exact(WideInteger(9)), .ternary(.zero, mask: .zero)], priority: 3, forward)),
    ]
    var accepted = 0
    for _ in 0..<Self.rounds {
      var bytes: [UInt8] = []
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        bytes += seeds.randomElement(using: &random)!
      }
      for _ in 0..<Int.random(in: 0...2, using: &random) {
        let at = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes.removeSubrange(at..<min(bytes.count, at + 3))
        case 1: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
        case 2: bytes[at] = UInt8.random(in: 0...3, using: &random)
        default: bytes[at] = UInt8.random(in: 0...255, using: &random)
        }
        if bytes.isEmpty { bytes = [0] }
      }
      if try readsOrRefuses(bytes, of: program, bench) { accepted += 1 }
    }
    #expect(accepted > Self.rounds / 20 && accepted < Self.rounds, "\(accepted) accepted")
  }

  /// What is read is written the same again; what is not is refused within the bytes.
  private func readsOrRefuses(
    _ bytes: [UInt8], of program: P4Program, _ bench: Bench
  ) throws -> Bool {
    var again: [UInt8] = []
    var reader = TableUpdateReader(bytes.span.bytes, of: program)
    do throws(TableUpdateFault) {
      while let update = try reader.next() { again += bench.record(update) }
    } catch {
      let isInside = error.offset >= again.count && error.offset < bytes.count
      if !isInside || Array(bytes.prefix(again.count)) != again || error.update != reader.count {
        Issue.record("\(error) for \(bytes)")
      }
      return false
    }
    if again != bytes { Issue.record("\(again) instead of \(bytes)") }
    return true
  }
}
