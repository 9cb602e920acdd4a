import DPUCore
import Foundation

@testable import P4Pipelines

/// The programs that stand in the repository, found from this file.
enum Corpus {
  static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// Paths from the top of the checkout, in alphabetical order.
  static let paths: [String] =
    ["Tests/Vectors/p4/stf", "Tests/Vectors/p4/load", "p4", "Benchmarks/p4/programs"].flatMap {
      folder in
      let files = try? FileManager.default.contentsOfDirectory(
        atPath: root.appendingPathComponent(folder).path)
      return (files ?? []).filter { $0.hasSuffix(".json") }.sorted().map { "\(folder)/\($0)" }
    }

  static func text(_ path: String) throws -> Text {
    Text(bytes: [UInt8](try Data(contentsOf: root.appendingPathComponent(path))))
  }

  static func load(_ path: String) throws -> P4Program {
    let text = try text(path)
    return try ProgramLoader.load(text.span)
  }
}

extension Text {
  init(_ string: String) { self.init(bytes: Array(string.utf8)) }

  var string: String { String(decoding: bytes, as: UTF8.self) }
}
