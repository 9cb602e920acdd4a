import Foundation
import HBPFBridge
import Testing

/// `dpuctl ebpf` as a program, as scripts and the public conformance runner call it.
@Suite struct CommandTests {
  struct Result: Equatable {
    var status: Int32
    var output: String
    var complaint = ""
  }

  static func dpuctl(_ arguments: [String], input: [UInt8] = []) throws -> Result {
    let process = Process()
    // Built beside the program that runs the tests.
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      .deletingLastPathComponent().appendingPathComponent("dpuctl")
    process.arguments = arguments
    let output = Pipe()
    let complaint = Pipe()
    let source = Pipe()
    process.standardOutput = output
    process.standardError = complaint
    process.standardInput = source
    try process.run()
    try source.fileHandleForWriting.write(contentsOf: Data(input))
    try source.fileHandleForWriting.close()
    let text = output.fileHandleForReading.readDataToEndOfFile()
    let errors = complaint.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return Result(
      status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
      complaint: String(decoding: errors, as: UTF8.self))
  }

  static func filter(_ name: String) -> String {
    Vectors.folder.deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "ebpf/\(name)").path
  }

  /// Every tenth conformance program by each engine: r0 alone on standard output.
  @Test(arguments: ["interpreter", "jit"])
  func execPrintsR0(_ engine: String) throws {
    let rows = Vectors.conformance.filter { $0.kind == "run" }
    for row in stride(from: 0, to: rows.count, by: 10).map({ rows[$0] }) {
      let result = try Self.dpuctl(
        ["ebpf", "exec", "--engine", engine, row.mem], input: Array(row.prog.utf8))
      #expect(
        result == Result(status: 0, output: String(row.r0!.dropFirst(2)) + "\n"), "\(row.name)")
    }
  }

  /// Blanks and line ends anywhere between bytes, memory with blanks, the memory afterwards.
  @Test func execTakesBlanks() throws {
    // *(u8 *)(r1 + 1) = 7; r0 = *(u16 *)(r1 + 0); exit
    let program = "72 01 01 00 07 00 00 00\n  6910 0000 0000 0000\t9500000000000000\n"
    let result = try Self.dpuctl(
      ["ebpf", "exec", "aa bb", "--show-memory"], input: Array(program.utf8))
    #expect(result == Result(status: 0, output: "7aa\naa07\n"))
  }

  /// Standard input, arguments, exit code, complaint.
  @Test(arguments: [
    ("zz", [], 1, "dpuctl: the program: no hexadecimal digit at character 1\n"),
    ("950", [], 1, "dpuctl: the program: half a byte at the end\n"),
    (
      "9500", [], 1,
      "dpuctl: the program: 2 bytes are no whole number of instructions of 8 bytes\n"
    ),
    ("", [], 2, "dpuctl: instruction 0: the program is empty\n"),
    ("ff00000000000000", [], 2, "dpuctl: instruction 0: there is no opcode 0xff\n"),
    // r0 = *(u8 *)(r1 + 0) with an empty memory
    (
      "71100000000000009500000000000000", ["--engine", "jit"], 2,
      "dpuctl: instruction 0: access out of bounds\n"
    ),
    (
      "8500000063000000" + "9500000000000000", [], 2, "dpuctl: instruction 0: unknown helper\n"
    ),
  ])
  func execRefuses(_ input: String, _ options: [String], status: Int32, complaint: String) throws {
    let result = try Self.dpuctl(["ebpf", "exec"] + options, input: Array(input.utf8))
    #expect(result == Result(status: status, output: "", complaint: complaint))
  }

  @Test func verifyNamesTargets() throws {
    let result = try Self.dpuctl(["ebpf", "verify", Self.filter("drop_dport.v3.bin")])
    #expect(
      result
        == Result(
          status: 0,
          output: """
            TARGET    RUNS  INSTRUCTIONS  WHY NOT
            software  yes             43
            fpga      yes             43
            hbpf      no               -  instruction 4: hbpf has no jumps that compare 32 bits

            """))
  }

  @Test func disassembleListsInstructions() throws {
    // r0 = -7 ll; if w0 s> 5 goto -3; exit
    let program: [UInt8] = [
      0x18, 0, 0, 0, 0xf9, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
      0x66, 0, 0xfd, 0xff, 5, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0,
    ]
    let result = try Self.dpuctl(["ebpf", "disassemble", "-"], input: program)
    #expect(
      result
        == Result(
          status: 0,
          output: """
                   0: r0 = -7 ll
                   2: if w0 s> 5 goto -3
                   3: exit

            """))
  }

  /// An object: maps in front, functions where they begin.
  @Test func disassembleNamesMapsAndFunctions() throws {
    let file = Vectors.folder.appending(path: "objects/variables.v4.elf").path
    let result = try Self.dpuctl(["ebpf", "disassemble", file, "--program", "choose"])
    #expect(
      result
        == Result(
          status: 0,
          output: """
            map[0] .data: variables, 1 x 4 -> 4 bytes
            map[1] .rodata: constants, 1 x 4 -> 4 bytes
            map[2] .bss: variables, 1 x 4 -> 8 bytes
            choose:
                   0: r6 = r1
                   1: call pc+9
                   2: w1 = w0
                   3: r0 = 4
                   4: r2 = map[0][0]+0
                   6: r2 = *(u32 *)(r2 + 0)
                   7: if w1 > w2 goto +2
                   8: r1 = *(u8 *)(r6 + 0)
                   9: call pc+8
                  10: exit
            note:
                  11: *(u8 *)(r1 + 1) = 85
                  12: r1 = map[2][0]+0
                  14: r0 = *(u64 *)(r1 + 0)
                  15: r0 += 1
                  16: *(u64 *)(r1 + 0) = r0
                  17: exit
            verdict:
                  18: r1 &= 3
                  19: r2 = map[1][0]+0
                  21: r2 += r1
                  22: r0 = *(u8 *)(r2 + 0)
                  23: exit

            """))
    let several = try Self.dpuctl(["ebpf", "disassemble", file])
    #expect(
      several
        == Result(
          status: 1, output: "",
          complaint: """
            dpuctl: \(file): programs: there are several, one must be named: choose, other

            """))
  }
}
