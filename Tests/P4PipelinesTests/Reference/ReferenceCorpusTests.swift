import DPUCore
import Testing

@testable import P4Pipelines

/// The reference is worth something only because it passes p4c's tests itself.
@Suite struct ReferenceCorpusTests {
  @Test(arguments: VectorFiles.stf)
  func passesTheSTFTest(_ file: ProgramFile) throws {
    let text = try VectorFiles.text(file.url)
    let program = try ProgramLoader.load(text.span)
    let script = try VectorFiles.script(file.test)
    let reference = ReferenceSwitch(program)
    let names = P4Names(program)
    var sent: [Int: [[UInt8]]] = [:]
    var expected: [Int: [PacketPattern?]] = [:]
    var nodes: [[(rid: Int, port: Int)]] = []
    reference.microseconds = 1_000_000
    for statement in script.statements {
      switch statement.command {
      case .packet(let port, let bytes):
        for packet in try reference.inject(bytes, port: port) {
          sent[packet.port, default: []].append(packet.bytes)
        }
      case .expect(let port, let pattern): expected[port, default: []].append(pattern)
      case .add(let table, let priority, let keys, let action, _):
        let index = try #require(names.table(table.text))
        reference.add(
          try entry(index, priority, keys, action, names), to: index)
      case .command(let command):
        let numbers = command.words.dropFirst().map { $0.text.decimal ?? -1 }
        switch command.words[0].text.string {
        case "mirroring_add":
          reference.sessions[numbers[0]] = CloneSession(port: UInt16(numbers[1]))
        case "mc_mgrp_create": reference.groups[numbers[0]] = []
        case "mc_node_create": nodes.append(numbers.dropFirst().map { (numbers[0], $0) })
        case "mc_node_associate": reference.groups[numbers[0]]! += nodes[numbers[1]]
        default: Issue.record("unknown command")
        }
      default: Issue.record("unknown statement")
      }
    }
    #expect(Set(sent.keys) == Set(expected.keys))
    for (port, patterns) in expected {
      let packets = sent[port] ?? []
      #expect(packets.count == patterns.count, "port \(port)")
      for (pattern, packet) in zip(patterns, packets) {
        #expect(pattern?.firstDifference(in: packet) == nil, "port \(port)")
      }
    }
  }

  private func entry(
    _ table: Int, _ priority: Int?, _ keys: [STFScript.Named], _ action: STFScript.ActionText,
    _ names: P4Names
  ) throws -> ReferenceSwitch.Entry {
    let description = names.program.tables[table]
    var matches = description.keys.map { ValueSyntax.anything(for: $0) }
    for key in keys {
      let place = try #require(names.key(key.name.text, of: table))
      matches[place] = try #require(
        ValueSyntax.stfKey(key.value.text, for: description.keys[place]))
    }
    let number = try #require(names.action(action.name.text, of: table))
    var arguments = names.program.actions[number].parameters.map { _ in WideInteger.zero }
    for argument in action.arguments {
      let place = try #require(names.parameter(argument.name!.text, of: number))
      arguments[place] = try #require(ValueSyntax.number(argument.value.text))
    }
    return ReferenceSwitch.Entry(
      keys: matches, priority: 10_000 - (priority ?? 0),
      action: P4Program.ActionEntry(action: number, arguments: arguments))
  }
}
