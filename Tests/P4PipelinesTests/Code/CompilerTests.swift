import DPUCore
import Testing

@testable import P4Pipelines

/// Properties of compiled programs, and what is refused.
@Suite struct CompilerTests {
  @Test(arguments: Corpus.paths)
  func compilesSoundly(_ path: String) throws {
    let program = try Corpus.load(path)
    let code = try Compiler.compile(program)
    #expect(code.firstFlaw(program) == nil)
    #expect(code.marks.count == code.instructions.count)
    #expect(!code.disassembly(program).isEmpty)
    // In a control everything goes forward.
    for section in [code.verify, code.ingress, code.egress, code.update] {
      for block in section.blocks {
        #expect(code.successors(of: block).allSatisfy { $0 > block })
      }
    }
  }

  /// Instructions of the longest way through a section.
  private func longest(_ section: PipelineCode.Section, _ code: PipelineCode) -> Int {
    var lengths = [Int](repeating: 0, count: code.blocks.count)
    for block in section.blocks.reversed() {
      let following = code.successors(of: block).map { lengths[$0] }.max() ?? 0
      lengths[block] = Int(code.blocks[block].count) + following
    }
    return section.blocks.isEmpty ? 0 : lengths[section.entry]
  }

  /// A budget for what measures are taken with. Raise it only for a reason.
  @Test(arguments: [
    ("Benchmarks/p4/programs/bench_l3.json", 20), ("Benchmarks/p4/programs/bench_acl.json", 8),
    ("p4/l3switch.json", 77),
  ])
  func staysWithinItsBudget(_ path: String, _ budget: Int) throws {
    let code = try Compiler.compile(try Corpus.load(path))
    let sections = [code.parser, code.verify, code.ingress, code.egress, code.update]
    let length = sections.reduce(0) { $0 + longest($1, code) }
    #expect(length <= budget, "\(length) instructions")
  }

  /// Metadata that nobody reads has no lane, and what only the switch writes needs none either.
  @Test func unreadMetadataIsGone() throws {
    let code = try Compiler.compile(try Corpus.load("Benchmarks/p4/programs/bench_acl.json"))
    let kept = StandardField.allCases.filter { code.standard[$0.rawValue] != nil }
    #expect(kept == [.egressSpec])
    #expect(code.packetLanes == 2)
  }

  @Test func aVarbitWithinAByteIsRefused() throws {
    var program = P4Program()
    program.headers = [
      P4Program.Header(name: "standard_metadata", typeName: "s", fields: [], width: 0)
    ]
    program.headers[0].isMetadata = true
    var variable = P4Program.Field(name: "v", width: 32, offset: 4)
    variable.isVariable = true
    program.headers.append(
      P4Program.Header(
        name: "odd", typeName: "odd",
        fields: [P4Program.Field(name: "a", width: 4, offset: 0), variable], width: 40))
    #expect(throws: CompileError.self) { try Compiler.compile(program) }
  }

  @Test func headersBeyondTheLimitAreRefused() throws {
    var program = P4Program()
    program.headers = [
      P4Program.Header(name: "standard_metadata", typeName: "s", fields: [], width: 0)
    ]
    program.headers[0].isMetadata = true
    for index in 0..<20 {
      program.headers.append(
        P4Program.Header(
          name: Text("h\(index)"), typeName: "h",
          fields: [P4Program.Field(name: "a", width: 8_192, offset: 0)], width: 8_192))
    }
    #expect(throws: CompileError.self) { try Compiler.compile(program) }
  }

  /// A number that no lane and no wide slot can hold.
  @Test func numbersBeyondTheLimitAreRefused() throws {
    var program = RandomProgram(seed: 1).program
    var huge = P4Program.Expression.field(P4Program.FieldReference(header: 1, field: 10))
    for _ in 0..<7 { huge = .binary(.multiply, huge, huge) }
    program.ingress.conditionals[0].condition = .binary(
      .less, .field(P4Program.FieldReference(header: 1, field: 3)), huge)
    #expect(throws: CompileError.self) { try Compiler.compile(program) }
  }
}
