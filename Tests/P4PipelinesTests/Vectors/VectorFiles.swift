import DPUCore
import Foundation
import P4Pipelines
import Testing

/// The programs and recordings under Tests/Vectors/p4 and p4/.
enum VectorFiles {
  static let repository = Corpus.root
  static let folder = repository.appending(path: "Tests/Vectors/p4")

  static func text(_ url: URL) throws -> Text { Text(bytes: [UInt8](try Data(contentsOf: url))) }

  private static func files(in folder: URL, ending: String) -> [URL] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.filter { $0.hasSuffix(ending) }.sorted().map { folder.appending(path: $0) }
  }

  /// Programs with an STF test beside them.
  static let stf = files(in: folder.appending(path: "stf"), ending: ".stf").map {
    ProgramFile($0.deletingPathExtension().appendingPathExtension("json"))
  }
  /// Programs that must load and survive.
  static let load = files(in: folder.appending(path: "load"), ending: ".json").map(ProgramFile.init)
  /// Our own.
  static let own = files(in: repository.appending(path: "p4"), ending: ".json").map(
    ProgramFile.init)
  static let all = stf + load + own
  static let packets = files(in: folder.appending(path: "packets"), ending: ".json").map(
    ProgramFile.init)

  static func script(_ url: URL) throws -> STFScript {
    let text = try text(url)
    return try STFScript.parse(text.span)
  }

  static func vector(_ url: URL) throws -> PacketVector {
    let text = try text(url)
    return try PacketVector.parse(text.span)
  }

  static func own(_ name: Text) -> ProgramFile {
    ProgramFile(
      repository.appending(path: "p4/\(String(decoding: name.bytes, as: UTF8.self)).json"))
  }

  static func number(_ variable: String) -> Int? {
    ProcessInfo.processInfo.environment[variable].flatMap { Int($0) }
  }
}

/// A file as the argument of a test.
struct ProgramFile: CustomTestStringConvertible, Sendable {
  let url: URL
  init(_ url: URL) { self.url = url }
  var testDescription: String { url.deletingPathExtension().lastPathComponent }

  var test: URL { url.deletingPathExtension().appendingPathExtension("stf") }

  func compiled() throws -> CompiledProgram {
    let text = try VectorFiles.text(url)
    let program: P4Program
    do {
      program = try ProgramLoader.load(text.span)
    } catch {
      throw Refusal(text: "\(testDescription): \(error.text.string)")
    }
    do {
      return CompiledProgram(program: program, code: try Compiler.compile(program))
    } catch {
      throw Refusal(text: "\(testDescription): \(error.text.string)")
    }
  }
}

struct CompiledProgram {
  let program: P4Program
  let code: PipelineCode

  func virtual(batch: Int, ports: consuming VirtualPorts = VirtualPorts()) throws -> VirtualSwitch {
    try VirtualSwitch(program, code, batch: batch, ports: ports)
  }

  func run(_ script: STFScript, batch: Int) throws -> VerifyReport {
    let virtual = try VirtualSwitch(program, code, batch: batch)
    return STFRunner.run(script, on: virtual)
  }

  func replay(_ vector: PacketVector, batch: Int) throws -> VerifyReport {
    let virtual = try VirtualSwitch(program, code, batch: batch)
    return VectorRunner.run(vector, on: virtual)
  }
}

struct Refusal: Error, CustomStringConvertible {
  let text: String
  var description: String { text }
}

extension VerifyReport {
  /// The first failures, for a test's comment.
  var summary: String { failures.prefix(5).map(\.text.string).joined(separator: "\n") }
}
