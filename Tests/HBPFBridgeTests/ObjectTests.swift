import DPUCore
import Foundation
import HBPFBridge
import HostPages
import Testing

/// Object files of `Tests/Vectors/ebpf/objects`, as clang wrote them for each version.
@Suite struct ObjectTests {
  static let versions = ["v1", "v2", "v3", "v4"]

  static func object(_ name: String) throws -> ProgramObject {
    let file = Vectors.folder.appending(path: "objects/\(name).elf")
    let bytes = [UInt8](try Data(contentsOf: file))
    return try ProgramObject(bytes.span.bytes, name: "object")
  }

  static func string(_ text: Text) -> String { String(decoding: text.bytes, as: UTF8.self) }

  /// A filter of an object in both engines, side by side.
  struct Pair: ~Copyable {
    var interpreted: FilterMachine
    var compiled: FilterMachine

    init(_ object: ProgramObject, _ program: Text? = nil) throws {
      let found = try object.program(program).instructions
      let first = try FilterMachine(found, maps: object.maps, FilterMachine.Options())
      var second = try FilterMachine(found, maps: object.maps, FilterMachine.Options())
      let code = try NativeProgram.compile(second.linked, .proved)
      // Left to the process; the tests are few.
      var pages = CodePages()
      second.use(NativeProgram(code, at: pages.install(code.bytes.span)!))
      interpreted = first
      compiled = second
    }

    /// Runs a packet through both, which must agree in everything.
    mutating func run(_ packet: [UInt8], now: UInt64 = 0) -> (verdict: Verdict, packet: [UInt8]) {
      let first = Self.run(&interpreted, packet, now)
      let second = Self.run(&compiled, packet, now)
      #expect(first.answer == second.answer)
      #expect(first.packet == second.packet)
      return (first.answer.verdict, first.packet)
    }

    private static func run(
      _ machine: inout FilterMachine, _ packet: [UInt8], _ now: UInt64
    ) -> (answer: FilterMachine.Answer, packet: [UInt8]) {
      var bytes = machine.packet(packet.count)
      for (index, byte) in packet.enumerated() {
        bytes.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
      }
      let answer = machine.run(length: packet.count, now: now)
      let after = machine.packetBytes(packet.count)
      return (answer, packet.indices.map { after.byte(at: $0) })
    }
  }

  /// Eight packets by class: six counters count, the other two miss.
  @Test(arguments: versions)
  func anArrayCounts(_ version: String) throws {
    let object = try Self.object("counters.\(version)")
    #expect(
      object.maps == [
        MapDeclaration(name: "counters", kind: .array, keyBytes: 4, valueBytes: 8, entries: 6)
      ])
    #expect(object.programs.map { Self.string($0.name) } == ["count"])
    var pair = try Pair(object)
    for round in 0..<3 {
      for kind in 0..<8 {
        let answer = pair.run([UInt8(kind), 0, UInt8(round)])
        #expect(answer.verdict == (kind < 6 ? .pass : .aborted))
      }
    }
    // In the state, where the FPGA would have it too.
    for kind in 0..<6 { #expect(pair.interpreted.state.leUInt64(at: 8 * kind) == 3) }
    #expect(pair.compiled.value(of: 0, key: [5, 0, 0, 0]) == [3, 0, 0, 0, 0, 0, 0, 0])
  }

