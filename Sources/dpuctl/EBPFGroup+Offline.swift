import ArgumentParser
import DPUCore
import HBPFBridge

extension EBPFGroup {
  enum Engine: String, ExpressibleByArgument, CaseIterable { case interpreter, jit }

  struct Execute: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "exec",
      abstract: "Runs a program once, here and now, and prints r0.",
      discussion: """
        The program comes as hexadecimal bytes on standard input, or with --program; MEMORY is what \
        r1 points to, with its size in r2. Blanks between bytes do not matter. This is how \
        bpf_conformance calls a plugin, and its helpers 0 to 5 are there. \
        Exit codes: 0 r0 was printed, 1 wrong usage, 2 refused or stopped.
        """)
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    @Option(help: "interpreter, or jit for machine code of this processor.")
    var engine = Engine.interpreter
    @Option(help: "The program instead of standard input.")
    var program: String?
    @Flag(help: .hidden) var debug = false
    @Flag(help: "Also print the memory afterwards.")
    var showMemory = false
    @Argument(help: "Bytes of the memory, hexadecimal.")
    var memory = ""

    mutating func run() throws {
      let text = try program ?? InputFile.text(of: "-")
      let code = try Hexadecimal.bytes(text, of: "the program")
      var execution = EBPFExecution(
        program: try ProgramFile.instructions(of: code, "the program"),
        memory: try Hexadecimal.bytes(memory, of: "the memory"))
      switch try execution.run(engine) {
      case .exit(let value): print(String(value, radix: 16))
      case .fault(let fault):
        throw Failure.refused(
          "instruction \(fault.instruction): \(Text(stringLiteral: fault.kind.name).string)")
      }
      if showMemory { print(Hexadecimal.text(execution.memory)) }
    }
  }

  struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Whether a filter may run, on which targets, and why not on the others.",
      discussion: """
        Exit codes: 0 it runs at least in software, 1 the file cannot be read, 2 it runs nowhere.
        """)
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    @Argument(help: "Bytecode as it stands in memory; - for standard input.")
    var file: String

    mutating func run() throws {
      let program = try ProgramFile.instructions(of: InputFile.bytes(of: file), file)
      var table = Table([.left("TARGET"), .left("RUNS"), .left("WHY NOT")])
      var rows: [JSONValue] = []
      var runs = false
      for target in [VerifierTarget.software, .hBPF] {
        var reason: ProgramFault?
        do { try Verifier.check(program, for: target) } catch { reason = error }
        if reason == nil { runs = true }
        table.add([target.name.string, reason == nil ? "yes" : "no", reason?.text.string ?? ""])
        var members: [JSONValue.Member] = [
          .init("target", target.name.string), .init("runs", .boolean(reason == nil)),
        ]
        if let reason {
          members.append(.init("instruction", reason.instruction))
          members.append(.init("reason", reason.reason.string))
        }
        rows.append(.object(members))
      }
      print(
        options.json || root.options.json
          ? JSONValue.object([.init("targets", JSONValue.array(rows))]).text : table.text)
      if !runs { throw Failure.refused("\(file) runs nowhere") }
    }
  }

  struct Disassemble: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Prints the instructions of a filter.")
    @ParentCommand var root: DPUControl

    @Argument(help: "Bytecode as it stands in memory; - for standard input.")
    var file: String

    mutating func run() throws {
      let program = try ProgramFile.instructions(of: InputFile.bytes(of: file), file)
      print(Disassembler.listing(program.span).string, terminator: "")
    }
  }
}

/// Bytes as hexadecimal digits.
enum Hexadecimal {
  static func text(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
  }

  /// `what` stands in the complaint. Blanks may stand between bytes.
  static func bytes(_ text: String, of what: String) throws -> [UInt8] {
    var bytes: [UInt8] = []
    var high: UInt8?
    for (place, letter) in text.utf8.enumerated() {
      if letter == 0x20 || (9...13).contains(letter), high == nil { continue }
      guard let digit = Character(UnicodeScalar(letter)).hexDigitValue else {
        throw Failure.usage("\(what): no hexadecimal digit at character \(place + 1)")
      }
      if let first = high {
        bytes.append(first << 4 | UInt8(digit))
        high = nil
      } else {
        high = UInt8(digit)
      }
    }
    guard high == nil else { throw Failure.usage("\(what): half a byte at the end") }
    return bytes
  }
}

/// Programs in files.
enum ProgramFile {
  static func instructions(of bytes: [UInt8], _ name: String) throws -> [Instruction] {
    guard bytes.count % Instruction.byteCount == 0 else {
      throw Failure.usage(
        "\(name): \(bytes.count) bytes are no whole number of instructions of "
          + "\(Instruction.byteCount) bytes")
    }
    let span = bytes.span.bytes
    return stride(from: 0, to: bytes.count, by: Instruction.byteCount).map {
      Instruction(span, at: $0)
    }
  }
}
