import DPUCore
import Testing

@testable import P4Pipelines

struct P4NamesTests {
  private let names: P4Names = {
    var program = P4Program()
    for (index, name) in ["NoAction", "In.set_port", "In.a.drop", "In.b.drop"].enumerated() {
      var parameters: [P4Program.Parameter] = []
      if index == 1 { parameters.append(.init(name: "port", width: 9)) }
      program.actions.append(
        .init(
          name: Text(name.utf8.span.bytes), id: index, parameters: parameters, primitives: []))
    }
    for name in ["In.acl", "In.routes", "Out.acl"] {
      var table = P4Program.Table(name: Text(name.utf8.span.bytes))
      table.actions = name == "In.routes" ? [0, 1, 2] : [0, 3]
      for key in ["hdr.ipv4.dst", "meta.vrf"] {
        table.keys.append(
          .init(
            name: Text(key.utf8.span.bytes), kind: .exact, value: .constant(.zero), width: 16,
            mask: nil))
      }
      program.tables.append(table)
    }
    return P4Names(program)
  }()

  @Test func theFullNameOrAnUnambiguousEnd() {
    #expect(names.table("In.routes") == 1)
    #expect(names.table("routes") == 1)
    #expect(names.table("outes") == nil)
    #expect(names.table("acl") == nil)
    #expect(names.table("Out.acl") == 2)
    #expect(names.table("") == nil)
    #expect(names.action("drop") == nil)
    #expect(names.action("a.drop") == 2)
    #expect(names.action("drop", of: 1) == 2)
    #expect(names.action("drop", of: 2) == 3)
    #expect(names.action("set_port", of: 0) == nil)
    #expect(names.parameter("port", of: 1) == 0)
    #expect(names.key("dst", of: 0) == 0)
    #expect(names.key("top.hdr.ipv4.dst", of: 0) == 0)
    #expect(names.key("meta.vrf", of: 0) == 1)
    #expect(names.key("src", of: 0) == nil)
    #expect(names.counter("acl") == nil)
  }
}
