import Foundation
import Testing

@testable import ControlPlane

/// Runs `dpuctl` as a program against a server in this process.
@Suite struct CommandTests {
  struct Outcome: Equatable {
    var status: Int32
    var output: String
    var complaint: String
  }

  /// `path` is searched for programs first.
  static func dpuctl(_ arguments: [String], path: String? = nil) throws -> Outcome {
    let process = Process()
    if let path {
      var environment = ProcessInfo.processInfo.environment
      environment["PATH"] = path + ":" + (environment["PATH"] ?? "")
      process.environment = environment
    }
    // Built beside the program that runs the tests.
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().appendingPathComponent("dpuctl")
    process.arguments = arguments
    let output = Pipe()
    let complaint = Pipe()
    process.standardOutput = output
    process.standardError = complaint
    try process.run()
    let text = output.fileHandleForReading.readDataToEndOfFile()
    let errors = complaint.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return Outcome(
      status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
      complaint: String(decoding: errors, as: UTF8.self))
  }

  /// With the words of a command line, what it prints.
  static let tables: [(String, String)] = [
    (
      "system version",
      """
      VERSION  INTERFACE  ARCHITECTURE  DPDK
      0.1.0            1  x86_64        DPDK 22.11.7
      """
    ),
    (
      "system health",
      """
      degraded

      CHECK   OK   DETAIL
      uplink  yes  link is up
      broker  no   no broker attached
      """
    ),
    ("system uptime", "1 min 1 s"),
    (
      "system memory",
      """
      POOL            CORE    PIECE  CAPACITY  FREE  FEWEST FREE  IN USE
      payload blocks     1  2.0 KiB       100    90           80  10.0 %
      packet buffers     -  2.1 KiB      8191  8000            -   2.3 %
      """
    ),
    (
      "core stats",
      """
      CORE    BUSY  TURNS  BUSY TIME   IDLE TIME
         1  25.0 %    100     500 ms         1 s
         2   0.0 %     90       0 ms  1 min 30 s
      """
    ),
    (
      "tcp stats",
      """
      COUNTER             TOTAL  CORE 1  CORE 2
      segmentsReceived       12       5       7
      droppedBadChecksum      1       0       1
      """
    ),
    (
      "mqtt explain a/b",
      """
      FACT           VALUE
      topic          a/b
      decision       relay
      reason         noVerdict
      certified      yes
      verdict        none
      verdict age    -
      subscriptions  1

      CORE  RECEIVER  GRANTED QOS
         1  sensor-7            1
      """
    ),
    ("--json system uptime", #"{"milliseconds":61500}"#),
    ("system uptime --json", #"{"milliseconds":61500}"#),
    ("call system.uptime", #"{"milliseconds":61500}"#),
    ("system shutdown", "stopping"),
  ]

  @Test(arguments: tables) func prints(command: String, expected: String) throws {
    let server = try RunningServer()
    let words = command.split(separator: " ").map(String.init)
    let outcome = try Self.dpuctl(["--socket", server.folder.socket] + words)
    #expect(outcome == Outcome(status: 0, output: expected + "\n", complaint: ""))
  }

  @Test(arguments: ["port list", "link stats", "mqtt stats", "system control", "system methods"])
  func isATable(command: String) throws {
    let server = try RunningServer()
    let words = command.split(separator: " ").map(String.init)
    let outcome = try Self.dpuctl(["--socket", server.folder.socket] + words)
    #expect(outcome.status == 0)
    #expect(outcome.output.split(separator: "\n").allSatisfy { $0.last != " " })
  }

  @Test func aLongListingIsFetchedInPages() throws {
    let server = try RunningServer()
    let outcome = try Self.dpuctl(
      ["--socket", server.folder.socket, "tcp", "list", "--offset", "2000", "--limit", "2500"])
    let lines = outcome.output.split(separator: "\n")
    #expect(lines.count == 1 + 2_500 + 1)
    #expect(lines.last == "2500 of 5000; --offset and --limit show others")
    // The first asks for the version.
    #expect(server[.answered] == 4)
  }

  @Test func refusalsByTheFirmwareExitWith2() throws {
    let server = try RunningServer()
    let socket = ["--socket", server.folder.socket]
    #expect(
      try Self.dpuctl(socket + ["call", "tcp.list", #"{"limit":0}"#])
        == Outcome(
          status: 2, output: "",
          complaint: "dpuctl: tcp.list: must lie between 1 and 1000, is 0 (-32602)"
            + " at $.params.limit\n"))
    #expect(
      try Self.dpuctl(socket + ["mqtt", "clients"])
        == Outcome(
          status: 2, output: "",
          complaint: "dpuctl: mqtt.clients: core 2 did not answer in time (-32000)\n"))
  }

  @Test func aFirmwareOfAnotherReleaseIsNamed() throws {
    let server = try RunningServer()
    server.source.release = "9.9.9"
    let outcome = try Self.dpuctl(["--socket", server.folder.socket, "system", "uptime"])
    #expect(
      outcome
        == Outcome(
          status: 0, output: "1 min 1 s\n",
          complaint: "dpuctl: this dpuctl is 0.1.0, the firmware is 9.9.9; both speak interface 1\n"
        ))
  }

  @Test func aConfigurationMistakeIsNamedAsEditorsDo() throws {
    let running = try parse(ConfigurationTests.minimal())
    let server = try RunningServer(configuration: running)
    let path = server.folder.path + "/config.json"
    try "{\n \"schema\": 1,\n \"mtu\": 1}\n".write(
      toFile: path, atomically: false, encoding: .utf8)
    let outcome = try Self.dpuctl(["--socket", server.folder.socket, "config", "check", path])
    #expect(
      outcome
        == Outcome(
          status: 2, output: "",
          complaint: "dpuctl: \(path):3:9: $.mtu: must lie between 576 and 9000, is 1 (-32008)"
            + " at $.params.text\n"))
  }

  @Test func theDoctorSaysWhatToDo() throws {
    let server = try RunningServer()
    let machine = server.folder.path
    defer { try? FileManager.default.removeItem(atPath: machine + "/proc") }
    try FileManager.default.createDirectory(
      atPath: machine + "/proc", withIntermediateDirectories: true)
    try "HugePages_Total:     512\nHugePages_Free:      400\nHugepagesize:       2048 kB\n".write(
      toFile: machine + "/proc/meminfo", atomically: false, encoding: .utf8)
    let words = ["--socket", server.folder.socket, "doctor", "--machine", machine]
    let outcome = try Self.dpuctl(words)
    let lines = outcome.output.split(separator: "\n")
    #expect(outcome.status == 0)
    #expect(lines[1].hasPrefix("huge pages       ok        512 of 2 MiB, 400 free"))
    #expect(lines.contains { $0.hasPrefix("IOMMU") && $0.contains("vfio-pci needs it") })
    #expect(lines.contains { $0.hasPrefix("broker ") && $0.contains("no broker attached") })
    let nobody = try Self.dpuctl(["--socket", "/no/such", "doctor", "--machine", machine])
    #expect(nobody.status == 2)
    #expect(nobody.output.contains("systemctl start dpu"))
  }

  @Test func wrongUsageExitsWith1() throws {
    for words in [
      ["bogus"], ["tcp", "list", "--limit", "0"], ["call", "x", "{"], ["mqtt", "explain"],
    ] {
      let outcome = try Self.dpuctl(words)
      #expect(outcome.status == 1)
      #expect(outcome.output == "")
      #expect(outcome.complaint != "")
    }
    #expect(try Self.dpuctl(["--help"]).status == 0)
  }

  @Test func whoCannotBeReachedExitsWith3() throws {
    let folder = TemporaryFolder()
    let command = ["--socket", folder.socket, "system", "health"]
    #expect(
      try Self.dpuctl(command)
        == Outcome(
          status: 3, output: "",
          complaint: "dpuctl: \(folder.socket): there is no such socket; is the firmware running?"
            + " --socket names another\n"))
    leaveDeadSocket(folder.socket)
    #expect(
      try Self.dpuctl(command)
        == Outcome(
          status: 3, output: "",
          complaint: "dpuctl: \(folder.socket): nobody serves this socket; the firmware has"
            + " stopped\n"))
  }
}
