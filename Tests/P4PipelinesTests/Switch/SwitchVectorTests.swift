import DPUCore
import Testing

@testable import P4Pipelines

/// What BMv2 has sent for our own programs.
struct SwitchVectorTests {
  @Test(
    arguments: ["paths", "pktgen-make", "pktgen-check", "firewall", "l3switch"], [1, 2, 31, 64])
  func packetsLeaveAsFromBMv2(name: String, batch: Int) throws {
    let text = try Corpus.text("Tests/Vectors/p4/packets/\(name).json")
    let vector = try PacketVector.parse(text.span)
    let program = try Corpus.load("p4/\(vector.program.string).json")
    let report = VectorRunner.run(
      vector, on: try VirtualSwitch(program, try Compiler.compile(program), batch: batch))
    #expect(report.passed, "\(report.failures.prefix(5).map(\.text.string))")
    #expect(report.packetsOut > 0)
  }
}
