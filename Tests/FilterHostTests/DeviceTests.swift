import ControlPlane
import DPUCore
import Foundation
import ModelFPGA
import PollLoop
import Testing

@testable import FilterHost

/// Filters in the FPGA: the model of it behind a file, reached as the simulated one is.
@Suite(.serialized) struct DeviceTests {
  private func bench(_ fpga: SimulatedFPGA, timeout: Int = 2_000) throws -> Bench {
    try Bench(
      #"""
      , "fpga": {"path": "\#(fpga.path)", "kind": "simulated", \#
      "timeoutMilliseconds": \#(timeout)}
      """#)
  }

  /// Turns until nothing is on its way; the device has a thread of its own.
  private func settle(_ bench: Bench) {
    for _ in 0..<20_000 {
      bench.turn()
      if !bench.workers.workers[0].loop.stage.filters.isHolding { return }
      usleep(100)
    }
    Issue.record("frames are still on their way")
  }

  @Test func verdictsComeFromTheDevice() throws {
    let fpga = SimulatedFPGA(cores: 2)
    defer { fpga.stop() }
    let bench = try bench(fpga)
    #expect(
      FilterTests.load(bench, "counters.v3")
        == #"{"port":"uplink","name":"count","engine":"fpga","loads":1}"#)
    for byte in 0..<100 { bench.arrive([UInt8(byte & 7), UInt8(byte)]) }
    for _ in 0..<4 { bench.turn() }
    settle(bench)
    // Of eight kinds two have no counter; the order is kept.
    let expected = (UInt8(0)..<100).filter { $0 & 7 < 6 }.map { [$0 & 7, $0] }
    #expect(bench.left(1) == expected)
    #expect(
      bench.counters()
        == """
        framesIn=100 passed=76 aborted=24 droppedUnanswered=24 framesToDevice=100 \
        framesFromDevice=100
        """)
    // Each core of the device counted its share.
    let entries = bench.call("ebpf.maps", #"{"map":"counters","limit":1}"#)
    let shares: [Int] = entries.components(separatedBy: #""value":""#).dropFirst().map {
      Int($0.prefix(2), radix: 16) ?? -1
    }
    #expect(shares.count == 2)
    #expect(shares.reduce(0, +) == 13)
    #expect(bench.freeBuffers == 1_024)
    #expect(bench.call("ebpf.fpga").contains(#""cores":2,"slotsPerCore":2,"programRows":4096"#))
  }

  /// The packet that comes back is what the device made of it; variables begin as they should.
  @Test func packetsAreChanged() throws {
    let fpga = SimulatedFPGA()
    defer { fpga.stop() }
    let bench = try bench(fpga)
    _ = FilterTests.load(bench, "variables.v2", #","name":"choose""#)
    for byte in [UInt8(0), 1, 2] { bench.arrive([byte, 0, 7]) }
    bench.turn()
    settle(bench)
    #expect(bench.left(1) == [[1, 0x55, 7]])
    #expect(bench.left(0) == [[2, 0x55, 7]])
  }

  /// What the device cannot do runs in software, unless the device was asked for.
  @Test func softwareTakesTheRest() throws {
    let fpga = SimulatedFPGA()
    defer { fpga.stop() }
    let bench = try bench(fpga)
    #expect(FilterTests.load(bench, "flows.v3").contains(#""engine":"jit""#))
    #expect(
      FilterTests.load(bench, "flows.v3", #","engine":"fpga""#)
        .contains("the FPGA cannot run this: instruction 15: fpga has no hash maps"))
  }

  /// What waits for the device when the filter is taken away has nowhere to come back to.
  @Test func unloadingDropsWhatWaits() throws {
    let fpga = SimulatedFPGA()
    defer { fpga.stop() }
    let bench = try bench(fpga)
    _ = FilterTests.load(bench, "counters.v3")
    fpga.device.isStuck = true
    for byte in UInt8(0)..<5 { bench.arrive([byte]) }
    bench.turn()
    let unloaded = bench.call("ebpf.unload")
    #expect(unloaded == #"{"unloaded":"uplink"}"#)
    #expect(bench.freeBuffers == 1_024)
    fpga.device.isStuck = false
    _ = FilterTests.load(bench, "counters.v3")
    #expect(bench.counters() == "framesIn=5 framesToDevice=2 droppedUnloaded=5")
    bench.arrive([3])
    bench.turn()
    settle(bench)
    #expect(bench.left(1) == [[3]])
  }

  /// A device that hangs: after the limit its packets go by the policy, in order, and later ones
  /// with them; a load brings it back.
  @Test(arguments: [
    ("software", 3, "softwareDeadDevice=5"), ("pass", 5, "passedDeadDevice=5"),
    ("drop", 0, "droppedDeadDevice=5"),
  ])
  func aDeadDevice(_ policy: String, _ passed: Int, _ counter: String) throws {
    let fpga = SimulatedFPGA()
    defer { fpga.stop() }
    let bench = try bench(fpga, timeout: 20)
    _ = FilterTests.load(bench, "counters.v3", #","deadDevice":"\#(policy)""#)
    fpga.device.isStuck = true
    for byte in [UInt8(0), 1, 2, 7] { bench.arrive([byte]) }
    // Time is the bench's: 10 us a turn.
    for _ in 0..<1_900 { bench.turn() }
    #expect(bench.left(1) == [])
    for _ in 0..<200 { bench.turn() }
    bench.arrive([6])
    bench.turn()
    #expect(bench.left(1).count == passed)
    #expect(bench.counters().contains(counter))
    #expect(bench.counters().contains("deviceTimeouts=1"))
    #expect(
      bench.call("ebpf.fpga").contains(
        #""dead":true,"state":"dead","reason":"a packet took longer than 20 ms""#))
    #expect(bench.freeBuffers == 1_024)
    fpga.device.isStuck = false
    #expect(
      bench.call("ebpf.fpga", #"{"reset":true}"#).contains(
        #""state":"reset","reason":"it was reset and waits for a filter","inFlight":0"#))
    #expect(FilterTests.load(bench, "counters.v3").contains(#""engine":"fpga""#))
    bench.arrive([3])
    bench.turn()
    settle(bench)
    #expect(bench.left(1) == [[3]])
    #expect(bench.call("ebpf.fpga").contains(#""dead":false,"state":"alive","inFlight":0"#))
  }

  /// A device whose registers do not answer is described as such; only its reset is an error.
  @Test func aSilentDevice() throws {
    let fpga = SimulatedFPGA()
    defer { fpga.stop() }
    let bench = try bench(fpga, timeout: 20)
    fpga.isSilent = true
    #expect(
      bench.call("ebpf.fpga").contains(
        #""dead":true,"state":"dead","reason":"the device does not answer","inFlight":0,"counters":[]"#
      ))
    #expect(bench.call("ebpf.fpga", #"{"reset":true}"#).contains(#""reason":"deviceFault""#))
    fpga.isSilent = false
    #expect(bench.call("ebpf.fpga").contains(#""dead":false,"state":"alive""#))
  }

  @Test func nobodyElseGetsTheDevice() throws {
    let fpga = SimulatedFPGA()
    defer { fpga.stop() }
    let first = try bench(fpga)
    let failure = #expect(throws: StartFailure.self) { _ = try bench(fpga) }
    #expect(failure?.message.bytes == Array("fpga: \(fpga.path): Device or resource busy".utf8))
    #expect(first.call("ebpf.fpga").contains(#""state":"alive""#))
  }

  @Test func noDeviceThere() {
    #expect(throws: (any Error).self) {
      try Bench(#", "fpga": {"path": "/nonexistent", "kind": "pci"}"#)
    }
  }
}
