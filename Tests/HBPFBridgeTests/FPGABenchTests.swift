import Foundation
import ModelFPGA
import Testing

/// `dpuctl ebpf fpga bench` against the model of a device, and against the gateware in simulation when
/// DPU_FPGA_SIM names its program.
@Suite(.serialized) struct FPGABenchTests {
  private struct Report: Decodable {
    struct Batch: Decodable {
      var batch: Int
      var packets: Int
      var faults: Int
      var packetsPerSecond: Double
      var busyCycles: Double
      var clockCycles: Double
      var instructions: Double
      var wordsWritten: Double
      var wordsRead: Double
      var emptyPolls: Double
    }

    var cores: Int
    var slotsPerCore: Int
    var filter: String
    var batches: [Batch]
  }

  private func bench(_ path: String, _ more: [String] = []) throws -> CommandTests.Result {
    try CommandTests.dpuctl(["ebpf", "fpga", "bench", "--simulated", path] + more)
  }

  private func report(_ result: CommandTests.Result) throws -> Report {
    try #require(result.status == 0, "\(result.complaint)")
    return try JSONDecoder().decode(Report.self, from: Data(result.output.utf8))
  }

  @Test func theModelIsMeasured() throws {
    let fpga = SimulatedFPGA(cores: 2)
    defer { fpga.stop() }
    let report = try report(
      bench(fpga.path, ["--json", "--packets", "40", "--batch", "1", "--batch", "4"]))
    #expect(report.cores == 2 && report.slotsPerCore == 2 && report.filter == "pass")
    #expect(report.batches.map(\.batch) == [1, 4])
    // 64 bytes are 8 words, a descriptor 2; a doorbell and an acknowledgement go with each batch.
    // In later turns of a slot what an earlier packet may have left behind this one is zeroed.
    let clearing = Double(1_536 - 64) / 8
    #expect(report.batches[0].wordsWritten == 12 + clearing)
    #expect(report.batches[1].wordsWritten == 10.5 + clearing)
    // A completion 2, the packet 8.
    #expect(report.batches.allSatisfy { $0.wordsRead == 10 && $0.packets == 40 && $0.faults == 0 })
    // The device is free and can be measured again, for people now.
    let table = try bench(fpga.path, ["--packets", "4"])
    #expect(table.status == 0)
    #expect(table.output.contains("BUSY CYCLES"))
  }

  @Test func whatCannotBeMeasuredIsRefused() throws {
    let nothing = try bench("/nonexistent")
    #expect(nothing.status == 3)
    #expect(nothing.complaint == "dpuctl: no FPGA: /nonexistent: No such file or directory\n")
    let short = try bench("/dev/null")
    #expect(short.status == 3)
    #expect(short.complaint.contains("no FPGA: /dev/null has 0 bytes"))
    let fpga = SimulatedFPGA(cores: 1)
    defer { fpga.stop() }
    // A hash map is for software.
    let flows = Vectors.folder.appending(path: "objects/flows.v3.elf").path
    let refused = try bench(fpga.path, ["--filter", flows])
    #expect(refused.status == 2)
    #expect(refused.complaint.contains("fpga has no hash maps"), "\(refused.complaint)")
    // Whoever has the device has it alone.
    let descriptor = open(fpga.path, O_RDWR)
    defer { close(descriptor) }
    #expect(flock(descriptor, LOCK_EX | LOCK_NB) == 0)
    let busy = try bench(fpga.path)
    #expect(busy.status == 2)
    #expect(
      busy.complaint
        == "dpuctl: \(fpga.path) is in use: a firmware or another bench has this FPGA\n")
  }

  @Test func aDeviceThatNeverEndsIsReported() throws {
    let fpga = SimulatedFPGA(cores: 1)
    defer { fpga.stop() }
    fpga.device.isStuck = true
    let result = try bench(fpga.path, ["--timeout", "200"])
    #expect(result.status == 3)
    #expect(result.complaint == "dpuctl: \(fpga.path): the device does not answer\n")
  }

  @Test(.enabled(if: ProcessInfo.processInfo.environment["DPU_FPGA_SIM"] != nil))
  func theGatewareIsMeasured() throws {
    let path = FileManager.default.temporaryDirectory
      .appending(path: "fpga-bench-\(getpid())").path
    let process = Process()
    process.executableURL = URL(
      fileURLWithPath: ProcessInfo.processInfo.environment["DPU_FPGA_SIM"]!)
    process.arguments = ["--bar", path, "--cores", "4"]
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    defer {
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      try? FileManager.default.removeItem(atPath: path)
    }
    for _ in 0..<500 where access(path, R_OK) != 0 { usleep(10_000) }
    usleep(200_000)
    let report = try report(
      bench(
        path,
        [
          "--json", "--packets", "64", "--batch", "8", "--filter",
          CommandTests.filter("drop_dport.v3.bin"),
        ]))
    let row = try #require(report.batches.first)
    #expect(report.cores == 4 && row.packets == 64 && row.faults == 0)
    // Port 53 of UDP, which the filter's state does not name: it reads to the end of its list.
    #expect(row.instructions > 20 && row.instructions < 40)
    #expect(row.busyCycles >= row.instructions && row.busyCycles < 2 * row.instructions)
    #expect(row.clockCycles > row.busyCycles / 4)
    #expect(row.packetsPerSecond > 0)
  }
}
