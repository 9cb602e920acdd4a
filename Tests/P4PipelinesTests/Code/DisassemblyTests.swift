import DPUCore
import Testing

@testable import P4Pipelines

/// What becomes of programs, word for word. A change here is a change of speed: look at it.
@Suite struct DisassemblyTests {
  private func code(_ path: String) throws -> (PipelineCode, P4Program) {
    let program = try Corpus.load(path)
    return (try Compiler.compile(program), program)
  }

  private func text(_ path: String) throws -> String {
    let (code, program) = try code(path)
    return code.disassembly(program).string
  }

  @Test func theRouterIsAFewInstructions() throws {
    #expect(
      try text("Benchmarks/p4/programs/bench_l3.json") == """
        parser: b0
         b0:
           extract eth at 0
           select eth.etype 0x800:b1 else:b2
         b1:
           extract ip4 at 14
           $cursor = 0x22
           finish
         b2:
           $cursor = 0xe
           finish
        ingress: b4
         b4:
           branch ip4.$valid$ ? b5 : b13
         b5:
           p0 = ip4.ttl < 2, not
           branch p0 ? b6 : b13
         b6:
           apply I.routing I.drop:b7 I.set_nh:b8
         b7:
           standard_metadata.egress_spec = 0x1ff
           branch p0 ? b9 : b12
         b8:
           scalars.meta_t.nexthop = I.routing(0)
           branch p0 ? b9 : b12
         b9:
           apply I.nexthop I.drop:b10 I.rewrite:b11
         b10:
           standard_metadata.egress_spec = 0x1ff
           finish
         b11:
           eth.dst = I.nexthop(0)
           eth.src = I.nexthop(1)
           ip4.ttl += 0xff
           standard_metadata.egress_spec = I.nexthop(2)
           finish
         b12:
           finish
         b13:
           standard_metadata.egress_spec = 0x1ff
           finish
        update: b15
         b15:
           branch ip4.$valid$ ? b16 : b17
         b16:
           ip4.csum = checksum H[14+20] without H[24+2]
           finish
         b17:
           finish

        """)
  }

  @Test func theAccessListIsFewer() throws {
    #expect(
      try text("Benchmarks/p4/programs/bench_acl.json") == """
        parser: b0
         b0:
           extract eth ip4 l4 at 0
           $cursor = 0x26
           finish
        ingress: b2
         b2:
           apply I.acl I.drop:b3 I.permit:b4
         b3:
           standard_metadata.egress_spec = 0x1ff
           finish
         b4:
           t1 = I.acl(1)
           count I.cnt[t1]
           standard_metadata.egress_spec = I.acl(0)
           finish

        """)
  }

  /// Keys of both are gathered as they lie in the headers.
  @Test func neighboursInAKeyAreOnePiece() throws {
    let (code, _) = try code("Benchmarks/p4/programs/bench_acl.json")
    let segments = code.tables[0].key.segments
    #expect(segments.map(\.kind) == [.bytes, .bytes, .bytes])
    #expect(segments.map(\.bits) == [64, 8, 32])
    #expect(segments.map(\.at) == [0, 64, 72])
    #expect(code.keepsPacket)
  }

  /// Inputs of hashes are not copied to temporaries first.
  @Test func hashesReadWhereThingsLie() throws {
    let (code, program) = try code("p4/pktgen.json")
    let hashes = code.instructions.filter { $0.opcode == .hash }
    #expect(hashes.count == 3)
    for hash in hashes {
      for segment in code.calculations[Int(hash.c)].plan.segments {
        #expect(segment.kind == .bytes || segment.kind == .lane)
      }
    }
    #expect(code.zeroedBytes.allSatisfy { $0.offset < program.headers.count * 64 })
  }

  /// The generator's registers are all indexed by the stream, under many names.
  @Test func oneIndexDecidesAboutOrder() throws {
    let (code, _) = try code("p4/pktgen.json")
    #expect(code.serialRegions.count == 1)
    let lane = try #require(code.serialRegions.first).conflictLane
    #expect(code.laneNames[Int(lane)] == "scalars.meta_t.index")
  }

  /// Regions hold what they must: two registers with two indices run one by one.
  @Test func twoIndicesRunOneByOne() throws {
    let (code, _) = try code("p4/firewall.json")
    let region = try #require(code.serialRegions.first)
    #expect(code.serialRegions.count == 1)
    #expect(region.conflictLane == Instruction.none)
    #expect(
      code.instructions[Int(code.blocks[region.blocks.lowerBound].first)].opcode == .registerRead)
  }
}
