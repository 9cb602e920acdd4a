import ControlPlane
import DPUCore
import Foundation
import HBPFBridge
import PollLoop
import Testing

@testable import FilterHost

/// The simulated FPGA's process, with the register-transfer description of the cores in it.
final class FPGAProcess {
  static let program = ProcessInfo.processInfo.environment["DPU_FPGA_SIM"]

  let path = FileManager.default.temporaryDirectory
    .appending(path: "fpga-\(getpid())-\(UInt32.random(in: 0...UInt32.max))").path
  private let process = Process()

  init(cores: Int) throws {
    process.executableURL = URL(fileURLWithPath: Self.program!)
    process.arguments = ["--bar", path, "--cores", String(cores)]
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    // It makes the file with its full length before anything else.
    for _ in 0..<500 {
      let size = try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int
      if size == 0x42000 { return }
      usleep(10_000)
    }
    Issue.record("the process does not make its file")
  }

  func stop() {
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    try? FileManager.default.removeItem(atPath: path)
  }

  func device() throws(StartFailure) -> FilterDevice {
    var configuration = Configuration.FPGA(
      path: Text(bytes: Array(path.utf8)), kind: .simulated)
    configuration.timeoutMilliseconds = 5_000
    return try FilterDevice(configuration)
  }
}

/// Runs when DPU_FPGA_SIM names the program `dpu-fpga-sim` of gateware/.
@Suite(.serialized, .enabled(if: FPGAProcess.program != nil)) struct SimulatorTests {
  struct Vector: Decodable {
    var filter: String
    var n: Int
    var packet: String
    var state: String
    var r0: UInt64
    var packet_after: String
    var state_after: String
  }

  static let vectors: [Vector] = {
    struct File: Decodable { var rows: [Vector] }
    let file = URL(
      fileURLWithPath: Bench.repository + "/Tests/Vectors/ebpf/filter-vectors.json")
    let data = try! Data(contentsOf: file)
    return (try? JSONDecoder().decode([Vector].self, from: data))
      ?? (try! JSONDecoder().decode(File.self, from: data).rows)
  }()

  static func program(_ name: String) throws -> [Instruction] {
    let bytes = [UInt8](
      try Data(contentsOf: URL(fileURLWithPath: Bench.repository + "/ebpf/\(name).bin")))
    let span = bytes.span.bytes
    return stride(from: 0, to: bytes.count, by: 8).map { Instruction(span, at: $0) }
  }

  static func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex)
    return stride(from: 0, to: digits.count - 1, by: 2).map {
      UInt8(String(digits[$0...$0 + 1]), radix: 16)!
    }
  }

  static func words(_ hex: String) -> [UInt64] {
    let state = bytes(hex) + [UInt8](repeating: 0, count: 512)
    return (0..<64).map { word in
      (0..<8).reduce(UInt64(0)) { $0 | UInt64(state[8 * word + $1]) << UInt64(8 * $1) }
    }
  }

  private func wait(_ driver: inout FPGADriver) throws -> FPGADriver.Completion {
    for _ in 0..<1_000_000 {
      if let completion = driver.poll() { return completion }
      sched_yield()
    }
    throw CancellationError()
  }

  /// Verdict, packet and state of every vector through our own page and rings.
  @Test func nativePageRunsAllVectors() throws {
    let process = try FPGAProcess(cores: 1)
    defer { process.stop() }
    let device = try process.device()
    let driver = device.driver
    var loaded = ""
    for row in Self.vectors {
      if row.filter != loaded {
        let code = try Self.program("\(row.filter).v3")
        try driver.pointee.load(code.span)
        loaded = row.filter
      }
      let before = Self.words(row.state)
      try driver.pointee.writeState(0, before.span)
      let packet = Self.bytes(row.packet)
      let isTaken = driver.pointee.submit(packet.span.bytes, tag: UInt64(row.n), now: 0)
      #expect(isTaken)
      driver.pointee.ring()
      let completion = try wait(&driver.pointee)
      #expect(
        completion.verdict == Verdict(r0: row.r0) && completion.tag == UInt64(row.n),
        "\(row.filter) \(row.n): fault \(completion.fault) at \(completion.row)")
      var after = [UInt8](repeating: 0, count: packet.count)
      do {
        var span = after.mutableSpan
        var target = span.mutableBytes
        driver.pointee.read(completion, into: &target)
      }
      #expect(after == Self.bytes(row.packet_after), "\(row.filter) \(row.n)")
      driver.pointee.release(completion)
      driver.pointee.acknowledge()
      var state = [UInt64](repeating: 0, count: 64)
      do {
        var span = state.mutableSpan
        try driver.pointee.readState(0, into: &span)
      }
      #expect(state == Self.words(row.state_after), "\(row.filter) \(row.n)")
    }
    #expect(Self.vectors.count == 320)
  }

  /// Every fourth vector through hBPF's page, found by the build's csr.csv.
  @Test func hBPFPageRunsVectors() throws {
    let process = try FPGAProcess(cores: 1)
    defer { process.stop() }
    let device = try process.device()
    try device.driver.pointee.window.write(1, at: 0x088)
    let csv = Array(
      """
      csr_base,hbpf,0x00020000,,
      csr_base,hbpf_pgm_mem,0x00021000,,
      csr_base,hbpf_data_mem,0x00021800,,

      """.utf8)
    var address: UInt64 = 0
    #expect(clinuxMap(process.path, &address) == 0)
    var window = FPGAWindow(address: UInt(address), isSimulated: true, milliseconds: 5_000)
    try window.connect()
    var driver = HBPFDriver(window, try CSRMap(csv: csv.span.bytes))
    try driver.open()
    var loaded = ""
    for row in Self.vectors where row.n % 4 == 0 {
      if row.filter != loaded {
        let code = try Self.program("\(row.filter).v2")
        try driver.load(code.span)
        loaded = row.filter
      }
      try driver.hold()
      let packet = Self.bytes(row.packet)
      try driver.write(packet.span.bytes, at: 0)
      let state = Self.bytes(row.state) + [UInt8](repeating: 0, count: 512)
      try driver.write(Array(state[..<512]).span.bytes, at: 1_536)
      try driver.start([0, UInt64(packet.count), 0, 0, 0])
      var result: HBPFDriver<FPGAWindow>.Result?
      for _ in 0..<10_000 where result == nil { result = try driver.poll() }
      #expect(result?.r0 == row.r0 && result?.isError == false, "\(row.filter) \(row.n)")
      var after = [UInt8](repeating: 0, count: packet.count)
      do {
        var span = after.mutableSpan
        var target = span.mutableBytes
        try driver.read(&target, at: 0)
      }
      #expect(after == Self.bytes(row.packet_after), "\(row.filter) \(row.n)")
    }
  }

  /// Frames of a port through a poll loop and the process: the same verdicts as in software.
  @Test func theFirmwaresWay() throws {
    let process = try FPGAProcess(cores: 1)
    defer { process.stop() }
    let bench = try Bench(
      #", "fpga": {"path": "\#(process.path)", "kind": "simulated", "timeoutMilliseconds": 60000}"#)
    #expect(FilterTests.load(bench, "counters.v4").contains(#""engine":"fpga""#))
    for byte in UInt8(0)..<200 { bench.arrive([byte & 7, byte]) }
    for _ in 0..<8 { bench.turn() }
    for _ in 0..<20_000 where bench.workers.workers[0].loop.stage.filters.isHolding {
      bench.turn()
      usleep(100)
    }
    let expected = (UInt8(0)..<200).filter { $0 & 7 < 6 }.map { [$0 & 7, $0] }
    #expect(bench.left(1) == expected)
    #expect(bench.counters().contains("framesFromDevice=200"))
    #expect(bench.freeBuffers == 1_024)
  }
}

/// The file once more in the address space.
private func clinuxMap(_ path: String, _ address: inout UInt64) -> Int32 {
  let descriptor = open(path, O_RDWR)
  guard descriptor >= 0,
    let memory = mmap(nil, 0x42000, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
  else { return -1 }
  address = UInt64(UInt(bitPattern: memory))
  return 0
}
