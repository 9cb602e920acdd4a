import DPUCore
import P4Pipelines
import Testing

/// p4c's own programs and tests, as BMv2 passes them; the size of the batch must not show.
@Suite struct STFTests {
  @Test func theCorpusIsComplete() {
    #expect(VectorFiles.stf.count == 95)
    #expect(VectorFiles.load.count == 123)
    #expect(VectorFiles.packets.count == 5)
  }

  @Test(arguments: VectorFiles.stf)
  func stfTestPasses(_ file: ProgramFile) throws {
    let compiled = try file.compiled()
    let script = try VectorFiles.script(file.test)
    for batch in [1, 7, 64] {
      let report = try compiled.run(script, batch: batch)
      #expect(report.passed, "batch \(batch)\n\(report.summary)")
      #expect(report.checks > 0 || report.packetsIn == 0)
    }
  }

  @Test(arguments: VectorFiles.packets)
  func recordedPacketsLeaveAgain(_ file: ProgramFile) throws {
    let vector = try VectorFiles.vector(file.url)
    let compiled = try VectorFiles.own(vector.program).compiled()
    for batch in [1, 13, 64] {
      let report = try compiled.replay(vector, batch: batch)
      #expect(report.passed, "batch \(batch)\n\(report.summary)")
    }
  }
}
