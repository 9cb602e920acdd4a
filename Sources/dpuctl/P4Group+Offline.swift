import ArgumentParser
import DPUCore
import P4Pipelines

extension P4Group {
  /// One STF test.
  struct STF: OfflineTest {
    static let configuration = CommandConfiguration(
      commandName: "stf", abstract: "Runs an STF test on a program, here and now.",
      discussion: """
        Each port must send exactly the packets that the test expects, in that order, and no other \
        port may send any. Exit codes: 0 passed, 1 a file cannot be read, 2 failed.
        """)
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var offline: OfflineOptions

    @Argument(help: "The program, BMv2 JSON.")
    var program: String
    @Argument(help: "The test.")
    var test: String

    func report(on virtual: consuming VirtualSwitch, _ text: borrowing RawSpan) throws
      -> VerifyReport
    {
      let script: STFScript
      do {
        script = try STFScript.parse(text)
      } catch {
        throw Failure.usage("\(test):\(error.line):\(error.column): \(error.message.string)")
      }
      return STFRunner.run(script, on: virtual)
    }
  }

  /// One packet vector.
  struct Replay: OfflineTest {
    static let configuration = CommandConfiguration(
      commandName: "replay",
      abstract: "Replays recorded packets through a program and compares what leaves.",
      discussion: """
        Packets, counters and registers must be as recorded. \
        Exit codes: 0 passed, 1 a file cannot be read, 2 failed.
        """)
    @ParentCommand var root: DPUControl
    @OptionGroup var options: GlobalOptions
    @OptionGroup var offline: OfflineOptions

    @Argument(help: "The program, BMv2 JSON.")
    var program: String
    @Argument(help: "The vector, JSON.")
    var test: String

    func report(on virtual: consuming VirtualSwitch, _ text: borrowing RawSpan) throws
      -> VerifyReport
    {
      let vector: PacketVector
      do {
        vector = try PacketVector.parse(text)
      } catch {
        throw Failure.usage("\(test):\(error.line):\(error.column): \(error.message.string)")
      }
      return VectorRunner.run(vector, on: virtual)
    }
  }
}

struct OfflineOptions: ParsableArguments {
  @Option(help: "Packets that the pipeline takes at once, 1 to 64; the outcome must be the same.")
  var batch = 1

  func validate() throws {
    guard (1...64).contains(batch) else { throw ValidationError("--batch must be 1 to 64") }
  }
}

/// A command that runs a program in this process.
protocol OfflineTest: ParsableCommand {
  var root: DPUControl { get }
  var options: GlobalOptions { get }
  var offline: OfflineOptions { get }
  var program: String { get }
  var test: String { get }

  func report(on virtual: consuming VirtualSwitch, _ text: borrowing RawSpan) throws -> VerifyReport
}

extension OfflineTest {
  mutating func run() throws {
    let virtual = try VirtualSwitch(file: program, batch: offline.batch)
    let text = try InputFile.bytes(of: test)
    let report = try report(on: virtual, Text(bytes: text).span)
    print(options.json || root.options.json ? report.json.text : report.table)
    if !report.passed { throw Failure.refused("\(test) failed") }
  }
}

extension VirtualSwitch {
  /// Loads and compiles a program.
  init(file: String, batch: Int) throws {
    let text = Text(bytes: try InputFile.bytes(of: file))
    let program: P4Program
    do {
      program = try ProgramLoader.load(text.span)
    } catch {
      throw Failure.usage("\(file):\(error.text.string)")
    }
    let code: PipelineCode
    do {
      code = try Compiler.compile(program)
    } catch {
      throw Failure.usage("\(file): \(error.text.string)")
    }
    do {
      try self.init(program, code, batch: batch)
    } catch {
      throw Failure.usage("\(file): an entry of the program does not fit its table")
    }
  }
}

extension VerifyReport {
  fileprivate var json: JSONValue {
    .object([
      .init(key: "passed", value: .boolean(passed)),
      .init(key: "packetsIn", value: .number(String(packetsIn))),
      .init(key: "packetsOut", value: .number(String(packetsOut))),
      .init(key: "checks", value: .number(String(checks))),
      .init(key: "failures", value: .array(failures.map(\.json))),
    ])
  }

  fileprivate var table: String {
    // A program that goes wrong goes wrong for every packet; the first few say how.
    var lines = failures.prefix(20).map(\.text.string)
    if failures.count > 20 { lines.append("... and \(failures.count - 20) more") }
    let outcome = passed ? "passed" : "FAILED"
    lines.append(
      "\(outcome): \(packetsIn) packets in, \(packetsOut) out, \(checks) checks, "
        + "\(failures.count) failures")
    return lines.joined(separator: "\n")
  }
}

extension VerifyFailure {
  fileprivate var json: JSONValue {
    var members: [JSONValue.Member] = []
    func add(_ key: String, _ value: JSONValue) { members.append(.init(key: key, value: value)) }
    func add(_ key: String, _ value: Int) { add(key, .number(String(value))) }
    func add(_ key: String, hex bytes: [UInt8]) {
      add(key, .string(Text.hexadecimal(bytes).string))
    }
    switch self {
    case .refused(let error):
      add("kind", .string("refused"))
      add("line", error.line)
      add("column", error.column)
      add("message", .string(error.message.string))
    case .differs(let port, let number, let expected, let got, let nibble):
      add("kind", .string("differs"))
      add("port", port)
      add("packet", number)
      add("expected", .string(expected.text.string))
      add("got", hex: got)
      add("nibble", nibble)
    case .missing(let port, let number, let expected):
      add("kind", .string("missing"))
      add("port", port)
      add("packet", number)
      add("expected", expected.map { .string($0.text.string) } ?? .null)
    case .unexpected(let port, let number, let got):
      add("kind", .string("unexpected"))
      add("port", port)
      add("packet", number)
      add("got", hex: got)
    case .state(let name, let expected, let got):
      add("kind", .string("state"))
      add("name", .string(name.string))
      add("expected", .string(expected.string))
      add("got", .string(got.string))
    case .restless: add("kind", .string("restless"))
    }
    return .object(members)
  }
}