  /// The transcript of four sources at a table of four: enter, count, drop, full, forget.
  @Test(arguments: versions)
  func aHashMapRemembers(_ version: String) throws {
    var pair = try Pair(Self.object("flows.\(version)"))
    func packet(_ source: UInt8, _ kind: UInt8 = 0) -> [UInt8] { [source, 1, 2, 3, kind] }
    for source in 1...4 { #expect(pair.run(packet(UInt8(source)), now: 77).verdict == .pass) }
    #expect(pair.run(packet(2)).verdict == .pass)
    #expect(pair.run(packet(2)).verdict == .drop)
    #expect(pair.run(packet(5)).verdict == .redirect, "the map is full")
    #expect(pair.run(packet(9, 9)).verdict == .aborted, "forgets what it does not have")
    #expect(pair.run(packet(2, 9)).verdict == .pass)
    #expect(pair.compiled.mapStore.entryCount(0) == 3)
    #expect(pair.run(packet(5)).verdict == .pass)
    #expect(pair.interpreted.mapStore.entryCount(0) == 4)
    // `since` is the time of the burst, `packets` one.
    #expect(
      pair.compiled.value(of: 0, key: [1, 1, 2, 3])
        == [77, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
  }

  /// Variables with and without a beginning, constants, functions here and in another section.
  @Test(arguments: versions)
  func variablesAndFunctions(_ version: String) throws {
    let object = try Self.object("variables.\(version)")
    #expect(object.programs.map { Self.string($0.name) } == ["choose", "other"])
    let choose = try object.program("choose")
    #expect(choose.functions.map { Self.string($0.name) } == ["choose", "note", "verdict"])
    var pair = try Pair(object, "choose")
    #expect(pair.run([0, 0]).verdict == .drop)
    #expect(pair.run([1, 0]).packet == [1, 0x55])
    #expect(pair.run([2, 0]).verdict == .transmit)
    #expect(pair.run([0, 0]).verdict == .redirect, "the fourth is one too many")
  }

  @Test func redirectNotesThePort() throws {
    let object = try Self.object("variables.v3")
    var machine = try FilterMachine(
      object.program("xdp/other").instructions, maps: object.maps, FilterMachine.Options())
    var bytes = machine.packet(1)
    bytes.storeBytes(of: 7, as: UInt8.self)
    let answer = machine.run(length: 1, now: 0)
    #expect(answer.verdict == .redirect)
    #expect(answer.port == 7)
  }

  @Test(arguments: versions)
  func legacyMaps(_ version: String) throws {
    let object = try Self.object("legacy.\(version)")
    #expect(
      object.maps == [
        MapDeclaration(name: "first", kind: .array, keyBytes: 4, valueBytes: 8, entries: 2),
        MapDeclaration(name: "second", kind: .hash, keyBytes: 2, valueBytes: 4, entries: 8),
      ])
    var pair = try Pair(object)
    for length in 1...5 {
      #expect(pair.run([UInt8](repeating: 3, count: length)).verdict == .pass)
    }
    #expect(pair.interpreted.state.leUInt64(at: 8) == 15)
    #expect(pair.compiled.value(of: 1, key: [3, 0]) == [1, 0, 0, 0])
  }

  /// Section, instruction or map, and the reason.
  @Test(arguments: [
    (
      "undefined",
      "section xdp, instruction 1: calls elsewhere, which is not defined in this file"
    ),
    (
      "kind",
      """
      section .maps, map ring: maps of type 27 are not there; 1 (hash), 2 (array) and their \
      per-core forms are
      """
    ),
    (
      "pointer",
      "section xdp, instruction 1: takes the address of a function, which is not supported"
    ),
    ("unchecked", "instruction 7: r0 may be null: compare it with 0 before"),
    ("constant", "instruction 3: writes to the constants of section .rodata"),
    (
      "beyond",
      "instruction 10: accesses 8 bytes at 8 to 8 of a value of map counters, which has 8"
    ),
  ])
  func refusals(_ name: String, _ reason: String) throws {
    var said = "nothing"
    do {
      let object = try Self.object("refused-\(name)")
      try Verifier.check(object.program(nil).instructions, maps: object.maps, for: .software)
    } catch let fault as ObjectFault {
      said = Self.string(fault.text)
    } catch let fault as ProgramFault {
      said = Self.string(fault.text)
    }
    #expect(said == reason)
  }

  /// Which target runs what, and why not.
  @Test func targets() throws {
    func reason(_ name: String, _ program: Text? = nil, _ target: VerifierTarget) throws -> String {
      let object = try Self.object(name)
      let found = try object.program(program).instructions
      do {
        let report = try Verifier.check(found, maps: object.maps, for: target)
        _ = try ProgramLinker.linkForCore(found, maps: object.maps, report, for: target)
        return "runs"
      } catch {
        return Self.string(error.text)
      }
    }
    #expect(try reason("counters.v3", nil, .fpga) == "runs")
    #expect(try reason("counters.v2", nil, .hBPF) == "instruction 2: hbpf has no stack")
    #expect(
      try reason("flows.v3", nil, .fpga)
        == "instruction 15: fpga has no hash maps, and flows is one")
    #expect(try reason("variables.v2", "choose", .fpga) == "runs")
    #expect(
      try reason("variables.v2", "choose", .hBPF) == "instruction 1: hbpf has no local calls")
    #expect(try reason("variables.v2", "other", .fpga) == "instruction 2: fpga has no helper 23")
  }

  /// The form for the core, run where memory begins at 0 and helpers are absent, counts alike.
  @Test(arguments: versions)
  func theCoreNeedsNoHelpers(_ version: String) throws {
    let object = try Self.object("counters.\(version)")
    let found = try object.program(nil).instructions
    let report = try Verifier.check(found, maps: object.maps, for: .fpga)
    let linked = try ProgramLinker.linkForCore(found, maps: object.maps, report, for: .fpga)
    #expect(linked.count == found.count + 5)
    let software = try SoftwareProgram(linked.span)
    var interpreter = Interpreter()
    var helpers = NoHelpers()
    var memory = [UInt8](repeating: 0, count: HBPFLimits.dataBytes)
    for kind in 0..<8 {
      memory[0] = UInt8(kind)
      let outcome = memory.withUnsafeMutableBytes { bytes in
        var guest = GuestMemory()
        guest.add(
          MemoryRegion(
            start: 0, count: bytes.count, host: UInt(bitPattern: bytes.baseAddress!),
            isWritable: true))
        return interpreter.run(
          software, r1: 0, r2: 64, memory: guest, helpers: &helpers, jumpsMax: 100)
      }
      #expect(outcome == .exit(kind < 6 ? 2 : 0))
    }
    for kind in 0..<6 { #expect(memory[HBPFLimits.stateOffset + 8 * kind] == 1) }
  }
}
