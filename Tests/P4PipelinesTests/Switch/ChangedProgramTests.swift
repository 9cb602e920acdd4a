import DPUCore
import Foundation
import Testing

@testable import P4Pipelines

/// Programs of ours with one word changed, for what no program does as it is.
struct ChangedProgramTests {
  /// The program with `old` replaced by `new` at its first place behind `anchor`.
  private func rig(
    _ path: String, behind anchor: String, _ old: String, _ new: String
  ) throws -> SwitchRig {
    var text = try Corpus.text(path).string
    let start = try #require(text.range(of: anchor)).upperBound
    let place = try #require(text.range(of: old, range: start..<text.endIndex))
    text.replaceSubrange(place, with: new)
    let program = try ProgramLoader.load(Text(text).span)
    return try SwitchRig(program)
  }

  @Test func aParserWithoutEndLosesThePacket() throws {
    var rig = try rig(
      "p4/paths.json", behind: #""name" : "records""#, #""next_state" : null"#,
      #""next_state" : "records""#)
    for _ in 0..<5 { rig.send(SwitchRig.packet(.forward)) }
    rig.send([0])
    same(rig.virtual.settle(), true)
    same(rig.count(.droppedParserLimit), 5)
    same(rig.count(.droppedStepLimit), 0)
    same(rig.count(.parserErrors), 1)
    same(rig.virtual.ports.used, 0)
  }

  @Test func messagesAreCountedAndSoAreThoseThatNobodyTook() throws {
    var rig = try SwitchRig(try Corpus.load("Tests/Vectors/p4/load/logging-bmv2.json"))
    let table = rig.names.table("t")!
    let action = rig.names.action("a", of: table)!
    try rig.control { try $0.setDefault(table: table, .action(action, [])) }
    for _ in 0..<20 { rig.send([UInt8](repeating: 2, count: 14)) }
    same(rig.virtual.settle(), true)
    same(rig.count(.logs), 40)
    same(rig.count(.logsLost), 0)
    same(rig.virtual.switch.takeLog() == nil, false)
    for _ in 0..<20 { rig.send([UInt8](repeating: 2, count: 14)) }
    same(rig.virtual.settle(), true)
    same(rig.count(.logs), 80)
    // 64 are kept; 79 were there.
    same(rig.count(.logsLost), 15)
    for _ in 0..<64 { same(rig.virtual.switch.takeLog() == nil, false) }
    same(rig.virtual.switch.takeLog() == nil, true)
  }

  @Test func entriesBecomeIdleAlsoWhenNoPacketComes() throws {
    var rig = try rig(
      "p4/firewall.json", behind: #""name" : "FwIngress.port_zone""#,
      #""support_timeout" : false"#, #""support_timeout" : true"#)
    let table = rig.names.table("port_zone")!
    let zone = rig.names.action("set_zone", of: table)!
    try rig.control {
      try $0.addEntry(
        table: table, keys: [.exact(WideInteger(1))], .action(zone, [WideInteger(1)]),
        timeoutMilliseconds: 20)
    }
    let now = rig.virtual.now
    same(rig.virtual.switch.takeIdle(now: now + .milliseconds(10)) == nil, true)
    same(
      rig.virtual.switch.takeIdle(now: now + .milliseconds(25)), IdleRecord(table: table, handle: 0)
    )
    same(rig.virtual.switch.takeIdle(now: now + .milliseconds(50)) == nil, true)
  }

  @Test func aConstantDefaultActionTakesOtherArgumentsOnly() throws {
    let rig = try rig(
      "p4/firewall.json", behind: #""name" : "FwIngress.wire""#, #""action_const" : false"#,
      #""action_const" : true"#)
    let wire = rig.names.table("wire")!
    let batch = ControlBatch(rig.names)
    func refusal(_ table: Int, _ name: String, _ arguments: [WideInteger]) -> ControlFailure? {
      do {
        let action = rig.names.action(Text(name), of: table)!
        try batch.setDefault(table: table, .action(action, arguments))
        return nil
      } catch { return error.failure }
    }
    same(refusal(wire, "forward", [WideInteger(1)]), .defaultIsConstant)
    same(refusal(rig.names.table("port_zone")!, "set_zone", [WideInteger(2)]), nil)
  }
}
