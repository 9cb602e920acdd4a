import ArgumentParser
import DPUCore
import HBPFBridge

extension EBPFGroup {
  enum Engine: String, ExpressibleByArgument, CaseIterable { case interpreter, jit, rtl }

  struct Execute: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "exec",
      abstract: "Runs a program once, here and now, and prints r0.",
      discussion: """
        The program comes as hexadecimal bytes on standard input, or with --program; MEMORY is what \
        r1 points to, with its size in r2. Blanks between bytes do not matter. This is how \
        bpf_conformance calls a plugin, and its helpers 0 to 5 are there. The engine rtl is the \
        gateware in simulation: the program ebpf-check, which `./dev build gateware` makes, beside \
        dpuctl or at the path in DPU_EBPF_CHECK. \
        Exit codes: 0 r0 was printed, 1 wrong usage, 2 refused or stopped.
        """)
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions

    @Option(help: "interpreter, jit for machine code of this processor, or rtl for the gateware.")
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

  /// A program in a file.
  struct FileOptions: ParsableArguments {
    @Argument(help: "An object file of clang -target bpf, or bare bytecode; - for standard input.")
    var file: String
    @Option(help: "The program or its section, when the file has several.")
    var program: String?

    func read() throws -> (object: ProgramObject, program: ProgramObject.Program) {
      let bytes = try InputFile.bytes(of: file)
      do throws(ObjectFault) {
        let object = try ProgramObject(bytes.span.bytes, name: Text(bytes: Array(file.utf8)))
        return (object, try object.program(program.map { Text(bytes: Array($0.utf8)) }))
      } catch {
        throw Failure.usage("\(file): \(error.text.string)")
      }
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
    @OptionGroup var place: FileOptions

    mutating func run() throws {
      let (object, program) = try place.read()
      var table = Table([
        .left("TARGET"), .left("RUNS"), .right("INSTRUCTIONS"), .left("WHY NOT"),
      ])
      var rows: [JSONValue] = []
      var runs = false
      for target in [VerifierTarget.software, .fpga, .hBPF] {
        var members = [JSONValue.Member("target", target.name.string)]
        do throws(ProgramFault) {
          let count = try Self.instructions(program, object.maps, on: target)
          runs = true
          table.add([target.name.string, "yes", String(count), ""])
          members += [.init("runs", .boolean(true)), .init("instructions", count)]
        } catch {
          table.add([target.name.string, "no", "-", error.text.string])
          members += [
            .init("runs", .boolean(false)), .init("instruction", error.instruction),
            .init("reason", error.reason.string),
          ]
        }
        rows.append(.object(members))
      }
      print(
        options.json || root.options.json
          ? JSONValue.object([
            .init("program", program.name.string), .init("targets", JSONValue.array(rows)),
          ]).text : table.text)
      if !runs { throw Failure.refused("\(place.file) runs nowhere") }
    }

    /// As many as the target would hold.
    private static func instructions(
      _ program: ProgramObject.Program, _ maps: [MapDeclaration], on target: VerifierTarget
    ) throws(ProgramFault) -> Int {
      let report = try Verifier.check(program.instructions, maps: maps, for: target)
      guard target.mapsInStateOnly else { return program.instructions.count }
      return try ProgramLinker.linkForCore(
        program.instructions, maps: maps, report, for: target
      ).count
    }
  }

  struct Disassemble: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Prints the instructions of a filter.",
      discussion: "map[2] is the third of the maps that are listed in front.")
    @ParentCommand var root: DPUControl
    @OptionGroup var place: FileOptions

    mutating func run() throws {
      let (object, program) = try place.read()
      for (index, map) in object.maps.enumerated() {
        print(
          "map[\(index)] \(map.name.string): \(Text(stringLiteral: map.kind.name).string), "
            + "\(map.entries) x \(map.keyBytes) -> \(map.valueBytes) bytes")
      }
      let text = Disassembler.listing(program.instructions.span) { program.function(at: $0) }
      print(text.string, terminator: "")
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
