import DPUCore
import P4Pipelines
import Testing

/// A test that must fail does, and says why; on p4c's default_action: B = A + 10.
@Suite struct RunnerTests {
  static let compiled = Result {
    try VectorFiles.stf.first { $0.testDescription == "default_action-bmv2" }!.compiled()
  }

  private func run(_ text: String) throws -> VerifyReport {
    let script = try STFScript.parse(Text(bytes: Array(text.utf8)).span)
    return try Self.compiled.get().run(script, batch: 64)
  }

  @Test func whatIsExpectedPasses() throws {
    for expectation in [
      "expect 0", "expect 0 00000000 0000000a", "expect 0 0000000* 000000**", "expect 0 00",
      "expect 0 000000000000000a$", "expect 0 000",
    ] {
      let report = try run("packet 0 00000000 ABCDEF01\n\(expectation)")
      #expect(report.passed, "\(expectation)\n\(report.summary)")
      #expect(report.packetsIn == 1 && report.packetsOut == 1 && report.checks == 1)
    }
  }

  @Test func aWrongByteShows() throws {
    let report = try run("expect 0 00000000 0000000b\npacket 0 00000000 ABCDEF01")
    #expect(
      report.summary == """
        port 0, packet 1: differs at byte 7, second digit
          expected 000000000000000b
          got      000000000000000a
                                  ^
        """)
  }

  @Test func lengthsShow() throws {
    let packet = "packet 0 00000000 ABCDEF01\n"
    #expect(
      try run(packet + "expect 0 00$").summary.hasPrefix("port 0, packet 1: differs at byte 1"))
    #expect(try run(packet + "expect 0 000000000000000a00").summary.contains("at byte 8"))
  }

  @Test func numbersOfPacketsShow() throws {
    let packet = "packet 0 00000000 ABCDEF01\n"
    #expect(try run(packet).summary.hasPrefix("port 0, packet 1: was not expected"))
    #expect(try run(packet + "expect 1").failures.count == 2)
    let twice = try run(packet + "expect 0\nexpect 0 01")
    #expect(twice.summary == "port 0, packet 2: did not leave\n  expected 01")
  }

  @Test func ordersShow() throws {
    let report = try run(
      """
      packet 0 00000001 00000000
      packet 0 00000002 00000000
      expect 0 00000002
      expect 0 00000001
      """)
    #expect(report.failures.count == 2)
  }

  @Test func refusalsNameThePlace() throws {
    #expect(
      try run("expect 0\nadd nowhere x:1 y()").summary
        == "line 2, column 5: no table 'nowhere'")
    #expect(try run("mc_node_associate 1 0").summary.hasPrefix("line 1, column 1: "))
    #expect(
      try run("register_write r 0 1").summary == "line 1, column 16: no register 'r'")
    #expect(
      try run("mirroring_add 5").summary
        == "line 1, column 15: the command is written: mirroring_add SESSION PORT")
  }
}
