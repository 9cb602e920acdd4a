import Testing

@testable import FilterHost

/// Filters in the packets' way, in software.
@Suite struct FilterTests {
  static func load(_ bench: Bench, _ name: String, _ more: String = "") -> String {
    bench.call("ebpf.load", #"{"port":"uplink","path":"\#(Bench.object(name))"\#(more)}"#)
  }

  /// `variables`: verdict table[byte 0] = drop, pass, tx, aborted; byte 1 becomes 0x55; after three
  /// packets redirect, without a port.
  @Test(arguments: ["interpreter", "jit"])
  func everyVerdict(_ engine: String) throws {
    let bench = try Bench()
    #expect(
      Self.load(bench, "variables.v3", #","name":"choose","engine":"\#(engine)""#)
        == #"{"port":"uplink","name":"choose","engine":"\#(engine)","loads":1}"#)
    for byte in [UInt8(0), 1, 2] { bench.arrive([byte, 0, 7]) }
    bench.turn()
    // 1: dropped, 2: passed on to the other port, 3: back out of its own; both changed.
    #expect(bench.left(1) == [[1, 0x55, 7]])
    #expect(bench.left(0) == [[2, 0x55, 7]])
    bench.arrive([0, 0])
    bench.turn()
    #expect(
      bench.counters() == "framesIn=4 passed=1 droppedByVerdict=1 transmitted=1 droppedNoPort=1")
    // The host's port has no filter.
    bench.arrive([9, 9], on: 1)
    bench.turn()
    #expect(bench.left(0) == [[9, 9]])
    #expect(bench.freeBuffers == 1_024)
  }

  @Test func redirectGoesToThePort() throws {
    let bench = try Bench()
    _ = Self.load(bench, "variables.v4", #","name":"other""#)
    for byte in [UInt8(0), 1, 2] { bench.arrive([byte]) }
    bench.turn()
    #expect(bench.left(0) == [[0]])
    #expect(bench.left(1) == [[1]])
    #expect(bench.counters() == "framesIn=3 redirected=2 droppedNoPort=1")
    #expect(bench.freeBuffers == 1_024)
  }

  /// A packet without an answer: dropped, or let pass when the port's policy says so.
  @Test(arguments: [
    ("drop", "framesIn=2 aborted=1 tooLong=1 droppedUnanswered=2", 0),
    ("pass", "framesIn=2 aborted=1 tooLong=1 passedUnanswered=2", 2),
  ])
  func policyForAborted(_ policy: String, _ counters: String, _ passed: Int) throws {
    let bench = try Bench()
    // Byte 0 is 7: beyond the array.
    _ = Self.load(bench, "counters.v3", #","aborted":"\#(policy)""#)
    bench.arrive([7, 0])
    bench.arrive([UInt8](repeating: 1, count: 1_537))
    bench.turn()
    #expect(bench.counters() == counters)
    #expect(bench.left(1).count == passed)
    #expect(bench.freeBuffers == 1_024)
  }

  /// Each worker has its own map; the entries of all are told.
  @Test func mapsAreEachWorkersOwn() throws {
    let bench = try Bench(workers: 2)
    _ = Self.load(bench, "counters.v3")
    for worker in 0..<2 {
      for _ in 0...worker { bench.arrive([4], worker: worker) }
      bench.turn(worker)
    }
    #expect(
      bench.call("ebpf.maps", #"{"map":"counters","offset":4,"limit":1}"#)
        == #"""
        {"port":"uplink","map":"counters","engine":"jit","cores":[\#
        {"core":1,"entries":[{"entry":4,"key":"04000000","value":"0100000000000000"}],"next":5},\#
        {"core":2,"entries":[{"entry":4,"key":"04000000","value":"0200000000000000"}],"next":5}]}
        """#
    )
    #expect(
      bench.call("ebpf.maps")
        == #"""
        {"port":"uplink","maps":[{"name":"counters","kind":"array","keyBytes":4,\#
        "valueBytes":8,"entries":6,"stateOffset":1536}]}
        """#)
  }

  /// Filters take turns while packets pass: none is lost, none meets two of them.
  @Test func swapsBetweenBursts() throws {
    let bench = try Bench()
    var passed = 0
    for round in 0..<40 {
      if round % 10 == 0 {
        _ = Self.load(bench, round % 20 == 0 ? "counters.v3" : "legacy.v3")
      }
      for _ in 0..<16 { bench.arrive([1, 2]) }
      bench.turn()
      passed += bench.left(1).count
    }
    #expect(passed == 640)
    #expect(bench.counters() == "framesIn=640 passed=640")
    #expect(bench.call("ebpf.unload") == #"{"unloaded":"uplink"}"#)
    bench.arrive([7])
    bench.turn()
    #expect(bench.left(1) == [[7]])
    #expect(bench.freeBuffers == 1_024)
  }

  /// A refused program says where and why, and the one that runs stays.
  @Test func refusals() throws {
    let bench = try Bench()
    _ = Self.load(bench, "counters.v3")
    let path = Bench.object("refused-unchecked")
    #expect(
      Self.load(bench, "refused-unchecked")
        == #"""
        error {"code":-32008,"message":"\#(path): program f, instruction 7: r0 may be null: \#
        compare it with 0 before","data":{"path":"$.params.path","reason":"badProgram"}}
        """#)
    #expect(
      Self.load(bench, "flows.v3", #","engine":"fpga""#)
        .contains("the FPGA cannot run this: there is none in the configuration"))
    #expect(
      bench.call("ebpf.load", #"{"port":"uplink","program":"95000"}"#)
        .contains("must have an even number of digits"))
    #expect(
      bench.call("ebpf.load", #"{"port":"uplink"}"#).contains(#"needs a \"program\" or a \"path\""#)
    )
    #expect(bench.call("ebpf.unload", mayWrite: false).contains("-32001"))
    bench.arrive([1])
    bench.turn()
    #expect(bench.counters() == "framesIn=1 passed=1")
  }

  /// A packet aside changes nothing of what the others see.
  @Test func execRunsAside() throws {
    let bench = try Bench()
    _ = Self.load(bench, "variables.v3", #","name":"choose""#)
    for _ in 0..<5 {
      #expect(
        bench.call("ebpf.exec", #"{"packet":"0200ff","engine":"interpreter"}"#)
          == #"""
          {"verdict":"tx","r0":3,"port":null,"fault":null,"packet":"0255ff",\#
          "engine":"interpreter"}
          """#)
    }
    #expect(bench.counters() == "")
    // r0 = 1; exit
    #expect(
      bench.call(
        "ebpf.exec", #"{"packet":"00","program":"b7000000010000009500000000000000"}"#
      ).hasPrefix(#"{"verdict":"drop","r0":1,"#))
  }

  /// The configuration loads filters before the first packet, and says what is wrong with one.
  @Test func configuration() throws {
    let path = Bench.object("variables.v3")
    let bench = try Bench(
      #", "filters": [{"port": "host", "program": "\#(path)", "name": "choose", "engine": "jit"}]"#)
    #expect(
      bench.call("ebpf.list")
        == #"""
        {"ports":[{"port":"uplink","program":null,"loads":0},\#
        {"port":"host","program":"\#(path)","name":"choose","engine":"jit","aborted":"drop",\#
        "deadDevice":"software","loads":1}]}
        """#)
    bench.arrive([0, 0], on: 1)
    bench.turn()
    #expect(bench.counters("host") == "framesIn=1 droppedByVerdict=1")
  }
}
